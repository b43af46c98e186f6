// Package trace says why an incident told whom it told, and why it did not tell
// others: every decision from the payload to the provider's answer. It is pure, and
// tells what was written down when it was decided.
package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Most of what a trace tells of one incident.
const (
	// Alerts is how many alerts are told of.
	Alerts = 20
	// Events is how much of the timeline is looked at, the newest.
	Events = 1000
)

// Rule is a route of the configuration.
type Rule struct {
	// Pos is its file:line.
	Pos      string
	Matchers string
	Receiver string
}

// Material is what a trace is made of. Only Incident is required.
type Material struct {
	Incident *tocsin.Incident
	// Alerts of the incident, and Timeline, oldest first.
	Alerts   []tocsin.AlertRecord
	Timeline []tocsin.Event
	// Rules are the routes that take the first alert by the configuration of now.
	Rules []Rule
	// Shifts are, by person, those that held when the person was last called.
	Shifts map[string][]tocsin.Shift
	// Ahead is what happens if nobody answers.
	Ahead []tocsin.Ahead
}

// Of returns the reasons in the order of the stages; within a stage, in the order
// in which it happened.
func Of(m *Material) []tocsin.Reason {
	out := []tocsin.Reason{}
	out = append(out, m.payload()...)
	out = append(out, m.group())
	out = append(out, m.suppression()...)
	out = append(out, m.route()...)
	out = append(out, m.policy()...)
	out = append(out, m.people()...)
	out = append(out, m.contacts()...)
	return append(out, m.providers()...)
}

func reason(stage tocsin.ReasonStage, end tocsin.ReasonEnd, at time.Time, format string, args ...any) tocsin.Reason {
	return tocsin.Reason{Stage: stage, End: end, At: at, Text: fmt.Sprintf(format, args...)}
}

// payload says what came in, and what it was taken for.
func (m *Material) payload() (out []tocsin.Reason) {
	if m.Incident.Kind != tocsin.KindAlerts {
		return []tocsin.Reason{reason(tocsin.StagePayload, "", m.Incident.OpenedAt, "no alert: it was opened by a person, or by Tocsin about itself")}
	}
	list := m.Alerts[:min(len(m.Alerts), Alerts)]
	for n := range list {
		a := &list[n]
		status := "resolved"
		if a.State.Firing {
			status = "firing"
		}
		out = append(out, reason(tocsin.StagePayload, "", a.State.ChangedAt, "%s sent %s, %s since %s; last heard of at %s, repeated %s",
			a.Source, name(&a.Alert), status, clock(a.State.ChangedAt), clock(a.State.SeenAt), times(a.State.Repeats)))
	}
	if more := int(m.Incident.Alerts) - len(list); more > 0 {
		out = append(out, reason(tocsin.StagePayload, "", time.Time{}, "and %d more alerts of the group", more))
	}
	for n := range list {
		a := &list[n]
		out = append(out, tocsin.Reason{Stage: tocsin.StageIdentity, Where: a.State.ID.String(), Text: "the same alert as long as source and labels are: " + a.Labels.String()})
	}
	return out
}

func (m *Material) group() tocsin.Reason {
	r := tocsin.Reason{Stage: tocsin.StageGroup, Where: m.Incident.Group.String(), Text: "all alerts of its route are one incident"}
	switch {
	case m.Incident.Kind != tocsin.KindAlerts:
		r.Text = "an incident of its own"
	case len(m.Incident.GroupBy) > 0:
		r.Text = "one incident for the same values of " + strings.Join(m.Incident.GroupBy, ", ")
		if len(m.Alerts) > 0 {
			r.Text += ": " + m.Alerts[0].Labels.Pick(m.Incident.GroupBy).String()
		}
	}
	return r
}

// suppression says what holds it back now, and what did before.
func (m *Material) suppression() (out []tocsin.Reason) {
	for n := range m.Timeline {
		switch e := &m.Timeline[n]; e.Kind {
		case tocsin.EventSuppressed, tocsin.EventUnsuppressed, tocsin.EventMerged, tocsin.EventUnmerged:
			out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, At: e.At, Text: e.Text, By: e.Actor})
		default:
		}
	}
	held := 0
	var told []*tocsin.Suppression
	for n := range m.Alerts {
		s := m.Alerts[n].State.Suppression
		if !m.Alerts[n].State.Firing || s == nil {
			continue
		}
		held++
		if len(told) < Alerts && !slices.ContainsFunc(told, s.Same) {
			told = append(told, s)
			text := s.Reason + ": " + name(&m.Alerts[n].Alert) + " is " + s.Text
			out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: text, Where: s.By})
		}
	}
	if by := m.Incident.Muted; by != "" {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: "muted: all its routes are, by time interval " + by, Where: by})
	}
	if into := m.Incident.MergedInto; into != "" {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: "merged: incident " + into + " pages for it", Where: into})
	}
	if held > 0 && !m.Incident.Quiet() {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, Text: "it pages all the same: not everything that fires is held back"})
	}
	if len(out) == 0 {
		out = append(out, tocsin.Reason{Stage: tocsin.StageSuppression, Text: "no silence, inhibition or time interval holds it back"})
	}
	return out
}

// route says which rule took it; what the rule asks for is as it is written now.
func (m *Material) route() []tocsin.Reason {
	r := tocsin.Reason{Stage: tocsin.StageRoute, Where: m.Incident.Route, Text: "for " + receivers(m.Incident.Receivers)}
	if m.Incident.Route != "" {
		r.Text = "took the first alert, for " + receivers(m.Incident.Receivers)
	}
	out := []tocsin.Reason{r}
	for _, rule := range m.Rules {
		text := "by the configuration of now: " + rule.Matchers + " takes it, for receiver " + rule.Receiver
		if rule.Matchers == "" || rule.Matchers == "{}" {
			text = "by the configuration of now: the route for everything takes it, for receiver " + rule.Receiver
		}
		out = append(out, tocsin.Reason{Stage: tocsin.StageRoute, Where: rule.Pos, Text: text})
	}
	return out
}

func receivers(names []string) string {
	if len(names) == 0 {
		return "no receiver"
	}
	return strings.Join(names, ", ")
}

func name(a *tocsin.Alert) string {
	if a.Name() != "" {
		return a.Name()
	}
	return "an alert without a name"
}

func times(n uint32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
