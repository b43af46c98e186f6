package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// pastIncident is the nth incident, of 100 alerts in turn, half a minute after the
// one before it.
func pastIncident(n, count int, now time.Time) *tocsin.Incident {
	at := now.Add(-time.Duration(count-n) * 30 * time.Second)
	name := fmt.Sprintf("Alert%02d", n%100)
	return &tocsin.Incident{
		ID: fmt.Sprintf("i%06d", n), Revision: 1, StateRevision: 1, Group: tocsin.Key{byte(n % 100), 1},
		GroupBy: []string{tocsin.LabelAlertName}, State: tocsin.Resolved, Severity: tocsin.Critical, Title: name,
		OpenedAt: at, ChangedAt: at, ResolvedAt: at.Add(20 * time.Second), Alerts: 1,
	}
}

// bigArchive is a store of so many archived incidents with two events each, and the
// one that is open.
func bigArchive(t *testing.T, count int, now time.Time) (*bolt.Store, *tocsin.Incident) {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "tocsin.db"), bolt.Options{Retention: 400 * 24 * time.Hour, MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	put := func(tx tocsin.Tx, i *tocsin.Incident, n int, texts ...string) {
		a := &tocsin.Alert{Source: "am", Labels: tocsin.Labels{tocsin.LabelAlertName: i.Title, "n": fmt.Sprint(n)}, StartsAt: i.OpenedAt}
		tx.PutIncident(i)
		tx.PutAlert(tocsin.AlertState{ID: a.ID(), Incident: i.ID, Seq: 1, Firing: i.Open(), StartsAt: i.OpenedAt}, a)
		for _, text := range texts {
			tx.Append(tocsin.Event{Kind: tocsin.EventNote, Incident: i.ID, Revision: 1, At: i.OpenedAt, Actor: "ana", Text: text})
		}
	}
	const batch = 1000
	for from := 0; from < count; from += batch {
		require.NoError(t, store.Update(t.Context(), func(tx tocsin.Tx) error {
			for n := from; n < min(from+batch, count); n++ {
				i := pastIncident(n, count, now)
				put(tx, i, n, "looked at it", "restarted it")
				tx.Archive(i.ID)
			}
			return nil
		}))
	}
	open := pastIncident(count, count, now)
	open.State, open.ResolvedAt, open.Firing = tocsin.Triggered, time.Time{}, 1
	require.NoError(t, store.Update(t.Context(), func(tx tocsin.Tx) error { put(tx, open, count); return nil }))
	return store, open
}

// What stands beside the steps is there in time over a store of 100,000 incidents and
// 200,000 events, or says what is missing.
func TestBesideOverABigArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 100,000 incidents")
	}
	t.Parallel()
	const count = 100_000
	now := time.Now()
	store, open := bigArchive(t, count, now)
	n := &runbooks.Neighbours{Archive: store, Log: store}
	begun := time.Now()
	b := n.Beside(context.WithoutCancel(t.Context()), open, now)
	took := time.Since(begun)
	assert.Less(t, took, runbooks.BesideTimeout+28*time.Second, "the deadline, and what a loaded machine needs besides")
	t.Logf("took %s, fired %s, missing %v", took, b.Fired, b.Missing)
	if len(b.Missing) == 0 {
		assert.GreaterOrEqual(t, b.Fired.N, 2)
		require.Len(t, b.Earlier, 3)
		require.Len(t, b.Earlier[0].Notes, 2, "%+v", b.Earlier[0])
		assert.Equal(t, "restarted it", b.Earlier[0].Notes[1].Text)
	}
}
