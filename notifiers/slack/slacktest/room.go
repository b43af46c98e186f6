package slacktest

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Slack's limits of channels
// (https://docs.slack.dev/reference/methods/conversations.create,
// conversations.setTopic and conversations.invite).
const (
	maxChannelName = 80
	maxTopic       = 250
	maxInvited     = 100
)

// inside is what a channel has that messages alone do not need.
type inside struct {
	creator, topic string
	// people are those in the channel, but the bot.
	people []string
	pins   []string
}

// roomMethods are the methods that make and change channels.
func (s *Server) roomMethods() map[string]route {
	manage := []string{"channels:manage", "groups:write"}
	return map[string]route{
		"conversations.create":    {manage, s.conversationCreate},
		"conversations.rename":    {manage, s.conversationRename},
		"conversations.archive":   {manage, s.conversationArchive},
		"conversations.unarchive": {manage, s.conversationUnarchive},
		"conversations.invite":    {append([]string{"channels:write.invites", "groups:write.invites"}, manage...), s.conversationInvite},
		"conversations.setTopic":  {append([]string{"channels:write.topic", "groups:write.topic"}, manage...), s.conversationTopic},
		"pins.add":                {[]string{"pins:write"}, s.pinAdd},
		"pins.remove":             {[]string{"pins:write"}, s.pinRemove},
		"pins.list":               {[]string{"pins:read"}, s.pinList},
	}
}

// scopesFor are the scopes of which a call needs one in a private or a public
// channel; narrow is a narrower one that does, such as "write.topic".
func scopesFor(private bool, narrow string) []string {
	kind, scopes := "channels:", []string{"channels:manage"}
	if private {
		kind, scopes = "groups:", []string{"groups:write"}
	}
	if narrow != "" {
		scopes = append(scopes, kind+narrow)
	}
	return scopes
}

// nameProblem is Slack's error code for a channel's name, or "".
func nameProblem(name string) string {
	special := func(r rune) bool {
		return unicode.IsUpper(r) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}
	switch {
	case name == "":
		return "invalid_name_required"
	case utf8.RuneCountInString(name) > maxChannelName:
		return "invalid_name_maxlength"
	case strings.ContainsFunc(name, special):
		return "invalid_name_specials"
	case strings.Trim(name, "-_") == "":
		return "invalid_name_punctuation"
	default:
		return ""
	}
}

func (s *Server) conversationCreate(c *call) answer {
	name, private := c.arg("name"), c.bool("is_private")
	s.mu.Lock()
	if code, needed, provided := s.allowed(c.token, scopesFor(private, "")); code != "" {
		s.mu.Unlock()
		return denied(code, needed, provided)
	}
	code := nameProblem(name)
	if code == "" && s.byName[name] != nil {
		code = "name_taken" // by an archived one too, or by one that is not seen
	}
	if code != "" {
		s.mu.Unlock()
		return failed(code)
	}
	ch := s.create('C', name)
	ch.private, ch.creator = private, BotUserID
	ans := succeeded(channelAnswer{true, ch.wire()})
	s.mu.Unlock()
	s.watch.notify()
	return ans
}

// managed runs do on the channel of a call, which the bot must be in. A code that
// do returns is the answer's.
func (s *Server) managed(c *call, narrow string, do func(*channel) string) answer {
	s.mu.Lock()
	ch := s.channels[c.arg("channel")]
	var code, needed, provided string
	switch {
	case ch == nil || ch.private && !ch.member:
		code = "channel_not_found"
	case ch.im:
		code = "method_not_supported_for_channel_type"
	case !ch.member:
		code = "not_in_channel"
	default:
		if code, needed, provided = s.allowed(c.token, scopesFor(ch.private, narrow)); code == "" {
			code = do(ch)
		}
	}
	var ans answer
	switch {
	case needed != "":
		ans = denied(code, needed, provided)
	case code != "":
		ans = failed(code)
	default:
		ans = succeeded(channelAnswer{true, ch.wire()})
	}
	s.mu.Unlock()
	s.watch.notify()
	return ans
}

func (s *Server) conversationRename(c *call) answer {
	return s.managed(c, "", func(ch *channel) string {
		name := c.arg("name")
		switch code := nameProblem(name); {
		case code != "":
			return code
		case ch.archived:
			return "is_archived"
		case s.byName[name] != nil && s.byName[name] != ch:
			return "name_taken"
		}
		delete(s.byName, ch.name)
		ch.name = name
		s.byName[name] = ch
		return ""
	})
}

func (s *Server) conversationArchive(c *call) answer {
	ans := s.managed(c, "", func(ch *channel) string {
		if ch.archived {
			return "already_archived"
		}
		ch.archived = true
		return ""
	})
	if ans.code != "" {
		return ans
	}
	return succeeded(reply{OK: true})
}

// conversationUnarchive refuses: bot tokens cannot
// (https://docs.slack.dev/reference/methods/conversations.unarchive). The code is
// assumed.
func (s *Server) conversationUnarchive(c *call) answer {
	return s.managed(c, "", func(ch *channel) string {
		if !ch.archived {
			return "not_archived"
		}
		return "not_in_channel"
	})
}

