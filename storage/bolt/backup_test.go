package bolt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// backedUp returns a backup file with the incidents 0 to 29, of which every
// third is archived.
func backedUp(t *testing.T) string {
	t.Helper()
	s := open(t, t.TempDir(), bolt.Options{})
	for n := range 30 {
		require.NoError(t, s.Update(t.Context(), stormy(n)))
	}
	var b bytes.Buffer
	n, err := s.Backup(&b)
	require.NoError(t, err)
	assert.EqualValues(t, b.Len(), n)
	path := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	backup, dir := backedUp(t), filepath.Join(t.TempDir(), "new")
	require.NoError(t, bolt.Restore(backup, dir, false))
	s := open(t, dir, bolt.Options{})
	require.NoError(t, s.Check(t.Context()))
	assert.Len(t, titles(t, s), 30)
	require.NoError(t, put(t.Context(), s, "later"))

	err := bolt.Restore(backup, dir, true)
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorContains(t, err, "in use by a running tocsin")
	require.NoError(t, s.Close())
	require.ErrorContains(t, bolt.Restore(backup, dir, false), "exists")
	require.NoError(t, bolt.Restore(backup, dir, true))
	s = open(t, dir, bolt.Options{})
	_, err = s.Get(t.Context(), "later")
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing is left lying about: %v", left)
}

func TestBackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := w; ; n += 4 {
				select {
				case <-stop:
					return
				default:
					assert.NoError(t, s.Update(t.Context(), stormy(n)))
				}
			}
		})
	}
	for range 3 {
		path := filepath.Join(t.TempDir(), "backup")
		f, err := os.Create(path)
		require.NoError(t, err)
		_, err = s.Backup(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		dir := t.TempDir()
		require.NoError(t, bolt.Restore(path, dir, false))
		require.NoError(t, open(t, dir, bolt.Options{}).Check(t.Context()))
	}
	close(stop)
	writers.Wait()
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	backup := backedUp(t)
	whole, err := os.ReadFile(backup)
	require.NoError(t, err)
	newer := filepath.Join(t.TempDir(), "newer")
	require.NoError(t, os.WriteFile(newer, whole, 0o600))
	db, err := bbolt.Open(newer, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("4"))
	}))
	require.NoError(t, db.Close())
	ofNewer, err := os.ReadFile(newer)
	require.NoError(t, err)

	overwritten := bytes.Clone(whole)
	for n := 3 * 4096; n < len(overwritten); n += 1000 {
		overwritten[n] ^= 0xff
	}
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte("not a store"), "cut off": whole[:len(whole)/2], "cut to the metas": whole[:3*4096],
		"newer": ofNewer, "overwritten": overwritten, "zeros": make([]byte, 1<<16),
	} {
		if checked && name == "overwritten" {
			continue
		}
		path, dir := filepath.Join(t.TempDir(), "bad"), t.TempDir()
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.Error(t, bolt.Restore(path, dir, false), name)
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
	require.ErrorContains(t, bolt.Restore(newer, t.TempDir(), false), "schema 4, this one knows 3")
	require.ErrorIs(t, bolt.Restore(filepath.Join(t.TempDir(), "none"), t.TempDir(), false), os.ErrNotExist)
}

// TestRestoreOverDamage replaces a file that does not open any more.
func TestRestoreOverDamage(t *testing.T) {
	t.Parallel()
	backup, dir := backedUp(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, bolt.FileName), bytes.Repeat([]byte("damaged "), 4096), 0o600))
	_, err := bolt.Open(dir, bolt.Options{})
	require.ErrorContains(t, err, "restore a backup")
	require.NoError(t, bolt.Restore(backup, dir, true))
	assert.Len(t, titles(t, open(t, dir, bolt.Options{})), 30)
}

// TestOpenAfterReplacement replaces the file while Open waits for its lock: the
// lock of a file that has no name any more guards nothing.
func TestOpenAfterReplacement(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, bolt.FileName)
	require.NoError(t, bolt.Restore(backedUp(t), dir, false))
	old, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(old.Fd()), syscall.LOCK_EX))
	opened := make(chan *bolt.Store, 1)
	go func() {
		s, err := bolt.Open(dir, bolt.Options{Ballast: -1, Timeout: 20 * time.Second})
		assert.NoError(t, err)
		opened <- s
	}()
	// Open holds a second descriptor of the file once it waits for the lock.
	require.Eventually(t, func() bool { return descriptors(t, path) >= 2 }, 10*time.Second, time.Millisecond)
	fresh := t.TempDir()
	s := open(t, fresh, bolt.Options{})
	require.NoError(t, put(t.Context(), s, "of the new file"))
	require.NoError(t, s.Close())
	require.NoError(t, os.Rename(filepath.Join(fresh, bolt.FileName), path))
	require.NoError(t, old.Close())

	s = <-opened
	_, err = s.Get(t.Context(), "of the new file")
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// descriptors counts those that this process has of a file.
func descriptors(t *testing.T, path string) int {
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	if len(links) == 0 {
		t.Skip("/proc/self/fd is needed to see that Open waits")
	}
	n := 0
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && target == path {
			n++
		}
	}
	return n
}
