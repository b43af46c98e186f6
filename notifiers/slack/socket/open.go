package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"
	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// openWithin bounds the call, the handshake and the greeting, each.
	openWithin = 10 * time.Second
	// maxFrame is larger than any payload of Slack's with room to spare.
	maxFrame = 4 << 20
	// writeBuffer holds the largest acknowledgement as one frame: Slack does not put
	// frames together (https://github.com/slack-go/slack, socketmode).
	writeBuffer = 32 << 10
	// crowded is how soon another connection is tried when there are too many.
	crowded = 30 * time.Second
)

const adviceToken = "make an app-level token with the scope connections:write (Basic Information, App-Level Tokens, in the Slack app's settings) and put it into slack.app_token_file"

// advice says what to do about what only a person can put right, by the codes of
// apps.connections.open
// (https://docs.slack.dev/reference/methods/apps.connections.open) and the reasons of
// disconnect messages.
var advice = map[string]string{
	"invalid_auth":            "the token is not valid: " + adviceToken,
	"not_authed":              adviceToken,
	"token_revoked":           "the token was revoked: " + adviceToken,
	"token_expired":           "the token has expired: " + adviceToken,
	"not_allowed_token_type":  "slack.app_token_file holds another kind of token: " + adviceToken,
	"missing_scope":           "the token lacks the scope connections:write: " + adviceToken,
	"no_permission":           "the token lacks the scope connections:write: " + adviceToken,
	"account_inactive":        "install the Slack app again; then " + adviceToken,
	"user_removed_from_team":  "install the Slack app again; then " + adviceToken,
	"team_disabled":           "the workspace is disabled: install the Slack app in another one",
	"team_access_not_granted": "grant the app access to this workspace",
	"access_denied":           "grant the app access to this workspace",
	"forbidden_team":          "grant the app access to this workspace",
	"unknown_method":          "check slack.api_url",
	"link_disabled":           "turn Socket Mode on in the Slack app's settings, or take slack.app_token_file out of the configuration",
}

// open asks where a connection can be made.
func (c *Client) open(ctx context.Context) (*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	_, to, err := c.api.StartSocketModeContext(ctx)
	if err != nil {
		return nil, c.classify(err)
	}
	u, err := url.Parse(to)
	// An error of url.Parse holds the URL, which is as good as the token.
	if err != nil || u.Host == "" || u.Scheme != "wss" && (c.secure || u.Scheme != "ws") {
		return nil, tocsin.Permanent(errors.New("slack apps.connections.open: the answer has no wss URL: check slack.api_url"))
	}
	return u, nil
}

// classify turns an error of slack-go into one that says whether a person has to
// act, and how long to wait.
func (c *Client) classify(err error) error {
	const method = "slack apps.connections.open: "
	var limited *slackgo.RateLimitedError
	var said slackgo.SlackErrorResponse
	var status slackgo.StatusCodeError
	switch {
	case errors.As(err, &limited):
		return tocsin.RetryAfter(errors.New(method+"too many calls"), limited.RetryAfter)
	case errors.As(err, &said):
		if !plainCode(said.Err) {
			said.Err = "an error code that cannot be shown"
		}
		if hint, ok := advice[said.Err]; ok {
			return tocsin.Permanent(errors.New(method + said.Err + ": " + hint))
		}
		return errors.New(method + said.Err)
	case errors.As(err, &status):
		if status.Code >= 300 && status.Code < 500 && status.Code != http.StatusRequestTimeout && status.Code != http.StatusTooManyRequests {
			return tocsin.Permanent(fmt.Errorf("%sHTTP %d: this is not Slack's Web API: check slack.api_url", method, status.Code))
		}
		return fmt.Errorf("%sHTTP %d", method, status.Code)
	default:
		return c.network(method, err)
	}
}

// plainCode tells a text that is formed like Slack's error codes.
func plainCode(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// network is an error without an answer, without what is secret: URLs, and what a
// proxy or a server repeats of a request.
func (c *Client) network(what string, err error, secrets ...string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	for _, s := range append(secrets, c.token) {
		if s != "" && strings.Contains(text, s) {
			text = strings.ReplaceAll(text, s, "<secret>")
			err = errors.New(text)
		}
	}
	return fmt.Errorf("%s%w", what, err)
}

// dialer goes the way of a transport.
func dialer(rt http.RoundTripper) *websocket.Dialer {
	d := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: openWithin, WriteBufferSize: writeBuffer}
	t, ok := rt.(*http.Transport)
	if !ok {
		return d
	}
	d.Proxy, d.NetDialContext = t.Proxy, t.DialContext
	if t.TLSClientConfig != nil {
		d.TLSClientConfig = t.TLSClientConfig.Clone()
	} else {
		d.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// A transport offers HTTP/2, over which there is no WebSocket here.
	d.TLSClientConfig.NextProtos = []string{"http/1.1"}
	return d
}

// goodbyeError is a disconnect message in place of a greeting.
type goodbyeError struct{ reason string }

func (e *goodbyeError) Error() string {
	text := "slack socket mode: Slack disconnects: " + e.word()
	if hint, ok := advice[e.reason]; ok {
		text += ": " + hint
	} else if e.reason == reasonCrowded {
		text += ": the app has its 10 connections already; stop other programs that use its token, or replicas of Tocsin"
	}
	return text
}

// word is the reason, of those that are known.
func (e *goodbyeError) word() string {
	switch e.reason {
	case reasonWarning, reasonRefresh, reasonDisabled, reasonCrowded:
		return e.reason
	default:
		return reasonOther
	}
}

// farewell is the error of a reason to disconnect; nil: a replacement is all that is
// asked for.
func farewell(reason string) error {
	e := &goodbyeError{reason}
	switch reason {
	case reasonWarning, reasonRefresh:
		return nil
	case reasonDisabled:
		return tocsin.Permanent(e)
	case reasonCrowded:
		return tocsin.RetryAfter(e, crowded)
	default:
		return e
	}
}

// connect makes a connection, up to its greeting.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	u, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	ws, resp, err := c.dialer.DialContext(within, u.String(), nil)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%w (HTTP %d)", err, resp.StatusCode)
		}
		return nil, c.network("slack socket mode: connecting: ", err, u.String(), u.RawQuery, u.Query().Get("ticket"))
	}
	ws.SetReadLimit(maxFrame)
	if err := greeted(within, ws); err != nil {
		_ = ws.Close() // it is of no use
		return nil, err
	}
	return newConn(c, ws), nil
}

// greeted waits for hello.
func greeted(ctx context.Context, ws *websocket.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = ws.NetConn().SetReadDeadline(time.Unix(1, 0)) }) // the read ends
	defer stop()
	_, raw, err := ws.ReadMessage()
	if err != nil {
		return errors.New("slack socket mode: the connection was not greeted")
	}
	var f frame
	if err := json.Unmarshal(raw, &f, lenient); err != nil {
		return errors.New("slack socket mode: the greeting cannot be read")
	}
	switch f.Type {
	case "hello":
		return nil
	case "disconnect":
		if err := farewell(f.Reason); err != nil {
			return err
		}
		return &goodbyeError{f.Reason}
	default:
		return errors.New("slack socket mode: the connection was not greeted")
	}
}
