package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const (
	teamSecret   = "canary-clicks-are-signed"
	teamAppToken = "xapp-canary-duty"
)

// teamPeople have every role but admin; old, of newDuty's workspace, is no user.
const teamPeople = `
users:
  - {name: ana, slack: U0ANA, contacts: [{by: slack}]}
  - {name: bo, slack: U0BO, contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, role: manager, contacts: [{by: slack}]}
  - {name: vic, slack: U0VIC, role: viewer}
`

// team is duty whose people click and type in Slack, which calls the program or is
// called by it.
type team struct {
	*duty
	// socket: by Socket Mode.
	socket bool
}

// overBoth runs a story for both ways that Slack has to the program.
func overBoth(t *testing.T, story func(*team)) {
	t.Helper()
	t.Parallel()
	for name, socket := range map[string]bool{"signed HTTP": false, "Socket Mode": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(newTeam(t, socket))
		})
	}
}

func newTeam(t *testing.T, socket bool) *team {
	t.Helper()
	s := &team{duty: newDuty(t), socket: socket}
	s.slack.AddUser(slacktest.User{ID: "U0VIC", Name: "vic", RealName: "vic"})
	s.slack.AddChannel("ops")
	if socket {
		s.slack.Sockets().Only()
	}
	return s
}

// write makes parts the configuration.
func (s *team) write(parts ...string) {
	s.t.Helper()
	s.duty.write(parts...)
	secret := "signing_secret: " + teamSecret
	if s.socket {
		secret = "app_token: " + teamAppToken
	}
	s.replace("slack: {bot", "slack: {"+secret+", bot")
}

// replace changes what the configuration's file says.
func (s *team) replace(before, after string) {
	s.t.Helper()
	text := read(s.t, s.file)
	require.Contains(s.t, string(text), before)
	require.NoError(s.t, os.WriteFile(s.file, bytes.ReplaceAll(text, []byte(before), []byte(after)), 0o600))
}

func (s *team) with(parts ...string) *team {
	s.t.Helper()
	s.write(parts...)
	s.start()
	return s
}

func (s *team) start() {
	s.t.Helper()
	s.duty.start()
	s.listen()
	if s.socket {
		s.connected()
	}
}

// listen tells Slack where the program is.
func (s *team) listen() {
	c := slacktest.Callbacks{Secret: teamSecret, Self: s.slackURL}
	if !s.socket {
		c.Interactions, c.Commands, c.Events = s.url+"/slack/interactions", s.url+"/slack/commands", s.url+"/slack/events"
	}
	s.slack.SetCallbacks(c)
}

func (s *team) connected() {
	s.t.Helper()
	s.eventually(func() bool { return s.slack.Sockets().Len() == 2 }, "two connections of Socket Mode")
}

func (s *team) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func (s *team) reload(parts ...string) {
	s.t.Helper()
	if len(parts) > 0 {
		s.write(parts...)
	}
	s.duty.reload()
}

// door is a place to type in.
type door string

const (
	slash   door = "/tocsin"
	mention door = "@tocsin"
	direct  door = "DM"
)

// heard is what a person has been told alone, and what all see in #ops, or in the
// direct messages.
func (s *team) heard(user string, d door) (alone, all []slacktest.Message) {
	for _, e := range s.slack.Ephemerals(user) {
		alone = append(alone, e.Message)
	}
	ref := "#ops"
	if d == direct {
		ref = user
	}
	return alone, slices.DeleteFunc(s.slack.Messages(ref), func(m slacktest.Message) bool { return m.User == user })
}

// types has a person type words, waits for the answer, and returns it. public: all
// see it.
func (s *team) types(d door, user, words string) (answer string, public bool) {
	s.t.Helper()
	read := func(m *slacktest.Message) string { return plainText(string(m.See().HTML)) }
	alone, all := s.heard(user, d)
	switch d {
	case slash:
		_, err := s.slack.Command(user, "#ops", words)
		require.NoError(s.t, err, words)
	case mention:
		s.event(map[string]any{
			"type": "app_mention", "user": user, "channel": s.slack.AddChannel("ops"), "text": "<@" + slacktest.BotUserID + "> " + words,
		})
	default:
		s.event(map[string]any{"type": "message", "channel_type": "im", "user": user, "channel": s.dm(user), "text": words})
	}
	s.eventually(func() bool {
		nowAlone, nowAll := s.heard(user, d)
		switch {
		case len(nowAlone) > len(alone):
			answer = read(&nowAlone[len(nowAlone)-1])
		case len(nowAll) > len(all):
			answer, public = read(&nowAll[len(nowAll)-1]), true
		}
		return answer != ""
	}, "%s is answered, %s: %s", user, d, words)
	return answer, public
}

