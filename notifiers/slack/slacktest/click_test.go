package slacktest_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const (
	signing = "8f742231b10e8888abcd99yyyzzz85a5"
	person  = "U0ANA0001"
)

// app is the other side: it verifies and reads with slack-go, and answers what the
// test wants.
type app struct {
	t *testing.T

	mu       sync.Mutex
	clicks   []slackgo.InteractionCallback
	commands []slackgo.SlashCommand
	answer   string
	delay    time.Duration
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	assert.NoError(a.t, err)
	v, err := slackgo.NewSecretsVerifier(r.Header, signing)
	assert.NoError(a.t, err)
	_, _ = v.Write(raw)
	assert.NoError(a.t, v.Ensure())
	r.Body = io.NopCloser(bytes.NewReader(raw))
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/commands" {
		c, err := slackgo.SlashCommandParse(r)
		assert.NoError(a.t, err)
		a.commands = append(a.commands, c)
	} else {
		c, err := slackgo.InteractionCallbackParse(r)
		assert.NoError(a.t, err)
		a.clicks = append(a.clicks, c)
	}
	time.Sleep(a.delay)
	_, _ = io.WriteString(w, a.answer)
}

func workspace(t *testing.T) (*slacktest.Server, *app, *slackgo.Client, string) {
	t.Helper()
	s := slacktest.New(slacktest.WithAutoCreate())
	t.Cleanup(s.Close)
	s.AddUser(slacktest.User{ID: person, Name: "ana", RealName: "Ana"})
	a := &app{t: t}
	s.SetCallbacks(slacktest.Callbacks{Secret: signing, Handler: a, Interactions: "http://app.test/interactions", Commands: "http://app.test/commands"})
	api := slackgo.New("xoxb-1", slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionHTTPClient(s.Client()))
	text := func(s string) *slackgo.TextBlockObject {
		return slackgo.NewTextBlockObject("plain_text", s, false, false)
	}
	menu := slackgo.NewOptionsSelectBlockElement("static_select", text("Snooze"), "snooze", slackgo.NewOptionBlockObject("k7f3q9:1h", text("1 hour"), nil))
	_, ts, err := api.PostMessageContext(t.Context(), "#ops", slackgo.MsgOptionText("x", false),
		slackgo.MsgOptionBlocks(slackgo.NewActionBlock("b", slackgo.NewButtonBlockElement("ack", "k7f3q9", text("Ack")), menu)),
		slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: "e", EventPayload: map[string]any{"id": "7"}}))
	require.NoError(t, err)
	return s, a, api, ts
}

func TestClicks(t *testing.T) {
	t.Parallel()
	s, a, _, ts := workspace(t)
	got, err := s.Click("ops", ts, person, "ack")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.Status)
	_, err = s.Click("ops", ts, person, "snooze", "1 hour")
	require.NoError(t, err)
	require.Len(t, a.clicks, 2)
	c := a.clicks[0]
	assert.Equal(t, slackgo.InteractionTypeBlockActions, c.Type)
	assert.Equal(t, person, c.User.ID)
	assert.Equal(t, ts, c.Message.Timestamp)
	assert.Equal(t, "e", c.Message.Metadata.EventType)
	assert.Equal(t, "k7f3q9", c.ActionCallback.BlockActions[0].Value)
	assert.Equal(t, "b", c.ActionCallback.BlockActions[0].BlockID)
	assert.Equal(t, "k7f3q9:1h", a.clicks[1].ActionCallback.BlockActions[0].SelectedOption.Value)
	for name, try := range map[string]func() error{
		"unknown action":  func() error { _, err := s.Click("ops", ts, person, "drop"); return err },
		"unknown choice":  func() error { _, err := s.Click("ops", ts, person, "snooze", "1 year"); return err },
		"no choice":       func() error { _, err := s.Click("ops", ts, person, "snooze"); return err },
		"unknown person":  func() error { _, err := s.Click("ops", ts, "U0NOBODY", "ack"); return err },
		"unknown message": func() error { _, err := s.Click("ops", "1.000000", person, "ack"); return err },
	} {
		require.Error(t, try(), name)
	}
	s.Deactivate(person, true)
	_, err = s.Click("ops", ts, person, "ack")
	require.Error(t, err)
	assert.Len(t, a.clicks, 2)
	s.SetCallbacks(slacktest.Callbacks{})
	s.Deactivate(person, false)
	_, err = s.Click("ops", ts, person, "ack")
	require.ErrorContains(t, err, "not configured")
}

func TestSlackGivesUpAfterThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, a, _, ts := workspace(t)
		a.delay = 4 * time.Second
		_, err := s.Click("ops", ts, person, "ack")
		require.ErrorContains(t, err, "operation_timeout")
	})
}

func TestTriggersWorkOnceAndForThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, api, _ := workspace(t)
		view := slackgo.ModalViewRequest{
			Type: "modal", Title: slackgo.NewTextBlockObject("plain_text", "T", false, false),
			Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{slackgo.NewDividerBlock()}},
		}
		id := s.Trigger(person)
		_, err := api.OpenViewContext(t.Context(), id, view)
		require.NoError(t, err)
		_, err = api.OpenViewContext(t.Context(), id, view)
		require.EqualError(t, err, "exchanged_trigger_id")
		_, err = api.OpenViewContext(t.Context(), "1.2.3", view)
		require.EqualError(t, err, "invalid_trigger_id")
		id = s.Trigger(person)
		time.Sleep(4 * time.Second)
		_, err = api.OpenViewContext(t.Context(), id, view)
		require.EqualError(t, err, "expired_trigger_id")
	})
}

func TestModals(t *testing.T) {
	t.Parallel()
	s, a, api, _ := workspace(t)
	text := func(s string) *slackgo.TextBlockObject {
		return slackgo.NewTextBlockObject("plain_text", s, false, false)
	}
	view := slackgo.ModalViewRequest{
		Type: "modal", Title: text("T"), Submit: text("Go"), CallbackID: "cb", PrivateMetadata: "p",
		Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{slackgo.NewInputBlock("b", text("L"), nil, slackgo.NewPlainTextInputBlockElement(nil, "a").WithMaxLength(5))}},
	}
	_, err := api.OpenViewContext(t.Context(), s.Trigger(person), view)
	require.NoError(t, err)
	v, ok := s.View(person)
	require.True(t, ok)
	assert.Equal(t, "T cb p", v.Title+" "+v.CallbackID+" "+v.PrivateMetadata)
	_, err = s.Submit(person, nil)
	require.ErrorContains(t, err, "required")
	_, err = s.Submit(person, map[string]string{"a": "too long"})
	require.ErrorContains(t, err, "shorter")
	assert.Empty(t, a.clicks, "Slack's own client refuses these")
	a.answer = `{"response_action":"errors","errors":{"b":"no"}}`
	_, err = s.Submit(person, map[string]string{"a": "hi"})
	require.NoError(t, err)
	v, _ = s.View(person)
	assert.Equal(t, map[string]string{"b": "no"}, v.Errors)
	a.answer = `{"response_action":"errors","errors":{"x":"no"}}`
	_, err = s.Submit(person, map[string]string{"a": "hi"})
	require.Error(t, err)
	a.answer = ""
	_, err = s.Submit(person, map[string]string{"a": "hi"})
	require.NoError(t, err)
	_, ok = s.View(person)
	assert.False(t, ok)
	assert.Equal(t, "hi", a.clicks[2].View.State.Values["b"]["a"].Value)

	for name, spoil := range map[string]func(*slackgo.ModalViewRequest){
		"long title":   func(v *slackgo.ModalViewRequest) { v.Title = text(strings.Repeat("x", 25)) },
		"no submit":    func(v *slackgo.ModalViewRequest) { v.Submit = nil },
		"long private": func(v *slackgo.ModalViewRequest) { v.PrivateMetadata = strings.Repeat("x", 3001) },
	} {
		bad := view
		spoil(&bad)
		_, err := api.OpenViewContext(t.Context(), s.Trigger(person), bad)
		require.Error(t, err, name)
	}
}

func TestResponseURLs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, a, _, ts := workspace(t)
		say := func(to, body string) (int, string) {
			resp, err := s.Client().Post(to, "application/json", strings.NewReader(body))
			require.NoError(t, err)
			raw, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return resp.StatusCode, string(raw)
		}
		_, err := s.Click("ops", ts, person, "ack")
		require.NoError(t, err)
		to := a.clicks[0].ResponseURL
		for range 5 {
			code, _ := say(to, `{"text":"psst","replace_original":false}`)
			assert.Equal(t, 200, code)
		}
		code, body := say(to, `{"text":"psst"}`)
		assert.Equal(t, 404, code)
		assert.Contains(t, body, "used_url")
		require.Len(t, s.Ephemerals(person), 5)
		assert.Equal(t, "psst", s.Ephemerals(person)[0].Text)
		assert.Empty(t, s.Ephemerals("U0BO"))

		_, err = s.Click("ops", ts, person, "ack")
		require.NoError(t, err)
		to = a.clicks[1].ResponseURL
		_, _ = say(to, `{"text":"changed","replace_original":true}`)
		assert.Equal(t, "changed", s.Messages("ops")[0].Text)
		code, _ = say(to, `{"text":"x","blocks":[{"type":"nonsense"}]}`)
		assert.Equal(t, 500, code)
		time.Sleep(31 * time.Minute)
		code, body = say(to, `{"text":"late"}`)
		assert.Equal(t, 404, code)
		assert.Contains(t, body, "expired_url")
		code, _ = say(slacktest.URL[:len(slacktest.URL)-5]+"/actions/T/none", `{"text":"x"}`)
		assert.Equal(t, 404, code)
	})
}

