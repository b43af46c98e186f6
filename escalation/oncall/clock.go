package oncall

import (
	"sort"
	"time"
)

// Bounds of what the clocks of the IANA database have ever done: no offset from
// UTC reaches maxOffset (the widest are Manila's and Alaska's before the date
// line moved), and no jump is longer than maxJump (a day: Apia, Kwajalein,
// Manila).
const (
	maxOffset = 16 * time.Hour
	maxJump   = 24 * time.Hour
	margin    = 2 * maxJump
)

// Instant returns when a wall clock in a location shows a time of a day, in
// minutes since its midnight (which may be more than a day has, or negative): the
// first instant at which it shows that or a later time. A nil location is UTC.
func Instant(d Date, minutes int, loc *time.Location) time.Time {
	civil := d.minute() + int64(minutes)
	near := time.Unix(civil*60, 0)
	c := newClock(loc, near.Add(-maxOffset), near.Add(maxOffset))
	return c.instant(civil)
}

// clock is the wall clock of a location around a span of time, without jumps to
// look up: within the span it is exact.
type clock struct {
	loc       *time.Location
	stretches []stretch
}

// stretch is a time without a jump: from an instant, the clock is offset seconds
// ahead of UTC.
type stretch struct{ from, offset int64 }

// newClock returns a clock that is exact for every instant of [from, to].
func newClock(loc *time.Location, from, to time.Time) *clock {
	if loc == nil {
		loc = time.UTC
	}
	c := &clock{loc: loc}
	last := to.Add(margin)
	for t := from.Add(-margin).In(loc); ; {
		_, offset := t.Zone()
		if n := len(c.stretches); n == 0 || c.stretches[n-1].offset != int64(offset) {
			c.stretches = append(c.stretches, stretch{from: t.Unix(), offset: int64(offset)})
		}
		_, end := t.ZoneBounds()
		if end.IsZero() || end.After(last) {
			return c
		}
		if !end.After(t) {
			// Beyond a zone's table, ZoneBounds takes every year to have 365 days: on
			// the last day of a leap year the end it returns is that day's begin
			// (Go 1.26, tzset in time/zoneinfo.go). No zone's rule is for that day.
			end = end.Add(24 * time.Hour)
		}
		t = end
	}
}

// at returns the index of the stretch that an instant is in.
func (c *clock) at(unix int64) int {
	return max(0, sort.Search(len(c.stretches), func(i int) bool { return c.stretches[i].from > unix })-1)
}

// civil returns the civil minute that the clock shows.
func (c *clock) civil(t time.Time) int64 {
	unix := t.Unix()
	return floor(unix+c.stretches[c.at(unix)].offset, 60)
}

// instant returns the first instant at which the clock shows the civil minute or
// a later one. It grows with the minute.
func (c *clock) instant(minute int64) time.Time { return time.Unix(c.unix(minute), 0).In(c.loc) }

func (c *clock) unix(minute int64) int64 {
	shown := minute * 60
	// At this instant the clock cannot show it yet.
	i := c.at(shown - int64(maxOffset/time.Second))
	for {
		s := c.stretches[i]
		t := shown - s.offset
		if i > 0 && t < s.from {
			return s.from // the clock jumped over it
		}
		if i++; i == len(c.stretches) || t < c.stretches[i].from {
			return t
		}
	}
}

// clocks makes each location's clock once.
type clocks struct {
	from, to time.Time
	made     []*clock
}

func (cs *clocks) of(loc *time.Location) *clock {
	for _, c := range cs.made {
		if c.loc == loc {
			return c
		}
	}
	c := newClock(loc, cs.from, cs.to)
	cs.made = append(cs.made, c)
	return c
}
