package escalation

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds of what an incident keeps of its steps: the steps, and the characters of
// a note. The timeline keeps notes whole.
const (
	maxSteps = 1000
	maxNote  = 500
)

// runbooks looks a runbook up once for one action: a transaction that runs again
// finds what it found before, whatever was reloaded meanwhile.
func (e *Engine) runbooks() func(id string) *tocsin.Runbook {
	found := map[string]*tocsin.Runbook{}
	return func(id string) *tocsin.Runbook {
		rb, known := found[id]
		if !known && e.o.Runbook != nil {
			rb = e.o.Runbook(id)
			found[id] = rb
		}
		return rb
	}
}

// work says where a step of the runbook stands. Of two who say the same the first
// stands, and what the second has to add is added.
func (d *desk) work(a tocsin.Action) error {
	inc := d.inc
	switch {
	case !a.Status.Known():
		return tocsin.Invalid("status", "%q; want open, started, done or skipped", a.Status)
	case inc.Runbook == "":
		return fmt.Errorf("%w: incident %s has no runbook", tocsin.ErrConflict, inc.ID)
	case !inc.Open() && !d.live():
		return fmt.Errorf("%w: incident %s is closed for good; its steps stay as they are", tocsin.ErrConflict, inc.ID)
	}
	is, err := d.findStep(a.RunbookStep)
	if err != nil {
		return err
	}
	was := inc.Progress.Of(is.Step)
	same := inc.Progress.Status(is.Step) == a.Status
	note := strings.TrimSpace(a.Text)
	kept := cut(note)
	if same && was != nil && was.By != a.By && note != "" {
		kept = cut(a.By + ": " + note)
	}
	if same && (note == "" || was != nil && was.Note == kept) {
		return nil
	}
	if was == nil {
		if was, err = d.touch(is); err != nil {
			return err
		}
	}
	if !same || was.By == "" {
		was.Status, was.By, was.At, was.Via = a.Status, a.By, d.now, cmp.Or(a.Via, "API")
	}
	was.Note = kept
	inc.Touch(d.now)
	d.line(tocsin.EventStep, a.By, "%s", sayStep(a, was, note, same))
	return nil
}

// touch adds a step to those that the incident keeps account of.
func (d *desk) touch(s tocsin.StepProgress) (*tocsin.StepProgress, error) {
	if p := d.inc.Progress; p != nil && len(p.Steps) >= maxSteps {
		return nil, fmt.Errorf("%w: %d steps of incident %s were touched already, and no more are kept; write a note", tocsin.ErrConflict, maxSteps, d.inc.ID)
	}
	d.inc.Progress = d.inc.Progress.With(s)
	return d.inc.Progress.Of(s.Step), nil
}

// live reports whether the incident is not archived.
func (d *desk) live() bool {
	live := d.tx.ByGroup(d.inc.Group)
	return live != nil && live.ID == d.inc.ID
}

// findStep finds a step by its ID, or by its number in the runbook as it is shown:
// as it is now, or, where it is gone, as it was when the incident opened.
func (d *desk) findStep(name string) (tocsin.StepProgress, error) {
	inc := d.inc
	var now, pinned *tocsin.Runbook
	if d.runbook != nil {
		now = d.runbook(inc.Runbook)
	}
	if inc.Progress != nil && inc.Progress.Version != "" {
		pinned = tocsin.DecodeRunbook(d.tx.Document(tocsin.RunbookVersions, inc.Progress.Version))
	}
	for _, rb := range []*tocsin.Runbook{now, pinned} {
		if s, ok := stepOf(rb, func(s *tocsin.Step, _ int) bool { return s.ID == name }); ok {
			return s, nil
		}
	}
	if s := inc.Progress.Of(name); s != nil {
		return *s, nil
	}
	shown := now
	if shown == nil {
		shown = pinned
	}
	if shown == nil {
		return tocsin.StepProgress{}, tocsin.Invalid("runbookStep", "runbook %s is not there any more, and was not kept", inc.Runbook)
	}
	if len(shown.Steps) == 0 {
		return tocsin.StepProgress{}, tocsin.Invalid("runbookStep", "runbook %s has no steps", inc.Runbook)
	}
	number, err := strconv.Atoi(name)
	s, ok := stepOf(shown, func(_ *tocsin.Step, n int) bool { return err == nil && n == number })
	if !ok {
		return s, tocsin.Invalid("runbookStep", "%q is no step of the runbook; want a number from 1 to %d", cut(name), len(shown.Steps))
	}
	return s, nil
}

// stepOf finds a step of a runbook, which may be nil. Its numbers count from 1.
func stepOf(rb *tocsin.Runbook, is func(s *tocsin.Step, number int) bool) (tocsin.StepProgress, bool) {
	if rb == nil {
		return tocsin.StepProgress{}, false
	}
	for i := range rb.Steps {
		if s := &rb.Steps[i]; is(s, i+1) {
			return tocsin.StepProgress{Step: s.ID, Number: i + 1, Text: s.Short()}, true
		}
	}
	return tocsin.StepProgress{}, false
}

// sayStep tells what somebody did about a step, or, where that is known already,
// what there is to add.
func sayStep(a tocsin.Action, s *tocsin.StepProgress, note string, same bool) string {
	step := fmt.Sprintf("step %d", s.Number)
	switch {
	case same:
		return fmt.Sprintf("%s on %s: %s%s", a.By, step, s.Text, inBrackets(note))
	case a.Status == tocsin.StepSkipped:
		return fmt.Sprintf("%s skipped %s: %s%s", a.By, step, s.Text, inBrackets(note))
	case a.Status == tocsin.StepDone:
		return fmt.Sprintf("%s did %s: %s%s", a.By, step, s.Text, inBrackets(note))
	case a.Status == tocsin.StepStarted:
		return fmt.Sprintf("%s began %s: %s%s", a.By, step, s.Text, inBrackets(note))
	default:
		return fmt.Sprintf("%s took %s back: %s%s", a.By, step, s.Text, inBrackets(note))
	}
}

// inBrackets is a note behind the text that it is about.
func inBrackets(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

// cut bounds a note.
func cut(note string) string {
	if utf8.RuneCountInString(note) <= maxNote {
		return note
	}
	return string([]rune(note)[:maxNote-1]) + "…"
}
