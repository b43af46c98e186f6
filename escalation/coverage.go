package escalation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// maxReasons bounds what is said about one step of an uncovered span.
const maxReasons = 4

// Verify proves that at every instant of [from, to), and for an incident of any
// severity, some step of the policy reaches a person: one with a contact for the
// urgency that the incident would have, who is not away, and for whom it is the
// time that the step asks for. What it returns are the counter-examples: the
// longest spans in which no step does, by severity, the most severe first; none,
// and there is somebody at every instant.
//
// It is arithmetic over intervals, so nothing is too short to be found. Each step
// is judged at the instant itself, as if it were taken then: the delays between
// the steps, the waits of contacts, and quiet hours are left out of account,
// since the steps go on until somebody answers. A place (a channel, a service) is
// no person, a shadow does not count, and neither does the last resort: it is for
// when nobody answers, not for when nobody is asked. People are those of
// p.Users: whoever may come in by an override must be there too.
func Verify(p Policy, schedules map[string]*oncall.Schedule, overrides []tocsin.Override, from, to time.Time) []tocsin.Uncovered {
	pr := &proof{
		p: &p, schedules: schedules, overrides: overrides, from: from.Round(0), to: to.Round(0),
		watches: map[string]*watch{}, zones: map[string]*time.Location{}, absences: map[string][]reason{},
	}
	pr.all = oncall.Between(pr.from, pr.to)
	var out []tocsin.Uncovered
	classes, seen := map[string]bool{}, map[string]bool{}
	for _, severity := range []tocsin.Severity{tocsin.Critical, tocsin.Error, tocsin.Warning, tocsin.Info} {
		class := pr.class(severity)
		if classes[class] {
			continue
		}
		classes[class] = true
		for _, u := range pr.uncovered(severity) {
			same := fmt.Sprint(u.From.UnixNano(), u.To.UnixNano(), u.Why)
			if !seen[same] {
				out = append(out, u)
			}
			seen[same] = true
		}
	}
	return out
}

// proof is one proof of coverage, with what it has computed already.
type proof struct {
	p         *Policy
	schedules map[string]*oncall.Schedule
	overrides []tocsin.Override
	from, to  time.Time
	all       oncall.Set
	watches   map[string]*watch
	zones     map[string]*time.Location
	absences  map[string][]reason
}

// reason is why something reaches nobody, and when.
type reason struct {
	when oncall.Set
	text string
}

// watch is who is on call on a schedule, in the order of the first shift, and
// when nobody is.
type watch struct {
	users []string
	when  map[string]oncall.Set
	gaps  []reason
}

// class tells the severities apart that the policy treats differently.
func (pr *proof) class(severity tocsin.Severity) string {
	var b strings.Builder
	for i := range pr.p.Steps {
		fmt.Fprint(&b, pr.p.Steps[i].When.takes(severity), " ")
	}
	u := &pr.p.Urgency
	fmt.Fprint(&b, slices.Contains(u.High, severity), slices.Contains(u.SupportHigh, severity) && !slices.Contains(u.High, severity))
	return b.String()
}

// takes reports whether a condition holds for a severity.
func (c *Condition) takes(severity tocsin.Severity) bool {
	return len(c.Severities) == 0 || slices.Contains(c.Severities, severity)
}

// urgent returns when an incident of a severity is of high urgency.
func (pr *proof) urgent(severity tocsin.Severity) oncall.Set {
	switch u := &pr.p.Urgency; {
	case slices.Contains(u.High, severity):
		return pr.all
	case slices.Contains(u.SupportHigh, severity):
		return oncall.WindowSpans(u.SupportHours, pr.zone(u.Zone), pr.from, pr.to)
	default:
		return nil
	}
}

