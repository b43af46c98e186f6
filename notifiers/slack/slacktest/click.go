package slacktest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func escapeForm(s string) string { return url.QueryEscape(s) }

// Click has a user click what bears the action ID on a message, and returns what
// the app answered. Of a menu, choice is the value or the text of the option; of a
// users_select, the ID of the user. Of check boxes, it names those that are ticked
// or unticked, in one group: as the user's own client shows them, which does not
// know yet of what others tick. A confirmation, where there is one, is given.
// The error says what would have kept the person from clicking, or that the app did
// not answer in time.
func (s *Server) Click(ref, ts, user, actionID string, choice ...string) (Answer, error) {
	payload, err := s.clickPayload(ref, ts, user, actionID, choice)
	if err != nil {
		return Answer{}, err
	}
	return s.interact(payload)
}

// ClickPayload is the payload that Click would send.
func (s *Server) ClickPayload(ref, ts, user, actionID string, choice ...string) ([]byte, error) {
	payload, err := s.clickPayload(ref, ts, user, actionID, choice)
	if err != nil {
		return nil, err
	}
	return json.Marshal(payload, json.Deterministic(true))
}

func (s *Server) clickPayload(ref, ts, user, actionID string, choice []string) (map[string]any, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.find(ref)
	u := s.users[user]
	switch {
	case u == nil || u.Deactivated || u.Bot:
		return nil, fmt.Errorf("%s is no member of the workspace", user)
	case ch == nil || ch.byTS[ts] == nil:
		return nil, fmt.Errorf("%s has no message %s", ref, ts)
	case ch.im && ch.with != user:
		return nil, fmt.Errorf("%s cannot see the messages of %s", user, ch.with)
	}
	m := ch.byTS[ts]
	var action map[string]any
	var err error
	if groups := findBoxes(m.blocks, actionID); len(groups) > 0 {
		action, err = s.toggle(boxView{user: user, channel: ch.id, ts: ts}, groups, choice)
	} else {
		action, err = findAction(m.blocks, actionID, choice)
	}
	if err != nil {
		return nil, err
	}
	s.lastTS = max(now.UnixMicro(), s.lastTS+1)
	action["action_ts"] = fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
	p := s.payload("block_actions", u, now)
	p["channel"] = map[string]any{"id": ch.id, "name": ch.toldName()}
	p["container"] = map[string]any{"type": "message", "message_ts": ts, "channel_id": ch.id, "is_ephemeral": false}
	p["message"] = m.wire(!s.callbacks.NoMetadata)
	p["response_url"] = s.newResponse("actions", user, ch.id, ts, now)
	p["state"] = map[string]any{"values": map[string]any{}}
	p["actions"] = []any{action}
	return p, nil
}

// payload is what all interactions share. The caller holds s.mu.
func (s *Server) payload(kind string, u *User, now time.Time) map[string]any {
	return map[string]any{
		"type": kind, "api_app_id": appID, "token": "verification-token-is-deprecated", "trigger_id": s.newTrigger(u.ID, now),
		"team": map[string]any{"id": TeamID, "domain": "tocsin-test"}, "enterprise": nil, "is_enterprise_install": false,
		"user": map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": TeamID},
	}
}

