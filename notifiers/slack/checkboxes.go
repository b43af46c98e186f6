package slack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// ActionSteps is the action ID of each group of check boxes, of which a message
// may have several. What a group showed is in its block's ID: see ParseStepGroup.
const ActionSteps = "tocsin_steps"

// ActionStepMore asks for a window in which a step can be begun, skipped, or written
// about. It stands in the last group of check boxes; its value is the incident.
const ActionStepMore = "tocsin_step_more"

// Limits of check boxes
// (https://docs.slack.dev/reference/block-kit/block-elements/checkboxes-element,
// https://docs.slack.dev/reference/block-kit/composition-objects/option-object).
const (
	maxBoxes  = 10
	maxOption = 75
	// A block's ID has 255 characters: enough for ten keys, and as many marks.
	maxStepKey  = 16
	maxIncident = 20
	ticked      = "+"
	stepsPrefix = "tocsin_steps:"
)

// StepGroup is what one group of check boxes showed when somebody clicked on it.
type StepGroup struct {
	Incident string
	// Steps of the group, in order.
	Steps []StepBox
}

// StepBox is one check box.
type StepBox struct {
	// Key is the StepKey of the step, and the choice in the value of the option.
	Key string
	// Ticked is true when the message showed it so.
	Ticked bool
}

// StepKey stands for a Step.ID in block IDs and in the values of options, which
// have little room. Of the empty ID it is empty: such a step has no box.
func StepKey(id string) string {
	if len(id) <= maxStepKey && isStepKey(id) {
		return id
	}
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:maxStepKey/2])
}

