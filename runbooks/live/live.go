// Package live asks Prometheus for the values behind an alert: those that are
// shown beside the steps of a runbook, and those that decide whether a remedy is
// run and whether it has helped.
//
// It speaks the HTTP API itself
// (https://prometheus.io/docs/prometheus/latest/querying/api/): the client of
// client_golang reads answers of any size, follows redirects, and needs modules
// that nothing else here needs.
package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds on what is asked and on what is kept of an answer.
const (
	// DefaultTimeout is how long one question may take.
	DefaultTimeout = 2 * time.Second
	// MaxExpr is the longest expression, in bytes.
	MaxExpr = 8 << 10
	// MaxBody is the largest answer that is read, in bytes, unpacked.
	MaxBody = 4 << 20
	// MaxSeries is how many series of an answer are kept.
	MaxSeries = 100
	// MaxPoints is how many points of a series are kept, and may be asked for.
	MaxPoints = 1000
)

const (
	// inFlight is how many questions are asked at once for people who look: a page
	// that many have open does not become a load on Prometheus.
	inFlight = 8
	// maxHeader is the largest header of an answer, in bytes.
	maxHeader = 64 << 10
	// steps is how many points Step aims at.
	steps = 240
)

// Config says whom to ask.
type Config struct {
	// URL is the base URL of Prometheus, or of what answers like it:
	// "http://prometheus:9090". A path is kept; /api/v1/… is put behind it.
	URL string
	// BearerToken is sent with each question; empty: none. It is in no error.
	BearerToken string
	// Timeout of one question; 0: DefaultTimeout. The context's own deadline counts
	// too.
	Timeout time.Duration
	// HTTPClient is copied: redirects are never followed, whatever it says. Nil: one
	// of its own.
	HTTPClient *http.Client
	// Registerer may be nil.
	Registerer prometheus.Registerer
}

// Client asks one Prometheus. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	host    string
	token   string
	secrets *strings.Replacer
	timeout time.Duration
	http    *http.Client
	slots   chan struct{}
	metrics *metrics
}

// New returns a Client. It asks nothing yet. An error satisfies
// errors.Is(err, tocsin.ErrInvalid).
func New(c Config) (*Client, error) {
	const field = "prometheus.url"
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, tocsin.Invalid(field, "it is not a URL; write it as http://prometheus:9090")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, tocsin.Invalid(field, "it has to begin with http:// or https:// and a host; write it as http://prometheus:9090")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, tocsin.Invalid(field, "it has a query or a fragment; leave them out")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	client := &http.Client{Transport: transport()}
	if c.HTTPClient != nil {
		own := *c.HTTPClient
		client = &own
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: u, host: u.Host, token: c.BearerToken, secrets: hide(c.BearerToken, u),
		timeout: cmp.Or(max(c.Timeout, 0), DefaultTimeout), http: client,
		slots: make(chan struct{}, inFlight), metrics: newMetrics(c.Registerer),
	}, nil
}

func transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost: inFlight, IdleConnTimeout: time.Minute,
	}
}

// hide replaces what must not be read in an error.
func hide(token string, u *url.URL) *strings.Replacer {
	var pairs []string
	password, _ := u.User.Password()
	for _, secret := range []string{token, password} {
		if secret != "" {
			pairs = append(pairs, secret, "<secret>")
		}
	}
	return strings.NewReplacer(pairs...)
}

// Query asks what an expression is at a time; the zero time is Prometheus' own
// now. An expression that Prometheus does not understand is an *Error that
// satisfies errors.Is(err, tocsin.ErrInvalid); every other failure satisfies
// errors.Is(err, tocsin.ErrUnavailable), but for that of ctx, which comes back as
// it is.
func (c *Client) Query(ctx context.Context, expr string, at time.Time) (Result, error) {
	form := url.Values{"query": {expr}, "limit": {strconv.Itoa(MaxSeries + 1)}}
	if !at.IsZero() {
		form.Set("time", seconds(at))
	}
	return c.look(ctx, "query", "query", form)
}

