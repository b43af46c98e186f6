package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pids are the processes that /proc shows.
func pids() []int { return numbers("/proc") }

// openDescriptors are this process'.
func openDescriptors() []int { return numbers("/proc/self/fd") }

// numbers are the entries of a folder that are numbers.
func numbers(folder string) []int {
	dir, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var out []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// parentOf reads field 4 of /proc/PID/stat (proc(5)); field 2, the name, may
// hold anything, and is the last to have a parenthesis. 0: there is no such
// process.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}

// descendants are the children of a process, their children, and so on.
func descendants(of int) []int {
	children := map[int][]int{}
	for _, pid := range pids() {
		if parent := parentOf(pid); parent != 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	out := children[of]
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// signalTree sends a signal to everything under this process. In a PID
// namespace, whose first process this is, the kernel does it at one stroke.
func signalTree(namespace bool, sig syscall.Signal) {
	if namespace {
		_ = unix.Kill(-1, sig) // an error: nobody is left
		return
	}
	none := unix.Rlimit{}
	for _, pid := range descendants(os.Getpid()) {
		if sig == unix.SIGKILL { // what was looked at is not to have children by the time the signal comes
			_ = unix.Prlimit(pid, unix.RLIMIT_NPROC, &none, nil)
		}
		_ = unix.Kill(pid, sig)
	}
}

// tasksOf counts the threads of all processes of a user.
func tasksOf(uid int) int {
	n := 0
	for _, pid := range pids() {
		path := fmt.Sprintf("/proc/%d", pid)
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || int(st.Uid) != uid {
			continue
		}
		// One link for each thread, and two of the folder's own (proc(5): task).
		if unix.Stat(path+"/task", &st) == nil && st.Nlink > 2 {
			n += int(st.Nlink) - 2
		}
	}
	return n
}
