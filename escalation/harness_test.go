package escalation_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// tower plays escalations in a synctest bubble over a real store. The bubble's
// clock begins on Saturday 2000-01-01 00:00 UTC.
type tower struct {
	*testing.T
	path   string
	store  *bolt.Store
	engine *escalation.Engine
	spec   escalation.Spec
	stop   context.CancelFunc
	done   chan error
	broken map[string]bool
	// mute holds all deliveries back.
	mute   bool
	opened int
}

func play(t *testing.T, spec escalation.Spec, story func(h *tower)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tocsin.db")
	synctest.Test(t, func(t *testing.T) {
		h := &tower{T: t, path: path, spec: spec, broken: map[string]bool{}}
		h.start()
		defer h.halt()
		story(h)
	})
}

func (h *tower) start() {
	h.Helper()
	var err error
	h.store, err = bolt.Open(h.path, bolt.Options{MinFree: -1, Ballast: -1, Committed: func([]tocsin.Wake) {
		if h.engine != nil {
			h.engine.Poke()
		}
	}})
	require.NoError(h, err)
	rules, err := escalation.NewRules(h.spec)
	require.NoError(h, err)
	h.engine, err = escalation.NewEngine(rules, escalation.Options{Store: h.store, Incidents: h.store})
	require.NoError(h, err)
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	h.done = make(chan error, 1)
	go func() { h.done <- h.engine.Run(ctx) }()
}

func (h *tower) halt() {
	h.Helper()
	h.stop()
	require.NoError(h, <-h.done)
	require.NoError(h, h.store.Close())
}

// open opens an incident as the router does.
func (h *tower) open(severity tocsin.Severity, receivers ...string) string {
	h.Helper()
	h.opened++
	id := "inc" + string(rune('a'+h.opened))
	now := time.Now()
	inc := &tocsin.Incident{
		ID: id, State: tocsin.Triggered, Severity: severity, Title: "it burns", Group: tocsin.NewKey(id),
		Receivers: receivers, OpenedAt: now, ChangedAt: now, Revision: 1, StateRevision: 1, Firing: 1,
	}
	h.change(inc)
	return id
}

// change writes an incident and settles it in one transaction.
func (h *tower) change(inc *tocsin.Incident) {
	h.Helper()
	require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
		c := inc.Clone()
		events := h.engine.Settle(tx, c, time.Now())
		tx.PutIncident(c)
		tx.Append(events...)
		return nil
	}))
	synctest.Wait()
	h.deliver()
}

// edit changes an incident and settles it in one transaction.
func (h *tower) edit(id string, do func(*tocsin.Incident)) {
	h.Helper()
	inc := h.get(id).Clone()
	do(inc)
	h.change(inc)
}

func (h *tower) get(id string) *tocsin.Incident {
	h.Helper()
	inc, err := h.store.Get(context.Background(), id)
	require.NoError(h, err)
	return inc
}

func (h *tower) act(id string, a tocsin.Action) {
	h.Helper()
	require.NoError(h, h.engine.Act(context.Background(), id, a))
	synctest.Wait()
	h.deliver()
}

func (h *tower) ack(id, by string) {
	h.Helper()
	h.act(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: by})
}

// pass lets time go by, a minute at a time, with a dispatcher that delivers at
// once.
func (h *tower) pass(d time.Duration) {
	h.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Minute, time.Until(end)))
		synctest.Wait()
		h.deliver()
	}
}

// deliver brings every target up to date, but for the broken ones, which fail
// for good.
func (h *tower) deliver() {
	h.Helper()
	if h.mute {
		return
	}
	for _, w := range h.store.Lagging(time.Now()) {
		require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			inc := tx.Incident(w.Incident)
			d := inc.Delivery(w.Target)
			if h.broken[w.Target] {
				d.Failed, d.FailedRevision, d.Error = true, inc.StateRevision, "no such account"
			} else {
				d.Record(tocsin.Receipt{Ref: "x", Revision: inc.Revision, State: inc.State, Severity: inc.Severity, Called: d.Calls}, time.Now())
			}
			tx.PutIncident(inc)
			return nil
		}))
	}
}

