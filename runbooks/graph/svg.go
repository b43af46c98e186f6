package graph

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
)

// colours of the series, which who sees fewer colours can tell apart (Okabe and
// Ito, https://jfly.uni-koeln.de/color/), without their yellow and black. They are
// seen on white and on black.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a6761d", "#888888"}

// alarm is the colour of the threshold.
const alarm = "#dd3333"

// SVG draws the chart for a page: an svg element to put there as it is. It holds no
// script and no style, so that a strict Content-Security-Policy lets it through, and
// every text in it is escaped. Texts have the colour around them (currentColor); the
// page may set the others as --graph-1 … --graph-8, --graph-threshold and
// --graph-grid. It has at most MaxBytes.
func (c *Chart) SVG() []byte {
	s := c.scene()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`font-family="ui-monospace,monospace" font-size="10" fill="none" stroke-linecap="round" stroke-linejoin="round">`, s.width, s.height, s.width, s.height)
	element(&b, "title", cmp.Or(s.title, "Graph"))
	element(&b, "desc", s.about)
	f := &s.frame
	for _, y := range s.grid {
		fmt.Fprintf(&b, `<path d="M%s %sH%s" stroke="var(--graph-grid,#88888866)"/>`, px(f.left), px(y), px(f.right))
	}
	if !math.IsNaN(s.threshold) {
		fmt.Fprintf(&b, `<path d="M%s %sH%s" stroke="var(--graph-threshold,%s)" stroke-dasharray="4 4"/>`, px(f.left), px(s.threshold), px(f.right), alarm)
	}
	for n := range s.lines {
		if len(s.lines[n].runs) > 0 {
			fmt.Fprintf(&b, `<path d="%s" stroke="%s" stroke-width="1.5"/>`, path(s.lines[n].runs), paint(n))
		}
	}
	for _, k := range s.keys {
		fmt.Fprintf(&b, `<path d="M%s %sh%d" stroke="%s" stroke-width="3"/>`, px(k.x), px(k.y), glyph, paint(k.of))
	}
	b.WriteString(`<g fill="currentColor">`)
	for _, t := range s.texts {
		if t.s == "" {
			continue
		}
		fmt.Fprintf(&b, `<text x="%s" y="%s"`, px(t.x), px(t.y))
		if t.end {
			b.WriteString(` text-anchor="end"`)
		}
		if t.faint {
			b.WriteString(` opacity="0.7"`)
		}
		b.WriteByte('>')
		escape(&b, t.s)
		b.WriteString("</text>")
	}
	b.WriteString("</g></svg>")
	return b.Bytes()
}

func paint(n int) string { return fmt.Sprintf("var(--graph-%d,%s)", n+1, colours[n%len(colours)]) }

// path joins the dots of each run; a single dot is a line without a length, which
// round ends make visible.
func path(runs []run) []byte {
	var b []byte
	for _, r := range runs {
		b = append(b, 'M')
		for n, d := range r {
			if n > 0 {
				b = append(b, ' ')
			}
			b = append(append(append(b, px(d.x)...), ' '), px(d.y)...)
		}
		if len(r) == 1 {
			b = append(b, "h0"...)
		}
	}
	return b
}

func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func element(b *bytes.Buffer, name, content string) {
	fmt.Fprintf(b, "<%s>", name)
	escape(b, content)
	fmt.Fprintf(b, "</%s>", name)
}

func escape(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) } // a Buffer takes all
