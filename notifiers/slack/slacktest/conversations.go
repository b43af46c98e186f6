package slacktest

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

var (
	historyScopes = []string{"channels:history", "groups:history", "im:history", "mpim:history"}
	channelScopes = []string{"channels:read", "groups:read", "im:read", "mpim:read"}
)

type wireChannel struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	IsChannel  bool   `json:"is_channel"`
	IsPrivate  bool   `json:"is_private"`
	IsIM       bool   `json:"is_im"`
	IsArchived bool   `json:"is_archived"`
	IsMember   bool   `json:"is_member"`
	Created    int64  `json:"created"`
	Creator    string `json:"creator,omitzero"`
	Topic      struct {
		Value string `json:"value"`
	} `json:"topic"`
}

// wire is the channel, or the direct messages, in an answer.
func (c *channel) wire() any {
	if c.im {
		return wireDirect{ID: c.id, Created: c.created, IsArchived: c.archived, IsIM: true, User: c.with}
	}
	w := wireChannel{
		ID: c.id, Name: c.name, IsChannel: !c.private, IsPrivate: c.private, IsArchived: c.archived,
		IsMember: c.member, Created: c.created, Creator: c.creator,
	}
	w.Topic.Value = c.topic
	return w
}

type messagePage struct {
	OK               bool             `json:"ok"`
	Messages         []wireMessage    `json:"messages"`
	HasMore          bool             `json:"has_more"`
	ResponseMetadata responseMetadata `json:"response_metadata"`
}

// readable finds the channel of a call that reads. It takes IDs alone. The
// caller holds s.mu.
func (s *Server) readable(c *call) (*channel, string) {
	ch := s.channels[c.arg("channel")]
	switch {
	case ch == nil || ch.private && !ch.member:
		return nil, "channel_not_found"
	case !ch.member:
		return nil, "not_in_channel"
	default:
		return ch, ""
	}
}

// span is the range of timestamps that a call asks for, both ends exclusive
// unless inclusive is set.
type span struct {
	oldest, latest int64
	inclusive      bool
}

func readSpan(c *call) span {
	return span{oldest: micros(c.arg("oldest")), latest: micros(c.arg("latest")), inclusive: c.bool("inclusive")}
}

func (sp span) holds(v int64) bool {
	if sp.inclusive && (v == sp.oldest || v == sp.latest) {
		return true
	}
	return v > sp.oldest && (sp.latest == 0 || v < sp.latest)
}

func cursorOf(ts string) string { return base64.StdEncoding.EncodeToString([]byte("next_ts:" + ts)) }

func readCursor(c *call) (string, bool) {
	if c.arg("cursor") == "" {
		return "", true
	}
	raw, err := base64.StdEncoding.DecodeString(c.arg("cursor"))
	ts, ok := strings.CutPrefix(string(raw), "next_ts:")
	return ts, err == nil && ok
}

// pageLimit is how many messages a page holds: 100 unless asked, 999 at most.
func pageLimit(c *call) int { return c.int("limit", 100, 999) }

