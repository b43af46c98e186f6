// Package graph draws small line graphs of what Prometheus answers: as SVG for
// pages and as PNG for Slack and PagerDuty. Drawing is pure, the same input gives
// the same bytes, and any input gives a picture: a series may be empty, full of
// NaN, or as large as numbers get.
package graph

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds. A picture never has more than MaxBytes, whatever is drawn.
const (
	// MaxBytes is the size of the largest picture.
	MaxBytes = 64 << 10
	// MaxSeries is how many series are drawn; the picture says how many more there
	// are.
	MaxSeries = 8
	// MaxWidth is the width of the largest picture, in pixels, and the default.
	MaxWidth = 640
	// MaxHeight is its height.
	MaxHeight = 200
	// MinWidth is the width of the smallest.
	MinWidth = 160
	// MinHeight is its height.
	MinHeight = 80
)

const (
	// maxPoints is how many points are drawn, over all series.
	maxPoints = 3000
	// gapSteps is how many steps apart two points are not joined any more.
	gapSteps = 1.5
	// readPoints is how many points of a series are looked at: the newest.
	readPoints = 20_000
)

// Point is a value at a time. NaN and infinite values are gaps.
type Point struct {
	At    time.Time
	Value float64
}

// Series is one line. Its Name may be any text from outside.
type Series struct {
	Name   string
	Points []Point
}

// Chart is what is drawn. Its zero value draws "no data".
type Chart struct {
	// Title says what it is, such as the expression; any text from outside. It is
	// the name of the picture for who cannot see it, and is written on it.
	Title string
	// Series, the first MaxSeries of which are drawn.
	Series []Series
	// More is how many series there are that Series does not hold.
	More int
	// From and To are the span that is shown, in whose time zone the times are
	// written. Both zero: what the points need.
	From, To time.Time
	// Step is how far apart the points of a series are; a wider space is a gap.
	// Zero: the smallest space in the series.
	Step time.Duration
	// Threshold draws a dashed line at a value. Nil, or not finite: none.
	Threshold *float64
	// Width and Height in pixels, held within the bounds. Zero: the largest.
	Width, Height int
}

// run is a part of a series without a gap, in pixels.
type run []dot

type dot struct{ x, y float64 }

// line is a series as it is drawn.
type line struct {
	name string
	runs []run
	last float64 // NaN: there is none
}

// frame maps times and values to pixels.
type frame struct {
	left, top, right, bottom float64
	from, to                 float64 // seconds
	low, high                float64
}

func (f *frame) x(t float64) float64 { return between(t, f.from, f.to, f.left, f.right) }
func (f *frame) y(v float64) float64 { return between(v, f.low, f.high, f.bottom, f.top) }

// between maps v of [a, b] to [c, d]. Halved, since the difference of two numbers
// may be none any more.
func between(v, a, b, c, d float64) float64 {
	part := (v/2 - a/2) / (b/2 - a/2)
	if math.IsNaN(part) {
		part = 0.5
	}
	return c + (d-c)*min(max(part, 0), 1)
}

// sec is a time in seconds: an int64 of nanoseconds does not hold every time.
func sec(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// sorted are the newest points of a series within the span, the oldest first, gaps
// included.
func (c *Chart) sorted(s *Series) []Point {
	points := slices.Clone(s.Points[max(len(s.Points)-readPoints, 0):])
	slices.SortStableFunc(points, func(a, b Point) int { return a.At.Compare(b.At) })
	if c.open() {
		return points
	}
	return slices.DeleteFunc(points, func(p Point) bool { return p.At.Before(c.From) || p.At.After(c.To) })
}

// open reports whether the points say what span is shown.
func (c *Chart) open() bool { return c.From.IsZero() && c.To.IsZero() }

// span is what is shown, from the points where the chart does not say.
func (c *Chart) span(series [][]Point) (from, to time.Time) {
	if !c.open() {
		return c.From, c.To
	}
	for _, points := range series {
		if len(points) == 0 {
			continue
		}
		if first := points[0].At; from.IsZero() || first.Before(from) {
			from = first
		}
		if last := points[len(points)-1].At; to.IsZero() || last.After(to) {
			to = last
		}
	}
	return from, to
}

// extent is the lowest and the highest of the values; found is false where there
// is none.
func extent(points []Point) (low, high float64, found bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		if finite(p.Value) {
			low, high = min(low, p.Value), max(high, p.Value)
		}
	}
	return low, high, low <= high
}

