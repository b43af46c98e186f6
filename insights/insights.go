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
	// Timeline, oldest first. Only events whose kind Counts matter; the others may be left out.
	Timeline []tocsin.Event
}

// Counts reports whether events of a kind matter to what counts of a case.
func Counts(kind tocsin.EventKind) bool {
	switch kind {
	case tocsin.EventAcknowledged, tocsin.EventReturned, tocsin.EventReopened, tocsin.EventCalled:
		return true
	default:
		return isWork(kind)
	}
}

// isWork reports whether it is a trace of work.
func isWork(kind tocsin.EventKind) bool {
	return kind == tocsin.EventNote || kind == tocsin.EventStep || kind == tocsin.EventRemediation
}

// Page is one call of a person: what made them look up.
type Page struct {
	User string
	At   time.Time
}

// Seen is what counts of a case. It is small, and to be kept.
type Seen struct {
	ID, Rule string
	OpenedAt time.Time
	// Notice is true for what is no incident, and is not counted.
	Notice bool
	// Acknowledged is when somebody first took it, and Ended when it ended; zero:
	// that has not happened.
	Acknowledged, Ended time.Time
	// Idle: it was taken, and ended without a trace of work. Brief: it went away before
	// anybody could have done anything.
	Idle, Brief bool
	// Pages, in the order in which they came.
	Pages []Page
}

// Look says what counts of a case.
func Look(c *Case) Seen {
	i := c.Incident
	s := Seen{ID: i.ID, Rule: c.Rule, OpenedAt: i.OpenedAt, Notice: i.Kind == tocsin.KindNotice, Acknowledged: c.acknowledged(), Pages: c.pages()}
	if i.Open() {
		return s
	}
	s.Ended = i.ResolvedAt
	s.Idle = !s.Acknowledged.IsZero() && !slices.ContainsFunc(c.Timeline, func(e tocsin.Event) bool { return isWork(e.Kind) })
	s.Brief = s.Acknowledged.IsZero() && i.ResolvedBy == "" && i.ResolvedAt.Sub(i.OpenedAt) < Brief
	return s
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

// pages counts each call of a person once, in however many ways they are told of
// it. Another call is one in a way that was used already, or one after somebody had
// taken the incident, or it had come back.
func (c *Case) pages() (list []Page) {
	used := map[string]map[string]bool{}
	for n := range c.Timeline {
		e := &c.Timeline[n]
		switch e.Kind {
		case tocsin.EventAcknowledged, tocsin.EventReturned, tocsin.EventReopened:
			clear(used)
			continue
		case tocsin.EventCalled:
		default:
			continue
		}
		d := c.Incident.Delivery(e.Target)
		if d == nil || d.User == "" || strings.HasPrefix(e.Text, "a copy for ") {
			continue
		}
		if used[d.User] == nil || used[d.User][e.Target] {
			used[d.User] = map[string]bool{}
			list = append(list, Page{d.User, e.At})
		}
		used[d.User][e.Target] = true
	}
	return list
}

// Of counts what was opened in [from, to). zone returns where a person lives; nil:
// in UTC.
func Of(all []Seen, from, to time.Time, zone func(user string) *time.Location) tocsin.Insights {
	r := tocsin.Insights{From: from, To: to}
	var acks, ends spread
	pages, nights, rules := tallies{}, tallies{}, tallies{}
	idle, brief := tocsin.Tally{Incidents: []string{}}, tocsin.Tally{Incidents: []string{}}
	for n := range all {
		s := &all[n]
		if s.Notice || s.OpenedAt.Before(from) || !s.OpenedAt.Before(to) {
			continue
		}
		r.Incidents++
		if !s.Acknowledged.IsZero() {
			acks.add(s.ID, s.Acknowledged.Sub(s.OpenedAt))
		}
		if !s.Ended.IsZero() {
			ends.add(s.ID, s.Ended.Sub(s.OpenedAt))
		}
		rules.add(s.Rule, s.ID)
		for _, p := range s.Pages {
			pages.add(p.User, s.ID)
			if p.atNight(zone) {
				nights.add(p.User, s.ID)
			}
		}
		if s.Idle {
			count(&idle, s.ID)
		}
		if s.Brief {
			count(&brief, s.ID)
		}
	}
	delete(rules, "")
	r.Acknowledge, r.Resolve = acks.spread(), ends.spread()
	r.Pages, r.Nights, r.Rules = pages.list(), nights.list(), rules.list()
	r.Idle, r.Brief = idle, brief
	return r
}

func (p *Page) atNight(zone func(string) *time.Location) bool {
	at := p.At.UTC()
	if zone != nil {
		if where := zone(p.User); where != nil {
			at = at.In(where)
		}
	}
	return at.Hour() >= nightFrom || at.Hour() < nightTo
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
