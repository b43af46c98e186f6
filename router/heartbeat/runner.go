package heartbeat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Kind of the documents that the beats are kept in; their ID is the heartbeat's
// name.
const Kind = "heartbeat"

const (
	// repeat is how often the alert of a missed heartbeat is told again, so that it
	// does not go stale.
	repeat = time.Minute
	// again is when something that could not be stored is tried again.
	again = time.Second
	// patience with one commit.
	patience = 5 * time.Second
)

// Receiver takes alerts, durably.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Store is where beats are kept.
type Store interface {
	tocsin.Updater
	// Documents returns what is committed of a kind.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
}

// Options are the runner's parts. Receiver and Store are required.
type Options struct {
	// Receiver hears of missed heartbeats, and of the alerts that are no beats.
	Receiver Receiver
	Store    Store
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Runner listens for heartbeats and misses them. It is safe for concurrent use.
type Runner struct {
	o       Options
	started time.Time
	poke    chan struct{}
	beats   *prometheus.CounterVec
	missed  *prometheus.GaugeVec

	// listeners are those that alerts can be beats of.
	listeners atomic.Pointer[[]Heartbeat]

	mu    sync.RWMutex
	known map[string]*heart
}

// heart is one heartbeat. Its lock is held while something about it is stored,
// so that a beat and its absence do not overtake each other.
type heart struct {
	mu sync.Mutex
	// h is nil for one that is no longer in the configuration.
	h *Heartbeat
	state
	// written is the Last that the store has; told is when the alert was last told.
	written, told time.Time
	stored        bool
}

// New returns a runner that knows what was heard before. Nothing is missed until
// Run.
func New(list []Heartbeat, o Options) (*Runner, error) {
	if o.Receiver == nil || o.Store == nil {
		return nil, errors.New("heartbeat: a receiver and a store are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Runner{o: o, started: o.Now(), poke: make(chan struct{}, 1), known: map[string]*heart{}}
	r.beats = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_heartbeats_total", Help: "Signs of life, by heartbeat."}, []string{"name"})
	r.missed = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tocsin_heartbeat_missed", Help: "1 while the heartbeat is missed."}, []string{"name"})
	if o.Registerer != nil {
		if err := errors.Join(o.Registerer.Register(r.beats), o.Registerer.Register(r.missed)); err != nil {
			return nil, err
		}
	}
	docs, _, err := o.Store.Documents(context.Background(), Kind)
	if err != nil {
		return nil, fmt.Errorf("reading what was heard of the heartbeats: %w", err)
	}
	for _, d := range docs {
		x := &heart{stored: true}
		if err := json.Unmarshal(d.Value, &x.state); err != nil {
			o.Logger.Warn("what was heard of a heartbeat cannot be read; it is waited for anew", "heartbeat", d.ID, "error", err)
			continue
		}
		x.written = x.Last
		r.known[d.ID] = x
	}
	r.SetHeartbeats(list)
	return r, nil
}

// SetHeartbeats changes what is expected. Of those that are not in the list any
// more the alert is resolved.
func (r *Runner) SetHeartbeats(list []Heartbeat) {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	named := make(map[string]bool, len(list))
	var listeners []Heartbeat
	for i := range list {
		h := list[i]
		named[h.Name] = true
		if len(h.Matchers) > 0 {
			listeners = append(listeners, h)
		}
		x := r.known[h.Name]
		if x == nil {
			x = &heart{}
			r.known[h.Name] = x
		}
		x.mu.Lock()
		if x.h == nil && !x.stored {
			x.state = state{Last: now}
		}
		x.h = &h
		x.mu.Unlock()
		r.beats.WithLabelValues(h.Name)
	}
	for name, x := range r.known {
		if !named[name] {
			x.mu.Lock()
			x.h = nil
			x.mu.Unlock()
			r.beats.DeleteLabelValues(name)
			r.missed.DeleteLabelValues(name)
		}
	}
	r.listeners.Store(&listeners)
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Beat takes a sign of life. It returns tocsin.ErrNotFound for a name that is not
// in the configuration, and otherwise nil once what it changes is durable; that
// the heartbeat was heard of is saved once a minute.
func (r *Runner) Beat(ctx context.Context, name string) error {
	r.mu.RLock()
	x := r.known[name]
	r.mu.RUnlock()
	if x == nil {
		return fmt.Errorf("heartbeat %q: %w", name, tocsin.ErrNotFound)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.h == nil {
		return fmt.Errorf("heartbeat %q: %w", name, tocsin.ErrNotFound)
	}
	now := r.o.Now()
	x.Last, x.Heard = now, true
	r.beats.WithLabelValues(name).Inc()
	switch {
	case !x.MissedAt.IsZero() && !x.Owed:
		x.Owed = true
		if err := r.save(ctx, name, x); err != nil {
			x.Owed = false // what the store has still says that it is missed
			return err
		}
		return r.settle(ctx, name, x, now)
	case x.Owed:
		return r.settle(ctx, name, x, now)
	case !x.stored || now.Sub(x.written) >= saved(x.h):
		return r.save(ctx, name, x)
	default:
		return nil
	}
}

// settle tells of the end of an alert.
func (r *Runner) settle(ctx context.Context, name string, x *heart, now time.Time) error {
	if _, err := r.o.Receiver.Receive(ctx, tocsin.Batch{Source: Source, Alerts: []tocsin.Alert{resolved(&x.state, now)}}); err != nil {
		return err
	}
	x.MissedAt, x.Labels, x.Owed = time.Time{}, nil, false
	r.missed.WithLabelValues(name).Set(0)
	return r.save(ctx, name, x)
}

func (r *Runner) save(ctx context.Context, name string, x *heart) error {
	value, err := json.Marshal(&x.state)
	if err != nil {
		return err
	}
	err = r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		tx.PutDocument(Kind, name, value)
		return nil
	})
	if err == nil {
		x.written, x.stored = x.Last, true
	}
	return err
}

// Receive passes alerts on, but for those that are beats. What cannot be noted of
// a beat is no reason to refuse the other alerts: the next one is noted.
func (r *Runner) Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	names, rest := r.sort(b.Alerts)
	for name := range names {
		if err := r.Beat(ctx, name); err != nil {
			r.o.Logger.Warn("a heartbeat could not be noted", "heartbeat", name, "error", err)
		}
	}
	if len(rest) == 0 && len(b.Alerts) > 0 {
		return tocsin.Outcome{}, nil
	}
	b.Alerts = rest
	return r.o.Receiver.Receive(ctx, b)
}

// Hears reports whether an alert is a beat.
func (r *Runner) Hears(a *tocsin.Alert) bool {
	listeners := *r.listeners.Load()
	for n := range listeners {
		if listeners[n].matches(a) {
			return true
		}
	}
	return false
}

// sort finds the alerts that are beats. One that is resolved is none, and is no
// alert either.
func (r *Runner) sort(alerts []tocsin.Alert) (names map[string]bool, rest []tocsin.Alert) {
	listeners := *r.listeners.Load()
	if len(listeners) == 0 {
		return nil, alerts
	}
	names = map[string]bool{}
	for i := range alerts {
		beat := false
		for n := range listeners {
			if listeners[n].matches(&alerts[i]) {
				beat = true
				if alerts[i].Firing {
					names[listeners[n].Name] = true
				}
			}
		}
		if !beat {
			rest = append(rest, alerts[i])
		}
	}
	return names, rest
}

// Run misses heartbeats until ctx ends. It returns nil.
func (r *Runner) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(r.look(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-r.poke:
			timer.Stop()
		}
	}
}

// look does what time asks for, and returns how long there is nothing to do.
func (r *Runner) look(ctx context.Context) time.Duration {
	r.mu.RLock()
	all := maps.Clone(r.known)
	r.mu.RUnlock()
	wait := repeat
	for name, x := range all {
		at, err := r.turn(ctx, name, x)
		if err != nil && ctx.Err() == nil {
			r.o.Logger.Error("what became of a heartbeat could not be stored; it is tried again", "heartbeat", name, "error", err)
			at = r.o.Now().Add(again)
		}
		if !at.IsZero() {
			wait = min(wait, max(at.Sub(r.o.Now()), time.Millisecond))
		}
	}
	return wait
}

// turn does what is due for one heartbeat, and returns when to come again.
func (r *Runner) turn(ctx context.Context, name string, x *heart) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	x.mu.Lock()
	defer x.mu.Unlock()
	now := r.o.Now()
	if x.h == nil {
		return time.Time{}, r.drop(ctx, name, x, now)
	}
	if x.Owed {
		if err := r.settle(ctx, name, x, now); err != nil {
			return time.Time{}, err
		}
	}
	if x.MissedAt.IsZero() {
		if at := deadline(x.h, x.Last, r.started); now.Before(at) {
			return at, r.first(ctx, name, x)
		}
		// Kept first: a crash before the alert is committed has it told after the start.
		x.MissedAt, x.Labels, x.told = now, x.h.labels(), time.Time{}
		if err := r.save(ctx, name, x); err != nil {
			x.MissedAt, x.Labels = time.Time{}, nil
			return time.Time{}, err
		}
		r.o.Logger.Warn("a heartbeat is missed", "heartbeat", name, "last", x.Last)
	}
	r.missed.WithLabelValues(name).Set(1)
	if next := x.told.Add(repeat); now.Before(next) {
		return next, nil
	}
	return now.Add(repeat), r.tell(ctx, name, x, now)
}

