package sandbox

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// openFiles is the most descriptors that a command may have open.
const openFiles = 1024

// niceness lets the router go first when both want the processor, and the
// command still run on a machine that is in trouble.
const niceness = 5

// keeperTasks is more than the threads that the keeper has, where they count
// with the command's.
const keeperTasks = 16

// become is the second helper: it puts the restrictions on itself and becomes
// the command.
func become(prepared []string) int {
	runtime.LockOSThread() // restrictions are a thread's, and this one's are what the command gets
	in, err := readInstructions(fdCommandInstructions)
	if err == nil {
		err = restrict(in, prepared)
	}
	var e *execution
	if err == nil {
		e, err = prepareExecution(in)
	}
	if err != nil {
		say(fdCommandStatus, report{Error: err.Error()})
		return 1
	}
	say(fdCommandStatus, report{Held: held(in, prepared).String()})
	e.run()
	return 1
}

// held is what the command is held by.
func held(in instructions, prepared []string) holding {
	h := holding{
		landlock: landlockABI(), pid: in.Spaces.PID, noNet: in.Spaces.Net, connect: in.Connect,
		ownProc: slices.Contains(prepared, ownProc), ownTemp: slices.Contains(prepared, ownTemp),
		root: in.Account == nil && os.Geteuid() == 0, sockets: canFilter(),
	}
	if in.Account != nil {
		h.user = in.Account.Name
	}
	return h
}

// landlockABI is the version of Landlock that the kernel offers; 0: none.
func landlockABI() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

// restrict puts on all restrictions but for those that this program itself
// could not live with.
func restrict(in instructions, prepared []string) error {
	h := held(in, prepared)
	if err := h.require(in.Require); err != nil {
		return err
	}
	// Neither is worth not running: the router goes first, and if the memory of the
	// whole machine runs out, the command is what the kernel ends.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	// Where the kernel groups by session (sched(7), autogroup) that counts within the command's only.
	_ = os.WriteFile("/proc/self/autogroup", strconv.AppendInt(nil, niceness, 10), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	unix.Umask(0o022)
	if err := errors.Join(onlyOurs(), os.Chdir(in.Dir)); err != nil {
		return err
	}
	// Before Landlock, which cannot be put on without; after it nothing can be gained.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if h.landlock > 0 {
		if err := restrictFiles(in, h); err != nil {
			return err
		}
	}
	if h.sockets {
		if err := restrictSockets(); err != nil {
			return err
		}
	}
	return dropPrivileges(in.Account)
}

// dropPrivileges becomes the user, if there is one, and loses all capabilities:
// also root's, who gets them back at execve(2) unless the bounding set is empty.
func dropPrivileges(a *account) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
			break // without privileges there is nothing to bound: execve gives none
		}
		if errors.Is(err, unix.EINVAL) {
			break // the last one was the last
		}
		if err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
	}
	if a != nil {
		if err := errors.Join(syscall.Setgroups(a.Groups), syscall.Setresgid(a.GID, a.GID, a.GID), syscall.Setresuid(a.UID, a.UID, a.UID)); err != nil {
			return fmt.Errorf("becoming %s: %w", a.Name, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	// A change of user forgets it (PR_SET_PDEATHSIG(2const)).
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// limit is one of setrlimit's.
type limit struct {
	what        int
	soft, limit uint64
}

// limits but for the memory's, which is put on last.
func limits(in instructions) []limit {
	cpu := uint64((in.Limits.CPU + time.Second - 1) / time.Second)
	tasks := uint64(in.Limits.Processes)
	if in.Account == nil {
		tasks += keeperTasks
	}
	tasks += uint64(in.OthersTasks)
	return []limit{
		// A second between SIGXCPU, which says why, and SIGKILL.
		{unix.RLIMIT_CPU, cpu, cpu + 1},
		{unix.RLIMIT_NOFILE, openFiles, openFiles},
		{unix.RLIMIT_NPROC, tasks, tasks},
		{unix.RLIMIT_FSIZE, uint64(in.Limits.FileSize), uint64(in.Limits.FileSize)},
		{unix.RLIMIT_CORE, 0, 0},
		{unix.RLIMIT_MSGQUEUE, 0, 0},
		{unix.RLIMIT_MEMLOCK, 0, 0},
	}
}

// put sets the limit, or keeps a harder one that there is.
func (l limit) put() error {
	var now unix.Rlimit
	if err := unix.Getrlimit(l.what, &now); err != nil {
		return fmt.Errorf("resource limit %d: %w", l.what, err)
	}
	l.soft, l.limit = min(l.soft, now.Max), min(l.limit, now.Max)
	if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.soft, Max: l.limit}); err != nil {
		return fmt.Errorf("resource limit %d: %w", l.what, err)
	}
	return nil
}

// closeOthers lets all descriptors from the first on be closed by execve.
func closeOthers(first int) {
	if unix.CloseRange(uint(first), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for _, fd := range openDescriptors() { // Linux before 5.11
		if fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}

// why explains what execve says.
func why(errno syscall.Errno, in instructions) string {
	path := string(in.Argv[0])
	switch errno {
	case unix.ENOENT:
		return path + ": the interpreter of its first line, or its loader, is not there"
	case unix.EACCES:
		return path + ": the interpreter of its first line may not be executed: it has to be among the system's programs or under sandbox.read"
	case unix.ENOEXEC:
		return path + " is neither a program of this machine nor a script with #! in its first line"
	case unix.E2BIG:
		return path + ": its arguments and its environment are too long"
	case unix.ENOMEM:
		return path + " does not fit into its memory limit"
	default:
		return strings.TrimSpace(path + ": " + errno.Error())
	}
}
