package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Receiver takes alerts. When Receive returns nil, what the batch says is
// durable. It does not wait longer than ctx allows.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Actions are what people do to incidents.
type Actions interface {
	// Act does a to the incident. a.Kind is one of the kinds, a.By is set, and
	// what the kind needs is there and within bounds. It returns
	// tocsin.ErrNotFound for an incident that does not exist, tocsin.ErrConflict
	// (its text is shown to the caller) for what wants a confirmation, and
	// tocsin.Invalid for a user, schedule, policy or incident that a names and
	// that does not exist. Doing it again, with the same a.ID or where there is
	// nothing left to do, is a success.
	Act(ctx context.Context, id string, a tocsin.Action) error
}

// OnCall answers who is on call. Its answers are the caller's to keep.
type OnCall interface {
	// Schedules returns all of them, in the order of the configuration.
	Schedules() []tocsin.ScheduleInfo
	// Shifts returns the shifts in [q.From, q.To), gaps too, by schedule, then by
	// From. Where q.From is q.To it returns those that hold at that instant,
	// whole. It returns tocsin.ErrNotFound for a schedule or user that does not
	// exist.
	Shifts(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error)
	// Coverage returns the spans in [from, to) in which some policy would reach
	// nobody, by From.
	Coverage(ctx context.Context, from, to time.Time) ([]tocsin.Uncovered, error)
	// Fairness returns what each person bears in [from, to).
	Fairness(ctx context.Context, from, to time.Time) ([]tocsin.Share, error)
}

// Overrides keeps the changes to schedules.
type Overrides interface {
	// Overrides returns all that are kept, ended ones too.
	Overrides(ctx context.Context) ([]tocsin.Override, error)
	// PutOverride makes an override and returns it as it was kept. It gives ID,
	// State and CreatedAt; the others are set, and within bounds. It returns
	// tocsin.Invalid for a user or schedule that does not exist.
	PutOverride(ctx context.Context, o tocsin.Override) (tocsin.Override, error)
	// AnswerOverride cancels an override, or answers a swap. Doing it again is a
	// success. It returns tocsin.ErrNotFound for an override that does not exist,
	// and tocsin.ErrConflict where the override cannot be answered so any more.
	AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error)
}

// Silencer keeps silences. PutSilence gives a silence without an ID one.
type Silencer interface {
	// PutSilence makes or changes a silence and returns it as it was kept.
	PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error)
	// ExpireSilence ends a silence now.
	ExpireSilence(ctx context.Context, id, by string) error
	// Silences returns all that are kept, expired ones too.
	Silences(ctx context.Context) ([]tocsin.Silence, error)
}

// Runbooks is the library. Get returns nil where there is none.
type Runbooks interface {
	// Get returns the runbook of an ID, or nil.
	Get(id string) *tocsin.Runbook
	// List returns all of them.
	List() []*tocsin.Runbook
}

// Health tells whether alerts would be taken now. The error's lines, as
// errors.Join writes them, are the reasons why not.
type Health interface {
	// Ready returns nil while alerts would be taken.
	Ready() error
}

