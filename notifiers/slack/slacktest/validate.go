package slacktest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of Block Kit, from the doc comments of @slack/types 3.2.0 and
// https://docs.slack.dev/reference/block-kit/blocks.
const (
	maxBlocks        = 50
	maxViewBlocks    = 100
	maxSectionText   = 3000
	maxFields        = 10
	maxFieldText     = 2000
	maxHeaderText    = 150
	maxContext       = 10
	maxActions       = 25
	maxButtonText    = 75
	maxButtonValue   = 2000
	maxURL           = 3000
	maxID            = 255
	maxAltText       = 2000
	maxMarkdown      = 12_000
	maxOptions       = 100
	maxAttachments   = 100
	maxConfirmText   = 300
	maxConfirmTitle  = 100
	maxConfirmButton = 30
	// maxBlockChars is not documented: measured by others
	// (github.com/slackapi/bolt-js/issues/2509) and counted here over the JSON
	// text of the blocks, which is the strict reading.
	maxBlockChars = 13_200
)

// textObject is Block Kit's composition object for text.
type textObject struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Emoji    *bool          `json:"emoji"`
	Verbatim *bool          `json:"verbatim"`
	Rest     jsontext.Value `json:",embed"`
}

// blockText is the text of a block: an object, but a mere string in a markdown
// block.
type blockText struct {
	textObject
	given, bare bool
}

// UnmarshalJSONFrom reads either form.
func (t *blockText) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	t.given = true
	if t.bare = dec.PeekKind() == '"'; t.bare {
		return json.UnmarshalDecode(dec, &t.Text)
	}
	return json.UnmarshalDecode(dec, &t.textObject)
}

// block holds the fields of every kind of block that is checked. Fields of
// kinds that are taken as they are go to Rest.
type block struct {
	Type      string           `json:"type"`
	BlockID   string           `json:"block_id"`
	Text      blockText        `json:"text"`
	Fields    []textObject     `json:"fields"`
	Accessory jsontext.Value   `json:"accessory"`
	Elements  []jsontext.Value `json:"elements"`
	ImageURL  string           `json:"image_url"`
	AltText   string           `json:"alt_text"`
	Title     jsontext.Value   `json:"title"`
	Expand    *bool            `json:"expand"`
	Rest      jsontext.Value   `json:",embed"`
}

type element struct {
	Type     string           `json:"type"`
	ActionID string           `json:"action_id"`
	Text     jsontext.Value   `json:"text"`
	Value    string           `json:"value"`
	URL      string           `json:"url"`
	Style    string           `json:"style"`
	Options  []jsontext.Value `json:"options"`
	// InitialOptions are those of check boxes that are ticked.
	InitialOptions []jsontext.Value `json:"initial_options"`
	Placeholder    jsontext.Value   `json:"placeholder"`
	ImageURL       string           `json:"image_url"`
	AltText        string           `json:"alt_text"`
	Confirm        *struct {
		Title   textObject `json:"title"`
		Text    textObject `json:"text"`
		Confirm textObject `json:"confirm"`
		Deny    textObject `json:"deny"`
		Style   string     `json:"style"`
	} `json:"confirm"`
	Emoji    *bool          `json:"emoji"`
	Verbatim *bool          `json:"verbatim"`
	Rest     jsontext.Value `json:",embed"`
}

// readBlocks validates the blocks of a message and returns them as they came.
func readBlocks(raw jsontext.Value) (jsontext.Value, answer, bool) {
	if len(raw) == 0 {
		return nil, answer{}, true
	}
	if len(raw) > maxBlockChars && utf8.RuneCount(raw) > maxBlockChars {
		return nil, failed("msg_blocks_too_long"), false
	}
	problems, ok := checkBlocks(raw, maxBlocks)
	if !ok {
		return nil, failed("invalid_blocks_format"), false
	}
	if len(problems) > 0 {
		return nil, invalidBlocks("invalid_blocks", problems), false
	}
	if string(raw) == "[]" {
		return nil, answer{}, true
	}
	return raw, answer{}, true
}

