package main

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const day = 24 * time.Hour

// column is a part of the time line, without to.
type column struct {
	from, to time.Time
	// wall is what the clock shows at its start, written as UTC.
	wall    time.Time
	weekend bool
}

// grid divides a span into columns on the wall clock of one zone.
type grid struct {
	columns []column
	// step is what the clock advances by from one column to the next: a whole
	// part of a day, or a whole number of days.
	step time.Duration
}

// newGrid divides a span so that it fits into room columns.
func newGrid(from, to time.Time, loc *time.Location, room int) *grid {
	start, end := civil(from.In(loc)), civil(to.In(loc))
	g := &grid{}
	for _, g.step = range []time.Duration{
		5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
		4 * time.Hour, 6 * time.Hour, 8 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day,
	} {
		if g.fits(start, end, room) {
			break
		}
	}
	for !g.fits(start, end, room) {
		g.step += 7 * day
	}
	wall := g.floor(start)
	next := wallTime(wall, loc)
	for len(g.columns) == 0 || wall.Before(end) {
		c := column{from: next, wall: wall}
		wall = wall.Add(g.step)
		next = wallTime(wall, loc)
		c.to = next
		c.weekend = g.step <= day && (c.wall.Weekday() == time.Saturday || c.wall.Weekday() == time.Sunday)
		if c.from.Before(c.to) { // the clock does not skip it
			g.columns = append(g.columns, c)
		}
	}
	// What the clock shows twice may lie behind the last column.
	first, last := &g.columns[0], &g.columns[len(g.columns)-1]
	first.from, last.to = from, to
	return g
}

// floor is the start of the column in which the clock shows wall. Weeks begin
// on Mondays, and days at midnight.
func (g *grid) floor(wall time.Time) time.Time {
	switch {
	case g.step <= day:
		return wall.Truncate(g.step)
	case g.step < 7*day:
		return wall.Truncate(day)
	default:
		return wall.Truncate(day).AddDate(0, 0, -(int(wall.Weekday())+6)%7)
	}
}

func (g *grid) fits(start, end time.Time, room int) bool {
	return end.Sub(g.floor(start)) <= time.Duration(max(room, 1))*g.step
}

// scale says how much time one column is.
func (g *grid) scale() string {
	switch {
	case g.step >= 7*day:
		return plural(int(g.step/(7*day)), "week")
	case g.step >= day:
		return plural(int(g.step/day), "day")
	case g.step >= time.Hour:
		return plural(int(g.step/time.Hour), "hour")
	default:
		return plural(int(g.step/time.Minute), "minute")
	}
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprint(n, " ", of, "s")
}

// rows sums up the shifts of a schedule by person, in the order in which they
// appear, with nobody last.
func (g *grid) rows(schedule string, shifts []tocsin.Shift) []row {
	var rows []row
	at := map[string]int{}
	gaps := row{cells: make([]cover, len(g.columns))}
	none := true
	for i := range shifts {
		s := &shifts[i]
		switch {
		case s.Schedule != schedule || !g.overlaps(s):
			continue
		case s.Gap():
			g.add(gaps.cells, s)
			none = false
			continue
		}
		n, known := at[s.User]
		if !known {
			n = len(rows)
			at[s.User] = n
			rows = append(rows, row{user: s.User, cells: make([]cover, len(g.columns))})
		}
		g.add(rows[n].cells, s)
	}
	if none {
		return rows
	}
	return append(rows, gaps)
}

func (g *grid) overlaps(s *tocsin.Shift) bool {
	return s.From.Before(g.columns[len(g.columns)-1].to) && s.To.After(g.columns[0].from)
}

func (g *grid) add(cells []cover, s *tocsin.Shift) {
	first := sort.Search(len(g.columns), func(i int) bool { return g.columns[i].to.After(s.From) })
	for i := first; i < len(g.columns) && g.columns[i].from.Before(s.To); i++ {
		from, to := g.columns[i].from, g.columns[i].to
		if s.From.After(from) {
			from = s.From
		}
		if s.To.Before(to) {
			to = s.To
		}
		cells[i].add(s, to.Sub(from))
	}
}

