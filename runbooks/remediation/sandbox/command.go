// Package sandbox runs one command of the operators' and holds it: it executes
// exactly the bytes whose hash they have pinned, hands over exactly the
// arguments, the environment and the input it was given, and ends everything
// that the command has started when it ends or its time is over.
//
// Two processes of Tocsin's own stand between Tocsin and the command, both the
// same program started anew (Main): the keeper, which is the first process of a
// PID namespace or adopts what is orphaned, and the one that puts the
// restrictions on itself and then becomes the command. What the kernel does not
// offer is left out and said so in Result.Held; Landlock may be required, and
// then nothing is run without it.
//
// It works on Linux. Elsewhere nothing is run.
package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotRun says that the command was certainly not executed; the rest of the
// error says why. An error of Run that is not of this kind leaves open what the
// command has done.
var ErrNotRun = errors.New("not run")

// Arg is the first argument of the processes that Run starts: the program that
// it is part of, anew. That program's main function hands over to Main when it
// sees it, before it does anything else.
const Arg = "sandbox-exec"

// What a Command may require of the machine.
const (
	// RequireLandlock runs nothing where the kernel has no Landlock.
	RequireLandlock = "landlock"
	// RequireNone takes what there is.
	RequireNone = "none"
)

// What a zero value of Limits, and of Command's Timeout and Keep, stands for.
const (
	DefaultMemory    = 256 << 20
	DefaultCPU       = 10 * time.Second
	DefaultProcesses = 64
	DefaultFileSize  = 64 << 20
	DefaultTimeout   = 30 * time.Second
	DefaultKeep      = 64 << 10
)

// Command is what to run.
type Command struct {
	// Path is the file to execute, absolute. It is argv[0], but for scripts: the
	// kernel gives the interpreter /proc/self/fd/3, as it does not know where the
	// hashed bytes came from.
	Path string
	// SHA256 of the file in hex; a file with another one is not run.
	SHA256 string
	// Args follow argv[0]: any bytes but NUL.
	Args []string
	// Env is the whole environment, as NAME=value.
	Env []string
	// Stdin is what the command reads; nil: nothing (/dev/null).
	Stdin []byte
	// Timeout is how long it may run, from when it is executed. Then it gets
	// SIGTERM, and Grace later SIGKILL, with all that it has started.
	Timeout time.Duration
	// Limits of what it may use up.
	Limits Limits
	// Read and Write are absolute paths of files and folders that have to exist.
	// Besides them it may read the system's programs, libraries and names of hosts
	// and users, and write to its working folder, which is its own and temporary.
	// Held by Landlock.
	Read, Write []string
	// Connect are the TCP ports that it may connect to. With none it has no network
	// at all where there are namespaces. Held by Landlock from ABI 4 on.
	Connect []int
	// User is whom to run as; empty: who Tocsin runs as. It takes root.
	User string
	// Require is RequireLandlock (also when empty) or RequireNone.
	Require string
	// Output, if set, gets what the command writes to stdout and stderr as it comes.
	// It is called from one goroutine, never after Run has returned, and must not
	// keep the slice. While it takes its time, the command waits.
	Output func(chunk []byte)
	// Keep is how many bytes of the output the Result holds.
	Keep int
}

// Limits are what a command may use up; zero values stand for the defaults.
type Limits struct {
	// Memory in bytes of address space, of each process (RLIMIT_AS).
	Memory int64
	// CPU is the processor time of each process (RLIMIT_CPU), in whole seconds,
	// rounded up.
	CPU time.Duration
	// Processes at once, threads included (RLIMIT_NPROC). The kernel does not count
	// root's: there the keeper does, without threads, and ends it all.
	Processes int
	// FileSize in bytes of each file that is written (RLIMIT_FSIZE), and, where there
	// are namespaces, of all files in the working folder.
	FileSize int64
}

// Grace is how long a command has between SIGTERM and SIGKILL.
const Grace = time.Second

// Result is how a command ended.
type Result struct {
	// Exit code; -1: a signal ended it.
	Exit int
	// Signal that ended it, as "SIGKILL"; empty: it exited.
	Signal string
	// Killed says in words which limit ended it; empty: none did.
	Killed string
	// Output is what it wrote, stdout and stderr as they came. Of more than
	// Command.Keep bytes the first and the last half, with a line between them that
	// says how much is missing.
	Output []byte
	// OutputBytes is how much it wrote.
	OutputBytes int64
	// Took is how long it took, starting it included.
	Took time.Duration
	// Held says what held it, and what did not: "landlock 7, pid namespace, …".
	Held string
}

// checked returns the command with its defaults, or an error that names what can
// never be right.
func (c Command) checked() (Command, error) {
	c.Timeout = orElse(c.Timeout, DefaultTimeout)
	c.Keep = orElse(c.Keep, DefaultKeep)
	c.Limits.Memory = orElse(c.Limits.Memory, DefaultMemory)
	c.Limits.CPU = orElse(c.Limits.CPU, DefaultCPU)
	c.Limits.Processes = orElse(c.Limits.Processes, DefaultProcesses)
	c.Limits.FileSize = orElse(c.Limits.FileSize, DefaultFileSize)
	if c.Require == "" {
		c.Require = RequireLandlock
	}
	c.SHA256 = strings.ToLower(c.SHA256)
	return c, errors.Join(c.badNumbers(), c.badPaths(), c.badBytes())
}

// orElse is cmp.Or for a value whose zero stands for a default.
func orElse[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (c Command) badNumbers() error {
	if c.Timeout < 0 || c.Keep < 0 || c.Limits.Memory < 0 || c.Limits.CPU < 0 || c.Limits.Processes < 0 || c.Limits.FileSize < 0 {
		return errors.New("a limit is negative")
	}
	for _, port := range c.Connect {
		if port < 1 || port > 65535 {
			return fmt.Errorf("connect: there is no TCP port %d", port)
		}
	}
	if c.Require != RequireLandlock && c.Require != RequireNone {
		return fmt.Errorf("require: %q is neither %s nor %s", c.Require, RequireLandlock, RequireNone)
	}
	return nil
}

func (c Command) badPaths() error {
	for _, path := range slices.Concat([]string{c.Path}, c.Read, c.Write) {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
	}
	return nil
}

func (c Command) badBytes() error {
	for _, s := range slices.Concat([]string{c.Path}, c.Args, c.Env, c.Read, c.Write) {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("%q holds a NUL byte, which no argument can", s)
		}
	}
	seen := map[string]bool{}
	for _, entry := range c.Env {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			return fmt.Errorf("the environment's %q is not NAME=value", name)
		}
		if seen[name] {
			return fmt.Errorf("the environment names %q twice", name)
		}
		seen[name] = true
	}
	return nil
}
