//go:build linux

package sandbox_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// TestRunReachesDeclaredFilesOnly: everything is tried by cat and sh, and what
// is not declared is refused.
func TestRunReachesDeclaredFilesOnly(t *testing.T) {
	needLandlock(t, 3)
	outside := t.TempDir()
	store, readable, writable := filepath.Join(outside, "store"), filepath.Join(outside, "readable"), filepath.Join(outside, "writable")
	for _, dir := range []string{store, readable, writable} {
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content\n"), 0o600))
	}
	try := func(text string, args ...string) sandbox.Result {
		c := script(t, text, args...)
		c.Require, c.Read, c.Write, c.Env = sandbox.RequireLandlock, []string{readable}, []string{writable}, []string{"PATH=/usr/bin:/bin"}
		return run(t, c)
	}
	for _, text := range []string{
		`cat "$1/store/file"`, `ls "$1"`, `ls "$1/store"`, `echo x >"$1/store/file"`, `echo x >>"$1/store/new"`, `: >"$1/store/file"`,
		`truncate -s 0 "$1/store/file"`, `rm -f "$1/store/file"`, `mv "$1/store/file" moved`, `ln "$1/store/file" linked`, `mkdir "$1/store/d"`,
		`echo x >"$1/readable/file"`, `rm "$1/readable/file"`, `ln -s "$1/store/file" s && cat s`, `cat "$1/readable/../store/file"`,
		`cat /root/.profile /etc/shadow`, `echo x >/etc/tocsin-was-here`, `echo x >/tmp/tocsin-was-here`, `echo x >/dev/shm/tocsin-was-here`,
	} {
		r := try(text, outside)
		assert.NotZero(t, r.Exit, "%s: %s", text, r.Output)
		assert.NotContains(t, string(r.Output), "content")
	}
	for _, dir := range []string{store, readable} {
		left, err := os.ReadFile(filepath.Join(dir, "file"))
		require.NoError(t, err)
		assert.Equal(t, "content\n", string(left))
	}
	for _, text := range []string{
		`cat "$1/readable/file"`, `echo new >"$1/writable/new" && mv "$1/writable/new" "$1/writable/file"`,
		`mkdir a b && echo x >a/f && mv a/f b/f && cat b/f 2>/dev/null`, `getent passwd root || [ ! -e /usr/bin/getent ]`,
	} {
		r := try(text, outside)
		assert.Zero(t, r.Exit, "%s: %s", text, r.Output)
	}
	left, err := os.ReadFile(filepath.Join(writable, "file"))
	require.NoError(t, err)
	assert.Equal(t, "new\n", string(left))
}

// TestRunSeesNoOtherProcess: not their environments, where the secrets are.
func TestRunSeesNoOtherProcess(t *testing.T) {
	needLandlock(t, 1)
	t.Setenv("SECRET_OF_TOCSIN", "hunter2")
	c := script(t, `cat /proc/1/environ; cat "/proc/$1/environ" "/proc/$PPID/environ"; cat /proc/*/environ; kill -0 "$1" && echo "a signal"; exit 0`,
		strconv.Itoa(os.Getpid()))
	c.Env = []string{"PATH=/usr/bin:/bin"}
	r := run(t, c)
	assert.NotContains(t, string(r.Output), "hunter2")
	assert.NotContains(t, string(r.Output), "GOMAXPROCS")
	assert.NotContains(t, string(r.Output), "TOCSIN_SANDBOX_HELPER")
	if strings.Contains(r.Held, "pid namespace") {
		assert.NotContains(t, string(r.Output), "a signal")
	}
}

func TestRunConnectsToDeclaredPortsOnly(t *testing.T) {
	needLandlock(t, 4)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port

	c := ourselves(t, "connect", l.Addr().String())
	c.Connect = []int{port}
	r := run(t, c)
	assert.Zero(t, r.Exit, string(r.Output))
	assert.Contains(t, r.Held, "tcp ports: "+strconv.Itoa(port))

	other := port%65535 + 1
	c.Connect = []int{other}
	r = run(t, c)
	assert.Equal(t, 1, r.Exit)
	assert.Contains(t, string(r.Output), "permission denied")

	c.Connect = nil
	r = run(t, c)
	assert.Equal(t, 1, r.Exit, string(r.Output))

	c = ourselves(t, "listen")
	c.Connect = []int{port}
	r = run(t, c)
	assert.Equal(t, 1, r.Exit)
	assert.Contains(t, string(r.Output), "permission denied")
}

