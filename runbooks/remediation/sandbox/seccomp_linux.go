package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock holds TCP and nothing else: Multipath TCP would reach every port
// that TCP must not, and a virtual machine's host is reached by AF_VSOCK. So
// sockets are held to kinds that are known.

// Where the filter finds the system call (struct seccomp_data, seccomp(2)). Of
// the arguments, which are of 64 bits, the lower halves: a socket's are ints.
const (
	dataNumber   = 0
	dataArch     = 4
	dataFamily   = 16
	dataProtocol = 32
)

// x32 marks the numbers of amd64's other set of system calls.
const x32 = 0x40000000

// archOf is what the kernel calls this architecture; 0: no filter is known for
// it.
func archOf(goarch string) uint32 {
	switch goarch {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	default:
		return 0
	}
}

// socketFilter lets socket(2) make what is listed, and every other system call
// of the architecture but io_uring_setup(2) pass. Another architecture's calls have other numbers, and
// are not to be had.
func socketFilter(arch uint32) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	ret := func(value uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value} }
	// skip jumps over n instructions if the value is k.
	skip := func(k uint32, n uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: n}
	}
	const no = unix.SECCOMP_RET_ERRNO
	return []unix.SockFilter{
		load(dataArch),
		skip(arch, 1),
		ret(no | uint32(unix.ENOSYS)),
		load(dataNumber),
		skip(unix.SYS_IO_URING_SETUP, 1), // it makes sockets without socket(2)
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: x32, Jf: 1},
		ret(no | uint32(unix.ENOSYS)),
		skip(unix.SYS_SOCKET, 1),
		ret(unix.SECCOMP_RET_ALLOW),
		load(dataFamily),
		skip(unix.AF_UNIX, 11),
		skip(unix.AF_NETLINK, 10),
		skip(unix.AF_INET, 2),
		skip(unix.AF_INET6, 1),
		ret(no | uint32(unix.EAFNOSUPPORT)),
		load(dataProtocol),
		skip(unix.IPPROTO_IP, 5), // the kind's own: TCP or UDP
		skip(unix.IPPROTO_TCP, 4),
		skip(unix.IPPROTO_UDP, 3),
		skip(unix.IPPROTO_ICMP, 2),
		skip(unix.IPPROTO_ICMPV6, 1),
		ret(no | uint32(unix.EPROTONOSUPPORT)),
		ret(unix.SECCOMP_RET_ALLOW),
	}
}

// canFilter reports whether the kernel filters system calls, and a filter is
// known. Kernels without say EINVAL (PR_GET_SECCOMP(2const)).
func canFilter() bool {
	_, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err == nil && archOf(runtime.GOARCH) != 0
}

// restrictSockets puts the filter on this thread.
func restrictSockets() error {
	filter := socketFilter(archOf(runtime.GOARCH))
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	runtime.KeepAlive(filter)
	return nil
}
