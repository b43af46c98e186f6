package slacktest_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const (
	appToken = "xapp-1-A0-1"
	ana      = "U0ANA0001"
)

func socketServer(t *testing.T) (*slacktest.Server, *slackgo.Client) {
	t.Helper()
	s := slacktest.New(slacktest.WithAutoCreate(), slacktest.WithToken("xoxb-1"), slacktest.WithToken(appToken, "connections:write"))
	s.AddUser(slacktest.User{ID: ana, Name: "ana"})
	s.AddChannel("ops")
	server := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); server.Close() })
	return s, slackgo.New("xoxb-1", slackgo.OptionAPIURL(server.URL+"/api/"), slackgo.OptionAppLevelToken(appToken))
}

// TestSlackGoSpeaksSocketMode: a client that was written for Slack itself works
// against the emulator.
func TestSlackGoSpeaksSocketMode(t *testing.T) {
	t.Parallel()
	s, api := socketServer(t)
	client := socketmode.New(api)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	go func() {
		for e := range client.Events {
			switch e.Type {
			case socketmode.EventTypeSlashCommand:
				assert.NoError(t, client.Ack(*e.Request, map[string]string{"text": "you typed " + e.Data.(slackgo.SlashCommand).Text}))
			case socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
				assert.NoError(t, client.Ack(*e.Request))
			default:
			}
		}
	}()
	require.Eventually(t, func() bool { return s.Sockets().Len() == 1 }, 30*time.Second, 2*time.Millisecond)

	a, err := s.Command(ana, "ops", "help")
	require.NoError(t, err)
	assert.JSONEq(t, `{"text":"you typed help"}`, string(a.Body))
	require.Len(t, s.Ephemerals(ana), 1)
	assert.Equal(t, "you typed help", s.Ephemerals(ana)[0].Text)

	_, ts, err := api.PostMessageContext(ctx, "ops", slackgo.MsgOptionBlocks(slackgo.NewActionBlock("a", slackgo.NewButtonBlockElement("ack", "v", slackgo.NewTextBlockObject("plain_text", "Ack", false, false)))))
	require.NoError(t, err)
	_, err = s.Click("ops", ts, ana, "ack")
	require.NoError(t, err)
	_, err = s.Event([]byte(`{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention","text":"x"}}`))
	require.NoError(t, err)

	s.Sockets().Refresh(0, "warning", time.Second)
	require.Eventually(t, func() bool { return s.Sockets().Opened() == 2 }, 30*time.Second, 2*time.Millisecond)
	assert.Empty(t, s.Sockets().Violations())
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestWhoMayOpenAConnection(t *testing.T) {
	t.Parallel()
	s, api := socketServer(t)
	open := func(token string) error {
		slackgo.OptionAppLevelToken(token)(api)
		_, _, err := api.StartSocketModeContext(t.Context())
		return err
	}
	require.NoError(t, open(appToken))
	require.EqualError(t, open("xoxb-1"), "not_allowed_token_type")
	require.EqualError(t, open("xapp-other"), "invalid_auth")
	s.AddToken("xapp-narrow", "authorizations:read")
	require.EqualError(t, open("xapp-narrow"), "missing_scope")
	s.RevokeToken(appToken)
	require.EqualError(t, open(appToken), "token_revoked")
}

// TestWhatAnAppDoesWrongIsNoted: by hand, since no library does it.
func TestWhatAnAppDoesWrongIsNoted(t *testing.T) {
	t.Parallel()
	s, api := socketServer(t)
	_, url, err := api.StartSocketModeContext(t.Context())
	require.NoError(t, err)
	dial := func() (*websocket.Conn, error) {
		ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
		if err != nil && resp != nil {
			assert.Equal(t, 403, resp.StatusCode)
		}
		return ws, err
	}
	ws, err := dial()
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.Close() })
	_, err = dial()
	require.Error(t, err, "a URL is good for one connection")

	var hello, e map[string]any
	require.NoError(t, ws.ReadJSON(&hello))
	assert.Equal(t, "hello", hello["type"])
	require.Eventually(t, func() bool { return s.Sockets().Len() == 1 }, 30*time.Second, 2*time.Millisecond)
	answered := make(chan error, 1)
	interact := func() (id any) {
		go func() { _, err := s.Interact([]byte(`{"type":"block_actions"}`)); answered <- err }()
		require.NoError(t, ws.ReadJSON(&e))
		assert.Equal(t, "interactive", e["type"])
		assert.Equal(t, false, e["accepts_response_payload"])
		return e["envelope_id"]
	}
	id := interact()
	require.NoError(t, ws.WriteMessage(websocket.BinaryMessage, []byte("x")))
	for _, m := range []any{
		7,
		map[string]string{"envelope_id": "none"},
		map[string]any{"envelope_id": id, "payload": strings.Repeat("x", 20<<10)},
		map[string]any{"envelope_id": id, "payload": map[string]string{"text": "x"}},
		map[string]any{"envelope_id": id},
	} {
		require.NoError(t, ws.WriteJSON(m))
	}
	require.NoError(t, <-answered)
	// What is sent in turn is read in turn: after this, all has been.
	require.NoError(t, ws.WriteJSON(map[string]any{"envelope_id": interact()}))
	require.NoError(t, <-answered)
	wrong := s.Sockets().Violations()
	for n, want := range []string{"unknown, or was used", "no text", "no acknowledgement", "was not sent", "is dropped", "takes no answer", "twice"} {
		require.Greater(t, len(wrong), n, "%q", wrong)
		assert.Contains(t, wrong[n], want)
	}
	assert.Len(t, wrong, 7)
}

func TestWithoutAConnectionNobodyTakesAClick(t *testing.T) {
	t.Parallel()
	s, _ := socketServer(t)
	_, err := s.Command(ana, "ops", "help")
	require.Error(t, err)
	s.Sockets().Only()
	_, err = s.Command(ana, "ops", "help")
	require.ErrorContains(t, err, "no connection")
}