func TestRunHoldsSocketsToKnownKinds(t *testing.T) {
	t.Parallel()
	if !sandbox.Probe().Seccomp {
		t.Skip("this kernel has no seccomp, or no filter is known for this architecture")
	}
	r := run(t, ourselves(t, "sockets"))
	assert.Zero(t, r.Exit, string(r.Output))
}

func TestRunGainsNothing(t *testing.T) {
	ownTemp(t)
	status := func(user string) string {
		c := program(t, "/bin/grep", "-E", "^(NoNewPrivs|Cap...|Uid|Groups):", "/proc/self/status")
		c.User, c.Read = user, []string{"/proc"}
		return string(run(t, c).Output)
	}
	for line := range strings.Lines(status("")) {
		if strings.HasPrefix(line, "Cap") && (os.Getuid() == 0 || !strings.HasPrefix(line, "CapBnd")) {
			assert.Contains(t, line, "0000000000000000")
		}
	}
	assert.Contains(t, status(""), "NoNewPrivs:\t1\n")

	needRoot(t)
	assert.Contains(t, status("nobody"), "Uid:\t65534\t65534\t65534\t65534\n")
	assert.NotContains(t, status("nobody"), "Groups:\t0")

	// A set-user-ID root program that anybody may execute.
	dir, err := os.MkdirTemp("/var/tmp", "tocsin-test-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	id, err := os.ReadFile("/usr/bin/id")
	require.NoError(t, err)
	path := filepath.Join(dir, "id")
	require.NoError(t, os.WriteFile(path, id, 0o600))
	require.NoError(t, os.Chmod(path, 0o755|os.ModeSetuid))
	c := script(t, path+" -u")
	c.User, c.Read = "nobody", []string{dir}
	r := run(t, c)
	assert.Equal(t, 65534, number(t, r.Output))
	assert.Contains(t, r.Held, "user nobody")
}

func TestRunWorksInAFolderOfItsOwn(t *testing.T) {
	folder := ownTemp(t)
	for _, user := range []string{"", "nobody"} {
		if user != "" {
			needRoot(t)
		}
		c := script(t, "stat -c '%a %u' . && echo x >f && cat f >/dev/stdout && pwd")
		c.User, c.Env = user, []string{"PATH=/usr/bin:/bin"}
		uid := os.Getuid()
		if user != "" {
			uid = 65534
		}
		r := run(t, c)
		assert.True(t, strings.HasPrefix(string(r.Output), "700 "+strconv.Itoa(uid)+"\nx\n"+folder), string(r.Output))
	}
	empty(t, folder)
}

// TestRunSaysWhatHolds: what the probe foresees is what is said afterwards.
func TestRunSaysWhatHolds(t *testing.T) {
	t.Parallel()
	c := script(t, "exit 0")
	p := sandbox.Probe()
	r := run(t, c)
	assert.Equal(t, p.WouldHold(c), r.Held)
	holds, err := sandbox.Holds(c)
	require.NoError(t, err)
	assert.Equal(t, r.Held, holds)
	changed := c
	changed.SHA256 = strings.Repeat("0", 64)
	_, err = sandbox.Holds(changed)
	require.ErrorContains(t, err, "has changed")
	assert.Contains(t, r.Held, "no_new_privs")
	if p.Landlock > 0 {
		assert.Contains(t, r.Held, "landlock "+strconv.Itoa(p.Landlock))
	}
	t.Log(r.Held)
	assert.NotEmpty(t, p.Kernel)
	for _, f := range p.Findings() {
		assert.NotEmpty(t, f.What)
		assert.NotEmpty(t, f.Means)
		t.Log(f.What, f.Offered, f.Means)
	}
}
