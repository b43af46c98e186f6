package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/insights"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// readWhole reads as the pages of the incidents do: each whole, one by one.
func readWhole(t *testing.T, s *bolt.Store) (all []insights.Seen) {
	t.Helper()
	listed, err := s.List(t.Context(), tocsin.Filter{Archived: true, Limit: 10_000})
	require.NoError(t, err)
	for _, inc := range listed {
		c := insights.Case{Incident: inc}
		alerts, err := s.AlertsOf(t.Context(), inc.ID, 1)
		require.NoError(t, err)
		if len(alerts) > 0 {
			c.Rule = alerts[0].Name()
		}
		c.Timeline, err = s.Timeline(t.Context(), inc.ID, 0, insightEvents)
		require.NoError(t, err)
		all = append(all, insights.Look(&c))
	}
	return all
}

// fewTurns is a context whose time is over after so many looks at it.
type fewTurns struct {
	context.Context
	left int
}

func (f *fewTurns) Err() error {
	if f.left--; f.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// The reading for the figures finds what the reading of whole incidents does, of open
// ones too and wherever it is cut off; and goes on from there.
func TestInsightsReadWhatTheWholeIncidentsSay(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	s := busyMonth(t, 1200, now)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		for n, opened := range []time.Duration{-time.Minute, -100 * time.Hour, -500 * time.Hour} {
			i := &tocsin.Incident{ID: "open" + string(rune('a'+n)), State: tocsin.Triggered, OpenedAt: now.Add(opened), Group: tocsin.NewKey("open", string(rune('a'+n)))}
			i.AddTarget("slack:@U0ANA", true, now)
			i.Deliveries[0].User = "ana"
			tx.PutIncident(i)
			e := i.Event(tocsin.EventCalled, "", "calls ana", i.OpenedAt)
			e.Target = "slack:@U0ANA"
			tx.Append(e)
		}
		return nil
	}))
	want := readWhole(t, s)
	require.Len(t, want, 1203)
	from := now.AddDate(0, 0, -28)

	var d insightDesk
	last := -1
	for turns := 0; ; turns += 97 {
		got, cut, err := d.read(&fewTurns{t.Context(), turns}, s, s, from, now)
		require.NoError(t, err)
		assert.Equal(t, want[:len(got)], append([]insights.Seen{}, got...))
		require.GreaterOrEqual(t, len(got), last, "it goes on")
		if last = len(got); !cut {
			break
		}
	}
	assert.Len(t, want, last)

	a := &App{store: s, cfg: &config.Config{}}
	in, err := a.insights(t.Context(), everybody, from, now)
	require.NoError(t, err)
	assert.Equal(t, insights.Of(want, from, now, a.zoneOf), in)
}
