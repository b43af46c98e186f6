package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// Extracts say what AlertsOf and Timeline do, of live and of archived incidents, of
// whatever kinds of events in whatever order, also where a kind is none that is known.
func TestExtractsAreWhatTheOtherReadingsSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, err := bolt.Open(t.TempDir(), bolt.Options{MinFree: -1, Ballast: -1})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()
		incidents := fillAtRandom(rt, s)
		limit := rapid.IntRange(1, 12).Draw(rt, "limit")
		wanted := func(k tocsin.EventKind) bool { return k == tocsin.EventCalled || k == `o"d\d` || k == "" }

		var got []bolt.Extract
		require.NoError(rt, s.Extracts(rt.Context(), incidents, limit, wanted, func(of int, e bolt.Extract) {
			require.Len(rt, got, of, "in order")
			got = append(got, e)
		}))
		require.Len(rt, got, len(incidents))
		for n, inc := range incidents {
			require.Equal(rt, extractSlowly(rt, s, inc.ID, limit, wanted), got[n], inc.ID)
		}
	})
}

// extractSlowly reads all there is.
func extractSlowly(rt *rapid.T, s *bolt.Store, id string, limit int, wanted func(tocsin.EventKind) bool) (e bolt.Extract) {
	alerts, err := s.AlertsOf(rt.Context(), id, 1)
	if errors.Is(err, tocsin.ErrNotFound) {
		return e
	}
	require.NoError(rt, err)
	if len(alerts) > 0 {
		e.First = &alerts[0].Alert
	}
	events, err := s.Timeline(rt.Context(), id, 0, limit)
	require.NoError(rt, err)
	for _, ev := range events {
		if wanted(ev.Kind) {
			e.Events = append(e.Events, ev)
		}
	}
	return e
}

// fillAtRandom returns the incidents that it has put, some of which are archived, and
// one that the store has not.
func fillAtRandom(rt *rapid.T, s *bolt.Store) []*tocsin.Incident {
	opened := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	incidents := []*tocsin.Incident{{ID: "gone", OpenedAt: opened}}
	put := func(fn func(tx tocsin.Tx)) {
		require.NoError(rt, s.Update(rt.Context(), func(tx tocsin.Tx) error { fn(tx); return nil }))
	}
	for n := range rapid.IntRange(1, 6).Draw(rt, "incidents") {
		inc := &tocsin.Incident{ID: fmt.Sprint("i", n), State: tocsin.Resolved, Group: tocsin.NewKey("g", fmt.Sprint(n)), OpenedAt: opened.Add(time.Duration(n) * time.Second)}
		firing := rapid.SliceOfN(rapid.Bool(), 0, 4).Draw(rt, "firing")
		inc.Alerts = uint32(len(firing))
		for _, fires := range firing {
			if fires {
				inc.Firing++
			}
		}
		put(func(tx tocsin.Tx) {
			tx.PutIncident(inc.Clone())
			for seq, fires := range firing {
				a := &tocsin.Alert{Labels: tocsin.Labels{"alertname": fmt.Sprint("A", n, "-", seq)}}
				tx.PutAlert(tocsin.AlertState{ID: a.ID(), Incident: inc.ID, Seq: uint32(seq + 1), Firing: fires}, a)
			}
		})
		incidents = append(incidents, inc)
	}
	kinds := []tocsin.EventKind{tocsin.EventCalled, tocsin.EventDelivered, tocsin.EventNote, `o"d\d`, `called","x":"`, ""}
	for range rapid.IntRange(0, 40).Draw(rt, "events") {
		inc := rapid.SampledFrom(incidents[1:]).Draw(rt, "incident")
		kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
		put(func(tx tocsin.Tx) { tx.Append(inc.Event(kind, "", rapid.String().Draw(rt, "text"), opened)) })
	}
	for _, inc := range incidents[1:] {
		if rapid.Bool().Draw(rt, "archive") {
			put(func(tx tocsin.Tx) { tx.Archive(inc.ID) })
		}
	}
	return incidents
}

// A context that is over ends a reading where it is.
func TestExtractsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	s, err := bolt.Open(t.TempDir(), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	err = s.Extracts(ctx, []*tocsin.Incident{{ID: "a"}, {ID: "b"}, {ID: "c"}}, 1, func(tocsin.EventKind) bool { return true }, func(of int, _ bolt.Extract) {
		if read++; of == 1 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, read)
}
