package bolt_test

import (
	"compress/gzip"
	"io"
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

// ofSchema1 returns a store's file as tocsin wrote them before there were
// documents: the incident live, acked, which bo acknowledged, and done, which
// is archived, an alert that no incident holds, and a silence.
func ofSchema1(t *testing.T) string {
	t.Helper()
	packed, err := os.Open("testdata/schema1.db.gz")
	require.NoError(t, err)
	defer packed.Close()
	from, err := gzip.NewReader(packed)
	require.NoError(t, err)
	content, err := io.ReadAll(from)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), bolt.FileName)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// readSchema1 asserts that what ofSchema1 says is in s.
func readSchema1(t *testing.T, s *bolt.Store) {
	t.Helper()
	require.NoError(t, s.Check(t.Context()))
	st := s.Stats()
	assert.Equal(t, []int{2, 2, 3, 2, 1}, []int{st.Live, st.Open, st.Alerts, st.Firing, st.Lagging})
	all, err := s.List(t.Context(), tocsin.Filter{Archived: true})
	require.NoError(t, err)
	states := map[string]tocsin.State{}
	for _, i := range all {
		states[i.ID] = i.State
		assert.Equal(t, tocsin.KindAlerts, i.Kind)
		assert.Nil(t, i.Escalation)
		alerts, err := s.AlertsOf(t.Context(), i.ID, 0)
		require.NoError(t, err)
		require.Len(t, alerts, 1)
		assert.Equal(t, "Down-"+i.ID, alerts[0].Name())
		events, err := s.Timeline(t.Context(), i.ID, 0, 0)
		require.NoError(t, err)
		assert.Equal(t, "opened "+i.ID, events[0].Text)
	}
	assert.Equal(t, map[string]tocsin.State{"live": tocsin.Triggered, "acked": tocsin.Acknowledged, "done": tocsin.Resolved}, states)
	docs, _, err := s.Documents(t.Context(), "kind")
	require.NoError(t, err)
	assert.Empty(t, docs)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		assert.Len(t, tx.Silences(), 1)
		return nil
	}))
}

func TestOpensFilesOfSchema1(t *testing.T) {
	t.Parallel()
	path := ofSchema1(t)
	s := open(t, path, bolt.Options{})
	readSchema1(t, s)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.PutDocument("kind", "a", []byte(`{}`))
		i := tx.Incident("live")
		i.Escalation = &tocsin.Escalation{Runs: []tocsin.Run{{Policy: "p", Due: time.Unix(1, 0)}}}
		tx.PutIncident(i)
		return nil
	}))
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Close())
	s = open(t, path, bolt.Options{})
	docs, _, err := s.Documents(t.Context(), "kind")
	require.NoError(t, err)
	assert.Len(t, docs, 1)
	due, _ := s.Deadlines(time.Unix(1, 0), 0)
	assert.Equal(t, []string{"live"}, due)
}

// TestRestoresBackupsOfSchema1 restores a backup of before: it is lifted when it
// is opened, and stays as it is.
func TestRestoresBackupsOfSchema1(t *testing.T) {
	t.Parallel()
	backup, dir := ofSchema1(t), t.TempDir()
	before, err := os.ReadFile(backup)
	require.NoError(t, err)
	require.NoError(t, bolt.Restore(backup, dir, false))
	readSchema1(t, open(t, dir, bolt.Options{}))
	after, err := os.ReadFile(backup)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// TestHalfLifted opens a file that says it is of the new schema and has no
// documents: damage is not mended silently.
func TestHalfLifted(t *testing.T) {
	t.Parallel()
	path := ofSchema1(t)
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("2")) }))
	require.NoError(t, db.Close())
	_, err = bolt.Open(path, bolt.Options{Ballast: -1})
	require.ErrorContains(t, err, `"documents" is missing: restore a backup`)
}
