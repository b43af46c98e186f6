package ical

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expander turns the events of a calendar into their occurrences in a span.
type expander struct {
	from, to time.Time
	zone     *time.Location
	groups   map[string]*group
	order    []string
	refused  map[string]error
	// names are the UIDs of the refused, in order.
	names  []string
	events []Event
	full   bool
}

// group is an event and its single occurrences: they share the UID.
type group struct {
	// masters is one event, or several that say that they are the same one.
	masters []*vevent
	single  []*vevent
}

func (x *expander) refuse(v *vevent, err error) {
	if _, known := x.refused[v.key]; known {
		return
	}
	x.refused[v.key] = fmt.Errorf("the event %s (%s) is left out: %w", clip(v.uid), clip(v.Summary), err)
	x.names = append(x.names, v.key)
}

func (x *expander) add(v *vevent) {
	if x.groups == nil {
		x.groups = make(map[string]*group)
	}
	g := x.groups[v.key]
	if g == nil {
		g = &group{}
		x.groups[v.key] = g
		x.order = append(x.order, v.key)
	}
	if v.instead != nil {
		g.single = append(g.single, v)
	} else {
		g.masters = append(g.masters, v)
	}
}

func (x *expander) calendar() (Calendar, error) {
	for _, key := range x.order {
		if x.refused[key] == nil {
			x.expand(x.groups[key])
		}
		if x.full {
			return Calendar{}, fmt.Errorf("the calendar has more than %d occurrences from %s to %s",
				MaxOccurrences, x.from.Format(time.DateOnly), x.to.Format(time.DateOnly))
		}
	}
	slices.SortStableFunc(x.events, func(a, b Event) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), strings.Compare(a.UID, b.UID))
	})
	return Calendar{Events: x.events, Problems: x.problems()}, nil
}

func (x *expander) problems() []error {
	var out []error
	for i, key := range x.names {
		if i == maxProblems {
			return append(out, fmt.Errorf("and %d more events are left out", len(x.names)-i))
		}
		out = append(out, x.refused[key])
	}
	return out
}

// expand puts out the occurrences of one event.
func (x *expander) expand(g *group) {
	single := latest(g.single, func(v *vevent) int64 { return v.instead.instant().Unix() })
	for _, v := range newest(g.masters) {
		if v.cancelled {
			continue
		}
		gone := newExceptions(v.except)
		for _, s := range single {
			gone.add(*s.instead)
		}
		x.occurrences(v, gone)
	}
	for _, v := range single {
		if !v.cancelled {
			x.occur(v, v.start.civil)
		}
	}
}

// newest leaves the events with the highest SEQUENCE: the others are what they
// once were. Events that share it are different ones with the same UID, as some
// programs write them.
func newest(masters []*vevent) []*vevent {
	highest := 0
	for _, v := range masters {
		highest = max(highest, v.sequence)
	}
	return slices.DeleteFunc(slices.Clone(masters), func(v *vevent) bool { return v.sequence < highest })
}

// latest leaves one for each key, of those with the highest SEQUENCE the last.
func latest(list []*vevent, key func(*vevent) int64) []*vevent {
	at := make(map[int64]int, len(list))
	var out []*vevent
	for _, v := range list {
		k := key(v)
		i, known := at[k]
		switch {
		case !known:
			at[k] = len(out)
			out = append(out, v)
		case v.sequence >= out[i].sequence:
			out[i] = v
		}
	}
	return out
}

func (x *expander) occurrences(v *vevent, gone exceptions) {
	if v.rule == nil {
		if !gone.has(v.start.civil, v.start.zone) {
			x.occur(v, v.start.civil)
		}
		return
	}
	low := civilOf(x.from.In(v.start.zone)).day - v.length.days()
	high := civilOf(x.to.In(v.start.zone)).day + 1
	v.rule.each(v.start, low, high, func(c civil) bool {
		if !gone.has(c, v.start.zone) {
			x.occur(v, c)
		}
		return !x.full
	})
}

// occur puts out the occurrence that begins at c, if it overlaps the span.
func (x *expander) occur(v *vevent, c civil) {
	zone := v.start.zone
	from, to := c.in(zone), v.length.end(c, zone)
	if !from.Before(to) || !from.Before(x.to) || !x.from.Before(to) {
		return
	}
	if len(x.events) == MaxOccurrences {
		x.full = true
		return
	}
	e := v.Event
	e.From, e.To = from, to
	if e.AllDay {
		e.First, e.Last = dateOf(c.day), dateOf(c.add(v.length.seconds).day-1)
	}
	x.events = append(x.events, e)
}

// exceptions are the occurrences that do not take place: by instant, and by day
// where only a day was given.
type exceptions struct {
	instants map[int64]bool
	days     map[int]bool
}

func newExceptions(list []moment) exceptions {
	e := exceptions{make(map[int64]bool), make(map[int]bool)}
	for _, m := range list {
		e.add(m)
	}
	return e
}

func (e exceptions) add(m moment) {
	if m.date {
		e.days[m.day] = true
	} else {
		e.instants[m.instant().Unix()] = true
	}
}

func (e exceptions) has(c civil, zone *time.Location) bool {
	return e.days[c.day] || len(e.instants) > 0 && e.instants[c.in(zone).Unix()]
}
