package escalation

import (
	"cmp"
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
	if !inc.Open() && !slices.Contains(onResolved(), a.Kind) {
		return fmt.Errorf("%w: incident %s is resolved; only a note can be added", tocsin.ErrConflict, inc.ID)
	}
	if a.ID != "" && slices.Contains(inc.Actions, a.ID) {
		return nil
	}
	do, ok := map[tocsin.ActionKind]func(tocsin.Action) error{
		tocsin.ActAcknowledge: d.acknowledge, tocsin.ActResolve: d.resolve, tocsin.ActSnooze: d.snooze,
		tocsin.ActEscalate: d.escalate, tocsin.ActReassign: d.reassign, tocsin.ActAddResponder: d.addResponder,
		tocsin.ActNote: d.note, tocsin.ActMerge: d.merge, tocsin.ActSeverity: d.grade,
		tocsin.ActUnacknowledge: d.unacknowledge, tocsin.ActReopen: d.reopen, tocsin.ActSeen: d.seen,
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

// onResolved are the actions that a resolved incident takes, if only to say that
// there is nothing to do.
func onResolved() []tocsin.ActionKind {
	return []tocsin.ActionKind{
		tocsin.ActNote, tocsin.ActResolve, tocsin.ActAcknowledge, tocsin.ActUnacknowledge, tocsin.ActReopen, tocsin.ActSeen,
	}
}

func (d *desk) acknowledge(a tocsin.Action) error {
	inc := d.inc
	if !inc.Open() {
		return tocsin.Invalid("state", "incident %s is resolved; there is nothing to acknowledge", inc.ID)
	}
	if e := inc.Escalation; e != nil {
		if inc.State == tocsin.Acknowledged && inc.AcknowledgedBy == a.By && e.RemindAt.IsZero() && !e.ReturnAt.IsZero() {
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
	if changed && a.Text != "" {
		e.Text += ": " + a.Text
	}
	d.add(e, changed)
	return nil
}

// everybody handles a step on which all must answer: it notes the answer and
// reports whether others are still to come.
func (d *desk) everybody(a tocsin.Action) (waits bool, err error) {
	esc := d.inc.Escalation
	var missing []string
	mine := false
	for n := range esc.Responders {
		r := &esc.Responders[n]
		switch {
		case !r.Must:
		case r.User == a.By:
			mine = true
			if r.Acknowledged.IsZero() {
				r.Acknowledged = d.now
				d.inc.Touch(d.now)
				d.line(tocsin.EventAcknowledged, a.By, "%s has answered", a.By)
			}
		case r.Acknowledged.IsZero():
			missing = append(missing, r.User)
		}
	}
	if len(missing) == 0 || a.Force || d.inc.State == tocsin.Acknowledged {
		return false, nil
	}
	if !mine {
		return false, fmt.Errorf("%w: everybody on the step must answer, and %s has not; force acknowledges for all", tocsin.ErrConflict, strings.Join(missing, ", "))
	}
	esc.Calls = slices.DeleteFunc(esc.Calls, func(c tocsin.Call) bool { return c.User == a.By })
	d.stop(d.others(a.By)...)
	return true, nil
}

// others are everybody who is called but one.
func (d *desk) others(user string) []string {
	var names []string
	for n := range d.inc.Deliveries {
		if u := d.inc.Deliveries[n].User; u != "" && u != user {
			names = append(names, u)
		}
	}
	return names
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
	inc := d.inc
	if inc.Escalation == nil {
		inc.Escalation = &tocsin.Escalation{}
	}
	e := inc.Escalation
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

func (d *desk) escalate(a tocsin.Action) error {
	if a.User != "" || a.Schedule != "" {
		return d.callByName(a, tocsin.EventEscalated, "escalated")
	}
	inc := d.inc
	if inc.Escalation == nil {
		inc.Escalation = &tocsin.Escalation{Runs: d.freeze()}
	}
	e := inc.Escalation
	if a.Policy != "" {
		f := d.rules.policies[a.Policy]
		if f == nil {
			return tocsin.Invalid("policy", "escalation policy %q is not defined", a.Policy)
		}
		if !slices.ContainsFunc(e.Runs, func(r tocsin.Run) bool { return r.Policy == a.Policy }) {
			e.Runs = append(e.Runs, d.run(f))
		}
	}
	moved := false
	for n := range e.Runs {
		r := &e.Runs[n]
		if a.Policy != "" && r.Policy != a.Policy {
			continue
		}
		p := d.lib.policy(d.tx, r.Plan)
		if p == nil || a.Step > len(p.Steps)+1 {
			return tocsin.Invalid("step", "policy %s has %d steps; %d is its last resort", r.Policy, stepsOf(p), stepsOf(p)+1)
		}
		if a.Step > 0 {
			r.Step = a.Step - 1
		}
		r.Due = d.now
		moved = true
	}
	if !moved {
		return tocsin.Invalid("policy", "incident %s follows no escalation policy; name a user or a schedule to call", inc.ID)
	}
	d.add(inc.Return(a.By, "escalated by "+a.By+": back to triggered", d.now))
	e.High = e.High || d.high()
	d.line(tocsin.EventEscalated, a.By, "escalated now by %s%s", a.By, because(a.Text))
	return nil
}

func stepsOf(p *Policy) int {
	if p == nil {
		return 0
	}
	return len(p.Steps)
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// callByName calls people whom an action names. An acknowledged incident comes
// back to triggered, with the policies waiting for their next step.
func (d *desk) callByName(a tocsin.Action, kind tocsin.EventKind, verb string) error {
	names, err := d.named(a)
	if err != nil {
		return err
	}
	inc := d.inc
	if inc.Escalation == nil {
		inc.Escalation = &tocsin.Escalation{Runs: d.freeze()}
	}
	d.line(kind, a.By, "%s to %s by %s%s", verb, strings.Join(names, ", "), a.By, because(a.Text))
	if ev, ok := inc.Return(a.By, "back to triggered until "+strings.Join(names, " or ")+" answers", d.now); ok {
		d.add(ev, ok)
		d.postpone()
	}
	for _, name := range names {
		d.callPerson(nil, name, true, false, true)
	}
	inc.Touch(d.now)
	return nil
}

// postpone has the policies wait for their next step as if the last one had
// just been taken.
func (d *desk) postpone() {
	e := d.inc.Escalation
	e.SnoozedUntil, e.RemindAt, e.ReturnAt, e.Answered = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	e.High = e.High || d.high()
	for n := range e.Runs {
		r := &e.Runs[n]
		wait := 15 * time.Minute
		if p := d.lib.policy(d.tx, r.Plan); p != nil {
			wait = cmp.Or(d.delay(r), p.RepeatAfter, wait)
		}
		r.Due = d.now.Add(wait)
	}
}

// named are the people whom an action names: somebody who can be called.
func (d *desk) named(a tocsin.Action) ([]string, error) {
	switch {
	case a.User != "":
		u, ok := d.rules.spec.Users[a.User]
		if !ok {
			return nil, tocsin.Invalid("user", "%q is not defined", a.User)
		}
		if len(u.High) == 0 {
			return nil, tocsin.Invalid("user", "%s has no contact", a.User)
		}
		return []string{a.User}, nil
	case a.Schedule != "":
		if d.rules.spec.Schedules[a.Schedule] == nil {
			return nil, tocsin.Invalid("schedule", "%q is not defined", a.Schedule)
		}
		c := d.muster(&Policy{}, &Step{To: []Recipient{{Schedule: a.Schedule}}})
		if len(c.people) == 0 {
			return nil, tocsin.Invalid("schedule", "%s", strings.Join(c.nobody, "; "))
		}
		names := make([]string, 0, len(c.people))
		for _, m := range c.people {
			names = append(names, m.user)
		}
		return names, nil
	default:
		return nil, tocsin.Invalid("user", "missing; name a user, a schedule or a policy")
	}
}

// reassign stops everybody else. The policies stay behind the new person: when
// nobody answers, they go on.
func (d *desk) reassign(a tocsin.Action) error {
	inc := d.inc
	if a.Policy != "" {
		f := d.rules.policies[a.Policy]
		if f == nil {
			return tocsin.Invalid("policy", "escalation policy %q is not defined", a.Policy)
		}
		d.dismiss()
		inc.Escalation.Runs = []tocsin.Run{d.run(f)}
		inc.Escalation.Runs[0].Due = d.now.Add(f.policy.Steps[0].After)
		inc.Escalation.High = d.high()
		d.add(inc.Return(a.By, "back to triggered", d.now))
		inc.Touch(d.now)
		d.line(tocsin.EventReassigned, a.By, "reassigned to escalation policy %s by %s%s", a.Policy, a.By, because(a.Text))
		return nil
	}
	if _, err := d.named(a); err != nil {
		return err
	}
	d.dismiss()
	if err := d.callByName(a, tocsin.EventReassigned, "reassigned"); err != nil {
		return err
	}
	d.postpone()
	return nil
}

// dismiss lets everybody go who was called.
func (d *desk) dismiss() {
	inc := d.inc
	if inc.Escalation == nil {
		inc.Escalation = &tocsin.Escalation{Runs: d.freeze()}
	}
	inc.Escalation.Calls = nil
	for n := range inc.Escalation.Responders {
		inc.Escalation.Responders[n].Must, inc.Escalation.Responders[n].Asked = false, false
	}
	d.stop()
}

func (d *desk) addResponder(a tocsin.Action) error {
	names, err := d.named(a)
	if err != nil {
		return err
	}
	inc := d.inc
	if inc.Escalation == nil {
		inc.Escalation = &tocsin.Escalation{Runs: d.freeze()}
	}
	var added []string
	for _, name := range names {
		if r := inc.Escalation.Responder(name); r != nil && r.Asked {
			continue
		}
		d.callPerson(nil, name, true, false, true)
		added = append(added, name)
	}
	if len(added) > 0 {
		inc.Touch(d.now)
		d.line(tocsin.EventResponder, a.By, "%s asked %s to help%s", a.By, strings.Join(added, ", "), because(a.Text))
	}
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

func (d *desk) merge(a tocsin.Action) error {
	inc := d.inc
	into := d.tx.Incident(a.Into)
	for hops := 0; into != nil && into.MergedInto != "" && hops < 100; hops++ {
		into = d.tx.Incident(into.MergedInto)
	}
	switch {
	case into == nil:
		return tocsin.Invalid("into", "incident %q does not exist", a.Into)
	case into.ID == inc.ID:
		return tocsin.Invalid("into", "an incident cannot be merged into itself")
	case !into.Open():
		return fmt.Errorf("%w: incident %s is resolved; merge into one that is open", tocsin.ErrConflict, into.ID)
	}
	e, changed := inc.Merge(into.ID, a.By, fmt.Sprintf("merged into %s by %s: it pages for this one as long as it is open", into.ID, a.By), d.now)
	if !changed {
		return nil
	}
	d.add(e, true)
	into.Touch(d.now)
	d.tx.PutIncident(into)
	d.events = append(d.events, into.Event(tocsin.EventMerged, a.By, fmt.Sprintf("%s (%s) was merged into this one by %s", inc.ID, inc.Title, a.By), d.now))
	return nil
}

func (d *desk) grade(a tocsin.Action) error {
	if a.Severity.Rank() == 0 {
		return tocsin.Invalid("severity", "%q; want critical, error, warning or info", a.Severity)
	}
	d.add(d.inc.Grade(a.Severity, a.By, d.now))
	return nil
}
