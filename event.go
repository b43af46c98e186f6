package tocsin

import "time"

// EventKind names what happened, for people and for consumers of the event
// stream.
type EventKind string

// The kinds of events. They are part of the wire contract: kinds are added,
// never renamed.
const (
	EventOpened         EventKind = "opened"
	EventAlertFired     EventKind = "alert_fired"
	EventAlertResolved  EventKind = "alert_resolved"
	EventAlertLate      EventKind = "alert_late"
	EventAlertStale     EventKind = "alert_stale"
	EventTruncated      EventKind = "truncated"
	EventSuppressed     EventKind = "suppressed"
	EventUnsuppressed   EventKind = "unsuppressed"
	EventSeverity       EventKind = "severity"
	EventAcknowledged   EventKind = "acknowledged"
	EventResolved       EventKind = "resolved"
	EventReopened       EventKind = "reopened"
	EventFlapping       EventKind = "flapping"
	EventDelivered      EventKind = "delivered"
	EventDeliveryFailed EventKind = "delivery_failed"
	EventAlarm          EventKind = "alarm"
	EventNote           EventKind = "note"
	// EventEscalated: a step was taken, or somebody escalated.
	EventEscalated EventKind = "escalated"
	// EventCalled: somebody is called; Target is how.
	EventCalled EventKind = "called"
	// EventNobody: a step reached nobody, or a person cannot be reached, and why.
	EventNobody EventKind = "nobody"
	// EventSkipped: a step does not apply to the incident.
	EventSkipped EventKind = "skipped"
	// EventLastResort: a policy has run out of steps.
	EventLastResort EventKind = "last_resort"
	// EventStopped: calls that were queued are not made any more.
	EventStopped EventKind = "stopped"
	// EventReminded: who acknowledged was reminded.
	EventReminded EventKind = "reminded"
	// EventReturned: an acknowledged incident came back to triggered.
	EventReturned   EventKind = "returned"
	EventSnoozed    EventKind = "snoozed"
	EventReassigned EventKind = "reassigned"
	// EventResponder: somebody was asked to help.
	EventResponder EventKind = "responder"
	EventMerged    EventKind = "merged"
	EventUnmerged  EventKind = "unmerged"
	// EventStep: a step of the runbook was begun, done, skipped or reopened.
	EventStep EventKind = "step"
	// EventChannel: the incident gets, or has got, a channel of its own.
	EventChannel EventKind = "channel"
	// EventRemediation: a remedy was proposed, approved, run, or undone.
	EventRemediation EventKind = "remediation"
	// EventChange: somebody changed something, such as a deployment; it is about
	// no incident.
	EventChange EventKind = "change"
	// EventAccess: somebody logged in or out, or a token was made or revoked; it is
	// about no incident.
	EventAccess EventKind = "access"
	// EventSilence: a silence was made, changed or ended; it is about no incident,
	// as the kinds that follow are.
	EventSilence EventKind = "silence"
	// EventOverride: an override, a swap or time off was made, answered or cancelled.
	EventOverride EventKind = "override"
	// EventSwitch: the kill switch of remedies was turned.
	EventSwitch EventKind = "switch"
	// EventSystem: Tocsin started or stopped, a backup was taken or restored.
	EventSystem EventKind = "system"
	// EventLog: the store says what became of the log itself: where its chain
	// begins, and which events the retention dropped. Nobody else appends it.
	EventLog EventKind = "log"
)

// Event is one entry of an incident's timeline, and one message of the event
// stream. It is immutable.
type Event struct {
	// Seq is given by the store, ascending over all incidents, starting at 1.
	Seq      uint64    `json:"seq"`
	Kind     EventKind `json:"kind"`
	Incident string    `json:"incident"`
	// Revision of the incident after the event.
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
	// Actor is who did it: a person's name; empty for the sender and for
	// Tocsin itself.
	Actor string `json:"actor,omitempty"`
	// Origin is where it was done from: "API from 10.0.3.7", "Slack"; empty: Tocsin
	// itself. The store sets it, see WithOrigin.
	Origin string `json:"origin,omitempty"`
	// Target is the delivery that the event is about.
	Target string `json:"target,omitempty"`
	// Text says it in words, for a person.
	Text string `json:"text"`
	// Before and After are what was changed, where it is not an incident: a silence,
	// an override, the configuration's hash. Short, and without secrets.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Loud reports whether people who watch the incident should be told again, not
// only shown: a chat thread broadcasts it.
func (e *Event) Loud() bool {
	switch e.Kind {
	case EventReopened, EventSeverity, EventUnsuppressed, EventReturned, EventLastResort, EventUnmerged:
		return true
	default:
		return false
	}
}

// Internal reports whether the event is bookkeeping that the timeline keeps but
// a chat thread need not repeat.
func (e *Event) Internal() bool {
	switch e.Kind {
	case EventOpened, EventDelivered, EventDeliveryFailed, EventAlertLate, EventSkipped:
		return true
	default:
		return false
	}
}

// Silence suppresses alerts that match, from StartsAt until EndsAt.
type Silence struct {
	// ID is short, like an incident's.
	ID string `json:"id"`
	// Matchers in Alertmanager's syntax, all of which must match:
	// `severity="critical"`, `instance=~"node-.*"`.
	Matchers  []string  `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	// UpdatedAt is when it was made, changed or ended last; zero: it was before that was
	// kept.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

// Active reports whether the silence holds at now.
func (s *Silence) Active(now time.Time) bool {
	return !now.Before(s.StartsAt) && now.Before(s.EndsAt)
}
