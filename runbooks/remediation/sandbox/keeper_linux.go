package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The second stage's further arguments: what the keeper has prepared.
const (
	ownProc = "proc"
	ownTemp = "temp"
)

// again is how often the keeper looks after what does not tell by itself.
const again = 20 * time.Millisecond

// keeper starts the command and ends all that comes of it.
type keeper struct {
	in       instructions
	prepared []string // ownProc, ownTemp
	killing  atomic.Bool
}

// keep is the first helper.
func keep() int {
	in, err := readInstructions(fdInstructions)
	if err != nil {
		fmt.Fprintln(os.Stderr, Arg+":", err)
		return 2
	}
	k := &keeper{in: in}
	main, err := k.start()
	if err != nil {
		say(fdStatus, report{Error: err.Error()})
		return 1
	}
	go k.obey()
	if in.Spaces.PID && k.uncounted() {
		go k.count()
	}
	k.reap(main)
	if !in.Spaces.PID {
		k.sweep()
	}
	return 0
}

// start prepares the surroundings and starts the second helper in them.
func (k *keeper) start() (int, error) {
	if err := onlyOurs(); err != nil {
		return 0, err
	}
	if k.in.Spaces.PID {
		k.prepared = mount(k.in)
	} else if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(self, append([]string{self, Arg, stageStart}, k.prepared...), &syscall.ProcAttr{
		Env: helperEnv(),
		// In the order of fdCommandProgram and the others.
		Files: []uintptr{0, 1, 2, fdProgram, fdInstructions, fdStatus},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, fmt.Errorf("starting the second helper: %w", err)
	}
	// From here on the output ends when the command's side closes it.
	return pid, errors.Join(unix.Close(0), unix.Close(1), unix.Close(2), unix.Close(fdProgram))
}

// mount gives the namespace a /proc that shows its own processes only, and a
// working folder that cannot fill a disk. What the kernel refuses is done
// without.
func mount(in instructions) (prepared []string) {
	// Before anything else: nothing that is mounted here may show outside.
	if unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") != nil {
		return nil
	}
	const harmless = unix.MS_NOSUID | unix.MS_NODEV
	if unix.Mount("proc", "/proc", "proc", harmless|unix.MS_NOEXEC, "") == nil {
		prepared = append(prepared, ownProc)
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if a := in.Account; a != nil {
		uid, gid = a.UID, a.GID
	}
	// A page more than the largest file, so that its own limit is met first.
	size := in.Limits.FileSize + int64(os.Getpagesize())
	options := fmt.Sprintf("size=%d,nr_inodes=16384,mode=0700,uid=%d,gid=%d", size, uid, gid)
	if unix.Mount("tmpfs", in.Dir, "tmpfs", harmless, options) == nil {
		prepared = append(prepared, ownTemp)
	}
	return prepared
}

// obey does what Tocsin says, and kills everything when Tocsin is gone.
func (k *keeper) obey() {
	for order := make([]byte, 1); ; {
		n, err := unix.Read(fdControl, order)
		switch {
		case errors.Is(err, unix.EINTR):
		case n == 1 && order[0] == controlTerm:
			signalTree(k.in.Spaces.PID, unix.SIGTERM)
		default:
			k.kill()
			return
		}
	}
}

// kill kills until the main loop has seen the end.
func (k *keeper) kill() {
	if k.killing.Swap(true) {
		return
	}
	for {
		signalTree(k.in.Spaces.PID, unix.SIGKILL)
		time.Sleep(again)
	}
}

// uncounted reports whether the kernel does not count the command's processes:
// RLIMIT_NPROC (getrlimit(2)) does not hold root.
func (k *keeper) uncounted() bool { return k.in.Account == nil && os.Geteuid() == 0 }

// count ends everything when there are too many processes. It looks often, and
// before others: a fork bomb doubles in a millisecond or two.
func (k *keeper) count() {
	if !slices.Contains(k.prepared, ownProc) {
		return
	}
	runtime.LockOSThread() // a priority is a thread's
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	for ; len(pids()) <= k.in.Limits.Processes+1; time.Sleep(again / 10) { // the keeper is one of them
	}
	say(fdStatus, report{Killed: fmt.Sprintf("it had more than %d processes", k.in.Limits.Processes)})
	k.kill()
}

// reap takes the status of all that end, and returns when main has.
func (k *keeper) reap(main int) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if err == nil && pid == main {
			say(fdStatus, report{Ended: true, Status: status})
			return
		}
	}
}

// sweep ends what the command has left, where no namespace does: all of it has
// become this process' children, or will.
func (k *keeper) sweep() {
	for deadline := time.Now().Add(Grace / 2); time.Now().Before(deadline); {
		signalTree(false, unix.SIGKILL)
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.ECHILD) {
			return
		}
		if pid == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
