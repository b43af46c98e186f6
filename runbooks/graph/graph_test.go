package graph_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/runbooks/graph"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// wave is an hour of values, 15 s apart, without those of the steps in gaps.
func wave(name string, amplitude, phase float64, gap ...int) graph.Series {
	s := graph.Series{Name: name}
	for n := range 241 {
		if len(gap) == 2 && n > gap[0] && n < gap[1] {
			continue
		}
		s.Points = append(s.Points, graph.Point{At: at.Add(time.Duration(n) * 15 * time.Second), Value: amplitude * math.Sin(float64(n)/20+phase)})
	}
	return s
}

func limit(v float64) *float64 { return &v }

func charts() map[string]*graph.Chart {
	many := &graph.Chart{Title: `node_load1{job="node"}`, From: at, To: at.Add(time.Hour), More: 4}
	for n := range 11 {
		many.Series = append(many.Series, wave(`{instance="node-`+strconv.Itoa(n)+`:9100", job="node"}`, 1000*float64(n+1), float64(n)))
	}
	madrid := time.FixedZone("CET", 3600)
	return map[string]*graph.Chart{
		"one":   {Title: `rate(http_requests_total{code=~"5.."}[5m])`, From: at, To: at.Add(time.Hour), Step: 15 * time.Second, Threshold: limit(0.5), Series: []graph.Series{wave("node-1", 1, 0, 100, 120)}},
		"many":  many,
		"none":  {Title: "up", From: at, To: at.Add(time.Hour)},
		"point": {Title: "up", Series: []graph.Series{{Points: []graph.Point{{at, 1}}}}},
		"flat":  {Title: "up", From: at.In(madrid), To: at.Add(48 * time.Hour).In(madrid), Threshold: limit(0), Width: 320, Height: 100, Series: []graph.Series{{Points: []graph.Point{{at, 1}, {at.Add(24 * time.Hour), 1}, {at.Add(48 * time.Hour), 1}}}}},
		"hostile": {Title: "</title><script>alert(1)</script>\x00\u202e\"'&", Series: []graph.Series{
			{Name: "]]><!-- <b>é\xff\n", Points: []graph.Point{{at, math.Inf(1)}, {at, -math.MaxFloat64}, {at.Add(time.Hour), math.MaxFloat64}}}, {Name: "&amp;", Points: []graph.Point{{at, math.NaN()}}},
		}},
		"zero": {},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, c := range charts() {
		svg, picture := c.SVG(), c.PNG()
		assert.Equal(t, svg, c.SVG(), "the same again")
		assert.Equal(t, picture, c.PNG())
		base := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(base+".svg", svg, 0o644))
			require.NoError(t, os.WriteFile(base+".png", picture, 0o644))
		}
		want, err := os.ReadFile(base + ".svg")
		require.NoError(t, err, "go test -update writes it")
		assert.Equal(t, string(want), string(svg), name)
		want, err = os.ReadFile(base + ".png")
		require.NoError(t, err)
		assert.Equal(t, pixels(t, want), pixels(t, picture), name) // how it is packed may change with Go
	}
}

func pixels(t require.TestingT, data []byte) *image.Paletted {
	img, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	require.IsType(t, &image.Paletted{}, img)
	return img.(*image.Paletted)
}

// drawing is an SVG read back.
type drawing struct {
	width, height float64
	texts         []string
	names         map[string]int
	paths         []string
	coordinates   [][2]float64
}

var (
	pair   = regexp.MustCompile(`(-?[0-9.]+) (-?[0-9.]+)`)
	shape  = regexp.MustCompile(`^(M-?[0-9.]+ -?[0-9.]+( -?[0-9.]+ -?[0-9.]+)*(h[0-9]+|H[0-9.]+)?)+$`)
	colour = regexp.MustCompile(`^var\(--graph-([1-8]|grid|threshold),#[0-9a-f]{6}([0-9a-f]{2})?\)$`)
)

// read parses an SVG strictly, and holds it to what it may contain.
func read(t require.TestingT, svg []byte) drawing {
	d := drawing{names: map[string]int{}}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		require.NoError(t, err)
		switch tok := token.(type) {
		case xml.CharData:
			d.texts = append(d.texts, string(tok))
		case xml.Comment, xml.ProcInst, xml.Directive:
			require.Fail(t, "what is not drawn has no place in a drawing", "%T", tok)
		case xml.StartElement:
			d.names[tok.Name.Local]++
			require.Contains(t, []string{"svg", "title", "desc", "path", "g", "text"}, tok.Name.Local)
			d.attributes(t, tok)
		}
	}
}

