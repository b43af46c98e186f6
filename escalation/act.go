package escalation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxSnooze is the longest snooze; what is to be quiet for longer is a silence.
const maxSnooze = 30 * 24 * time.Hour

// act applies an action to the desk's incident and settles it. An action that
// changes nothing is no error.
func (d *desk) act(a tocsin.Action) error {
	inc := d.inc
	if a.ID != "" && slices.Contains(inc.Actions, a.ID) {
		return nil
	}
	if a.If != nil {
		if err := a.If(inc); err != nil {
			return err
		}
	}
	if err := d.may(a.Kind); err != nil {
		return err
	}
	do, ok := map[tocsin.ActionKind]func(tocsin.Action) error{
		tocsin.ActAcknowledge: d.acknowledge, tocsin.ActResolve: d.resolve, tocsin.ActSnooze: d.snooze,
		tocsin.ActEscalate: d.escalate, tocsin.ActReassign: d.reassign, tocsin.ActAddResponder: d.addResponder,
		tocsin.ActNote: d.note, tocsin.ActMerge: d.merge, tocsin.ActUnmerge: d.unmerge, tocsin.ActSeverity: d.grade,
		tocsin.ActUnacknowledge: d.unacknowledge, tocsin.ActReopen: d.reopen, tocsin.ActSeen: d.seen,
		tocsin.ActChannel: d.channel, tocsin.ActStep: d.work,
	}[a.Kind]
	if !ok {
		return tocsin.Invalid("action", "%q is not known", a.Kind)
	}
	if err := d.do(a, do); err != nil {
		return err
	}
	inc.Do(a.ID)
	d.settle()
	return nil
}

// may refuses what would do nothing, and would not say so.
func (d *desk) may(kind tocsin.ActionKind) error {
	inc := d.inc
	simple := slices.Contains([]tocsin.ActionKind{
		tocsin.ActNote, tocsin.ActResolve, tocsin.ActAcknowledge, tocsin.ActUnacknowledge, tocsin.ActReopen, tocsin.ActSeen,
	}, kind)
	calls := kind == tocsin.ActEscalate || kind == tocsin.ActReassign || kind == tocsin.ActAddResponder
	switch {
	case !inc.Open() && !simple && kind != tocsin.ActStep:
		return fmt.Errorf("%w: incident %s is resolved; only a note can be added", tocsin.ErrConflict, inc.ID)
	case inc.Kind == tocsin.KindNotice && !simple:
		return fmt.Errorf("%w: %s is a notice, which calls nobody; it can be acknowledged", tocsin.ErrConflict, inc.ID)
	case calls && inc.MergedInto != "":
		return fmt.Errorf("%w: incident %s is merged into %s, which pages for it: act on that one", tocsin.ErrConflict, inc.ID, inc.MergedInto)
	case calls && inc.Quiet():
		return fmt.Errorf("%w: incident %s is silenced, inhibited or muted, so nobody would be called; end that first", tocsin.ErrConflict, inc.ID)
	default:
		return nil
	}
}

// again is how soon after a call by name the same, without an ID, is taken for
// the same click; and how soon an acknowledgement is no renewal.
const again = time.Minute

func (d *desk) acknowledge(a tocsin.Action) error {
	inc := d.inc
	if !inc.Open() {
		return tocsin.Invalid("state", "incident %s is resolved; there is nothing to acknowledge", inc.ID)
	}
	if e := inc.Escalation; e != nil {
		if inc.State == tocsin.Acknowledged && inc.AcknowledgedBy == a.By && e.RemindAt.IsZero() && !e.ReturnAt.IsZero() && d.now.Sub(inc.AcknowledgedAt) >= again {
			inc.AcknowledgedAt = d.now // reminded, and renewed
			inc.Touch(d.now)
			d.line(tocsin.EventAcknowledged, a.By, "still acknowledged by %s", a.By)
			return nil
		}
		if waits, err := d.everybody(a); waits || err != nil {
			return err
		}
	}
	e, changed := inc.Acknowledge(a.By, d.now)
	if changed && inc.Escalation != nil {
		inc.Escalation.Answered = time.Time{} // by another, and be it at the same instant
	}
	if changed && a.Text != "" {
		e.Text += ": " + a.Text
	}
	d.add(e, changed)
	return nil
}

