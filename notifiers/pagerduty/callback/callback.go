package callback

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// MaxBody is the largest webhook that PagerDuty sends
	// (https://developer.pagerduty.com/docs/webhooks-behavior), and the largest
	// that is read.
	MaxBody = 256 << 10
	// DefaultTimeout leaves a second of the five that PagerDuty waits.
	DefaultTimeout = 4 * time.Second
	// oldest is how long ago the event of a genuine webhook can be: PagerDuty
	// tries for up to 48 hours.
	oldest = 49 * time.Hour
	// sayEvery is how often a kind of refusal is logged.
	sayEvery = time.Minute
)

// Config says whom to believe.
type Config struct {
	// Secrets of the webhook subscriptions, two while one is rotated. None: every
	// webhook is answered with 503.
	Secrets []string
	// Priorities are the severities that PagerDuty's priorities stand for, by the
	// priority's name. Others are noted only.
	Priorities map[string]tocsin.Severity
}

// Actions do things to incidents.
type Actions interface {
	// Act does a to the incident, once for each a.ID.
	Act(ctx context.Context, id string, a tocsin.Action) error
}

// Incidents are looked at.
type Incidents interface {
	// Get returns an incident, to read only, or tocsin.ErrNotFound.
	Get(ctx context.Context, id string) (*tocsin.Incident, error)
}

// Deps are what a Handler stands on. Actions and Incidents are required.
type Deps struct {
	Actions   Actions
	Incidents Incidents
	// Live yields the live incidents, to read only; nil: notes and requests for
	// responders, which bear PagerDuty's own ID alone, are found with Key only.
	Live func(yield func(*tocsin.Incident) bool)
	// Who is the name here of a user of PagerDuty's, by the ID there. Nil: nobody
	// is known.
	Who func(id string) (name string, ok bool)
	// Key returns the dedup key of an incident of PagerDuty's, by the ID there;
	// nil: it is not asked for.
	Key func(ctx context.Context, id string) (string, error)
	// Timeout of one webhook; 0: DefaultTimeout.
	Timeout time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger and Registerer may be nil.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Handler takes V3 webhooks. It is safe for concurrent use.
type Handler struct {
	deps   Deps
	config atomic.Pointer[Config]
	seen   memory
	hooks  *prometheus.CounterVec

	mu   sync.Mutex
	said map[string]time.Time
}

// The outcomes of webhooks, as the metric has them.
const (
	outcomeDone        = "done"
	outcomeNothing     = "nothing"     // understood, and nothing was to be done
	outcomeDuplicate   = "duplicate"   // it was here before
	outcomeStranger    = "stranger"    // not about an incident of ours
	outcomeStale       = "stale"       // older than PagerDuty can be
	outcomeRefused     = "refused"     // the incident does not take it
	outcomeMalformed   = "malformed"   // signed, and no event
	outcomeForged      = "forged"      // no signature of ours
	outcomeOversized   = "oversized"   // larger than PagerDuty sends
	outcomeUnavailable = "unavailable" // not now
)

// New returns a handler. It serves one path, whatever it is.
func New(c Config, d Deps) (*Handler, error) {
	if d.Actions == nil || d.Incidents == nil {
		return nil, errors.New("pagerduty callback: actions and incidents are needed")
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	d.Timeout = cmp.Or(d.Timeout, DefaultTimeout)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{deps: d, said: map[string]time.Time{}, hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_pagerduty_webhooks_total", Help: "Webhooks from PagerDuty, by what became of them.",
	}, []string{"outcome"})}
	for _, o := range []string{
		outcomeDone, outcomeNothing, outcomeDuplicate, outcomeStranger, outcomeStale, outcomeRefused,
		outcomeMalformed, outcomeForged, outcomeOversized, outcomeUnavailable,
	} {
		h.hooks.WithLabelValues(o)
	}
	if d.Registerer != nil {
		if err := d.Registerer.Register(h.hooks); err != nil {
			return nil, err
		}
	}
	h.Set(c)
	return h, nil
}

