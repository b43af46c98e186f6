package tocsin

import (
	"fmt"
	"slices"
	"time"
)

// State is where an incident stands: Triggered -> Acknowledged -> Resolved.
type State string

// The states of an incident.
const (
	Triggered    State = "triggered"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Kind tells the incidents that alerts made from those that were made otherwise.
type Kind string

// The kinds of incidents.
const (
	// KindAlerts is the ordinary one: it is resolved when all its alerts are.
	KindAlerts Kind = ""
	// KindManual was opened by a person, or by Tocsin about itself: only an
	// action, or what opened it, resolves it.
	KindManual Kind = "manual"
	// KindNotice tells somebody something, once: a shift that begins, a handoff.
	// It pages nobody and is not listed among the incidents.
	KindNotice Kind = "notice"
)

// Incident is what people work on: alerts of one group, from the first that
// fires until all are resolved and the reopen window has passed. It is plain
// data; the methods that change it are pure and return what they did as events.
//
// An Incident holds no text of its alerts and no list of them, so that one of
// 50,000 alerts costs as little to change as one of 50. Values that the store
// hands out to readers are shared: copy (Clone) before changing.
type Incident struct {
	// ID is short, for people to type: "k7f3q9".
	ID string `json:"id"`
	// Revision counts the changes that are worth showing. A delivery lags when
	// its revision is older.
	Revision uint64 `json:"revision"`
	// StateRevision is the Revision at which the state, the severity or the
	// suppression last changed. Targets that show no details lag behind this
	// one.
	StateRevision uint64   `json:"stateRevision"`
	State         State    `json:"state"`
	Severity      Severity `json:"severity"`
	Title         string   `json:"title"`
	Kind          Kind     `json:"kind,omitempty"`
	// Text says what the title does not, where no alert does: the body of a
	// notice. Lines; no markup.
	Text string `json:"text,omitempty"`

	// Group is the key that the next alert of the group finds the incident by.
	Group Key `json:"group"`
	// GroupBy names the labels whose values the incident's alerts share.
	GroupBy []string `json:"groupBy,omitempty"`
	// Route says which rule took the first alert, as "file:line".
	Route string `json:"route,omitempty"`
	// Routes are the keys of all routes that matched, in order; the first gave
	// the group.
	Routes []string `json:"routes,omitempty"`
	// Receivers are the names that the routes gave, in order.
	Receivers []string `json:"receivers"`
	// Runbook is the ID of the runbook that was found when the incident opened,
	// or "".
	Runbook string `json:"runbook,omitempty"`
	// Progress with the runbook; nil: there is none.
	Progress *Progress `json:"progress,omitempty"`

	OpenedAt       time.Time `json:"openedAt"`
	ChangedAt      time.Time `json:"changedAt"`
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
	AcknowledgedBy string    `json:"acknowledgedBy,omitempty"`
	ResolvedAt     time.Time `json:"resolvedAt,omitzero"`
	ResolvedBy     string    `json:"resolvedBy,omitempty"`
	// ReturnedAt is when the incident last came back to Triggered; nil: never. It
	// is replaced, never changed: copies share it.
	ReturnedAt *time.Time `json:"returnedAt,omitempty"`

	// Alerts counts the alerts ever attached; it is also the last Seq given.
	Alerts uint32 `json:"alerts"`
	// Firing counts those that fire now; Suppressed counts those of them that
	// do not page.
	Firing     uint32 `json:"firing"`
	Suppressed uint32 `json:"suppressed,omitempty"`
	// Reopened counts how often the incident fired again after it was resolved.
	Reopened uint32 `json:"reopened,omitempty"`
	// Suppression is the cause to show while the incident is Quiet: that of the
	// alert that was suppressed last.
	Suppression *Suppression `json:"suppression,omitempty"`
	// Muted names the time interval that mutes every route of the incident now,
	// or is empty.
	Muted string `json:"muted,omitempty"`
	// Truncated is the number of alerts that the sender last said it left out.
	Truncated uint64 `json:"truncated,omitempty"`
	// Flips holds the times of the latest changes between firing and resolved,
	// for flap detection, oldest first.
	Flips []time.Time `json:"flips,omitempty"`
	// Flapping incidents stay open, and say so, until nothing has fired for the
	// settle time. Flaps counts the changes since the flapping began.
	Flapping bool   `json:"flapping,omitempty"`
	Flaps    uint32 `json:"flaps,omitempty"`

	// Escalation is nil while nobody is to be called.
	Escalation *Escalation `json:"escalation,omitempty"`
	// MergedInto is the incident that this one pages through; it comes back when
	// that one is resolved before it.
	MergedInto string `json:"mergedInto,omitempty"`
	// MergedSeverity is the severity with which the other one took it on; what is
	// more severe than that is still to be passed on.
	MergedSeverity Severity `json:"mergedSeverity,omitempty"`
	// Actions holds the IDs of the latest actions, so that each happens once.
	Actions []string `json:"actions,omitempty"`

	// Deliveries holds one entry for each target, in the order in which they
	// were added.
	Deliveries []Delivery `json:"deliveries,omitempty"`
}

// Clone returns a copy that shares nothing that the methods change.
func (i *Incident) Clone() *Incident {
	c := *i
	c.Deliveries = slices.Clone(i.Deliveries)
	c.Flips = slices.Clone(i.Flips)
	c.Actions = slices.Clone(i.Actions)
	c.Escalation = i.Escalation.Clone()
	c.Progress = i.Progress.Clone()
	return &c
}

// Open reports whether the incident is not resolved.
func (i *Incident) Open() bool { return i.State != Resolved }

// Quiet reports whether the incident pages nobody: everything that fires is
// suppressed, all its routes are muted, or another incident pages for it.
func (i *Incident) Quiet() bool {
	return i.Muted != "" || i.MergedInto != "" || i.Firing > 0 && i.Suppressed >= i.Firing
}

// Mute sets or clears (empty) the time interval that mutes the incident. The
// bool tells whether anything changed.
func (i *Incident) Mute(interval string, now time.Time) (Event, bool) {
	if i.Muted == interval {
		return Event{}, false
	}
	was := i.Muted
	i.Muted = interval
	i.touch(now, true)
	if interval != "" {
		return i.Event(EventSuppressed, "", "muted by time interval "+interval, now), true
	}
	return i.Event(EventUnsuppressed, "", "time interval "+was+" is over", now), true
}

// Flip notes that the incident changed between firing and resolved, and reports
// whether it has begun to flap: at least changes flips within window.
func (i *Incident) Flip(now time.Time, changes int, window time.Duration) (Event, bool) {
	if changes <= 0 {
		return Event{}, false
	}
	i.Flips = append(i.Flips, now)
	if n := len(i.Flips) - changes; n > 0 {
		i.Flips = slices.Delete(i.Flips, 0, n)
	}
	if i.Flapping {
		i.Flaps++
		return Event{}, false
	}
	if len(i.Flips) < changes || now.Sub(i.Flips[0]) > window {
		return Event{}, false
	}
	i.Flapping, i.Flaps = true, uint32(len(i.Flips))
	i.touch(now, true)
	text := fmt.Sprintf("flapping: %d changes within %s; stays open until it is quiet", len(i.Flips), window)
	return i.Event(EventFlapping, "", text, now), true
}

// Delivery returns the delivery for a target, to read or to change, or nil.
func (i *Incident) Delivery(target string) *Delivery {
	for n := range i.Deliveries {
		if i.Deliveries[n].Target == target {
			return &i.Deliveries[n]
		}
	}
	return nil
}

// AddTarget adds a delivery for a target unless there is one. The delivery's
// mere existence is the recorded intent to send: a notifier that finds one
// without a receipt after a restart looks the message up before it sends.
//
// A place that was stopped is told after all: it is one that shows the incident,
// whoever it also calls.
func (i *Incident) AddTarget(target string, detail bool, now time.Time) bool {
	if d := i.Delivery(target); d != nil {
		if !d.Stopped || d.User != "" {
			return false
		}
		d.Stopped, d.Since = false, now
		return true
	}
	i.Deliveries = append(i.Deliveries, Delivery{Target: target, Detail: detail, Since: now})
	return true
}

// Touch notes a change that targets with details should show.
func (i *Incident) Touch(now time.Time) { i.touch(now, false) }

func (i *Incident) touch(now time.Time, state bool) {
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		if !d.Lags(i) && (state || d.Detail) {
			d.Since = now
		}
	}
	i.Revision++
	if state {
		i.StateRevision = i.Revision
	}
	i.ChangedAt = now
}