// findAction makes the action of a payload from the element of a message.
func findAction(raw jsontext.Value, actionID string, choice []string) (map[string]any, error) {
	var blocks []struct {
		BlockID   string           `json:"block_id"`
		Accessory jsontext.Value   `json:"accessory"`
		Elements  []jsontext.Value `json:"elements"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &blocks); err != nil {
			return nil, err
		}
	}
	for n := range blocks {
		b := &blocks[n]
		for _, raw := range append(slices.Clone(b.Elements), b.Accessory) {
			var e element
			if len(raw) == 0 || json.Unmarshal(raw, &e) != nil || e.ActionID != actionID || e.ActionID == "" {
				continue
			}
			a := map[string]any{"type": e.Type, "action_id": e.ActionID, "block_id": b.BlockID}
			if b.BlockID == "" {
				a["block_id"] = fmt.Sprintf("b%d", n) // Slack makes one up
			}
			return a, e.clicked(a, choice)
		}
	}
	return nil, fmt.Errorf("the message has nothing to click with the action_id %q", actionID)
}

// clicked adds what was chosen.
func (e *element) clicked(a map[string]any, choice []string) error {
	switch {
	case e.Type == "button" && len(choice) == 0:
		a["text"], a["value"] = e.Text, e.Value
		return nil
	case e.Type == "users_select" && len(choice) == 1:
		a["selected_user"] = choice[0]
		return nil
	case (e.Type == "static_select" || e.Type == "overflow") && len(choice) == 1:
		raw, err := e.option(choice[0])
		a["selected_option"] = raw
		return err
	default:
		return fmt.Errorf("a %s takes no %d choices", e.Type, len(choice))
	}
}

// option finds one by its value, by the end of its value, or by its text.
func (e *element) option(choice string) (jsontext.Value, error) {
	for _, raw := range e.Options {
		var o struct {
			Text  textObject `json:"text"`
			Value string     `json:"value"`
		}
		if json.Unmarshal(raw, &o) == nil && (o.Value == choice || o.Text.Text == choice || strings.HasSuffix(o.Value, ":"+choice)) {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("the menu has no choice %q", choice)
}

// CommandName is the slash command of the workspace's app.
const CommandName = "/tocsin"

// Command has a user type the slash command in a channel, shows what the app
// answers with as Slack would, and returns it.
func (s *Server) Command(user, ref, text string) (Answer, error) {
	now := time.Now()
	s.mu.Lock()
	u, ch := s.users[user], s.find(ref)
	if u == nil || u.Deactivated || ch == nil {
		s.mu.Unlock()
		return Answer{}, fmt.Errorf("%s cannot write in %s", user, ref)
	}
	form := url.Values{
		"token": {"verification-token-is-deprecated"}, "team_id": {TeamID}, "team_domain": {"tocsin-test"}, "api_app_id": {appID},
		"channel_id": {ch.id}, "channel_name": {ch.toldName()}, "user_id": {u.ID}, "user_name": {u.Name}, "is_enterprise_install": {"false"},
		"command": {CommandName}, "text": {text}, "trigger_id": {s.newTrigger(u.ID, now)},
		"response_url": {s.newResponse("commands", u.ID, ch.id, "", now)},
	}
	s.mu.Unlock()
	a, err := s.sendCommand(form)
	if err != nil {
		return a, err
	}
	if a.Status != http.StatusOK {
		return a, fmt.Errorf("%s failed because the app did not respond: HTTP %d", CommandName, a.Status)
	}
	return a, s.showAnswer(a, &response{user: u.ID, channel: ch.id})
}

// sendCommand sends the fields of a command as a form, or as a JSON object over a
// connection of Socket Mode.
func (s *Server) sendCommand(form url.Values) (Answer, error) {
	to := func(c Callbacks) string { return c.Commands }
	if !s.viaSocket(to) {
		return s.send(to, formType, []byte(form.Encode()))
	}
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	raw, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil {
		return Answer{}, err
	}
	return s.sockets.deliver(slashCommands, raw)
}

// showAnswer shows the body of the answer to a slash command, if there is one.
func (s *Server) showAnswer(a Answer, to *response) error {
	if len(a.Body) == 0 {
		return nil
	}
	var m responseMessage
	if err := json.Unmarshal(a.Body, &m); err != nil {
		m = responseMessage{Text: string(a.Body)}
	}
	s.mu.Lock()
	code := s.sayFor(to, &m, time.Now())
	s.mu.Unlock()
	if code != "" {
		return fmt.Errorf("the answer to %s cannot be shown: %s", CommandName, code)
	}
	s.watch.notify()
	return nil
}
