//go:build linux

package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

func TestRunGivesExactlyWhatItWasGiven(t *testing.T) {
	t.Setenv("LD_PRELOAD", "/nonexistent/evil.so")
	t.Setenv("SECRET_OF_TOCSIN", "hunter2")
	env := []string{"A=1", "EMPTY=", "BYTES=\xff\xfe 'x' \n$(id)", "LD_PRELOAD_=no"}
	c := program(t, "/usr/bin/env", "-0")
	c.Env = env
	r := run(t, c)
	assert.Equal(t, strings.Join(env, "\x00")+"\x00", string(r.Output))
	assert.Zero(t, r.Exit)

	c.Env = nil
	assert.Empty(t, run(t, c).Output, "the environment is not empty")

	input := []byte("{\"a\":\"\xff\"}\x00\r\n" + strings.Repeat("long ", 100_000))
	sum := sha256.Sum256(input)
	c = program(t, "/usr/bin/sha256sum")
	c.Stdin = input
	assert.Equal(t, hex.EncodeToString(sum[:])+"  -\n", string(run(t, c).Output))
	c.Stdin = nil
	sum = sha256.Sum256(nil)
	assert.Equal(t, hex.EncodeToString(sum[:])+"  -\n", string(run(t, c).Output), "stdin is not empty")
}

func TestRunShowsTheOutputAsItComes(t *testing.T) {
	t.Parallel()
	c := script(t, "echo one; read wait; echo two >&2; exit 3")
	var live bytes.Buffer
	c.Output = func(p []byte) { live.Write(p) }
	r := run(t, c)
	assert.Equal(t, "one\ntwo\n", string(r.Output))
	assert.Equal(t, "one\ntwo\n", live.String())
	assert.Equal(t, int64(8), r.OutputBytes)
	assert.Equal(t, 3, r.Exit)
	assert.Empty(t, r.Signal)
	assert.Empty(t, r.Killed)
	assert.Positive(t, r.Took)

	r = run(t, script(t, "kill -SEGV $$"))
	assert.Equal(t, -1, r.Exit)
	assert.Equal(t, "SIGSEGV", r.Signal)
}

// FuzzRunArguments: every argument and the input arrive byte for byte, or the
// command is not run.
func FuzzRunArguments(f *testing.F) {
	f.Add("'; rm -rf / #", "$(id)", []byte("`id`"))
	f.Add("", "-n", []byte{})
	f.Add("\xff\xfe\xc3\x28", "a\nb\r\t\x01\x7f", []byte("\x00\xff"))
	f.Add("%s%n{{node}}", "LD_PRELOAD=x", []byte("{}"))
	f.Add("nul\x00byte", "", []byte(nil))
	f.Fuzz(func(t *testing.T, a, b string, stdin []byte) {
		c := script(t, `printf '%s\000' "$@"; cat`, a, b)
		c.Stdin, c.Env = stdin, []string{"PATH=/bin", "V=" + a}
		r, err := sandbox.Run(context.Background(), c)
		if strings.ContainsRune(a+b, 0) {
			require.ErrorIs(t, err, sandbox.ErrNotRun)
			return
		}
		require.NoError(t, err)
		want := a + "\x00" + b + "\x00" + string(stdin)
		if int64(len(want)) == r.OutputBytes && len(want) <= sandbox.DefaultKeep {
			require.Equal(t, want, string(r.Output))
		}
		require.Equal(t, int64(len(want)), r.OutputBytes)
	})
}

func TestRunRefuses(t *testing.T) {
	good := script(t, "echo run")
	notRun := func(change func(*sandbox.Command), because string) {
		t.Helper()
		c := good
		change(&c)
		r, err := sandbox.Run(context.Background(), c)
		require.ErrorIs(t, err, sandbox.ErrNotRun)
		assert.ErrorContains(t, err, because)
		assert.Equal(t, -1, r.Exit)
		assert.Empty(t, r.Output)
	}
	folder := ownTemp(t)
	notRun(func(c *sandbox.Command) { c.SHA256 = strings.Repeat("0", 64) }, "has changed")
	notRun(func(c *sandbox.Command) { c.SHA256 = "" }, "has changed")
	notRun(func(c *sandbox.Command) { c.Path = "remedy" }, "absolute")
	notRun(func(c *sandbox.Command) { c.Path = "/nonexistent" }, "no such file")
	notRun(func(c *sandbox.Command) { c.Path = "/dev/zero" }, "not a regular file")
	notRun(func(c *sandbox.Command) { c.Env = []string{"=x"} }, "NAME=value")
	notRun(func(c *sandbox.Command) { c.Env = []string{"PATH"} }, "NAME=value")
	notRun(func(c *sandbox.Command) { c.Env = []string{"A=1", "A=2"} }, "twice")
	notRun(func(c *sandbox.Command) { c.Args = []string{"a\x00b"} }, "NUL")
	notRun(func(c *sandbox.Command) { c.Args = []string{strings.Repeat("x", 1<<20)} }, "too long")
	notRun(func(c *sandbox.Command) { c.Connect = []int{70000} }, "port")
	notRun(func(c *sandbox.Command) { c.Require = "gvisor" }, "gvisor")
	notRun(func(c *sandbox.Command) { c.User = "nobody-of-that-name" }, "nobody-of-that-name")
	notRun(func(c *sandbox.Command) { c.Timeout = -1 }, "negative")
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	notRun(func(c *sandbox.Command) { c.Path = fifo }, "not a regular file")
	noInterpreter := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(noInterpreter, []byte("#!/nonexistent/sh\n"), 0o600))
	notRun(func(c *sandbox.Command) { *c = program(t, noInterpreter) }, "interpreter")
	require.NoError(t, os.WriteFile(noInterpreter, []byte("echo no first line\n"), 0o600))
	notRun(func(c *sandbox.Command) { *c = program(t, noInterpreter) }, "neither a program")
	if sandbox.Probe().Landlock > 0 {
		notRun(func(c *sandbox.Command) { c.Read = []string{"/nonexistent/folder"} }, "/nonexistent/folder")
	}
	empty(t, folder)
}

