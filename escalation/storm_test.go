package escalation_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// fill opens n incidents in a few transactions.
func fill(t testing.TB, store *bolt.Store, engine *escalation.Engine, n int, now time.Time) {
	t.Helper()
	for from := 0; from < n; from += 500 {
		require.NoError(t, store.Update(context.Background(), func(tx tocsin.Tx) error {
			for i := from; i < min(from+500, n); i++ {
				inc := &tocsin.Incident{
					ID: fmt.Sprintf("inc%05d", i), State: tocsin.Triggered, Severity: tocsin.Critical, Group: tocsin.NewKey(fmt.Sprint(i)),
					Receivers: []string{"page"}, OpenedAt: now, Revision: 1, StateRevision: 1, Firing: 1,
				}
				events := engine.Settle(tx, inc, now)
				tx.PutIncident(inc)
				tx.Append(events...)
			}
			return nil
		}))
	}
}

func openStore(t testing.TB) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// Two engines on one store, and a thousand incidents that are due at once: every
// step is taken once, and none before its time.
func TestTwoEnginesTakeEveryStepOnce(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	rules, err := escalation.NewRules(basic(t))
	require.NoError(t, err)
	start := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	due := start.Add(15 * time.Minute)
	var engines []*escalation.Engine
	for range 2 {
		e, err := escalation.NewEngine(rules, escalation.Options{Store: store, Now: func() time.Time { return due }})
		require.NoError(t, err)
		engines = append(engines, e)
	}
	const n = 1000
	fill(t, store, engines[0], n, start)
	early, _ := store.Deadlines(start.Add(2*time.Minute-time.Nanosecond), 0)
	require.Empty(t, early, "never early")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	for _, e := range engines {
		go func() { done <- e.Run(ctx) }()
	}
	require.Eventually(t, func() bool {
		left, _ := store.Deadlines(due, 1)
		return len(left) == 0
	}, time.Minute, time.Millisecond)
	stop()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	for i := range n {
		events, err := store.Timeline(context.Background(), fmt.Sprintf("inc%05d", i), 0, 100)
		require.NoError(t, err)
		calls := map[string]int{}
		for j := range events {
			if events[j].Kind == tocsin.EventCalled {
				calls[events[j].Target]++
			}
		}
		require.Equal(t, map[string]int{"slack:@bo": 1, "pagerduty:@bo": 1, "slack:@ana": 1}, calls)
	}
}

// BenchmarkStormOfDeadlines commits what is due for 10,000 incidents in the same
// second: a contact of somebody who was called, and the second step, for which
// somebody is looked up on a schedule.
func BenchmarkStormOfDeadlines(b *testing.B) {
	b.Run("contact", func(b *testing.B) { stormOfDeadlines(b, 2*time.Minute) })
	b.Run("step", func(b *testing.B) { stormOfDeadlines(b, 15*time.Minute) })
}

func stormOfDeadlines(b *testing.B, after time.Duration) {
	b.Helper()
	rules, err := escalation.NewRules(basic(b))
	require.NoError(b, err)
	start := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	for b.Loop() {
		b.StopTimer()
		store := openStore(b)
		now := start
		e, err := escalation.NewEngine(rules, escalation.Options{Store: store, Now: func() time.Time { return now }})
		require.NoError(b, err)
		fill(b, store, e, 10_000, start)
		if early := start.Add(2 * time.Minute); after > 2*time.Minute {
			commitDue(b, store, e, early, &now)
		}
		b.StartTimer()
		commitDue(b, store, e, start.Add(after), &now)
	}
}

// commitDue runs the engine at an instant until nothing is due.
func commitDue(b *testing.B, store *bolt.Store, e *escalation.Engine, at time.Time, now *time.Time) {
	b.Helper()
	*now = at
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for {
		if left, _ := store.Deadlines(at, 1); len(left) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	require.NoError(b, <-done)
}

// Whatever people do, in whatever order: nobody is called once the incident is
// resolved, an open incident that nobody has taken always has a next step, and
// no delivery that calls is queued for one that somebody has.
func TestSomebodyIsAlwaysNext(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		store := openStore(t)
		now := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
		rules, err := escalation.NewRules(basic(t))
		require.NoError(t, err)
		e, err := escalation.NewEngine(rules, escalation.Options{Store: store, Now: func() time.Time { return now }})
		require.NoError(t, err)
		fill(t, store, e, 2, now)
		ids := []string{"inc00000", "inc00001"}
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			id := rapid.SampledFrom(ids).Draw(r, "id")
			if rapid.Bool().Draw(r, "time") {
				now = now.Add(time.Duration(rapid.IntRange(1, 5400).Draw(r, "seconds")) * time.Second)
				settle(t, store, e, ids, now)
			} else {
				a := tocsin.Action{
					Kind: rapid.SampledFrom([]tocsin.ActionKind{
						tocsin.ActAcknowledge, tocsin.ActResolve, tocsin.ActSnooze, tocsin.ActEscalate, tocsin.ActReassign,
						tocsin.ActAddResponder, tocsin.ActNote, tocsin.ActMerge, tocsin.ActSeverity,
					}).Draw(r, "kind"),
					By: rapid.SampledFrom([]string{"ana", "bo", "cy"}).Draw(r, "by"), Until: now.Add(time.Hour), Text: "x",
					User: rapid.SampledFrom([]string{"", "ana", "cy"}).Draw(r, "user"), Into: rapid.SampledFrom(ids).Draw(r, "into"),
					Severity: rapid.SampledFrom([]tocsin.Severity{tocsin.Critical, tocsin.Info}).Draw(r, "severity"), Force: true,
				}
				_ = e.Act(context.Background(), id, a)
			}
			for _, id := range ids {
				holds(r, store, id, now)
			}
		}
	})
}

func settle(t testing.TB, store *bolt.Store, e *escalation.Engine, ids []string, now time.Time) {
	t.Helper()
	require.NoError(t, store.Update(context.Background(), func(tx tocsin.Tx) error {
		for _, id := range ids {
			inc := tx.Incident(id)
			events := e.Settle(tx, inc, now)
			tx.PutIncident(inc)
			tx.Append(events...)
		}
		return nil
	}))
}

func holds(t *rapid.T, store *bolt.Store, id string, now time.Time) {
	t.Helper()
	inc, err := store.Get(context.Background(), id)
	require.NoError(t, err)
	running := false
	for _, run := range inc.Escalation.Runs {
		running = running || !run.Due.IsZero()
	}
	switch {
	case !inc.Open():
		assert.True(t, inc.Deadline().IsZero(), "resolved: nothing is to come")
		assert.Empty(t, inc.Lagging(now.Add(time.Hour)), "and nobody is called who was not")
	case inc.Quiet():
		assert.False(t, running, "another incident pages for it")
	case inc.State == tocsin.Triggered:
		assert.True(t, running, "open and not taken: there is a next step")
		assert.True(t, inc.Deadline().After(now))
	default:
		assert.False(t, running, "taken: no step is to come")
		for _, c := range inc.Escalation.Calls {
			assert.True(t, c.Asked, "only who was asked for by name")
		}
	}
}
