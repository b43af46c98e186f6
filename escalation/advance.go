package escalation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxTurns bounds one decision. What is left over is due at once, in the next.
const maxTurns = 500

// advance does what is due, in the order in which it fell due, until nothing
// is.
func (d *desk) advance() {
	for range maxTurns {
		due := d.inc.Deadline()
		if due.IsZero() || due.After(d.now) {
			return
		}
		d.turn(due)
	}
}

// turn does one thing that was due at the instant at. Each case moves its
// deadline on.
func (d *desk) turn(at time.Time) {
	e := d.inc.Escalation
	switch {
	case e.SnoozedUntil.Equal(at):
		e.SnoozedUntil = time.Time{}
		d.add(d.inc.Return("", "the snooze is over", d.now))
		d.beginUnlessQuiet()
	case e.RemindAt.Equal(at):
		e.RemindAt = time.Time{}
		d.remind()
	case e.ReturnAt.Equal(at):
		d.giveBack(at)
	default:
		if n := slices.IndexFunc(e.Calls, func(c tocsin.Call) bool { return c.Due.Equal(at) }); n >= 0 {
			c := e.Calls[n]
			e.Calls = slices.Delete(e.Calls, n, n+1)
			d.call(c)
			return
		}
		for n := range e.Runs {
			if e.Runs[n].Due.Equal(at) {
				d.takeStep(&e.Runs[n], at)
				return
			}
		}
	}
}

func (d *desk) beginUnlessQuiet() {
	if d.inc.Quiet() {
		d.rest()
		return
	}
	d.begin()
}

// remind calls the owner by the first contact, at the end of quiet hours where
// it is not urgent.
func (d *desk) remind() {
	owner := d.inc.AcknowledgedBy
	text := "still acknowledged by " + owner
	if at := d.inc.Escalation.ReturnAt; !at.IsZero() {
		text += fmt.Sprintf("; comes back to triggered at %s unless acknowledged again", at.UTC().Format("2006-01-02 15:04 MST"))
	}
	d.line(tocsin.EventReminded, "", "%s", text)
	high := d.inc.Escalation.High
	u, ok := d.rules.user(nil, owner)
	contacts := u.contacts(high)
	if !ok || len(contacts) == 0 {
		return
	}
	c := contacts[0]
	d.lineUp(tocsin.Call{User: owner, Due: u.from(high, d.now), Target: c.Target.Key, Detail: c.Target.Detail, Asked: true})
}

// giveBack ends an acknowledgement that was not renewed. The policies go on
// where they were.
func (d *desk) giveBack(at time.Time) {
	e := d.inc.Escalation
	owner := d.inc.AcknowledgedBy
	e.RemindAt, e.ReturnAt = time.Time{}, time.Time{}
	d.forgetAnswers()
	d.add(d.inc.Return("", fmt.Sprintf("the acknowledgement by %s has run out; going on with the escalation", owner), d.now))
	if d.inc.Quiet() {
		d.rest()
		return
	}
	for n := range e.Runs {
		e.Runs[n].Due = at
	}
}

// takeStep takes the next step of a run and sets when the one behind it is due.
func (d *desk) takeStep(r *tocsin.Run, at time.Time) {
	p := d.policy(r)
	if p == nil {
		d.lost(r, at)
		return
	}
	if r.Step >= len(p.Steps) {
		d.lastResort(p, r, at)
		return
	}
	reached, from := d.step(p, r.Step)
	if from.After(d.now) {
		at = from
	}
	r.Due = at.Add(p.next(r, reached))
}

// next moves a run on from the step that it has taken, and returns the wait
// before the next one. A step that reached nobody is not waited for.
func (p *Policy) next(r *tocsin.Run, reached bool) time.Duration {
	r.Reached = r.Reached || reached
	r.Step++
	wait := p.RepeatAfter
	switch {
	case r.Step < len(p.Steps):
		wait = p.Steps[r.Step].After
	case r.Round < p.Repeat && r.Reached:
		r.Step, r.Reached = 0, false
		r.Round++
		wait = max(wait, p.Steps[0].After)
	}
	if !reached {
		return 0
	}
	return wait
}

