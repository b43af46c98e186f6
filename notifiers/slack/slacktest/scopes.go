package slacktest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// publicScope lets the bot post in public channels that it is not in. A token has
// it only where it is named.
const publicScope = "chat:write.public"

// tellScopes says in a header which scopes the token has, as Slack does with every
// answer (https://docs.slack.dev/authentication/installing-with-oauth). Of a token
// that has them all nothing is said.
func (s *Server) tellScopes(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[name]; t != nil && !t.all && !s.revoked[name] {
		w.Header().Set("X-Oauth-Scopes", strings.Join(t.scopes, ","))
	}
}

// mayJoinIn reports whether the call's token may post in a channel that the bot is
// not in. The caller holds s.mu.
func (s *Server) mayJoinIn(c *call, ch *channel) bool {
	t := s.tokens[c.token]
	return !ch.private && !ch.im && t != nil && slices.Contains(t.scopes, publicScope)
}

// historyScope is the scope that reading a conversation needs
// (https://docs.slack.dev/reference/methods/conversations.history).
func (c *channel) historyScope() string {
	switch {
	case c.im && c.with != "":
		return "im:history"
	case c.im:
		return "mpim:history"
	case c.private:
		return "groups:history"
	default:
		return "channels:history"
	}
}

// historyOf finds the channel whose history a call reads. The answer counts where
// there is none. The caller holds s.mu.
func (s *Server) historyOf(c *call) (*channel, answer) {
	ch, code := s.readable(c)
	if code != "" {
		return nil, failed(code)
	}
	if code, needed, provided := s.allowed(c.token, []string{ch.historyScope()}); code != "" {
		return nil, denied(code, needed, provided)
	}
	return ch, answer{}
}

// scheduled is a message that is to be posted later. It never is: who schedules one
// here takes it back.
type scheduled struct {
	channel string
	at      time.Time
}

// maxScheduled is how far ahead Slack schedules
// (https://docs.slack.dev/reference/methods/chat.scheduleMessage).
const maxScheduled = 120 * 24 * time.Hour

// Scheduled returns how many messages wait to be posted later.
func (s *Server) Scheduled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.later)
}

func (s *Server) schedule(c *call) answer {
	t, ans, ok := readContent(c)
	if !ok {
		return ans
	}
	secs, err := strconv.ParseInt(c.arg("post_at"), 10, 64)
	at := time.Unix(secs, 0)
	switch {
	case err != nil:
		return failed("invalid_time")
	case t.empty():
		return failed("no_text")
	case !at.After(c.now):
		return failed("time_in_past")
	case at.Sub(c.now) > maxScheduled:
		return failed("time_too_far")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, code := s.target(c)
	if code != "" {
		return failed(code)
	}
	id := s.newID('Q')
	if s.later == nil {
		s.later = map[string]scheduled{}
	}
	s.later[id] = scheduled{ch.id, at}
	return succeeded(map[string]any{"ok": true, "channel": ch.id, "scheduled_message_id": id, "post_at": secs, "message": map[string]any{"text": t.text}})
}

func (s *Server) unschedule(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.later[c.arg("scheduled_message_id")]
	switch {
	case s.channels[c.arg("channel")] == nil:
		return failed("channel_not_found")
	case !ok || m.channel != c.arg("channel"):
		return failed("invalid_scheduled_message_id")
	}
	delete(s.later, c.arg("scheduled_message_id"))
	return succeeded(reply{OK: true})
}
