package slack

import (
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// The action IDs of what can be clicked on an incident's message. They are part
// of the contract with messages that are already posted; package callback acts on
// them.
const (
	ActionAcknowledge = "tocsin_acknowledge"
	// ActionKeep says of an acknowledged incident that it is still worked on.
	ActionKeep    = "tocsin_keep"
	ActionResolve = "tocsin_resolve"
	// ActionResolveFiring was confirmed by the person who clicked: alerts still
	// fire.
	ActionResolveFiring = "tocsin_resolve_firing"
	ActionEscalate      = "tocsin_escalate"
	// ActionSnooze, ActionSilence and ActionMore are menus: what was chosen
	// follows the incident in the value. See ParseValue.
	ActionSnooze  = "tocsin_snooze"
	ActionSilence = "tocsin_silence"
	ActionMore    = "tocsin_more"
)

// The choices of the menus. Snooze and silence otherwise offer durations, as
// time.ParseDuration reads them.
const (
	// ChoiceMorning snoozes until 09:00 in the person's own zone.
	ChoiceMorning = "morning"
	ChoicePerson  = "person"
	ChoiceRunbook = "runbook"
	ChoiceNote    = "note"
	ChoiceWhy     = "why"
)

// blockPrefix begins the block ID of an incident's buttons; the incident and the
// revision that is shown follow. The revision makes it another block after each
// update, as Slack asks for, or a menu would go on showing what was chosen last
// (https://docs.slack.dev/reference/block-kit/blocks/actions-block).
const blockPrefix = "tocsin:"

func blockID(i *tocsin.Incident) string {
	return blockPrefix + i.ID + ":" + strconv.FormatUint(i.Revision, 10)
}

// ParseBlockID returns the incident whose buttons the block of that ID holds.
func ParseBlockID(id string) (incident string, ok bool) {
	rest, ours := strings.CutPrefix(id, blockPrefix)
	incident, revision, cut := strings.Cut(rest, ":")
	if _, err := strconv.ParseUint(revision, 10, 64); !ours || !cut || err != nil || incident == "" {
		return "", false
	}
	return incident, true
}

// ParseValue splits the value of a button or of a menu's option into the incident
// and what was chosen; of a button the choice is empty.
func ParseValue(value string) (incident, choice string) {
	incident, choice, _ = strings.Cut(value, ":")
	return incident, choice
}

// control is an element that can be clicked
// (https://docs.slack.dev/reference/block-kit/block-elements).
type control struct {
	Type        string      `json:"type"`
	ActionID    string      `json:"action_id"`
	Text        *textObject `json:"text,omitzero"`
	Value       string      `json:"value,omitzero"`
	Style       string      `json:"style,omitzero"`
	Placeholder *textObject `json:"placeholder,omitzero"`
	Options     []option    `json:"options,omitzero"`
	// InitialOptions are those of Options that are ticked.
	InitialOptions []option `json:"initial_options,omitzero"`
	Confirm        *confirm `json:"confirm,omitzero"`
}

type option struct {
	Text  textObject `json:"text"`
	Value string     `json:"value"`
	// Description is for check boxes alone.
	Description *textObject `json:"description,omitzero"`
}

type confirm struct {
	Title   textObject `json:"title"`
	Text    textObject `json:"text"`
	Confirm textObject `json:"confirm"`
	Deny    textObject `json:"deny"`
	Style   string     `json:"style,omitzero"`
}

// label is a text of ours, where nothing is markup.
func label(s string) textObject { return textObject{Type: "plain_text", Text: s} }

func button(id, text, value, style string) control {
	t := label(text)
	return control{Type: "button", ActionID: id, Text: &t, Value: value, Style: style}
}

// choices are pairs of a choice and its text.
func menu(kind, id, placeholder, incident string, choices ...string) control {
	c := control{Type: kind, ActionID: id}
	if placeholder != "" {
		t := label(placeholder)
		c.Placeholder = &t
	}
	for n := 0; n+1 < len(choices); n += 2 {
		c.Options = append(c.Options, option{Text: label(choices[n+1]), Value: incident + ":" + choices[n]})
	}
	return c
}

// buttons are what can be done in the incident's state. None of them holds text
// from outside.
func (v *view) buttons() {
	if !v.clickable {
		return
	}
	i := v.Incident
	var row []control
	if i.Open() {
		row = v.openButtons()
	}
	row = append(row, v.more())
	v.b.flush()
	v.b.blocks = append(v.b.blocks, block{Type: "actions", BlockID: blockID(i), Elements: row})
}

func (v *view) openButtons() []control {
	i := v.Incident
	row := make([]control, 0, 6)
	switch e := i.Escalation; {
	case i.State == tocsin.Triggered:
		row = append(row, button(ActionAcknowledge, "Acknowledge", i.ID, "primary"))
	case e != nil && e.RemindAt.IsZero() && !e.ReturnAt.IsZero():
		row = append(row, button(ActionKeep, "Still on it", i.ID, "primary"))
	}
	row = append(row, resolveButton(i), button(ActionEscalate, "Escalate", i.ID, ""),
		menu("static_select", ActionSnooze, "Snooze", i.ID, "30m", "30 minutes", "1h", "1 hour", "4h", "4 hours", ChoiceMorning, "Until 09:00"))
	if len(v.GroupLabels) > 0 {
		row = append(row, menu("static_select", ActionSilence, "Silence", i.ID, "1h", "1 hour", "4h", "4 hours", "24h", "1 day", "168h", "1 week"))
	}
	return row
}

// resolveButton asks first where something still fires.
func resolveButton(i *tocsin.Incident) control {
	if i.Firing == 0 {
		return button(ActionResolve, "Resolve", i.ID, "")
	}
	c := button(ActionResolveFiring, "Resolve", i.ID, "")
	n := uint64(i.Firing)
	what := strconv.FormatUint(n, 10) + " " + plural(n, "alert") + " still fire. The incident opens again when one fires anew."
	if n == 1 {
		what = "1 alert still fires. The incident opens again when it fires anew."
	}
	c.Confirm = &confirm{Title: label("Resolve all the same?"), Text: label(what), Confirm: label("Resolve"), Deny: label("Leave open"), Style: "danger"}
	return c
}

// more is the menu of what is rarer, or only answers a question.
func (v *view) more() control {
	i := v.Incident
	var choices []string
	if i.Open() {
		choices = append(choices, ChoicePerson, "Escalate to a person…")
	}
	if i.Runbook != "" {
		choices = append(choices, ChoiceRunbook, "Runbook")
	}
	choices = append(choices, ChoiceNote, "Add a note…", ChoiceWhy, "Why me?")
	return menu("overflow", ActionMore, "", i.ID, choices...)
}
