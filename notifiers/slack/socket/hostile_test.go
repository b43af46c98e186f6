package socket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/socket"
)

// saying is a server that answers apps.connections.open with url, and says messages
// on each connection, of any content.
func saying(url string, messages ...[]byte) http.Handler {
	var upgrader websocket.Upgrader
	mux := http.NewServeMux()
	mux.HandleFunc("/api/apps.connections.open", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "url": url})
	})
	mux.HandleFunc("/refused", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.URL.String())
		http.Error(w, "no: "+r.URL.String(), http.StatusForbidden)
	})
	mux.HandleFunc("/link", func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.Close() }()
		for _, m := range messages {
			if ws.WriteMessage(websocket.TextMessage, m) != nil {
				return
			}
		}
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	})
	return mux
}

// hostile runs a client against a server, and returns what it took and its log.
func hostile(t *testing.T, h http.Handler, fn func(*taker, *buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, logs := &taker{}, &buffer{}
		c := socket.New(socket.Config{
			AppToken: token, APIURL: slacktest.URL, HTTPClient: &http.Client{Transport: serve(t, h)}, Connections: 1,
			Logger: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}, k)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(time.Minute)
		fn(k, logs)
		cancel()
		require.NoError(t, <-ended)
		assert.NotContains(t, logs.String(), "canary")
	})
}

const (
	hello    = `{"type":"hello","num_connections":1}`
	link     = "ws://slack.test/link?ticket=canary"
	envelope = `{"envelope_id":"e1","type":"interactive","payload":{"type":"block_actions"}}`
)

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	t.Parallel()
	messages := [][]byte{[]byte(hello)}
	for _, m := range []string{"", "null", "[]", `"x"`, "{", "{}", `{"type":7}`, `{"type":"hello"}`, `{"envelope_id":{}}`, `{"type":"interactive","payload":{}}`, "\xff\xfe"} {
		messages = append(messages, []byte(m))
	}
	messages = append(messages, []byte(envelope), []byte(`{"type":"brand_new","envelope_id":"e2"}`))
	hostile(t, saying(link, messages...), func(k *taker, logs *buffer) {
		kinds := map[string]string{}
		for _, e := range k.seen() {
			kinds[e.id] = e.kind
		}
		assert.Equal(t, map[string]string{"e1": "interactive", "e2": "brand_new"}, kinds)
		assert.Contains(t, logs.String(), "cannot be read")
		assert.NotContains(t, logs.String(), "has ended", "the connection stays")
	})
}

func TestAFrameThatIsTooLargeEndsTheConnection(t *testing.T) {
	t.Parallel()
	hostile(t, saying(link, []byte(hello), bytes.Repeat([]byte("x"), 5<<20)), func(k *taker, logs *buffer) {
		assert.Empty(t, k.seen())
		assert.Contains(t, logs.String(), "read limit exceeded")
	})
}

func TestNothingIsTakenBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	hostile(t, saying(link, []byte(envelope), []byte(hello)), func(k *taker, logs *buffer) {
		assert.Empty(t, k.seen())
		assert.Contains(t, logs.String(), "not greeted")
	})
}

func TestAnUnknownReasonToDisconnectIsOneOfFewWords(t *testing.T) {
	t.Parallel()
	hostile(t, saying(link, []byte(hello), []byte(`{"type":"disconnect","reason":"canary of another time"}`)), func(_ *taker, logs *buffer) {
		assert.Contains(t, logs.String(), "reason=other")
	})
}

// TestTheURLOfAConnectionIsNotTold: whoever has it, gets what people do in Slack.
func TestTheURLOfAConnectionIsNotTold(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "wss://%zz/?ticket=canary", "wss://?ticket=canary", "https://slack.test/link?ticket=canary", "ws://slack.test/refused?ticket=canary",
		"ws://canary:canary@slack.test/refused?ticket=canary", "wss://slack.test/link?ticket=canary", "ws://slack.test/\x00?ticket=canary",
	} {
		hostile(t, saying(url), func(k *taker, logs *buffer) {
			assert.Empty(t, k.seen())
			assert.Regexp(t, "level=(WARN|ERROR)", logs.String())
			assert.NotContains(t, logs.String(), "ticket", url)
		})
	}
}

// TestAnAPIOverTLSHasConnectionsOverTLS: nobody between talks it out of that.
func TestAnAPIOverTLSHasConnectionsOverTLS(t *testing.T) {
	t.Parallel()
	answers := roundTripper(func(r *http.Request) (*http.Response, error) {
		s := slacktest.New()
		r.URL.Scheme, r.Host = "http", "slack.test"
		return s.Client().Do(r.Clone(r.Context()))
	})
	c := socket.New(socket.Config{AppToken: token, APIURL: "https://slack.test/api", HTTPClient: &http.Client{Transport: answers}}, &taker{})
	assert.ErrorContains(t, c.Check(t.Context()), "no wss URL")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatTheAPIAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault     slacktest.Fault
		want      string
		permanent bool
	}{
		{slacktest.Fault{Status: 502, Body: "<html>xapp-1-A0TOCSIN01-canary-4f7c1e</html>"}, "HTTP 502", false},
		{slacktest.Fault{Status: 404, Body: "<html>"}, "check slack.api_url", true},
		{slacktest.Fault{Status: 301}, "check slack.api_url", true},
		{slacktest.Fault{Body: "<html>xapp-1-A0TOCSIN01-canary-4f7c1e</html>"}, "", false},
		{slacktest.Fault{Error: "internal_error"}, "internal_error", false},
		{slacktest.Fault{Error: "xapp-1-A0TOCSIN01-canary-4f7c1e"}, "cannot be shown", false},
		{slacktest.Fault{Error: "account_inactive"}, "install the Slack app again", true},
		{slacktest.Fault{DropAfter: true}, "EOF", false},
		{slacktest.Fault{Status: 429, RetryAfter: slacktest.Seconds(7)}, "too many calls", false},
		{slacktest.Fault{Status: 429}, "", false},
	} {
		s := slacktest.New()
		s.Fault(c.fault)
		client := socket.New(socket.Config{AppToken: token, APIURL: slacktest.URL, HTTPClient: s.Client(), Registerer: prometheus.NewRegistry()}, &taker{})
		err := client.Check(t.Context())
		require.ErrorContains(t, err, c.want)
		assert.NotContains(t, err.Error(), "canary")
		assert.Equal(t, c.permanent, tocsin.IsPermanent(err), err.Error())
	}
}
