package main

import "github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"

// sandboxHelper is the hidden command that Tocsin starts itself as, to run a
// remedy. It comes before everything else of the program: it may become the
// remedy, and then does not return.
func sandboxHelper(args []string) (code int, ours bool) {
	if len(args) < 2 || args[1] != sandbox.Arg {
		return 0, false
	}
	return sandbox.Main(args[2:]), true
}
