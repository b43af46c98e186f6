// Package insights counts what paging costs, and what it brings. It is pure, and
// counts what the incidents and their timelines say.
package insights

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Brief is how soon an incident that went away by itself was resolved, at the most.
const Brief = 5 * time.Minute

// Night is from this hour to that one, by the clock of whoever is called.
const (
	nightFrom = 22
	nightTo   = 7
)

// Case is an incident with what happened to it.
type Case struct {
	Incident *tocsin.Incident
	// Rule is the name of its first alert; empty: it has none.
	Rule string
	// Timeline, oldest first.
	Timeline []tocsin.Event
}

// Of counts the cases that were opened in [from, to). zone returns where a person
// lives; nil: in UTC.
func Of(cases []Case, from, to time.Time, zone func(user string) *time.Location) tocsin.Insights {
	r := tocsin.Insights{From: from, To: to}
	var acks, ends spread
	pages, nights, rules := tallies{}, tallies{}, tallies{}
	idle, brief := tocsin.Tally{Incidents: []string{}}, tocsin.Tally{Incidents: []string{}}
	for n := range cases {
		c := &cases[n]
		inc := c.Incident
		if inc.Kind == tocsin.KindNotice || inc.OpenedAt.Before(from) || !inc.OpenedAt.Before(to) {
			continue
		}
		r.Incidents++
		if at := c.acknowledged(); !at.IsZero() {
			acks.add(inc.ID, at.Sub(inc.OpenedAt))
		}
		if !inc.Open() {
			ends.add(inc.ID, inc.ResolvedAt.Sub(inc.OpenedAt))
		}
		rules.add(c.Rule, inc.ID)
		c.calls(zone, pages, nights)
		if c.idle() {
			count(&idle, inc.ID)
		}
		if c.brief() {
			count(&brief, inc.ID)
		}
	}
	delete(rules, "")
	r.Acknowledge, r.Resolve = acks.spread(), ends.spread()
	r.Pages, r.Nights, r.Rules = pages.list(), nights.list(), rules.list()
	r.Idle, r.Brief = idle, brief
	return r
}

// acknowledged is when somebody first took the incident.
func (c *Case) acknowledged() time.Time {
	for n := range c.Timeline {
		if c.Timeline[n].Kind == tocsin.EventAcknowledged {
			return c.Timeline[n].At
		}
	}
	return c.Incident.AcknowledgedAt
}

// idle reports whether it was taken, and ended without a trace of work.
func (c *Case) idle() bool {
	return !c.Incident.Open() && !c.acknowledged().IsZero() && !slices.ContainsFunc(c.Timeline, func(e tocsin.Event) bool {
		return e.Kind == tocsin.EventNote || e.Kind == tocsin.EventStep || e.Kind == tocsin.EventRemediation
	})
}

// brief reports whether it went away before anybody could have done anything.
func (c *Case) brief() bool {
	i := c.Incident
	return !i.Open() && i.ResolvedBy == "" && c.acknowledged().IsZero() && i.ResolvedAt.Sub(i.OpenedAt) < Brief
}

// calls counts each call of a person once, whatever its target.
func (c *Case) calls(zone func(string) *time.Location, pages, nights tallies) {
	for n := range c.Timeline {
		e := &c.Timeline[n]
		if e.Kind != tocsin.EventCalled {
			continue
		}
		d := c.Incident.Delivery(e.Target)
		if d == nil || d.User == "" || strings.HasPrefix(e.Text, "a copy for ") {
			continue
		}
		pages.add(d.User, c.Incident.ID)
		at := e.At.UTC()
		if zone != nil {
			if where := zone(d.User); where != nil {
				at = at.In(where)
			}
		}
		if at.Hour() >= nightFrom || at.Hour() < nightTo {
			nights.add(d.User, c.Incident.ID)
		}
	}
}

// count counts an incident, which comes once.
func count(t *tocsin.Tally, id string) {
	t.Count++
	t.Incidents = append(t.Incidents, id)
}

type tallies map[string]*tocsin.Tally

func (t tallies) add(name, id string) {
	if t[name] == nil {
		t[name] = &tocsin.Tally{Name: name}
	}
	one := t[name]
	one.Count++
	if n := len(one.Incidents); n == 0 || one.Incidents[n-1] != id { // an incident's calls come together
		one.Incidents = append(one.Incidents, id)
	}
}

func (t tallies) list() []tocsin.Tally {
	out := make([]tocsin.Tally, 0, len(t))
	for _, one := range t {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b tocsin.Tally) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return out
}

// spread collects how long something took.
type spread struct {
	ids  []string
	took []time.Duration
}

func (s *spread) add(id string, took time.Duration) {
	s.ids, s.took = append(s.ids, id), append(s.took, max(took, 0))
}

// spread returns the nearest ranks: the least that half, and nine tenths, are not above.
func (s *spread) spread() tocsin.Spread {
	out := tocsin.Spread{Count: len(s.took), Incidents: s.ids}
	if len(s.took) == 0 {
		out.Incidents = []string{}
		return out
	}
	slices.Sort(s.took)
	rank := func(tenths int) float64 { return s.took[(len(s.took)*tenths+9)/10-1].Seconds() }
	out.Median, out.P90 = rank(5), rank(9)
	return out
}
