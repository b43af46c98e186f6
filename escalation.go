package tocsin

import (
	"slices"
	"time"
)

// Escalation is where an incident stands on its way to somebody who answers. It
// is part of the incident, so its deadlines are written in the incident's own
// transaction. It is plain data; package escalation holds the rules.
type Escalation struct {
	// Runs are the policies at work, one for each receiver that names one.
	Runs []Run `json:"runs,omitempty"`
	// Calls are the contacts still to come, the next first.
	Calls []Call `json:"calls,omitempty"`
	// Responders are the people who were called, in the order of the first
	// call.
	Responders []Responder `json:"responders,omitempty"`
	// High is the urgency that people were last called with.
	High bool `json:"high,omitempty"`
	// Answered is the Incident.AcknowledgedAt that the reminder was set for.
	Answered time.Time `json:"answered,omitzero"`
	// SnoozedUntil is when an acknowledged incident comes back to triggered;
	// zero: it is not snoozed.
	SnoozedUntil time.Time `json:"snoozedUntil,omitzero"`
	// RemindAt is when the owner of an acknowledged incident is reminded, and
	// ReturnAt when it comes back to triggered; zero: never.
	RemindAt time.Time `json:"remindAt,omitzero"`
	ReturnAt time.Time `json:"returnAt,omitzero"`
}

// Run is one policy at work.
type Run struct {
	Policy string `json:"policy"`
	// Plan is the ID of the policy as it was when the incident opened.
	Plan string `json:"plan"`
	// Step is the next to take, from 0; the number of steps: the last resort.
	Step int `json:"step"`
	// Round counts the repetitions of the whole policy.
	Round int `json:"round,omitempty"`
	// Reached is true when a step of this round has called somebody.
	Reached bool `json:"reached,omitempty"`
	// Due is when Step is taken; zero: the run stands still, since somebody has
	// answered or nothing is to be paged.
	Due time.Time `json:"due,omitzero"`
}

// Call is a contact of a person that is still to be tried.
type Call struct {
	User string    `json:"user"`
	Due  time.Time `json:"due"`
	// Target is Delivery.Target.
	Target string `json:"target"`
	Detail bool   `json:"detail,omitempty"`
	// Asked calls go to people who were asked for by name: an acknowledgement
	// by somebody else does not stop them.
	Asked bool `json:"asked,omitempty"`
	// Copy is true for shadows: they are told, and nobody waits for them.
	Copy bool `json:"copy,omitempty"`
}

// Responder is somebody who was called.
type Responder struct {
	User string `json:"user"`
	// At is when the person was last called, Calls how often.
	At    time.Time `json:"at"`
	Calls int       `json:"calls"`
	// Because is why it was this person, as it was decided: the step at its
	// file:line, the schedule, and the layer or the override. Empty: see Asked.
	Because string `json:"because,omitempty"`
	// Acknowledged is when the person answered; zero: not yet.
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	// Asked is true for people who were called by name.
	Asked bool `json:"asked,omitempty"`
	// Must is true where the step wants everybody to answer.
	Must bool `json:"must,omitempty"`
	// Unreachable is true when every way to the person failed.
	Unreachable bool `json:"unreachable,omitempty"`
}

// Clone returns a copy that shares nothing; of nil it is nil.
func (e *Escalation) Clone() *Escalation {
	if e == nil {
		return nil
	}
	c := *e
	c.Runs = slices.Clone(e.Runs)
	c.Calls = slices.Clone(e.Calls)
	c.Responders = slices.Clone(e.Responders)
	return &c
}

// Responder returns the entry of a person, to read or to change, or nil.
func (e *Escalation) Responder(user string) *Responder {
	for n := range e.Responders {
		if e.Responders[n].User == user {
			return &e.Responders[n]
		}
	}
	return nil
}

// Deadline is when time alone has something to do about the incident: a step, a
// call, a reminder, the end of an acknowledgement or of a snooze. The zero time:
// never.
func (i *Incident) Deadline() time.Time {
	e := i.Escalation
	if e == nil {
		return time.Time{}
	}
	var first time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for n := range e.Runs {
		soonest(e.Runs[n].Due)
	}
	for n := range e.Calls {
		soonest(e.Calls[n].Due)
	}
	soonest(e.SnoozedUntil)
	soonest(e.RemindAt)
	soonest(e.ReturnAt)
	return first
}

