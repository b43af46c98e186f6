package eventsv2

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/tocsin-oncall/tocsin"
)

// Source is somebody who sends events.
type Source struct {
	// RoutingKey is the 32 letters and digits that its events bear.
	RoutingKey string
	// Name is the source of its alerts, and part of their identity. Two routing
	// keys may share it while one replaces the other.
	Name string
	// Labels are set on all its alerts.
	Labels tocsin.Labels
}

// Receiver takes alerts, durably.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Actions are what people do to incidents.
type Actions interface {
	// Act does a to the incident, once.
	Act(ctx context.Context, id string, a tocsin.Action) error
}

// Options are the door's parts. Receiver, Actions and Store are required.
type Options struct {
	Receiver Receiver
	Actions  Actions
	Store    tocsin.Updater
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// stripes is how many events of different dedup_keys are worked on at a time.
const stripes = 256

// Door takes events. It is safe for concurrent use.
type Door struct {
	o       Options
	sources atomic.Pointer[map[[sha256.Size]byte]Source]
	events  *prometheus.CounterVec
	// keys has the events of one dedup_key wait for each other.
	keys [stripes]sync.Mutex
	last atomic.Int64
	// refusals bounds the lines about what is refused.
	refusals rate.Sometimes
	pruned   atomic.Int64
}

// New returns a door for the sources.
func New(sources []Source, o Options) (*Door, error) {
	if o.Receiver == nil || o.Actions == nil || o.Store == nil {
		return nil, errors.New("eventsv2: a receiver, actions and a store are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{o: o, refusals: rate.Sometimes{First: 1, Interval: time.Minute}}
	d.events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_door_events_total", Help: "Events in PagerDuty's format, by action and outcome.",
	}, []string{"action", "outcome"})
	if o.Registerer != nil {
		if err := o.Registerer.Register(d.events); err != nil {
			return nil, err
		}
	}
	d.SetSources(sources)
	return d, nil
}

// SetSources changes who may send, for every later event.
func (d *Door) SetSources(sources []Source) {
	m := make(map[[sha256.Size]byte]Source, len(sources))
	for _, s := range sources {
		m[sha256.Sum256([]byte(s.RoutingKey))] = s
	}
	d.sources.Store(&m)
}

// source finds who sends. The look-up goes by hash, so that its time tells
// nothing of the keys.
func (d *Door) source(key string) (Source, bool) {
	s, ok := (*d.sources.Load())[sha256.Sum256([]byte(key))]
	return s, ok
}

// reply is the answer of the Events API.
type reply struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

// Events handles POST /v2/enqueue.
func (d *Door) Events() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, false) })
}

// Changes handles POST /v2/change/enqueue.
func (d *Door) Changes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, true) })
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request, change bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		d.answer(w, http.StatusBadRequest, reply{Status: "invalid event", Message: "Event object is invalid", Errors: []string{"the body could not be read"}})
		return
	}
	e, problems := parse(body, change)
	s, known := d.source(e.RoutingKey)
	if len(problems) == 0 && !known {
		problems = []string{"Invalid routing key"}
	}
	action := e.Action
	if change {
		action = "change"
	}
	if len(problems) > 0 {
		d.events.WithLabelValues("any", "refused").Inc()
		d.refusals.Do(func() {
			d.o.Logger.Warn("an event in PagerDuty's format was refused", "problems", clip(strings.Join(problems, "; "), maxLabel), "remote", r.RemoteAddr)
		})
		d.answer(w, http.StatusBadRequest, reply{Status: "invalid event", Message: "Event object is invalid", Errors: problems})
		return
	}
	if e.DedupKey == "" {
		e.DedupKey = newDedupKey()
	}
	if change {
		err = d.change(r.Context(), &s, e)
	} else {
		err = d.take(r.Context(), &s, e)
	}
	if err != nil {
		d.events.WithLabelValues(action, "unavailable").Inc()
		d.refusals.Do(func() {
			d.o.Logger.Warn("an event in PagerDuty's format could not be stored; its sender tries again", "error", err)
		})
		w.Header().Set("Retry-After", "2")
		d.answer(w, http.StatusServiceUnavailable, reply{Status: "unavailable", Message: "Not now. Please retry later."})
		return
	}
	d.events.WithLabelValues(action, "accepted").Inc()
	if change {
		d.answer(w, http.StatusAccepted, reply{Status: "success", Message: "Change event processed"})
		return
	}
	d.answer(w, http.StatusAccepted, reply{Status: "success", Message: "Event processed", DedupKey: e.DedupKey})
}

func (d *Door) answer(w http.ResponseWriter, status int, a reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // a sender that has gone sends again
}

func newDedupKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never returns an error since Go 1.24
	return hex.EncodeToString(b[:])
}

// take does what an event asks for. PagerDuty drops an acknowledge or a resolve
// of what is not open, and answers as if it had not: so does this.
func (d *Door) take(ctx context.Context, s *Source, e *event) error {
	id := tocsin.NewKey(s.Name, e.DedupKey).String()
	unlock := d.lock(id)
	defer unlock()
	switch e.Action {
	case trigger:
		return d.trigger(ctx, s, e, id)
	case resolve:
		return d.resolve(ctx, s, id)
	default:
		return d.acknowledge(ctx, s, id)
	}
}

func (d *Door) lock(id string) (unlock func()) {
	h := fnv.New32a()
	h.Write([]byte(id))
	m := &d.keys[h.Sum32()%stripes]
	m.Lock()
	return m.Unlock
}

// tick is the clock, but never the same twice: what is ordered for the sender
// stays ordered for the router, which goes by the times of alerts.
func (d *Door) tick() time.Time {
	for {
		last := d.last.Load()
		next := max(d.o.Now().UnixNano(), last+1)
		if d.last.CompareAndSwap(last, next) {
			return time.Unix(0, next).UTC()
		}
	}
}

// change writes a change event into the stream of events. It is about no
// incident.
func (d *Door) change(ctx context.Context, s *Source, e *event) error {
	text := e.Payload.Summary
	for _, k := range e.Links[:min(len(e.Links), maxLinks)] {
		if isWeb(k.Href) {
			text += " " + clip(k.Href, maxLabel)
		}
	}
	entry := tocsin.Event{Kind: tocsin.EventChange, At: d.tick(), Actor: s.Name, Text: text}
	return d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		tx.Append(entry)
		return nil
	})
}
