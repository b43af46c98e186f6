package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe looks at what this machine offers, by trying it where there is no other
// way. It starts up to four processes and takes some 40 ms.
func Probe() Report {
	r := Report{Landlock: landlockABI(), Root: os.Geteuid() == 0, CgroupKill: cgroupKill(), Seccomp: canFilter(), Kernel: release()}
	r.PIDNamespace = offers(spaces{PID: true, User: !r.Root})
	r.NetworkNamespace = r.PIDNamespace && offers(spaces{PID: true, Net: true, User: !r.Root})
	r.UserNamespace = offers(spaces{PID: true, User: true})
	r.OwnMounts = r.PIDNamespace && offers(spaces{PID: true, User: !r.Root}, "mount")
	return r
}

// Holds says what would hold the command, were it run now, or the reason for
// which it would not be run: what Run looks at before it starts anything. The
// first reason is enough, and nothing is executed.
func Holds(c Command) (string, error) {
	c, err := c.checked()
	if err != nil {
		return "", err
	}
	if _, err := lookUp(c.User); err != nil {
		return "", err
	}
	p, err := load(c.Path, c.SHA256)
	if err != nil {
		return "", err
	}
	if err := p.file.Close(); err != nil {
		return "", err
	}
	for _, path := range slices.Concat(c.Read, c.Write) {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("the sandbox is to open %w", err)
		}
	}
	r := Probe()
	return r.WouldHold(c), r.Refuses(c)
}

// offers reports whether a process in these namespaces starts, and can do what
// the arguments say.
func offers(s spaces, args ...string) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return helper(s, append([]string{stageProbe}, args...)...).Run() == nil
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	name, _, _ := bytes.Cut(u.Release[:], []byte{0})
	return string(name)
}

// cgroupKill looks for the file of this process' own cgroup (cgroups(7); the
// line of version 2 begins with 0::).
func cgroupKill() bool {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(own)) {
		path, v2 := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			if _, err := os.Stat(filepath.Join(root, path, "cgroup.kill")); v2 && err == nil {
				return true
			}
		}
	}
	return false
}
