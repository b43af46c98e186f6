package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// child starts this binary again as one of children.
func child(t *testing.T, name, dir string, wrap ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	args := append(wrap, self, dir)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// storm opens incidents from 16 goroutines for ever, and archives some. It
// prints the number of each that was acknowledged.
func storm(dir string) {
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	if err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
	var n atomic.Int64
	n.Store(int64(s.LastSeq()) * 1000)
	for range 16 {
		go func() {
			for {
				k := int(n.Add(1))
				if err := s.Update(context.Background(), stormy(k)); err != nil {
					fmt.Fprintln(os.Stderr, "storm:", err)
					os.Exit(1)
				}
				fmt.Println(k) // one write, so lines do not mix
			}
		}()
	}
	select {}
}

// stormy opens an incident with two alerts; every third is archived at once.
func stormy(k int) func(tocsin.Tx) error {
	return func(tx tocsin.Tx) error {
		if err := opening(k, []string{"platform"})(tx); err != nil {
			return err
		}
		if k%3 != 0 {
			return nil
		}
		a := node(k)
		st, _ := tx.Alert(a.ID())
		i := tx.Incident(st.Incident)
		e, _ := i.Resolve("ana", "resolved", time.Now())
		tx.PutIncident(i)
		tx.Append(e)
		tx.Archive(i.ID)
		return nil
	}
}

// TestKilled kills a process that writes, again and again, and looks for
// everything that it acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for range 5 {
		killStorm(t, dir, acknowledged)
		s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
		require.NoError(t, err)
		require.NoError(t, s.Check(t.Context()))
		found := titles(t, s)
		for title := range acknowledged {
			if !found[title] {
				t.Fatalf("%q was acknowledged and is lost", title)
			}
		}
		require.NoError(t, s.Close())
	}
	t.Logf("%d acknowledged updates survived", len(acknowledged))
	assert.NotEmpty(t, acknowledged)
}

// killStorm runs a storm for a moment and adds what it acknowledged.
func killStorm(t *testing.T, dir string, acknowledged map[string]bool) {
	cmd := child(t, "storm", dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the storm begins")
	kill := time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for more := true; more; more = lines.Scan() {
		var k int
		if _, err := fmt.Sscan(lines.Text(), &k); err == nil {
			acknowledged[fmt.Sprintf("node-%06d is down", k)] = true
		}
	}
	_ = cmd.Wait() // killed
}

// titles returns the titles of the incidents that are whole.
func titles(t *testing.T, s *bolt.Store) map[string]bool {
	found := map[string]bool{}
	all, err := s.List(t.Context(), tocsin.Filter{Archived: true, Limit: 1 << 30})
	require.NoError(t, err)
	for _, i := range all {
		alerts, err := s.AlertsOf(t.Context(), i.ID, 10)
		require.NoError(t, err)
		require.Len(t, alerts, 1)
		require.Equal(t, i.Title, alerts[0].Summary())
		events, err := s.Timeline(t.Context(), i.ID, 0, 10)
		require.NoError(t, err)
		require.NotEmpty(t, events)
		found[i.Title] = true
	}
	return found
}

// fsyncFails is a process whose every fdatasync fails. It prints what its
// updates return.
func fsyncFails(dir string) {
	ctx := context.Background()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	ran := 0
	for range 3 {
		err := s.Update(ctx, func(tx tocsin.Tx) error {
			ran++
			tx.PutIncident(&tocsin.Incident{ID: "lost", State: tocsin.Triggered})
			return nil
		})
		fmt.Println("update:", errors.Is(err, tocsin.ErrUnavailable), err)
	}
	_, lost := s.Get(ctx, "lost")
	_, kept := s.Get(ctx, "kept")
	fmt.Println("ran:", ran, "lost:", errors.Is(lost, tocsin.ErrNotFound), "kept:", kept, "stats:", s.Stats().Err)
	fmt.Println("close:", s.Close())
}

// TestFsyncFails lets the disk fail under a process: it must say so, and be
// fenced.
func TestFsyncFails(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	inject := []string{strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"}
	if err := exec.Command(inject[0], append(inject[1:], "true")...).Run(); err != nil {
		t.Skip("strace may not trace here: ", err)
	}
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	require.NoError(t, put(t.Context(), s, "kept"))
	require.NoError(t, s.Close())

	out, err := child(t, "fsync", dir, inject...).Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 5, string(out))
	assert.Contains(t, lines[0], "update: true unavailable: input/output error")
	for _, l := range lines[1:3] {
		assert.Contains(t, l, "update: true unavailable: the store is fenced")
	}
	assert.Contains(t, lines[3], "ran: 1 lost: true kept: <nil> stats: the store is fenced")
	assert.Equal(t, "close: <nil>", lines[4])

	s = open(t, dir, bolt.Options{})
	require.NoError(t, s.Check(t.Context()))
	_, err = s.Get(t.Context(), "kept")
	require.NoError(t, err)
	require.NoError(t, put(t.Context(), s, "after"))
}

// TestDiskFull fills a small file system under a store.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("mounting a tmpfs is not allowed here: %v %s", err, out)
	}
	t.Cleanup(func() { assert.NoError(t, exec.Command("umount", dir).Run()) })
	filler := filepath.Join(dir, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 10<<20), 0o600))
	s := open(t, filepath.Join(dir, "store"), bolt.Options{MinFree: -1})

	kept := fillUp(t, s)
	for range 20 {
		require.ErrorIs(t, s.Update(t.Context(), stuff(0)), tocsin.ErrUnavailable, "as long as it is full")
	}
	require.ErrorContains(t, s.Stats().Err, "no space left")
	require.NoError(t, s.Update(t.Context(), nothing), "an update that writes nothing needs no room")
	_, err := s.Get(t.Context(), "first")
	require.NoError(t, err, "reads go on")

	require.NoError(t, os.Remove(filler))
	require.Eventually(t, func() bool { return s.Stats().Err == nil }, 10*time.Second, 10*time.Millisecond, "readiness recovers by itself")
	require.NoError(t, put(t.Context(), s, "after"))
	require.NoError(t, s.Check(t.Context()))
	assert.Equal(t, kept+1, s.Stats().Live)
}

