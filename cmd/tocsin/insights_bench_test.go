package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// busyMonth is a store with many incidents of the four weeks before now, each with
// what happens to one: two people are called, one of them in two ways, it is told,
// acknowledged, noted on, and resolved. All but the last few are archived.
func busyMonth(tb testing.TB, incidents int, now time.Time) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(filepath.Join(tb.TempDir(), "tocsin.db"), bolt.Options{Retention: 400 * 24 * time.Hour, MinFree: -1, Ballast: -1})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	const batch = 200
	step := 28 * 24 * time.Hour / time.Duration(incidents+1)
	for n := 0; n < incidents; n += batch {
		require.NoError(tb, s.Update(tb.Context(), func(tx tocsin.Tx) error {
			for i := n; i < min(n+batch, incidents); i++ {
				putBusy(tx, i, now.Add(-28*24*time.Hour+time.Duration(i+1)*step))
			}
			return nil
		}))
	}
	return s
}

func putBusy(tx tocsin.Tx, n int, opened time.Time) {
	i := &tocsin.Incident{
		ID: fmt.Sprintf("b%05d", n), State: tocsin.Resolved, Severity: tocsin.Critical, Title: "NodeDown", Receivers: []string{"page"}, OpenedAt: opened, ChangedAt: opened,
		AcknowledgedAt: opened.Add(time.Minute), AcknowledgedBy: "ana", ResolvedAt: opened.Add(time.Hour), ResolvedBy: "ana", Alerts: 1, Revision: 4,
		Group: tocsin.NewKey("group", fmt.Sprint(n)),
	}
	for _, who := range []struct{ target, user string }{{"slack:#incidents", ""}, {"slack:@U0ANA", "ana"}, {"pagerduty:ana", "ana"}, {"slack:@U0BO", "bo"}} {
		i.Deliveries = append(i.Deliveries, tocsin.Delivery{Target: who.target, User: who.user, Since: opened})
	}
	tx.PutIncident(i)
	a := &tocsin.Alert{
		Source: "am", StartsAt: opened, Firing: true,
		Labels:      tocsin.Labels{"alertname": fmt.Sprintf("Rule%d", n%40), "instance": fmt.Sprint("node-", n), "severity": "critical", "cluster": "a", "job": "node"},
		Annotations: tocsin.Labels{"summary": "the node does not answer", "description": "for five minutes; somebody should look"},
	}
	tx.PutAlert(tocsin.AlertState{ID: a.ID(), Incident: i.ID, Seq: 1, StartsAt: opened}, a)
	say := func(kind tocsin.EventKind, after time.Duration, target, text string) {
		e := i.Event(kind, "", text, opened.Add(after))
		e.Target = target
		tx.Append(e)
	}
	say(tocsin.EventOpened, 0, "", "opened: NodeDown")
	say(tocsin.EventAlertFired, 0, "", "fires")
	for _, d := range i.Deliveries[1:] {
		say(tocsin.EventCalled, 0, d.Target, "calls "+d.User+" by "+d.Target)
	}
	for _, d := range i.Deliveries {
		say(tocsin.EventDelivered, time.Second, d.Target, "told "+d.Target)
	}
	say(tocsin.EventAcknowledged, time.Minute, "", "acknowledged by ana")
	if n%2 == 0 {
		say(tocsin.EventNote, 2*time.Minute, "", "looked at it")
	}
	say(tocsin.EventResolved, time.Hour, "", "resolved by ana")
	tx.Archive(i.ID)
}

// BenchmarkInsights reads a month of 20,000 incidents: the first time, and again.
func BenchmarkInsights(b *testing.B) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := busyMonth(b, 20_000, now)
	read := func(b *testing.B, a *App) {
		in, err := a.insights(b.Context(), everybody, now.AddDate(0, 0, -28), now)
		require.NoError(b, err)
		require.Equal(b, 20_000, in.Incidents)
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			read(b, &App{store: s, cfg: &config.Config{}})
		}
	})
	b.Run("again", func(b *testing.B) {
		a := &App{store: s, cfg: &config.Config{}}
		read(b, a)
		b.ResetTimer()
		for b.Loop() {
			read(b, a)
		}
	})
}