func (d *drawing) attributes(t require.TestingT, e xml.StartElement) {
	values := map[string]string{}
	for _, a := range e.Attr {
		require.Contains(t, []string{
			"xmlns", "class", "role", "viewBox", "width", "height", "font-family", "font-size", "fill", "stroke-linecap", "stroke-linejoin",
			"d", "stroke", "stroke-width", "stroke-dasharray", "x", "y", "text-anchor", "opacity",
		}, a.Name.Local)
		values[a.Name.Local] = a.Value
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		require.NoError(t, err)
		return v
	}
	switch e.Name.Local {
	case "svg":
		d.width, d.height = number(values["width"]), number(values["height"])
	case "path":
		require.Regexp(t, shape, values["d"])
		require.Regexp(t, colour, values["stroke"])
		d.paths = append(d.paths, values["d"])
		for _, m := range pair.FindAllStringSubmatch(values["d"], -1) {
			d.coordinates = append(d.coordinates, [2]float64{number(m[1]), number(m[2])})
		}
	case "text":
		d.coordinates = append(d.coordinates, [2]float64{number(values["x"]), number(values["y"])})
	}
}

func TestHostileTextsAreTexts(t *testing.T) {
	t.Parallel()
	svg := charts()["hostile"].SVG()
	d := read(t, svg)
	assert.Equal(t, `</title><script>alert(1)</script> "'&`, d.texts[0])
	assert.Equal(t, 1, d.names["title"])
	assert.NotContains(t, string(svg), "<script")
	assert.NotContains(t, string(svg), "\u202e")
	assert.Contains(t, strings.Join(d.texts, "\n"), "]]><!-- <b>é�")
	assert.Contains(t, strings.Join(d.texts, "\n"), "&amp;: no data.")
}

func TestWhatItSays(t *testing.T) {
	t.Parallel()
	all := charts()
	assert.Equal(t, []string{
		`rate(http_requests_total{code=~"5.."}[5m])`,
		"From 2026-11-22 10:00 UTC to 2026-11-22 11:00 UTC. node-1: last -0.537, lowest -1, highest 1. Threshold 0.5.",
		`rate(http_requests_total{code=~"5.."}[5m])`, "-0.537", "-0.5", "0", "0.5", "10:00", "11:00 UTC",
	}, read(t, all["one"].SVG()).texts)
	assert.Equal(t, []string{"up", "No data.", "up", "no data", "10:00", "11:00 UTC"}, read(t, all["none"].SVG()).texts)
	assert.Contains(t, read(t, all["flat"].SVG()).texts, "Nov 24 11:00 CET")
	many := strings.Join(read(t, all["many"].SVG()).texts, "\n")
	assert.Contains(t, many, "and 7 more series")
	assert.NotContains(t, many, "node-8")
	assert.Equal(t, []string{"Graph", "No data.", "no data"}, read(t, all["zero"].SVG()).texts)

	gap := all["one"].Series[0]
	gap.Points = append(gap.Points, graph.Point{At: at.Add(time.Hour), Value: math.NaN()})
	assert.Contains(t, read(t, (&graph.Chart{Series: []graph.Series{gap}}).SVG()).texts, "no value", "the last value is not an older one")
}

func TestGapsAndPeaks(t *testing.T) {
	t.Parallel()
	lines := func(c *graph.Chart) string {
		d := read(t, c.SVG())
		return d.paths[len(d.paths)-1]
	}
	one := charts()["one"]
	assert.Equal(t, 2, strings.Count(lines(one), "M"))
	one.Step = 0
	assert.Equal(t, 2, strings.Count(lines(one), "M"), "the points say how far apart they are")
	one.Step = time.Hour
	assert.Equal(t, 1, strings.Count(lines(one), "M"))

	// One high value among 20,000 is seen, wherever it is.
	for _, peak := range []int{0, 7777, 19999} {
		s := graph.Series{Points: make([]graph.Point, 20_000)}
		for n := range s.Points {
			s.Points[n] = graph.Point{At: at.Add(time.Duration(n) * time.Second)}
		}
		s.Points[peak].Value = 1
		high := math.Inf(1)
		for _, m := range pair.FindAllStringSubmatch(lines(&graph.Chart{Series: []graph.Series{s}}), -1) {
			y, err := strconv.ParseFloat(m[2], 64)
			require.NoError(t, err)
			high = min(high, y)
		}
		assert.Equal(t, 24.0, high)
	}
}

