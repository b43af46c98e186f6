package escalation

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Alarm is who is told when a page cannot be delivered. The zero value tells
// nobody, and says on the incident that it should have.
type Alarm struct {
	// After is how long a target may lag; 0: only permanent failures alarm.
	After time.Duration
	// Targets to tell.
	Targets []Target
}

// Due returns when the alarm of an incident is due, or false when there is
// nothing to wait for. It is pure.
func (a Alarm) Due(inc *tocsin.Incident) (time.Time, bool) {
	var due time.Time
	for i := range inc.Deliveries {
		d := &inc.Deliveries[i]
		at, ok := a.late(inc, d)
		if ok && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due, !due.IsZero()
}

// late says when a delivery becomes a reason for alarm. One that was alarmed
// about is none any more.
func (a Alarm) late(inc *tocsin.Incident, d *tocsin.Delivery) (time.Time, bool) {
	switch {
	case d.Alarmed || inc.Quiet() || !inc.Open():
		return time.Time{}, false
	case d.Failed:
		return d.Since, true
	case d.Target == tocsin.IncidentChannel:
		return time.Time{}, false // it calls nobody, and Slack makes but 20 a minute
	case a.After > 0 && d.Lags(inc):
		return d.Since.Add(a.After), true
	default:
		return time.Time{}, false
	}
}

// Raise alarms about every delivery of the incident that is a reason to at now,
// and returns what to write on the timeline; none when there is no reason.
func (a Alarm) Raise(inc *tocsin.Incident, now time.Time) []tocsin.Event {
	var events []tocsin.Event
	for i := range inc.Deliveries {
		d := &inc.Deliveries[i]
		if at, ok := a.late(inc, d); !ok || at.After(now) {
			continue
		}
		d.Alarmed = true
		e := inc.Event(tocsin.EventAlarm, "", a.text(d, now), now)
		e.Target = d.Target
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	for _, t := range a.Targets {
		inc.AddTarget(t.Key, t.Detail, now)
	}
	inc.Touch(now) // where the alarm receiver watches the incident already
	return events
}

func (a Alarm) text(d *tocsin.Delivery, now time.Time) string {
	what := fmt.Sprintf("%s has not been told for %s", d.Target, now.Sub(d.Since).Round(time.Second))
	if d.Failed {
		what = fmt.Sprintf("%s cannot be told: %s", d.Target, d.Error)
	}
	if len(a.Targets) == 0 {
		return what + "; no alarm receiver is configured, so nobody else was told"
	}
	return what + "; telling the alarm receiver"
}