func (c *cover) add(s *tocsin.Shift, d time.Duration) {
	switch {
	case s.Shadow:
		c.shadow += d
	case s.Extra:
		c.added += d
	case overridden(s):
		c.override += d
	default:
		c.line += d
	}
}

// overridden reports whether an override put the person there.
func overridden(s *tocsin.Shift) bool {
	return !s.Gap() && (strings.HasPrefix(s.Source, "override ") || strings.HasPrefix(s.Source, "swap "))
}

// ruler names the columns, in lines, with what matters at their scale.
func (g *grid) ruler() []string {
	switch {
	case g.step <= 2*time.Hour:
		return g.lines(label{midnight, "Mon 2 Jan", 1}, label{g.hours(), "15:04", 1})
	case g.step < 12*time.Hour:
		return g.lines(label{month, "Jan 2006", 1}, label{midnight, "Mon", 0}, label{midnight, "2", 1})
	case g.step == 12*time.Hour:
		return g.lines(label{month, "Jan 2006", 1}, label{midnight, "Mo", 0}, label{monday, "2", 1})
	case g.step == day:
		return g.lines(label{month, "Jan 2006", 1}, label{midnight, "M", 0}, label{monday, "2", 1})
	case g.step < 7*day:
		return g.lines(label{month, "Jan 2006", 1}, label{midnight, "2", 2})
	default:
		return g.lines(label{year, "2006", 1}, label{month, "Jan", 1}, label{midnight, "2", 1})
	}
}

// label is what a line of the ruler says where: at is asked of a column's time
// and of that of the one before it.
type label struct {
	at     func(before, wall time.Time) bool
	form   string
	spaces int
}

func midnight(_, wall time.Time) bool { return wall.Equal(wall.Truncate(day)) }
func monday(before, wall time.Time) bool {
	return midnight(before, wall) && wall.Weekday() == time.Monday
}
func month(before, wall time.Time) bool { return before.Month() != wall.Month() }
func year(before, wall time.Time) bool  { return before.Year() != wall.Year() }

// hours picks the full hours for which there is room.
func (g *grid) hours() func(before, wall time.Time) bool {
	for _, n := range []int{1, 2, 3, 4, 6} {
		if every := time.Duration(n) * time.Hour; every >= 6*g.step {
			return func(_, wall time.Time) bool { return wall.Equal(wall.Truncate(every)) }
		}
	}
	return func(_, wall time.Time) bool { return wall.Equal(wall.Truncate(day / 2)) }
}

func (g *grid) lines(labels ...label) []string {
	lines := make([]string, len(labels))
	for n, l := range labels {
		line := bytes.Repeat([]byte(" "), len(g.columns))
		for i := 1; i < len(g.columns); i++ {
			if l.at(g.columns[i-1].wall, g.columns[i].wall) {
				put(line, i, text(g.columns[i].wall, l.form), l.spaces)
			}
		}
		// The start is named if that takes no room from what begins in it.
		put(line, 0, text(g.columns[0].wall, l.form), l.spaces)
		lines[n] = string(line)
	}
	return lines
}

// text is wall in a form; weekdays are also cut to two letters or one.
func text(wall time.Time, form string) string {
	if form == "Mo" || form == "M" {
		return wall.Weekday().String()[:len(form)]
	}
	return wall.Format(form)
}

// put writes a label at a column if there is room for it, with spaces around.
func put(line []byte, i int, label string, spaces int) {
	from, to := max(0, i-spaces), min(len(line), i+len(label)+spaces)
	if i+len(label) <= len(line) && len(bytes.TrimSpace(line[from:to])) == 0 {
		copy(line[i:], label)
	}
}