// Event returns an event of this incident at its present revision.
func (i *Incident) Event(kind EventKind, actor, text string, now time.Time) Event {
	return Event{Kind: kind, Incident: i.ID, Revision: i.Revision, At: now, Actor: actor, Text: text}
}

// Acknowledge records that somebody has taken the incident. On an incident that
// is acknowledged already it changes the owner, unless it is the same; on a
// resolved one it does nothing. The bool tells whether anything changed.
func (i *Incident) Acknowledge(by string, now time.Time) (Event, bool) {
	if !i.Open() || i.State == Acknowledged && i.AcknowledgedBy == by {
		return Event{}, false
	}
	i.State, i.AcknowledgedBy, i.AcknowledgedAt = Acknowledged, by, now
	i.touch(now, true)
	return i.Event(EventAcknowledged, by, "acknowledged by "+by, now), true
}

// Resolve closes the incident. The bool tells whether anything changed.
func (i *Incident) Resolve(by, why string, now time.Time) (Event, bool) {
	if !i.Open() {
		return Event{}, false
	}
	i.State, i.ResolvedBy, i.ResolvedAt = Resolved, by, now
	i.Flapping, i.Flaps, i.Suppression = false, 0, nil
	i.touch(now, true)
	return i.Event(EventResolved, by, why, now), true
}

