//go:build linux

package sandbox_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"golang.org/x/sys/unix"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// TestCleanUp removes what was left when Tocsin was killed, and nothing else.
func TestCleanUp(t *testing.T) {
	temp := ownTemp(t)
	old := time.Now().Add(-time.Hour)
	make := func(name string) string {
		dir := filepath.Join(temp, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "locked", "deep"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "locked", "deep", "file"), nil, 0o400))
		require.NoError(t, os.Chmod(filepath.Join(dir, "locked"), 0))
		require.NoError(t, os.Chtimes(dir, old, old))
		return dir
	}
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.Mkdir(outside, 0o700))
	left, others, fresh := make("tocsin-remedy-1"), make("another-program-1"), make("tocsin-remedy-2")
	require.NoError(t, os.Chtimes(fresh, time.Now(), time.Now()))
	link := filepath.Join(temp, "tocsin-remedy-3")
	require.NoError(t, os.Symlink(outside, link))

	c := script(t, "pwd; read line < \"$1\"; echo \"$line\"; ls", filepath.Join(temp, "pipe"))
	c.Read = []string{temp}
	require.NoError(t, makePipe(c.Args[0]))
	c.Output = func(line []byte) {
		if dir := string(bytes.TrimSpace(line)); filepath.Dir(dir) == temp { // it is at work
			assert.NoError(t, os.Chtimes(dir, old, old))
			assert.NoError(t, sandbox.CleanUp())
			assert.DirExists(t, dir, "one at work is left alone")
			assert.NoError(t, os.WriteFile(c.Args[0], []byte("go on\n"), 0))
		}
	}
	assert.Contains(t, string(run(t, c).Output), "go on")
	assert.NoDirExists(t, left)
	assert.DirExists(t, others)
	assert.DirExists(t, fresh)
	assert.DirExists(t, outside)
	_, err := os.Lstat(link)
	require.NoError(t, err)
	for _, dir := range []string{others, fresh} {
		require.NoError(t, os.Chmod(filepath.Join(dir, "locked"), 0o700))
	}
}

// TestRunGoesBehind: the kernel's groups by session put the command behind others.
func TestRunGoesBehind(t *testing.T) {
	t.Parallel()
	needRoot(t) // others may set it ten times a second, all of them together
	if on, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled"); err != nil || string(on) != "1\n" {
		t.Skip("this kernel does not group by session")
	}
	if !sandbox.Probe().OwnMounts {
		t.Skip("a command has no /proc here")
	}
	assert.Contains(t, string(run(t, script(t, "cat /proc/self/autogroup")).Output), " nice 5\n")
}

func makePipe(path string) error { return unix.Mkfifo(path, 0o600) }
