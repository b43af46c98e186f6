package command_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
)

// now is a Saturday: 12:00 in Madrid.
var now = time.Date(2026, 1, 10, 11, 0, 0, 0, time.UTC)

// desk is a stateful stand-in for the engine, the router and the store.
type desk struct {
	mu        sync.Mutex
	incidents map[string]*tocsin.Incident
	order     []string
	acted     []tocsin.Action
	opened    []tocsin.Manual
	overrides []tocsin.Override
	silences  []tocsin.Silence
	events    []tocsin.Event
	shifts    []tocsin.Shift
	trouble   error
	puts      int
}

func newDesk() *desk {
	return &desk{incidents: map[string]*tocsin.Incident{}, shifts: []tocsin.Shift{
		{Schedule: "primary", User: "ana", From: now.Add(-time.Hour), To: now.Add(8 * time.Hour), Source: "layer weekdays"},
		{Schedule: "primary", User: "bo", From: now.Add(8 * time.Hour), To: now.Add(32 * time.Hour), Source: "layer weekdays"},
		{Schedule: "storage", From: now.Add(-time.Hour), To: now.Add(time.Hour)},
	}}
}

// open adds an incident.
func (d *desk) open(id, title string, change ...func(*tocsin.Incident)) {
	inc := &tocsin.Incident{
		ID: id, Revision: 1, StateRevision: 1, State: tocsin.Triggered, Severity: tocsin.Critical, Title: title, Alerts: 2, Firing: 2,
		OpenedAt: now.Add(-time.Hour), ChangedAt: now, Runbook: "nodes#down", Route: "tocsin.yml:7", Receivers: []string{"platform"},
	}
	for _, fn := range change {
		fn(inc)
	}
	d.incidents[id], d.order = inc, append(d.order, id)
}

func (d *desk) Act(_ context.Context, id string, a tocsin.Action) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	inc := d.incidents[id]
	switch {
	case d.trouble != nil:
		return d.trouble
	case inc == nil:
		return tocsin.ErrNotFound
	case slices.Contains(inc.Actions, a.ID):
		return nil
	case a.Kind == tocsin.ActResolve && inc.Firing > 0 && !a.Force:
		return fmt.Errorf("%w: %d alerts still fire <!here>", tocsin.ErrConflict, inc.Firing)
	case !inc.Open() && a.Kind != tocsin.ActNote && a.Kind != tocsin.ActReopen:
		return fmt.Errorf("%w: it is resolved", tocsin.ErrConflict)
	}
	inc = inc.Clone()
	switch a.Kind {
	case tocsin.ActAcknowledge, tocsin.ActSnooze:
		inc.Acknowledge(a.By, now)
	case tocsin.ActResolve:
		inc.Resolve(a.By, "", now)
	case tocsin.ActReopen:
		inc.Reopen("", now)
	case tocsin.ActEscalate, tocsin.ActReassign, tocsin.ActAddResponder:
		if inc.Escalation == nil {
			inc.Escalation = &tocsin.Escalation{}
		}
		inc.Escalation.Responders = append(inc.Escalation.Responders, tocsin.Responder{User: or(a.User, "cy"), At: now, Calls: 1})
		if a.Kind == tocsin.ActEscalate {
			d.events = append(d.events, inc.Event(tocsin.EventEscalated, a.By, fmt.Sprintf("escalated by %s to step %d", a.By, a.Step), now))
		}
	case tocsin.ActSeverity:
		inc.Severity = a.Severity
	case tocsin.ActStep:
		if inc.Progress == nil {
			inc.Progress = &tocsin.Progress{}
		}
		inc.Progress.Steps = append(inc.Progress.Steps, tocsin.StepProgress{Step: a.RunbookStep, Status: a.Status, By: a.By, At: now})
	default:
	}
	d.events = append(d.events, inc.Event(tocsin.EventNote, a.By, string(a.Kind)+" "+a.Text, now))
	inc.Do(a.ID)
	d.incidents[id] = inc
	d.acted = append(d.acted, a)
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (d *desk) OpenManual(_ context.Context, m tocsin.Manual) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.opened {
		if m.Key != "" && d.opened[n].Key == m.Key {
			return fmt.Sprintf("mmmmm%d", n+2), nil
		}
	}
	d.opened = append(d.opened, m)
	id := fmt.Sprintf("mmmmm%d", len(d.opened)+1)
	d.open(id, m.Title, func(i *tocsin.Incident) {
		i.Kind, i.Alerts, i.Firing, i.Text = tocsin.KindManual, 0, 0, m.Text
		if m.User != "" {
			i.Escalation = &tocsin.Escalation{Responders: []tocsin.Responder{{User: m.User, At: now, Calls: 1}}}
		}
	})
	return id, nil
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
	for _, id := range d.order {
		if inc := d.incidents[id]; (len(f.States) == 0 || slices.Contains(f.States, inc.State)) && (f.Only == nil || f.Only(inc)) {
			out = append(out, inc)
		}
	}
	return out[:min(len(out), f.Limit)], d.trouble
}