func (s *Server) history(c *call) answer {
	from, ok := readCursor(c)
	if !ok {
		return failed("invalid_cursor")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, ans := s.historyOf(c)
	if ch == nil {
		return ans
	}
	page, sp := messagePage{OK: true, Messages: []wireMessage{}}, readSpan(c)
	limit := pageLimit(c)
	for _, m := range slices.Backward(ch.messages) {
		if m.at < sp.oldest {
			break
		}
		if m.isReply() && !m.broadcast || from != "" && m.ts > from || !sp.holds(m.at) {
			continue
		}
		if len(page.Messages) == limit {
			page.HasMore = true
			page.ResponseMetadata.NextCursor = cursorOf(m.ts)
			break
		}
		page.Messages = append(page.Messages, m.wire(c.bool("include_all_metadata")))
	}
	return succeeded(page)
}

func (s *Server) replies(c *call) answer {
	from, ok := readCursor(c)
	if !ok {
		return failed("invalid_cursor")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, ans := s.historyOf(c)
	if ch == nil {
		return ans
	}
	parent := ch.byTS[c.arg("ts")]
	if parent == nil {
		return failed("thread_not_found")
	}
	page, sp := messagePage{OK: true, Messages: []wireMessage{}}, readSpan(c)
	limit := pageLimit(c)
	for _, m := range ch.messages {
		if m.ts != parent.ts && m.threadTS != parent.ts || m.ts < from {
			continue
		}
		// The parent is always the first, whatever the range.
		if m.ts != parent.ts && !sp.holds(m.at) {
			continue
		}
		if len(page.Messages) == limit {
			page.HasMore = true
			page.ResponseMetadata.NextCursor = cursorOf(m.ts)
			break
		}
		page.Messages = append(page.Messages, m.wire(c.bool("include_all_metadata")))
	}
	return succeeded(page)
}

type channelAnswer struct {
	OK      bool `json:"ok"`
	Channel any  `json:"channel"`
}

func (s *Server) conversationInfo(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[c.arg("channel")]
	if ch == nil || ch.private && !ch.member {
		return failed("channel_not_found")
	}
	return succeeded(channelAnswer{true, ch.wire()})
}

func (s *Server) conversationList(c *call) answer {
	types := c.arg("types")
	if types == "" {
		types = "public_channel"
	}
	start := 0
	if cur := c.arg("cursor"); cur != "" {
		n, err := strconv.Atoi(cur)
		if err != nil || n < 0 {
			return failed("invalid_cursor")
		}
		start = n
	}
	if code, needed := s.listScopes(c.token, types); code != "" {
		return denied(code, needed, "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.sorted(func(ch *channel) bool {
		return ch.listedAs(types) && (!ch.archived || !c.bool("exclude_archived"))
	})
	page := struct {
		OK               bool             `json:"ok"`
		Channels         []any            `json:"channels"`
		ResponseMetadata responseMetadata `json:"response_metadata"`
	}{OK: true, Channels: []any{}}
	limit := c.int("limit", 100, 999)
	for i := min(start, len(all)); i < len(all); i++ {
		if len(page.Channels) == limit {
			page.ResponseMetadata.NextCursor = strconv.Itoa(i)
			break
		}
		page.Channels = append(page.Channels, all[i].wire())
	}
	return succeeded(page)
}

// listScopes checks the scope that each kind of conversation needs.
func (s *Server) listScopes(token, types string) (string, string) {
	need := map[string]string{"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"}
	for t := range strings.SplitSeq(types, ",") {
		scope, ok := need[strings.TrimSpace(t)]
		if !ok {
			return "invalid_types", ""
		}
		if code, needed, _ := s.authorize(token, []string{scope}); code != "" {
			return code, needed
		}
	}
	return "", ""
}

func (c *channel) listedAs(types string) bool {
	switch {
	case c.im:
		return slices.Contains(strings.Split(types, ","), "im")
	case c.private:
		return c.member && strings.Contains(types, "private_channel")
	default:
		return strings.Contains(types, "public_channel")
	}
}

// sorted returns the channels that keep holds, by name and ID. The caller holds
// s.mu.
func (s *Server) sorted(keep func(*channel) bool) []*channel {
	var out []*channel
	for _, c := range s.channels {
		if keep(c) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *channel) int {
		return strings.Compare(a.name+"\x00"+a.id, b.name+"\x00"+b.id)
	})
	return out
}

func (s *Server) conversationJoin(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[c.arg("channel")]
	switch {
	case ch == nil || ch.private && !ch.member:
		return failed("channel_not_found")
	case ch.archived:
		return failed("is_archived")
	case ch.im:
		return failed("method_not_supported_for_channel_type")
	}
	ch.member = true
	return succeeded(channelAnswer{true, ch.wire()})
}

// conversationOpen answers with the ID alone unless return_im is set
// (https://docs.slack.dev/reference/methods/conversations.open).
func (s *Server) conversationOpen(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened := func(ch *channel) answer {
		if c.bool("return_im") {
			return succeeded(channelAnswer{true, ch.wire()})
		}
		return succeeded(channelAnswer{true, map[string]string{"id": ch.id}})
	}
	if id := c.arg("channel"); id != "" {
		if ch := s.channels[id]; ch != nil {
			return opened(ch)
		}
		return failed("channel_not_found")
	}
	users := strings.Split(strings.Trim(c.arg("users"), `[]"`), ",")
	if users[0] == "" {
		return failed("users_list_not_supplied")
	}
	for _, id := range users {
		switch u := s.users[id]; {
		case u == nil:
			return failed("user_not_found")
		case u.Deactivated:
			return failed("user_disabled")
		case u.Bot:
			return failed("cannot_dm_bot")
		}
	}
	if len(users) == 1 {
		return opened(s.dm(users[0]))
	}
	name := dmName(strings.Join(users, ","))
	ch := s.byName[name]
	if ch == nil {
		ch = s.create('G', name)
		ch.im = true
	}
	return opened(ch)
}