// conversationTopic leaves a message in the channel, as Slack does.
func (s *Server) conversationTopic(c *call) answer {
	return s.managed(c, "write.topic", func(ch *channel) string {
		topic := c.arg("topic")
		switch {
		case ch.archived:
			return "is_archived"
		case utf8.RuneCountInString(topic) > maxTopic:
			return "too_long"
		}
		ch.topic = topic
		s.add(ch, &message{ts: s.newTS(c.now), user: BotUserID, subtype: "channel_topic", text: "set the channel topic: " + topic})
		return ""
	})
}

// conversationInvite invites everybody, or nobody and tells why of the first who
// cannot be. The argument force is not emulated.
func (s *Server) conversationInvite(c *call) answer {
	return s.managed(c, "write.invites", func(ch *channel) string {
		users := strings.Split(c.arg("users"), ",")
		switch {
		case ch.archived:
			return "is_archived"
		case users[0] == "":
			return "no_user"
		case len(users) > maxInvited:
			return "too_many_users"
		}
		for _, id := range users {
			switch u := s.users[id]; {
			case id == BotUserID:
				return "cant_invite_self"
			case u == nil || u.Deactivated:
				return "user_not_found"
			case slices.Contains(ch.people, id):
				return "already_in_channel"
			}
		}
		for _, id := range users {
			ch.people = append(ch.people, id)
			s.add(ch, &message{ts: s.newTS(c.now), user: id, subtype: "channel_join", text: "<@" + id + "> has joined the channel"})
		}
		return ""
	})
}

// pinnable finds the channel and the message of a call about pins. The caller
// holds s.mu.
func (s *Server) pinnable(c *call) (*channel, *message, string) {
	ch := s.channels[c.arg("channel")]
	switch {
	case ch == nil || ch.private && !ch.member:
		return nil, nil, "channel_not_found"
	case !ch.member:
		return nil, nil, "not_in_channel"
	case ch.archived:
		return nil, nil, "is_archived"
	case c.arg("timestamp") == "":
		return nil, nil, "no_item_specified"
	}
	m := ch.byTS[c.arg("timestamp")]
	switch {
	case m == nil:
		return nil, nil, "message_not_found"
	case m.subtype == "channel_join":
		return nil, nil, "not_pinnable"
	}
	return ch, m, ""
}

func (s *Server) pinAdd(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, m, code := s.pinnable(c)
	switch {
	case code != "":
		return failed(code)
	case slices.Contains(ch.pins, m.ts):
		return failed("already_pinned")
	}
	ch.pins = append(ch.pins, m.ts)
	return succeeded(reply{OK: true})
}

func (s *Server) pinRemove(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, m, code := s.pinnable(c)
	switch {
	case code != "":
		return failed(code)
	case !slices.Contains(ch.pins, m.ts):
		return failed("no_pin")
	}
	ch.pins = slices.DeleteFunc(ch.pins, func(ts string) bool { return ts == m.ts })
	return succeeded(reply{OK: true})
}

func (s *Server) pinList(c *call) answer {
	type item struct {
		Type    string      `json:"type"`
		Channel string      `json:"channel"`
		Message wireMessage `json:"message"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, code := s.readable(c)
	if code != "" {
		return failed(code)
	}
	items := []item{}
	for _, ts := range slices.Backward(ch.pins) {
		if m := ch.byTS[ts]; m != nil {
			items = append(items, item{"message", ch.id, m.wire(false)})
		}
	}
	return succeeded(struct {
		OK    bool   `json:"ok"`
		Items []item `json:"items"`
	}{true, items})
}

// Room is a channel as it now stands, for tests to look at.
type Room struct {
	ID, Name, Topic, Creator string
	Private, Archived        bool
	// People are in it besides the bot, Pins are the ts of what is pinned.
	People, Pins []string
}

// Room returns a channel by name or ID; false: there is none.
func (s *Server) Room(ref string) (Room, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(ref)
	if c == nil {
		return Room{}, false
	}
	return c.room(), true
}

func (c *channel) room() Room {
	return Room{
		ID: c.id, Name: c.name, Topic: c.topic, Creator: c.creator, Private: c.private, Archived: c.archived,
		People: slices.Clone(c.people), Pins: slices.Clone(c.pins),
	}
}

// Rooms returns the channels whose names begin so, by name.
func (s *Server) Rooms(prefix string) []Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Room
	for _, c := range s.sorted(func(c *channel) bool { return !c.im && strings.HasPrefix(c.name, prefix) }) {
		out = append(out, c.room())
	}
	return out
}

// AddRoom has a person create a channel, with the bot in it, and returns its ID;
// of one that exists it returns the ID.
func (s *Server) AddRoom(name, creator string) string {
	id := s.AddChannel(name)
	s.change(id, func(c *channel) { c.creator = creator })
	return id
}

// DeleteChannel deletes a channel for good, as an administrator would.
func (s *Server) DeleteChannel(ref string) {
	s.change(ref, func(c *channel) {
		delete(s.channels, c.id)
		delete(s.byName, c.name)
	})
	s.watch.notify()
}
