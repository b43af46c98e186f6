package socket

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

const (
	defaultConnections = 2
	// maxConnections is what Slack allows an app, over all its processes.
	maxConnections = 10
	// maxAtOnce bounds the envelopes under way; further ones wait unread.
	maxAtOnce = 64
)

// Taker does what an envelope asks for.
type Taker interface {
	// Take does what the envelope of an ID and a type (interactive, slash_commands,
	// events_api) asks for, and returns when that is durable. The answer is JSON, or
	// nothing. ok false: it was not done now, and the envelope is not acknowledged.
	// It is called concurrently, with a context that does not end, and must return
	// within 3 s; the same envelope may come more than once.
	Take(ctx context.Context, id, kind string, payload []byte) (answer []byte, ok bool)
}

// Config is what a Client needs.
type Config struct {
	// AppToken is the app-level token (xapp-…, with the scope connections:write). It
	// never appears in an error or a log.
	AppToken string
	// APIURL is the Web API's base; empty: Slack's.
	APIURL string
	// HTTPClient calls the Web API; the dialer, the proxy and the TLS settings of its
	// *http.Transport are used for the connections too. Nil: the defaults of
	// net/http.
	HTTPClient *http.Client
	// Connections that are kept open, at most 10; 0 or less: 2. Slack allows an app
	// 10, over all replicas.
	Connections int
	// Logger; nil: none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
}

// Client keeps the connections of one Slack app. Make it with New.
type Client struct {
	taker   Taker
	log     *slog.Logger
	metrics *metrics
	api     *slackgo.Client
	secure  bool
	token   string
	keep    int
	dialer  *websocket.Dialer
	slots   chan struct{}
	// serving are the connections that are read, also those that were replaced.
	serving sync.WaitGroup
}

// New returns a Client that hands envelopes to taker. It connects to nothing before
// Run.
func New(cfg Config, taker Taker) *Client {
	c := &Client{
		taker: taker, log: cfg.Logger, metrics: newMetrics(cfg.Registerer), token: strings.TrimSpace(cfg.AppToken),
		keep: cfg.Connections, slots: make(chan struct{}, maxAtOnce),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.keep <= 0 {
		c.keep = defaultConnections
	}
	c.keep = min(c.keep, maxConnections)
	base := cfg.APIURL
	if base == "" {
		base = slackgo.APIURL
	}
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	c.secure = !strings.HasPrefix(base, "http://")
	var h http.Client
	if cfg.HTTPClient != nil {
		h = *cfg.HTTPClient
	}
	// A redirect would take the token elsewhere.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.api = slackgo.New("", slackgo.OptionAppLevelToken(c.token), slackgo.OptionAPIURL(base), slackgo.OptionHTTPClient(&h))
	c.dialer = dialer(h.Transport)
	return c
}

// Run keeps the connections open until ctx ends. Then no further envelope is taken,
// what is under way is finished and acknowledged, and the connections are closed; the
// error is nil. It may be called once. Another error says that it cannot begin.
func (c *Client) Run(ctx context.Context) error {
	if c.token == "" {
		return tocsin.Permanent(errors.New("slack socket mode: slack.app_token_file is empty: " + adviceToken))
	}
	var keeping sync.WaitGroup
	for range c.keep {
		keeping.Go(func() { c.hold(ctx) })
	}
	keeping.Wait()
	c.serving.Wait()
	return nil
}

// Check calls apps.connections.open as Run does, but connects to nothing: it tells
// whether the token is right.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.open(ctx)
	return err
}

// hold keeps one connection open.
func (c *Client) hold(ctx context.Context) {
	var p pace
	for ctx.Err() == nil {
		e := c.one(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := p.next(e, rand.Float64())
		c.tell(ctx, e, wait)
		c.metrics.reconnects.WithLabelValues(e.reason).Inc()
		sleep(ctx, wait)
	}
}

// ending is how a connection ended, or was told to, or why none was made.
type ending struct {
	// reason is one of few words.
	reason string
	err    error
	// lived is how long the connection was of use; 0: there was none.
	lived time.Duration
}

// one makes a connection, and returns when it needs a successor. What is left of it
// is read on beside.
func (c *Client) one(ctx context.Context) ending {
	k, err := c.connect(ctx)
	if err != nil {
		reason := reasonFailed
		if said := new(goodbyeError); errors.As(err, &said) {
			reason = said.word()
		}
		return ending{reason: reason, err: err}
	}
	begun := time.Now()
	c.log.Debug("a connection of Slack's Socket Mode is open")
	c.serving.Go(func() { k.serve(ctx) })
	<-k.leaving
	return ending{reason: k.reason, err: k.why, lived: max(time.Since(begun), 1)}
}

// tell logs how a connection ended, as loud as it matters.
func (c *Client) tell(ctx context.Context, e ending, wait time.Duration) {
	wait = wait.Round(time.Second)
	switch {
	case e.err == nil:
		c.log.DebugContext(ctx, "Slack asks for a connection of Socket Mode to be replaced", "reason", e.reason)
	case tocsin.IsPermanent(e.err):
		c.log.ErrorContext(ctx, "Slack's Socket Mode cannot be used: nothing that people do in Slack reaches Tocsin until this is put right", "error", e.err, "tried_again_in", wait)
	case e.lived > 0 && wait == 0:
		c.log.InfoContext(ctx, "a connection of Slack's Socket Mode has ended, and is opened again", "reason", e.reason, "error", e.err)
	default:
		c.log.WarnContext(ctx, "no connection of Slack's Socket Mode could be kept", "reason", e.reason, "error", e.err, "tried_again_in", wait)
	}
}

// sleep returns when d has passed or ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
