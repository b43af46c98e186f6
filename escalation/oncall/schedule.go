package oncall

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// reach is how far At looks to both sides for the ends of a shift.
const reach = 366 * 24 * time.Hour

// Shifts returns who is on call in [from, to). The shifts of the schedule's own
// line cover it exactly, without gap or overlap: where nobody is on call there is
// a shift without a user. Beside them lie the Extra ones: people who were added,
// and shadows. Adjacent shifts of one user with one source are one; all are
// clipped to [from, to), in the schedule's time zone, sorted by their begin, the
// own line's first.
//
// Overrides may be any, in any order; those of other schedules, and those that do
// not hold, change nothing. The Source of a shift is "layer NAME", "override ID"
// or "swap ID"; of a gap "time off ID" where somebody would be on call but is
// away, and else empty.
func (s *Schedule) Shifts(overrides []tocsin.Override, from, to time.Time) []tocsin.Shift {
	from, to = from.Round(0), to.Round(0)
	if !from.Before(to) {
		return nil
	}
	cs := &clocks{from: from, to: to}
	ch := s.changes(overrides, from, to)
	own, extra := s.own(cs, ch), s.extra(cs, ch)
	if len(extra) == 0 {
		return own
	}
	slices.SortStableFunc(extra, func(a, b tocsin.Shift) int { return a.From.Compare(b.From) })
	out := make([]tocsin.Shift, 0, len(own)+len(extra))
	for len(own) > 0 && len(extra) > 0 {
		if extra[0].From.Before(own[0].From) {
			out, extra = append(out, extra[0]), extra[1:]
		} else {
			out, own = append(out, own[0]), own[1:]
		}
	}
	return append(append(out, own...), extra...)
}

// At returns the shifts in force at an instant: the one of the schedule's own
// line, a gap too, and the Extra ones. They are whole, but for ends more than a
// year away. Who it is, whole or not, Shifts(overrides, t, t.Add(1)) says at a
// fraction of the cost.
func (s *Schedule) At(overrides []tocsin.Override, t time.Time) []tocsin.Shift {
	t = t.Round(0)
	for around := 8 * 24 * time.Hour; ; around *= 4 {
		around = min(around, reach)
		from, to := t.Add(-around), t.Add(around)
		cut := false
		in := slices.DeleteFunc(s.Shifts(overrides, from, to), func(sh tocsin.Shift) bool {
			return sh.From.After(t) || !sh.To.After(t)
		})
		for i := range in {
			cut = cut || !in[i].From.After(from) || !in[i].To.Before(to)
		}
		if !cut || around == reach {
			return in
		}
	}
}

// IsHoliday reports whether it is a holiday of the schedule at an instant.
func (s *Schedule) IsHoliday(t time.Time) bool { return len(s.HolidaySpans(t, t.Add(1))) > 0 }

// HolidaySpans returns the part of [from, to) that is a holiday of the schedule.
func (s *Schedule) HolidaySpans(from, to time.Time) Set {
	if len(s.holidays) == 0 || !from.Before(to) {
		return nil
	}
	return s.holidaySpans(newClock(s.loc, from, to), from, to)
}

func (s *Schedule) holidaySpans(c *clock, from, to time.Time) Set {
	before := floor(c.civil(from), dayMinutes) - 2
	i := sort.Search(len(s.holidays), func(i int) bool { return s.holidays[i] >= before })
	var out Set
	for _, day := range s.holidays[i:] {
		begins := c.instant(day * dayMinutes)
		if !begins.Before(to) {
			break
		}
		out = out.add(Interval{later(begins, from), earlier(c.instant((day+1)*dayMinutes), to)})
	}
	return out
}

// Idle returns the names of the layers that cover nothing at all in [from, to),
// not even below others: they begin later, or their restrictions leave nothing.
func (s *Schedule) Idle(from, to time.Time) []string {
	cs := &clocks{from: from, to: to}
	idle := map[string]bool{}
	for _, layers := range [][]layer{s.line, s.shadows} {
		for i := range layers {
			idle[layers[i].Name] = len(s.covers(&layers[i], cs)) == 0
		}
	}
	return slices.DeleteFunc(slices.Clone(s.order), func(name string) bool { return !idle[name] })
}

