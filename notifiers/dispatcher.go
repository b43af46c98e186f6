package notifiers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Notifier brings one target up to date with one call to its provider. Errors
// are marked with tocsin.Permanent, RetryAfter or Unclear; an unmarked one is
// temporary. It is called by many goroutines, never twice at once for the same
// incident.
type Notifier interface {
	// Deliver makes the call and returns what the target shows then.
	Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error)
}

// Digester is a Notifier that can tell of many incidents in one message.
type Digester interface {
	// DeliverDigest makes the call and returns the message's handle.
	DeliverDigest(ctx context.Context, n tocsin.DigestNotice) (tocsin.Receipt, error)
}

// Stopper is a Notifier that can tell what is to be done when somebody answered
// while it was not known whether the message was posted. Of other notifiers
// nothing is asked then.
type Stopper interface {
	// DeliverStopped brings what an earlier attempt may have left up to date,
	// and posts nothing.
	DeliverStopped(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error)
}

// Target is a place to notify.
type Target struct {
	// Key is Delivery.Target.
	Key      string
	Notifier Notifier
	// Lane names what shares a rate; empty: the Key.
	Lane string
	// Provider names what pauses together when it asks for a pause; empty: the
	// Lane.
	Provider string
	// PerSecond is the lane's rate, in calls; 0: no limit.
	PerSecond float64
	// Burst is the number of calls that may go at once; 0: 1.
	Burst int
	// LookAfter is how long a delivery that may have been posted waits before it
	// is looked up and tried again: what a dead process, or a broken connection,
	// has left on its way to the provider arrives meanwhile. 0: not at all, for
	// targets whose provider drops repeats, or that do not look.
	LookAfter time.Duration
	// Thread targets want the incident's events since Delivery.Told.
	Thread bool
	// set tells the configurations apart that the target is of.
	set uint64
}

// Store is what the dispatcher needs of the store.
type Store interface {
	tocsin.Updater
	tocsin.Reader
	// Lagging returns what lags and is due, over all live incidents.
	Lagging(now time.Time) []tocsin.Wake
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
}

// Waker passes wake-ups on, to this process or another. An error means that
// they may be lost.
type Waker interface {
	// Wake does not wait for anything.
	Wake([]tocsin.Wake) error
}

// Options are the dispatcher's parts. Store is required.
type Options struct {
	Store Store
	// Waker carries the sweep's wake-ups; nil: they are handled here at once.
	Waker Waker
	// Runbook returns the runbook with its placeholders filled in, or nil; a
	// nil function means that there are no runbooks.
	Runbook func(id string, labels tocsin.Labels) *tocsin.Runbook
	// Steps says how the steps of an incident's runbook stand; nil: that is not
	// known.
	Steps func(context.Context, *tocsin.Incident) []tocsin.StepView
	// URL returns the address of an incident's page; nil: there is none.
	URL func(id string) string
	// Ahead says what happens to an incident if nobody answers, the next first;
	// nil: nothing.
	Ahead func(*tocsin.Incident) []tocsin.Ahead
	// Remediations returns the runs of remedies for an incident, the newest first;
	// nil: there are none.
	Remediations func(incident string) []tocsin.Remediation
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Timeout bounds one call to a provider; 0: 15 s.
	Timeout time.Duration
	// SweepEvery is how often the store is asked what lags; 0: 2 s.
	SweepEvery time.Duration
	// DigestAfter is how many incidents may wait for a first message in a lane
	// with a rate before they are told as a digest; 0: 5, negative: never.
	DigestAfter int
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Dispatcher owns the lanes. It is safe for concurrent use.
type Dispatcher struct {
	o       Options
	metrics *metrics

	mu        sync.Mutex
	targets   map[string]Target
	lanes     map[string]*lane
	providers map[string]*provider
	// unclear holds the deliveries that may have been posted without our
	// knowing, and since when; unsaved the receipts that the store did not take
	// yet.
	unclear map[delivery]time.Time
	unsaved map[delivery]tocsin.Receipt
	// sets counts the configurations of targets.
	sets atomic.Uint64
	run  context.Context
	work sync.WaitGroup
	soon chan struct{}
}

// delivery names one incident's target.
type delivery struct{ incident, target string }

// New returns a dispatcher for the targets. It does nothing until Run.
func New(targets []Target, o Options) (*Dispatcher, error) {
	if o.Store == nil {
		return nil, errors.New("notifiers: a store is needed")
	}
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	o.SweepEvery = cmp.Or(o.SweepEvery, 2*time.Second)
	o.DigestAfter = cmp.Or(o.DigestAfter, 5)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		o: o, metrics: newMetrics(o.Registerer),
		lanes: map[string]*lane{}, providers: map[string]*provider{},
		unclear: map[delivery]time.Time{}, unsaved: map[delivery]tocsin.Receipt{},
		soon: make(chan struct{}, 1),
	}
	d.setTargets(targets)
	return d, nil
}

