package slack

import (
	"slices"
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
		v.gone("📖 *Runbook*: it is not there any more.")
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
		v.gone("")
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
	v.gone("")
}

// maxGone is how many steps are shown that are gone.
const maxGone = 5

// gone shows, struck through, the steps that are not in the runbook any more: what
// was done about them still counts. head comes before them, where there are any.
func (v *view) gone(head string) {
	if v.detail.boxes == 0 {
		return
	}
	var lines []string
	more := 0
	for n := range v.Steps {
		s := &v.Steps[n]
		switch {
		case !s.Gone:
		case len(lines) == maxGone:
			more++
		default:
			lines = append(lines, string(appendGone(v.line[:0], s)))
		}
	}
	if len(lines) == 0 {
		return
	}
	if head != "" {
		v.b.line([]byte(head))
	}
	if more > 0 {
		lines = append(lines, "… and "+strconv.Itoa(more)+" more that are gone")
	}
	v.b.flush()
	v.b.blocks = append(v.b.blocks, block{Type: "context", Elements: []textObject{*mrkdwn([]byte(strings.Join(lines, "\n")))}})
}

func appendGone(b []byte, s *tocsin.StepView) []byte {
	b = append(append(b, "Gone from the runbook: ~"...), strconv.Itoa(s.Number)...)
	b = append(appendText(append(b, ". "...), s.Text, 80, prose), '~')
	return appendDone(b, &tocsin.StepProgress{Status: s.Status, By: s.By, At: s.At, Note: s.Note})
}

// edited reports whether a step is not what it was when the incident opened.
func (v *view) edited(s *tocsin.Step) bool {
	return slices.ContainsFunc(v.Steps, func(w tocsin.StepView) bool { return w.ID == s.ID && w.Edited && !w.Gone })
}

// editedSince marks such a step.
const editedSince = "edited since"

// step writes one step: its words, then each command in a block of its own.
func (v *view) step(number int, s *tocsin.Step) {
	b := append(v.line[:0], strings.Repeat("    ", min(s.Depth, 3))...)
	b = append(b, strconv.Itoa(number)+". "...)
	if s.Condition != "" {
		b = appendText(b, s.Condition, v.detail.step, prose)
		b = append(b, ": "...)
	}
	b = appendText(b, s.Text, v.detail.step, prose)
	if v.edited(s) {
		b = append(b, " · "+editedSince...)
	}
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

// maxChoices is the most options of a menu
// (https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element).
const maxChoices = 100

// StepChoices are the steps of a runbook, or nil, for a menu: the StepKey of each
// and what it says, in order. Where there are too many they are those around the next
// one.
func StepChoices(rb *tocsin.Runbook, progress *tocsin.Progress) [][2]string {
	if rb == nil {
		return nil
	}
	v := view{Notice: &tocsin.Notice{Incident: &tocsin.Incident{Progress: progress}, Runbook: rb}}
	from := max(0, min(v.next()-1, len(rb.Steps)-maxChoices))
	var out [][2]string
	for n := from; n < len(rb.Steps) && len(out) < maxChoices; n++ {
		if key := StepKey(rb.Steps[n].ID); key != "" {
			out = append(out, [2]string{key, v.boxLabel(n)})
		}
	}
	return out
}

// NextStep is the StepKey of the first step that is not finished, or "".
func NextStep(rb *tocsin.Runbook, progress *tocsin.Progress) string {
	v := view{Notice: &tocsin.Notice{Incident: &tocsin.Incident{Progress: progress}, Runbook: rb}}
	if n := v.next(); n < len(rb.Steps) {
		return StepKey(rb.Steps[n].ID)
	}
	return ""
}
