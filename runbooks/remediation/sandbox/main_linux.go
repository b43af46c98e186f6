package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Main is the program that Run starts: the main function calls it with
// os.Args[2:] when os.Args[1] is Arg, and exits with what it returns. It may
// also become the command and not return. It does nothing for anybody else than
// Run.
func Main(args []string) int {
	if len(args) == 0 {
		args = []string{""}
	}
	switch args[0] {
	case stageKeep:
		return keep()
	case stageStart:
		return become(args[1:])
	case stageProbe: // in a namespace of its own, where it may mount over the temporary folder
		if len(args) > 1 && len(mount(instructions{Dir: os.TempDir()})) < 2 {
			return 1
		}
		return 0
	default:
		fmt.Fprintf(os.Stderr, "%s is what Tocsin starts for itself to run a remedy; there is nothing to do here\n", Arg)
		return 2
	}
}

// onlyOurs keeps the helpers' descriptors and memory from the command, should
// Landlock not (PR_SET_DUMPABLE(2const): files in /proc/PID become root's).
func onlyOurs() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
