package bolt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

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
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("3"))
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
		path, dir := filepath.Join(t.TempDir(), "bad"), t.TempDir()
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.Error(t, bolt.Restore(path, dir, false), name)
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
	require.ErrorContains(t, bolt.Restore(newer, t.TempDir(), false), "schema 3, this one knows 1")
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
