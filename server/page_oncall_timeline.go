package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// The drawing, in its own units. It is as wide as the page, or is scrolled.
const (
	drawWidth  = 1000
	drawTop    = 22
	drawRow    = 30
	drawBeside = 18
	drawLetter = 9 // the width of a letter, about
	// colours is how many people are told apart by colour and line.
	colours = 8
)

// timeline is a drawing of who is on call.
type timeline struct {
	// N tells it from the others of the page.
	N                int
	Schedule, Zone   string
	From, To         time.Time
	Width, Height    int
	Top, Row, Beside int
	Bars             []bar
	Ticks            []drawTick
	// Lines are the path of the lines at the ticks.
	Lines string
	// Now is where now is; -1: it is not in the drawing.
	Now    int
	Legend []legend
}

// bar is a shift as it is drawn.
type bar struct {
	X, Y, Width, Height   int
	Class, Title          string
	Label                 string
	LabelX, LabelY        int
	Gap, Changed, Outside bool
}

// drawTick is the beginning of a day or of a week.
type drawTick struct {
	X     int
	Label string
}

// legend says how a person is drawn.
type legend struct{ Class, User string }

// colourOf gives each person the same colour wherever they are drawn: people are the
// ones who are known by now, and the others are added as they come.
func colourOf(people map[string]string, user string) string {
	if people[user] == "" {
		people[user] = "p" + strconv.Itoa(len(people)%colours)
	}
	return people[user]
}

// draw draws the shifts of a schedule in [from, to). people are the colours that were
// given.
func draw(n int, info *tocsin.ScheduleInfo, shifts []shiftView, from, to, now time.Time, people map[string]string) *timeline {
	t := &timeline{
		N: n, Schedule: info.Name, Zone: from.Location().String(), From: from, To: to, Width: drawWidth,
		Top: drawTop, Row: drawRow, Beside: drawTop + drawRow + 2, Height: drawTop + drawRow + 4, Now: -1,
	}
	seen := map[string]bool{}
	for i := range shifts {
		s := &shifts[i]
		b := t.bar(s, people)
		if s.Extra || s.Shadow {
			t.Height = drawTop + drawRow + drawBeside + 4
		}
		t.Bars = append(t.Bars, b)
		if !s.Gap() && !seen[s.User] {
			seen[s.User] = true
			t.Legend = append(t.Legend, legend{b.Class, s.User})
		}
	}
	t.ticks()
	for _, tick := range t.Ticks {
		t.Lines += fmt.Sprintf("M%d 0V%d", tick.X, t.Height)
	}
	if !now.Before(from) && now.Before(to) {
		t.Now = t.x(now)
	}
	return t
}

// x is where a time is in the drawing.
func (t *timeline) x(at time.Time) int {
	return int(int64(at.Sub(t.From)/time.Second) * drawWidth / int64(t.To.Sub(t.From)/time.Second))
}

func (t *timeline) bar(s *shiftView, people map[string]string) bar {
	from, to := max(0, t.x(s.From)), min(drawWidth, t.x(s.To))
	b := bar{
		X: from, Width: max(2, to-from), Y: drawTop, Height: drawRow, Gap: s.Gap(), Outside: s.Extra || s.Shadow,
		Changed: strings.HasPrefix(s.Source, "override "),
	}
	if b.Outside {
		b.Y, b.Height = t.Beside, drawBeside-2
	}
	name := "gap: nobody"
	if !s.Gap() {
		name = s.User
		b.Class = colourOf(people, name)
	}
	b.Title = name + ", " + s.Begins.Text + " to " + s.Ends.Text
	if s.Source != "" {
		b.Title += ", " + s.Source
	}
	switch {
	case s.Shadow:
		b.Title += ", shadow"
	case s.Extra:
		b.Title += ", also on call"
	}
	b.Label, b.LabelX, b.LabelY = fits(name, b.Width), b.X+4, b.Y+b.Height/2+5
	if b.Gap {
		b.Label = fits("gap", b.Width)
	}
	return b
}

// fits is as much of a name as there is room for: the name, its first letters, or
// nothing.
func fits(name string, width int) string {
	room := (width - 6) / drawLetter
	switch {
	case utf8.RuneCountInString(name) <= room:
		return name
	case room >= 2:
		return string([]rune(name)[:room-1]) + "…"
	default:
		return ""
	}
}

// ticks marks the days of up to two weeks, and the Mondays of more, at midnight on
// the wall clock.
func (t *timeline) ticks() {
	days := t.To.Sub(t.From) <= 15*day
	for at := t.From; at.Before(t.To); at = at.AddDate(0, 0, 1) {
		switch {
		case days:
			t.Ticks = append(t.Ticks, drawTick{t.x(at), at.Format("Mon 2")})
		case at.Weekday() == time.Monday:
			t.Ticks = append(t.Ticks, drawTick{t.x(at), at.Format("2 Jan")})
		}
	}
}

// midnight is when the day of a time began on its wall clock.
func midnight(at time.Time) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, at.Location())
}
