// Package postmortem writes down what happened in an incident, as data and as
// Markdown. It asks nobody: everything that it tells, it is given.
package postmortem

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Material is what is known of an incident. Only Incident is required. It is
// shared: nothing of it is changed.
type Material struct {
	Incident *tocsin.Incident
	// URL of the incident's page; empty: none.
	URL string
	// Alerts are the first of them; Incident.Alerts says how many there are.
	Alerts []tocsin.AlertRecord
	// Timeline is the newest part of it, oldest first; Cut tells that there is more.
	Timeline []tocsin.Event
	Cut      bool
	// Runbook is its title, and Steps how its steps stand.
	Runbook string
	Steps   []tocsin.StepView
	// Remediations of the incident.
	Remediations []tocsin.Remediation
	// Silences that held for some of the alerts while the incident was open.
	Silences []tocsin.Silence
	// Changes that were made before it.
	Changes []tocsin.Event
	// Missing says what could not be read.
	Missing []string
}

// Report is what a postmortem tells. Lists are in the order of time and never nil.
type Report struct {
	Incident string          `json:"incident"`
	URL      string          `json:"url,omitempty"`
	Title    string          `json:"title"`
	State    tocsin.State    `json:"state"`
	Severity tocsin.Severity `json:"severity"`

	OpenedAt time.Time `json:"openedAt"`
	// AcknowledgedAt is when somebody took it for the first time; zero: nobody has.
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
	AcknowledgedBy string    `json:"acknowledgedBy,omitempty"`
	ResolvedAt     time.Time `json:"resolvedAt,omitzero"`
	ResolvedBy     string    `json:"resolvedBy,omitempty"`
	// SecondsToAcknowledge and SecondsToResolve are from OpenedAt on; nil: it has
	// not happened.
	SecondsToAcknowledge *int64 `json:"secondsToAcknowledge,omitempty"`
	SecondsToResolve     *int64 `json:"secondsToResolve,omitempty"`
	Reopened             uint32 `json:"reopened,omitempty"`

	Responders []tocsin.Responder `json:"responders"`
	Runbook    string             `json:"runbook,omitempty"`
	Steps      []tocsin.StepView  `json:"steps"`
	Remedies   []Remedy           `json:"remedies"`
	Notes      []tocsin.Event     `json:"notes"`
	// Alerts are the first of AlertsTotal.
	Alerts      []Alert          `json:"alerts"`
	AlertsTotal uint32           `json:"alertsTotal"`
	Silences    []tocsin.Silence `json:"silences"`
	Changes     []tocsin.Event   `json:"changes"`
	Timeline    []tocsin.Event   `json:"timeline"`
	// TimelineCut tells that the timeline begins later than the incident.
	TimelineCut bool     `json:"timelineCut,omitempty"`
	Missing     []string `json:"missing"`
}

