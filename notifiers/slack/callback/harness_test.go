package callback_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	secret = "canary31b10e8888abcd99yyyzzz85a5"
	ana    = "U0ANA0001"
	bo     = "U0BO00001"
	guest  = "U0GUEST01"
)

// desk is a stateful stand-in for the engine and the store.
type desk struct {
	mu        sync.Mutex
	incidents map[string]*tocsin.Incident
	alerts    map[string][]tocsin.AlertRecord
	events    []tocsin.Event
	acted     []tocsin.Action
	silences  []tocsin.Silence
	shifts    []tocsin.Shift
	// runbook is that of every incident that names one.
	runbook *tocsin.Runbook
	// stuck are the steps that cannot be ticked, and why.
	stuck map[string]error
	// trouble is what Act and PutSilence fail with; slow is how long they take.
	trouble error
	slow    time.Duration
	// changed is told what Act changed.
	changed func(*tocsin.Incident)
}

func (d *desk) wait(ctx context.Context) error {
	d.mu.Lock()
	slow, trouble := d.slow, d.trouble
	d.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return tocsin.Unavailable(ctx.Err())
		}
	}
	return trouble
}

func (d *desk) Act(ctx context.Context, id string, a tocsin.Action) error {
	if err := d.wait(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	inc := d.incidents[id]
	if inc == nil {
		d.mu.Unlock()
		return tocsin.ErrNotFound
	}
	inc = inc.Clone()
	if slices.Contains(inc.Actions, a.ID) {
		d.mu.Unlock()
		return nil
	}
	if err := d.apply(inc, a); err != nil {
		d.mu.Unlock()
		return err
	}
	inc.Do(a.ID)
	d.incidents[id] = inc
	d.acted = append(d.acted, a)
	changed := d.changed
	d.mu.Unlock()
	if changed != nil {
		changed(inc)
	}
	return nil
}

func (d *desk) apply(inc *tocsin.Incident, a tocsin.Action) error {
	now := time.Now()
	add := func(e tocsin.Event) {
		e.Seq = uint64(len(d.events) + 1)
		d.events = append(d.events, e)
	}
	if !inc.Open() && a.Kind != tocsin.ActNote {
		return fmt.Errorf("%w: incident %s is resolved", tocsin.ErrConflict, inc.ID)
	}
	switch a.Kind {
	case tocsin.ActAcknowledge:
		e, _ := inc.Acknowledge(a.By, now)
		add(e)
	case tocsin.ActResolve:
		if inc.Firing > 0 && !a.Force {
			return fmt.Errorf("%w: %d alerts still fire", tocsin.ErrConflict, inc.Firing)
		}
		e, _ := inc.Resolve(a.By, "resolved by "+a.By, now)
		add(e)
	case tocsin.ActSnooze:
		inc.Acknowledge(a.By, now)
		inc.Escalation = &tocsin.Escalation{SnoozedUntil: a.Until}
		inc.Touch(now)
		add(inc.Event(tocsin.EventSnoozed, a.By, "snoozed by "+a.By, now))
	case tocsin.ActEscalate:
		inc.Touch(now)
		add(inc.Event(tocsin.EventEscalated, a.By, strings.TrimSpace("escalated by "+a.By+" "+a.User), now))
	case tocsin.ActNote:
		inc.Touch(now)
		add(inc.Event(tocsin.EventNote, a.By, a.Text, now))
	case tocsin.ActStep:
		return d.step(inc, a, now)
	default:
		return tocsin.Invalid("action", "%q is not known", a.Kind)
	}
	return nil
}

// step says where a step stands; of two who say the same the first stands.
func (d *desk) step(inc *tocsin.Incident, a tocsin.Action, now time.Time) error {
	if inc.Progress == nil {
		inc.Progress = &tocsin.Progress{}
	}
	if d.stuck[a.RunbookStep] != nil {
		return d.stuck[a.RunbookStep]
	}
	if inc.Progress.Status(a.RunbookStep) == a.Status {
		return nil
	}
	if inc.Progress.Of(a.RunbookStep) == nil {
		inc.Progress.Steps = append(inc.Progress.Steps, tocsin.StepProgress{Step: a.RunbookStep})
	}
	p := inc.Progress.Of(a.RunbookStep)
	p.Status, p.By, p.At, p.Via = a.Status, a.By, now, a.Via
	inc.Touch(now)
	return nil
}

func (d *desk) actions() []tocsin.Action {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.acted)
}

