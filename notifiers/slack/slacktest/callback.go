package slacktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Callbacks says where the workspace's app takes what people do.
type Callbacks struct {
	// Secret signs the requests.
	Secret string
	// Interactions, Commands and Events are URLs. What has none is refused, as
	// Slack does for an app that has interactivity turned off.
	Interactions, Commands, Events string
	// Handler is called directly, with the paths of the URLs, instead of sending
	// anything. Nil: the URLs are called by Client, or by http.DefaultClient.
	Handler http.Handler
	Client  *http.Client
	// Self is the base URL at which the app reaches the emulator, for response_url.
	// Empty: that of URL, which only Client understands.
	Self string
	// NoMetadata leaves a message's metadata out of what tells of a click on it:
	// Slack does not say that it sends them.
	NoMetadata bool
}

// Limits of what a callback hands out
// (https://docs.slack.dev/interactivity/handling-user-interaction).
const (
	// answerWithin is how long Slack waits, and how long a trigger opens a window.
	answerWithin  = 3 * time.Second
	responseLives = 30 * time.Minute
	responseUses  = 5
)

// SetCallbacks says where what people do is sent.
func (s *Server) SetCallbacks(c Callbacks) {
	if c.Self == "" {
		c.Self = strings.TrimSuffix(URL, "/api/")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = c
}

// Answer is what the app answered to a callback.
type Answer struct {
	Status int
	Body   []byte
}

// Sign returns the headers that prove a body to come from Slack at a time
// (https://docs.slack.dev/authentication/verifying-requests-from-slack).
func Sign(secret string, at time.Time, body []byte) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("v0:" + stamp + ":"))
	m.Write(body)
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(m.Sum(nil)))
	return h
}

// errNotSet is how a click ends that no app takes.
var errNotSet = errors.New("this app is not configured to handle interactive responses")

// send signs a body, posts it to one of the callbacks, and waits as long as Slack
// does.
func (s *Server) send(where func(Callbacks) string, contentType string, body []byte) (Answer, error) {
	s.mu.Lock()
	c := s.callbacks
	s.mu.Unlock()
	to := where(c)
	if to == "" {
		return Answer{}, errNotSet
	}
	client := c.Client
	switch {
	case c.Handler != nil:
		client = &http.Client{Transport: transport{c.Handler}}
	case client == nil:
		client = http.DefaultClient
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("the URL of the callback: %w", err)
	}
	req.Header = Sign(c.Secret, time.Now(), body)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("operation_timeout, or the app cannot be reached: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Answer{}, fmt.Errorf("operation_timeout: %w", err)
	}
	return Answer{resp.StatusCode, raw}, nil
}

// form is the content type of all callbacks but events.
const formType = "application/x-www-form-urlencoded"

// interact sends a payload.
func (s *Server) interact(payload any) (Answer, error) {
	raw, err := json.Marshal(payload, json.Deterministic(true))
	if err != nil {
		return Answer{}, err
	}
	return s.Interact(raw)
}

// Interact sends a payload of any content, signed, to the interactions URL, or over
// a connection of Socket Mode.
func (s *Server) Interact(payload []byte) (Answer, error) {
	if s.viaSocket(func(c Callbacks) string { return c.Interactions }) {
		return s.sockets.deliver(interactive, payload)
	}
	return s.send(func(c Callbacks) string { return c.Interactions }, formType, []byte("payload="+escapeForm(string(payload))))
}

// Event sends a body of any content, signed, to the events URL, or over a connection
// of Socket Mode. There it is sent again as Slack does until it is acknowledged,
// which takes up to 6 minutes.
func (s *Server) Event(body []byte) (Answer, error) {
	if s.viaSocket(func(c Callbacks) string { return c.Events }) {
		return s.sockets.deliver(eventsAPI, body)
	}
	return s.send(func(c Callbacks) string { return c.Events }, "application/json", body)
}

// VerifyURL sends the challenge by which Slack verifies the events URL
// (https://docs.slack.dev/reference/events/url_verification), and returns an error
// unless it is answered.
func (s *Server) VerifyURL() error {
	s.mu.Lock()
	challenge := s.newID('h')
	s.mu.Unlock()
	a, err := s.Event([]byte(`{"token":"t","challenge":"` + challenge + `","type":"url_verification"}`))
	switch {
	case err != nil:
		return err
	case a.Status != http.StatusOK || !echoes(a.Body, challenge):
		return fmt.Errorf("your URL didn't respond with the value of the challenge parameter: HTTP %d", a.Status)
	}
	return nil
}

// echoes reports whether an answer gives the challenge back: Slack takes it as plain
// text, as a form and as JSON.
func echoes(body []byte, challenge string) bool {
	text := strings.TrimSpace(string(body))
	var fields struct {
		Challenge string `json:"challenge"`
	}
	return text == challenge || text == "challenge="+challenge ||
		json.Unmarshal(body, &fields) == nil && fields.Challenge == challenge
}

// trigger lets one window be opened.
type trigger struct {
	user string
	at   time.Time
	used bool
}

// response is where a callback can be answered later.
type response struct {
	user, channel, ts string
	at                time.Time
	uses              int
}

// newTrigger returns the ID of a new trigger. The caller holds s.mu.
func (s *Server) newTrigger(user string, now time.Time) string {
	id := fmt.Sprintf("%d.%d.%s", now.UnixNano()/1e6, s.nextID, strings.ToLower(s.newID('t')))
	s.triggers[id] = &trigger{user: user, at: now}
	for old, t := range s.triggers {
		if now.Sub(t.at) > time.Minute {
			delete(s.triggers, old)
		}
	}
	return id
}

// Trigger returns a trigger_id as if the user had just clicked something.
func (s *Server) Trigger(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newTrigger(user, time.Now())
}

// newResponse returns a new response_url. The caller holds s.mu.
func (s *Server) newResponse(kind, user, channel, ts string, now time.Time) string {
	path := "/" + kind + "/" + TeamID + "/" + s.newID('r')
	s.responses[path] = &response{user: user, channel: channel, ts: ts, at: now}
	for old, r := range s.responses {
		if now.Sub(r.at) > 2*responseLives {
			delete(s.responses, old)
		}
	}
	return s.callbacks.Self + path
}

// pull takes a trigger for a window; the string is Slack's error code. The caller
// holds s.mu.
func (s *Server) pull(id string, now time.Time) (user, code string) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return "", "invalid_trigger_id"
	case t.used:
		return "", "exchanged_trigger_id"
	case now.Sub(t.at) > s.patience:
		return "", "expired_trigger_id"
	}
	t.used = true
	return t.user, ""
}