func (d *desk) AlertsOf(_ context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	var out []tocsin.AlertRecord
	for n := range min(limit, 2) {
		a := tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown", "instance": fmt.Sprint(id, n)}, Firing: true}
		out = append(out, tocsin.AlertRecord{Alert: a, State: tocsin.AlertState{Firing: true}})
	}
	return out, nil
}

func (d *desk) Timeline(_ context.Context, id string, _ uint64, limit int) ([]tocsin.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []tocsin.Event
	for _, e := range d.events {
		if e.Incident == id {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], nil
}

func (*desk) Documents(context.Context, string) ([]tocsin.Document, uint64, error) {
	return nil, 0, nil
}

func (*desk) Schedules() []tocsin.ScheduleInfo {
	return []tocsin.ScheduleInfo{{Name: "primary"}, {Name: "storage"}, {Name: "cy"}}
}

func (d *desk) Shifts(_ context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	var out []tocsin.Shift
	for _, s := range d.shifts {
		within := s.From.Before(q.To) && q.From.Before(s.To) || q.From.Equal(q.To) && !q.From.Before(s.From) && q.From.Before(s.To)
		if within && (q.Schedule == "" || s.Schedule == q.Schedule) && (q.User == "" || s.User == q.User) {
			out = append(out, s)
		}
	}
	return out, nil
}

func (d *desk) Overrides(context.Context) ([]tocsin.Override, error) { return d.overrides, nil }

func (d *desk) PutOverride(_ context.Context, o tocsin.Override) (tocsin.Override, error) {
	d.puts++
	for _, is := range d.overrides {
		if is.User == o.User && is.From.Equal(o.From) && is.To.Equal(o.To) {
			return is, nil
		}
	}
	o.ID, o.State = fmt.Sprintf("rrrrr%d", len(d.overrides)+2), tocsin.OverrideActive
	d.overrides = append(d.overrides, o)
	return o, nil
}

func (d *desk) AnswerOverride(_ context.Context, id, by string, _ tocsin.OverrideAnswer) (tocsin.Override, error) {
	for n := range d.overrides {
		if d.overrides[n].ID == id {
			d.overrides[n].State, d.overrides[n].EndedBy = tocsin.OverrideCancelled, by
			return d.overrides[n], nil
		}
	}
	return tocsin.Override{}, tocsin.ErrNotFound
}

func (d *desk) PutSilence(_ context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	if slices.Contains(s.Matchers, `a=~"("`) {
		return s, tocsin.Invalid("matchers", "not a regular expression <!channel>")
	}
	s.ID = fmt.Sprintf("sssss%d", len(d.silences)+2)
	d.silences = append(d.silences, s)
	return s, nil
}

func (d *desk) ExpireSilence(_ context.Context, id, _ string) error {
	for n := range d.silences {
		if d.silences[n].ID == id {
			d.silences[n].EndsAt = now
			return nil
		}
	}
	return tocsin.ErrNotFound
}

func (d *desk) Silences(context.Context) ([]tocsin.Silence, error) { return d.silences, nil }

// shelf are the runbooks.
type shelf struct{}

func (shelf) List() []*tocsin.Runbook {
	return []*tocsin.Runbook{
		{ID: "nodes#down", Title: "Node down", Alerts: []string{"NodeDown"}, Steps: []tocsin.Step{{ID: "s1", Text: "Look at it"}, {ID: "s2", Text: "Turn it on"}}},
		{ID: "nodes#full", Title: "Node full", Sections: []tocsin.Section{{Title: "Meaning", Text: "No room <!here>"}}},
		{ID: "pay", Title: "Payments", Steps: []tocsin.Step{{ID: "s1", Text: "Call the bank"}}},
	}
}

// names are the users with their IDs in Slack; ana responds, bo manages, vi views.
var names = map[string]string{"U0ANA0001": "ana", "U0BO00001": "bo", "U0VI00001": "vi", "U0CY00001": "cy"}

// person is what a user may do; web and dba have rights in a team only.
func person(name string) tocsin.Principal {
	in := func(roles map[string]tocsin.Role, schedule string) tocsin.Principal {
		return tocsin.Principal{Name: name, Role: tocsin.RoleNone, Teams: roles, Receivers: roles, Schedules: map[string]tocsin.Role{schedule: roles[schedule]}}
	}
	switch name {
	case "web":
		return in(map[string]tocsin.Role{"primary": tocsin.RoleResponder}, "primary")
	case "dba":
		return in(map[string]tocsin.Role{"storage": tocsin.RoleManager, "storage-chat": tocsin.RoleManager}, "storage")
	case "sia", "sivi": // in a team that has silences
		who := in(map[string]tocsin.Role{"primary": tocsin.RoleResponder}, "primary")
		who.Silences = []tocsin.SilenceScope{{Matchers: []string{`team="web"`}, Role: map[string]tocsin.Role{"sia": tocsin.RoleResponder, "sivi": tocsin.RoleViewer}[name]}}
		return who
	case "new":
		return tocsin.Principal{Name: name, Role: tocsin.RoleNone}
	}
	return tocsin.Principal{Name: name, Role: map[string]tocsin.Role{"bo": tocsin.RoleManager, "vi": tocsin.RoleViewer}[name]}
}

func deps(d *desk) command.Deps {
	return command.Deps{
		Actions: d, Reader: d, OnCall: d, Overrides: d, Silencer: d, Runbooks: shelf{},
		Runbook: func(id string, _ tocsin.Labels) *tocsin.Runbook {
			for _, rb := range (shelf{}).List() {
				if rb.ID == id {
					return rb
				}
			}
			return nil
		},
		Ahead: func(*tocsin.Incident) []tocsin.Ahead {
			return []tocsin.Ahead{{At: now.Add(time.Minute), Text: "bo by Slack"}}
		},
		Why: func(_ context.Context, inc *tocsin.Incident, who string) []string {
			return []string{"*Why me?* " + slack.State(inc), slack.Escape(who, 20)}
		},
		Handoff: func(_ context.Context, _ *tocsin.Principal, schedule string) (string, error) {
			return "Open and not taken:\n  k7f3q9 <!here> " + schedule, nil
		},
		Status:   func(context.Context) []string { return []string{"ready since noon"} },
		People:   func() []string { return []string{"ana", "bo", "cy", "vi", "web", "dba", "new"} },
		Policies: func() []string { return []string{"platform"} },
		Who:      func(id string) (string, bool) { n, ok := names[id]; return n, ok },
		Person:   person,
		Zone: func(name string) *time.Location {
			if name == "ana" {
				loc, _ := time.LoadLocation("Europe/Madrid")
				return loc
			}
			return nil
		},
		Now: func() time.Time { return now },
	}
}

// bench is a desk with two incidents, and what people type to it.
type bench struct {
	testing.TB
	*desk
	run *command.Desk
	n   int
}

func newBench(t testing.TB) *bench {
	t.Helper()
	d := newDesk()
	d.open("k7f3q9", "Node is down")
	d.open("m2x8p4", "Disk <!here> is full", func(i *tocsin.Incident) { i.Firing = 0 })
	return &bench{TB: t, desk: d, run: command.New(deps(d))}
}

// says has somebody type something new.
func (b *bench) says(who, text string) slack.Reply {
	b.Helper()
	b.n++
	r, err := b.run.Run(b.Context(), slack.Said{ID: fmt.Sprintf("slack:%d", b.n), Who: who, User: "U0" + who, Channel: "C1", Text: text, At: now})
	require.NoError(b, err)
	return r
}

// lines are those of ana's answer.
func (b *bench) lines(text string) string {
	b.Helper()
	return strings.Join(b.says("ana", text).Lines, "\n")
}
