package bolt_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// archived opens an incident at a time, with alerts, and archives it.
func archived(t *testing.T, s *bolt.Store, id string, openedAt, resolvedAt time.Time, alerts int) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.PutIncident(&tocsin.Incident{ID: id, State: tocsin.Triggered, Group: tocsin.NewKey(id), OpenedAt: openedAt})
		return nil
	}))
	for from := 0; from < alerts; from += 1000 {
		attach(t, s, id, from, min(1000, alerts-from))
	}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident(id)
		e, _ := i.Resolve("ana", "resolved", resolvedAt)
		tx.PutIncident(i)
		tx.Append(e)
		tx.Archive(id)
		return nil
	}))
}

func TestPurge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bolt.Options{Retention: 24 * time.Hour})
	now := time.Now()
	old := now.Add(-48 * time.Hour)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventAlarm, At: old, Text: "old alarm"}, tocsin.Event{Kind: tocsin.EventAlarm, At: now, Text: "new alarm"})
		tx.PutIncident(&tocsin.Incident{ID: "live", State: tocsin.Triggered, OpenedAt: old})
		tx.Append(tocsin.Event{Kind: tocsin.EventOpened, Incident: "live", At: old, Text: "live"})
		return nil
	}))
	archived(t, s, "big", old, old.Add(time.Hour), 5000)
	archived(t, s, "late", old, now.Add(-time.Hour), 3)
	archived(t, s, "new", now.Add(-time.Hour), now, 3)
	for n := range 250 {
		archived(t, s, fmt.Sprint("old-", n), old.Add(time.Duration(n)), old.Add(time.Hour), 1)
	}
	require.NoError(t, s.Check(t.Context()))

	n, err := s.Purge(t.Context(), now)
	require.NoError(t, err)
	assert.Equal(t, 251, n)
	require.NoError(t, s.Check(t.Context()))
	for id, want := range map[string]error{"big": tocsin.ErrNotFound, "old-7": tocsin.ErrNotFound, "late": nil, "new": nil, "live": nil} {
		_, err := s.Get(t.Context(), id)
		require.ErrorIs(t, err, want, id)
		_, err = s.AlertsOf(t.Context(), id, 10)
		require.ErrorIs(t, err, want, id)
		_, err = s.Timeline(t.Context(), id, 0, 10)
		require.ErrorIs(t, err, want, id)
	}
	events, err := s.Log(t.Context(), 0, 100)
	require.NoError(t, err)
	told := 0
	for n := range events {
		told += b2i(events[n].Kind == tocsin.EventLog)
	}
	assert.Equal(t, 1+1+2*4, len(events)-told, "the new alarm, and those of live, late and new")
	assert.Positive(t, told)
	seq := s.LastSeq()
	n, err = s.Purge(t.Context(), now)
	require.NoError(t, err)
	assert.Zero(t, n)

	require.NoError(t, s.Close())
	s = open(t, dir, bolt.Options{Retention: time.Nanosecond})
	n, err = s.Purge(t.Context(), now.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Greater(t, s.LastSeq(), seq)
	seq = s.LastSeq()
	require.NoError(t, put(t.Context(), s, "next"))
	assert.Equal(t, seq+1, s.LastSeq(), "purging the last events does not set the numbers back")
	require.NoError(t, s.Check(t.Context()))
}

// TestPurgeIsResumed stops a purge in the middle.
func TestPurgeIsResumed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1, Retention: time.Hour})
	require.NoError(t, err)
	now := time.Now()
	archived(t, s, "big", now.Add(-5*time.Hour), now.Add(-4*time.Hour), 5000)
	ctx := &endsAfter{Context: t.Context(), left: 4}
	_, err = s.Purge(ctx, now)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Close())
	s = open(t, dir, bolt.Options{})
	_, err = s.Get(t.Context(), "big")
	require.ErrorIs(t, err, tocsin.ErrNotFound, "it is gone as a whole")
	_, err = s.Purge(t.Context(), now)
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	events, err := s.Log(t.Context(), 0, 10)
	require.NoError(t, err)
	for n := range events {
		assert.Equal(t, tocsin.EventLog, events[n].Kind)
	}
}

// endsAfter is a context that ends after it was asked left times.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestPurgeForEver(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	archived(t, s, "a", time.Unix(0, 0), time.Unix(1, 0), 1)
	n, err := s.Purge(t.Context(), time.Now())
	require.NoError(t, err)
	assert.Zero(t, n)
}

// TestPurgeMakesRoom purges a store at its size cap.
func TestPurgeMakesRoom(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{MaxSize: 4 << 20, Retention: time.Hour})
	archived(t, s, "old", time.Now().Add(-5*time.Hour), time.Now().Add(-4*time.Hour), 3000)
	fillUp(t, s)
	_, err := s.Purge(t.Context(), time.Now())
	require.NoError(t, err)
	require.NoError(t, s.Stats().Err)
	require.NoError(t, put(t.Context(), s, "after"))
	require.NoError(t, s.Check(t.Context()))
}
