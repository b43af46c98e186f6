package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// putDocument returns an update that writes one.
func putDocument(kind, id, value string) func(tocsin.Tx) error {
	return func(tx tocsin.Tx) error { tx.PutDocument(kind, id, []byte(value)); return nil }
}

// documents is what a reader sees of a kind.
func documents(t *testing.T, s *bolt.Store, kind string) (docs map[string]string, version uint64) {
	t.Helper()
	list, version, err := s.Documents(t.Context(), kind)
	require.NoError(t, err)
	docs = map[string]string{}
	for _, d := range list {
		docs[d.ID] = string(d.Value)
	}
	return docs, version
}

// TestDocumentsAreReadWithoutTheCommitter reads while an update runs, which is
// not seen before it is durable.
func TestDocumentsAreReadWithoutTheCommitter(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	require.NoError(t, s.Update(t.Context(), putDocument("kind", "a", `1`)))
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.PutDocument("kind", "a", []byte(`2`))
		docs, _ := documents(t, s, "kind")
		assert.Equal(t, map[string]string{"a": "1"}, docs)
		return nil
	}))
	docs, _ := documents(t, s, "kind")
	assert.Equal(t, map[string]string{"a": "2"}, docs)
}

// TestDocumentsInOneBatch lets updates of one commit see each other's documents,
// and not those of the one that fails.
func TestDocumentsInOneBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bolt.Options{})
	require.NoError(t, s.Update(t.Context(), putDocument("kind", "old", `1`)))
	failed := errors.New("no")
	var seen []string
	see := func(tx tocsin.Tx) error {
		docs, _ := tx.Documents("kind")
		seen = append(seen, fmt.Sprintf("%s", docs))
		return nil
	}
	errs := inOneBatch(t, s, []func(tocsin.Tx) error{
		putDocument("kind", "a", `1`),
		func(tx tocsin.Tx) error {
			tx.DeleteDocument("kind", "a")
			tx.PutDocument("kind", "b", []byte(`2`))
			return failed
		},
		see,
		func(tx tocsin.Tx) error { tx.DeleteDocument("kind", "old"); return nil },
		putDocument("kind", "a", `3`),
		see,
	})
	assert.Equal(t, []error{nil, failed, nil, nil, nil, nil}, errs)
	assert.Equal(t, []string{"[{a 1} {old 1}]", "[{a 3}]"}, seen)
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Close())
	docs, _ := documents(t, open(t, dir, bolt.Options{}), "kind")
	assert.Equal(t, map[string]string{"a": "3"}, docs)
}

// TestDocumentsOfAFailedCommit fails a commit: its documents are not seen, and
// their versions do not come back for others.
func TestDocumentsOfAFailedCommit(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{MaxSize: 4 << 20})
	require.NoError(t, s.Update(t.Context(), putDocument("kind", "a", `1`)))
	_, before := documents(t, s, "kind")
	fillUp(t, s)
	var lost uint64
	errs := inOneBatch(t, s, []func(tocsin.Tx) error{stuff(0), func(tx tocsin.Tx) error {
		tx.PutDocument("kind", "a", []byte(`2`))
		_, lost = tx.Documents("kind")
		return nil
	}})
	require.ErrorIs(t, errs[1], tocsin.ErrUnavailable)
	docs, version := documents(t, s, "kind")
	assert.Equal(t, map[string]string{"a": "1"}, docs)
	assert.Equal(t, before, version)
	require.NoError(t, s.Update(t.Context(), putDocument("kind", "a", `3`)))
	_, version = documents(t, s, "kind")
	assert.NotContains(t, []uint64{before, lost}, version)
	require.NoError(t, s.Check(t.Context()))
}

// TestTheSameDocumentAgain writes what is there: nothing is committed.
func TestTheSameDocumentAgain(t *testing.T) {
	t.Parallel()
	commits := 0
	s := open(t, t.TempDir(), bolt.Options{Committed: func([]tocsin.Wake) { commits++ }})
	for range 3 {
		require.NoError(t, s.Update(t.Context(), putDocument("kind", "a", `1`)))
	}
	assert.Equal(t, 1, commits)
}

// TestDocumentsInBackups takes documents through a backup and past a purge.
func TestDocumentsInBackups(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{Retention: time.Nanosecond})
	for n := range 200 {
		require.NoError(t, s.Update(t.Context(), putDocument(fmt.Sprint("kind-", n%3), fmt.Sprint(n), fmt.Sprintf(`{"n":%d}`, n))))
	}
	archived(t, s, "old", time.Unix(0, 0), time.Unix(1, 0), 1)
	n, err := s.Purge(t.Context(), time.Now().Add(100*365*24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, s.Check(t.Context()))
	var b bytes.Buffer
	_, err = s.Backup(&b)
	require.NoError(t, err)
	path, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	require.NoError(t, bolt.Restore(path, dir, false))
	again := open(t, dir, bolt.Options{})
	for n := range 3 {
		kind := fmt.Sprint("kind-", n)
		want, _ := documents(t, s, kind)
		got, _ := documents(t, again, kind)
		assert.Equal(t, want, got)
		assert.Greater(t, len(got), 60)
	}
}

// TestDamagedDocumentKey opens a file with a key that no document has.
func TestDamagedDocumentKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, open(t, dir, bolt.Options{}).Close())
	db, err := bbolt.Open(filepath.Join(dir, bolt.FileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("documents")).Put([]byte("kind"), []byte("1")) }))
	require.NoError(t, db.Close())
	_, err = bolt.Open(dir, bolt.Options{Ballast: -1})
	require.ErrorContains(t, err, "document key 6b696e64 is damaged")
	require.ErrorContains(t, err, "restore a backup")
}
