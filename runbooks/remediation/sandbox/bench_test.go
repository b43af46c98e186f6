//go:build linux

package sandbox_test

import (
	"os/exec"
	"testing"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// BenchmarkRun is beside BenchmarkPlain what holding a command costs.
func BenchmarkRun(b *testing.B) {
	for _, c := range []struct {
		name    string
		connect []int
	}{{"no network", nil}, {"a port", []int{443}}} {
		b.Run(c.name, func(b *testing.B) {
			command := program(b, "/bin/true")
			command.Connect, command.Require = c.connect, sandbox.RequireNone
			for b.Loop() {
				run(b, command)
			}
		})
	}
}

func BenchmarkPlain(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		sandbox.Probe()
	}
}
