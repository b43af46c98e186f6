package escalation

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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
	// Deadlines returns up to limit live incidents whose deadline has come, the
	// soonest first, and the soonest deadline behind those.
	Deadlines(now time.Time, limit int) (due []string, next time.Time)
	// Documents returns what is committed of a kind.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
}

// Lister lists incidents.
type Lister interface {
	// List returns incidents, the newest first.
	List(ctx context.Context, f tocsin.Filter) ([]*tocsin.Incident, error)
}

const (
	// look is the longest that the engine sleeps: what no deadline announces, and
	// a step of the machine's clock, is seen then.
	look = 5 * time.Second
	// chunk bounds one transaction of due incidents, so that intake never waits
	// long behind it.
	chunk = 250
)

// Options are the engine's parts. Store is required.
type Options struct {
	Store Store
	// Incidents are listed to count pages; nil: none are counted.
	Incidents Lister
	// Runbook returns the runbook of an ID as it is now, or nil; nil: steps are
	// those of the runbooks that incidents opened with.
	Runbook func(id string) *tocsin.Runbook
	// Changed is told when overrides have changed; nil: nobody is.
	Changed func()
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Engine carries the escalations of all incidents: it holds one timer on the
// earliest deadline of the store, and commits what is due. Two engines on one
// store take no step twice: each looks at the incident inside the transaction.
// It is safe for concurrent use.
type Engine struct {
	o       Options
	rules   atomic.Pointer[Rules]
	lib     library
	poke    chan struct{}
	armed   atomic.Int64 // the timer's instant, in Unix nanoseconds
	metrics *metrics
	// What follows belongs to Run.
	aside  aside
	tidied time.Time
	// unused are the policies that no incident followed when last looked.
	unused map[string]bool
}

// NewEngine returns an engine that decides by rules.
func NewEngine(rules *Rules, o Options) (*Engine, error) {
	if o.Store == nil || rules == nil {
		return nil, errors.New("escalation: rules and a store are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, poke: make(chan struct{}, 1), metrics: newMetrics(o.Registerer), aside: aside{}}
	e.SetRules(rules)
	return e, nil
}

// SetRules changes the rules for every later decision. Incidents that are open
// keep the policies that they were opened with.
func (e *Engine) SetRules(rules *Rules) {
	e.rules.Store(rules)
	e.Poke()
}

// Rules returns the rules in force.
func (e *Engine) Rules() *Rules { return e.rules.Load() }

// Committed tells the engine of the store's earliest deadline after a commit. It
// does not wait and does not call the store, which may be the caller.
func (e *Engine) Committed(next time.Time) {
	if !next.IsZero() && next.UnixNano() < e.armed.Load() {
		e.Poke()
	}
}

// Poke has the engine look at its deadlines now.
func (e *Engine) Poke() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// Settle brings the escalation of an incident in line with its state inside the
// caller's transaction, takes the steps that are due, and returns what to write
// on its timeline. The caller writes the incident. Metrics and the log are told
// when it is decided, though the transaction may still fail and be tried again.
func (e *Engine) Settle(tx tocsin.Tx, inc *tocsin.Incident, now time.Time) []tocsin.Event {
	d := e.desk(tx, inc, now)
	d.settle()
	e.tell(d.events)
	return d.events
}

// tell counts what was done, and logs what nobody may overlook.
func (e *Engine) tell(events []tocsin.Event) {
	e.metrics.count(events)
	for i := range events {
		if events[i].Kind == tocsin.EventLastResort {
			e.o.Logger.Error("last resort", "incident", events[i].Incident, "text", events[i].Text)
		}
	}
}

func (e *Engine) desk(tx tocsin.Tx, inc *tocsin.Incident, now time.Time) *desk {
	return &desk{rules: e.rules.Load(), lib: &e.lib, tx: tx, inc: inc, now: now, was: inc.Deadline()}
}

// Act does what a person asks for, once. The error is tocsin.ErrNotFound,
// tocsin.ErrInvalid with the field, or tocsin.ErrConflict with what to confirm.
func (e *Engine) Act(ctx context.Context, id string, a tocsin.Action) error {
	now, runbook := e.o.Now(), e.runbooks()
	var events []tocsin.Event
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		events = nil
		inc := tx.Incident(id)
		if inc == nil {
			return tocsin.ErrNotFound
		}
		d := e.desk(tx, inc, now)
		d.runbook = runbook
		if err := d.act(a); err != nil {
			return err
		}
		events = d.events
		tx.PutIncident(inc)
		tx.Append(events...)
		return nil
	})
	if err == nil {
		e.tell(events)
	}
	return err
}

// Run takes steps and raises alarms when they are due, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.poke:
		case <-timer.C:
		}
		e.armed.Store(0) // a commit from here on is seen by this turn, or pokes
		next := e.turn(ctx, &looked)
		now := e.o.Now()
		e.armed.Store(next.UnixNano())
		if soonest := e.soonest(now); !soonest.IsZero() && soonest.Before(next) {
			next = soonest
			e.armed.Store(next.UnixNano())
		}
		timer.Reset(max(next.Sub(now), 0))
	}
}

