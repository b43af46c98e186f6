package slack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DefaultAPIURL is where Slack's Web API is.
const DefaultAPIURL = "https://slack.com/api/"

const (
	defaultTimeout = 10 * time.Second
	// maxAnswer bounds an answer's body: a page of 999 messages of the largest
	// size is below it.
	maxAnswer = 64 << 20
	// idleConnections lets a storm reuse its connections; the default of
	// net/http is 2 a host.
	idleConnections = 64
)

// The methods of the Web API in use.
const (
	methodPost    = "chat.postMessage"
	methodUpdate  = "chat.update"
	methodHistory = "conversations.history"
	methodReplies = "conversations.replies"
	methodList    = "conversations.list"
)

// Config is what a Client needs.
type Config struct {
	// Token is the bot token (xoxb-…). It is sent as a header alone, and never
	// appears in an error.
	Token string
	// APIURL is the Web API's base; empty: DefaultAPIURL.
	APIURL string
	// HTTPClient sends the requests; nil: one of the Client's own. Redirects are
	// not followed either way.
	HTTPClient *http.Client
	// Timeout of one call; 0 or less: 10 s.
	Timeout time.Duration
	// Lookup makes Deliver search the channel for a message that an earlier
	// attempt may have left, before it posts one.
	Lookup bool
}

// Client calls Slack's Web API with one token. It is safe for concurrent use.
type Client struct {
	base    string
	token   string
	bearer  []string
	http    http.Client
	timeout time.Duration
	lookup  bool

	mu       sync.Mutex
	channels map[string]*Channel
}

// New returns a Client. It does not call Slack; a wrong token or URL shows with
// the first delivery.
func New(cfg Config) *Client {
	c := &Client{
		base: cfg.APIURL, token: strings.TrimSpace(cfg.Token), timeout: cfg.Timeout, lookup: cfg.Lookup,
		channels: map[string]*Channel{},
	}
	if c.base == "" {
		c.base = DefaultAPIURL
	}
	if !strings.HasSuffix(c.base, "/") {
		c.base += "/"
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	c.bearer = []string{"Bearer " + c.token}
	if cfg.HTTPClient != nil {
		c.http = *cfg.HTTPClient
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = idleConnections
		c.http.Transport = t
	}
	// A redirect would take the token elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Channel returns the channel of that name ("#incidents", "incidents") or ID.
// The same name yields the same Channel.
func (c *Client) Channel(name string) *Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.channels[name]
	if ch == nil {
		ch = newChannel(c, name)
		c.channels[name] = ch
	}
	return ch
}

// response holds what is used of the answers of all methods.
type response struct {
	OK       bool             `json:"ok"`
	Error    string           `json:"error"`
	Needed   string           `json:"needed"`
	Provided string           `json:"provided"`
	Channel  string           `json:"channel"`
	TS       string           `json:"ts"`
	Messages []historyMessage `json:"messages"`
	Channels []listedChannel  `json:"channels"`
	HasMore  bool             `json:"has_more"`
	Metadata struct {
		NextCursor string   `json:"next_cursor"`
		Messages   []string `json:"messages"`
	} `json:"response_metadata"`
}

type historyMessage struct {
	TS       string `json:"ts"`
	Metadata struct {
		EventType string         `json:"event_type"`
		Payload   jsontext.Value `json:"event_payload"`
	} `json:"metadata"`
}

type listedChannel struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// lenient reads answers as encoding/json would: what Slack sends is not ours to
// refuse.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// post calls a method with a JSON body.
func (c *Client) post(ctx context.Context, method string, body []byte) (response, error) {
	return c.call(ctx, method, "application/json; charset=utf-8", body)
}

// read calls a method with a form, which is what methods that read accept.
func (c *Client) read(ctx context.Context, method string, form url.Values) (response, error) {
	return c.call(ctx, method, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

func (c *Client) call(ctx context.Context, method, contentType string, body []byte) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var t trace
	req, err := http.NewRequestWithContext(t.context(ctx), http.MethodPost, c.base+method, bytes.NewReader(body))
	if err != nil {
		return response{}, permanentURL(method)
	}
	req.Header["Authorization"] = c.bearer
	req.Header["Content-Type"] = []string{contentType}
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, c.classifyNetwork(method, err, &t)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return response{}, c.classifyNetwork(method, err, &t)
	}
	return c.decode(method, resp, raw)
}

// decode reads an answer; one that is no success becomes an error.
func (c *Client) decode(method string, resp *http.Response, raw []byte) (response, error) {
	var r response
	parsed := json.Unmarshal(raw, &r, lenient) == nil
	if parsed && r.OK && resp.StatusCode == http.StatusOK {
		return r, nil
	}
	e := &apiError{method: method, status: resp.StatusCode, html: looksLikeHTML(raw)}
	if parsed && !r.OK && r.Error != "" {
		e.code = "an error code that cannot be shown"
		if plainCode(r.Error) {
			e.code = r.Error
		}
		e.words = c.words(&r)
	}
	return response{}, classify(e, resp.Header, time.Now())
}

// words are what Slack says besides the code, fit to be shown.
func (c *Client) words(r *response) string {
	var parts []string
	if r.Needed != "" {
		parts = append(parts, "needed: "+r.Needed)
	}
	if r.Provided != "" {
		parts = append(parts, "provided: "+r.Provided)
	}
	for n, m := range r.Metadata.Messages {
		if n == 3 {
			break
		}
		parts = append(parts, m)
	}
	return escape(c.redact(strings.Join(parts, "; ")), 300, plain)
}

// redact takes the token out of a text that came from outside.
func (c *Client) redact(s string) string {
	if c.token == "" {
		return s
	}
	return strings.ReplaceAll(s, c.token, "<token>")
}

func (c *Client) secret(s string) bool { return c.token != "" && strings.Contains(s, c.token) }

// plainCode tells a text that is formed like Slack's error codes.
func plainCode(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func looksLikeHTML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

// trace learns whether any of a request was written. A RoundTripper that is no
// http.Transport tells nothing.
type trace struct {
	mu          sync.Mutex
	asked, sent bool
}

func (t *trace) context(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { t.note(&t.asked) },
		WroteHeaders: func() { t.note(&t.sent) },
	})
}

func (t *trace) note(flag *bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*flag = true
}

// unsent reports that the request was surely not sent.
func (t *trace) unsent(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked {
		return !t.sent
	}
	return neverSent(err)
}

// errURL is all that is said of a base URL that cannot be used: it may hold
// anything.
var errURL = errors.New("the URL is not valid: check slack.api_url")
