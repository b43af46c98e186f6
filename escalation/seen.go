package escalation

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// do applies an action, and notes what the target shows that it came from.
func (d *desk) do(a tocsin.Action, handle func(tocsin.Action) error) error {
	inc, s := d.inc, a.Seen
	if s == nil {
		return handle(a)
	}
	lagged := false
	if del := inc.Delivery(s.Target); del != nil {
		lagged = del.Revision < del.Want(inc) || del.More
	}
	if !inc.Outdated(a.Kind, s) {
		revision := inc.StateRevision
		if err := handle(a); err != nil {
			return err
		}
		if inc.StateRevision != revision {
			d.date(s.At)
		}
		if del := inc.Delivery(s.Target); del != nil && a.Kind == tocsin.ActSeverity {
			del.Severity = inc.Severity
		}
	}
	inc.Hear(s, lagged, d.now)
	return nil
}

// date sets when the state changed to when that was done: what is told late is
// compared with what was done meanwhile.
func (d *desk) date(at time.Time) {
	inc := d.inc
	if at.IsZero() || !at.Before(d.now) {
		return
	}
	clamp := func(t *time.Time, floors ...time.Time) {
		if !t.Equal(d.now) {
			return
		}
		*t = at
		for _, f := range floors {
			if t.Before(f) {
				*t = f
			}
		}
	}
	switch inc.State {
	case tocsin.Acknowledged:
		clamp(&inc.AcknowledgedAt, inc.OpenedAt, inc.Returned())
	case tocsin.Resolved:
		clamp(&inc.ResolvedAt, inc.OpenedAt, inc.Returned(), inc.AcknowledgedAt)
	default:
		returned := inc.Returned()
		clamp(&returned, inc.OpenedAt)
		inc.ReturnedAt = &returned
	}
}

// unacknowledge takes an acknowledgement back. Only a person ends a snooze.
func (d *desk) unacknowledge(a tocsin.Action) error {
	if e := d.inc.Escalation; e != nil && e.SnoozedUntil.After(d.now) && !a.Force {
		return nil
	}
	why := "back to triggered"
	if a.By != "" {
		why = "acknowledgement taken back by " + a.By
	}
	d.add(d.inc.Return(a.By, why+because(a.Text), d.now))
	return nil
}

// reopen brings back what is resolved, and not archived.
func (d *desk) reopen(a tocsin.Action) error {
	inc := d.inc
	if inc.Open() {
		return nil
	}
	if live := d.tx.ByGroup(inc.Group); live == nil || live.ID != inc.ID {
		return fmt.Errorf("%w: incident %s is closed for good; alerts of its group open another one", tocsin.ErrConflict, inc.ID)
	}
	e := inc.Reopen("reopened by "+a.By+because(a.Text), d.now)
	e.Actor = a.By
	d.add(e, true)
	return nil
}

func (*desk) seen(tocsin.Action) error { return nil }