// Set changes whom to believe.
func (h *Handler) Set(c Config) { h.config.Store(&c) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	outcome, err := h.take(r)
	h.hooks.WithLabelValues(outcome).Inc()
	status := http.StatusOK
	switch outcome {
	case outcomeForged:
		status = http.StatusUnauthorized
	case outcomeOversized:
		status = http.StatusRequestEntityTooLarge
		w.Header().Set("Connection", "close")
	case outcomeUnavailable:
		status = http.StatusServiceUnavailable
	}
	h.say(outcome, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"status":"`+outcome+`"}`+"\n") // whoever has gone sends again
}

// say logs what somebody should look at, once a minute of each kind.
func (h *Handler) say(outcome string, err error) {
	level := slog.LevelWarn
	switch outcome {
	case outcomeForged:
		level = slog.LevelError
	case outcomeRefused, outcomeMalformed, outcomeOversized, outcomeUnavailable, outcomeStale:
	default:
		return
	}
	now := h.deps.Now()
	h.mu.Lock()
	last, ok := h.said[outcome]
	quiet := ok && now.Sub(last) < sayEvery && !now.Before(last)
	if !quiet {
		h.said[outcome] = now
	}
	h.mu.Unlock()
	if !quiet {
		h.deps.Logger.Log(context.Background(), level, "a webhook from PagerDuty was not acted upon", "outcome", outcome, "error", err)
	}
}

// take does what a webhook asks for, and says what became of it.
func (h *Handler) take(r *http.Request) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), h.deps.Timeout)
	defer cancel()
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		return outcomeUnavailable, err
	case len(body) > MaxBody:
		return outcomeOversized, errors.New("larger than PagerDuty's webhooks are")
	}
	c := h.config.Load()
	if len(c.Secrets) == 0 {
		return outcomeUnavailable, errors.New("no secret to check the signature with: set pagerduty.webhook_secrets_file")
	}
	if !verified(c.Secrets, r.Header.Get("X-PagerDuty-Signature"), body) {
		return outcomeForged, errors.New("the signature is not by a secret of pagerduty.webhook_secrets; after three of PagerDuty's own, it switches the subscription off for a day")
	}
	now := h.deps.Now()
	ev, ok := decode(body, now)
	if !ok {
		return outcomeMalformed, errors.New("it bears no event")
	}
	name := r.Header.Get("X-Webhook-Id") + " " + ev.ID
	if ev.ID == "" {
		ev.ID = r.Header.Get("X-Webhook-Id")
	}
	switch {
	case now.Sub(ev.at) > oldest:
		return outcomeStale, errors.New("it is older than PagerDuty tries for")
	case ev.ID != "" && h.seen.has(name):
		return outcomeDuplicate, nil
	}
	outcome, err := h.act(ctx, ev)
	if outcome != outcomeUnavailable {
		h.seen.add(name)
	}
	return outcome, err
}

// act does what an event asks for. What it asks for in several steps is done
// from the first again where one of them cannot be done now: each has an ID.
func (h *Handler) act(ctx context.Context, ev *event) (string, error) {
	if ev.remote() == "" {
		return outcomeNothing, nil // a ping, a service
	}
	p, err := h.find(ctx, ev)
	switch {
	case errors.Is(err, errStranger):
		return outcomeStranger, nil
	case err != nil:
		return outcomeUnavailable, err
	}
	list := h.actions(ev, p)
	var refused error
	for _, a := range list {
		err := h.deps.Actions.Act(ctx, p.incident.ID, a)
		switch {
		case err == nil:
		case errors.Is(err, tocsin.ErrConflict), errors.Is(err, tocsin.ErrInvalid), errors.Is(err, tocsin.ErrNotFound):
			refused = errors.Join(refused, err)
			if a.Kind == tocsin.ActAcknowledge && errors.Is(err, tocsin.ErrConflict) {
				a.Kind, a.Text = tocsin.ActNote, "acknowledged in PagerDuty by "+a.By+", which is not enough here: "+err.Error()
				if err := h.deps.Actions.Act(ctx, p.incident.ID, a); errors.Is(err, tocsin.ErrUnavailable) {
					return outcomeUnavailable, err
				}
			}
		default:
			return outcomeUnavailable, err
		}
	}
	switch {
	case refused != nil:
		return outcomeRefused, refused
	case len(list) == 0 || list[0].Kind == tocsin.ActSeen:
		return outcomeNothing, nil
	}
	return outcomeDone, nil
}