// first saves that a heartbeat is waited for, so that one that never comes is
// missed even where Tocsin restarts often.
func (r *Runner) first(ctx context.Context, name string, x *heart) error {
	if x.stored {
		return nil
	}
	return r.save(ctx, name, x)
}

// tell says that the heartbeat is missed, and resolves the alert that it had
// under other labels, before a change of the configuration.
func (r *Runner) tell(ctx context.Context, name string, x *heart, now time.Time) error {
	b := tocsin.Batch{Source: Source}
	old, labels := x.Labels, x.h.labels()
	changed := !maps.Equal(old, labels)
	if changed {
		b.Alerts = append(b.Alerts, resolved(&x.state, now))
		x.Labels = labels
	}
	b.Alerts = append(b.Alerts, alert(x.h, &x.state))
	if _, err := r.o.Receiver.Receive(ctx, b); err != nil {
		x.Labels = old
		return err
	}
	x.told = now
	if changed {
		return r.save(ctx, name, x)
	}
	return nil
}

// drop resolves and forgets what is no longer expected.
func (r *Runner) drop(ctx context.Context, name string, x *heart, now time.Time) error {
	if !x.MissedAt.IsZero() {
		if _, err := r.o.Receiver.Receive(ctx, tocsin.Batch{Source: Source, Alerts: []tocsin.Alert{resolved(&x.state, now)}}); err != nil {
			return err
		}
	}
	if x.stored {
		if err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			tx.DeleteDocument(Kind, name)
			return nil
		}); err != nil {
			return err
		}
	}
	x.state, x.stored = state{Last: now}, false
	return nil
}