// everybody handles a step on which all must answer: it notes the answer and
// reports whether others are still to come. Somebody whom a later step has called
// answers alone, and who cannot be reached is not waited for.
func (d *desk) everybody(a tocsin.Action) (waits bool, err error) {
	esc := d.inc.Escalation
	var missing []string
	var last time.Time
	mine := false
	for n := range esc.Responders {
		r := &esc.Responders[n]
		if r.Must && r.At.After(last) {
			last = r.At
		}
		switch {
		case !r.Must:
		case r.User == a.By:
			mine = true
			if r.Acknowledged.IsZero() {
				r.Acknowledged = d.now
				d.inc.Touch(d.now)
				d.line(tocsin.EventAcknowledged, a.By, "%s has answered", a.By)
			}
		case r.Acknowledged.IsZero() && !r.Unreachable:
			missing = append(missing, r.User)
		}
	}
	if len(missing) == 0 || a.Force || d.inc.State == tocsin.Acknowledged {
		return false, nil
	}
	if r := esc.Responder(a.By); r != nil && !r.Must && !r.Asked && r.At.After(last) {
		return false, nil
	}
	if !mine {
		return false, fmt.Errorf("%w: everybody on the step must answer, and %s has not; force acknowledges for all", tocsin.ErrConflict, strings.Join(missing, ", "))
	}
	esc.Calls = slices.DeleteFunc(esc.Calls, func(c tocsin.Call) bool { return c.User == a.By })
	d.stopFor(a.By)
	return true, nil
}

// stopFor stops the deliveries that call one person and were not made yet.
func (d *desk) stopFor(user string) {
	for n := range d.inc.Deliveries {
		del := &d.inc.Deliveries[n]
		if del.User == user && del.Called < del.Calls {
			del.Stopped = del.Stopped || del.Ref == ""
			del.Called = del.Calls
		}
	}
}

func (d *desk) resolve(a tocsin.Action) error {
	inc := d.inc
	if inc.Open() && inc.Firing > 0 && !a.Force {
		what := "1 alert still fires"
		if inc.Firing > 1 {
			what = fmt.Sprintf("%d alerts still fire", inc.Firing)
		}
		return fmt.Errorf("%w: %s in incident %s; force resolves it all the same, and it opens again when one fires anew", tocsin.ErrConflict, what, inc.ID)
	}
	why := "resolved by " + a.By
	if a.Text != "" {
		why += ": " + a.Text
	}
	d.add(inc.Resolve(a.By, why, d.now))
	return nil
}

func (d *desk) snooze(a tocsin.Action) error {
	until := a.Until.Round(0)
	if !until.After(d.now) || until.Sub(d.now) > maxSnooze {
		return tocsin.Invalid("until", "want a time in the future, within %d days; for longer, make a silence", maxSnooze/(24*time.Hour))
	}
	inc, e := d.inc, d.account()
	if e.SnoozedUntil.Equal(until) && inc.AcknowledgedBy == a.By {
		return nil
	}
	if ev, changed := inc.Acknowledge(a.By, d.now); !changed {
		inc.Touch(d.now)
	} else {
		_ = ev // the snooze says it
	}
	e.SnoozedUntil, e.RemindAt, e.ReturnAt = until, time.Time{}, time.Time{}
	d.line(tocsin.EventSnoozed, a.By, "snoozed by %s until %s", a.By, until.UTC().Format("2006-01-02 15:04 MST"))
	return nil
}

func (d *desk) note(a tocsin.Action) error {
	if strings.TrimSpace(a.Text) == "" {
		return tocsin.Invalid("text", "missing; say what to note")
	}
	d.inc.Touch(d.now)
	from := ""
	if a.Seen != nil {
		from = a.Seen.Target
	}
	d.inc.TellNote(from, d.now)
	d.line(tocsin.EventNote, a.By, "%s", a.Text).Target = from
	return nil
}

func (d *desk) grade(a tocsin.Action) error {
	if a.Severity.Rank() == 0 {
		return tocsin.Invalid("severity", "%q; want critical, error, warning or info", a.Severity)
	}
	d.add(d.inc.Grade(a.Severity, a.By, d.now))
	if unpassed(d.inc) {
		d.passOn()
	}
	if d.inc.Escalation != nil && !d.high() {
		d.relax()
	}
	return nil
}

// relax drops the calls to come that low urgency does not make, and has the
// others wait for the end of quiet hours.
func (d *desk) relax() {
	e := d.inc.Escalation
	old := e.Calls
	e.Calls = nil
	for _, c := range old {
		u := d.person(c.User)
		fits := slices.ContainsFunc(u.contacts(false), func(x Contact) bool { return x.Target.Key == c.Target })
		if !c.Asked && !fits {
			continue
		}
		if from := u.from(c.Asked, d.now); c.Due.Before(from) {
			c.Due = from
		}
		d.lineUp(c)
	}
}

// person finds somebody as the policies at work know them, or as configured.
func (d *desk) person(name string) User {
	for n := range d.inc.Escalation.Runs {
		if p := d.policy(&d.inc.Escalation.Runs[n]); p != nil {
			if u, ok := p.Users[name]; ok {
				return u
			}
		}
	}
	u, _ := d.rules.user(nil, name)
	return u
}