func TestCommandsAreShown(t *testing.T) {
	t.Parallel()
	s, a, _, _ := workspace(t)
	a.answer = `{"response_type":"in_channel","text":"for all"}`
	_, err := s.Command(person, "ops", "list")
	require.NoError(t, err)
	assert.Equal(t, "for all", s.Messages("ops")[1].Text)
	a.answer = `{"text":"for you"}`
	_, err = s.Command(person, "ops", "list")
	require.NoError(t, err)
	require.Len(t, s.Ephemerals(person), 1)
	require.Len(t, a.commands, 2)
	assert.Equal(t, "/tocsin list "+person, a.commands[0].Command+" "+a.commands[0].Text+" "+a.commands[0].UserID)
}

// TestThePageClicks: the demo can be clicked, and shows each person what they alone
// see.
func TestThePageClicks(t *testing.T) {
	t.Parallel()
	s, a, api, ts := workspace(t)
	page := get(t, s.Client(), "http://slack.test/?channel=ops")
	assert.Contains(t, page, `data-action="ack"`)
	assert.Contains(t, page, `<option value="k7f3q9:1h">1 hour</option>`)
	assert.NotContains(t, page, `class="quiet"`)
	post := func(path, kind, body string) string {
		resp, err := s.Client().Post("http://slack.test"+path, kind, strings.NewReader(body))
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(raw)
	}
	click := `{"channel":"ops","ts":"` + ts + `","user":"` + person + `","action":"ack","value":""}`
	assert.Contains(t, post("/click", "application/json", click), `"ok":true`)
	assert.Len(t, a.clicks, 1)
	assert.Contains(t, post("/click", "text/plain", click), "want a POST of JSON", "another site's form cannot click")
	assert.Contains(t, post("/click", "application/json", strings.ReplaceAll(click, "ack", "drop")), `"ok":false`)
	assert.Len(t, a.clicks, 1)

	_, err := api.PostEphemeralContext(t.Context(), a.clicks[0].Channel.ID, person, slackgo.MsgOptionText("<script>psst", false))
	require.NoError(t, err)
	s.AddUser(slacktest.User{ID: "U0BO00001", Name: "bo", RealName: "Bo"})
	assert.Contains(t, get(t, s.Client(), "http://slack.test/fragment?channel=ops&me="+person), "&lt;script&gt;psst")
	assert.NotContains(t, get(t, s.Client(), "http://slack.test/fragment?channel=ops&me=U0BO00001"), "psst")
	_, err = api.PostEphemeralContext(t.Context(), a.clicks[0].Channel.ID, "U0NOBODY", slackgo.MsgOptionText("psst", false))
	require.EqualError(t, err, "user_not_in_channel")

	text := slackgo.NewTextBlockObject("plain_text", "<b>T", false, false)
	_, err = api.OpenViewContext(t.Context(), s.Trigger(person), slackgo.ModalViewRequest{
		Type: "modal", Title: text, Submit: text,
		Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{slackgo.NewInputBlock("b", text, nil, slackgo.NewPlainTextInputBlockElement(nil, "a"))}},
	})
	require.NoError(t, err)
	assert.Contains(t, get(t, s.Client(), "http://slack.test/fragment?channel=ops&me="+url.QueryEscape(person)), `<h2>&lt;b&gt;T</h2>`)
	assert.Contains(t, post("/submit", "application/json", `{"user":"`+person+`","values":{"a":"hi"}}`), `"ok":true`)
	assert.Equal(t, "hi", a.clicks[1].View.State.Values["b"]["a"].Value)
	s.SetCallbacks(slacktest.Callbacks{})
	assert.Contains(t, get(t, s.Client(), "http://slack.test/?channel=ops"), `class="quiet"`)
}