func (d *desk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = err
}

// change changes an incident behind everybody's back.
func (d *desk) change(id string, fn func(*tocsin.Incident)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	inc := d.incidents[id].Clone()
	fn(inc)
	d.incidents[id] = inc
}

func (d *desk) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if inc := d.incidents[id]; inc != nil {
		return inc, nil
	}
	return nil, tocsin.ErrNotFound
}

func (d *desk) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*tocsin.Incident
	for _, inc := range d.incidents {
		if (len(f.States) == 0 || slices.Contains(f.States, inc.State)) && (f.Only == nil || f.Only(inc)) {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (d *desk) AlertsOf(_ context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.alerts[id]
	return all[:min(limit, len(all))], nil
}

func (d *desk) Timeline(_ context.Context, id string, after uint64, _ int) ([]tocsin.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []tocsin.Event
	for _, e := range d.events {
		if e.Incident == id && e.Seq > after {
			out = append(out, e)
		}
	}
	return out, nil
}

func (d *desk) book(string, tocsin.Labels) *tocsin.Runbook {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runbook
}

func (*desk) Documents(context.Context, string) ([]tocsin.Document, uint64, error) {
	return nil, 0, nil
}

func (d *desk) PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	if err := d.wait(ctx); err != nil {
		return s, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.ID = fmt.Sprintf("sssss%d", len(d.silences)+1)
	d.silences = append(d.silences, s)
	return s, nil
}

func (d *desk) Shifts(_ context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	var out []tocsin.Shift
	for _, s := range d.shifts {
		if s.User == q.User {
			out = append(out, s)
		}
	}
	return out, nil
}

// world is a workspace whose buttons lead to a handler, over a desk.
type world struct {
	testing.TB
	slack   *slacktest.Server
	client  *slack.Client
	handler *callback.Handler
	mux     *http.ServeMux
	desk    *desk
	logs    *buffer
	metrics *prometheus.Registry

	mu    sync.Mutex
	shown map[string]tocsin.Notice
	// runs are the remediations that the messages show.
	runs []tocsin.Remediation
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) lines(with string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for line := range strings.SplitSeq(b.b.String(), "\n") {
		if line != "" && strings.Contains(line, with) {
			n++
		}
	}
	return n
}

type option func(*callback.Config, *callback.Deps, *slacktest.Callbacks)

func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	w := &world{
		TB: t, slack: slacktest.New(slacktest.WithAutoCreate()), mux: http.NewServeMux(), logs: &buffer{}, metrics: prometheus.NewRegistry(),
		shown: map[string]tocsin.Notice{},
		desk:  &desk{incidents: map[string]*tocsin.Incident{}, alerts: map[string][]tocsin.AlertRecord{}},
	}
	for id, name := range map[string]string{ana: "ana", bo: "bo", guest: "guest"} {
		w.slack.AddUser(slacktest.User{ID: id, Name: name, RealName: name})
	}
	w.client = slack.New(slack.Config{Token: "xoxb-canary", APIURL: slacktest.URL, HTTPClient: w.slack.Client(), Buttons: true})
	names := map[string]string{ana: "ana", bo: "bo"}
	cfg := callback.Config{
		SigningSecret: secret, Team: func() string { return slacktest.TeamID }, Registerer: w.metrics,
		Logger: slog.New(slog.NewTextHandler(leak.Log(t, w.logs), nil)),
	}
	deps := callback.Deps{
		Actions: w.desk, Reader: w.desk, Slack: w.client, Silencer: w.desk, Shifts: w.desk.Shifts, Runbook: w.desk.book,
		Who: func(id string) (string, bool) { name, ok := names[id]; return name, ok },
	}
	calls := slacktest.Callbacks{
		Secret: secret, Handler: w.mux, Interactions: "http://tocsin.test/slack/interactions",
		Commands: "http://tocsin.test/slack/commands", Events: "http://tocsin.test/slack/events",
	}
	for _, o := range opts {
		o(&cfg, &deps, &calls)
	}
	w.handler = callback.New(cfg, deps)
	w.mux.Handle("/slack/interactions", w.handler.Interactions())
	w.mux.Handle("/slack/commands", w.handler.Commands())
	w.mux.Handle("/slack/events", w.handler.Events())
	w.slack.SetCallbacks(calls)
	w.desk.changed = w.show
	t.Cleanup(w.slack.Close)
	return w
}

// open makes an incident of two firing alerts and shows it in #incidents.
func (w *world) open(id string, change ...func(*tocsin.Incident)) *tocsin.Incident {
	w.Helper()
	now := time.Now()
	inc := &tocsin.Incident{
		ID: id, Revision: 1, StateRevision: 1, State: tocsin.Triggered, Severity: tocsin.Critical, Title: "Node " + id + " is down",
		GroupBy: []string{"region", "job"}, Route: "alertmanager.yml:31", Receivers: []string{"platform"}, OpenedAt: now, ChangedAt: now,
		Alerts: 2, Firing: 2, Group: tocsin.NewKey("group"),
	}
	inc.AddTarget("slack:#incidents", true, now)
	for _, fn := range change {
		fn(inc)
	}
	w.desk.mu.Lock()
	w.desk.incidents[id] = inc
	for n := range 2 {
		a := tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown", "region": "eu", "job": `no"de`, "instance": fmt.Sprint(id, n)}, Firing: true, StartsAt: now}
		w.desk.alerts[id] = append(w.desk.alerts[id], tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{Firing: true, StartsAt: now}})
	}
	w.desk.mu.Unlock()
	w.show(inc)
	return inc
}

// show brings the incident's message up to date, as the dispatcher does.
func (w *world) show(inc *tocsin.Incident) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.shown[inc.ID]
	ref := n.Delivery.Ref
	n = tocsin.Notice{Incident: inc, Delivery: inc.Deliveries[0], Now: time.Now()}
	n.Delivery.Ref, n.Remediations = ref, w.runs
	n.Alerts, _ = w.desk.AlertsOf(w.Context(), inc.ID, 8)
	n.GroupLabels = n.Alerts[0].Labels.Pick(inc.GroupBy)
	if inc.Runbook != "" {
		n.Runbook = w.desk.book(inc.Runbook, nil)
	}
	r, err := w.client.Channel("#incidents").Deliver(w.Context(), n)
	require.NoError(w, err)
	if r.Ref != "" {
		n.Delivery.Ref = r.Ref
		w.desk.change(inc.ID, func(i *tocsin.Incident) { i.Deliveries[0].Ref = r.Ref })
	}
	w.shown[inc.ID] = n
}

// message is the incident's message.
func (w *world) message(id string) slacktest.Message {
	w.Helper()
	w.mu.Lock()
	ref := w.shown[id].Delivery.Ref
	w.mu.Unlock()
	for _, m := range w.slack.Messages("incidents") {
		if m.Channel+"/"+m.TS == ref {
			return m
		}
	}
	require.Fail(w, "no message of "+id)
	return slacktest.Message{}
}

// click has somebody click on the incident's message.
func (w *world) click(id, user, action string, choice ...string) slacktest.Answer {
	w.Helper()
	m := w.message(id)
	a, err := w.slack.Click(m.Channel, m.TS, user, action, choice...)
	require.NoError(w, err)
	return a
}

// settle waits until everything has been said.
func (w *world) settle() {
	w.Helper()
	require.NoError(w, w.handler.Close(w.Context()))
}

// eventually waits until something has been said to the user, and returns it.
func (w *world) told(user string) string {
	w.Helper()
	var out string
	require.Eventually(w, func() bool {
		all := w.slack.Ephemerals(user)
		if len(all) == 0 {
			return false
		}
		out = string(all[len(all)-1].Blocks)
		return true
	}, 5*time.Second, 2*time.Millisecond, "nothing was said to %s", user)
	return out
}

// window waits for the modal that opens before the user.
func (w *world) window(user string) slacktest.View {
	w.Helper()
	var v slacktest.View
	require.Eventually(w, func() bool {
		var ok bool
		v, ok = w.slack.View(user)
		return ok
	}, 5*time.Second, 2*time.Millisecond, "no modal opened before %s", user)
	return v
}
