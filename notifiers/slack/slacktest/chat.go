package slacktest

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxText is the most characters of a message's text
// (https://docs.slack.dev/reference/methods/chat.postMessage). Slack truncates
// above it; the emulator refuses, so that a test notices.
const maxText = 40_000

// posted answers with the whole message, as Slack does
// (https://docs.slack.dev/reference/methods/chat.postMessage, and for one that was
// changed chat.update: its text stands beside it too, and it does not repeat its ts
// nor tell its thread). It is written by hand: the blocks were validated when they
// came, and this is the emulator's hot path.
func posted(channel string, m *message) answer {
	b := make([]byte, 0, len(m.blocks)+len(m.attachments)+len(m.metadata)+2*len(m.text)+400)
	b = append(b, `{"ok":true,"channel":"`+channel+`","ts":"`+m.ts+`"`...)
	if m.edits > 0 {
		b = append(b, `,"text":`...)
		b = appendString(b, m.text)
	}
	b = append(b, `,"message":{"type":"message","user":"`+m.user+`","bot_id":"`+m.botID+`","app_id":"`+appID+`","team":"`+TeamID+`","text":`...)
	b = appendString(b, m.text)
	switch {
	case m.edits > 0:
		b = append(b, `,"edited":{"user":"`+m.user+`","ts":"`+m.editedTS+`"}`...)
	case m.threadTS != "":
		b = append(b, `,"ts":"`+m.ts+`","thread_ts":"`+m.threadTS+`"`...)
	default:
		b = append(b, `,"ts":"`+m.ts+`"`...)
	}
	for _, part := range []struct {
		name  string
		value jsontext.Value
	}{{"blocks", m.blocks}, {"attachments", m.attachments}, {"metadata", m.metadata}} {
		if len(part.value) > 0 {
			b = append(b, `,"`+part.name+`":`...)
			b = append(b, part.value...)
		}
	}
	return answer{status: http.StatusOK, body: append(b, "}}"...)}
}

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // broken UTF-8 is replaced all the same
	return b
}

// content is the part of a message that posting and updating share.
type content struct {
	text                          string
	blocks, attachments, metadata jsontext.Value
}

// readContent validates what a call wants to show. Fields that the call leaves
// out are nil. The answer is valid when ok is false.
func readContent(c *call) (content, answer, bool) {
	t := content{text: c.arg("text")}
	if utf8.RuneCountInString(t.text) > maxText {
		return t, failed("msg_too_long"), false
	}
	var ans answer
	var ok bool
	if t.blocks, ans, ok = readBlocks(c.value("blocks")); !ok {
		return t, ans, false
	}
	if t.attachments, ans, ok = readAttachments(c.value("attachments")); !ok {
		return t, ans, false
	}
	if t.metadata, ok = readMetadata(c.value("metadata")); !ok {
		return t, failed("invalid_metadata_format"), false
	}
	return t, answer{}, true
}

func (t content) empty() bool {
	return strings.TrimSpace(t.text) == "" && len(t.blocks) == 0 && len(t.attachments) == 0
}

func readMetadata(v jsontext.Value) (jsontext.Value, bool) {
	if len(v) == 0 {
		return nil, true
	}
	var meta struct {
		Type    string         `json:"event_type"`
		Payload jsontext.Value `json:"event_payload"`
	}
	if err := json.Unmarshal(v, &meta); err != nil {
		return nil, false
	}
	if meta.Type == "" && meta.Payload == nil {
		return jsontext.Value("{}"), true
	}
	return v, meta.Type != "" && meta.Payload.Kind() == '{'
}

// target finds the channel that a message goes to. The caller holds s.mu.
func (s *Server) target(c *call) (*channel, string) {
	ref := c.arg("channel")
	ch := s.find(ref)
	switch u := s.users[ref]; {
	case u != nil && u.Bot:
		return nil, "cannot_dm_bot"
	case u != nil:
		// Deactivated accounts take messages too
		// (https://github.com/slackapi/python-slack-sdk/issues/1156).
		ch = s.dm(ref)
	case ch == nil && s.autoCreate && isName(ref):
		ch = s.create('C', strings.TrimPrefix(ref, "#"))
	}
	switch {
	case ch == nil:
		return nil, "channel_not_found"
	case ch.archived:
		return nil, "is_archived"
	case !ch.member && ch.private:
		return nil, "channel_not_found" // Slack does not tell that it exists
	case !ch.member && !s.mayJoinIn(c, ch):
		return nil, "not_in_channel"
	default:
		return ch, ""
	}
}

