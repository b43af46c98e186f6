// Package trace says why an incident told whom it told, and why it did not tell
// others: every decision from the payload to the provider's answer. It is pure, and
// tells what was written down when it was decided; what it takes from the
// configuration of now is marked so.
package trace

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Most of what a trace tells of one incident.
const (
	// Alerts is how many alerts are told of.
	Alerts = 20
	// Events is how much of the timeline is looked at, the newest.
	Events = 1000
	// Routes is how many of the routes are told of that did not take the alert.
	Routes = 20
)

// Material is what a trace is made of. Only Incident is required; what is missing is
// not told of.
type Material struct {
	Incident *tocsin.Incident
	// Alerts of the incident, and Timeline, oldest first.
	Alerts   []tocsin.AlertRecord
	Timeline []tocsin.Event
	// Silences are those that hold alerts back, by ID, and Sources the alerts that
	// inhibit others.
	Silences map[string]tocsin.Silence
	Sources  map[tocsin.Key]tocsin.AlertRecord
	// Rules are the routes as they are now, in the order in which they are tried.
	Rules []Rule
	// Places are where things stand in the configuration of now: see Place.
	Places map[string]string
	// Loaded is when the configuration that is in force was read.
	Loaded time.Time
	// Plans are the policies that the incident follows, as they were when it opened,
	// in the order of its runs.
	Plans []Plan
	// Unbegun are the policies that its receivers name in the configuration of now,
	// where it follows none yet.
	Unbegun []Plan
	// People are those whom the plans may call, and who asks.
	People map[string]Person
	// Turns say who was on call when the last person was called, or when it opened.
	Turns []Turn
	// Overrides that made it somebody's turn, by ID.
	Overrides map[string]tocsin.Override
	// Ahead is what happens if nobody answers.
	Ahead []tocsin.Ahead
	// Remediations of the incident, and how many Remedies are declared.
	Remediations []tocsin.Remediation
	Remedies     int
}

// Rule is a route of the configuration of now, held against the first alert.
type Rule struct {
	// Key is the route's own, as Incident.Routes has it, and Pos its file:line.
	Key, Pos string
	Matchers string
	Receiver string
	Continue bool
	// Takes is true for those that take the alert; Not says why the others do not.
	Takes bool
	Not   string
	// MutedBy names the time interval that mutes the route now.
	MutedBy string
}

// Plan is a policy as it was when the incident opened.
type Plan struct {
	Name, Pos string
	Steps     []Step
}

// Step of a Plan. To and When say in words whom it tells, and of what ("": always).
type Step struct {
	Pos, To, When string
	After         time.Duration
}

// Person is somebody who can be called. High and Low are the targets for high and
// for low urgency; Quiet says when their quiet hours ended that a call fell into.
type Person struct {
	High, Low []string
	Quiet     string
}

// Turn is a schedule at an instant: its shifts, and what each of its layers says.
type Turn struct {
	Schedule string
	At       time.Time
	Shifts   []tocsin.Shift
	Layers   []Layer
}

// Layer of a schedule. User stands on it; Held would, but for its restriction.
type Layer struct{ Name, User, Held string }

// Place is the name of something in Material.Places: Place("time interval",
// "nights"), Place("schedule", "primary"), Place("layer", "primary/weekly").
func Place(kind, name string) string { return kind + " " + name }

// Of returns the trace for somebody who asks; "": for nobody in particular. Within a
// stage the reasons are in the order in which it happened.
func Of(m *Material, who string) *tocsin.Why {
	out := []tocsin.Reason{}
	out = append(out, m.payload()...)
	out = append(out, m.group()...)
	out = append(out, m.suppression()...)
	out = append(out, m.route()...)
	out = append(out, m.policy()...)
	out = append(out, m.people()...)
	out = append(out, m.contacts()...)
	out = append(out, m.providers()...)
	out = append(out, m.remedies()...)
	return &tocsin.Why{Incident: m.Incident.ID, Answer: m.answer(who), Reasons: out}
}

func reason(stage tocsin.ReasonStage, end tocsin.ReasonEnd, at time.Time, format string, args ...any) tocsin.Reason {
	return tocsin.Reason{Stage: stage, End: end, At: at, Text: fmt.Sprintf(format, args...)}
}

// told returns what the timeline says of the kinds.
func (m *Material) told(stage tocsin.ReasonStage, ends map[tocsin.EventKind]tocsin.ReasonEnd) (out []tocsin.Reason) {
	for n := range m.Timeline {
		e := &m.Timeline[n]
		if end, is := ends[e.Kind]; is {
			out = append(out, tocsin.Reason{Stage: stage, End: end, At: e.At, Text: e.Text, Where: e.Target, By: e.Actor, User: m.userOf(e.Target)})
		}
	}
	return out
}

// userOf is the person whom a target calls.
func (m *Material) userOf(target string) string {
	if d := m.Incident.Delivery(target); d != nil {
		return d.User
	}
	return ""
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

func clock(t time.Time) string { return t.UTC().Format(tocsin.TraceTime) }
