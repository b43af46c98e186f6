//go:build linux

package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// TestLoadedIsSealed: after the hash neither the file nor what was copied of it
// can change what will run.
func TestLoadedIsSealed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "remedy")
	text := []byte("#!/bin/sh\necho good\n")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	sum := sha256.Sum256(text)
	p, err := load(path, hex.EncodeToString(sum[:]))
	require.NoError(t, err)
	defer p.file.Close()
	assert.True(t, p.script)

	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho evil\n"), 0o600))
	got := make([]byte, 100)
	n, _ := p.file.ReadAt(got, 0)
	assert.Equal(t, text, got[:n])

	_, err = p.file.WriteAt([]byte("x"), 0)
	assert.ErrorIs(t, err, unix.EBADF)
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", p.file.Fd()), os.O_RDWR, 0)
	require.NoError(t, err)
	defer w.Close()
	_, err = w.WriteAt([]byte("x"), 0)
	assert.ErrorIs(t, err, unix.EPERM)
	assert.ErrorIs(t, w.Truncate(1), unix.EPERM)
	seals, err := unix.FcntlInt(p.file.Fd(), unix.F_GET_SEALS, 0)
	require.NoError(t, err)
	const all = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	assert.Equal(t, all, seals&all)
}

func TestKeptIsTheFirstAndTheLastHalf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := &kept{max: rapid.IntRange(1, 20).Draw(t, "max")}
		var all []byte
		for _, p := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 30)).Draw(t, "writes") {
			k.write(p)
			all = append(all, p...)
		}
		if int64(len(all)) != k.total {
			t.Fatalf("%d bytes counted of %d", k.total, len(all))
		}
		want := all
		if left := len(all) - k.max; left > 0 {
			head, tail := k.max/2, k.max-k.max/2
			want = bytes.Join([][]byte{all[:head], all[len(all)-tail:]}, fmt.Appendf(nil, "\n[… %d bytes left out …]\n", left))
		}
		if !bytes.Equal(want, k.bytes()) {
			t.Fatalf("kept %q, want %q", k.bytes(), want)
		}
	})
}

func TestInstructionsAreBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := instructions{Argv: rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "argv")}
		text, err := json.Marshal(in)
		require.NoError(t, err)
		var out instructions
		require.NoError(t, json.Unmarshal(text, &out))
		require.Len(t, out.Argv, len(in.Argv))
		for i := range in.Argv {
			require.True(t, bytes.Equal(in.Argv[i], out.Argv[i]))
		}
	})
}

func TestLandlockIsRequiredOrNot(t *testing.T) {
	t.Parallel()
	require.Error(t, holding{pid: true, sockets: true}.require(RequireLandlock))
	require.NoError(t, holding{}.require(RequireNone))
	for abi := 1; abi < 20; abi++ {
		require.NoError(t, holding{landlock: abi}.require(RequireLandlock))
	}
	require.ErrorContains(t, Report{PIDNamespace: true}.Refuses(Command{}), "require: none")
	require.NoError(t, Report{PIDNamespace: true}.Refuses(Command{Require: RequireNone}))
	c, err := Command{Path: "/x"}.checked()
	require.NoError(t, err)
	assert.Equal(t, RequireLandlock, c.Require, "what is not said is safe")
}

func TestWhatHoldsIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		h    holding
		want string
	}{
		{
			holding{landlock: 7, pid: true, ownProc: true, ownTemp: true, noNet: true, sockets: true, user: "nobody"},
			"landlock 7, pid namespace, no network, own /proc, own temporary file system, no_new_privs, no capabilities, rlimits, seccomp, user nobody",
		},
		{
			holding{landlock: 2, ownProc: true, ownTemp: true, pid: true, connect: []int{443, 22}, sockets: true},
			"landlock 2, pid namespace, own /proc, own temporary file system, no_new_privs, no capabilities, rlimits, seccomp; " +
				"not held: the network, truncating files (Landlock 3)",
		},
		{
			holding{landlock: 4, root: true, connect: []int{443, 22}},
			"landlock 4, tcp ports: 443 22, no_new_privs, no capabilities, rlimits; not held: what it starts, if its keeper is killed (no PID namespace), " +
				"udp, multipath tcp (no seccomp), the size of its folder, the number of processes (root's are not counted), signals (Landlock 6)",
		},
	} {
		assert.Equal(t, c.want, c.h.String())
	}
	assert.Contains(t, holding{}.String(), "not held: files (no Landlock)")
}

func TestTheLadderEndsWithoutNamespaces(t *testing.T) {
	t.Parallel()
	for _, root := range []bool{false, true} {
		for _, network := range []bool{false, true} {
			steps := ladder(root, network)
			assert.Equal(t, spaces{PID: true, Net: !network, User: !root}, steps[0])
			assert.Equal(t, spaces{}, steps[len(steps)-1])
			for _, s := range steps {
				assert.False(t, s.Net && network, "it declares ports")
			}
		}
	}
}

// TestEveryVersionOfLandlockHasItsRights: asking for rights that a version does
// not know fails, and leaving one out would leave it open.
func TestEveryVersionOfLandlockHasItsRights(t *testing.T) {
	t.Parallel()
	last := 0
	for abi := 1; abi <= newestABI+3; abi++ {
		c, err := handled(abi)
		require.NoError(t, err)
		rights := strings.Count(c.String(), ",")
		assert.GreaterOrEqual(t, rights, last)
		last = rights
	}
}

func TestReportsOfTheEnd(t *testing.T) {
	t.Parallel()
	_, err := report{}.into(Result{Output: []byte("panic")})
	require.ErrorIs(t, err, ErrNotRun)
	_, err = report{Held: "x", Error: "exec"}.into(Result{})
	require.ErrorIs(t, err, ErrNotRun)
	_, err = report{}.into(Result{Killed: "its time was over"})
	require.ErrorIs(t, err, ErrNotRun)
	r, err := report{Held: "x"}.into(Result{})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNotRun, "it may have run")
	assert.Equal(t, -1, r.Exit)
	r, err = report{Held: "x"}.into(Result{Killed: "its time was over"})
	require.NoError(t, err)
	assert.Equal(t, "SIGKILL", r.Signal)
}