// Range asks what an expression was from a time until another, every step. More
// than MaxPoints steps are refused with tocsin.ErrInvalid; for the rest, errors
// are those of Query.
func (c *Client) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (Result, error) {
	switch window := to.Sub(from); {
	case window < 0:
		return Result{}, tocsin.Invalid("range", "it ends before it begins")
	case step < time.Millisecond:
		return Result{}, tocsin.Invalid("step", "%s is too short: a millisecond is the shortest", step)
	case window/step >= MaxPoints:
		return Result{}, tocsin.Invalid("step", "%s every %s is more than %d points: ask for fewer", window, step, MaxPoints)
	}
	return c.look(ctx, "range", "query_range", url.Values{
		"query": {expr}, "limit": {strconv.Itoa(MaxSeries + 1)},
		"start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// Step is the step with which a window of time makes a graph: whole seconds, and
// about 240 points.
func Step(window time.Duration) time.Duration {
	return max((window/steps + time.Second - 1).Truncate(time.Second), time.Second)
}

// Yes reports whether an expression gives anything now, as an alert rule's would
// fire: also a value of 0, or a scalar. An answer that came with a warning may lack
// something and is an error: what is decided by it must not be decided by half an
// answer. Yes and Value do not wait for the questions of people who look.
func (c *Client) Yes(ctx context.Context, expr string) (bool, error) {
	r, err := c.probe(ctx, expr)
	return r.Total > 0, err
}

// Value is the one value of an expression now. None, several, or one that is no
// finite number are an error, and so is an answer with a warning.
func (c *Client) Value(ctx context.Context, expr string) (float64, error) {
	r, err := c.probe(ctx, expr)
	switch {
	case err != nil:
		return 0, err
	case r.Total != 1 || r.Histograms > 0 || len(r.Series[0].Points) != 1:
		return 0, tocsin.Invalid("expression", "it has to give one number and gives %s", r.count())
	}
	v := r.Series[0].Points[0].Value
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, tocsin.Invalid("expression", "it has to give a finite number and gives %v", v)
	}
	return v, nil
}

func (c *Client) probe(ctx context.Context, expr string) (Result, error) {
	r, err := c.ask(ctx, "probe", "query", url.Values{"query": {expr}})
	switch {
	case err != nil:
		return Result{}, err
	case r.Type == TypeString:
		return Result{}, tocsin.Invalid("expression", "it gives a text, which is neither yes nor no: it has to give values")
	case len(r.Warnings) > 0:
		return Result{}, tocsin.Unavailable(fmt.Errorf("%s warns that its answer may not be whole: %s", c.host, r.Warnings[0]))
	}
	return r, nil
}

// look asks for a person: within the number of slots.
func (c *Client) look(ctx context.Context, kind, path string, form url.Values) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return c.ask(limited, kind, path, form)
	case <-limited.Done():
		c.metrics.failed(kind)
		return Result{}, c.late(ctx, fmt.Errorf("there were %d questions to %s before this one", inFlight, c.host))
	}
}

// ask asks, and counts.
func (c *Client) ask(ctx context.Context, kind, path string, form url.Values) (Result, error) {
	if err := checkExpr(form.Get("query")); err != nil {
		return Result{}, err
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := time.Now()
	r, err := c.call(limited, path, form)
	c.metrics.asked(kind, time.Since(start), err)
	if said := (*Error)(nil); err != nil && limited.Err() != nil && !errors.As(err, &said) {
		err = c.late(ctx, fmt.Errorf("%s did not answer in time", c.host))
	}
	return r, err
}

// late is the error of a question that ran out of time: ctx's own where the caller
// has gone.
func (c *Client) late(ctx context.Context, what error) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return tocsin.Unavailable(fmt.Errorf("%w (it has %s at most): %w", what, c.timeout, context.DeadlineExceeded))
}

func checkExpr(expr string) error {
	switch {
	case strings.TrimSpace(expr) == "":
		return tocsin.Invalid("expression", "it is empty")
	case len(expr) > MaxExpr:
		return tocsin.Invalid("expression", "it has %d bytes, more than %d", len(expr), MaxExpr)
	case !utf8.ValidString(expr):
		return tocsin.Invalid("expression", "it is not valid UTF-8")
	}
	return nil
}

// seconds writes a time as the API takes it, to the millisecond.
func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