// bounds are the lowest and the highest value that are shown; found is false where
// there is none.
func (c *Chart) bounds(series [][]Point) (low, high float64, found bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, points := range series {
		if least, most, some := extent(points); some {
			low, high, found = min(low, least), max(high, most), true
		}
	}
	if !found {
		return 0, 1, false
	}
	if limit := c.Threshold; limit != nil && finite(*limit) {
		low, high = min(low, *limit), max(high, *limit)
	}
	if low == high { // a line that does not move lies in the middle
		pad := math.Abs(low) * 0.1
		if pad == 0 {
			pad = 1
		}
		low, high = low-pad, high+pad
	}
	return max(low, -math.MaxFloat64), min(high, math.MaxFloat64), true
}

// step is how far apart the points of a series are, in seconds.
func (c *Chart) step(points []Point) float64 {
	if c.Step > 0 {
		return c.Step.Seconds()
	}
	least := math.Inf(1)
	for n := 1; n < len(points); n++ {
		if d := sec(points[n].At) - sec(points[n-1].At); d > 0 {
			least = min(least, d)
		}
	}
	return least
}

// draw makes a line of points, with at most two dots for each of columns: the
// lowest and the highest value there, so that no peak is lost.
func (c *Chart) draw(points []Point, f *frame, columns int) (runs []run) {
	apart := c.step(points) * gapSteps
	width := (f.right - f.left) / float64(columns)
	var now run
	var column []dot
	flush := func() { now, column = append(now, extremes(column)...), column[:0] }
	end := func() {
		flush()
		if len(now) > 0 {
			runs, now = append(runs, now), nil
		}
	}
	at, drawn := 0, math.Inf(-1)
	for _, p := range points {
		t := sec(p.At)
		if !finite(p.Value) || t-drawn > apart {
			end()
		}
		if !finite(p.Value) {
			continue
		}
		d := dot{f.x(t), f.y(p.Value)}
		if n := int((d.x - f.left) / width); n != at {
			flush()
			at = n
		}
		column, drawn = append(column, d), t
	}
	end()
	return thin(runs, 2*columns)
}

// extremes are the lowest and the highest of dots, in their order.
func extremes(dots []dot) []dot {
	if len(dots) <= 2 {
		return slices.Clone(dots)
	}
	least, most := 0, 0
	for n, d := range dots {
		if d.y < dots[least].y {
			least = n
		}
		if d.y > dots[most].y {
			most = n
		}
	}
	if least == most {
		return []dot{dots[0], dots[len(dots)-1]}
	}
	return []dot{dots[min(least, most)], dots[max(least, most)]}
}

// thin leaves the newest dots of runs that are all gaps, which columns do not
// bound.
func thin(runs []run, dots int) []run {
	for n := len(runs) - 1; n >= 0; n-- {
		if dots -= len(runs[n]); dots < 0 {
			return runs[n+1:]
		}
	}
	return runs
}

// last is the newest value, or NaN where the newest point is a gap.
func last(points []Point) float64 {
	if len(points) == 0 {
		return math.NaN()
	}
	return points[len(points)-1].Value
}

// ticks are two to five round values within the frame, or its ends.
func ticks(low, high float64) []float64 {
	const most = 5
	power := math.Pow(10, math.Floor(math.Log10((high/2-low/2)/most*2)))
	for _, m := range []float64{1, 2, 5, 10} {
		step := m * power
		first := math.Ceil(low / step)
		n := math.Floor(high/step) - first + 1
		if !(n >= 2 && n <= most) || first == first+1 { // NaN too, and numbers too large to count
			continue
		}
		out := make([]float64, int(n))
		for i := range out {
			out[i] = (first+float64(i))*step + 0 // +0: no negative zero
		}
		return out
	}
	return []float64{low, high}
}

// plain makes one line of a text from outside, of at most n characters.
func plain(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(head(s, 4*n), "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:max(n-1, 0)]) + "…"
	}
	return s
}

func head(s string, n int) string { return s[:min(len(s), max(n, 0))] }

func held(v, least, most int) int { return min(max(cmp.Or(v, most), least), most) }
