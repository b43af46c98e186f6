package oncall

import (
	"slices"
	"sort"
	"time"
)

// Interval is the time from From until just before To. It is empty where To is
// not after From.
type Interval struct{ From, To time.Time }

// Set is a set of instants: intervals that are not empty, in order, and neither
// overlap nor touch. Its zero value is the empty set. The operations return new
// sets, which may share memory with the old ones.
type Set []Interval

// Between returns the set of all instants from from until just before to.
func Between(from, to time.Time) Set {
	if !from.Before(to) {
		return nil
	}
	return Set{{from, to}}
}

// Union returns the instants that are in any of the intervals, which may be in
// any order.
func Union(intervals ...Interval) Set {
	sorted := slices.Clone(intervals)
	slices.SortFunc(sorted, func(a, b Interval) int { return a.From.Compare(b.From) })
	var out Set
	for _, in := range sorted {
		out = out.add(in)
	}
	return out
}

// add adds an interval that does not begin before the last one, in place.
func (s Set) add(in Interval) Set {
	if !in.From.Before(in.To) {
		return s
	}
	if n := len(s); n > 0 && !in.From.After(s[n-1].To) {
		s[n-1].To = later(s[n-1].To, in.To)
		return s
	}
	return append(s, in)
}

// Union returns the instants that are in one of the two sets.
func (s Set) Union(o Set) Set {
	switch {
	case len(o) == 0:
		return s
	case len(s) == 0:
		return o
	}
	out := make(Set, 0, len(s)+len(o))
	for len(s) > 0 || len(o) > 0 {
		if len(o) == 0 || len(s) > 0 && s[0].From.Before(o[0].From) {
			s, o = o, s
		}
		out, o = out.add(o[0]), o[1:]
	}
	return out
}

// Intersect returns the instants that are in both sets.
func (s Set) Intersect(o Set) Set {
	var out Set
	for len(s) > 0 && len(o) > 0 {
		if from, to := later(s[0].From, o[0].From), earlier(s[0].To, o[0].To); from.Before(to) {
			out = append(out, Interval{from, to})
		}
		if s[0].To.Before(o[0].To) {
			s = s[1:]
		} else {
			o = o[1:]
		}
	}
	return out
}

// Subtract returns the instants that are in s and not in o.
func (s Set) Subtract(o Set) Set {
	if len(o) == 0 {
		return s
	}
	var out Set
	for _, in := range s {
		for len(o) > 0 && !o[0].To.After(in.From) {
			o = o[1:]
		}
		rest := in.From
		for _, cut := range o {
			if !cut.From.Before(in.To) {
				break
			}
			if rest.Before(cut.From) {
				out = append(out, Interval{rest, cut.From})
			}
			rest = cut.To
		}
		if rest.Before(in.To) {
			out = append(out, Interval{rest, in.To})
		}
	}
	return out
}

// Contains reports whether the instant is in the set.
func (s Set) Contains(t time.Time) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].To.After(t) })
	return i < len(s) && !t.Before(s[i].From)
}

// Overlaps reports whether any instant of the interval is in the set.
func (s Set) Overlaps(in Interval) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].To.After(in.From) })
	return i < len(s) && s[i].From.Before(in.To) && in.From.Before(in.To)
}

// Length returns how long the set is altogether.
func (s Set) Length() time.Duration {
	var sum time.Duration
	for _, in := range s {
		sum += in.To.Sub(in.From)
	}
	return sum
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