// turn does everything that is due and returns when to come back.
func (e *Engine) turn(ctx context.Context, looked *time.Time) time.Time {
	now := e.o.Now()
	for {
		due, next := e.o.Store.Deadlines(now, chunk+len(e.aside))
		if due = e.aside.without(due, now); len(due) > 0 {
			if err := e.settleEach(ctx, due, now); err != nil {
				if ctx.Err() == nil {
					e.o.Logger.Error("escalations could not be written; tried again in a second", "incidents", len(due), "error", err)
				}
				return now.Add(time.Second)
			}
			continue
		}
		if since := now.Sub(*looked); since >= look || since < 0 {
			*looked = now
			e.lookAround(ctx, now)
		}
		back := looked.Add(look)
		if !next.IsZero() && next.Before(back) {
			back = next
		}
		return back
	}
}

// settleAll settles incidents in one transaction.
func (e *Engine) settleAll(ctx context.Context, ids []string, now time.Time) error {
	var events []tocsin.Event
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		events = events[:0]
		for _, id := range ids {
			inc := tx.Incident(id)
			if inc == nil {
				continue
			}
			d := e.desk(tx, inc, now)
			d.settle()
			at := inc.Deadline()
			switch {
			case len(d.events) > 0 || !at.Equal(d.was):
			case at.IsZero() || at.After(now):
				continue // another engine was here first
			default:
				d.rest() // nothing of it is to be done, and nothing may come due for ever
			}
			tx.PutIncident(inc)
			tx.Append(d.events...)
			events = append(events, d.events...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.tell(events)
	return nil
}

// lookAround finds what no deadline announces: pages that cannot be delivered,
// and incidents whose escalation should be at work and is not.
func (e *Engine) lookAround(ctx context.Context, now time.Time) {
	rules := e.rules.Load()
	var alarms, settle []string
	open, plans := map[string]*tocsin.Incident{}, map[string]bool{}
	var merged []*tocsin.Incident
	e.o.Store.Live(func(inc *tocsin.Incident) bool {
		if at, ok := rules.spec.Alarm.Due(inc); ok && !at.After(now) {
			alarms = append(alarms, inc.ID)
		}
		if rules.idle(inc, now) {
			settle = append(settle, inc.ID)
		}
		if inc.MergedInto != "" && inc.Open() {
			merged = append(merged, inc)
		}
		if inc.Open() {
			open[inc.ID] = inc
		}
		if inc.Escalation != nil {
			for n := range inc.Escalation.Runs {
				plans[inc.Escalation.Runs[n].Plan] = true
			}
		}
		return true
	})
	var errs []error
	for ids := range slices.Chunk(e.aside.without(settle, now), chunk) {
		errs = append(errs, e.settleEach(ctx, ids, now))
	}
	for _, inc := range merged {
		if deserted(inc, open[inc.MergedInto]) != "" {
			errs = append(errs, e.unmerge(ctx, inc.ID, now))
		} else if unpassed(inc) {
			errs = append(errs, e.passOn(ctx, inc.ID, now))
		}
	}
	errs = append(errs, e.tidy(ctx, plans, now))
	for _, id := range alarms {
		errs = append(errs, e.raiseAlarm(ctx, id, rules.spec.Alarm, now))
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		e.o.Logger.Warn("an alarm or an escalation could not be written; it is tried again", "error", err)
	}
}

// idle reports whether an incident should be escalated and is not, waits for
// longer than any policy does, since the machine's clock was set back, or has
// somebody on it who cannot be reached.
func (r *Rules) idle(inc *tocsin.Incident, now time.Time) bool {
	if inc.State != tocsin.Triggered || inc.Quiet() || inc.Kind == tocsin.KindNotice {
		return false
	}
	esc := inc.Escalation
	if esc == nil || len(esc.Runs) == 0 {
		return slices.ContainsFunc(inc.Receivers, func(name string) bool { return r.spec.Receivers[name] != "" })
	}
	return slices.ContainsFunc(esc.Runs, func(run tocsin.Run) bool { return run.Due.IsZero() || esc.High && run.Due.Sub(now) > r.longest }) ||
		slices.ContainsFunc(esc.Responders, func(p tocsin.Responder) bool { return !p.Unreachable && hasFailed(inc, p.User) })
}

func (e *Engine) raiseAlarm(ctx context.Context, id string, alarm Alarm, now time.Time) error {
	var events []tocsin.Event
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
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
	e.metrics.alarms.Add(float64(len(events)))
	for i := range events {
		e.o.Logger.Error("alarm", "incident", id, "target", events[i].Target, "text", events[i].Text)
	}
	return nil
}