// Remedy is one run of a remedy.
type Remedy struct {
	ID     string                  `json:"id"`
	Remedy string                  `json:"remedy"`
	Target string                  `json:"target"`
	State  tocsin.RemediationState `json:"state"`
	Why    string                  `json:"why,omitempty"`
	// ProposedBy is who asked for it, empty: Tocsin; ApprovedBy are who said yes.
	ProposedBy string    `json:"proposedBy,omitempty"`
	ApprovedBy []string  `json:"approvedBy,omitempty"`
	ProposedAt time.Time `json:"proposedAt"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	EndedAt    time.Time `json:"endedAt,omitzero"`
}

// Alert is one alert of the incident.
type Alert struct {
	Labels   tocsin.Labels `json:"labels"`
	Summary  string        `json:"summary"`
	StartsAt time.Time     `json:"startsAt"`
	// EndsAt is zero while it fires.
	EndsAt time.Time `json:"endsAt,omitzero"`
	// Suppressed says why it did not page at last; empty: it did.
	Suppressed string `json:"suppressed,omitempty"`
}

// Of returns the report.
func Of(m *Material) *Report {
	i := m.Incident
	r := &Report{
		Incident: i.ID, URL: m.URL, Title: i.Title, State: i.State, Severity: i.Severity, OpenedAt: i.OpenedAt, Reopened: i.Reopened,
		ResolvedAt: i.ResolvedAt, ResolvedBy: i.ResolvedBy, AcknowledgedAt: i.AcknowledgedAt, AcknowledgedBy: i.AcknowledgedBy,
		Responders: []tocsin.Responder{}, Runbook: m.Runbook, Steps: list(m.Steps), Remedies: []Remedy{}, Notes: []tocsin.Event{},
		Alerts: []Alert{}, AlertsTotal: i.Alerts, Silences: sorted(m.Silences, func(s tocsin.Silence) time.Time { return s.StartsAt }),
		Changes:  sorted(m.Changes, func(e tocsin.Event) time.Time { return e.At }),
		Timeline: list(m.Timeline), TimelineCut: m.Cut, Missing: list(m.Missing),
	}
	if i.Escalation != nil {
		r.Responders = list(i.Escalation.Responders)
	}
	for _, e := range m.Timeline {
		if e.Kind == tocsin.EventNote && e.Actor != "" {
			r.Notes = append(r.Notes, e)
		}
	}
	r.acknowledged(m)
	r.SecondsToAcknowledge, r.SecondsToResolve = seconds(r.OpenedAt, r.AcknowledgedAt), seconds(r.OpenedAt, r.ResolvedAt)
	for n := range m.Remediations {
		r.Remedies = append(r.Remedies, remedyOf(&m.Remediations[n]))
	}
	slices.SortStableFunc(r.Remedies, func(a, b Remedy) int { return a.ProposedAt.Compare(b.ProposedAt) })
	for n := range m.Alerts {
		r.Alerts = append(r.Alerts, alertOf(&m.Alerts[n]))
	}
	return r
}

// acknowledged finds the first acknowledgement: the incident remembers the last.
func (r *Report) acknowledged(m *Material) {
	at := slices.IndexFunc(m.Timeline, func(e tocsin.Event) bool { return e.Kind == tocsin.EventAcknowledged })
	if at < 0 || m.Cut && !r.AcknowledgedAt.IsZero() && r.AcknowledgedAt.Before(m.Timeline[at].At) {
		return
	}
	r.AcknowledgedAt, r.AcknowledgedBy = m.Timeline[at].At, cmp.Or(m.Timeline[at].Actor, r.AcknowledgedBy)
}

func remedyOf(x *tocsin.Remediation) Remedy {
	r := Remedy{
		ID: x.ID, Remedy: x.Remedy, Target: x.Target, State: x.State, Why: x.Why, ProposedBy: x.ProposedBy,
		ProposedAt: x.ProposedAt, StartedAt: x.StartedAt, EndedAt: x.EndedAt,
	}
	for _, a := range x.Approvals {
		r.ApprovedBy = append(r.ApprovedBy, a.By)
	}
	return r
}

func alertOf(x *tocsin.AlertRecord) Alert {
	a := Alert{Labels: x.Labels, Summary: x.Summary(), StartsAt: x.State.StartsAt}
	if !x.State.Firing {
		a.EndsAt = x.State.EndsAt
	}
	if s := x.State.Suppression; s != nil {
		a.Suppressed = cmp.Or(s.Text, s.Reason)
	}
	return a
}

func seconds(from, to time.Time) *int64 {
	if to.IsZero() {
		return nil
	}
	s := int64(to.Sub(from) / time.Second)
	return &s
}

func list[T any](in []T) []T { return append([]T{}, in...) }

func sorted[T any](in []T, at func(T) time.Time) []T {
	out := list(in)
	slices.SortStableFunc(out, func(a, b T) int { return at(a).Compare(at(b)) })
	return out
}
