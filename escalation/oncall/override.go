package oncall

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// changes are the overrides that matter to a schedule in a span of time.
type changes struct {
	// instead and added are in the order in which they were made.
	replaced, added []change
	absences        []change
	// bounds are the instants at which any of them begins or ends, in order.
	bounds []time.Time
	// replacing and missing are those in force at the instant last asked for.
	replacing, missing []change
}

// change is an interval of an override.
type change struct {
	Interval
	user, replaces, source string
}

// changes picks the overrides that hold for the schedule in [from, to), clipped,
// and takes people out of what was made before they asked for time off.
func (s *Schedule) changes(overrides []tocsin.Override, from, to time.Time) *changes {
	ch := &changes{}
	made := s.made(overrides, from, to)
	for i, o := range made {
		c := change{Interval{later(o.From.Round(0), from), earlier(o.To.Round(0), to)}, o.User, o.Replaces, source(o)}
		if o.Kind == tocsin.OverrideTimeOff {
			ch.absences = append(ch.absences, c)
			continue
		}
		left := Set{c.Interval}
		for _, after := range made[i+1:] {
			if after.Kind == tocsin.OverrideTimeOff && after.User == o.User {
				left = left.Subtract(Set{{after.From, after.To}})
			}
		}
		for _, c.Interval = range left {
			if o.Kind == tocsin.OverrideAdd {
				ch.added = append(ch.added, c)
			} else {
				ch.replaced = append(ch.replaced, c)
			}
		}
	}
	for _, list := range [][]change{ch.replaced, ch.absences} {
		for i := range list {
			ch.bounds = append(ch.bounds, list[i].From, list[i].To)
		}
	}
	slices.SortFunc(ch.bounds, time.Time.Compare)
	return ch
}

// made returns the overrides that matter, in the order in which they were made.
func (s *Schedule) made(overrides []tocsin.Override, from, to time.Time) []*tocsin.Override {
	var out []*tocsin.Override
	for i := range overrides {
		o := &overrides[i]
		off := o.Kind == tocsin.OverrideTimeOff
		switch {
		case !o.Holds() || o.User == "" || !o.From.Before(to) || !o.To.After(from):
		case o.Schedule != s.name && !(off && o.Schedule == ""):
		case off, o.Kind == tocsin.OverrideReplace, o.Kind == tocsin.OverrideAdd,
			o.Kind == tocsin.OverrideSwap && o.Replaces != "":
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *tocsin.Override) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func source(o *tocsin.Override) string {
	switch o.Kind {
	case tocsin.OverrideTimeOff:
		return "time off " + o.ID
	case tocsin.OverrideSwap:
		return "swap " + o.ID
	default:
		return "override " + o.ID
	}
}

// at moves on to an instant, and returns the next one at which anything changes;
// where there is none, one that is far away. Instants are asked for in order.
func (ch *changes) at(t time.Time) time.Time {
	crossed := false
	for len(ch.bounds) > 0 && !ch.bounds[0].After(t) {
		ch.bounds, crossed = ch.bounds[1:], true
	}
	if crossed {
		ch.replacing, ch.missing = inForce(ch.replacing[:0], ch.replaced, t), inForce(ch.missing[:0], ch.absences, t)
	}
	if len(ch.bounds) == 0 {
		return t.Add(100 * reach)
	}
	return ch.bounds[0]
}

func inForce(out, of []change, t time.Time) []change {
	for i := range of {
		if !of[i].From.After(t) && of[i].To.After(t) {
			out = append(out, of[i])
		}
	}
	return out
}

// instead returns who serves for a user, or for nobody, and why.
func (ch *changes) instead(user, why string) (string, string) {
	for i := range ch.replacing {
		if c := &ch.replacing[i]; c.replaces == "" || c.replaces == user {
			user, why = c.user, c.source
		}
	}
	return user, why
}

// away returns why a user is away, or "".
func (ch *changes) away(user string) string {
	for i := range ch.missing {
		if ch.missing[i].user == user {
			return ch.missing[i].source
		}
	}
	return ""
}

// absent returns when a user is away.
func (ch *changes) absent(user string) Set {
	var out []Interval
	for i := range ch.absences {
		if ch.absences[i].user == user {
			out = append(out, ch.absences[i].Interval)
		}
	}
	return Union(out...)
}
