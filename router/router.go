package router

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Store is what the router needs of the store.
type Store interface {
	tocsin.Updater
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
	// AlertStates yields what is known of every alert.
	AlertStates(yield func(tocsin.AlertState) bool)
	// Alert returns an alert with its text.
	Alert(ctx context.Context, id tocsin.Key) (tocsin.AlertRecord, error)
}

// RunbookFinder finds the runbook for an alert. It is called inside
// transactions: it must be quick, pure and never fail.
type RunbookFinder interface {
	// Find returns the runbook for an alert, or nil.
	Find(a *tocsin.Alert) *tocsin.Runbook
	// Version names what a runbook that Find returned says: a hash of its content
	// and, behind "@", where it comes from, if that is known. Empty: the runbook is
	// not kept.
	Version(rb *tocsin.Runbook) string
}

// Escalator brings the escalation of an incident in line with its state, inside
// the transaction that changed it.
type Escalator interface {
	// Settle changes the incident, which the caller writes, and returns what to
	// write on its timeline. It is pure but for tx.
	Settle(tx tocsin.Tx, inc *tocsin.Incident, now time.Time) []tocsin.Event
}

// Options are the router's parts. Store is required.
type Options struct {
	Store Store
	// Runbooks may be nil: incidents then open without one.
	Runbooks RunbookFinder
	// Escalator may be nil: nobody is called then beyond the receivers' targets.
	Escalator Escalator
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// SweepEvery is how often time-driven rules are looked at; 0: 5 s.
	SweepEvery time.Duration
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer of the metrics; nil: none are exposed.
	Registerer prometheus.Registerer
}

// Router is the shell around the rules: it owns the clock and talks to the
// store. It is safe for concurrent use.
type Router struct {
	o        Options
	rules    atomic.Pointer[Rules]
	matchers matcherCache
	pins     pins
	redo     chan struct{}
	metrics  *metrics
	// silences is the set that was active when alerts were last decided again.
	silences atomic.Pointer[string]
}

// New returns a router that decides by rules.
func New(rules *Rules, o Options) (*Router, error) {
	if o.Store == nil || rules == nil {
		return nil, errors.New("router: rules and a store are needed")
	}
	o.SweepEvery = cmp.Or(o.SweepEvery, 5*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{o: o, redo: make(chan struct{}, 1), metrics: newMetrics(o.Registerer)}
	r.rules.Store(rules)
	return r, nil
}

// Rules returns the rules in force.
func (r *Router) Rules() *Rules { return r.rules.Load() }

// SetRules changes the rules for every later decision, and has the alerts that
// fire decided again by the sweep.
func (r *Router) SetRules(rules *Rules) {
	r.rules.Store(rules)
	r.again()
}

// again asks the sweep to look at every firing alert anew.
func (r *Router) again() {
	select {
	case r.redo <- struct{}{}:
	default:
	}
}

// Receive decides and commits a batch. It returns nil once everything in it is
// durable; on an error nothing of it is, or doing it again is safe. Errors that
// satisfy errors.Is(err, tocsin.ErrUnavailable) mean "not now".
func (r *Router) Receive(ctx context.Context, batch tocsin.Batch) (tocsin.Outcome, error) {
	in := input{
		batch: batch, ids: make([]tocsin.Key, len(batch.Alerts)),
		seed: tocsin.NewSeed(), now: r.o.Now(), runbooks: r.o.Runbooks, pins: &r.pins, escalator: r.o.Escalator,
	}
	for i := range batch.Alerts {
		in.ids[i] = batch.Alerts[i].ID()
	}
	rules := r.rules.Load()
	var out tocsin.Outcome
	err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		out = decide(tx, rules, r.matchers.active(tx.Silences(), in.now), in)
		return nil
	})
	if err != nil {
		r.metrics.refused.Inc()
		return tocsin.Outcome{}, err
	}
	r.metrics.count(len(batch.Alerts), out)
	return out, nil
}

// PutSilence makes a silence, or changes the one of the same ID, and returns it
// as it was kept. An empty ID asks for a new one; a zero StartsAt means now. The
// alerts that fire are decided again before PutSilence returns, or, when there
// are too many for ctx, soon after. A silence is changed, or ended, only where
// tocsin.OnlyIf allows it.
func (r *Router) PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	now, seed := r.o.Now(), tocsin.NewSeed()
	if s.StartsAt.IsZero() {
		s.StartsAt = now
	}
	if err := checkSilence(s, now); err != nil {
		return s, err
	}
	isNew := s.ID == ""
	s.UpdatedAt = now
	err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		if err := tocsin.Again(ctx, tx, tocsin.MadeSilence, now); err != nil {
			return err
		}
		for n := 0; isNew; n++ {
			s.ID = seed.ID(n)
			if !hasSilence(tx, s.ID) {
				break
			}
		}
		was := findSilence(tx, s.ID)
		switch {
		case isNew:
		case was == nil:
			return tocsin.ErrNotFound
		default:
			if err := tocsin.Allowed(ctx, was); err != nil {
				return err
			}
		}
		tx.Append(silenced(was, &s, s.CreatedBy, "made", now))
		tx.PutSilence(s)
		return tocsin.Done(ctx, tx, tocsin.MadeSilence, s.ID, now)
	})
	if err != nil {
		return s, err
	}
	r.redecideNow(ctx)
	return s, nil
}

// redecideNow decides the known alerts again after a silence was committed. When
// ctx ends first, the sweep finishes it: the silence stands either way, and
// telling the caller of a failure would have it made twice.
func (r *Router) redecideNow(ctx context.Context) {
	if err := r.redecide(ctx); err != nil {
		r.o.Logger.Info("the sweep goes on with deciding the known alerts again", "reason", err)
		r.again()
	}
}

func hasSilence(tx tocsin.Tx, id string) bool { return findSilence(tx, id) != nil }

// ExpireSilence ends a silence now. What it held back and still fires pages.
// Ending one that is over already does nothing.
func (r *Router) ExpireSilence(ctx context.Context, id, by string) error {
	now := r.o.Now()
	err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		for _, s := range tx.Silences() {
			if s.ID != id {
				continue
			}
			if err := tocsin.Allowed(ctx, &s); err != nil {
				return err
			}
			if was := s; now.Before(s.EndsAt) {
				s.EndsAt, s.UpdatedAt = now, now
				s.Comment += " (ended early by " + by + ")"
				tx.Append(silenced(&was, &s, by, "ended", now))
				tx.PutSilence(s)
			}
			return nil
		}
		return tocsin.ErrNotFound
	})
	if err != nil {
		return err
	}
	r.redecideNow(ctx)
	return nil
}

// Silences returns the silences that are kept, expired ones too.
func (r *Router) Silences(ctx context.Context) ([]tocsin.Silence, error) {
	var out []tocsin.Silence
	err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		out = tx.Silences()
		return nil
	})
	return out, err
}
