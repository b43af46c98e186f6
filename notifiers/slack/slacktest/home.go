package slacktest

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxHomeView is the largest view, in bytes.
const maxHomeView = 250_000

// Home returns what a person sees in the app's Home tab; false: nothing was ever
// published there.
func (s *Server) Home(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.homeView(user)
	if v == nil || v.hash == "" {
		return View{}, false
	}
	return v.export(), true
}

// homeView is the one Home tab of a user. The caller holds s.mu.
func (s *Server) homeView(user string) *view {
	for _, v := range s.views {
		if v.kind == "home" && v.user == user {
			return v
		}
	}
	return nil
}

// viewPublish shows a Home tab (https://docs.slack.dev/reference/methods/views.publish).
func (s *Server) viewPublish(c *call) answer {
	user := c.arg("user_id")
	if len(c.arg("view")) > maxHomeView {
		return failed("view_too_large")
	}
	s.mu.Lock()
	v := s.homeView(user)
	switch u := s.users[user]; {
	case u == nil || u.Bot:
		s.mu.Unlock()
		return failed("user_not_found")
	case v == nil:
		v = &view{id: s.newID('V'), kind: "home", user: user}
		s.views[v.id] = v
	}
	s.mu.Unlock()
	return s.putView(c, "home", v.id, func() (string, string) {
		if hash := c.arg("hash"); hash != "" && hash != v.hash {
			return "", "hash_conflict"
		}
		return user, ""
	})
}

// OpenHome has a user open one of the tabs of the app's home, "home" or
// "messages", and returns what the app answered to the event
// (https://docs.slack.dev/reference/events/app_home_opened).
func (s *Server) OpenHome(user, tab string) (Answer, error) {
	s.mu.Lock()
	u := s.users[user]
	if u == nil || u.Deactivated || u.Bot {
		s.mu.Unlock()
		return Answer{}, fmt.Errorf("%s is no member of the workspace", user)
	}
	event := map[string]any{
		"type": "app_home_opened", "user": user, "channel": s.dm(user).id, "tab": tab, "event_ts": s.newTS(time.Now()),
	}
	if v := s.homeView(user); v != nil && v.hash != "" && tab == "home" {
		event["view"] = v.raw
	}
	id := s.newID('E')
	s.mu.Unlock()
	body, err := json.Marshal(map[string]any{
		"token": "verification-token-is-deprecated", "team_id": TeamID, "api_app_id": appID, "type": "event_callback",
		"event_id": id, "event_time": time.Now().Unix(), "event": event,
	}, json.Deterministic(true))
	if err != nil {
		return Answer{}, err
	}
	return s.Event(body)
}

// ClickHome has a user click what bears the action ID in their Home tab, in a block
// whose ID begins with blockPrefix; see Click.
func (s *Server) ClickHome(user, blockPrefix, actionID string, choice ...string) (Answer, error) {
	payload, err := s.homePayload(user, blockPrefix, actionID, choice)
	if err != nil {
		return Answer{}, err
	}
	return s.Interact(payload)
}

// ClickHomePayload is the payload that ClickHome would send
// (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
func (s *Server) ClickHomePayload(user, blockPrefix, actionID string, choice ...string) ([]byte, error) {
	return s.homePayload(user, blockPrefix, actionID, choice)
}

func (s *Server) homePayload(user, blockPrefix, actionID string, choice []string) ([]byte, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	u, v := s.users[user], s.homeView(user)
	if u == nil || u.Deactivated || v == nil || v.hash == "" {
		return nil, fmt.Errorf("%s has no Home tab", user)
	}
	blocks, err := blocksWith(v.export().Blocks, blockPrefix)
	if err != nil {
		return nil, err
	}
	action, err := findAction(blocks, actionID, choice)
	if err != nil {
		return nil, err
	}
	s.lastTS = max(now.UnixMicro(), s.lastTS+1)
	action["action_ts"] = fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
	p := s.payload("block_actions", u, now)
	p["container"] = map[string]any{"type": "view", "view_id": v.id}
	p["view"] = v.raw
	p["actions"] = []any{action}
	return json.Marshal(p, json.Deterministic(true))
}

// blocksWith keeps the blocks whose ID begins with prefix.
func blocksWith(raw jsontext.Value, prefix string) (jsontext.Value, error) {
	var all, kept []jsontext.Value
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for _, b := range all {
		var named struct {
			ID string `json:"block_id"`
		}
		if err := json.Unmarshal(b, &named); err != nil {
			return nil, err
		}
		if strings.HasPrefix(named.ID, prefix) {
			kept = append(kept, b)
		}
	}
	return json.Marshal(kept)
}
