package sandbox

import (
	"encoding/json"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execution is execve with everything prepared: once the memory is limited,
// this program may not allocate any more.
type execution struct {
	path      *byte
	argv, env []*byte
	memory    unix.Rlimit
	failures  [maxErrno][]byte // what to report, by error
}

const maxErrno = 134 // errno(3): EHWPOISON is the last, 133

// prepareExecution puts on the limits that this program can still live with.
func prepareExecution(in instructions) (*execution, error) {
	e := &execution{argv: pointers(in.Argv), env: pointers(in.Env)}
	e.path = pointers([][]byte{fmt.Appendf(nil, "/proc/self/fd/%d", fdCommandProgram)})[0]
	for errno := range e.failures {
		text, err := json.Marshal(report{Error: why(syscall.Errno(errno), in)})
		if err != nil {
			return nil, err
		}
		e.failures[errno] = text
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &now); err != nil {
		return nil, err
	}
	memory := min(uint64(in.Limits.Memory), now.Max)
	e.memory = unix.Rlimit{Cur: memory, Max: memory}
	for _, l := range limits(in) {
		if err := l.put(); err != nil {
			return nil, err
		}
	}
	first := fdCommandProgram
	if in.Script { // its interpreter opens it again by this number
		first++
	}
	closeOthers(first)
	return e, nil
}

// pointers ends each with a NUL, and the list with nil, as execve takes them.
func pointers(list [][]byte) []*byte {
	out := make([]*byte, 0, len(list)+1)
	for _, s := range list {
		out = append(out, &append(s, 0)[0])
	}
	return append(out, nil)
}

// run becomes the command. It returns when that has failed, and was reported.
func (e *execution) run() {
	const none = 0
	_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, none, unix.RLIMIT_AS, uintptr(unsafe.Pointer(&e.memory)), none, 0, 0)
	wait := unix.NsecToTimespec(int64(10 * time.Millisecond))
	for tries := 0; errno == 0 && tries < 100; tries++ {
		_, _, errno = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(e.path)),
			uintptr(unsafe.Pointer(&e.argv[0])), uintptr(unsafe.Pointer(&e.env[0])))
		// Another process that Tocsin was starting may still hold the descriptor that
		// the program was written through, for a moment.
		if errno == unix.ETXTBSY {
			errno = 0
			_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&wait)), 0, 0)
		}
	}
	if errno == 0 {
		errno = unix.ETXTBSY
	}
	text := e.failures[min(int(errno), maxErrno-1)]
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, fdCommandStatus, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
}
