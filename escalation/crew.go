package escalation

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// member is a person whom a recipient stands for, and why, for texts; where it is by a
// schedule, that, and the layer or the override that makes it their turn.
type member struct{ user, why, schedule, source string }

// crew is whom a step reaches.
type crew struct {
	people, shadows []member
	places          []Recipient
	// nobody says of each recipient that stands for no one why.
	nobody []string
}

func (c *crew) add(m member) {
	if !slices.ContainsFunc(c.people, func(x member) bool { return x.user == m.user }) {
		c.people = append(c.people, m)
	}
}

// because says, to be kept with the responder, why a step calls a member: "on call on
// primary by layer weekly (step 1 of platform at tocsin.yml:12)".
func (m *member) because(p *Policy, step, pos string) string {
	step += " of " + p.Name
	if pos != "" {
		step += " at " + pos
	}
	if m.schedule == "" {
		return "named in " + step
	}
	turn := "on call on " + m.schedule
	if m.source != "" {
		turn += " by " + m.source
	}
	return turn + " (" + step + ")"
}

// muster finds whom a step reaches now. It is pure but for the documents.
func (d *desk) muster(p *Policy, s *Step, high bool) crew {
	return d.roll(contactsFor(high)).muster(p, s)
}

func (d *desk) roll(contacts func(*User) []Contact) roll {
	return roll{d.rules, d.rules.withTimeOff(d.lib.overridesIn(d.tx)), d.now, contacts}
}

func contactsFor(high bool) func(*User) []Contact {
	return func(u *User) []Contact { return u.contacts(high) }
}

// roll is what it takes to find people at an instant.
type roll struct {
	rules     *Rules
	overrides []tocsin.Override
	at        time.Time
	// contacts are those that count: without one a person is not reached.
	contacts func(*User) []Contact
}

// muster finds whom a step reaches.
func (l roll) muster(p *Policy, s *Step) crew {
	var c crew
	inZone := s.When.Zone == "" || oncall.Within(s.When.Hours, l.at.In(location(s.When.Zone)))
	if !inZone {
		c.nobody = append(c.nobody, "not at this time")
		return c
	}
	reach := func(m member) {
		if not := l.unfit(p, s, m.user, m.why == ""); not != "" {
			c.nobody = append(c.nobody, not)
		} else {
			c.add(m)
		}
	}
	for _, to := range s.To {
		switch {
		case to.User != "":
			reach(member{user: to.User})
		case to.Team != "":
			if len(p.Teams[to.Team]) == 0 {
				c.nobody = append(c.nobody, "team "+to.Team+" has no members")
			}
			for _, name := range p.Teams[to.Team] {
				reach(member{user: name})
			}
		case to.Schedule != "":
			d := l.rules.spec.Schedules[to.Schedule]
			if d == nil {
				c.nobody = append(c.nobody, fmt.Sprintf("schedule %s is not defined any more", to.Schedule))
				continue
			}
			c.watch(d.Shifts(l.overrides, l.at, l.at.Add(1)), to.Schedule, reach)
		case len(to.Targets) == 0:
			c.nobody = append(c.nobody, to.Name+" has no targets")
		default:
			c.places = append(c.places, to)
		}
	}
	return c
}

// unfit says why a person is not reached by a step; "": the person is. Time off
// counts for those who are called directly: a schedule has minded it already.
func (l roll) unfit(p *Policy, s *Step, name string, direct bool) string {
	u, ok := l.rules.user(p, name)
	switch {
	case !ok || len(u.ways()) == 0:
		return name + " has no contact"
	case len(l.contacts(&u)) == 0:
		return name + " has no contact for high urgency"
	case direct && away(name, l.overrides, l.at):
		return name + " is away"
	case s.When.Zone == "" && !oncall.Within(s.When.Hours, l.at.In(location(u.Zone))):
		return "it is not the time for " + name
	default:
		return ""
	}
}

// watch adds who is on call on a schedule.
func (c *crew) watch(shifts []tocsin.Shift, schedule string, reach func(member)) {
	found := false
	for i := range shifts {
		switch s := &shifts[i]; {
		case s.Gap():
		case s.Shadow:
			c.shadows = append(c.shadows, member{user: s.User})
		default:
			found = true
			reach(member{s.User, " (on call on " + schedule + ")", schedule, s.Source})
		}
	}
	if !found {
		c.nobody = append(c.nobody, "nobody is on call on schedule "+schedule)
	}
}

// away reports whether a person has time off from everything.
func away(user string, overrides []tocsin.Override, at time.Time) bool {
	return slices.ContainsFunc(overrides, func(o tocsin.Override) bool {
		return o.Kind == tocsin.OverrideTimeOff && o.Schedule == "" && o.User == user && o.Holds() && !at.Before(o.From) && at.Before(o.To)
	})
}