// lost goes on with the configured policy, from its first step, where the frozen
// one is not there any more.
func (d *desk) lost(r *tocsin.Run, at time.Time) {
	if f := d.rules.policies[r.Policy]; f != nil {
		*r = d.run(f)
		r.Due = at
		return
	}
	d.line(tocsin.EventAlarm, "", "escalation policy %s is not known any more; %s", r.Policy, d.alarm())
	r.Due = d.now.Add(retry)
}

// step tells the recipients of one step and reports whether it reached anybody
// who may answer, and when the first of them is called: what is not urgent waits
// for the end of quiet hours, and nobody else is woken meanwhile.
func (d *desk) step(p *Policy, n int) (reached bool, from time.Time) {
	s := &p.Steps[n]
	name := fmt.Sprintf("step %d of %s", n+1, p.Name)
	if len(s.When.Severities) > 0 && !slices.Contains(s.When.Severities, d.inc.Severity) {
		d.line(tocsin.EventSkipped, "", "%s is not for severity %s; going on at once", name, d.inc.Severity)
		return false, from
	}
	high := p.Urgency.high(d.inc.Severity, d.now)
	crew := d.muster(p, s, high)
	if s.RoundRobin && len(crew.people) > 1 {
		crew.people = crew.people[d.nextTurn(p, n)%len(crew.people):][:1]
	}
	var names []string
	for _, m := range crew.people {
		if d.callPerson(p, m.user, high, s.AllMustAcknowledge, false) {
			d.responder(m.user).Because = m.because(p, fmt.Sprintf("step %d", n+1), s.Pos)
			names = append(names, m.user+m.why+d.waiting(p, m.user, high, &from))
		}
	}
	for _, m := range crew.shadows {
		d.copyTo(p, m.user, high)
	}
	for _, place := range crew.places {
		d.tellPlace(place)
		names = append(names, place.Name)
	}
	if len(names) > 0 {
		d.inc.Touch(d.now)
		d.line(tocsin.EventEscalated, "", "%s: %s", name, strings.Join(names, ", "))
	}
	if len(crew.nobody) > 0 {
		d.inc.Touch(d.now)
		d.line(tocsin.EventNobody, "", "%s: %s%s", name, strings.Join(crew.nobody, "; "), onward(len(names) == 0 || len(crew.people) == 0))
	}
	return len(crew.people) > 0 && len(names) > len(crew.places) || len(crew.nobody) == 0 && len(crew.places) > 0, from
}

// waiting says until when a person's quiet hours hold a call back, if they do,
// and keeps the earliest instant at which somebody is called.
func (d *desk) waiting(p *Policy, name string, high bool, from *time.Time) string {
	u, _ := d.rules.user(p, name)
	at := u.from(high, d.now)
	if from.IsZero() || at.Before(*from) {
		*from = at
	}
	if !at.After(d.now) {
		return ""
	}
	return ", when the quiet hours end at " + at.In(location(u.Zone)).Format("Mon 15:04 MST")
}

func onward(now bool) string {
	if now {
		return "; going on at once"
	}
	return ""
}

// nextTurn counts the turns of a step that calls one person of several.
func (d *desk) nextTurn(p *Policy, n int) int {
	id := fmt.Sprintf("%s/%d", p.Name, n)
	turn := 0
	if v := d.tx.Document(kindTurn, id); v != nil {
		_, _ = fmt.Sscan(string(v), &turn)
	}
	d.tx.PutDocument(kindTurn, id, fmt.Appendf(nil, "%d", turn+1))
	return turn
}

