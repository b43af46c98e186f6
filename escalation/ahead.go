package escalation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxAhead bounds how far a plan is told.
const maxAhead = 8

// Ahead returns what happens to an open incident if nobody does anything, the
// next first, as far as it can be known now: who is on call when a step is
// taken is asked then.
func (e *Engine) Ahead(inc *tocsin.Incident) []tocsin.Ahead {
	esc := inc.Escalation
	if esc == nil || !inc.Open() || inc.Quiet() {
		return nil
	}
	docs := reading{e.o.Store}
	rules := e.rules.Load()
	p := &planner{
		rules: rules, policy: func(id string) *Policy { return e.lib.policy(docs, id) },
		overrides: rules.withTimeOff(e.lib.overridesIn(docs)),
	}
	return p.plan(inc, e.o.Now())
}

// reading reads committed documents as a transaction does.
type reading struct{ store Store }

func (r reading) Documents(kind string) ([]tocsin.Document, uint64) {
	docs, version, err := r.store.Documents(context.Background(), kind)
	if err != nil {
		return nil, 0
	}
	return docs, version
}

func (r reading) Document(kind, id string) []byte {
	docs, _ := r.Documents(kind)
	at, ok := slices.BinarySearchFunc(docs, id, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
	if !ok {
		return nil
	}
	return docs[at].Value
}

// planner tells what is ahead of an incident. It is pure.
type planner struct {
	rules     *Rules
	policy    func(id string) *Policy
	overrides []tocsin.Override
}

func (p *planner) plan(inc *tocsin.Incident, now time.Time) []tocsin.Ahead {
	e := inc.Escalation
	var out []tocsin.Ahead
	add := func(at time.Time, format string, args ...any) {
		if !at.IsZero() {
			out = append(out, tocsin.Ahead{At: at, Text: fmt.Sprintf(format, args...)})
		}
	}
	for _, c := range e.Calls {
		add(c.Due, "%s by %s", c.User, way(c.Target))
	}
	add(e.RemindAt, "%s is reminded", inc.AcknowledgedBy)
	add(e.SnoozedUntil, "the snooze ends: back to triggered, from the first step")
	add(e.ReturnAt, "the acknowledgement runs out: back to triggered")
	for n := range e.Runs {
		r := e.Runs[n]
		if policy := p.policy(r.Plan); policy != nil {
			switch {
			case !r.Due.IsZero():
			case !e.SnoozedUntil.IsZero() && len(policy.Steps) > 0:
				r = tocsin.Run{Due: e.SnoozedUntil.Add(policy.Steps[0].After)}
			default:
				r.Due = e.ReturnAt
			}
			if !r.Due.IsZero() {
				out = append(out, p.steps(policy, r, inc.Severity)...)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b tocsin.Ahead) int { return a.At.Compare(b.At) })
	return out[:min(len(out), maxAhead)]
}

// steps goes through what a run has ahead of it, up to the first call of the
// last resort.
func (p *planner) steps(policy *Policy, r tocsin.Run, severity tocsin.Severity) []tocsin.Ahead {
	var out []tocsin.Ahead
	at := r.Due
	for len(out) < maxAhead {
		if r.Step >= len(policy.Steps) {
			high := policy.Urgency.high(severity, at)
			contacts := (*User).ways
			if !high {
				contacts = contactsFor(high)
			}
			to, _, _ := p.describe(policy, &Step{To: policy.LastResort}, high, contacts, high, at)
			return append(out, tocsin.Ahead{At: at, Text: "last resort: " + to})
		}
		to, reached, from := p.step(policy, &policy.Steps[r.Step], severity, at)
		out = append(out, tocsin.Ahead{At: at, Text: to})
		if from.After(at) {
			at = from
		}
		at = at.Add(policy.next(&r, reached))
	}
	return out
}

func (p *planner) step(policy *Policy, s *Step, severity tocsin.Severity, at time.Time) (text string, reached bool, from time.Time) {
	if !s.When.takes(severity) {
		return "nobody: not for severity " + string(severity), false, at
	}
	high := policy.Urgency.high(severity, at)
	return p.describe(policy, s, high, contactsFor(high), false, at)
}

// describe names whom a step would reach at an instant, with the ways that are
// used first, or all of them, and says when the first of them is called.
func (p *planner) describe(policy *Policy, s *Step, high bool, contacts func(*User) []Contact, all bool, at time.Time) (text string, reached bool, first time.Time) {
	c := roll{p.rules, p.overrides, at, contacts}.muster(policy, s)
	var names []string
	for _, m := range c.people {
		u, _ := p.rules.user(policy, m.user)
		by := " by " + ways(contacts(&u), all)
		from := u.from(high, at)
		if first.IsZero() || from.Before(first) {
			first = from
		}
		if from.After(at) {
			by += from.In(location(u.Zone)).Format(" at 15:04 MST, after quiet hours")
		}
		names = append(names, m.user+by+m.why)
	}
	if s.RoundRobin && len(names) > 1 {
		names = []string{"one of " + strings.Join(names, ", ")}
	}
	for _, place := range c.places {
		names = append(names, place.Name)
	}
	reached = len(c.people) > 0 || len(c.nobody) == 0 && len(c.places) > 0
	if len(c.people) == 0 && len(c.nobody) > 0 {
		names = append(names, "nobody ("+strings.Join(c.nobody, "; ")+")")
	}
	return strings.Join(names, ", "), reached, first
}

// ways names the contacts that are used first, or all of them: "Slack and
// PagerDuty".
func ways(contacts []Contact, all bool) string {
	var names []string
	for i, c := range contacts {
		if name := way(c.Target.Key); (all || i == 0 || c.After <= contacts[0].After) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}
