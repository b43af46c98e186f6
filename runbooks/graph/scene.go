package graph

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// glyph is the width of a character, lineHeight that of a line of text, in
	// pixels.
	glyph, lineHeight = 6, 12
	margin            = 8
	// labelWidth is the room for the values at the left.
	labelWidth = 9 * glyph
	// maxTitle and maxName are what is read of a title and of a name, in characters.
	maxTitle, maxName = 100, 80
)

// scene is a picture in pixels, that SVG and PNG are made of.
type scene struct {
	width, height int
	frame         frame
	title, about  string // what is written on it, and what is said of it
	grid          []float64
	threshold     float64 // NaN: none
	lines         []line
	texts         []text
	keys          []key
}

// text is one line of text; y is its base line.
type text struct {
	x, y  float64
	s     string
	end   bool // x is where it ends
	faint bool
}

// key is the mark of a series in the legend.
type key struct {
	x, y float64
	of   int
}

// scene lays the chart out.
func (c *Chart) scene() *scene {
	s := &scene{
		width: held(c.Width, MinWidth, MaxWidth), height: held(c.Height, MinHeight, MaxHeight),
		title: plain(c.Title, maxTitle), threshold: math.NaN(),
	}
	shown := c.Series[:min(len(c.Series), MaxSeries)]
	points := make([][]Point, len(shown))
	for n := range shown {
		points[n] = c.sorted(&shown[n])
		s.lines = append(s.lines, line{name: plain(shown[n].Name, maxName), last: last(points[n])})
	}
	from, to := c.span(points)
	low, high, found := c.bounds(points)
	rows := s.legendRows(c.more())
	s.frame = frame{
		left: margin + labelWidth, right: float64(s.width - margin),
		top: margin + lineHeight + 4, bottom: float64(s.height - margin - lineHeight - rows*lineHeight - 2),
		from: sec(from), to: sec(to), low: low, high: high,
	}
	columns := min(int(s.frame.right-s.frame.left), maxPoints/2/max(len(shown), 1))
	for n := range shown {
		s.lines[n].runs = c.draw(points[n], &s.frame, columns)
	}
	if found && c.Threshold != nil && finite(*c.Threshold) {
		s.threshold = s.frame.y(*c.Threshold)
	}
	s.heading(c.more())
	s.axes(found, from, to)
	s.legend(rows, c.more())
	s.about = s.describe(c, points, from, to, found)
	return s
}

// more is how many series are not drawn.
func (c *Chart) more() int { return max(c.More, 0) + max(len(c.Series)-MaxSeries, 0) }

// legendRows is how many lines the legend takes: two series in each, and no more
// than leave half of the picture.
func (s *scene) legendRows(more int) int {
	if len(s.lines) < 2 && more == 0 {
		return 0
	}
	return min((len(s.lines)+1)/2, s.height/2/lineHeight-2)
}

// heading writes the title, and at its right the last value of a single series, or
// how many more series there are.
func (s *scene) heading(more int) {
	right := ""
	switch {
	case more > 0:
		right = "and " + Number(float64(more)) + " more series"
	case len(s.lines) == 1:
		right = s.lines[0].value()
	}
	room := (s.width-2*margin)/glyph - len(right)
	if right != "" {
		room -= 2
	}
	y := float64(margin + 7)
	s.texts = append(s.texts, text{x: margin, y: y, s: plain(s.title, room)}, text{x: float64(s.width - margin), y: y, s: right, end: true})
}

// value is the last value, in words.
func (l *line) value() string {
	if math.IsNaN(l.last) {
		return "no value"
	}
	return Number(l.last)
}

// axes writes the values at the left and the times below.
func (s *scene) axes(found bool, from, to time.Time) {
	f := &s.frame
	if !found {
		s.texts = append(s.texts, text{x: (f.left+f.right)/2 + 4*glyph, y: (f.top+f.bottom)/2 + 3, s: "no data", end: true, faint: true})
	} else {
		for _, v := range ticks(f.low, f.high) {
			s.grid = append(s.grid, f.y(v))
			s.texts = append(s.texts, text{x: f.left - 4, y: f.y(v) + 3, s: Number(v), end: true, faint: true})
		}
	}
	if from.IsZero() && to.IsZero() {
		return
	}
	layout := "15:04"
	if to.Sub(from) >= 24*time.Hour {
		layout = "Jan 2 15:04"
	}
	y := f.bottom + lineHeight
	s.texts = append(s.texts,
		text{x: f.left, y: y, s: from.Format(layout), faint: true},
		text{x: f.right, y: y, s: to.Format(layout + " MST"), end: true, faint: true})
}

// legend names the series, with their last values.
func (s *scene) legend(rows, more int) {
	if rows == 0 {
		return
	}
	width := (s.width - 2*margin) / 2
	for n := range s.lines[:min(len(s.lines), 2*rows)] {
		x := float64(margin + n%2*width)
		y := s.frame.bottom + float64(lineHeight*(2+n/2))
		value := s.lines[n].value()
		room := width/glyph - len(value) - 5
		s.keys = append(s.keys, key{x, y - 3, n})
		s.texts = append(s.texts,
			text{x: x + 2*glyph, y: y, s: plain(s.lines[n].name, room)},
			text{x: x + float64(width-2*glyph), y: y, s: value, end: true})
	}
}

// describe says the picture in words.
func (s *scene) describe(c *Chart, points [][]Point, from, to time.Time, found bool) string {
	if !found {
		return "No data."
	}
	const layout = "2006-01-02 15:04 MST"
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s.", from.Format(layout), to.Format(layout))
	for n := range s.lines {
		l := &s.lines[n]
		low, high, some := extent(points[n])
		if !some {
			fmt.Fprintf(&b, " %s: no data.", l.name)
			continue
		}
		fmt.Fprintf(&b, " %s: last %s, lowest %s, highest %s.", l.name, l.value(), Number(low), Number(high))
	}
	if c.Threshold != nil && finite(*c.Threshold) {
		fmt.Fprintf(&b, " Threshold %s.", Number(*c.Threshold))
	}
	if more := c.more(); more > 0 {
		fmt.Fprintf(&b, " %d more series are not shown.", more)
	}
	return b.String()
}
