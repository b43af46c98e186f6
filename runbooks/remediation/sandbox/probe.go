package sandbox

// Report is what this machine offers to hold commands with.
type Report struct {
	// Landlock is the version of its interface; 0: none.
	Landlock int `json:"landlock"`
	// PIDNamespace: everything that a command starts ends with it for certain.
	PIDNamespace bool `json:"pidNamespace"`
	// NetworkNamespace: a command without declared ports has no network at all.
	NetworkNamespace bool `json:"networkNamespace"`
	// OwnMounts: in it a command has a /proc and a working folder of its own.
	OwnMounts bool `json:"ownMounts"`
	// UserNamespace: namespaces are to be had without being root.
	UserNamespace bool `json:"userNamespace"`
	// CgroupKill: the cgroup of this process could be killed as one.
	CgroupKill bool `json:"cgroupKill"`
	// Seccomp: commands can be held to known kinds of sockets.
	Seccomp bool `json:"seccomp"`
	// Root: Tocsin runs as root, and can run commands as somebody else.
	Root bool `json:"root"`
	// Kernel is its release: "6.18.44"; empty where it is not Linux.
	Kernel string `json:"kernel"`
}

// Finding is one line of a Report.
type Finding struct {
	What string `json:"what"`
	// Offered: the machine has it.
	Offered bool `json:"offered"`
	// Means says what that means for the commands.
	Means string `json:"means"`
}

// Findings explains the report, the most important first.
func (r Report) Findings() []Finding {
	pick := func(what string, yes bool, means, otherwise string) Finding {
		if yes {
			return Finding{what, true, means}
		}
		return Finding{what, false, otherwise}
	}
	return []Finding{
		r.landlock(),
		pick("PID namespace", r.PIDNamespace, "Whatever a command starts ends with it.",
			"A command's processes are found by their parents and killed one after the other; a kill -9 of Tocsin's own helper lets them go."),
		pick("Mounts of its own", r.OwnMounts, "A command sees no other processes in /proc, and what it writes into its folder is limited as a whole.",
			"A command has no /proc; in its folder each file is limited, and their number is not."),
		pick("Network namespace", r.NetworkNamespace, "A command that declares no ports has no network.",
			"Without declared ports TCP is held by Landlock 4 and newer; UDP is not held."),
		pick("User namespace", r.UserNamespace, "The namespaces are to be had without root.",
			"Only root gets the namespaces."),
		pick("Root", r.Root, "Commands can run as another user (sandbox.user). Without one they are root, without its capabilities; then the number of processes is counted, and not held by the kernel.",
			"Commands run as the user of Tocsin; the file of the store is kept from them by Landlock alone."),
		pick("seccomp", r.Seccomp, "Commands make TCP, UDP and Unix sockets only: no Multipath TCP, which Landlock does not hold, and none to the host of a virtual machine.",
			"Multipath TCP goes around the declared ports."),
		pick("cgroup.kill", r.CgroupKill, "Not used: the PID namespace does the same.", "Not used by Tocsin."),
	}
}

func (r Report) landlock() Finding {
	f := Finding{What: "Landlock", Offered: r.Landlock > 0}
	switch {
	case r.Landlock == 0:
		f.Means = "Files, the store's among them, are not kept from commands; remedies with sandbox.require: landlock are not run."
	case r.Landlock < 3:
		f.Means = "Commands reach declared files only, but can truncate others that their user may write to (Linux 6.2), and connect anywhere (Linux 6.7)."
	case r.Landlock < 4:
		f.Means = "Commands reach declared files only, but can connect anywhere (Linux 6.7)."
	default:
		f.Means = "Commands reach declared files and TCP ports only."
	}
	return f
}

// Refuses returns an error that says why the command would not be run on the
// machine of the report, as far as the machine is the reason.
func (r Report) Refuses(c Command) error {
	if c.Require == "" {
		c.Require = RequireLandlock
	}
	return r.holding(c).require(c.Require)
}

// WouldHold says what would hold the command, as Result.Held does after it.
func (r Report) WouldHold(c Command) string { return r.holding(c).String() }

func (r Report) holding(c Command) holding {
	return holding{
		landlock: r.Landlock, pid: r.PIDNamespace, ownProc: r.OwnMounts, ownTemp: r.OwnMounts,
		sockets: r.Seccomp, noNet: r.NetworkNamespace && len(c.Connect) == 0, connect: c.Connect,
		root: r.Root && c.User == "", user: c.User,
	}
}