// Deps are what the server stands on. Receiver, Reader, Actions, Silencer,
// Runbooks and Health are required.
type Deps struct {
	Receiver Receiver
	Reader   tocsin.Reader
	Actions  Actions
	Silencer Silencer
	Runbooks Runbooks
	Health   Health

	// Manual opens an incident by hand and returns its ID. It returns tocsin.Invalid
	// for what m names and does not exist. Nil: 404.
	Manual func(ctx context.Context, m tocsin.Manual) (id string, err error)
	// Reload reads the configuration again; its error is shown to the caller.
	// by is who asked for it. Nil: POST /-/reload is answered with 404.
	Reload func(ctx context.Context, by string) error
	// Backup writes a hot backup of the store for somebody. Nil: 404.
	Backup func(ctx context.Context, by string, w io.Writer) (int64, error)
	// Audit is the audit log. Nil: 404.
	Audit Audit
	// Stats is what GET /api/v1/stats shows. Nil: 404.
	Stats func() tocsin.Stats
	// FillRunbook returns a copy of the runbook with its placeholders filled
	// from an alert's labels. Nil: runbooks are shown as they are written.
	FillRunbook func(*tocsin.Runbook, tocsin.Labels) *tocsin.Runbook
	// RunbookUsage says how the runbooks were used. It answers in time, with what it
	// has. Nil: 404.
	RunbookUsage func(ctx context.Context) (tocsin.RunbookUsage, error)
	// RunbookGaps says what the runbooks lack. It answers in time, with what it has.
	// Nil: it is not known.
	RunbookGaps func(ctx context.Context) (RunbookGaps, error)
	// LoadedRules holds the rules that Prometheus has loaded against the runbooks. It
	// answers in time, with what it has. Nil: there is no Prometheus.
	LoadedRules func(ctx context.Context) tocsin.LoadedRules
	// OnCall answers who is on call. Nil: 404.
	OnCall OnCall
	// Overrides keeps the changes to schedules. Nil: 404.
	Overrides Overrides
	// Ahead returns what happens to an incident if nobody answers, the next
	// first. Nil: nothing is known to.
	Ahead func(*tocsin.Incident) []tocsin.Ahead
	// Calendar returns the iCalendar feed (RFC 5545) of a schedule or of a user:
	// one of the two names is set. It returns tocsin.ErrNotFound where there is no
	// such schedule or user. Nil: 404.
	Calendar func(ctx context.Context, schedule, user string) ([]byte, error)
	// Callbacks are what providers call back, by path. A path may hold parameters,
	// as /webhook/sns/:name does; a handler finds them with Request.PathValue. Each
	// is asked with POST only, with the whole body, of 1 MiB at the most, which is
	// its own until it returns, and with a context that ends after Limits.Wait. It
	// is asked by anybody: it verifies for itself who sends. It answers 2xx only
	// for what is durable.
	Callbacks map[string]http.Handler
	// JSON takes what POST /webhook/json/{name} brings, from senders that have the
	// intake's credentials, and returns the number of alerts once they are durable.
	// The body is within Limits.Body and the door's own until it returns. It returns
	// tocsin.ErrNotFound for a name that it does not know, and tocsin.Invalid with
	// the path in the body that is wrong. Nil: 404.
	JSON func(ctx context.Context, name string, body []byte) (alerts int, err error)
	// Heartbeat takes a sign of life, from senders that have the intake's
	// credentials. It returns tocsin.ErrNotFound for a name that it does not know.
	// Nil: 404.
	Heartbeat func(ctx context.Context, name string) error
	// Beside returns what stands beside an incident's steps: how often its alert
	// fired, what was done the last times, what is similar, what was changed. It
	// answers in time, with what it has. It tells of nothing that who may not view.
	// Nil: 404.
	Beside func(ctx context.Context, who *tocsin.Principal, incident string) ([]Fact, error)
	// Why returns every decision on an incident's way, from the payload to the
	// providers' answers, for somebody who asks, or tocsin.ErrNotFound. Nil: 404.
	Why func(ctx context.Context, who *tocsin.Principal, incident string) (*tocsin.Why, error)
	// Insights counts what happened to the incidents opened in [from, to), those that
	// who may view. It answers in time, with what it has read. Nil: 404.
	Insights func(ctx context.Context, who *tocsin.Principal, from, to time.Time) (tocsin.Insights, error)
	// Values returns what the expressions of an incident's rule and of its runbook
	// give now. It answers in time, with what it has. Nil: 404.
	Values func(ctx context.Context, incident string) ([]LiveValue, error)
	// Graph draws, as SVG, what an expression of an incident asks for; see
	// LiveValue.Step and Query. It returns tocsin.ErrNotFound where there is nothing
	// to ask for. Nil: 404.
	Graph func(ctx context.Context, incident string, step, query int) ([]byte, error)
	// Picture draws, as PNG, what the rule of an incident's alert asks for, and "no
	// data" where that is not known in time. It returns tocsin.ErrNotFound where
	// there is nothing to ask for. It is for whoever has one of the Links. Nil, or
	// without Links: 404.
	Picture func(ctx context.Context, incident string) ([]byte, error)
	Links   *Links
	// Hides counts what a silence of matchers in Alertmanager's syntax would hide of
	// what somebody may view. It answers in time, with what it has. Nil: it is not known.
	Hides func(ctx context.Context, who *tocsin.Principal, matchers []string) (tocsin.Hidden, error)
	// Remedies knows the remedies; Remediator runs them. Nil: 404.
	Remedies   Remedies
	Remediator Remediator
	// Log is followed by the live pages and by GET /api/v1/events. Nil: pages are not
	// live, and the stream is 404.
	Log EventLog
	// Changed gets a value after commits; one that it is too full for may be
	// dropped. Nil: what is new is found within seconds.
	Changed <-chan struct{}
	// Tokens keeps the tokens that Tocsin has made. Nil: there are none but the
	// configuration's.
	Tokens Tokens
	// Sessions keeps the log-ins of browsers. Nil: there are none.
	Sessions Sessions
	// Login is the provider that people log in with; it needs Sessions and Who.
	// Nil: there is no log-in.
	Login Login
	// Who says what a person is called, and what they may do, for whom the provider
	// or the proxy vouches. Its error is shown to the person. Nil: nobody is let in
	// that way.
	Who func(tocsin.Identity) (tocsin.Principal, error)
	// Bearer says what somebody may do who has one of Tokens. Nil: its role, and nothing
	// with one of a team.
	Bearer func(tocsin.Token) tocsin.Principal
	// Teams returns the names of the teams. Nil: there are none.
	Teams func() []string
	// TeamReceivers returns the names of a team's receivers. Nil: lists are not
	// narrowed to teams.
	TeamReceivers func(team string) []string
	// Version of the program, and Receivers the names of those that are configured:
	// what Alertmanager's API tells of itself. Empty and nil: it tells nothing.
	Version   string
	Receivers func() []string
	// ChangesBefore returns what was changed before an incident, the newest first,
	// in time, for its postmortem. Nil: nothing is known to have been.
	ChangesBefore func(context.Context, *tocsin.Incident) ([]tocsin.Event, error)
	// StatusPage returns what anybody may see of how things stand, as it is
	// configured now; nil: nothing. Where it returns the same pointer, it is the same
	// page. Nil: there is none.
	StatusPage func() *StatusPage
	// System tells how the program itself stands. Nil: 404.
	System func(ctx context.Context) (System, error)
	// Metrics serves /metrics. Nil: 404.
	Metrics http.Handler
	// Pages serves everything that no other route does, instead of the built-in
	// pages. Nil: the built-in pages.
	Pages http.Handler

	// Logger is for everything worth a line; nil: none.
	Logger *slog.Logger
	// Registerer gets the server's metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (d Deps) withDefaults() (Deps, error) {
	switch {
	case d.Receiver == nil:
		return d, errors.New("no Receiver")
	case d.Reader == nil:
		return d, errors.New("no Reader")
	case d.Actions == nil:
		return d, errors.New("no Actions")
	case d.Silencer == nil:
		return d, errors.New("no Silencer")
	case d.Runbooks == nil:
		return d, errors.New("no Runbooks")
	case d.Health == nil:
		return d, errors.New("no Health")
	}
	for path, h := range d.Callbacks {
		if h == nil || len(path) == 0 || path[0] != '/' {
			return d, fmt.Errorf("callback %q: want a handler and a path that begins with /", path)
		}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Registerer == nil {
		d.Registerer = prometheus.NewRegistry()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d, nil
}
