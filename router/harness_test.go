package router_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// start is the first instant of every test.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// harness is a router over a real store.
type harness struct {
	testing.TB
	clock  *clock
	path   string
	store  *bolt.Store
	router *router.Router
}

var timing = router.Timing{
	Reopen: 30 * time.Minute, Late: time.Minute, Stale: 12 * time.Hour,
	FlapChanges: 6, FlapWindow: 15 * time.Minute, FlapSettle: 10 * time.Minute,
}

func targets(names ...string) map[string][]router.Target {
	out := map[string][]router.Target{}
	for _, n := range names {
		out[n] = []router.Target{{Key: "slack:#" + n, Detail: true}, {Key: "pagerduty:" + n + "/0"}}
	}
	return out
}

// basic is a configuration with one route for critical alerts.
func basic() router.Spec {
	return router.Spec{
		Route: router.RouteSpec{
			Receiver: "chat", GroupBy: []string{"alertname", "region"}, Pos: "t.yml:1",
			Routes: []router.RouteSpec{{Receiver: "page", Matchers: []string{`severity="critical"`}, Pos: "t.yml:5"}},
		},
		InhibitRules: []router.InhibitSpec{{
			SourceMatchers: []string{`alertname="RegionDown"`}, TargetMatchers: []string{`alertname="NodeDown"`},
			Equal: []string{"region"}, Pos: "t.yml:9",
		}},
		Targets: targets("chat", "page"),
		Timing:  timing,
	}
}

// basicWithoutFlapping resolves as soon as nothing fires, and lets nothing go
// stale.
func basicWithoutFlapping() router.Spec {
	s := basic()
	s.Timing.FlapChanges, s.Timing.Stale = 0, 0
	return s
}

func newHarness(t testing.TB, spec router.Spec) *harness {
	t.Helper()
	h := &harness{TB: t, clock: &clock{now: start}, path: filepath.Join(t.TempDir(), "tocsin.db")}
	h.open(spec)
	t.Cleanup(func() { require.NoError(t, h.store.Close()) })
	return h
}

func (h *harness) open(spec router.Spec) {
	h.Helper()
	rules, err := router.NewRules(spec)
	require.NoError(h, err)
	h.store, err = bolt.Open(h.path, bolt.Options{Now: h.clock.Now, MinFree: -1, Ballast: -1})
	require.NoError(h, err)
	h.router, err = router.New(rules, router.Options{Store: h.store, Now: h.clock.Now})
	require.NoError(h, err)
}

// reopen is a restart.
func (h *harness) reopen(spec router.Spec) {
	h.Helper()
	require.NoError(h, h.store.Check(context.Background()))
	require.NoError(h, h.store.Close())
	h.open(spec)
}

func (h *harness) send(alerts ...tocsin.Alert) tocsin.Outcome {
	h.Helper()
	out, err := h.router.Receive(context.Background(), tocsin.Batch{Source: "am", Alerts: alerts})
	require.NoError(h, err)
	return out
}

// act changes an incident as an action of a person does.
func (h *harness) act(id string, do func(*tocsin.Incident) (tocsin.Event, bool)) {
	h.Helper()
	require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
		inc := tx.Incident(id)
		e, ok := do(inc)
		require.True(h, ok)
		tx.PutIncident(inc)
		tx.Append(e)
		return nil
	}))
}

func (h *harness) sweep() {
	h.Helper()
	require.NoError(h, h.router.Sweep(context.Background()))
}

// live returns the live incidents, the newest first.
func (h *harness) live() []*tocsin.Incident {
	h.Helper()
	list, err := h.store.List(context.Background(), tocsin.Filter{Limit: 1000})
	require.NoError(h, err)
	return list
}

// only returns the one live incident.
func (h *harness) only() *tocsin.Incident {
	h.Helper()
	list := h.live()
	require.Len(h, list, 1)
	return list[0]
}

// of returns the live incident whose first alert has this name.
func (h *harness) of(name string) *tocsin.Incident {
	h.Helper()
	for _, inc := range h.live() {
		alerts, err := h.store.AlertsOf(context.Background(), inc.ID, 1)
		require.NoError(h, err)
		if len(alerts) > 0 && alerts[0].Name() == name {
			return inc
		}
	}
	require.Failf(h, "no such incident", "%s", name)
	return nil
}

func (h *harness) kinds(id string) []tocsin.EventKind {
	h.Helper()
	events, err := h.store.Timeline(context.Background(), id, 0, 1000)
	require.NoError(h, err)
	var out []tocsin.EventKind
	for i := range events {
		out = append(out, events[i].Kind)
	}
	return out
}

func alert(name, region, instance string, more ...string) tocsin.Alert {
	l := tocsin.Labels{"alertname": name, "region": region, "instance": instance, "severity": "critical"}
	for i := 0; i < len(more); i += 2 {
		l[more[i]] = more[i+1]
	}
	return tocsin.Alert{Source: "am", Labels: l, Annotations: tocsin.Labels{"summary": name + " " + instance}}
}

func (h *harness) fires(a tocsin.Alert) tocsin.Alert {
	a.Firing, a.StartsAt = true, h.clock.Now()
	return a
}

func (h *harness) ends(a tocsin.Alert) tocsin.Alert {
	a.Firing, a.StartsAt, a.EndsAt = false, start, h.clock.Now()
	return a
}

func (h *harness) sweepAlerts() {
	h.Helper()
	require.NoError(h, h.router.SweepAlerts(context.Background()))
}

func (h *harness) sweepIncidents() {
	h.Helper()
	require.NoError(h, h.router.SweepIncidents(context.Background()))
}
