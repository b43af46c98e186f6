package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// DefaultTimeout bounds a call where Config.Timeout is 0.
const DefaultTimeout = 10 * time.Second

// Config says where to send and how. Everything in it that may grant access
// (the URL's path and query, the token, the password, the headers' values) is a
// secret: it is in no error.
type Config struct {
	// URL to post to, http or https. A user and password in it are used as basic
	// auth.
	URL string
	// BearerToken is sent as "Authorization: Bearer …"; empty: none.
	BearerToken string
	// Username and Password are sent as basic auth unless both are empty.
	Username, Password string
	// Headers are set on the request, over the others.
	Headers map[string]string
	// Receiver is the receiver's name in the message; empty: the first that the
	// incident names.
	Receiver string
	// ExternalURL is the address of Tocsin's own pages.
	ExternalURL string
	// MaxAlerts in one message; 0: all that are at hand.
	MaxAlerts int
	// Timeout bounds one call, its answer included; 0: DefaultTimeout.
	Timeout time.Duration
	// Transport makes the calls; nil: one of the notifier's own.
	Transport http.RoundTripper
}

// Notifier posts to one endpoint. It is safe for concurrent use.
type Notifier struct {
	target      *url.URL
	problem     error
	host        string
	headers     http.Header
	receiver    string
	externalURL string
	maxAlerts   int
	timeout     time.Duration
	client      *http.Client
	secrets     *strings.Replacer
}

// New returns a notifier. It makes no calls. A wrong URL is reported by Deliver,
// as a permanent error.
func New(c Config) *Notifier {
	w := &Notifier{
		headers: make(http.Header), receiver: c.Receiver, externalURL: c.ExternalURL, maxAlerts: c.MaxAlerts,
		timeout: cmp.Or(c.Timeout, DefaultTimeout),
		client:  &http.Client{Transport: c.Transport, CheckRedirect: checkRedirect},
		secrets: c.secrets(),
	}
	if c.Transport == nil {
		w.client.Transport = newTransport()
	}
	target, err := url.Parse(strings.TrimSpace(c.URL))
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		w.problem = tocsin.Permanent(errors.New(
			"the webhook's url is not an http or https address: set url or url_file of this receiver"))
		return w
	}
	w.target, w.host = target, target.Host
	w.headers.Set("Content-Type", "application/json")
	w.headers.Set("User-Agent", "Tocsin")
	if a := c.authorization(); a != "" {
		w.headers.Set("Authorization", a)
	}
	for name, value := range c.Headers {
		w.headers.Set(name, strings.TrimSpace(value))
	}
	return w
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     60 * time.Second,
	}
}

// checkRedirect follows what keeps method, scheme and host (307 and 308 do).
// Anything else would take the message and its secrets elsewhere, or turn the
// POST into a GET.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// Deliver makes at most one call and says what the endpoint has been told then.
// Any 2xx is success, as it is for Alertmanager. An error is marked with
// tocsin.Permanent, tocsin.RetryAfter or tocsin.Unclear where that is so; any
// other is temporary.
//
// A resolved incident that the endpoint cannot have heard of is answered without
// a call, and so is a delivery that was stopped. Of a notice the endpoint hears
// at least once that it fires: Receipt.More then asks for the end of one that is
// over already.
func (w *Notifier) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	i := n.Incident
	done := tocsin.Receipt{Revision: i.Revision, State: i.State, Severity: i.Severity}
	switch {
	case n.Delivery.Stopped && n.Delivery.Ref == "" && i.Open():
		return stopped(&n, done), nil
	case i.State != tocsin.Resolved || n.Delivery.State != "":
	case i.Kind == tocsin.KindNotice:
		open := *i
		open.State, open.ResolvedAt, open.ResolvedBy = tocsin.Triggered, time.Time{}, ""
		n.Incident, done.State, done.More = &open, tocsin.Triggered, true
	case !n.MayBePosted:
		done.Text = "resolved before the webhook could be told: not sent"
		return done, nil
	}
	if w.problem != nil {
		return tocsin.Receipt{}, w.problem
	}
	if err := ctx.Err(); err != nil {
		return tocsin.Receipt{}, fmt.Errorf("the webhook was not called: %w", err)
	}
	body, err := w.encode(&n)
	if err != nil {
		return tocsin.Receipt{}, tocsin.Permanent(fmt.Errorf("the webhook's message cannot be written: %w", err))
	}
	if err := w.post(ctx, body, n.Now); err != nil {
		return tocsin.Receipt{}, err
	}
	done.Ref = i.ID
	done.Text = "sent to the webhook at " + w.host
	return done, nil
}

// DeliverStopped is Deliver, which sends nothing of a stopped delivery while the
// incident is open.
func (w *Notifier) DeliverStopped(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	return w.Deliver(ctx, n)
}

// stopped tells nothing. An endpoint that an earlier attempt may have told hears
// of the end.
func stopped(n *tocsin.Notice, r tocsin.Receipt) tocsin.Receipt {
	r.Text = "not sent to the webhook: somebody has answered"
	if n.MayBePosted {
		r.Ref, r.State = n.Incident.ID, tocsin.Triggered
	}
	return r
}

func (w *Notifier) post(ctx context.Context, body []byte, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.target.String(), bytes.NewReader(body))
	if err != nil {
		return tocsin.Permanent(errors.New("the webhook's request cannot be made: check url and headers of this receiver"))
	}
	req.Header = maps.Clone(w.headers)
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return w.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		// Reading a short answer to its end lets the connection be used again.
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return nil
	}
	// A body that breaks off is told as far as it came.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return classify(resp.StatusCode, resp.Header, w.secrets.Replace(string(text)), now)
}

// unreachable reports an error of the transport. Its url.Error bears the URL,
// which may be a secret: only what it wraps is told.
func (w *Notifier) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	told := fmt.Errorf("the webhook at %s did not answer: %w", w.host, &hidden{w.secrets.Replace(err.Error()), err})
	if neverSent(err) {
		return told
	}
	return tocsin.Unclear(told)
}