func readAttachments(raw jsontext.Value) (jsontext.Value, answer, bool) {
	if len(raw) == 0 {
		return nil, answer{}, true
	}
	var list []struct {
		Blocks jsontext.Value `json:"blocks"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, failed("invalid_attachments"), false
	}
	if len(list) > maxAttachments {
		return nil, failed("too_many_attachments"), false
	}
	for _, a := range list {
		if len(a.Blocks) == 0 {
			continue
		}
		if _, ans, ok := readBlocks(a.Blocks); !ok {
			return nil, ans, false
		}
	}
	if len(list) == 0 {
		return nil, answer{}, true
	}
	return raw, answer{}, true
}

// checker collects what is wrong, in Slack's own form.
type checker struct{ problems []string }

func (k *checker) fail(at, format string, args ...any) {
	k.problems = append(k.problems, "[ERROR] "+fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

func (k *checker) length(at, s string, most int) {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		k.fail(at, "must be less than %d characters", most+1)
	}
}

// checkBlocks returns what is wrong; false: it is no list of blocks at all.
func checkBlocks(raw jsontext.Value, most int) ([]string, bool) {
	var blocks []block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, false
	}
	k := &checker{}
	if len(blocks) > most {
		k.fail("/blocks", "no more than %d items allowed", most)
	}
	var seen []string
	markdown := 0
	for i := range blocks {
		b, at := &blocks[i], "/blocks/"+strconv.Itoa(i)
		if b.BlockID != "" {
			k.length(at+"/block_id", b.BlockID, maxID)
			if slices.Contains(seen, b.BlockID) {
				k.fail(at+"/block_id", "`block_id` %s already exists", b.BlockID)
			}
			seen = append(seen, b.BlockID)
		}
		k.block(b, at, &markdown)
	}
	return k.problems, true
}

func (k *checker) block(b *block, at string, markdown *int) {
	switch b.Type {
	case "section":
		k.section(b, at)
	case "header":
		k.blockText(b.Text, at+"/text", maxHeaderText, "plain_text")
	case "divider":
	case "context":
		k.count(b.Elements, at, maxContext)
		for i, e := range b.Elements {
			k.contextElement(e, fmt.Sprintf("%s/elements/%d", at, i))
		}
	case "actions":
		k.count(b.Elements, at, maxActions)
		for i, e := range b.Elements {
			k.element(e, fmt.Sprintf("%s/elements/%d", at, i))
		}
	case "image":
		k.image(b.ImageURL, b.AltText, at)
	case "markdown":
		if !b.Text.bare || b.Text.Text == "" {
			k.fail(at+"/text", "must be a string")
		}
		if *markdown += utf8.RuneCountInString(b.Text.Text); *markdown > maxMarkdown {
			k.fail(at+"/text", "must be less than %d characters", maxMarkdown+1)
		}
	case "rich_text", "input", "video", "file", "table":
		return // taken as they are
	default:
		k.fail(at+"/type", "unsupported type: %s", b.Type)
		return
	}
	if len(b.Rest) > 2 {
		k.fail(at, "invalid additional property: %s", b.Rest)
	}
}

func (k *checker) count(list []jsontext.Value, at string, most int) {
	if len(list) == 0 {
		k.fail(at+"/elements", "must provide a valid value")
	}
	if len(list) > most {
		k.fail(at+"/elements", "no more than %d items allowed", most)
	}
}

func (k *checker) section(b *block, at string) {
	if !b.Text.given && len(b.Fields) == 0 {
		k.fail(at, "missing required field: text")
	}
	if b.Text.given {
		k.blockText(b.Text, at+"/text", maxSectionText, "")
	}
	if len(b.Fields) > maxFields {
		k.fail(at+"/fields", "no more than %d items allowed", maxFields)
	}
	for i, f := range b.Fields {
		k.textObject(f, fmt.Sprintf("%s/fields/%d", at, i), maxFieldText, "")
	}
	if len(b.Accessory) > 0 {
		k.element(b.Accessory, at+"/accessory")
	}
}

func (k *checker) text(raw jsontext.Value, at string, most int, kind string) {
	var t textObject
	if err := json.Unmarshal(raw, &t); err != nil {
		k.fail(at, "must be a text object")
		return
	}
	k.textObject(t, at, most, kind)
}

func (k *checker) blockText(t blockText, at string, most int, kind string) {
	if t.bare {
		k.fail(at, "must be a text object")
		return
	}
	k.textObject(t.textObject, at, most, kind)
}

func (k *checker) textObject(t textObject, at string, most int, kind string) {
	switch {
	case t.Type != "plain_text" && t.Type != "mrkdwn" || kind != "" && t.Type != kind:
		k.fail(at+"/type", "unsupported type: %s", t.Type)
	case t.Text == "":
		k.fail(at+"/text", "must be more than 0 characters")
	case t.Type == "mrkdwn" && t.Emoji != nil:
		k.fail(at, "invalid additional property: emoji")
	case t.Type == "plain_text" && t.Verbatim != nil:
		k.fail(at, "invalid additional property: verbatim")
	case len(t.Rest) > len("{}"):
		k.fail(at, "invalid additional property: %s", t.Rest)
	}
	k.length(at+"/text", t.Text, most)
}

func (k *checker) contextElement(raw jsontext.Value, at string) {
	var e element
	if err := json.Unmarshal(raw, &e); err != nil {
		k.fail(at, "must be an object")
		return
	}
	if e.Type == "image" {
		k.image(e.ImageURL, e.AltText, at)
		return
	}
	k.text(raw, at, maxSectionText, "")
}

func (k *checker) image(src, alt, at string) {
	k.url(src, at+"/image_url", true)
	if alt == "" {
		k.fail(at+"/alt_text", "missing required field: alt_text")
	}
	k.length(at+"/alt_text", alt, maxAltText)
}

func (k *checker) url(s, at string, required bool) {
	if s == "" && !required {
		return
	}
	k.length(at, s, maxURL)
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		k.fail(at, "must be a valid URL")
	}
}

func (k *checker) element(raw jsontext.Value, at string) {
	var e element
	if err := json.Unmarshal(raw, &e); err != nil {
		k.fail(at, "must be an object")
		return
	}
	k.length(at+"/action_id", e.ActionID, maxID)
	switch e.Type {
	case "button", "workflow_button":
		k.button(&e, at)
	case "image":
		k.image(e.ImageURL, e.AltText, at)
	case "static_select", "multi_static_select", "overflow", "radio_buttons", "checkboxes":
		k.options(&e, at)
	case "users_select", "conversations_select", "channels_select", "external_select", "datepicker", "timepicker", "datetimepicker":
	default:
		k.fail(at+"/type", "unsupported type: %s", e.Type)
	}
}

func (k *checker) button(e *element, at string) {
	k.text(e.Text, at+"/text", maxButtonText, "plain_text")
	k.length(at+"/value", e.Value, maxButtonValue)
	k.url(e.URL, at+"/url", false)
	if e.Style != "" && e.Style != "primary" && e.Style != "danger" {
		k.fail(at+"/style", "must be one of: primary, danger")
	}
	k.confirm(e, at)
}

// options checks those of a menu
// (https://docs.slack.dev/reference/block-kit/composition-objects/option-object).
func (k *checker) options(e *element, at string) {
	most, kind := maxOptions, "plain_text"
	switch e.Type {
	case "overflow":
		most = maxOverflow
	case "checkboxes", "radio_buttons":
		most, kind = maxBoxes, ""
		k.boxOptions(e, at)
	}
	if len(e.Options) == 0 && e.Type != "static_select" || len(e.Options) > most {
		k.fail(at+"/options", "must have 1 to %d items", most)
	}
	for n, raw := range e.Options {
		var o struct {
			Text  jsontext.Value `json:"text"`
			Value string         `json:"value"`
		}
		where := at + "/options/" + strconv.Itoa(n)
		if err := json.Unmarshal(raw, &o); err != nil {
			k.fail(where, "must be an option object")
			continue
		}
		k.text(o.Text, where+"/text", maxOptionText, kind)
		k.length(where+"/value", o.Value, maxOptionValue)
	}
	if len(e.Placeholder) > 0 {
		k.text(e.Placeholder, at+"/placeholder", maxPlaceholder, "plain_text")
	}
	k.confirm(e, at)
}

func (k *checker) confirm(e *element, at string) {
	if c := e.Confirm; c != nil {
		k.textObject(c.Title, at+"/confirm/title", maxConfirmTitle, "plain_text")
		k.textObject(c.Text, at+"/confirm/text", maxConfirmText, "")
		k.textObject(c.Confirm, at+"/confirm/confirm", maxConfirmButton, "plain_text")
		k.textObject(c.Deny, at+"/confirm/deny", maxConfirmButton, "plain_text")
	}
}