// Reopen brings a resolved incident back to Triggered: the same incident, the
// same Slack thread; in PagerDuty, which knows no way back, the next dedup key.
func (i *Incident) Reopen(why string, now time.Time) Event {
	i.State = Triggered
	i.ResolvedAt, i.ResolvedBy = time.Time{}, ""
	i.AcknowledgedAt, i.AcknowledgedBy = time.Time{}, ""
	i.ReturnedAt = &now
	i.Reopened++
	i.touch(now, true)
	return i.Event(EventReopened, "", why, now)
}

// Return brings an acknowledged incident back to Triggered. The bool tells
// whether anything changed.
func (i *Incident) Return(by, why string, now time.Time) (Event, bool) {
	if i.State != Acknowledged {
		return Event{}, false
	}
	i.State, i.ReturnedAt = Triggered, &now
	i.AcknowledgedAt, i.AcknowledgedBy = time.Time{}, ""
	i.touch(now, true)
	return i.Event(EventReturned, by, why, now), true
}

// Returned is ReturnedAt, or the zero time.
func (i *Incident) Returned() time.Time {
	if i.ReturnedAt == nil {
		return time.Time{}
	}
	return *i.ReturnedAt
}

// Grade sets the severity by hand. Raised, an acknowledged incident stays
// acknowledged: whoever grades it knows of it. The bool tells whether anything
// changed.
func (i *Incident) Grade(to Severity, by string, now time.Time) (Event, bool) {
	if !i.Open() || to == i.Severity {
		return Event{}, false
	}
	text := fmt.Sprintf("severity changed from %s to %s by %s", i.Severity, to, by)
	i.Severity = to
	i.touch(now, true)
	return i.Event(EventSeverity, by, text, now), true
}

// Merge has another incident page for this one; empty: it pages for itself
// again. The bool tells whether anything changed.
func (i *Incident) Merge(into, by, why string, now time.Time) (Event, bool) {
	if i.MergedInto == into {
		return Event{}, false
	}
	kind := EventMerged
	if into == "" {
		kind = EventUnmerged
	}
	i.MergedInto, i.MergedSeverity = into, ""
	if into != "" {
		i.MergedSeverity = i.Severity
	}
	i.touch(now, true)
	return i.Event(kind, by, why, now), true
}

// Do notes the ID of an action and reports whether it is a new one. The empty
// ID is always new.
func (i *Incident) Do(id string) bool {
	const kept = 64
	if id == "" {
		return true
	}
	if slices.Contains(i.Actions, id) {
		return false
	}
	i.Actions = append(i.Actions, id)
	if n := len(i.Actions) - kept; n > 0 {
		i.Actions = slices.Delete(i.Actions, 0, n)
	}
	return true
}

// Raise lifts the severity; an acknowledged incident falls back to Triggered,
// since what was acknowledged was less than this. A lower or equal severity
// changes nothing.
func (i *Incident) Raise(to Severity, now time.Time) (Event, bool) {
	if to.Rank() <= i.Severity.Rank() {
		return Event{}, false
	}
	from := i.Severity
	i.Severity = to
	text := fmt.Sprintf("severity raised from %s to %s", from, to)
	if i.State == Acknowledged {
		i.State, i.ReturnedAt = Triggered, &now
		i.AcknowledgedAt, i.AcknowledgedBy = time.Time{}, ""
		text += "; back to triggered"
	}
	i.touch(now, true)
	return i.Event(EventSeverity, "", text, now), true
}

// Count moves the incident's counters as one alert changes from old to new.
// It notes a state change when the incident becomes quiet or ceases to be.
func (i *Incident) Count(old, new AlertState, now time.Time) {
	quiet := i.Quiet()
	i.Firing += delta(old.Firing, new.Firing)
	i.Suppressed += delta(old.Firing && old.Suppression != nil, new.Firing && new.Suppression != nil)
	if new.Firing && new.Suppression != nil {
		i.Suppression = new.Suppression
	}
	if !i.Quiet() {
		i.Suppression = nil
	}
	i.touch(now, quiet != i.Quiet())
}

// delta is +1, 0 or -1 in the wrapping arithmetic of uint32.
func delta(old, new bool) uint32 {
	switch {
	case old == new:
		return 0
	case new:
		return 1
	default:
		return ^uint32(0)
	}
}
