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
	Type     string       `json:"type"`
	Text     *textObject  `json:"text,omitzero"`
	Elements []textObject `json:"elements,omitzero"`
}

// attachment gives the message its coloured bar. Slack may fold attachments, so
// it holds only the last line.
type attachment struct {
	Color    string  `json:"color"`
	Fallback string  `json:"fallback"`
	Blocks   []block `json:"blocks"`
}

// metadata tells a later process what a message is about.
type metadata struct {
	EventType string  `json:"event_type"`
	Payload   payload `json:"event_payload"`
}

// The event types of our metadata, part of the contract with messages that are
// already posted.
const (
	eventIncident = "tocsin_incident"
	eventThread   = "tocsin_thread"
	eventDigest   = "tocsin_digest"
)

type payload struct {
	Incident string `json:"incident,omitzero"`
	Target   string `json:"target,omitzero"`
	// Told is the last event that the message tells.
	Told   uint64 `json:"told,omitzero"`
	Digest string `json:"digest,omitzero"`
}

// message is the body of chat.postMessage and chat.update.
type message struct {
	Channel     string       `json:"channel"`
	TS          string       `json:"ts,omitzero"`
	ThreadTS    string       `json:"thread_ts,omitzero"`
	Broadcast   bool         `json:"reply_broadcast,omitzero"`
	Text        string       `json:"text"`
	Blocks      []block      `json:"blocks"`
	Attachments []attachment `json:"attachments"`
	Metadata    *metadata    `json:"metadata,omitzero"`
	// Parse "none" and LinkNames false keep Slack from finding names in the
	// text; chat.update would otherwise go back to "client".
	Parse       string `json:"parse"`
	LinkNames   bool   `json:"link_names"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

// encode returns the request's body.
func (m *message) encode() ([]byte, error) {
	m.Parse = "none"
	if m.Blocks == nil {
		m.Blocks = []block{}
	}
	if m.Attachments == nil {
		m.Attachments = []attachment{}
	}
	return json.Marshal(m)
}

// fits reports whether an encoded message is within maxMessage characters.
func fits(body []byte) bool {
	return len(body) <= maxMessage || utf8.RuneCount(body) <= maxMessage
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
