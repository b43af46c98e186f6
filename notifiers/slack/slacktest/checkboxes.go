package slacktest

import (
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of check boxes and radio buttons
// (https://docs.slack.dev/reference/block-kit/block-elements/checkboxes-element).
const (
	maxBoxes           = 10
	maxBoxDescription  = 75
	maxBoxesRemembered = 10_000
)

// boxOption is an option of check boxes.
type boxOption struct {
	Text        jsontext.Value `json:"text"`
	Value       string         `json:"value"`
	Description jsontext.Value `json:"description"`
}

func readBox(raw jsontext.Value) (o boxOption) {
	_ = json.Unmarshal(raw, &o) // it was read when it came
	return o
}

// boxes is one group of check boxes on a message.
type boxes struct {
	blockID string
	element
}

// boxView is one person's view of a group. Each client keeps what its person has
// ticked, until the message comes with another block ID.
type boxView struct{ user, channel, ts, block string }

// findBoxes returns the groups of check boxes that bear the action ID.
func findBoxes(raw jsontext.Value, actionID string) []boxes {
	var blocks []struct {
		BlockID   string           `json:"block_id"`
		Accessory jsontext.Value   `json:"accessory"`
		Elements  []jsontext.Value `json:"elements"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &blocks) != nil {
		return nil
	}
	var out []boxes
	for n := range blocks {
		for _, raw := range append(slices.Clone(blocks[n].Elements), blocks[n].Accessory) {
			b := boxes{blockID: blocks[n].BlockID}
			if len(raw) > 0 && json.Unmarshal(raw, &b.element) == nil && b.Type == "checkboxes" && b.ActionID == actionID {
				if b.blockID == "" {
					b.blockID = fmt.Sprintf("b%d", n) // Slack makes one up
				}
				out = append(out, b)
			}
		}
	}
	return out
}

// ticked are the values that the person's client shows as ticked. The caller holds
// s.mu.
func (s *Server) ticked(v boxView, b *boxes) []string {
	if known, ok := s.boxes[v]; ok {
		return known
	}
	var out []string
	for _, raw := range b.InitialOptions {
		out = append(out, readBox(raw).Value)
	}
	return out
}

// keepTicked notes what the person's client shows as ticked from now on. The
// caller holds s.mu.
func (s *Server) keepTicked(v boxView, values []string) {
	if s.boxes == nil || len(s.boxes) >= maxBoxesRemembered {
		s.boxes = map[boxView][]string{}
	}
	s.boxes[v] = values
}

// toggle ticks or unticks the options that are chosen by their value, by the end of
// it, or by their text, and returns the action of the payload: it names all that
// the person's client then shows as ticked in the group. The caller holds s.mu.
func (s *Server) toggle(v boxView, groups []boxes, choice []string) (map[string]any, error) {
	if len(choice) == 0 {
		return nil, fmt.Errorf("choose which of the check boxes")
	}
	for n := range groups {
		b := &groups[n]
		v.block = b.blockID
		if _, err := b.option(choice[0]); err != nil {
			continue
		}
		now := slices.Clone(s.ticked(v, b))
		for _, c := range choice {
			raw, err := b.option(c)
			if err != nil {
				return nil, err
			}
			value := readBox(raw).Value
			if at := slices.Index(now, value); at >= 0 {
				now = slices.Delete(now, at, at+1)
			} else {
				now = append(now, value)
			}
		}
		s.keepTicked(v, now)
		selected := []jsontext.Value{}
		for _, raw := range b.Options {
			if slices.Contains(now, readBox(raw).Value) {
				selected = append(selected, raw)
			}
		}
		return map[string]any{"type": b.Type, "action_id": b.ActionID, "block_id": b.blockID, "selected_options": selected}, nil
	}
	return nil, fmt.Errorf("there is no check box %q", choice[0])
}

// showBox notes that a person's client shows a box as ticked or not, as the page
// does.
func (s *Server) showBox(ref, ts, user, actionID, value string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.find(ref)
	if ch == nil || ch.byTS[ts] == nil {
		return
	}
	for _, b := range findBoxes(ch.byTS[ts].blocks, actionID) {
		if _, err := b.option(value); err != nil {
			continue
		}
		v := boxView{user, ch.id, ts, b.blockID}
		now := slices.DeleteFunc(slices.Clone(s.ticked(v, &b)), func(t string) bool { return t == value })
		if on {
			now = append(now, value)
		}
		s.keepTicked(v, now)
	}
}

// boxGroup renders check boxes. The page's script finds them by data-action.
func (r *render) boxGroup(e *element) {
	r.out.WriteString(`<div class="boxes">`)
	for _, raw := range e.Options {
		o := readBox(raw)
		checked := ""
		if slices.ContainsFunc(e.InitialOptions, func(i jsontext.Value) bool { return readBox(i).Value == o.Value }) {
			checked = " checked"
		}
		r.out.WriteString(`<label class="box"><input type="checkbox" data-action="` + html.EscapeString(e.ActionID) +
			`" value="` + html.EscapeString(o.Value) + `"` + checked + e.asks() + `><span>`)
		r.rawText(o.Text)
		r.out.WriteString("</span>")
		if len(o.Description) > 0 {
			r.out.WriteString("<small>")
			r.rawText(o.Description)
			r.out.WriteString("</small>")
		}
		r.out.WriteString("</label>")
	}
	r.out.WriteString("</div>")
}

// boxOptions checks what check boxes and radio buttons have beyond menus.
func (k *checker) boxOptions(e *element, at string) {
	var values, whole []string
	for n, raw := range e.Options {
		where := at + "/options/" + strconv.Itoa(n)
		o := readBox(raw)
		if len(o.Description) > 0 {
			k.text(o.Description, where+"/description", maxBoxDescription, "")
		}
		if o.Value == "" || slices.Contains(values, o.Value) {
			k.fail(where+"/value", "must be unique, and not empty")
		}
		values, whole = append(values, o.Value), append(whole, canonical(raw))
	}
	if e.InitialOptions != nil && len(e.InitialOptions) == 0 {
		k.fail(at+"/initial_options", "must have at least 1 item")
	}
	for n, raw := range e.InitialOptions {
		if !slices.Contains(whole, canonical(raw)) {
			k.fail(at+"/initial_options/"+strconv.Itoa(n), "must exactly match one of the options")
		}
	}
}

// canonical is JSON in the one form in which equal values are equal.
func canonical(raw jsontext.Value) string {
	c := raw.Clone()
	if c.Canonicalize() != nil {
		return string(raw)
	}
	return strings.TrimSpace(string(c))
}