// fillUp writes until the store refuses, and returns how many incidents it has.
func fillUp(t *testing.T, s *bolt.Store) int {
	require.NoError(t, put(t.Context(), s, "first"))
	for n := 1; ; n++ {
		err := s.Update(t.Context(), stuff(n))
		if err != nil {
			require.ErrorIs(t, err, tocsin.ErrUnavailable)
			require.NotContains(t, err.Error(), "fenced")
			require.Equal(t, n, s.Stats().Live)
			return n
		}
		require.Less(t, n, 1000, "it should be full by now")
	}
}

// stuff opens an incident with a long title.
func stuff(n int) func(tocsin.Tx) error {
	return func(tx tocsin.Tx) error {
		tx.PutIncident(&tocsin.Incident{ID: fmt.Sprint("stuff-", n), State: tocsin.Triggered, OpenedAt: time.Now(), Title: strings.Repeat("x", 100_000)})
		return nil
	}
}

func TestMaxSize(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{MaxSize: 4 << 20, Retention: time.Hour})
	kept := fillUp(t, s)
	assert.Greater(t, kept, 15, "most of the room is used")
	assert.LessOrEqual(t, s.Stats().Size, int64(4<<20))
	require.ErrorContains(t, s.Stats().Err, "maximum size")
	require.ErrorIs(t, s.Update(t.Context(), stuff(0)), tocsin.ErrUnavailable)
	require.NoError(t, s.Check(t.Context()))
}

// TestFileCutOff cuts the file off under an open store: reading what is gone is
// an error, not a crash.
func TestFileCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	for n := range 50 {
		require.NoError(t, s.Update(t.Context(), stormy(n)))
	}
	require.NoError(t, os.Truncate(filepath.Join(dir, bolt.FileName), 3*4096))
	_, err = s.Log(t.Context(), 0, 1000)
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	err = put(t.Context(), s, "x")
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorIs(t, s.Update(t.Context(), nothing), tocsin.ErrUnavailable, "fenced")
	_ = s.Close()

	_, err = bolt.Open(dir, bolt.Options{})
	require.Error(t, err)
	require.ErrorContains(t, err, "restore a backup")
}