// said returns the lines of some kinds on an incident's timeline, each with its
// time since the incident opened.
func (h *tower) said(id string, kinds ...tocsin.EventKind) []string {
	h.Helper()
	events, err := h.store.Timeline(context.Background(), id, 0, 10_000)
	require.NoError(h, err)
	since := h.get(id).OpenedAt
	var out []string
	for i := range events {
		for _, k := range kinds {
			if events[i].Kind == k {
				out = append(out, short(events[i].At.Sub(since))+" "+events[i].Text)
			}
		}
	}
	return out
}

// short is "0s", "15m", "1h0m".
func short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if m, ok := strings.CutSuffix(s, "m0s"); ok {
		return m + "m"
	}
	return s
}

// calls are the calls that were made.
func (h *tower) calls(id string) []string {
	h.Helper()
	return h.said(id, tocsin.EventCalled)
}

func (h *tower) override(o tocsin.Override) {
	h.Helper()
	_, err := h.engine.PutOverride(context.Background(), o)
	require.NoError(h, err)
}

func (h *tower) errorOf(id string, a tocsin.Action) error {
	h.Helper()
	return h.engine.Act(context.Background(), id, a)
}

// person can be called by Slack at once, and by PagerDuty after two minutes.
func person(name, zone string) escalation.User {
	slack := escalation.Contact{By: "Slack", Target: escalation.Target{Key: "slack:@" + name, Detail: true}}
	pd := escalation.Contact{By: "PagerDuty", After: 2 * time.Minute, Target: escalation.Target{Key: "pagerduty:@" + name}}
	return escalation.User{Name: name, Zone: zone, High: []escalation.Contact{slack, pd}, Low: []escalation.Contact{slack}}
}

func weekly(t testing.TB, name string, users ...string) *oncall.Schedule {
	t.Helper()
	s, err := oncall.New(oncall.Spec{Name: name, Layers: []oncall.Layer{{Name: "weekly", Rotation: &oncall.Rotation{
		Users: users, Unit: oncall.Weeks, Length: 1, Start: oncall.Date{Year: 1999, Month: 12, Day: 27}, Handoff: 9 * 60,
	}}}})
	require.NoError(t, err)
	return s
}

// basic: the primary at once, the secondary after 15 minutes, the leads after 15
// more, once over, and then the boss.
func basic(t testing.TB) escalation.Spec {
	t.Helper()
	users := map[string]escalation.User{}
	for _, name := range []string{"ana", "bo", "cy", "dan", "boss"} {
		users[name] = person(name, "UTC")
	}
	return escalation.Spec{
		Users:     users,
		Teams:     map[string][]string{"leads": {"cy", "dan"}},
		Schedules: map[string]*oncall.Schedule{"primary": weekly(t, "primary", "ana", "bo"), "secondary": weekly(t, "secondary", "bo", "ana")},
		Receivers: map[string]string{"page": "platform"},
		Policies: []escalation.Policy{{
			Name: "platform",
			Steps: []escalation.Step{
				{To: []escalation.Recipient{{Schedule: "primary"}}},
				{After: 15 * time.Minute, To: []escalation.Recipient{{Schedule: "secondary"}}},
				{After: 15 * time.Minute, To: []escalation.Recipient{{Team: "leads"}}},
			},
			RepeatAfter: 15 * time.Minute, LastResort: []escalation.Recipient{{User: "boss"}}, LastResortEvery: 10 * time.Minute,
			RemindAfter: 45 * time.Minute, ReturnAfter: time.Hour,
			Urgency: escalation.Urgency{High: []tocsin.Severity{tocsin.Critical, tocsin.Error}},
		}},
	}
}
