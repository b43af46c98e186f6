package pagerduty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/tocsin-oncall/tocsin"
)

// Defaults of Config.
const (
	DefaultEventsURL = "https://events.pagerduty.com"
	DefaultTimeout   = 10 * time.Second
	DefaultClient    = "Tocsin"
)

// Config says where to send and as whom.
type Config struct {
	// RoutingKey is the integration key of a PagerDuty service, 32 characters.
	// It is a secret: it is in no error.
	RoutingKey string
	// EventsURL is the base of the Events API; empty: DefaultEventsURL.
	EventsURL string
	// Client is shown in PagerDuty as the sender; empty: DefaultClient.
	Client string
	// Timeout bounds one call, its answer included; 0: DefaultTimeout. The
	// context given to Deliver may end sooner.
	Timeout time.Duration
	// Transport makes the calls; nil: one of the notifier's own. Share one among
	// notifiers to share their connections.
	Transport http.RoundTripper
	// Notes writes the incident's notes into PagerDuty's incident; nil: they are
	// left out. The target needs its events (notifiers.Target.Thread).
	Notes *REST
}

// Notifier speaks to one PagerDuty integration. It is safe for concurrent use;
// deliveries of one incident must come one after the other, so that PagerDuty
// hears of its transitions in order.
type Notifier struct {
	key     string
	sender  string
	tag     string
	timeout time.Duration
	client  *pd.Client
	notes   *REST
	image   func(*tocsin.Incident) string
}

// ShowImages has trigger events show a picture: image returns its address, which
// PagerDuty's servers and the browsers of its users load without any credentials, or
// "" for an incident that has none. An address that is not https is left out. It must
// not block. Call it before the first delivery.
func (p *Notifier) ShowImages(image func(*tocsin.Incident) string) { p.image = image }

// New returns a notifier. It makes no calls. A missing or wrong routing key is
// reported by Deliver, as a permanent error.
func New(c Config) *Notifier {
	base := c.Transport
	if base == nil {
		base = newTransport()
	}
	url := strings.TrimRight(cmp.Or(strings.TrimSpace(c.EventsURL), DefaultEventsURL), "/")
	client := pd.NewClient("", pd.WithV2EventsAPIEndpoint(url))
	client.HTTPClient = &http.Client{
		Transport: recorder{base},
		// A redirect would carry the routing key to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	key := strings.TrimSpace(c.RoutingKey)
	return &Notifier{
		key: key, tag: tag(key), notes: c.Notes,
		sender:  line(cmp.Or(c.Client, DefaultClient)),
		timeout: cmp.Or(c.Timeout, DefaultTimeout),
		client:  client,
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   5 * time.Second,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       60 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Deliver makes at most one call to the Events API and says what PagerDuty shows
// then; Receipt.More asks for the next call. An error is marked with
// tocsin.Permanent, tocsin.RetryAfter or tocsin.Unclear where that is so; any
// other is temporary. No error holds the routing key.
//
// Quiet incidents are not to be handed to it. A resolved one that PagerDuty
// cannot have heard of is answered without a call. Notes follow the call, with
// Config.Notes: a few, soon, and once; what cannot be written is said in the
// receipt and never holds up a page.
func (p *Notifier) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	s := next(&n)
	if s.action == "" {
		return p.withNotes(ctx, &n, s.receipt(&n, "")), nil
	}
	if p.key == "" {
		return tocsin.Receipt{}, tocsin.Permanent(errors.New(
			"no PagerDuty routing key: set routing_key or routing_key_file of this receiver"))
	}
	if err := ctx.Err(); err != nil {
		return tocsin.Receipt{}, fmt.Errorf("PagerDuty was not called: %w", err)
	}
	key := p.dedupKey(&n)
	if err := p.send(ctx, p.event(s.action, key, &n), n.Now); err != nil {
		return tocsin.Receipt{}, err
	}
	r := s.receipt(&n, key)
	if n.Delivery.State == tocsin.Resolved && s.state == tocsin.Resolved {
		r.Ref, r.Sent = "", time.Time{} // what may have been begun anew was not; it is as before
	}
	return p.withNotes(ctx, &n, r), nil
}

// send makes the call and requires what PagerDuty documents as success: 202 and
// the status "success". The client library takes any 2xx, and its errors hide
// their causes and the headers, so the answer is read from the recorder.
func (p *Notifier) send(ctx context.Context, ev *pd.V2Event, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var a answer
	resp, err := p.client.ManageEventWithContext(context.WithValue(ctx, answerKey{}, &a), ev)
	switch {
	case a.err != nil:
		return p.unreachable(a.err)
	case a.status == 0:
		return tocsin.Permanent(errors.New(
			"the call to PagerDuty could not be made: check pagerduty.events_url, it must be an http or https address"))
	case err == nil && a.status == http.StatusAccepted && resp.Status == "success":
		return nil
	}
	a.body = []byte(p.redact(string(a.body)))
	return a.classify(now)
}

// unreachable reports an error of the transport. Where the request cannot have
// left, the error is not marked unclear.
func (p *Notifier) unreachable(cause error) error {
	err := fmt.Errorf("PagerDuty did not answer: %w", &hidden{p.redact(cause.Error()), cause})
	if neverSent(cause) {
		return err
	}
	return tocsin.Unclear(err)
}

func (p *Notifier) redact(s string) string { return strings.ReplaceAll(s, p.key, "<secret>") }

// hidden is an error whose text was cleaned of secrets, and which is still
// known by its cause.
type hidden struct {
	text  string
	cause error
}

func (h *hidden) Error() string { return clip(cleanLine(h.text), maxErrorText) }
func (h *hidden) Unwrap() error { return h.cause }