// lastResort calls everybody there is, by every contact at once, again and
// again until somebody answers. Where everybody is away, that is no reason.
func (d *desk) lastResort(p *Policy, r *tocsin.Run, at time.Time) {
	roll, from := d.roll((*User).ways), d.now
	crew := roll.muster(p, &Step{To: p.LastResort})
	names, why := d.callCrew(p, &crew, &from), ""
	if len(names) == 0 {
		roll.overrides = nil
		all := roll.muster(p, &Step{To: p.LastResort})
		if names = d.callCrew(p, &all, &from); len(names) > 0 {
			why = "; " + strings.Join(crew.nobody, "; ") + ", and called all the same"
		}
	}
	d.inc.Touch(d.now)
	if len(names) == 0 {
		d.line(tocsin.EventLastResort, "", "nobody has answered, and the last resort of %s reaches nobody: %s; %s", p.Name, strings.Join(crew.nobody, "; "), d.alarm())
	} else {
		d.line(tocsin.EventLastResort, "", "nobody has answered: last resort of %s: %s%s", p.Name, strings.Join(names, ", "), why)
	}
	every := max(p.LastResortEvery, time.Minute)
	if r.Due = at.Add(every); !r.Due.After(from) {
		r.Due = from.Add(every)
	}
}

// callCrew calls a crew loudly, and returns who they are. Even so nobody is woken
// for what is not urgent; from is when the first of them is called.
func (d *desk) callCrew(p *Policy, c *crew, from *time.Time) []string {
	high := p.Urgency.high(d.inc.Severity, d.now)
	var names []string
	var first time.Time
	for _, m := range c.people {
		switch {
		case high && d.callLoudly(p, m.user):
			names = append(names, m.user)
		case !high && d.callPerson(p, m.user, high, false, false):
			names = append(names, m.user+d.waiting(p, m.user, high, &first))
		default:
			continue
		}
		d.responder(m.user).Because = m.because(p, "the last resort", p.Pos)
	}
	if first.After(*from) && len(c.places) == 0 {
		*from = first
	}
	for _, place := range c.places {
		d.tellPlace(place)
		names = append(names, place.Name)
	}
	return names
}

// alarm tells the alarm receiver, and says so.
func (d *desk) alarm() string {
	for _, t := range d.rules.spec.Alarm.Targets {
		d.inc.Call(t.Key, "", "", t.Detail, d.now)
	}
	d.inc.Touch(d.now)
	if len(d.rules.spec.Alarm.Targets) == 0 {
		return "no alarm receiver is configured, so nobody is told"
	}
	return "telling the alarm receiver"
}

// call makes one contact.
func (d *desk) call(c tocsin.Call) {
	d.once("way " + c.Target)
	del := d.inc.Call(c.Target, c.User, "", c.Detail, d.now)
	text := "calling " + c.User
	switch {
	case c.Copy:
		text = "a copy for " + c.User
	case del.Calls > 1:
		text = fmt.Sprintf("calling %s again (%d)", c.User, del.Calls)
	}
	d.line(tocsin.EventCalled, "", "%s by %s", text, way(c.Target)).Target = c.Target
	d.inc.Touch(d.now)
}

// way names the provider of a target, for texts.
func way(target string) string {
	kind, _, _ := strings.Cut(target, ":")
	switch kind {
	case "slack":
		return "Slack"
	case "pagerduty":
		return "PagerDuty"
	default:
		return kind
	}
}

// tellPlace tells a place, or tells it again.
func (d *desk) tellPlace(place Recipient) {
	for _, t := range place.Targets {
		if d.once("place " + t.Key) {
			del := d.inc.Call(t.Key, "", place.Mention, t.Detail, d.now)
			text := "calling " + place.Name
			if del.Calls > 1 {
				text = fmt.Sprintf("calling %s again (%d)", place.Name, del.Calls)
			}
			d.line(tocsin.EventCalled, "", "%s", text).Target = t.Key
		}
	}
}

// once reports whether something is to be done for the first time in this
// decision.
func (d *desk) once(what string) bool {
	if d.called[what] {
		return false
	}
	if d.called == nil {
		d.called = map[string]bool{}
	}
	d.called[what] = true
	return true
}
