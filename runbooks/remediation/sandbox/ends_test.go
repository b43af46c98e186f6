//go:build linux

package sandbox_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestRunEndsAllOfIt: whatever the command has started is gone when Run returns.
func TestRunEndsAllOfIt(t *testing.T) {
	t.Parallel()
	const timesOut = "its time of"
	for _, c := range []struct {
		name, text, killed, signal string
		exit                       int
	}{
		{name: "sleeps", text: "sleep 1000", killed: timesOut, signal: "SIGTERM", exit: -1},
		{name: "ignores SIGTERM", text: "trap '' TERM; while :; do sleep 1000; done", killed: timesOut, signal: "SIGKILL", exit: -1},
		{name: "cleans up on SIGTERM", text: "trap 'exit 7' TERM; while :; do sleep 0.1; done", killed: timesOut, exit: 7},
		{name: "leaves a child", text: "sleep 1000 & echo left"},
		{name: "leaves a daemon", text: "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo left"},
		{name: "leaves a daemon that ignores signals", text: `setsid sh -c "trap '' TERM HUP INT; while :; do sleep 1; done" >/dev/null 2>&1 </dev/null & echo left`},
		{name: "forks twice", text: "( ( setsid sleep 1000 & ) & ); echo left"},
		{name: "daemon of a sleeper", text: "setsid setsid sleep 1000 & sleep 1000", killed: timesOut, signal: "SIGTERM", exit: -1},
		{name: "stops itself", text: "kill -STOP $$", killed: timesOut, signal: "SIGKILL", exit: -1},
		{name: "keeper is attacked", text: "kill -9 $PPID 1; kill -9 -1; sleep 0.1; exit 3", exit: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.name == "keeper is attacked" && !sandbox.Probe().PIDNamespace {
				t.Skip("without a PID namespace only Landlock 6 holds signals")
			}
			command := script(t, c.text)
			sign := mark(t, &command)
			if c.killed != "" {
				command.Timeout = time.Second
			}
			r := run(t, command)
			nothingLeft(t, sign)
			if c.name == "stops itself" && r.Signal == "SIGTERM" {
				return
			}
			assert.Equal(t, c.signal, r.Signal, string(r.Output))
			assert.Equal(t, c.exit, r.Exit, string(r.Output))
			assert.Contains(t, r.Killed, c.killed)
			assert.Equal(t, c.killed == "", r.Killed == "")
			if strings.Contains(c.text, "echo left") {
				assert.Equal(t, "left\n", string(r.Output))
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := script(t, "echo on; sleep 1000")
	sign := mark(t, &c)
	ctx, cancel := context.WithCancel(context.Background())
	c.Output = func([]byte) { cancel() }
	r, err := sandbox.Run(ctx, c)
	require.NoError(t, err)
	assert.Contains(t, r.Killed, "called off")
	nothingLeft(t, sign)

	r, err = sandbox.Run(ctx, c) // it has ended before
	require.ErrorIs(t, err, sandbox.ErrNotRun)
	assert.Empty(t, r.Output)
}

// TestRunHoldsForkBombs: as whoever the test runs, and as nobody.
func TestRunHoldsForkBombs(t *testing.T) {
	for _, user := range []string{"", "nobody"} {
		t.Run("as "+user, func(t *testing.T) {
			if user != "" {
				needRoot(t)
				ownTemp(t)
			}
			c := script(t, "bomb() { bomb | bomb & }; bomb; bomb; sleep 1000")
			sign := mark(t, &c)
			c.User, c.Timeout, c.Limits.Processes = user, 2*time.Second, 50
			if user == "" && os.Getuid() == 0 && !sandbox.Probe().PIDNamespace {
				t.Skip("root without namespaces: nothing holds the number of processes")
			}
			r := run(t, c)
			nothingLeft(t, sign)
			t.Log(r.Took, r.Killed, r.Signal, r.OutputBytes, r.Held)
			assert.NotEmpty(t, string(r.Killed)+string(r.Output))
		})
	}
}

func TestRunHoldsLimits(t *testing.T) {
	t.Parallel()
	c := program(t, "/bin/sh", "-c", "while :; do :; done")
	c.Limits.CPU = time.Second
	r := run(t, c)
	assert.Equal(t, "SIGXCPU", r.Signal)
	assert.Contains(t, r.Killed, "processor time")

	c = program(t, "/bin/dd", "if=/dev/zero", "of=big", "bs=65536", "count=100")
	c.Limits.FileSize = 1 << 20
	r = run(t, c)
	assert.Equal(t, "SIGXFSZ", r.Signal)
	assert.Contains(t, r.Killed, "too large")

	c = script(t, "i=0; while head -c 500000 /dev/zero >f$i; do i=$((i+1)); [ $i -lt 20 ] || exit 9; done; exit 4")
	c.Env, c.Limits.FileSize = []string{"PATH=/bin"}, 1<<20
	r = run(t, c)
	if strings.Contains(r.Held, "own temporary file system") {
		assert.Equal(t, 4, r.Exit, "the working folder took 10 MB: %s", r.Output)
	} else {
		assert.Contains(t, r.Held, "not held")
	}

	c = script(t, "ulimit -v; ulimit -n; ulimit -c; ulimit -t; umask")
	c.Limits.Memory, c.Limits.CPU = 64<<20, 1500*time.Millisecond
	assert.Equal(t, "65536\n1024\n0\n2\n0022\n", string(run(t, c).Output))
}

// TestRunDiesWithTocsin: kill -9 of the process that runs the command ends the
// command too.
func TestRunDiesWithTocsin(t *testing.T) {
	t.Parallel()
	c := script(t, "setsid sleep 1000 & echo on; sleep 1000")
	sign := mark(t, &c)
	self, err := os.Executable()
	require.NoError(t, err)
	tocsin := exec.Command(self, "payload", "tocsin", c.Path, sign)
	tocsin.Env = []string{"TMPDIR=" + t.TempDir()} // which it leaves a folder in
	out, err := tocsin.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, tocsin.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "on\n", line)
	assert.Positive(t, marked(sign))
	require.NoError(t, tocsin.Process.Kill())
	require.Error(t, tocsin.Wait())
	nothingLeft(t, sign)
}
