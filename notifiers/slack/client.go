package slack

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"
)

// DefaultAPIURL is where Slack's Web API is.
const DefaultAPIURL = slackgo.APIURL

const (
	defaultTimeout = 10 * time.Second
	// idleConnections lets a storm reuse its connections; the default of
	// net/http is 2 a host.
	idleConnections = 64
)

// Config is what a Client needs.
type Config struct {
	// Token is the bot token (xoxb-…). It is sent in the body of each request,
	// as slack-go does, and never appears in an error.
	Token string
	// APIURL is the Web API's base; empty: DefaultAPIURL.
	APIURL string
	// HTTPClient sends the requests; nil: one of the Client's own. Redirects are
	// not followed either way.
	HTTPClient *http.Client
	// Timeout of one call; 0 or less: 10 s.
	Timeout time.Duration
	// Lookup makes Deliver and DeliverDigest search the channel for a message
	// that an earlier attempt may have left, before they post one.
	Lookup bool
	// Buttons puts what can be clicked on the incidents' messages. Set it where
	// Slack's callbacks reach package callback: anything else leaves people with
	// buttons that do nothing.
	Buttons bool
}

// Client calls Slack's Web API with one token. It is safe for concurrent use.
type Client struct {
	api     *slackgo.Client
	base    string
	token   string
	timeout time.Duration
	lookup  bool
	buttons bool
	// http sends what is no call of the Web API.
	http *http.Client

	// shown is told of incidents' messages; nil: nobody is.
	shown func(Shown)

	mu       sync.Mutex
	channels map[string]*Channel
	// self is the ID of the token's own user, once it is known.
	self string
}

// New returns a Client. It does not call Slack; a wrong token or URL shows with
// the first delivery.
func New(cfg Config) *Client {
	c := &Client{
		base: cfg.APIURL, token: strings.TrimSpace(cfg.Token), timeout: cfg.Timeout, lookup: cfg.Lookup, buttons: cfg.Buttons,
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
	r := &recorder{}
	if cfg.HTTPClient != nil {
		r.http = *cfg.HTTPClient
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = idleConnections
		r.http.Transport = t
	}
	// A redirect would take the token elsewhere.
	r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	// slack-go repeats nothing unless it is told to: the dispatcher does.
	c.http = &r.http
	c.api = slackgo.New(c.token, slackgo.OptionAPIURL(c.base), slackgo.OptionHTTPClient(r))
	return c
}

// Channel returns the channel of that name ("#incidents", "incidents") or ID, or
// the direct messages with the person of a user ID. The same name yields the same
// Channel.
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

// call lets slack-go make one call and classifies its outcome by what came over
// the wire: of an answer that is no success slack-go keeps too little.
func (c *Client) call(ctx context.Context, method string, fn func(context.Context) error) error {
	_, err := c.recorded(ctx, method, fn)
	return err
}

// recorded is call for who reads of the answer what slack-go does not give.
func (c *Client) recorded(ctx context.Context, method string, fn func(context.Context) error) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	rec := &record{}
	err := fn(rec.watch(ctx))
	switch {
	case !rec.begun:
		return rec, permanentURL(method)
	case rec.err != nil:
		return rec, c.classifyNetwork(method, rec.err, rec)
	case err == nil && rec.success():
		return rec, nil
	default:
		return rec, classify(c.apiError(method, rec), rec.header, time.Now())
	}
}

// apiError is what an answer says that is no success.
func (c *Client) apiError(method string, rec *record) *apiError {
	e := &apiError{method: method, status: rec.status, html: rec.html}
	if a := &rec.answer; rec.parsed && !a.OK && a.Error != "" {
		e.code = "an error code that cannot be shown"
		if plainCode(a.Error) {
			e.code = a.Error
		}
		e.words = c.words(a)
	}
	return e
}

// words are what Slack says besides the code, fit to be shown.
func (c *Client) words(a *answer) string {
	var parts []string
	if a.Needed != "" {
		parts = append(parts, "needed: "+a.Needed)
	}
	if a.Provided != "" {
		parts = append(parts, "provided: "+a.Provided)
	}
	for n, m := range a.Metadata.Messages {
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

// errURL is all that is said of a base URL that cannot be used: it may hold
// anything.
var errURL = errors.New("the URL is not valid: check slack.api_url")