func isStepKey(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// id is the ID of the group's block. The revision makes it another one after each
// update, or Slack would go on showing what was ticked before it. It names what is
// shown, so that a click tells what it changes whatever has happened since.
func (g *StepGroup) id(revision uint64, number int) string {
	b := append([]byte(stepsPrefix), g.Incident...)
	b = strconv.AppendUint(append(b, ':'), revision, 10)
	b = strconv.AppendInt(append(b, ':'), int64(number), 10)
	for n := range g.Steps {
		sep := byte(',')
		if n == 0 {
			sep = ':'
		}
		b = append(append(b, sep), g.Steps[n].Key...)
		if g.Steps[n].Ticked {
			b = append(b, ticked...)
		}
	}
	return string(b)
}

// ParseStepGroup reads the block ID of a group of check boxes; false: it is not
// one of ours.
func ParseStepGroup(blockID string) (StepGroup, bool) {
	rest, ours := strings.CutPrefix(blockID, stepsPrefix)
	parts := strings.Split(rest, ":")
	if !ours || len(parts) != 4 || parts[0] == "" {
		return StepGroup{}, false
	}
	for _, number := range parts[1:3] {
		if _, err := strconv.ParseUint(number, 10, 64); err != nil {
			return StepGroup{}, false
		}
	}
	g := StepGroup{Incident: parts[0]}
	for key := range strings.SplitSeq(parts[3], ",") {
		key, on := strings.CutSuffix(key, ticked)
		if len(g.Steps) == maxBoxes || len(key) > maxStepKey || !isStepKey(key) || g.has(key) {
			return StepGroup{}, false
		}
		g.Steps = append(g.Steps, StepBox{key, on})
	}
	return g, true
}

func (g *StepGroup) has(key string) bool {
	return slices.ContainsFunc(g.Steps, func(s StepBox) bool { return s.Key == key })
}

// tickable reports whether the steps can be check boxes: somebody takes clicks, and
// each step can be told from the others.
func (v *view) tickable() bool {
	i := v.Incident
	if !v.clickable || v.Runbook == nil || !i.Open() || i.Kind == tocsin.KindNotice || i.Runbook == "" || len(i.ID) > maxIncident || strings.Contains(i.ID, ":") {
		return false
	}
	seen := make(map[string]bool, len(v.Runbook.Steps))
	for n := range v.Runbook.Steps {
		key := StepKey(v.Runbook.Steps[n].ID)
		if key == "" || seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// finished reports whether nothing is left to be done about a step.
func (v *view) finished(s *tocsin.Step) bool {
	status := v.Incident.Progress.Status(s.ID)
	return status == tocsin.StepDone || status == tocsin.StepSkipped
}

// next is the index of the first step that is not finished, or how many there are.
func (v *view) next() int {
	first := slices.IndexFunc(v.Runbook.Steps, func(s tocsin.Step) bool { return !v.finished(&s) })
	if first < 0 {
		return len(v.Runbook.Steps)
	}
	return first
}

// boxes shows the steps as check boxes: from the one before the first that is not
// finished, where there is no room for all. Below each group come the commands of
// its next steps.
func (v *view) boxes() {
	steps := v.Runbook.Steps
	most := min(v.detail.boxes, len(steps))
	from := max(0, min(v.next()-1, len(steps)-most))
	if from > 0 && most > 0 {
		v.b.line(fmt.Appendf(nil, "… %d earlier %s", from, plural(uint64(from), "step")))
	}
	told := 0
	for at, group := from, 0; at < from+most; at, group = at+maxBoxes, group+1 {
		end := min(at+maxBoxes, from+most)
		v.boxGroup(group, at, end, end == from+most)
		for n := at; n < end && told < v.detail.steps; n++ {
			if s := &steps[n]; !v.finished(s) && v.saysMore(n) {
				v.step(n+1, s)
				told++
			}
		}
	}
	if more := len(steps) - from - most; more > 0 {
		v.b.line(fmt.Appendf(nil, "… and %d more %s: Runbook, in the menu above", more, plural(uint64(more), "step")))
	}
	v.b.flush()
}

// boxGroup adds the check boxes of the steps at from until end. Below the last one
// stands what else can be done about a step.
func (v *view) boxGroup(number, from, end int, last bool) {
	i := v.Incident
	g := StepGroup{Incident: i.ID}
	c := control{Type: "checkboxes", ActionID: ActionSteps}
	for n := from; n < end; n++ {
		s := &v.Runbook.Steps[n]
		o := v.box(n, s)
		on := i.Progress.Status(s.ID) == tocsin.StepDone
		if on {
			c.InitialOptions = append(c.InitialOptions, o)
		}
		c.Options = append(c.Options, o)
		g.Steps = append(g.Steps, StepBox{StepKey(s.ID), on})
	}
	elements := []control{c}
	if last {
		elements = append(elements, button(ActionStepMore, "Begin, skip, note…", i.ID, ""))
	}
	v.b.flush()
	v.b.blocks = append(v.b.blocks, block{Type: "actions", BlockID: g.id(i.Revision, number), Elements: elements})
}

func (v *view) box(n int, s *tocsin.Step) option {
	o := option{Text: boxText(v.boxLabel(n)), Value: v.Incident.ID + ":" + StepKey(s.ID)}
	if text := v.boxNote(s); text != "" {
		t := boxText(text)
		o.Description = &t
	}
	return o
}

// boxText is a text from outside in an object that holds no markup.
func boxText(s string) textObject {
	off := false
	return textObject{Type: "plain_text", Text: s, Emoji: &off}
}

// boxLabel is the step in few words: numbered, so that people can speak of it.
func (v *view) boxLabel(n int) string {
	s := &v.Runbook.Steps[n]
	label := strconv.Itoa(n+1) + ". " + strings.Repeat("↳ ", min(s.Depth, 3))
	room := maxOption - utf8.RuneCountInString(label)
	text := s.Text
	if s.Condition != "" {
		text = s.Condition + ": " + text
	}
	if words := escape(text, room, plain); words != "" {
		return label + words
	}
	if len(s.Commands) == 1 {
		// Half a command must not be taken for the whole.
		if command := escape(s.Commands[0].Text, room+1, plain); command != "" && utf8.RuneCountInString(command) <= room {
			return label + command
		}
	}
	return label + fmt.Sprintf("run %d %s", len(s.Commands), plural(uint64(len(s.Commands)), "command"))
}

// saysMore reports whether a step has something to tell that its label does not.
func (v *view) saysMore(n int) bool {
	s := &v.Runbook.Steps[n]
	return len(s.Commands) > 0 || strings.HasSuffix(v.boxLabel(n), ellipsis)
}

// boxNote says who has done what about a step, and when. Slack reads no times in
// plain text, which is all that every client takes here: it is UTC, with the day
// where that is not the incident's first.
func (v *view) boxNote(s *tocsin.Step) string {
	edited := ""
	if v.edited(s) {
		edited = editedSince
	}
	p := v.Incident.Progress.Of(s.ID)
	if p == nil || p.Status == tocsin.StepOpen {
		return edited
	}
	by := escape(p.By, 30, plain)
	if by == "" {
		by = "-"
	}
	text := stepVerb(p.Status) + by + ", " + boxTime(p.At, v.Incident.OpenedAt)
	if edited != "" {
		text = edited + " · " + text
	}
	if p.Note != "" {
		text += ": " + p.Note
	}
	return escape(text, maxOption, plain)
}

// stepVerb comes before who did it.
func stepVerb(s tocsin.StepStatus) string {
	if s == tocsin.StepDone {
		return "✓ "
	}
	return string(s) + " by "
}

func boxTime(at, opened time.Time) string {
	at, opened = at.UTC(), opened.UTC()
	if at.YearDay() == opened.YearDay() && at.Year() == opened.Year() {
		return at.Format("15:04 UTC")
	}
	return at.Format("2 Jan 15:04 UTC")
}

// appendDone says the same in mrkdwn.
func appendDone(b []byte, p *tocsin.StepProgress) []byte {
	if p == nil || p.Status == tocsin.StepOpen {
		return b
	}
	b = append(append(b, " · "...), stepVerb(p.Status)...)
	b = appendTime(append(appendName(b, p.By), ' '), p.At)
	if p.Note != "" {
		b = appendText(append(b, ": "...), p.Note, 120, prose)
	}
	return b
}

// tally counts the steps that are finished: "2 of 7 steps done, 1 skipped".
func (v *view) tally() string {
	all := len(v.Runbook.Steps)
	done, skipped := 0, 0
	for n := range v.Runbook.Steps {
		switch v.Incident.Progress.Status(v.Runbook.Steps[n].ID) {
		case tocsin.StepDone:
			done++
		case tocsin.StepSkipped:
			skipped++
		default:
		}
	}
	text := fmt.Sprintf("%d of %d %s done", done, all, plural(uint64(all), "step"))
	if skipped > 0 {
		text += fmt.Sprintf(", %d skipped", skipped)
	}
	return text
}

// worked tells of a resolved incident which steps were worked on; what became of
// the runbook since does not matter.
func (v *view) worked() {
	p := v.Incident.Progress
	if p == nil || v.detail.boxes == 0 {
		return
	}
	shown, more := 0, 0
	for n := range p.Steps {
		s := &p.Steps[n]
		if s.Status == tocsin.StepOpen || !s.Status.Known() {
			continue
		}
		if shown == maxBoxes {
			more++
			continue
		}
		if shown++; shown == 1 {
			v.b.line([]byte("📖 *Runbook*"))
		}
		b := append(strconv.AppendInt(v.line[:0], int64(s.Number), 10), ". "...)
		v.b.line(appendDone(appendText(b, s.Text, 80, prose), s))
	}
	if more > 0 {
		v.b.line(fmt.Appendf(nil, "… and %d more %s", more, plural(uint64(more), "step")))
	}
	v.b.flush()
}