// isName tells a channel's name from an ID: names have no capitals.
func isName(ref string) bool {
	ref = strings.TrimPrefix(ref, "#")
	return ref != "" && ref == strings.ToLower(ref)
}

func (s *Server) postMessage(c *call) answer {
	t, ans, ok := readContent(c)
	if !ok {
		return ans
	}
	if t.empty() {
		return failed("no_text")
	}
	if string(t.metadata) == "{}" {
		t.metadata = nil
	}
	s.mu.Lock()
	ch, code := s.target(c)
	if code != "" {
		s.mu.Unlock()
		return failed(code)
	}
	m := &message{
		ts: s.newTS(c.now), user: BotUserID, botID: BotID, text: t.text, blocks: t.blocks,
		attachments: t.attachments, metadata: t.metadata, mrkdwn: c.arg("mrkdwn") != "false",
	}
	if s.attach(ch, m, c.arg("thread_ts")) {
		m.broadcast = c.bool("reply_broadcast")
	}
	s.add(ch, m)
	ans = posted(ch.id, m)
	s.mu.Unlock()
	s.watch.notify()
	return ans
}

// attach makes m a reply. A thread whose parent is not there any more makes it
// an ordinary message; slack-go documents this of the real Slack
// (PostMessageWithResponse). The caller holds s.mu.
func (s *Server) attach(ch *channel, m *message, threadTS string) bool {
	parent := ch.byTS[threadTS]
	if parent == nil {
		return false
	}
	if parent.isReply() {
		if parent = ch.byTS[parent.threadTS]; parent == nil {
			return false
		}
	}
	parent.threadTS, m.threadTS = parent.ts, parent.ts
	parent.replies++
	parent.latestReply = m.ts
	return true
}

// own finds a message that the bot may change. The caller holds s.mu.
func (s *Server) own(c *call, forbidden string) (*channel, *message, string) {
	// chat.update and chat.delete take IDs alone.
	ch := s.channels[c.arg("channel")]
	if ch == nil {
		return nil, nil, "channel_not_found"
	}
	if ch.archived {
		return nil, nil, "is_inactive"
	}
	m := ch.byTS[c.arg("ts")]
	if m == nil {
		return nil, nil, "message_not_found"
	}
	if m.botID != BotID {
		return nil, nil, forbidden
	}
	return ch, m, ""
}

func (s *Server) update(c *call) answer {
	t, ans, ok := readContent(c)
	if !ok {
		return ans
	}
	s.mu.Lock()
	ch, m, code := s.own(c, "cant_update_message")
	if code == "" && t.empty() && !c.has("blocks") && !c.has("attachments") {
		code = "no_text"
	}
	if code != "" {
		s.mu.Unlock()
		return failed(code)
	}
	m.apply(c, t)
	m.edits++
	m.editedTS = s.newTS(c.now)
	ans = posted(ch.id, m)
	s.mu.Unlock()
	s.watch.notify()
	return ans
}

// apply changes what the call gives. Blocks that are left out stay unless a
// text comes without them; attachments and metadata that are left out stay
// (https://docs.slack.dev/reference/methods/chat.update).
func (m *message) apply(c *call, t content) {
	if c.has("blocks") || c.has("text") {
		m.blocks = t.blocks
	}
	if c.has("text") {
		m.text = t.text
	}
	if c.has("attachments") {
		m.attachments = t.attachments
	}
	if c.has("metadata") {
		m.metadata = t.metadata
		if string(t.metadata) == "{}" {
			m.metadata = nil
		}
	}
}

func (s *Server) deleteMessage(c *call) answer {
	s.mu.Lock()
	ch, m, code := s.own(c, "cant_delete_message")
	if code == "" {
		ch.remove(m.ts)
	}
	s.mu.Unlock()
	if code != "" {
		return failed(code)
	}
	s.watch.notify()
	return succeeded(struct {
		OK      bool   `json:"ok"`
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	}{true, ch.id, m.ts})
}

func (s *Server) reactionAdd(c *call) answer {
	name := strings.Trim(c.arg("name"), ":")
	if name == "" {
		return failed("invalid_name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[c.arg("channel")]
	if ch == nil {
		return failed("channel_not_found")
	}
	m := ch.byTS[c.arg("timestamp")]
	if m == nil {
		return failed("message_not_found")
	}
	for _, r := range m.reactions {
		if r == name {
			return failed("already_reacted")
		}
	}
	m.reactions = append(m.reactions, name)
	return succeeded(reply{OK: true})
}
