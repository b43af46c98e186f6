package slack

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Limits of a message. Slack's own are 50 blocks, 3,000 characters a section,
// 150 a header, and about 13,200 over all blocks
// (https://docs.slack.dev/reference/block-kit/blocks; the last is not
// documented: github.com/slackapi/bolt-js/issues/2509).
const (
	maxMessage  = 10_000
	maxSection  = 2_900
	maxHeader   = 150
	maxFallback = 400
)

// textObject is Block Kit's composition object for text.
type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Emoji is for plain_text: false leaves ":fire:" as it is.
	Emoji *bool `json:"emoji,omitzero"`
	// Verbatim is for mrkdwn: no links are made of what looks like one.
	Verbatim bool `json:"verbatim,omitzero"`
}

type block struct {
	Type    string      `json:"type"`
	BlockID string      `json:"block_id,omitzero"`
	Text    *textObject `json:"text,omitzero"`
	// Elements are text objects in a context, controls among actions.
	Elements any `json:"elements,omitzero"`
}

// attachment gives the message its coloured bar. Slack may fold attachments, so
// it holds only the last line.
type attachment struct {
	Color    string  `json:"color"`
	Fallback string  `json:"fallback"`
	Blocks   []block `json:"blocks"`
}

// message is what chat.postMessage and chat.update take.
type message struct {
	place
	threadTS    string
	broadcast   bool
	text        string
	blocks      []block
	attachments []attachment
	metadata    metadata
}

// place is where a message goes; an empty ts: a new one.
type place struct{ channel, ts string }

// form is a message whose structures are JSON, as Slack takes them in a form.
type form struct {
	place
	threadTS                            string
	broadcast                           bool
	text, blocks, attachments, metadata string
}

func (m *message) encode() (form, error) {
	f := form{place: m.place, threadTS: m.threadTS, broadcast: m.broadcast, text: m.text}
	for _, part := range []struct {
		dst *string
		src any
	}{{&f.blocks, m.blocks}, {&f.attachments, m.attachments}, {&f.metadata, &m.metadata}} {
		text, err := json.Marshal(part.src)
		if err != nil {
			return f, err
		}
		*part.dst = string(text)
	}
	return f, nil
}

// fits reports whether what is shown is within maxMessage characters, JSON
// counted as text.
func (f *form) fits() bool {
	if len(f.text)+len(f.blocks)+len(f.attachments) <= maxMessage {
		return true
	}
	n := utf8.RuneCountInString(f.text) + utf8.RuneCountInString(f.blocks) + utf8.RuneCountInString(f.attachments)
	return n <= maxMessage
}

// builder makes blocks of lines. A section ends where the next line would not
// fit.
type builder struct {
	blocks []block
	buf    []byte
	n      int // characters in buf
}

// line adds a line to the present section; it must not be longer than a
// section.
func (b *builder) line(s []byte) {
	n := utf8.RuneCount(s)
	if b.n > 0 && b.n+1+n > maxSection {
		b.flush()
	}
	if b.n > 0 {
		b.buf = append(b.buf, '\n')
		b.n++
	}
	b.buf = append(b.buf, s...)
	b.n += n
}

// flush ends the section.
func (b *builder) flush() {
	if b.n == 0 {
		return
	}
	b.blocks = append(b.blocks, block{Type: "section", Text: mrkdwn(bytes.TrimSpace(b.buf))})
	b.buf, b.n = b.buf[:0], 0
}

func (b *builder) header(s string) {
	b.flush()
	off := false
	b.blocks = append(b.blocks, block{Type: "header", Text: &textObject{Type: "plain_text", Text: s, Emoji: &off}})
}

func mrkdwn(s []byte) *textObject {
	return &textObject{Type: "mrkdwn", Text: string(s), Verbatim: true}
}

// footer is the coloured last line.
func footer(colour string, line []byte) []attachment {
	t := mrkdwn(line)
	return []attachment{{Color: colour, Fallback: "Tocsin", Blocks: []block{{Type: "context", Elements: []textObject{*t}}}}}
}
