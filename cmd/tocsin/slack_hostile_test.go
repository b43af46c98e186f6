package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// state is all that somebody could have changed.
func (s *team) state() string {
	s.t.Helper()
	var b strings.Builder
	for _, inc := range s.incidents(s.t) {
		text, err := json.Marshal(inc)
		require.NoError(s.t, err)
		fmt.Fprintf(&b, "%s\n%s\n", text, s.timeline(inc.ID))
	}
	return b.String() + s.get(s.t, "/api/v1/silences") + s.get(s.t, "/api/v1/overrides") + s.onCall(time.Time{})
}

// refused is how often the log tells of a refusal.
func (s *team) refused(cause string) int {
	n := 0
	for line := range strings.SplitSeq(s.log.String(), "\n") {
		if strings.Contains(line, "a Slack callback was refused") && strings.Contains(line, "cause="+cause+" ") {
			n++
		}
	}
	return n
}

// forgery is a request that the program must refuse.
type forgery struct {
	name, path, body, contentType string
	// signed is how; nil: as Slack does, now.
	signed func(body []byte) http.Header
	status int
	cause  string
}

func (s *team) send(method, path, contentType string, header http.Header, body []byte) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, bytes.NewReader(body))
	require.NoError(s.t, err)
	req.Header = header.Clone()
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	return resp.StatusCode
}

func signedAt(secret string, after time.Duration) func([]byte) http.Header {
	return func(body []byte) http.Header { return slacktest.Sign(secret, time.Now().Add(after), body) }
}

const formType = "application/x-www-form-urlencoded"

// TestSlackForgeries: what Slack has not signed, or not now, or not as it came, does
// nothing, and is logged once however often it comes.
func TestSlackForgeries(t *testing.T) {
	t.Parallel()
	s := newTeam(t, false).with(teamPeople, dutyPrimary, dutyChannel)
	id := s.open("NodeDown", "critical")
	s.shows("#incidents", id, "Triggered: NodeDown a")
	s.shows("U0ANA", id, "Triggered: NodeDown a")
	payload, err := s.slack.ClickPayload("#incidents", s.message("#incidents", id).TS, "U0BO", slack.ActionAcknowledge)
	require.NoError(t, err)
	click := "payload=" + url.QueryEscape(string(payload))
	typed := "team_id=" + slacktest.TeamID + "&command=%2Ftocsin&user_id=U0BO&channel_id=C1&text=" + url.QueryEscape("ack "+id)
	event := `{"type":"event_callback","team_id":"` + slacktest.TeamID + `","event_id":"Ev1","event":{"type":"message","channel_type":"im","user":"U0BO","channel":"D1","text":"ack ` + id + `","ts":"1.0"}}`
	s.quiet()
	before, calls := s.state(), s.slack.Calls("")

	ways := []forgery{
		{name: "another secret", signed: signedAt("guessed", 0), status: 401, cause: "signature"},
		{name: "no signature", signed: func([]byte) http.Header { return http.Header{} }, status: 401, cause: "unsigned"},
		{name: "old", signed: signedAt(teamSecret, -6*time.Minute), status: 401, cause: "stale"},
		{name: "of a time to come", signed: signedAt(teamSecret, 6*time.Minute), status: 401, cause: "future"},
		{name: "of another body", signed: func(b []byte) http.Header { return slacktest.Sign(teamSecret, time.Now(), b[1:]) }, status: 401, cause: "signature"},
		{name: "half of it", signed: func(b []byte) http.Header { return slacktest.Sign(teamSecret, time.Now(), append(b, b...)) }, status: 401, cause: "signature"},
		{name: "an old version", signed: func(b []byte) http.Header {
			h := slacktest.Sign(teamSecret, time.Now(), b)
			h.Set("X-Slack-Signature", strings.Replace(h.Get("X-Slack-Signature"), "v0=", "v1=", 1))
			return h
		}, status: 401, cause: "unsigned"},
		{name: "two signatures", signed: func(b []byte) http.Header {
			h := slacktest.Sign("guessed", time.Now(), b)
			h.Add("X-Slack-Signature", slacktest.Sign(teamSecret, time.Now(), b).Get("X-Slack-Signature"))
			return h
		}, status: 401, cause: "unsigned"},
		{name: "as text", contentType: "text/plain", status: 415, cause: `"content type"`},
	}
	for _, door := range []forgery{
		{path: "/slack/interactions", body: click, contentType: formType},
		{path: "/slack/commands", body: typed, contentType: formType},
		{path: "/slack/events", body: event, contentType: "application/json"},
	} {
		for _, w := range ways {
			sign, contentType := w.signed, door.contentType
			if sign == nil {
				sign = signedAt(teamSecret, 0)
			}
			if w.contentType != "" {
				contentType = w.contentType
			}
			body := []byte(door.body)
			for range 2 {
				assert.Equal(t, w.status, s.send(http.MethodPost, door.path, contentType, sign(body), body), "%s: %s", door.path, w.name)
			}
			assert.Equal(t, 1, s.refused(w.cause), "%s is logged once", w.name)
		}
		assert.Equal(t, 405, s.send(http.MethodGet, door.path, door.contentType, slacktest.Sign(teamSecret, time.Now(), nil), nil), door.path)
		assert.Equal(t, 400, s.send(http.MethodPost, door.path+"?"+click, door.contentType, slacktest.Sign(teamSecret, time.Now(), []byte("x=1")), []byte("x=1")), door.path)
		large := []byte(door.body + strings.Repeat(" ", 2<<20))
		assert.Equal(t, 413, s.send(http.MethodPost, door.path, door.contentType, slacktest.Sign(teamSecret, time.Now(), large), large), door.path)
		s.truncated(door.path, door.contentType, door.body)
	}
	assert.Equal(t, 1, s.refused("query"))
	for _, reason := range []string{"the body is longer than 1048576 bytes", "the body ended early", "this path does not take that method"} {
		assert.Contains(t, s.log.String(), reason, "what the server itself refuses is logged too")
	}
	assert.Equal(t, before, s.state())
	assert.Equal(t, calls, s.slack.Calls(""), "Slack is not called about it either")
	assert.Positive(t, s.metric(`tocsin_slack_callbacks_total{kind="interaction",outcome="refused"}`))

	// The same request twice is done once.
	header := slacktest.Sign(teamSecret, time.Now(), []byte(click))
	assert.Equal(t, 200, s.send(http.MethodPost, "/slack/interactions", formType, header, []byte(click)))
	s.shows("#incidents", id, "Acknowledged by bo")
	s.says(slash, "U0ANA", "unack "+id+" force", "is triggered")
	assert.Equal(t, 401, s.send(http.MethodPost, "/slack/interactions", formType, header, []byte(click)))
	assert.Equal(t, 1, s.refused("replayed"))
	assert.Equal(t, tocsin.Triggered, s.incident(id).State)
	assert.NotContains(t, s.log.String(), teamSecret)
}

