package callback_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	routingKey = "canary0123456789abcdef0123456789"
	target     = "pagerduty:platform/0"
	secret     = "canary-one-secret"
	token      = "canary-api-token"
	hookURL    = "http://tocsin.example.com/webhook/pagerduty"
)

var (
	ana = pagerdutytest.Reference{ID: "PANA001", Summary: "Ana A."}
	bo  = pagerdutytest.Reference{ID: "PBO0001", Summary: "Bo B."}
	eve = pagerdutytest.Reference{ID: "PEVE001", Summary: "Eve\u202e E."}
)

// world is Tocsin and PagerDuty: a real store, engine, notifier and handler, and
// the emulator. Its clock moves when it is told to.
type world struct {
	require.TestingT
	now     time.Time
	skew    time.Duration
	store   *bolt.Store
	engine  *escalation.Engine
	pd      *pagerdutytest.Server
	handler *callback.Handler
	to      *pagerduty.Notifier
	reg     *prometheus.Registry
	// acts replaces the engine where it is set.
	acts func(ctx context.Context, id string, a tocsin.Action) error
	// receipts that came back and are not saved yet.
	receipt  *tocsin.Receipt
	counting int
	// reopened is true once somebody reopened something there.
	reopened bool
}

func newWorld(t require.TestingT, dir string) *world {
	w := &world{TestingT: t, now: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC), reg: prometheus.NewRegistry()}
	var err error
	w.store, err = bolt.Open(filepath.Join(dir, "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	people := map[string]escalation.User{}
	for _, name := range []string{"ana", "bo"} {
		people[name] = escalation.User{Name: name, High: []escalation.Contact{{Target: escalation.Target{Key: "slack:@" + name, Detail: true}}}}
	}
	rules, err := escalation.NewRules(escalation.Spec{Users: people})
	require.NoError(t, err)
	w.engine, err = escalation.NewEngine(rules, escalation.Options{Store: w.store, Now: func() time.Time { return w.now }})
	require.NoError(t, err)
	w.pd = pagerdutytest.New(pagerdutytest.Config{APIToken: token, Now: func() time.Time { return w.now.Add(w.skew) }})
	rest := pagerduty.NewREST(pagerduty.RESTConfig{Token: token, Transport: w.pd.Transport()})
	w.to = pagerduty.New(pagerduty.Config{RoutingKey: routingKey, Transport: w.pd.Transport(), Notes: rest})
	w.handler, err = callback.New(callback.Config{
		Secrets: []string{secret, "canary-old-secret"}, Priorities: map[string]tocsin.Severity{"P1": tocsin.Critical, "P5": tocsin.Info},
	}, callback.Deps{
		Actions: w, Incidents: w.store, Live: w.store.Live, Who: who, Key: rest.IncidentKey,
		Now: func() time.Time { return w.now }, Registerer: w.reg,
	})
	require.NoError(t, err)
	w.pd.Subscribe(pagerdutytest.Subscription{URL: hookURL, Secrets: []string{secret}, Client: pagerdutytest.Through(w.handler)})
	return w
}

func who(id string) (string, bool) {
	name, ok := map[string]string{ana.ID: "ana", bo.ID: "bo"}[id]
	return name, ok
}

// Act implements callback.Actions.
func (w *world) Act(ctx context.Context, id string, a tocsin.Action) error {
	w.counting++
	if w.acts != nil {
		return w.acts(ctx, id, a)
	}
	return w.engine.Act(ctx, id, a)
}

func (w *world) update(do func(tx tocsin.Tx)) {
	require.NoError(w, w.store.Update(context.Background(), func(tx tocsin.Tx) error { do(tx); return nil }))
}

// open opens an incident that PagerDuty is to be told of.
func (w *world) open(id string) {
	w.update(func(tx tocsin.Tx) {
		inc := &tocsin.Incident{
			ID: id, State: tocsin.Triggered, Severity: tocsin.Error, Title: "it burns", Group: tocsin.NewKey(id),
			OpenedAt: w.now, ChangedAt: w.now, Revision: 1, StateRevision: 1,
			Escalation: &tocsin.Escalation{},
		}
		inc.AddTarget(target, false, w.now)
		tx.PutIncident(inc)
	})
}

func (w *world) inc(id string) *tocsin.Incident {
	inc, err := w.store.Get(context.Background(), id)
	require.NoError(w, err)
	return inc
}

func (w *world) act(id string, a tocsin.Action) error {
	w.now = w.now.Add(time.Second)
	return w.engine.Act(context.Background(), id, a)
}

// call makes the call that the dispatcher would make, and keeps the receipt. It
// reports whether there was one to make.
func (w *world) call(id string) bool {
	inc := w.inc(id)
	d := inc.Delivery(target)
	if w.receipt != nil || !d.Lags(inc) {
		return false
	}
	events, err := w.store.Timeline(context.Background(), id, d.Told, 100)
	require.NoError(w, err)
	n := tocsin.Notice{Incident: inc, Delivery: *d, Events: events, Call: d.Calls > d.Called && !d.Stopped, Now: w.now}
	r, err := w.to.Deliver(context.Background(), n)
	require.NoError(w, err)
	if n.Call && !r.More {
		r.Called = d.Calls
	}
	w.receipt = &r
	return true
}

// save saves the receipt that came back.
func (w *world) save(id string) {
	if w.receipt == nil {
		return
	}
	w.update(func(tx tocsin.Tx) {
		inc := tx.Incident(id)
		inc.Delivery(target).Record(*w.receipt, w.now)
		tx.PutIncident(inc)
	})
	w.receipt = nil
}

// settle lets everything be told in both directions, and returns the rounds that
// it took.
func (w *world) settle(id string) int {
	for n := range 40 {
		w.now = w.now.Add(time.Minute)
		w.save(id)
		moved := false
		for w.call(id) {
			w.save(id)
			moved = true
		}
		if w.pd.Send(context.Background()) == 0 && !moved {
			return n
		}
	}
	require.Fail(w, "it goes to and fro for ever")
	return 0
}

// there is PagerDuty's latest incident.
func (w *world) there() pagerdutytest.Incident {
	list := w.pd.Incidents(routingKey)
	require.NotEmpty(w, list)
	return list[len(list)-1]
}

func (w *world) timeline(id string) []string {
	events, err := w.store.Timeline(context.Background(), id, 0, 1000)
	require.NoError(w, err)
	var out []string
	for _, e := range events {
		out = append(out, string(e.Kind)+" "+e.Actor+" "+e.Text)
	}
	return out
}

func (w *world) count(outcome string) int {
	families, err := w.reg.Gather()
	require.NoError(w, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tocsin_pagerduty_webhooks_total" && m.GetLabel()[0].GetValue() == outcome {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return -1
}

// hook posts a body of the test's own.
func (w *world) hook(t *testing.T, body, id, signature string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hookURL, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Webhook-Id", id)
	if signature != "" {
		req.Header.Set("X-PagerDuty-Signature", signature)
	}
	resp, err := pagerdutytest.Through(w.handler).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func (w *world) body(event, key, status string) string {
	return fmt.Sprintf(`{"event":{"id":"E1","event_type":%q,"resource_type":"incident","occurred_at":%q,`+
		`"agent":{"id":"PANA001","type":"user_reference","summary":"Ana"},"data":{"id":"Q1","type":"incident","status":%q,"incident_key":%q}}}`,
		event, w.now.Format(time.RFC3339Nano), status, key)
}

// triggered is a world with an incident that PagerDuty knows of.
func triggered(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	leak.After(t, dir)
	w := newWorld(t, dir)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	w.open("k7f3q9")
	w.settle("k7f3q9")
	return w
}
