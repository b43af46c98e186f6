// Package storagetest holds the tests that every implementation of
// storage.Store passes.
//
// A store that has a method Check(context.Context) error is checked after every
// test.
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage"
)

// Open opens the store that is kept in dir, or makes one there. The tests close
// it and open it again.
type Open func(t *testing.T, dir string) storage.Store

// Conformance runs the suite. It leaves room for stores that compare and set:
// the functions it gives to Update may run more than once, and it asks of
// Event.Seq no more than that it ascends.
func Conformance(t *testing.T, open func(t *testing.T, dir string) storage.Store) {
	groups := []struct {
		name  string
		tests map[string]func(*rig)
	}{
		{"Incidents", incidentTests()},
		{"Archive", archiveTests()},
		{"Alerts", alertTests()},
		{"Index", indexTests()},
		{"Events", eventTests()},
		{"Silences", silenceTests()},
		{"Documents", documentTests()},
		{"Updates", updateTests()},
		{"Lists", listTests()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for name, test := range g.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(newRig(t, open))
				})
			}
		})
	}
	t.Run("Model", func(t *testing.T) {
		t.Parallel()
		Model(t, open, oneByOne)
	})
}

// rig is a store under test.
type rig struct {
	*testing.T
	open  Open
	dir   string
	store storage.Store
}

func newRig(t *testing.T, open Open) *rig {
	r := &rig{T: t, open: open, dir: t.TempDir()}
	r.store = open(t, r.dir)
	t.Cleanup(func() {
		check(t, r.store)
		require.NoError(t, r.store.Close())
	})
	return r
}

// check runs the store's own check, where it has one.
func check(t require.TestingT, s storage.Store) {
	if c, ok := s.(interface {
		Check(ctx context.Context) error
	}); ok {
		require.NoError(t, c.Check(context.Background()), "the store's own check")
	}
}

// reopen closes the store and opens it again.
func (r *rig) reopen() {
	r.Helper()
	check(r.T, r.store)
	require.NoError(r, r.store.Close())
	r.store = r.open(r.T, r.dir)
}

// update runs fn, which must succeed.
func (r *rig) update(fn func(tocsin.Tx)) {
	r.Helper()
	require.NoError(r, r.try(fn))
}

func (r *rig) try(fn func(tocsin.Tx)) error {
	return r.store.Update(r.Context(), func(tx tocsin.Tx) error {
		fn(tx)
		return nil
	})
}

// get returns an incident that must exist.
func (r *rig) get(id string) *tocsin.Incident {
	r.Helper()
	i, err := r.store.Get(r.Context(), id)
	require.NoError(r, err)
	return i
}

// alert returns what a transaction sees of an alert.
func (r *rig) alert(id tocsin.Key) (tocsin.AlertState, bool) {
	r.Helper()
	var s tocsin.AlertState
	var ok bool
	r.update(func(tx tocsin.Tx) { s, ok = tx.Alert(id) })
	return s, ok
}

// alerts returns the first alerts of an incident.
func (r *rig) alerts(id string, limit int) []tocsin.AlertRecord {
	r.Helper()
	records, err := r.store.AlertsOf(r.Context(), id, limit)
	require.NoError(r, err)
	return records
}

// timeline returns the texts of an incident's newest events.
func (r *rig) timeline(id string, after uint64, limit int) []tocsin.Event {
	r.Helper()
	events, err := r.store.Timeline(r.Context(), id, after, limit)
	require.NoError(r, err)
	return events
}

// epoch is when the tests' incidents open.
func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC) }

// newIncident returns an incident that opened minute minutes after epoch.
func newIncident(id string, minute int) *tocsin.Incident {
	at := epoch().Add(time.Duration(minute) * time.Minute)
	i := &tocsin.Incident{
		ID: id, State: tocsin.Triggered, Severity: tocsin.Critical, Title: "title of " + id,
		Group: tocsin.NewKey("group", id), GroupBy: []string{"alertname"}, Route: "tocsin.yml:7",
		Receivers: []string{"platform"}, OpenedAt: at, ChangedAt: at,
	}
	i.AddTarget("slack:#incidents", true, at)
	i.Touch(at)
	return i
}

// newEscalation returns one whose next step is due at a time.
func newEscalation(due time.Time) *tocsin.Escalation {
	return &tocsin.Escalation{
		Runs:  []tocsin.Run{{Policy: "platform", Plan: "p1", Step: 1, Due: due}},
		Calls: []tocsin.Call{{User: "ana", Due: due.Add(time.Minute), Target: "slack:@ana", Detail: true}},
		Responders: []tocsin.Responder{
			{User: "ana", At: epoch(), Calls: 1, Must: true},
			{User: "bo", At: epoch(), Calls: 2, Acknowledged: epoch().Add(time.Second)},
		},
		High: true, RemindAt: due.Add(time.Hour), ReturnAt: due.Add(2 * time.Hour), SnoozedUntil: due.Add(3 * time.Hour),
	}
}

// newAlert returns an alert's text, its identity and its firing state. seq 0
// and an empty incident make one that no incident holds.
func newAlert(name, incident string, seq uint32) (tocsin.AlertState, *tocsin.Alert) {
	a := &tocsin.Alert{
		Source: "am", Labels: tocsin.Labels{tocsin.LabelAlertName: name, "weird": "\u0000\u202e<&>\""},
		Annotations: tocsin.Labels{tocsin.AnnotationSummary: "summary of " + name},
		Firing:      true, StartsAt: epoch(),
	}
	s := tocsin.AlertState{
		ID: a.ID(), Incident: incident, Seq: seq, Firing: incident != "",
		StartsAt: epoch(), ChangedAt: epoch(), SeenAt: epoch(), Severity: tocsin.Critical,
	}
	return s, a
}

// put writes an incident with n firing alerts named id-1, id-2 and so on, and
// an event, and returns the alerts' states.
func put(tx tocsin.Tx, i *tocsin.Incident, n int) []tocsin.AlertState {
	var states []tocsin.AlertState
	for range n {
		i.Alerts++
		s, a := newAlert(alertName(i.ID, i.Alerts), i.ID, i.Alerts)
		i.Count(tocsin.AlertState{}, s, i.OpenedAt)
		tx.PutAlert(s, a)
		states = append(states, s)
	}
	tx.PutIncident(i)
	tx.Append(i.Event(tocsin.EventOpened, "", "opened "+i.ID, i.OpenedAt))
	return states
}

// change writes an alert's new state and counts it.
func change(tx tocsin.Tx, s tocsin.AlertState, by func(*tocsin.AlertState)) {
	old := s
	by(&s)
	i := tx.Incident(s.Incident)
	i.Count(old, s, epoch())
	tx.PutAlert(s, nil)
	tx.PutIncident(i)
}

// resolve resolves an incident, whatever its alerts do.
func resolve(tx tocsin.Tx, id string) {
	i := tx.Incident(id)
	if e, changed := i.Resolve("ana", "resolved by ana", i.OpenedAt.Add(time.Minute)); changed {
		tx.PutIncident(i)
		tx.Append(e)
	}
}
