package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// picture draws who covers what over a span: a line for each person of a
// schedule, and one for nobody. A column is always a whole part of a day or a
// whole number of days on the wall clock of loc, so that the days line up where
// the clocks change, too.
type picture struct {
	from, to time.Time
	width    int
	loc      *time.Location
	// colour writes ANSI escapes; ascii keeps to 7 bits, but for names.
	colour, ascii bool
}

// glyphs are the characters of a picture, whose meaning the legend tells: no
// colour is needed to read it.
type glyphs struct{ full, part, override, added, shadow, gap, weekend, weekday, more string }

func (p picture) glyphs() glyphs {
	g := glyphs{full: "█", part: "▄", override: "o", added: "+", shadow: "~", gap: "!", weekend: "░", weekday: "·", more: "…"}
	if p.ascii {
		g.full, g.part, g.weekend, g.weekday, g.more = "#", "-", ":", ".", "~"
	}
	return g
}

// The colours, as SGR parameters. Red is for gaps alone.
const (
	styleGap   = "1;31"
	styleTitle = "1"
	styleFaint = "90"
)

// palette tells people apart. It holds no red.
var palette = []string{"36", "32", "33", "34", "35", "96", "92", "93", "94", "95"}

// nobody labels the row of the gaps.
const nobody = "NOBODY"

// cover is what a person, or nobody, does in one column.
type cover struct{ line, override, added, shadow time.Duration }

// row is a line of the picture.
type row struct {
	user  string
	cells []cover
}

// draw returns the picture, in lines; of no shifts it is empty.
func (p picture) draw(shifts []tocsin.Shift) string {
	if len(shifts) == 0 || !p.from.Before(p.to) {
		return ""
	}
	label := len(nobody)
	for i := range shifts {
		label = max(label, utf8.RuneCountInString(shifts[i].User))
	}
	label = 2 + min(label, 16)
	g := newGrid(p.from, p.to, p.loc, p.width-label-1)
	var b strings.Builder
	for _, line := range g.ruler() {
		b.WriteString(strings.TrimRight(strings.Repeat(" ", label+1)+line, " ") + "\n")
	}
	used := map[string]bool{}
	styles := map[string]string{}
	names, of := bySchedule(shifts)
	for _, name := range names {
		b.WriteString(p.style(styleTitle, printable(name)) + "\n")
		for _, r := range g.rows(name, of[name]) {
			if _, known := styles[r.user]; !known && r.user != "" {
				styles[r.user] = palette[len(styles)%len(palette)]
			}
			b.WriteString(p.row(r, g, label, styles[r.user], used) + "\n")
		}
	}
	b.WriteString(p.legend(g, used))
	return b.String()
}

// bySchedule returns the schedules, in the order of the shifts, and the shifts of
// each.
func bySchedule(shifts []tocsin.Shift) (names []string, of map[string][]tocsin.Shift) {
	of = map[string][]tocsin.Shift{}
	for i := range shifts {
		name := shifts[i].Schedule
		if of[name] == nil {
			names = append(names, name)
		}
		of[name] = append(of[name], shifts[i])
	}
	return names, of
}

func (p picture) row(r row, g *grid, label int, style string, used map[string]bool) string {
	name := cmp.Or(printable(r.user), nobody)
	if n := utf8.RuneCountInString(name); n > label-2 && r.user != "" {
		name = string([]rune(name)[:label-3]) + p.glyphs().more
	}
	if r.user == "" {
		style = styleGap
	}
	name = "  " + name
	pad := strings.Repeat(" ", max(0, label+1-utf8.RuneCountInString(name)))
	var b strings.Builder
	b.WriteString(p.style(style, name) + pad)
	run, last := "", ""
	for i := range g.columns {
		glyph, mine := p.glyph(&r, &g.columns[i], r.cells[i])
		used[glyph] = true
		s := styleFaint
		if mine {
			s = style
		}
		if s != last {
			b.WriteString(p.style(last, run))
			run, last = "", s
		}
		run += glyph
	}
	b.WriteString(p.style(last, run))
	return strings.TrimRight(b.String(), " ")
}

// glyph is the character of one column of a row, and whether it says something
// of the person. A gap is shown however short it is.
func (p picture) glyph(r *row, c *column, is cover) (glyph string, mine bool) {
	g := p.glyphs()
	switch {
	case r.user == "" && is.line > 0:
		return g.gap, true
	case is.override > 0:
		return g.override, true
	case is.line > 0 && 2*is.line >= c.to.Sub(c.from):
		return g.full, true
	case is.line > 0:
		return g.part, true
	case is.added > 0:
		return g.added, true
	case is.shadow > 0:
		return g.shadow, true
	case c.weekend:
		return g.weekend, false
	default:
		return g.weekday, false
	}
}

// legend tells what the characters mean that were used.
func (p picture) legend(g *grid, used map[string]bool) string {
	is := p.glyphs()
	var parts []string
	for _, l := range [][2]string{
		{is.full, "on call"},
		{is.part, "partly"},
		{is.override, "override"},
		{is.added, "added"},
		{is.shadow, "shadow"},
		{is.gap, "gap: nobody"},
		{is.weekend, "weekend"},
	} {
		if !used[l[0]] {
			continue
		}
		text := l[0] + " " + l[1]
		if l[0] == is.gap {
			text = p.style(styleGap, text)
		}
		parts = append(parts, text)
	}
	parts = append(parts, fmt.Sprintf("(a column is %s, in %s)", g.scale(), p.zone()))
	return strings.Join(parts, "  ") + "\n"
}

// zone names the time zone: this machine's by its abbreviation, since its own
// name, "Local", tells nobody anything.
func (p picture) zone() string {
	if p.loc == time.Local {
		return p.from.In(p.loc).Format("MST")
	}
	return p.loc.String()
}

func (p picture) style(sgr, s string) string {
	if !p.colour || sgr == "" || strings.TrimSpace(s) == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}
