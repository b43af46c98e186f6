package slacktest

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Seen is what people get to see of a message.
type Seen struct {
	// HTML is the message as the page shows it; all text in it is escaped.
	HTML template.HTML
	// Mentions that the message makes: "!channel", "@U0ANA", "#C0OPS".
	Mentions []string
	// Links that can be clicked, as URLs.
	Links []string
}

// See renders a message, its blocks and attachments as Slack would, and so
// tells what a hostile text has achieved. Blocks stand for the text where there
// are any; the text is looked at for mentions all the same, since
// notifications show it.
func (m Message) See() Seen {
	var body strings.Builder
	r := &render{}
	if len(m.Blocks) > 0 {
		notification := &render{}
		notification.mrkdwn(m.Text)
		r.mentions = notification.mentions
		r.blocks(m.Blocks)
	} else {
		r.out.WriteString(`<div class="section">`)
		r.mrkdwn(m.Text)
		r.out.WriteString("</div>")
	}
	body.WriteString(r.out.String())
	r.out.Reset()
	r.attachments(m.Attachments)
	body.WriteString(r.out.String())
	r.out.Reset()
	for n := range m.Files {
		r.file(&m.Files[n])
	}
	body.WriteString(r.out.String())
	return Seen{HTML: template.HTML(body.String()), Mentions: r.mentions, Links: r.links}
}

// noColour is the bar of an attachment that names no colour.
const noColour = "#dddddd"

func (r *render) attachments(raw jsontext.Value) {
	var list []struct {
		Color     string         `json:"color"`
		Title     string         `json:"title"`
		TitleLink string         `json:"title_link"`
		Text      string         `json:"text"`
		Fallback  string         `json:"fallback"`
		Blocks    jsontext.Value `json:"blocks"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return
	}
	for _, a := range list {
		r.out.WriteString(`<div class="attachment"><span class="bar" style="background:` + colour(a.Color) + `"></span><div>`)
		if a.Title != "" {
			r.out.WriteString("<b>")
			r.plain(a.Title)
			r.out.WriteString("</b>")
		}
		if a.TitleLink != "" {
			r.link(a.TitleLink, a.Title)
		}
		if a.Text != "" {
			r.out.WriteString(`<div class="section">`)
			r.verbatim = false
			r.mrkdwn(a.Text)
			r.out.WriteString("</div>")
		}
		r.blocks(a.Blocks)
		r.out.WriteString("</div></div>")
	}
}

// colour lets through what is surely a colour and nothing else.
func colour(s string) string {
	switch s {
	case "good":
		return "#2eb886"
	case "warning":
		return "#daa038"
	case "danger":
		return "#a30200"
	}
	hex := strings.TrimPrefix(s, "#")
	if len(hex) != 3 && len(hex) != 6 || strings.Trim(hex, "0123456789abcdefABCDEF") != "" {
		return noColour
	}
	return "#" + hex
}

func (r *render) blocks(raw jsontext.Value) {
	var blocks []block
	if len(raw) == 0 || json.Unmarshal(raw, &blocks) != nil {
		return
	}
	for i := range blocks {
		r.block(&blocks[i])
	}
}

func (r *render) block(b *block) {
	switch b.Type {
	case "header":
		r.wrap("h3", "header", func() { r.textObject(b.Text.textObject) })
	case "section":
		r.wrap("div", "section", func() {
			r.textObject(b.Text.textObject)
			for _, f := range b.Fields {
				r.wrap("div", "field", func() { r.textObject(f) })
			}
			r.element(b.Accessory)
		})
	case "context":
		r.wrap("div", "context", func() {
			for _, e := range b.Elements {
				r.wrap("span", "", func() { r.rawText(e) })
			}
		})
	case "actions":
		fmt.Fprintf(&r.out, `<div class="actions" data-block="%s">`, html.EscapeString(b.BlockID))
		for _, e := range b.Elements {
			r.element(e)
		}
		r.out.WriteString("</div>")
	case "divider":
		r.out.WriteString("<hr>")
	case "image":
		r.wrap("div", "context", func() { r.plain("[image: " + b.AltText + "]") })
	default:
		r.wrap("div", "context", func() { fmt.Fprintf(&r.out, "[%s block]", html.EscapeString(b.Type)) })
	}
}

func (r *render) wrap(tag, class string, fn func()) {
	fmt.Fprintf(&r.out, `<%s class="%s">`, tag, class)
	fn()
	fmt.Fprintf(&r.out, "</%s>", tag)
}

func (r *render) rawText(raw jsontext.Value) {
	var t textObject
	if len(raw) > 0 && json.Unmarshal(raw, &t) == nil {
		r.textObject(t)
	}
}

// textObject renders plain_text as it is: there, nothing is markup, not even
// Slack's escapes.
func (r *render) textObject(t textObject) {
	if t.Type == "mrkdwn" {
		r.verbatim = t.Verbatim != nil && *t.Verbatim
		r.mrkdwn(t.Text)
		return
	}
	r.out.WriteString(strings.ReplaceAll(html.EscapeString(t.Text), "\n", "<br>"))
}
