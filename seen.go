package tocsin

import (
	"cmp"
	"time"
)

// Outdated reports whether what a target tells of an action of a kind was
// overtaken: by what was done to the incident after it, by what the target told
// already, or since the delivery stands for something else by now. Actions that
// do not change the state are never outdated.
func (i *Incident) Outdated(kind ActionKind, s *Seen) bool {
	switch {
	case s == nil:
		return false
	case kind == ActAcknowledge, kind == ActUnacknowledge, kind == ActResolve, kind == ActReopen, kind == ActSeverity:
	default:
		return false
	}
	d := i.shownBy(s)
	switch {
	case d == nil && s.Target != "":
		return true
	case d == nil || d.Ref != s.Ref:
	case s.At.Before(d.Heard().HeardAt), d.State == Resolved && kind != ActReopen:
		return true // what was told to end has ended
	}
	switch kind {
	case ActAcknowledge:
		return !i.Open() || s.At.Before(i.Returned()) || i.State == Acknowledged && s.At.Before(i.AcknowledgedAt)
	case ActResolve:
		return s.At.Before(i.Returned())
	case ActUnacknowledge:
		return s.At.Before(i.AcknowledgedAt) ||
			d != nil && d.State == Acknowledged && s.At.Before(d.Heard().SentAt) // it was told again after
	case ActReopen:
		return s.At.Before(i.ResolvedAt) || d != nil && d.State == Resolved && s.At.Before(d.Heard().SentAt)
	default:
		return false
	}
}

// shownBy is the delivery that s is about, or nil.
func (i *Incident) shownBy(s *Seen) *Delivery {
	d := i.Delivery(s.Target)
	if d == nil || d.Ref != s.Ref && (!s.New || d.Ref != s.Follows) {
		return nil
	}
	return d
}

// Hear notes what a target shows, so that it is not told what it knows. Lagged
// is whether it lagged before the action that it tells of: then, or where it
// shows another state than the incident's, it is told after all.
func (i *Incident) Hear(s *Seen, lagged bool, now time.Time) {
	d := i.shownBy(s)
	if d == nil {
		return
	}
	if d.Ref != s.Ref { // what it tells is the receipt that we do not have yet
		d.Ref, d.State, d.Back = s.Ref, Triggered, &Back{Noted: d.Heard().Noted}
		lagged = true
	}
	switch {
	case s.At.IsZero(), s.At.Before(d.Heard().HeardAt):
		return
	case d.State == Resolved && (!s.Reopened || s.At.Before(d.Heard().SentAt)):
		return // it has ended since
	}
	d.hear(func(b *Back) { b.HeardAt, b.Remote = s.At, cmp.Or(s.Remote, b.Remote) })
	if s.State == "" || d.State == "" {
		return
	}
	if i.State != s.State && !d.Lags(i) {
		d.Since = now
	}
	if d.State == Acknowledged && s.State == Triggered && s.At.Before(d.Heard().SentAt) {
		if i.State == Acknowledged { // told after that, unless the clocks differ: told again
			d.Revision, d.Attempts = min(d.Revision, i.StateRevision-1), max(d.Attempts, 1)
		}
		return
	}
	if d.State != s.State {
		d.hear(func(b *Back) { b.SentAt = time.Time{} })
	}
	switch {
	case i.State == s.State && lagged:
		d.State = s.State
	case i.State == s.State:
		d.State, d.Revision, d.Since = s.State, i.Revision, now
	case s.State == Resolved:
		d.doubt(false) // what was told meanwhile may have opened another one
	default:
		d.State, d.Revision = s.State, min(d.Revision, i.StateRevision-1)
		if s.State == Acknowledged && i.State == Triggered && d.Called > 0 && d.Called >= d.Calls {
			d.Called = d.Calls - 1 // what is acknowledged there called nobody
		}
	}
}

// doubt has everything told again: what the target shows is not known.
func (d *Delivery) doubt(acknowledged bool) {
	d.State, d.Revision, d.Attempts = Triggered, 0, max(d.Attempts, 1)
	if acknowledged {
		d.State = Acknowledged // calling takes more there
	}
}

// TellNote has the targets told of a note that show no details and can take
// one, but for the one that it came from.
func (i *Incident) TellNote(from string, now time.Time) {
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		if d.Heard().Remote == "" || d.Detail || d.Target == from {
			continue
		}
		if !d.Lags(i) {
			d.Since = now
		}
		d.hear(func(b *Back) { b.Noted = i.Revision })
	}
}