// truncated sends a request whose body ends early.
func (s *team) truncated(path, contentType, body string) {
	s.t.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	defer c.Close()
	h := slacktest.Sign(teamSecret, time.Now(), []byte(body))
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: tocsin\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Slack-Signature: %s\r\nX-Slack-Request-Timestamp: %s\r\n\r\n%s",
		path, contentType, len(body), h.Get("X-Slack-Signature"), h.Get("X-Slack-Request-Timestamp"), body[:len(body)/2])
	require.NoError(s.t, err)
	require.NoError(s.t, c.(*net.TCPConn).CloseWrite())
	require.NoError(s.t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return // it was cut off, which is as good
	}
	assert.Equal(s.t, 400, resp.StatusCode, path)
	require.NoError(s.t, resp.Body.Close())
}

var trigger = regexp.MustCompile(`"trigger_id":"[^"]*"`)

// TestSlackHostilePayloads: what is signed and makes no sense does nothing either.
func TestSlackHostilePayloads(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		id, other := s.open("NodeDown", "critical"), s.openAt("NodeDown", "b", "critical")
		for _, i := range []string{id, other} {
			s.shows("#incidents", i, "Triggered: NodeDown")
			s.shows("U0ANA", i, "Triggered: NodeDown")
		}
		payload := func(action string, choice ...string) string {
			p, err := s.slack.ClickPayload("#incidents", s.message("#incidents", id).TS, "U0BO", action, choice...)
			require.NoError(s.t, err)
			return string(p)
		}
		s.clicks("#incidents", id, "U0BO", slack.ActionMore, slack.ChoiceNote)
		s.eventually(func() bool { _, open := s.slack.View("U0BO"); return open }, "the window opens")
		s.quiet()
		before := s.state()
		ack, steps, snooze := payload(slack.ActionAcknowledge), payload(slack.ActionSteps, "1. Look at the machine"), payload(slack.ActionSnooze, "1h")
		value := `"value":"` + id + `"`
		require.Contains(s.t, ack, value)
		hostile := map[string]string{
			"no JSON":                               `{"type":"block_actions"`,
			"nothing":                               ``,
			"a list":                                `[]`,
			"an unknown kind":                       strings.Replace(ack, `"type":"block_actions"`, `"type":"message_action"`, 1),
			"an unknown action":                     strings.ReplaceAll(ack, slack.ActionAcknowledge, "tocsin_shutdown"),
			"an action of another app":              strings.ReplaceAll(ack, slack.ActionAcknowledge, "approve"),
			"a value of another incident":           strings.ReplaceAll(ack, value, `"value":"`+other+`"`),
			"a value of no incident":                strings.ReplaceAll(ack, value, `"value":"zzzzzz"`),
			"a block of another incident":           strings.ReplaceAll(ack, "tocsin:"+id+":", "tocsin:"+other+":"),
			"metadata of another incident":          strings.ReplaceAll(ack, `"incident":"`+id+`"`, `"incident":"`+other+`"`),
			"another workspace":                     strings.ReplaceAll(ack, slacktest.TeamID, "T0OTHER001"),
			"no actions":                            ack[:strings.Index(ack, `"actions":[`)] + `"actions":[]` + ack[strings.Index(ack, `,"api_app_id"`):],
			"a choice that the menu has not":        strings.ReplaceAll(snooze, id+":1h", id+":9999h"),
			"a choice that goes back in time":       strings.ReplaceAll(snooze, id+":1h", id+":-1h"),
			"a box of another incident":             strings.ReplaceAll(steps, `"value":"`+id+`:`, `"value":"`+other+`:`),
			"a group of another incident":           strings.ReplaceAll(steps, "tocsin_steps:"+id+":", "tocsin_steps:"+other+":"),
			"a group of no incident":                strings.ReplaceAll(steps, "tocsin_steps:"+id+":", "tocsin_steps::"),
			"a window of nobody's":                  `{"type":"view_submission","team":{"id":"` + slacktest.TeamID + `"},"user":{"id":"U0BO"},"view":{"id":"V1","callback_id":"approve","private_metadata":"` + id + ` C1"}}`,
			"a window without an incident":          `{"type":"view_submission","team":{"id":"` + slacktest.TeamID + `"},"user":{"id":"U0BO"},"view":{"id":"V1","callback_id":"tocsin_note","private_metadata":"` + id + `"}}`,
			"a click by nobody":                     strings.ReplaceAll(ack, `"U0BO"`, `""`),
			"a Home tab of somebody else's, forged": `{"type":"block_actions","team":{"id":"` + slacktest.TeamID + `"},"user":{"id":"U0BO"},"view":{"id":"V1","type":"home","private_metadata":"U0ANA"},"actions":[{"action_id":"tocsin_acknowledge","block_id":"tocsin:` + id + `:1","action_ts":"1.0","value":"` + id + `"}]}`,
		}
		var sending sync.WaitGroup
		for name, p := range hostile {
			sending.Go(func() {
				own := trigger.ReplaceAllString(p, fmt.Sprintf(`"trigger_id":"%p"`, &name)) // each is a click of its own
				a, err := s.slack.Interact([]byte(own))
				if s.socket {
					assert.Error(s.t, err, "%s is not acknowledged", name)
					return
				}
				if assert.NoError(s.t, err, name) {
					assert.GreaterOrEqual(s.t, a.Status, 400, name)
				}
			})
		}
		sending.Wait()
		s.quiet()
		assert.Equal(s.t, before, s.state())
		for _, cause := range []string{"incident", "action", "payload", "workspace"} {
			assert.Equal(s.t, 1, s.refused(cause), "%s is logged once", cause)
		}
		_, err := s.slack.Interact([]byte(ack))
		require.NoError(s.t, err)
		s.shows("#incidents", id, "Acknowledged by bo")
		assert.Equal(s.t, tocsin.Triggered, s.incident(other).State)
	})
}
