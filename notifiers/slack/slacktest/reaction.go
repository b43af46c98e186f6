package slacktest

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// React has a person mark a message with an emoji, and returns what the app
// answered to the event; the zero Answer where it gets none, since the bot is not
// in the channel or no token has the scope reactions:read
// (https://docs.slack.dev/reference/events/reaction_added).
func (s *Server) React(ref, ts, user, emoji string) (Answer, error) {
	body, told := s.reacted(ref, ts, user, emoji)
	s.watch.notify()
	if !told {
		return Answer{}, nil
	}
	return s.Event(body)
}

// Reaction is React without the event, which it returns, to be sent with Event
// as often as wanted.
func (s *Server) Reaction(ref, ts, user, emoji string) []byte {
	body, _ := s.reacted(ref, ts, user, emoji)
	return body
}

func (s *Server) reacted(ref, ts, user, emoji string) (body []byte, told bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(ref)
	if c == nil || c.byTS[ts] == nil {
		return nil, false
	}
	m, at := c.byTS[ts], s.newTS(time.Now())
	if !slices.Contains(m.reactions, emoji) {
		m.reactions = append(m.reactions, emoji)
	}
	event := map[string]any{
		"type": "reaction_added", "user": user, "reaction": emoji, "event_ts": at,
		"item": map[string]any{"type": "message", "channel": c.id, "ts": ts},
	}
	if m.user != "" {
		event["item_user"] = m.user
	}
	body = succeeded(map[string]any{
		"token": "verification-token-is-deprecated", "team_id": TeamID, "api_app_id": appID, "type": "event_callback",
		"event_id": "Ev" + s.newID('R'), "event_time": time.Now().Unix(), "event": event,
	}).body
	return body, c.member && s.mayHear("reactions:read")
}

// mayHear reports whether the app may be told of events that need a scope. The
// caller holds s.mu.
func (s *Server) mayHear(scope string) bool {
	if s.tokens == nil {
		return true
	}
	for name := range s.tokens {
		if code, _, _ := s.allowed(name, []string{scope}); code == "" {
			return true
		}
	}
	return false
}

// SayWith is Say with the metadata of some other app's, outside of threads.
func (s *Server) SayWith(ref, user, text, eventType, payload string) string {
	ts := s.Say(ref, user, text, "")
	s.change(ref, func(c *channel) {
		if m := c.byTS[ts]; m != nil {
			m.metadata = jsontext.Value(`{"event_type":"` + eventType + `","event_payload":` + payload + `}`)
		}
	})
	return ts
}
