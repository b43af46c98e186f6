package runbooks_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

const day = 24 * time.Hour

func kept(t *testing.T, store *bolt.Store) []string {
	t.Helper()
	docs, _, err := store.Documents(context.Background(), tocsin.RunbookVersions)
	require.NoError(t, err)
	var out []string
	for _, d := range docs {
		out = append(out, d.ID)
	}
	return out
}

func TestTidy(t *testing.T) {
	t.Parallel()
	ctx, now := context.Background(), time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "tocsin.db")
	open := func() *bolt.Store {
		store, err := bolt.Open(path, bolt.Options{MinFree: -1, Ballast: -1})
		require.NoError(t, err)
		return store
	}
	store := open()
	dir := t.TempDir()
	put(t, dir, "a.md", nodeDown)
	shelf, _, err := runbooks.NewShelf([]string{dir})
	require.NoError(t, err)
	current := shelf.Version(shelf.List()[0]) + "@1a2b3c4d5e" // by an earlier commit
	require.NoError(t, store.Update(ctx, func(tx tocsin.Tx) error {
		for _, v := range []string{current, "used@1", "old@1"} {
			tx.PutDocument(tocsin.RunbookVersions, v, []byte(`{}`))
		}
		tx.PutIncident(&tocsin.Incident{
			ID: "live", State: tocsin.Resolved, Group: tocsin.NewKey("live"), OpenedAt: now, Progress: &tocsin.Progress{Version: "used@1"},
		})
		return nil
	}))
	tidy := func(retention time.Duration) {
		t.Helper()
		require.NoError(t, runbooks.Tidy(ctx, store, shelf, retention, now))
	}
	tidy(90 * day)
	assert.ElementsMatch(t, []string{current, "used@1", "old@1"}, kept(t, store), "an archived incident may need old@1")
	_, version, err := store.Documents(ctx, "runbook-unused")
	require.NoError(t, err)
	tidy(90 * day)
	_, again, err := store.Documents(ctx, "runbook-unused")
	require.NoError(t, err)
	assert.Equal(t, version, again, "nothing is written where nothing has changed")

	require.NoError(t, store.Update(ctx, func(tx tocsin.Tx) error { tx.Archive("live"); return nil }))
	now = now.Add(89 * day)
	require.NoError(t, store.Close())
	store = open() // a restart does not put it off
	defer func() { require.NoError(t, store.Close()) }()
	tidy(90 * day)
	now = now.Add(2 * day)
	tidy(0)
	assert.Len(t, kept(t, store), 3, "0 keeps them for ever")
	tidy(90 * day)
	assert.ElementsMatch(t, []string{current, "used@1"}, kept(t, store))

	// Used again: it begins anew.
	require.NoError(t, store.Update(ctx, func(tx tocsin.Tx) error {
		tx.PutIncident(&tocsin.Incident{
			ID: "next", State: tocsin.Resolved, Group: tocsin.NewKey("next"), OpenedAt: now, Progress: &tocsin.Progress{Version: "used@1"},
		})
		return nil
	}))
	now = now.Add(100 * day)
	tidy(90 * day)
	assert.ElementsMatch(t, []string{current, "used@1"}, kept(t, store))
	require.NoError(t, store.Update(ctx, func(tx tocsin.Tx) error { tx.Archive("next"); return nil }))
	tidy(90 * day)
	now = now.Add(-day) // the clock is set back
	tidy(90 * day)
	now = now.Add(92 * day)
	tidy(90 * day)
	assert.Equal(t, []string{current}, kept(t, store), "the next incident may open with this one")
	put(t, dir, "a.md", nodeDown+"2. Tell ana\n")
	_, err = shelf.Reload([]string{dir})
	require.NoError(t, err)
	tidy(90 * day)
	now = now.Add(91 * day)
	tidy(90 * day)
	assert.Empty(t, kept(t, store))
}