// covers returns who is on a layer when, in order.
func (s *Schedule) covers(l *layer, cs *clocks) []Span {
	var out []Span
	if l.Rotation != nil {
		out = l.Rotation.spans(cs.of(l.Location), cs.from, cs.to)
	} else {
		out = clip(l.Spans, Between(cs.from, cs.to))
	}
	if len(l.Windows) > 0 && len(out) > 0 {
		out = clip(out, windowSpans(l.Windows, cs.of(l.Location), cs.from, cs.to))
	}
	if l.Days == EveryDay || len(out) == 0 {
		return out
	}
	holidays := s.holidaySpans(cs.of(s.loc), cs.from, cs.to)
	if l.Days == HolidaysOnly {
		return clip(out, holidays)
	}
	return without(out, holidays)
}

// own returns the schedule's own line: it goes from one instant at which anything
// may change to the next.
func (s *Schedule) own(cs *clocks, ch *changes) []tocsin.Shift {
	rest, most := make([][]Span, len(s.line)), 0
	for i := range s.line {
		rest[i] = s.covers(&s.line[i], cs)
		most += len(rest[i])
	}
	users := make([]string, len(s.line))
	out := make([]tocsin.Shift, 0, most+1)
	for at := cs.from; at.Before(cs.to); {
		next := earlier(cs.to, ch.at(at))
		for i := range rest {
			for len(rest[i]) > 0 && !rest[i][0].To.After(at) {
				rest[i] = rest[i][1:]
			}
			users[i] = ""
			switch {
			case len(rest[i]) == 0:
			case rest[i][0].From.After(at):
				next = earlier(next, rest[i][0].From)
			default:
				users[i], next = rest[i][0].User, earlier(next, rest[i][0].To)
			}
		}
		user, source := s.resolve(users, ch)
		out = s.append(out, tocsin.Shift{User: user, Source: source, From: at, To: next})
		at = next
	}
	return out
}

// resolve says who is on call where the layers have these users.
func (s *Schedule) resolve(users []string, ch *changes) (user, source string) {
	gap := ""
	for i, user := range users {
		if user == "" {
			continue
		}
		got, source := ch.instead(user, s.line[i].source)
		if got != user || source != s.line[i].source {
			return got, source
		}
		away := ch.away(user)
		if away == "" {
			return user, source
		}
		gap = cmp.Or(gap, away)
	}
	return ch.instead("", gap)
}

// append adds a shift behind the last, or makes that one longer.
func (s *Schedule) append(shifts []tocsin.Shift, sh tocsin.Shift) []tocsin.Shift {
	if n := len(shifts); n > 0 {
		if last := &shifts[n-1]; last.To.Equal(sh.From) && last.User == sh.User && last.Source == sh.Source {
			last.To = sh.To.In(s.loc)
			return shifts
		}
	}
	sh.Schedule, sh.From, sh.To = s.name, sh.From.In(s.loc), sh.To.In(s.loc)
	return append(shifts, sh)
}

// extra returns the shifts beside the own line.
func (s *Schedule) extra(cs *clocks, ch *changes) []tocsin.Shift {
	var out []tocsin.Shift
	for _, add := range ch.added {
		out = append(out, s.append(nil, tocsin.Shift{
			User: add.user, Source: add.source, From: add.From, To: add.To, Extra: true,
		})...)
	}
	for i := range s.shadows {
		var line []tocsin.Shift
		for _, span := range s.covers(&s.shadows[i], cs) {
			for _, in := range Between(span.From, span.To).Subtract(ch.absent(span.User)) {
				line = s.append(line, tocsin.Shift{
					User: span.User, Source: s.shadows[i].source, From: in.From, To: in.To, Extra: true, Shadow: true,
				})
			}
		}
		out = append(out, line...)
	}
	return out
}