// Ahead is one thing that will happen if nobody answers.
type Ahead struct {
	At time.Time `json:"at"`
	// Text says what, without the time: "bo by PagerDuty".
	Text string `json:"text"`
}

// ActionKind is what a person can do to an incident.
type ActionKind string

// The kinds of actions, as they are written in the API's paths.
const (
	ActAcknowledge  ActionKind = "acknowledge"
	ActResolve      ActionKind = "resolve"
	ActSnooze       ActionKind = "snooze"
	ActEscalate     ActionKind = "escalate"
	ActReassign     ActionKind = "reassign"
	ActAddResponder ActionKind = "add-responder"
	ActNote         ActionKind = "note"
	ActMerge        ActionKind = "merge"
	ActUnmerge      ActionKind = "unmerge"
	ActSeverity     ActionKind = "severity"
	// ActUnacknowledge takes an acknowledgement back. Unless it is forced, a
	// snooze stands.
	ActUnacknowledge ActionKind = "unacknowledge"
	// ActReopen brings a resolved incident back that was not archived yet.
	ActReopen ActionKind = "reopen"
	// ActStep says where a step of the incident's runbook stands.
	ActStep ActionKind = "step"
	// ActChannel opens a Slack channel of the incident's own.
	ActChannel ActionKind = "channel"
	// ActSeen does nothing but note Action.Seen.
	ActSeen ActionKind = "seen"
)

// Action is something that a person does to an incident. Fields that its kind
// does not use are ignored.
type Action struct {
	Kind ActionKind `json:"-"`
	// ID makes the action happen once, however often it is sent: a second one
	// with the same ID does nothing and succeeds. Empty: the incident's state
	// alone decides whether there is anything to do.
	ID string `json:"id,omitempty"`
	// By is who acts.
	By string `json:"by,omitempty"`
	// Text of a note; of the others: why, or empty.
	Text string `json:"text,omitempty"`
	// Until is the end of a snooze.
	Until time.Time `json:"until,omitzero"`
	// User to escalate to, to reassign to, or to add. Or Schedule, or Policy.
	User     string `json:"user,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	Policy   string `json:"policy,omitempty"`
	// Step to escalate to, from 1; 0: the next one.
	Step int `json:"step,omitempty"`
	// Into is the incident to merge into.
	Into string `json:"into,omitempty"`
	// Severity to set.
	Severity Severity `json:"severity,omitempty"`
	// Force resolves what still fires.
	Force bool `json:"force,omitempty"`
	// RunbookStep is the Step.ID that ActStep is about, or its number in the
	// runbook, from 1; Status is where it stands.
	RunbookStep string     `json:"runbookStep,omitempty"`
	Status      StepStatus `json:"status,omitempty"`
	// If is asked before anything is done; its error is returned as it is, and
	// nothing is done. Nil: it is done.
	If func(*Incident) error `json:"-"`
	// Via is where the person acts: "Slack", "page", "terminal"; empty: "API".
	Via string `json:"via,omitempty"`
	// Seen is where it was done, when that was at one of the incident's targets;
	// nil: here.
	Seen *Seen `json:"-"`
}

// Seen is what a target says that it shows. What came from there is not sent
// back there, and what came late changes nothing.
type Seen struct {
	// Target is Delivery.Target, and Ref the Delivery.Ref that it is about: when
	// the delivery has gone on to another one, nothing is done. Empty: it is not
	// known which target it is.
	Target, Ref string
	// New is true for a Ref that follows the delivery's, Follows, and whose receipt
	// we do not have yet.
	New     bool
	Follows string
	// State that the target shows now; empty: it is not said.
	State State
	// Reopened is true when what was resolved there is open again.
	Reopened bool
	// Remote is Back.Remote; empty: unknown.
	Remote string
	// At is when it was done, by the target's clock. Zero: it says nothing of the
	// state.
	At time.Time
}
