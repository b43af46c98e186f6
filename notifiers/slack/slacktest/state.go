package slacktest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// channel is a conversation. Its messages are held by ascending ts, replies
// among them; deleted ones are gone.
type channel struct {
	id, name string
	private  bool
	im       bool
	with     string // of a direct message: the user's ID
	archived bool
	member   bool
	created  int64
	messages []*message
	byTS     map[string]*message
	inside
}

// message is one message as it is stored. Its fields change under Server.mu.
type message struct {
	ts, threadTS string
	at           int64 // ts in microseconds
	user, botID  string
	text         string
	blocks       jsontext.Value
	attachments  jsontext.Value
	metadata     jsontext.Value
	broadcast    bool
	mrkdwn       bool
	edits        int
	editedTS     string
	replies      int
	latestReply  string
	reactions    []string
	subtype      string
	files        []*file
}

func (m *message) isReply() bool { return m.threadTS != "" && m.threadTS != m.ts }

// wireMessage is a message in an answer.
type wireMessage struct {
	Type        string         `json:"type"`
	Subtype     string         `json:"subtype,omitzero"`
	TS          string         `json:"ts"`
	User        string         `json:"user,omitzero"`
	BotID       string         `json:"bot_id,omitzero"`
	AppID       string         `json:"app_id,omitzero"`
	Team        string         `json:"team,omitzero"`
	Text        string         `json:"text"`
	Blocks      jsontext.Value `json:"blocks,omitzero"`
	Attachments jsontext.Value `json:"attachments,omitzero"`
	Metadata    jsontext.Value `json:"metadata,omitzero"`
	ThreadTS    string         `json:"thread_ts,omitzero"`
	ReplyCount  int            `json:"reply_count,omitzero"`
	LatestReply string         `json:"latest_reply,omitzero"`
	Edited      *wireEdited    `json:"edited,omitzero"`
	Files       []wireFile     `json:"files,omitzero"`
}

type wireEdited struct {
	User string `json:"user"`
	TS   string `json:"ts"`
}

func (m *message) wire(metadata bool) wireMessage {
	w := wireMessage{
		Type: "message", Subtype: m.subtype, TS: m.ts, User: m.user, BotID: m.botID, Team: TeamID, Text: m.text,
		Blocks: m.blocks, Attachments: m.attachments, ThreadTS: m.threadTS,
		ReplyCount: m.replies, LatestReply: m.latestReply,
	}
	for _, f := range m.files {
		w.Files = append(w.Files, f.wire())
	}
	if m.broadcast {
		w.Subtype = "thread_broadcast"
	}
	if m.botID != "" {
		w.AppID = appID
	}
	if metadata {
		w.Metadata = m.metadata
	}
	if m.edits > 0 {
		w.Edited = &wireEdited{User: m.user, TS: m.editedTS}
	}
	return w
}

// newTS returns the next timestamp: microseconds of now, ascending over the
// whole workspace. The caller holds s.mu.
func (s *Server) newTS(now time.Time) string {
	s.lastTS = max(now.UnixMicro(), s.lastTS+1)
	return fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
}

// micros is a timestamp as a number; anything else than a timestamp is 0.
func micros(ts string) int64 {
	whole, frac, _ := strings.Cut(ts, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0
	}
	us, err := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	if err != nil {
		return 0
	}
	return sec*1e6 + us
}

// newID returns an ID that looks like Slack's: a letter for the kind and ten
// characters. The caller holds s.mu.
func (s *Server) newID(kind byte) string {
	s.nextID++
	v := s.nextID * 0x9E3779B97F4A7C15 >> 16 // spread, so that IDs differ at a glance
	id := strings.ToUpper(strconv.FormatUint(v, 36))
	return string(kind) + ("0000000000" + id)[len(id):]
}

// find returns the channel that ref names by "#name", "name" or ID, or the direct
// messages with the user of that ID, or nil. The caller holds s.mu.
func (s *Server) find(ref string) *channel {
	if c := s.channels[ref]; c != nil {
		return c
	}
	if s.users[ref] != nil {
		return s.byName[dmName(ref)]
	}
	return s.byName[strings.TrimPrefix(ref, "#")]
}

// channelKey is the same for all ways to name a channel, before and after it is
// created.
func (s *Server) channelKey(ref string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(ref); c != nil {
		ref = c.name
	} else if s.users[ref] != nil {
		ref = dmName(ref)
	}
	return strings.TrimPrefix(ref, "#")
}

// create adds a channel. The caller holds s.mu.
func (s *Server) create(kind byte, name string) *channel {
	c := &channel{id: s.newID(kind), name: name, member: true, created: time.Now().Unix(), byTS: map[string]*message{}}
	s.channels[c.id] = c
	if name != "" {
		s.byName[name] = c
	}
	return c
}

