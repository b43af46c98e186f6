package bolt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// dueAt returns an update that sets an incident's deadline; the zero time: none.
func dueAt(id string, at time.Time) func(tocsin.Tx) error {
	return func(tx tocsin.Tx) error {
		i := tx.Incident(id)
		i.Escalation = &tocsin.Escalation{Runs: []tocsin.Run{{Policy: "p", Due: at}}}
		tx.PutIncident(i)
		return nil
	}
}

// TestDeadlinesFollowCommits asks for the deadlines in the hook, as timers do,
// after updates that fail, and across a restart.
func TestDeadlinesFollowCommits(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var s *bolt.Store
	var told []time.Time
	s = open(t, dir, bolt.Options{Committed: func([]tocsin.Wake) { told = append(told, s.NextDeadline()) }})
	for _, id := range []string{"a", "b", "c"} {
		require.NoError(t, put(t.Context(), s, id))
	}
	require.NoError(t, s.Update(t.Context(), dueAt("a", at.Add(time.Minute))))
	require.NoError(t, s.Update(t.Context(), dueAt("b", at.In(time.FixedZone("x", 3600)))))
	assert.Equal(t, []time.Time{{}, {}, {}, at.Add(time.Minute), at}, told)
	require.Error(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		require.NoError(t, dueAt("c", at.Add(-time.Hour))(tx))
		return assert.AnError
	}))
	for range 2 {
		due, next := s.Deadlines(at, 0)
		assert.Equal(t, []string{"b"}, due)
		assert.Equal(t, at.Add(time.Minute), next)
		due, next = s.Deadlines(at.Add(time.Hour), 1)
		assert.Equal(t, []string{"b"}, due)
		assert.Equal(t, at.Add(time.Minute), next)
		assert.Equal(t, at, s.NextDeadline())
		require.NoError(t, s.Check(t.Context()))
		require.NoError(t, s.Close())
		s = open(t, dir, bolt.Options{})
	}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident("b")
		i.Resolve("ana", "resolved", at)
		tx.PutIncident(i)
		return nil
	}))
	assert.Equal(t, at, s.NextDeadline(), "a resolved incident's deadline holds while it is live")
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error { tx.Archive("b"); return nil }))
	require.NoError(t, s.Update(t.Context(), dueAt("b", at)), "an archived one's does not")
	assert.Equal(t, at.Add(time.Minute), s.NextDeadline())
	require.NoError(t, s.Update(t.Context(), dueAt("a", time.Time{})))
	due, next := s.Deadlines(at.Add(time.Hour), 0)
	assert.Empty(t, due)
	assert.Zero(t, next)
	assert.Zero(t, s.NextDeadline())
	require.NoError(t, s.Check(t.Context()))
}

// notice writes one that is told to one target.
func notice(t *testing.T, s *bolt.Store, id string, at time.Time) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := &tocsin.Incident{ID: id, Kind: tocsin.KindNotice, State: tocsin.Triggered, Title: "your shift begins", OpenedAt: at}
		i.AddTarget("slack:@ana", false, at)
		e, _ := i.Resolve("", "told", at)
		tx.PutIncident(i)
		tx.Append(e)
		return nil
	}))
}

// TestNoticesAreNotCounted counts incidents beside notices, and what lags of
// both.
func TestNoticesAreNotCounted(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), time.Now()
	s := open(t, dir, bolt.Options{})
	counts := func() []int {
		st := s.Stats()
		return []int{st.Live, st.Open, st.Lagging}
	}
	require.NoError(t, put(t.Context(), s, "a"))
	notice(t, s, "n1", at)
	notice(t, s, "n2", at)
	for range 2 {
		assert.Equal(t, []int{1, 1, 2}, counts())
		require.NoError(t, s.Check(t.Context()))
		require.NoError(t, s.Close())
		s = open(t, dir, bolt.Options{})
	}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident("n1") // an open one does not count either
		i.State = tocsin.Triggered
		tx.PutIncident(i)
		return nil
	}))
	assert.Equal(t, []int{1, 1, 2}, counts())
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident("n1")
		i.Kind = tocsin.KindManual
		tx.PutIncident(i)
		tx.Archive("n2")
		return nil
	}))
	assert.Equal(t, []int{2, 2, 1}, counts())
	require.NoError(t, s.Check(t.Context()))
}

// TestPurgeDropsNotices drops old notices like incidents, and no documents.
func TestPurgeDropsNotices(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{Retention: time.Hour})
	now := time.Now()
	require.NoError(t, s.Update(t.Context(), putDocument("override", "o1", `{}`)))
	for id, age := range map[string]time.Duration{"old": 3 * time.Hour, "new": time.Minute, "live": 3 * time.Hour} {
		notice(t, s, id, now.Add(-age))
	}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error { tx.Archive("old"); tx.Archive("new"); return nil }))
	n, err := s.Purge(t.Context(), now)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	left, err := s.List(t.Context(), tocsin.Filter{Notices: true, Archived: true})
	require.NoError(t, err)
	require.Len(t, left, 2)
	assert.Equal(t, []string{"new", "live"}, []string{left[0].ID, left[1].ID})
	_, err = s.Timeline(t.Context(), "old", 0, 10)
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	docs, _ := documents(t, s, "override")
	assert.Len(t, docs, 1)
	require.NoError(t, s.Check(t.Context()))
}