func (pr *proof) uncovered(severity tocsin.Severity) []tocsin.Uncovered {
	high := pr.urgent(severity)
	left, why := pr.all, make([][]reason, len(pr.p.Steps))
	for i := range pr.p.Steps {
		var reached oncall.Set
		reached, why[i] = pr.step(&pr.p.Steps[i], severity, high)
		left = left.Subtract(reached)
	}
	var out []tocsin.Uncovered
	asked := pr.p.schedules()
	for _, in := range left {
		u := tocsin.Uncovered{Policy: pr.p.Name, Severity: severity, From: in.From.UTC(), To: in.To.UTC(), Schedules: asked}
		for i := range why {
			u.Why = append(u.Why, pr.line(i, in, why[i]))
		}
		if len(why) == 0 {
			u.Why = []string{"the policy has no steps"}
		}
		out = append(out, u)
	}
	return out
}

// schedules are those that the policy's steps ask, each once.
func (p *Policy) schedules() []string {
	var names []string
	for i := range p.Steps {
		for _, to := range p.Steps[i].To {
			if to.Schedule != "" && !slices.Contains(names, to.Schedule) {
				names = append(names, to.Schedule)
			}
		}
	}
	return names
}

// line says why a step reaches nobody in an interval.
func (pr *proof) line(step int, in oncall.Interval, why []reason) string {
	var texts []string
	for _, r := range why {
		if r.when.Overlaps(in) && !slices.Contains(texts, r.text) {
			texts = append(texts, r.text)
		}
	}
	if more := len(texts) - maxReasons; more > 0 {
		texts = append(texts[:maxReasons], fmt.Sprintf("and %d more", more))
	}
	pos := ""
	if p := pr.p.Steps[step].Pos; p != "" {
		pos = " (" + p + ")"
	}
	return fmt.Sprintf("step %d%s: %s", step+1, pos, strings.Join(texts, "; "))
}

// step returns when a step reaches a person, and for all other time why not.
func (pr *proof) step(s *Step, severity tocsin.Severity, high oncall.Set) (oncall.Set, []reason) {
	if !s.When.takes(severity) {
		return nil, []reason{{pr.all, "only for " + severities(s.When.Severities)}}
	}
	open := pr.all
	var why []reason
	if s.When.Zone != "" && len(s.When.Hours) > 0 {
		open = oncall.WindowSpans(s.When.Hours, pr.zone(s.When.Zone), pr.from, pr.to)
		why = append(why, reason{pr.all.Subtract(open), "it is outside the step's hours"})
	}
	if len(s.To) == 0 {
		return nil, append(why, reason{open, "it tells nobody"})
	}
	var reached oncall.Set
	for _, to := range s.To {
		got, not := pr.recipient(s, to, open, high)
		reached, why = reached.Union(got), append(why, not...)
	}
	return reached, why
}

func severities(list []tocsin.Severity) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// recipient returns when a recipient stands for a person who is reached, within
// the hours of the step, and else why not.
func (pr *proof) recipient(s *Step, to Recipient, open, high oncall.Set) (reached oncall.Set, why []reason) {
	person := func(name string, when oncall.Set, direct bool) {
		got, not := pr.person(s, name, when, high, direct)
		reached, why = reached.Union(got), append(why, not...)
	}
	switch {
	case to.User != "":
		person(to.User, open, true)
	case to.Team != "":
		members := pr.p.Teams[to.Team]
		if len(members) == 0 {
			why = append(why, reason{open, "team " + to.Team + " has no members"})
		}
		for _, name := range members {
			person(name, open, true)
		}
	case to.Schedule != "":
		w := pr.watch(to.Schedule)
		for _, gap := range w.gaps {
			why = append(why, reason{gap.when.Intersect(open), gap.text})
		}
		for _, name := range w.users {
			person(name, w.when[name].Intersect(open), false)
		}
	default:
		why = append(why, reason{open, cmp.Or(to.Name, "what it tells") + " is a place, not a person"})
	}
	return reached, why
}