// add stores a message and drops the oldest ones above the bound. The caller
// holds s.mu.
func (s *Server) add(c *channel, m *message) {
	m.at = micros(m.ts)
	c.messages = append(c.messages, m)
	c.byTS[m.ts] = m
	// A tenth more is let through, so that the slice is not moved each time.
	if over := len(c.messages) - s.maxMessages; over > s.maxMessages/10 {
		for _, old := range c.messages[:over] {
			delete(c.byTS, old.ts)
		}
		c.messages = slices.Clone(c.messages[over:])
	}
}

// remove deletes a message. The caller holds s.mu.
func (c *channel) remove(ts string) {
	delete(c.byTS, ts)
	c.messages = slices.DeleteFunc(c.messages, func(m *message) bool { return m.ts == ts })
}

// AddToken makes the server accept a token with the given scopes (none: all).
// From the first one on, others are refused with invalid_auth.
func (s *Server) AddToken(name string, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[string]*token{}
	}
	s.tokens[name] = &token{all: len(scopes) == 0, scopes: slices.Clone(scopes)}
}

// RevokeToken makes the server answer token_revoked to the token, and ends the
// connections that were opened with it.
func (s *Server) RevokeToken(name string) {
	s.mu.Lock()
	s.revoked[name] = true
	s.mu.Unlock()
	s.sockets.revoke(name)
}

// AddChannel creates a public channel with the bot in it and returns its ID;
// of one that exists it returns the ID.
func (s *Server) AddChannel(name string) string {
	name = strings.TrimPrefix(name, "#")
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.byName[name]; c != nil {
		return c.id
	}
	return s.create('C', name).id
}

// SetArchived archives a channel or brings it back. Unknown channels are
// ignored, here and below.
func (s *Server) SetArchived(ref string, archived bool) {
	s.change(ref, func(c *channel) { c.archived = archived })
}

// SetMember takes the bot out of a channel or puts it back.
func (s *Server) SetMember(ref string, member bool) {
	s.change(ref, func(c *channel) { c.member = member })
}

// SetPrivate makes a channel private or public.
func (s *Server) SetPrivate(ref string, private bool) {
	s.change(ref, func(c *channel) { c.private = private })
}

func (s *Server) change(ref string, fn func(*channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(ref); c != nil {
		fn(c)
	}
}

// Say posts text into a channel as a person would, in a thread unless threadTS
// is empty, and returns its ts. The bot cannot change such a message.
func (s *Server) Say(ref, user, text, threadTS string) string {
	s.mu.Lock()
	c := s.find(ref)
	if c == nil {
		s.mu.Unlock()
		return ""
	}
	m := &message{ts: s.newTS(time.Now()), user: user, text: text, mrkdwn: true}
	s.attach(c, m, threadTS)
	s.add(c, m)
	s.mu.Unlock()
	s.watch.notify()
	return m.ts
}

// Delete removes a message as a person would in Slack.
func (s *Server) Delete(ref, ts string) {
	s.change(ref, func(c *channel) { c.remove(ts) })
	s.watch.notify()
}

// Message is a message as it now stands, for tests to look at.
type Message struct {
	Channel  string
	TS       string
	ThreadTS string
	User     string
	Text     string
	// Blocks, Attachments are as they were sent; nil: none.
	Blocks      jsontext.Value
	Attachments jsontext.Value
	// EventType and Payload are the metadata.
	EventType string
	Payload   map[string]any
	// Edits counts the updates.
	Edits int
	// Broadcast replies are seen in the channel too.
	Broadcast bool
	Reactions []string
	// Files that it shares.
	Files []File
	// Replies of the thread, oldest first.
	Replies []Message
}

// Messages returns the messages of a channel, oldest first, each with the
// replies of its thread.
func (s *Server) Messages(ref string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(ref)
	if c == nil {
		return nil
	}
	var out []Message
	at := map[string]int{}
	for _, m := range c.messages {
		parent, ok := at[m.threadTS]
		if m.isReply() && ok {
			out[parent].Replies = append(out[parent].Replies, m.export(c))
			continue
		}
		at[m.ts] = len(out)
		out = append(out, m.export(c))
	}
	return out
}

func (m *message) export(c *channel) Message {
	out := Message{
		Channel: c.id, TS: m.ts, ThreadTS: m.threadTS, User: m.user, Text: m.text,
		Blocks: m.blocks, Attachments: m.attachments, Edits: m.edits, Broadcast: m.broadcast,
		Reactions: slices.Clone(m.reactions),
	}
	for _, f := range m.files {
		out.Files = append(out.Files, f.File)
	}
	if len(m.metadata) > 0 {
		var meta struct {
			Type    string         `json:"event_type"`
			Payload map[string]any `json:"event_payload"`
		}
		if json.Unmarshal(m.metadata, &meta) == nil {
			out.EventType, out.Payload = meta.Type, meta.Payload
		}
	}
	return out
}

// Count returns the number of messages that a channel holds, replies included.
func (s *Server) Count(ref string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(ref); c != nil {
		return len(c.messages)
	}
	return 0
}