func (d *Dispatcher) setTargets(targets []Target) {
	d.targets = make(map[string]Target, len(targets))
	set := d.sets.Add(1)
	for _, t := range targets {
		t.set = set
		t.Lane = cmp.Or(t.Lane, t.Key)
		t.Provider = cmp.Or(t.Provider, t.Lane)
		d.targets[t.Key] = t
		if l := d.lanes[t.Lane]; l != nil {
			l.setRate(t)
		}
	}
}

// SetTargets changes the targets, and has the deliveries that had failed for
// good tried again: the reason may be mended.
func (d *Dispatcher) SetTargets(ctx context.Context, targets []Target) error {
	d.mu.Lock()
	d.setTargets(targets)
	d.mu.Unlock()
	var ids []string
	d.o.Store.Live(func(inc *tocsin.Incident) bool {
		for i := range inc.Deliveries {
			if inc.Deliveries[i].Failed {
				ids = append(ids, inc.ID)
				break
			}
		}
		return true
	})
	if len(ids) == 0 {
		return nil
	}
	return d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		for _, id := range ids {
			inc := tx.Incident(id)
			if inc == nil {
				continue
			}
			for i := range inc.Deliveries {
				inc.Deliveries[i].Failed = false
			}
			tx.PutIncident(inc)
		}
		return nil
	})
}

// lane returns the target's lane, started, or false for a target that is not
// configured, or when Run has not begun or has ended.
func (d *Dispatcher) lane(target string) (Target, *lane, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.targets[target]
	if !ok || d.run == nil || d.run.Err() != nil {
		return t, nil, ok
	}
	l := d.lanes[t.Lane]
	if l == nil {
		p := d.providers[t.Provider]
		if p == nil {
			p = &provider{}
			d.providers[t.Provider] = p
		}
		l = newLane(t, p, d.o.Now)
		d.lanes[t.Lane] = l
		ctx := d.run
		d.work.Go(func() { l.loop(ctx, d.process, d.sweepSoon) })
	}
	return t, l, true
}

// Handle brings the target of a wake-up up to date and returns nil then, or
// when there was nothing to do, or when the lane is so full that the sweep will
// have to bring it back. It returns an error when ctx, or Run, ends first.
func (d *Dispatcher) Handle(ctx context.Context, w tocsin.Wake) error {
	set := d.sets.Load()
	_, l, ok := d.lane(w.Target)
	if !ok {
		return d.fail(ctx, delivery{w.Incident, w.Target}, errNotConfigured, set)
	}
	if l == nil {
		return tocsin.RetryAfter(tocsin.ErrUnavailable, time.Second)
	}
	done := l.add(w)
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-l.stopped:
		return tocsin.RetryAfter(tocsin.ErrUnavailable, time.Second)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wake handles wake-ups in this process, without waiting for anything and
// without calling the store: the store itself may be the caller.
func (d *Dispatcher) Wake(wakes []tocsin.Wake) {
	for _, w := range wakes {
		_, l, ok := d.lane(w.Target)
		switch {
		case ok && l != nil:
			l.add(w)
		case !ok:
			d.failLater(w)
		}
	}
}

// failLater writes on the incident that its target is not configured any more.
// When that cannot be written, the sweep comes back to it.
func (d *Dispatcher) failLater(w tocsin.Wake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.run == nil || d.run.Err() != nil {
		return
	}
	if _, ok := d.targets[w.Target]; ok {
		return // it came meanwhile; SetTargets has the rest
	}
	ctx, set := d.run, d.sets.Load()
	d.work.Go(func() { _ = d.fail(ctx, delivery{w.Incident, w.Target}, errNotConfigured, set) })
}

var errNotConfigured = errors.New("the configuration has no such target any more")

func (d *Dispatcher) flag(k delivery, unclear bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if unclear {
		d.unclear[k] = d.o.Now()
	} else {
		delete(d.unclear, k)
	}
}

func (d *Dispatcher) isUnclear(k delivery) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.unclear[k].IsZero()
}

// lookWait is how long an unclear delivery still has to wait; see
// Target.LookAfter.
func (d *Dispatcher) lookWait(k delivery, t Target) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	since := d.unclear[k]
	if since.IsZero() {
		return 0
	}
	return since.Add(t.LookAfter).Sub(d.o.Now())
}
