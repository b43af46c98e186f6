package sandbox

import (
	"fmt"
	"strings"
)

// holding is what holds one command.
type holding struct {
	landlock int // the ABI; 0: none
	pid      bool
	ownProc  bool
	ownTemp  bool
	noNet    bool
	sockets  bool // a seccomp filter lets TCP, UDP and Unix sockets be made only
	root     bool // it stays root, whose processes the kernel does not count
	user     string
	connect  []int
}

// require returns an error if it is less than what is asked for.
func (h holding) require(what string) error {
	if what != RequireNone && h.landlock == 0 {
		return fmt.Errorf("this kernel offers no Landlock, and the sandbox requires it (Linux 5.13, in the list of boot option lsm=); set require: %s to run without", RequireNone)
	}
	return nil
}

// String says it in words: what holds, then what does not.
func (h holding) String() string {
	var held, not []string
	say := func(yes bool, word, otherwise string) {
		switch {
		case yes && word != "":
			held = append(held, word)
		case !yes && otherwise != "":
			not = append(not, otherwise)
		}
	}
	say(h.landlock > 0, fmt.Sprintf("landlock %d", h.landlock), "files (no Landlock)")
	say(h.pid, "pid namespace", "what it starts, if its keeper is killed (no PID namespace)")
	say(h.noNet, "no network", "")
	if !h.noNet {
		ports := strings.Trim(fmt.Sprint(h.connect), "[]")
		if ports == "" {
			ports = "none"
		}
		say(h.landlock >= 4, "tcp ports: "+ports, "the network")
		say(h.landlock < 4, "", "udp")
		say(h.landlock < 4 || h.sockets, "", "multipath tcp (no seccomp)")
	}
	say(h.ownProc, "own /proc", "")
	say(h.ownTemp, "own temporary file system", "the size of its folder")
	held = append(held, "no_new_privs", "no capabilities", "rlimits")
	say(h.sockets, "seccomp", "")
	say(h.user != "", "user "+h.user, "")
	say(!h.root || h.ownProc, "", "the number of processes (root's are not counted)")
	say(h.landlock == 0 || h.landlock >= 3, "", "truncating files (Landlock 3)")
	say(h.landlock == 0 || h.landlock >= 6 || h.pid, "", "signals (Landlock 6)")
	out := strings.Join(held, ", ")
	if len(not) > 0 {
		out += "; not held: " + strings.Join(not, ", ")
	}
	return out
}
