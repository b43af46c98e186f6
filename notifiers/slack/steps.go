package slack

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// runbook shows the steps: as check boxes where they can be ticked, else the first
// of them with their commands.
func (v *view) runbook() {
	rb := v.Runbook
	if rb == nil || len(rb.Steps) == 0 {
		return
	}
	boxes := v.tickable()
	if !boxes && v.detail.steps == 0 {
		return
	}
	b := append(v.line[:0], "📖 *Runbook*"...)
	if rb.Title != "" && v.detail.steps > 0 {
		b = append(b, ": "...)
		b = appendText(b, rb.Title, 120, prose)
	}
	if boxes || v.Incident.Progress != nil {
		b = append(append(b, " · "...), v.tally()...)
	}
	v.b.line(b)
	if boxes {
		v.boxes()
		return
	}
	for n := range rb.Steps {
		if n == v.detail.steps {
			v.b.line([]byte("… and " + strconv.Itoa(len(rb.Steps)-n) + " more " + plural(uint64(len(rb.Steps)-n), "step")))
			break
		}
		v.step(n+1, &rb.Steps[n])
	}
	v.b.flush()
}

// step writes one step: its words, then each command in a block of its own.
func (v *view) step(number int, s *tocsin.Step) {
	b := append(v.line[:0], strings.Repeat("    ", min(s.Depth, 3))...)
	b = append(b, strconv.Itoa(number)+". "...)
	if s.Condition != "" {
		b = appendText(b, s.Condition, v.detail.step, prose)
		b = append(b, ": "...)
	}
	b = appendText(b, s.Text, v.detail.step, prose)
	v.b.line(appendDone(b, v.Incident.Progress.Of(s.ID)))
	for n := range s.Commands {
		if n == v.detail.commands {
			v.b.line([]byte("(" + strconv.Itoa(len(s.Commands)-n) + " more " + plural(uint64(len(s.Commands)-n), "command") + " in the runbook)"))
			return
		}
		v.command(&s.Commands[n])
	}
}

// command shows a command whole or not at all: half of one must not be pasted.
func (v *view) command(c *tocsin.Command) {
	text := strings.Trim(c.Text, "\n")
	shown := escape(text, len(text)*len("&amp;"), fenced)
	if strings.TrimSpace(shown) == "" {
		return
	}
	if utf8.RuneCountInString(shown) > v.detail.command {
		lines := uint64(strings.Count(text, "\n") + 1)
		v.b.line([]byte("(a long command of " + strconv.FormatUint(lines, 10) + " " + plural(lines, "line") + ": see the runbook)"))
		return
	}
	v.b.line([]byte("```\n" + shown + "\n```"))
	if len(c.Unfilled) == 0 {
		return
	}
	b := append(v.line[:0], "⚠️ fill in:"...)
	for n, p := range c.Unfilled {
		if n == 6 {
			b = append(b, " …"...)
			break
		}
		b = append(b, ' ')
		b = appendCode(b, p, 60)
	}
	v.b.line(b)
}