// callPerson lines up a person's contacts and reports whether there are any.
// The first go at once, or at the end of quiet hours where it is not urgent.
func (d *desk) callPerson(p *Policy, name string, high, must, asked bool) bool {
	u, ok := d.rules.user(p, name)
	contacts := u.contacts(high)
	if !ok || len(contacts) == 0 {
		return false
	}
	r := d.responder(name)
	r.Must, r.Asked = r.Must || must, r.Asked || asked
	if !asked && r.Must && !r.Acknowledged.IsZero() {
		return true // one of several who must answer, and has
	}
	if !d.once("person " + name) {
		return true
	}
	r.At, r.Acknowledged, r.Unreachable = d.now, time.Time{}, false
	r.Calls++
	d.lineUpAll(tocsin.Call{User: name, Due: u.from(high, d.now), Asked: r.Asked}, contacts, false)
	return true
}

// lineUpAll lines up a person's contacts from c.Due on, in the place of those
// still to come. One of them that was to come sooner keeps its time, since steps
// may follow each other faster than contacts; one that this decision has called
// is not called again.
func (d *desk) lineUpAll(c tocsin.Call, contacts []Contact, loud bool) {
	e, from := d.inc.Escalation, c.Due
	var old []tocsin.Call
	e.Calls = slices.DeleteFunc(e.Calls, func(x tocsin.Call) bool {
		if x.User == c.User {
			old = append(old, x)
		}
		return x.User == c.User
	})
	for _, way := range contacts {
		if d.called["way "+way.Target.Key] {
			continue
		}
		c.Due, c.Target, c.Detail = from, way.Target.Key, way.Target.Detail
		if !loud {
			c.Due = from.Add(way.After)
		}
		for i := range old {
			if old[i].Target == c.Target && old[i].Due.Before(c.Due) {
				c.Due = old[i].Due
			}
		}
		d.lineUp(c)
	}
}

// callLoudly lines up every contact of a person for now.
func (d *desk) callLoudly(p *Policy, name string) bool {
	u, ok := d.rules.user(p, name)
	contacts := u.ways()
	if !ok || len(contacts) == 0 {
		return false
	}
	r := d.responder(name)
	if !d.once("loudly " + name) {
		return true
	}
	r.At, r.Acknowledged, r.Unreachable = d.now, time.Time{}, false
	r.Calls++
	d.lineUpAll(tocsin.Call{User: name, Due: d.now, Asked: r.Asked}, contacts, true)
	return true
}

// copyTo lines up the first contact of a shadow.
func (d *desk) copyTo(p *Policy, name string, high bool) {
	u, ok := d.rules.user(p, name)
	if contacts := u.contacts(high); ok && len(contacts) > 0 && d.once("copy "+name) && !d.called["person "+name] {
		c := contacts[0]
		d.lineUp(tocsin.Call{User: name, Due: u.from(high, d.now), Target: c.Target.Key, Detail: c.Target.Detail, Copy: true})
	}
}

func (d *desk) lineUp(c tocsin.Call) {
	e := d.inc.Escalation
	at := len(e.Calls)
	for at > 0 && c.Due.Before(e.Calls[at-1].Due) {
		at--
	}
	e.Calls = slices.Insert(e.Calls, at, c)
}

func (d *desk) responder(name string) *tocsin.Responder {
	e := d.inc.Escalation
	if r := e.Responder(name); r != nil {
		return r
	}
	e.Responders = append(e.Responders, tocsin.Responder{User: name})
	return &e.Responders[len(e.Responders)-1]
}

// unreachable moves on where every way that was tried to somebody has failed
// for good: to the person's next contact, or else to the next step.
func (d *desk) unreachable() {
	e := d.inc.Escalation
	if d.inc.State != tocsin.Triggered {
		return
	}
	for n := range e.Responders {
		r := &e.Responders[n]
		if r.Unreachable || !d.failed(r.User) {
			continue
		}
		if d.hasten(r.User) {
			d.advance()
			continue
		}
		r.Unreachable = true
		d.line(tocsin.EventNobody, "", "%s cannot be reached: every contact has failed; going on at once", r.User)
		for i := range e.Runs {
			if run := &e.Runs[i]; run.Due.After(d.now) && !d.anybody(r.At) {
				run.Due = d.now
			}
		}
		d.advance()
	}
}

// failed reports whether the person was called and every call has failed for
// good.
func (d *desk) failed(user string) bool { return hasFailed(d.inc, user) }

func hasFailed(inc *tocsin.Incident, user string) bool {
	tried := false
	for n := range inc.Deliveries {
		if del := &inc.Deliveries[n]; del.User == user && del.Calls > 0 && !del.Stopped {
			if !del.Failed {
				return false
			}
			tried = true
		}
	}
	return tried
}

// hasten makes the person's next contact due now, and reports whether there is
// one.
func (d *desk) hasten(user string) bool {
	e := d.inc.Escalation
	for n := range e.Calls {
		if e.Calls[n].User == user && e.Calls[n].Due.After(d.now) {
			c := e.Calls[n]
			c.Due = d.now
			e.Calls = slices.Delete(e.Calls, n, n+1)
			d.lineUp(c)
			return true
		}
	}
	return false
}

// anybody reports whether there is somebody who was called at an instant or
// later, and can be reached. Who was called before has had the time to answer.
func (d *desk) anybody(since time.Time) bool {
	return slices.ContainsFunc(d.inc.Escalation.Responders, func(r tocsin.Responder) bool { return !r.Unreachable && !r.At.Before(since) })
}