// TestRunRefusesInAHelper: a program that starts itself, and does not know that
// it is the helper, stops here.
func TestRunRefusesInAHelper(t *testing.T) {
	t.Setenv("TOCSIN_SANDBOX_HELPER", "1")
	_, err := sandbox.Run(context.Background(), script(t, "echo run"))
	require.ErrorIs(t, err, sandbox.ErrNotRun)
	assert.ErrorContains(t, err, "sandbox.Main")
}

// TestRunExecutesWhatWasHashed swaps the file, and writes into it, all the time:
// what runs is always the declared one.
func TestRunExecutesWhatWasHashed(t *testing.T) {
	t.Parallel()
	c := script(t, "echo good")
	good, err := os.ReadFile(c.Path)
	require.NoError(t, err)
	evil := bytes.Replace(good, []byte("good"), []byte("evil"), 1)
	done := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			text := [][]byte{good, good, good, evil}[i%4]
			if i%5 == 0 { // into the same file
				_ = os.WriteFile(c.Path, text, 0o600)
				continue
			}
			_ = os.WriteFile(c.Path+".new", text, 0o600)
			_ = os.Rename(c.Path+".new", c.Path)
		}
	})
	ran, refused := 0, 0
	for ; ran < 20 && refused < 5000; refused++ {
		r, err := sandbox.Run(context.Background(), c)
		if err != nil {
			require.ErrorIs(t, err, sandbox.ErrNotRun)
			continue
		}
		ran++
		refused--
		require.Equal(t, "good\n", string(r.Output))
	}
	close(done)
	swapping.Wait()
	assert.Positive(t, ran)
	t.Logf("%d ran, %d were refused", ran, refused)
}

func TestRunKeepsTheFirstAndTheLastOfTheOutput(t *testing.T) {
	t.Parallel()
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	c := script(t, `echo first; head -c "$1" /dev/zero; echo; echo last`, itoa(size))
	c.Limits.CPU = time.Minute
	c.Timeout = 5 * time.Minute
	r := run(t, c)
	assert.Equal(t, size+int64(len("first\n\nlast\n")), r.OutputBytes)
	assert.True(t, bytes.HasPrefix(r.Output, []byte("first\n")))
	assert.True(t, bytes.HasSuffix(r.Output, []byte("\nlast\n")))
	assert.Contains(t, string(r.Output), "bytes left out")
	assert.Less(t, len(r.Output), sandbox.DefaultKeep+100)
	assert.Zero(t, r.Exit)
}

// TestRunLeavesNothing: no process, no descriptor, no folder, however often.
func TestRunLeavesNothing(t *testing.T) {
	folder := ownTemp(t)
	runs := 1000
	switch {
	case os.Getenv(variant) != "":
		runs = 20
	case raceEnabled || testing.Short():
		runs = 100
	}
	c := program(t, "/bin/true")
	sign := mark(t, &c)
	run(t, c) // the runtime opens what it keeps
	before := descriptors(t)
	for range runs {
		require.Zero(t, run(t, c).Exit)
	}
	assert.Equal(t, before, descriptors(t))
	assert.Zero(t, marked(sign))
	empty(t, folder)

	c = script(t, "mkdir -p a/b; echo x >a/b/c; chmod 0 a/b a; pwd")
	c.Env = []string{"PATH=/bin"}
	r := run(t, c)
	assert.True(t, strings.HasPrefix(string(r.Output), folder), "the working folder is %s", r.Output)
	empty(t, folder)
}

func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// TestRunHandsOverNoDescriptor: also not one that Tocsin has inherited itself,
// without the mark to close it.
func TestRunHandsOverNoDescriptor(t *testing.T) {
	secret, err := os.Open("/etc/hostname")
	require.NoError(t, err)
	defer secret.Close()
	fd, err := unix.FcntlInt(secret.Fd(), unix.F_DUPFD, 60) // without FD_CLOEXEC
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Close(fd)) }()
	for _, n := range []int{fd, 3, 4, 5, 6, 7} {
		r := run(t, script(t, `if [ -e /dev/stdin ]; then :; fi; ( eval "exec 9<&$1" ) 2>/dev/null && echo open; exit 0`, itoa(int64(n))))
		if n == 3 { // the script itself
			continue
		}
		assert.Empty(t, r.Output, "descriptor %d is open", n)
	}
}
