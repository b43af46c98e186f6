package escalation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// escalate calls whom the action names, or takes a step of the policies now.
func (d *desk) escalate(a tocsin.Action) error {
	if a.User != "" || a.Schedule != "" {
		return d.callByName(a, tocsin.EventEscalated, "escalated")
	}
	inc, e := d.inc, d.account()
	if err := d.alsoFollow(a.Policy); err != nil {
		return err
	}
	if ev, ok := inc.Return(a.By, "escalated by "+a.By+": back to triggered", d.now); ok {
		d.add(ev, ok)
		d.postpone()
	}
	moved, last := false, []string(nil)
	for n := range e.Runs {
		r := &e.Runs[n]
		if a.Policy != "" && r.Policy != a.Policy {
			continue
		}
		p := d.policy(r)
		if p == nil || a.Step > len(p.Steps)+1 {
			return tocsin.Invalid("step", "policy %s has %d steps; %d is its last resort", r.Policy, stepsOf(p), stepsOf(p)+1)
		}
		if a.Step > 0 {
			r.Step = a.Step - 1
		}
		if r.Step >= len(p.Steps) {
			last = append(last, r.Policy)
		}
		r.Due = d.now
		moved = true
	}
	if !moved {
		return tocsin.Invalid("policy", "incident %s follows no escalation policy; name a user or a schedule to call", inc.ID)
	}
	e.High = e.High || d.high()
	d.line(tocsin.EventEscalated, a.By, "escalated now by %s%s%s", a.By, whereTo(a.Step, last), because(a.Text))
	return nil
}

// whereTo says which step an escalation takes, where a person has chosen it, and
// that it is the last resort, of some policies, in any case.
func whereTo(step int, last []string) string {
	switch {
	case len(last) > 0:
		return " to the last resort of " + strings.Join(last, " and ")
	case step > 0:
		return fmt.Sprintf(" to step %d", step)
	default:
		return ""
	}
}

// alsoFollow has the incident follow a policy beside those that it follows, if
// one is named.
func (d *desk) alsoFollow(policy string) error {
	e := d.inc.Escalation
	if policy == "" || slices.ContainsFunc(e.Runs, func(r tocsin.Run) bool { return r.Policy == policy }) {
		return nil
	}
	f := d.rules.policies[policy]
	if f == nil {
		return tocsin.Invalid("policy", "escalation policy %q is not defined", policy)
	}
	e.Runs = append(e.Runs, d.run(f))
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
	if err != nil || a.ID == "" && d.underWay(names) {
		return err
	}
	inc, e := d.inc, d.account()
	for n := range e.Responders {
		e.Responders[n].Must = false // it is up to those who are named now
	}
	d.line(kind, a.By, "%s to %s by %s%s", verb, strings.Join(names, ", "), a.By, because(a.Text))
	ev, back := inc.Return(a.By, "back to triggered until "+strings.Join(names, " or ")+" answers", d.now)
	d.add(ev, back)
	if back || kind == tocsin.EventReassigned {
		d.postpone()
	}
	for _, name := range names {
		d.callPerson(nil, name, true, false, true)
		d.responder(name).Because = verb + " to them by " + a.By
	}
	inc.Touch(d.now)
	return nil
}

// underWay reports whether these people, and nobody else, were called by name a
// moment ago.
func (d *desk) underWay(names []string) bool {
	e := d.inc.Escalation
	if e == nil || d.inc.State != tocsin.Triggered {
		return false
	}
	for _, name := range names {
		if !d.asking(name) {
			return false
		}
	}
	return !slices.ContainsFunc(e.Calls, func(c tocsin.Call) bool { return !slices.Contains(names, c.User) })
}

// asking reports whether a person was asked by name a moment ago.
func (d *desk) asking(name string) bool {
	r := d.inc.Escalation.Responder(name)
	return r != nil && r.Asked && r.Acknowledged.IsZero() && d.now.Sub(r.At) < again
}

// postpone has the policies wait for their next step as if the last one had
// just been taken.
func (d *desk) postpone() {
	e := d.inc.Escalation
	e.SnoozedUntil, e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}, time.Time{}
	d.forgetAnswers()
	e.High = e.High || d.high()
	for n := range e.Runs {
		r := &e.Runs[n]
		wait := retry
		if p := d.policy(r); p != nil {
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
			return nil, tocsin.Invalid("user", "user %q is not defined", a.User)
		}
		if len(u.High) == 0 {
			return nil, tocsin.Invalid("user", "%s has no contact", a.User)
		}
		return []string{a.User}, nil
	case a.Schedule != "":
		if d.rules.spec.Schedules[a.Schedule] == nil {
			return nil, tocsin.Invalid("schedule", "schedule %q is not defined", a.Schedule)
		}
		c := d.muster(&Policy{}, &Step{To: []Recipient{{Schedule: a.Schedule}}}, true)
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
	if a.Policy != "" {
		return d.follows(a)
	}
	names, err := d.named(a)
	if err != nil || a.ID == "" && d.underWay(names) {
		return err
	}
	d.dismiss()
	return d.callByName(a, tocsin.EventReassigned, "reassigned")
}

// follows has the incident follow another policy, from its first step.
func (d *desk) follows(a tocsin.Action) error {
	inc, f := d.inc, d.rules.policies[a.Policy]
	if f == nil {
		return tocsin.Invalid("policy", "escalation policy %q is not defined", a.Policy)
	}
	if a.ID == "" && d.begun(f) {
		return nil
	}
	d.dismiss()
	e := inc.Escalation
	e.Runs = []tocsin.Run{d.run(f)}
	e.Runs[0].Due = d.now.Add(f.policy.Steps[0].After)
	e.High = d.high()
	d.add(inc.Return(a.By, "back to triggered", d.now))
	inc.Touch(d.now)
	d.line(tocsin.EventReassigned, a.By, "reassigned to escalation policy %s by %s%s", a.Policy, a.By, because(a.Text))
	return nil
}

// begun reports whether the incident follows a policy alone, and has begun to a
// moment ago.
func (d *desk) begun(f *frozen) bool {
	e := d.inc.Escalation
	if e == nil || d.inc.State != tocsin.Triggered || len(e.Runs) != 1 || e.Runs[0].Plan != f.id || e.Runs[0].Round > 0 || e.Runs[0].Step > 1 {
		return false
	}
	return slices.ContainsFunc(e.Responders, func(r tocsin.Responder) bool { return !r.Asked && d.now.Sub(r.At) < again })
}

// dismiss lets everybody go who was called.
func (d *desk) dismiss() {
	d.account().Calls = nil
	d.forgetAnswers()
	d.stop()
}

func (d *desk) addResponder(a tocsin.Action) error {
	names, err := d.named(a)
	if err != nil {
		return err
	}
	inc, e := d.inc, d.account()
	var added []string
	for _, name := range names {
		if d.asking(name) || slices.ContainsFunc(e.Calls, func(c tocsin.Call) bool { return c.User == name && c.Asked }) {
			continue
		}
		d.callPerson(nil, name, true, false, true)
		d.responder(name).Because = "asked to help by " + a.By
		added = append(added, name)
	}
	if len(added) > 0 {
		inc.Touch(d.now)
		d.line(tocsin.EventResponder, a.By, "%s asked %s to help%s", a.By, strings.Join(added, ", "), because(a.Text))
	}
	return nil
}