// values and times that are hard to draw.
func hardValue() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-300, 1e15, 1e15 + 1,
	}))
}

func hardTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 9).Draw(t, "hard") == 0 {
			return rapid.SampledFrom([]time.Time{{}, time.Unix(math.MinInt64, 0), time.Unix(math.MaxInt64, 999999999), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}).Draw(t, "time")
		}
		return at.Add(time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "nanoseconds")))
	})
}

func TestAnySeriesDrawsWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		point := rapid.Custom(func(t *rapid.T) graph.Point {
			return graph.Point{At: hardTime().Draw(t, "at"), Value: hardValue().Draw(t, "value")}
		})
		series := rapid.Custom(func(t *rapid.T) graph.Series {
			return graph.Series{Name: rapid.String().Draw(t, "name"), Points: rapid.SliceOfN(point, 0, 50).Draw(t, "points")}
		})
		c := graph.Chart{
			Title: rapid.String().Draw(t, "title"), Series: rapid.SliceOfN(series, 0, 12).Draw(t, "series"), More: rapid.Int().Draw(t, "more"),
			Step: time.Duration(rapid.Int64().Draw(t, "step")), Width: rapid.IntRange(-1, 1000).Draw(t, "width"), Height: rapid.IntRange(-1, 1000).Draw(t, "height"),
		}
		if rapid.Bool().Draw(t, "span") {
			c.From, c.To = hardTime().Draw(t, "from"), hardTime().Draw(t, "to")
		}
		if rapid.Bool().Draw(t, "threshold") {
			c.Threshold = limit(hardValue().Draw(t, "limit"))
		}
		bounded(t, &c)
	})
}

// bounded draws a chart and holds it to the bounds.
func bounded(t require.TestingT, c *graph.Chart) {
	svg := c.SVG()
	d := read(t, svg)
	require.LessOrEqual(t, len(svg), graph.MaxBytes)
	require.True(t, d.width >= graph.MinWidth && d.width <= graph.MaxWidth && d.height >= graph.MinHeight && d.height <= graph.MaxHeight)
	for _, at := range d.coordinates {
		require.True(t, at[0] >= 0 && at[0] <= d.width && at[1] >= 0 && at[1] <= d.height, "%v is outside", at)
	}
	picture := c.PNG()
	require.LessOrEqual(t, len(picture), graph.MaxBytes)
	require.Equal(t, image.Rect(0, 0, int(d.width), int(d.height)), pixels(t, picture).Rect)
}

// TestTheWorstIsSmallEnough draws noise with as many dots and as long texts as
// there may be.
func TestTheWorstIsSmallEnough(t *testing.T) {
	t.Parallel()
	for _, series := range []int{1, 8} {
		for _, every := range []int{1, 2} { // every second value is a gap
			c := &graph.Chart{Title: strings.Repeat("\"", 1000), Step: time.Second}
			state := uint64(1)
			for range series {
				s := graph.Series{Name: strings.Repeat("'", 1000)}
				for n := range 30_000 {
					state = state*6364136223846793005 + 1442695040888963407
					v := float64(state >> 33)
					if n%every != 0 {
						v = math.NaN()
					}
					s.Points = append(s.Points, graph.Point{At: at.Add(time.Duration(n) * time.Second), Value: v})
				}
				c.Series = append(c.Series, s)
			}
			bounded(t, c)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", -1.5: "-1.5", 0.012345: "0.0123", 12.345: "12.3", 100: "100", 999.4: "999", 999.6: "1000", 1000: "1k", 1234: "1.23k", -45678: "-45.7k",
		999499: "999k", 999600: "1M", 1e6: "1M", 7.891e9: "7.89G", 1.5e12: "1.5T", 1e15: "1P", 123e15: "123P", 1e18: "1e+18", 1e-9: "1e-09", math.MaxFloat64: "1.8e+308", math.Inf(-1): "-Inf",
	} {
		assert.Equal(t, want, graph.Number(v))
	}
	assert.Equal(t, "NaN", graph.Number(math.NaN()))
	assert.Equal(t, "0", graph.Number(math.Copysign(0, -1)))
}

func BenchmarkChart(b *testing.B) {
	c := charts()["many"]
	b.Run("svg", func(b *testing.B) {
		for b.Loop() {
			c.SVG()
		}
	})
	b.Run("png", func(b *testing.B) {
		for b.Loop() {
			c.PNG()
		}
	})
}
