package graph

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

// Colours of a PNG by their index in the palette; those of the series follow. With
// at most 16 a pixel takes half a byte, and the largest picture less than MaxBytes
// even where nothing can be packed.
const (
	white = iota
	ink
	faint
	grid
	red
	firstSeries
)

// PNG draws the chart for Slack and PagerDuty: dark on white. Characters that the
// small font lacks become boxes. It has at most MaxBytes.
func (c *Chart) PNG() []byte {
	s := c.scene()
	p := &canvas{image.NewPaletted(image.Rect(0, 0, s.width, s.height), palette())}
	f := &s.frame
	for _, y := range s.grid {
		p.line(dot{f.left, y}, dot{f.right, y}, grid, 1, 0)
	}
	if !math.IsNaN(s.threshold) {
		p.line(dot{f.left, s.threshold}, dot{f.right, s.threshold}, red, 1, 4)
	}
	for n := range s.lines {
		for _, r := range s.lines[n].runs {
			p.run(r, firstSeries+uint8(n))
		}
	}
	for _, k := range s.keys {
		p.line(dot{k.x, k.y}, dot{k.x + glyph, k.y}, firstSeries+uint8(k.of), 3, 0)
	}
	for _, t := range s.texts {
		p.text(t)
	}
	var b bytes.Buffer
	_ = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, p.img) // a Buffer takes all, and the size is within bounds
	return b.Bytes()
}

func palette() color.Palette {
	p := color.Palette{
		color.NRGBA{0xff, 0xff, 0xff, 0xff},
		color.NRGBA{0x22, 0x22, 0x22, 0xff},
		color.NRGBA{0x66, 0x66, 0x66, 0xff},
		color.NRGBA{0xdd, 0xdd, 0xdd, 0xff},
		hex(alarm),
	}
	for _, c := range colours {
		p = append(p, hex(c))
	}
	return p
}

// hex reads #rrggbb.
func hex(s string) color.NRGBA {
	digit := func(n int) uint8 {
		if c := s[n]; c >= 'a' {
			return c - 'a' + 10
		}
		return s[n] - '0'
	}
	return color.NRGBA{digit(1)<<4 | digit(2), digit(3)<<4 | digit(4), digit(5)<<4 | digit(6), 0xff}
}

type canvas struct{ img *image.Paletted }

// set colours a pixel; outside of the picture it does nothing.
func (p *canvas) set(x, y int, colour uint8) {
	if (image.Point{x, y}).In(p.img.Rect) {
		p.img.SetColorIndex(x, y, colour)
	}
}

func (p *canvas) run(r run, colour uint8) {
	if len(r) == 1 {
		p.line(r[0], r[0], colour, 3, 0)
	}
	for n := 1; n < len(r); n++ {
		p.line(r[n-1], r[n], colour, 2, 0)
	}
}

// line draws with a square pen; dash pixels on, and as many off, where dash is not 0.
func (p *canvas) line(from, to dot, colour uint8, pen, dash int) {
	steps := int(math.Ceil(max(math.Abs(to.x-from.x), math.Abs(to.y-from.y), 1)))
	for n := range steps + 1 {
		if dash > 0 && n/dash%2 == 1 {
			continue
		}
		part := float64(n) / float64(steps)
		x := int(math.Round(from.x+(to.x-from.x)*part)) - (pen-1)/2
		y := int(math.Round(from.y+(to.y-from.y)*part)) - (pen-1)/2
		for dx := range pen {
			for dy := range pen {
				p.set(x+dx, y+dy, colour)
			}
		}
	}
}

func (p *canvas) text(t text) {
	chars := []rune(t.s)
	x, y := int(math.Round(t.x)), int(math.Round(t.y))-fontHeight
	if t.end {
		x -= len(chars) * glyph
	}
	colour := uint8(ink)
	if t.faint {
		colour = faint
	}
	for _, r := range chars {
		columns := letter(r)
		for dx := range fontWidth {
			for dy := range fontHeight {
				if columns[dx]>>dy&1 == 1 {
					p.set(x+dx, y+dy, colour)
				}
			}
		}
		x += glyph
	}
}
