package oncall

import (
	"slices"
	"time"
)

// begins returns the civil minute at which a turn of the rotation begins, counted
// from 0.
func (r *Rotation) begins(turn int64) int64 {
	if r.Unit != Months {
		return r.first() + turn*r.minutes()
	}
	months := int64(r.Start.Year)*12 + int64(r.Start.Month-1) + turn*int64(r.Length)
	year, month := int(floor(months, 12)), time.Month(mod(months, 12)+1)
	day := min(r.Start.Day, monthDays(year, month))
	return Date{year, month, day}.minute() + int64(r.Handoff)
}

// first returns the civil minute at which the rotation begins.
func (r *Rotation) first() int64 { return r.Start.minute() + int64(r.Handoff) }

// minutes returns how long a turn is on the wall clock, but for months.
func (r *Rotation) minutes() int64 {
	switch n := int64(r.Length); r.Unit {
	case Hours:
		return n * 60
	case DaysUnit:
		return n * dayMinutes
	default:
		return n * 7 * dayMinutes
	}
}

// turn returns the turn that a civil minute is in; below 0: before the first.
func (r *Rotation) turn(minute int64) int64 {
	if r.Unit != Months {
		return floor(minute-r.first(), r.minutes())
	}
	d := dateAt(minute)
	months := int64(d.Year-r.Start.Year)*12 + int64(d.Month-r.Start.Month)
	turn := floor(months, int64(r.Length))
	if r.begins(turn) > minute {
		turn--
	}
	return turn
}

// user returns whose turn it is.
func (r *Rotation) user(turn int64) string { return r.Users[turn%int64(len(r.Users))] }

// spans returns the turns in [from, to), clipped, on a clock that is exact there.
// The turn to begin with is computed, so its cost is that of what it returns.
func (r *Rotation) spans(c *clock, from, to time.Time) []Span {
	turn := max(0, r.turn(c.civil(from)))
	begins := c.instant(r.begins(turn))
	if !begins.Before(to) {
		return nil
	}
	out := make([]Span, 0, (r.turn(c.civil(to))-turn)+2)
	for begins.Before(to) {
		ends := c.instant(r.begins(turn + 1))
		if s := (Span{r.user(turn), later(begins, from), earlier(ends, to)}); s.From.Before(s.To) {
			out = append(out, s)
		}
		turn, begins = turn+1, ends
	}
	return out
}

// flatten returns spans in order and without overlaps: of those that overlap the
// first in the list holds.
func flatten(spans []Span) []Span {
	var out []Span
	var taken Set
	for _, s := range spans {
		s.From, s.To = s.From.Round(0), s.To.Round(0)
		if n := len(taken); n == 0 || !s.From.Before(taken[n-1].To) {
			out, taken = append(out, s), taken.add(Interval{s.From, s.To})
			continue
		}
		for _, free := range Between(s.From, s.To).Subtract(taken) {
			out, taken = append(out, Span{s.User, free.From, free.To}), taken.Union(Set{free})
		}
	}
	slices.SortFunc(out, func(a, b Span) int { return a.From.Compare(b.From) })
	return out
}

// clip returns the parts of spans, in order, that are in a set.
func clip(spans []Span, set Set) []Span {
	if len(spans) == 0 || len(set) == 0 {
		return nil
	}
	out := make([]Span, 0, len(spans)+len(set)) // a part ends where one of them does
	for len(spans) > 0 && len(set) > 0 {
		s := Span{spans[0].User, later(spans[0].From, set[0].From), earlier(spans[0].To, set[0].To)}
		if s.From.Before(s.To) {
			out = append(out, s)
		}
		if spans[0].To.Before(set[0].To) {
			spans = spans[1:]
		} else {
			set = set[1:]
		}
	}
	return out
}

// without returns the parts of spans that are not in a set.
func without(spans []Span, set Set) []Span {
	if len(set) == 0 {
		return spans
	}
	var out []Span
	for _, s := range spans {
		for len(set) > 0 && !set[0].To.After(s.From) {
			set = set[1:]
		}
		for _, rest := range (Set{{s.From, s.To}}).Subtract(set) {
			out = append(out, Span{s.User, rest.From, rest.To})
		}
	}
	return out
}