// person returns the part of a time in which a person is reached, and for the
// rest why not. Time off counts for those who are called directly: a schedule has
// minded it already, and may have put the person on call in spite of it.
func (pr *proof) person(s *Step, name string, when, high oncall.Set, direct bool) (oncall.Set, []reason) {
	u := pr.p.Users[name]
	var why []reason
	without := func(part oncall.Set, text string) {
		if part = when.Intersect(part); len(part) > 0 {
			why = append(why, reason{part, text})
			when = when.Subtract(part)
		}
	}
	if len(u.High) == 0 && len(u.Low) == 0 {
		without(when, name+" has no contact")
	}
	if direct {
		for _, away := range pr.away(name) {
			without(away.when, away.text)
		}
	}
	if s.When.Zone == "" && len(s.When.Hours) > 0 {
		inside := oncall.WindowSpans(s.When.Hours, pr.zone(u.Zone), pr.from, pr.to)
		without(when.Subtract(inside), "it is outside the step's hours for "+name)
	}
	if len(u.contacts(true)) == 0 {
		without(high, name+" has no contact for high urgency")
	}
	if len(u.contacts(false)) == 0 {
		without(when.Subtract(high), name+" has no contact for low urgency")
	}
	return when, why
}

// away returns when a person has time off from everything.
func (pr *proof) away(name string) []reason {
	if found, ok := pr.absences[name]; ok {
		return found
	}
	var out []reason
	for i := range pr.overrides {
		o := &pr.overrides[i]
		if o.Kind != tocsin.OverrideTimeOff || o.Schedule != "" || o.User != name || !o.Holds() {
			continue
		}
		if when := oncall.Between(o.From, o.To).Intersect(pr.all); len(when) > 0 {
			out = append(out, reason{when, name + " is away (time off " + o.ID + ")"})
		}
	}
	pr.absences[name] = out
	return out
}

// watch returns who is on call on a schedule when.
func (pr *proof) watch(schedule string) *watch {
	if w := pr.watches[schedule]; w != nil {
		return w
	}
	w := &watch{when: map[string]oncall.Set{}}
	pr.watches[schedule] = w
	s := pr.schedules[schedule]
	if s == nil {
		w.gaps = []reason{{pr.all, "schedule " + schedule + " is not defined"}}
		return w
	}
	parts, gaps, served := map[string][]oncall.Interval{}, map[string][]oncall.Interval{}, []oncall.Interval{}
	var texts []string
	for _, sh := range s.Shifts(pr.overrides, pr.from, pr.to) {
		in := oncall.Interval{From: sh.From, To: sh.To}
		switch {
		case sh.Shadow:
		case sh.Gap():
			text := pr.gap(schedule, sh.Source)
			if gaps[text] == nil {
				texts = append(texts, text)
			}
			gaps[text] = append(gaps[text], in)
		default:
			if parts[sh.User] == nil {
				w.users = append(w.users, sh.User)
			}
			parts[sh.User], served = append(parts[sh.User], in), append(served, in)
		}
	}
	for user, list := range parts {
		w.when[user] = oncall.Union(list...)
	}
	for _, text := range texts {
		w.gaps = append(w.gaps, reason{oncall.Union(gaps[text]...).Subtract(oncall.Union(served...)), text})
	}
	return w
}

// gap says why nobody is on call.
func (pr *proof) gap(schedule, source string) string {
	text := "nobody is on call on schedule " + schedule
	id, off := strings.CutPrefix(source, "time off ")
	if !off {
		return text
	}
	i := slices.IndexFunc(pr.overrides, func(o tocsin.Override) bool { return o.ID == id })
	if i < 0 {
		return text + " (" + source + ")"
	}
	return fmt.Sprintf("%s, since %s is away (%s)", text, pr.overrides[i].User, source)
}

// zone is location, remembered: reading a zone takes long.
func (pr *proof) zone(name string) *time.Location {
	loc := pr.zones[name]
	if loc == nil {
		loc = location(name)
		pr.zones[name] = loc
	}
	return loc
}
