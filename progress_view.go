package tocsin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// StepView is how a step of an incident's runbook stands, to be shown.
type StepView struct {
	// Number counts the runbook's steps from 1; of one that is gone it is the
	// number that it had.
	Number int `json:"number"`
	// ID is Step.ID, and Text is Step.Short.
	ID     string     `json:"id"`
	Text   string     `json:"text"`
	Status StepStatus `json:"status"`
	// By, At, Via and Note are those of the StepProgress; empty: nobody has
	// touched the step.
	By   string    `json:"by,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Via  string    `json:"via,omitempty"`
	Note string    `json:"note,omitempty"`
	// Edited steps are not what they were when the incident opened: what was done
	// about them before is told by the one before it that is Gone.
	Edited bool `json:"edited,omitempty"`
	// Gone steps are not in the runbook any more.
	Gone bool `json:"gone,omitempty"`
}

// Finished reports whether nothing is left to do about the step.
func (v *StepView) Finished() bool { return v.Status == StepDone || v.Status == StepSkipped }

// maxShort is the most characters of Step.Short.
const maxShort = 200

// Short is what the step says, in one line of at most 200 characters: its text, or
// the first line of its commands.
func (s *Step) Short() string {
	text := s.Text
	for i := 0; text == "" && i < len(s.Commands); i++ {
		text, _, _ = strings.Cut(strings.TrimSpace(s.Commands[i].Text), "\n")
	}
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= maxShort {
		return text
	}
	return string([]rune(text)[:maxShort-1]) + "…"
}

// DecodeRunbook reads a document of kind RunbookVersions. It returns nil where
// there is none, or none that can be read.
func DecodeRunbook(value []byte) *Runbook {
	var r Runbook
	if value == nil || json.Unmarshal(value, &r) != nil {
		return nil
	}
	return &r
}

// View returns the steps of a runbook as it is now, in order, each with how it
// stands; and among them, where they stood, the steps that are gone and that
// somebody has touched or that nothing has replaced. pinned is the runbook as it
// was when the incident opened; nil: it is not known, and nothing counts as
// edited. now may be nil too: everything is gone then. p may be nil, and nothing
// is changed.
//
// A step is the same as long as its ID is: edits elsewhere in the file leave it
// alone, and so does white space. Otherwise the step that stands where another has
// vanished, in the same section, has replaced it if it is the only one that can
// have, or if the two have most of their words in common.
func (p *Progress) View(pinned, now *Runbook) []StepView {
	old, present := p.known(pinned, now), stepsOf(now)
	var out []StepView
	put := func(list []*oldStep) {
		for _, o := range list {
			out = append(out, p.look(StepView{Number: o.number, ID: o.id, Text: o.text, Gone: true}))
		}
	}
	put(old.behind[""])
	for i := range present {
		s := &present[i]
		put(old.before[s.ID])
		v := p.look(StepView{Number: i + 1, ID: s.ID, Text: s.Short()})
		v.Edited = pinned != nil && !old.pinned[s.ID]
		out = append(out, v)
		put(old.behind[s.ID])
	}
	return out
}

// look fills in how a step stands.
func (p *Progress) look(v StepView) StepView {
	v.Status = StepOpen
	if s := p.Of(v.ID); s != nil {
		v.Status, v.By, v.At, v.Via, v.Note = s.Status, s.By, s.At, s.Via, s.Note
	}
	return v
}

func stepsOf(r *Runbook) []Step {
	if r == nil {
		return nil
	}
	return r.Steps
}

// oldStep is a step that was pinned or touched.
type oldStep struct {
	id, text string
	number   int
	section  SectionKind
	words    []string
	touched  bool
	// anchor is the step that it stood behind and that is still there; "": none.
	anchor string
	// successor is the ID of the step that has replaced it.
	successor string
}

// oldSteps are the steps that the runbook does not have any more and that are
// shown, by the ID of a step that it has.
type oldSteps struct {
	pinned map[string]bool
	// before the step that has replaced them; and behind the one, or the successor
	// of the one, that they stood behind: "" at the beginning.
	before, behind map[string][]*oldStep
}

// known finds the steps that were pinned or touched and are gone.
func (p *Progress) known(pinned, now *Runbook) oldSteps {
	out := oldSteps{pinned: map[string]bool{}, before: map[string][]*oldStep{}, behind: map[string][]*oldStep{}}
	for i := range stepsOf(pinned) {
		out.pinned[pinned.Steps[i].ID] = true
	}
	present := map[string]bool{}
	for i := range stepsOf(now) {
		present[now.Steps[i].ID] = true
	}
	var gone []*oldStep
	anchor := ""
	for _, o := range p.ever(pinned, out.pinned) {
		switch {
		case !present[o.id]:
			o.anchor = anchor
			gone = append(gone, o)
		case out.pinned[o.id]:
			anchor = o.id
		}
	}
	out.replace(gone, stepsOf(now))
	anchor, last := "", ""
	for _, o := range gone {
		if o.anchor != anchor {
			anchor, last = o.anchor, o.anchor
		}
		if pinned == nil && now != nil && len(now.Steps) > 0 { // its number alone says where it stood
			last = now.Steps[max(0, min(o.number-2, len(now.Steps)-1))].ID
		}
		switch {
		case o.successor == "" && !out.pinned[o.id] && last != o.anchor && pinned != nil: // it has been the successor
			out.before[last] = append(out.before[last], o)
		case o.successor == "":
			out.behind[last] = append(out.behind[last], o)
		case o.touched:
			out.before[o.successor] = append(out.before[o.successor], o)
			fallthrough
		default:
			last = o.successor
		}
	}
	return out
}

// ever returns the steps that were pinned, whose IDs are also in ids, and among
// them, by their numbers, those that were touched and came later.
func (p *Progress) ever(pinned *Runbook, ids map[string]bool) []*oldStep {
	var all []*oldStep
	for i := range stepsOf(pinned) {
		s := &pinned.Steps[i]
		all = append(all, &oldStep{id: s.ID, text: s.Short(), number: i + 1, section: s.Section, words: wordsOf(s), touched: p.Of(s.ID) != nil})
	}
	if p == nil {
		return all
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if ids[s.Step] {
			continue
		}
		at := slices.IndexFunc(all, func(o *oldStep) bool { return o.number > s.Number })
		if at < 0 {
			at = len(all)
		}
		all = slices.Insert(all, at, &oldStep{id: s.Step, text: s.Text, number: s.Number, touched: true})
	}
	return all
}

// maxPairs bounds the work of comparing steps that are gone with those that may
// have replaced them; where there are more pairs, none is said to have.
const maxPairs = 10_000

// replace finds which of the steps that are gone have a successor.
func (o *oldSteps) replace(gone []*oldStep, now []Step) {
	type place struct {
		anchor  string
		section SectionKind
	}
	left, fresh := map[place][]*oldStep{}, map[place][]*Step{}
	for _, g := range gone {
		at := place{g.anchor, g.section}
		left[at] = append(left[at], g)
	}
	anchor := ""
	for i := range now {
		s := &now[i]
		if o.pinned[s.ID] {
			anchor = s.ID
			continue
		}
		at := place{anchor, s.Section}
		fresh[at] = append(fresh[at], s)
	}
	for at, list := range fresh {
		if len(left[at])*len(list) > maxPairs {
			continue
		}
		only := len(left[at]) == 1 && len(list) == 1
		for _, s := range list {
			if g := closest(s, left[at], only); g != nil {
				g.successor = s.ID
			}
		}
	}
}

// closest finds the step that a new one has replaced: the one with the most words
// in common, if that is more than half of them, or whatever it is; nil: none.
func closest(s *Step, gone []*oldStep, whatever bool) *oldStep {
	words := wordsOf(s)
	var best *oldStep
	most := -1
	for _, g := range gone {
		n := common(g.words, words)
		if g.successor == "" && n > most && (whatever || 2*n > max(len(words), len(g.words))) {
			best, most = g, n
		}
	}
	return best
}

// wordsOf are the words of a step, each once, in order.
func wordsOf(s *Step) []string {
	words := strings.FieldsFunc(strings.ToLower(s.Text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i := range s.Commands {
		words = append(words, strings.Fields(s.Commands[i].Text)...)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// common counts the words that are in both lists.
func common(a, b []string) int {
	n := 0
	for _, w := range a {
		if _, found := slices.BinarySearch(b, w); found {
			n++
		}
	}
	return n
}

// SayProgress says how far people are, and what comes next: "3 of 7 steps done, 1
// skipped, next: restart the node". Steps that are gone do not count. Empty: there
// are none.
func SayProgress(steps []StepView) string {
	var all, done, skipped int
	next := ""
	for i := range steps {
		v := &steps[i]
		if v.Gone {
			continue
		}
		all++
		switch v.Status {
		case StepDone:
			done++
		case StepSkipped:
			skipped++
		case StepStarted:
			next = cmp.Or(next, v.Text+" ("+v.By+" has begun)")
		case StepOpen:
			next = cmp.Or(next, v.Text)
		}
	}
	if all == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d steps done", done, all)
	if skipped > 0 {
		text += fmt.Sprintf(", %d skipped", skipped)
	}
	if next != "" {
		text += ", next: " + next
	}
	return text
}
