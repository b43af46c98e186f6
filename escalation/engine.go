package escalation

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Store is what the engine needs of the store.
type Store interface {
	tocsin.Updater
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
}

// look is the longest that the engine sleeps: a delivery that begins to lag
// while it does is seen then.
const look = 5 * time.Second

// Engine raises alarms when they are due. It is safe for concurrent use.
type Engine struct {
	store  Store
	now    func() time.Time
	log    *slog.Logger
	alarm  atomic.Pointer[Alarm]
	raised prometheus.Counter
}

// NewEngine returns an engine; now may be nil (time.Now), as may the logger and
// the registerer.
func NewEngine(store Store, alarm Alarm, now func() time.Time, logger *slog.Logger, reg prometheus.Registerer) (*Engine, error) {
	if store == nil {
		return nil, errors.New("escalation: a store is needed")
	}
	e := &Engine{store: store, now: now, log: logger, raised: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_alarms_total", Help: "Deliveries that failed, or lagged too long, and were alarmed about.",
	})}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if reg != nil {
		reg.MustRegister(e.raised)
	}
	e.SetAlarm(alarm)
	return e, nil
}

// SetAlarm changes the alarm for everything that is not alarmed about yet.
func (e *Engine) SetAlarm(a Alarm) { e.alarm.Store(&a) }

// Run raises alarms until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(e.raise(ctx))
	}
}

// raise raises what is due and returns how long to sleep.
func (e *Engine) raise(ctx context.Context) time.Duration {
	alarm, now := *e.alarm.Load(), e.now()
	sleep := look
	var due []string
	e.store.Live(func(inc *tocsin.Incident) bool {
		at, ok := alarm.Due(inc)
		switch {
		case !ok:
		case at.After(now):
			sleep = min(sleep, at.Sub(now))
		default:
			due = append(due, inc.ID)
		}
		return true
	})
	for _, id := range due {
		if err := e.raiseOne(ctx, id, alarm, now); err != nil && ctx.Err() == nil {
			e.log.Warn("an alarm could not be raised; it is tried again", "incident", id, "error", err)
			return time.Second
		}
	}
	return sleep
}

func (e *Engine) raiseOne(ctx context.Context, id string, alarm Alarm, now time.Time) error {
	var events []tocsin.Event
	err := e.store.Update(ctx, func(tx tocsin.Tx) error {
		events = nil
		inc := tx.Incident(id)
		if inc == nil {
			return nil
		}
		if events = alarm.Raise(inc, now); len(events) > 0 {
			tx.PutIncident(inc)
			tx.Append(events...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range events {
		e.raised.Inc()
		e.log.Error("alarm", "incident", id, "target", events[i].Target, "text", events[i].Text)
	}
	return nil
}