// dm is the ID of the direct messages with a person.
func (s *team) dm(user string) string {
	s.t.Helper()
	_, err := s.slack.OpenHome(user, "messages")
	require.NoError(s.t, err)
	room, ok := s.slack.Room("dm:" + user)
	require.True(s.t, ok)
	return room.ID
}

// event sends one of the Events API.
func (s *team) event(event map[string]any) {
	s.t.Helper()
	s.eventAs(fmt.Sprintf("Ev%d", time.Now().UnixNano()), event)
}

func (s *team) eventAs(id string, event map[string]any) {
	s.t.Helper()
	if event["ts"] == nil {
		event["ts"] = fmt.Sprintf("%d.%06d", time.Now().Unix(), time.Now().Nanosecond()/1000)
	}
	body, err := json.Marshal(map[string]any{
		"type": "event_callback", "team_id": slacktest.TeamID, "event_id": id, "event": event,
		"authorizations": []any{map[string]any{"user_id": slacktest.BotUserID, "is_bot": true}},
	})
	require.NoError(s.t, err)
	a, err := s.slack.Event(body)
	require.NoError(s.t, err)
	require.Equal(s.t, 200, a.Status)
}

// says types words, and holds the answer to what it must say: to the person alone,
// unless the words are typed in the direct messages.
func (s *team) says(d door, user, words string, want ...string) string {
	s.t.Helper()
	answer, public := s.types(d, user, words)
	assert.Equal(s.t, d == direct, public, "%s: who sees the answer to %s", d, words)
	for _, w := range want {
		assert.Contains(s.t, answer, w, "%s %s", d, words)
	}
	return answer
}

// message is the one of an incident in a channel.
func (s *team) message(ref, id string) slacktest.Message {
	if all := s.messages(ref, id); len(all) > 0 {
		return all[0]
	}
	return slacktest.Message{}
}

// messages are those of an incident in a channel, without what is left of the
// threads of deleted ones.
func (s *team) messages(ref, id string) []slacktest.Message {
	return slices.DeleteFunc(s.slack.Messages(ref), func(m slacktest.Message) bool {
		return m.EventType == "" || m.Payload["incident"] != id || m.ThreadTS != "" && m.ThreadTS != m.TS
	})
}

// shows waits until an incident's message in a channel, with its thread, says
// something.
func (s *team) shows(ref, id string, want ...string) {
	s.t.Helper()
	comesToSay(s.t, func() slacktest.Message { return s.message(ref, id) }, want...)
}

// shown is the text of an incident's message in a channel, without its thread.
func (s *team) shown(ref, id string) string {
	m := s.message(ref, id)
	return plainText(string(m.See().HTML))
}

// clicks has somebody click on an incident's message.
func (s *team) clicks(ref, id, user, action string, choice ...string) slacktest.Answer {
	s.t.Helper()
	m := s.message(ref, id)
	require.NotEmpty(s.t, m.TS, "%s has a message of %s: %s", ref, id, s.said(ref))
	a, err := s.slack.Click(ref, m.TS, user, action, choice...)
	require.NoError(s.t, err)
	return a
}

// whispered waits until a person alone has been told something.
func (s *team) whispered(user, text string) {
	s.t.Helper()
	s.eventually(func() bool {
		return slices.ContainsFunc(s.slack.Ephemerals(user), func(e slacktest.Ephemeral) bool {
			return strings.Contains(plainText(string(e.See().HTML)), text)
		})
	}, "%s is told: %s", user, text)
}

// home is what a person sees in the Home tab.
func (s *team) home(user string) string {
	v, ok := s.slack.Home(user)
	if !ok {
		return ""
	}
	return plainText(string(slacktest.Message{Blocks: v.Blocks}.See().HTML))
}

// opens has a person open the Home tab, and waits until it says something.
func (s *team) opens(user, want string) {
	s.t.Helper()
	_, err := s.slack.OpenHome(user, "home")
	require.NoError(s.t, err)
	s.eventually(func() bool { return strings.Contains(s.home(user), want) }, "the Home tab of %s says %s", user, want)
}

// rewrite makes text the configuration's file.
func (s *team) rewrite(text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.file, []byte(text), 0o600))
}
