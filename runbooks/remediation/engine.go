package remediation

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// look is how often what no call announces is looked for: what has expired,
	// what another engine has lost, incidents that nobody has offered.
	look = 5 * time.Second
	// lease is how long an engine has a remediation for itself, and renew how often
	// it says so again.
	lease = 15 * time.Second
	renew = 5 * time.Second
	// glance is how often the kill switch is looked at while something runs.
	glance = 250 * time.Millisecond
	// offerers is how many incidents are looked at at once, and carriers how many
	// remediations are carried at once, waiting ones included.
	offerers = 4
	carriers = 256
	// fresh is for how long what a precheck says may start something.
	fresh = 10 * time.Second
	// parting is how long the last word about what was interrupted may take.
	parting = 3 * time.Second
)

// Options are the engine's parts. Store and Runner are required.
type Options struct {
	Store  Store
	Runner Runner
	// Prober asks Prometheus; nil: every question to it is without an answer.
	Prober Prober
	// Pager pages a person; nil: it is logged as an error instead.
	Pager Pager
	// Redact replaces secrets in what commands write; nil: nothing is replaced.
	Redact func([]byte) []byte
	// Ended is told of each remediation that has come to its end, once that is
	// committed; after a crash just then it is not. It should not take longer than a
	// few seconds. Nil: nobody is told.
	Ended func(tocsin.Remediation)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Owner names this engine among others on the same store; what makes it
	// unique is added.
	Owner string
	// Runs is how many commands may be executed at once; 0: 4.
	Runs int
	// Retention is how long remediations are kept after their end; 0: 90 days. Those
	// that a budget or a breaker still counts are kept longer.
	Retention time.Duration
}

// Engine proposes, starts, verifies and rolls back. It is safe for concurrent
// use.
type Engine struct {
	o       Options
	rules   atomic.Pointer[Rules]
	decoder decoder
	metrics *metrics
	owner   string
	claims  atomic.Uint64

	offered *queue // incidents to look at
	carry   *queue // remediations to carry on
	noted   notes
	slots   chan struct{} // one for each command that may be executed
	busy    chan struct{} // tells the keeper that there is something to keep

	mu      sync.Mutex
	carried map[string]*carriage
	running map[*execution]bool

	// all is true when every open incident is to be looked at.
	all atomic.Bool
	// What follows belongs to the sweep.
	swept, tidied time.Time
}

// carriage is a remediation that this engine carries.
type carriage struct {
	owner string
	// again is true when it was queued while it was carried.
	again bool
	tape  *tape
}

// execution is a command that is being executed, and can be interrupted.
type execution struct {
	// id of the remediation; empty: it is a question for a plan.
	id, remedy, owner string
	stop              context.CancelCauseFunc
}

// New returns an engine that decides by rules. It does nothing until Run, but
// answers.
func New(rules *Rules, o Options) (*Engine, error) {
	if rules == nil || o.Store == nil || o.Runner == nil {
		return nil, errors.New("remediation: rules, a store and a runner are needed")
	}
	if o.Ended == nil {
		o.Ended = func(tocsin.Remediation) {}
	}
	if o.Redact == nil {
		o.Redact = func(b []byte) []byte { return b }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Runs <= 0 {
		o.Runs = 4
	}
	if o.Retention <= 0 {
		o.Retention = 90 * 24 * time.Hour
	}
	e := &Engine{
		o: o, metrics: newMetrics(o.Registerer), owner: o.Owner + "/" + rand.Text(),
		offered: newQueue(), carry: newQueue(), slots: make(chan struct{}, o.Runs), busy: make(chan struct{}, 1),
		carried: map[string]*carriage{}, running: map[*execution]bool{},
	}
	e.SetRules(rules)
	return e, nil
}

// SetRules changes the remedies for every later decision. What was proposed or
// approved for a remedy that is another one now is not run.
func (e *Engine) SetRules(rules *Rules) {
	e.rules.Store(rules)
	e.all.Store(true)
}

// Rules returns the rules in force.
func (e *Engine) Rules() *Rules { return e.rules.Load() }

// Remedies returns what is told of the remedies, in the order of their
// declaration.
func (e *Engine) Remedies() []tocsin.Remedy { return e.rules.Load().Remedies() }

// Offer has an incident looked at for remedies, soon. It does not wait.
func (e *Engine) Offer(_ context.Context, incident string) {
	if len(e.rules.Load().remedies) > 0 && !e.offered.push(incident) {
		e.all.Store(true) // too many wait: the sweep looks at all
	}
}

// Note offers an incident as soon as the transaction that calls it has committed:
// with the next Committed. It does not wait, and may be called in a transaction
// that fails.
func (e *Engine) Note(incident string) {
	if len(e.rules.Load().remedies) > 0 {
		e.noted.add(incident)
	}
}

// Committed offers what was noted. It does not wait and does not call the store,
// which may be the caller.
func (e *Engine) Committed() {
	for _, incident := range e.noted.take() {
		e.Offer(context.Background(), incident)
	}
}

// Run carries remediations until ctx ends. What is being executed then is ended,
// and recorded.
func (e *Engine) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range offerers {
		all.Go(func() { e.lookAtOffered(ctx) })
	}
	all.Go(func() { e.enforce(ctx) })
	all.Go(func() { e.renew(ctx) })
	all.Go(func() { e.carryAll(ctx) })
	e.sweepAll(ctx)
	all.Wait()
	return nil
}

func (e *Engine) lookAtOffered(ctx context.Context) {
	for {
		incident, ok := e.offered.pop(ctx)
		if !ok {
			return
		}
		if err := e.propose(ctx, incident); err != nil && ctx.Err() == nil && !errors.Is(err, tocsin.ErrNotFound) {
			e.o.Logger.Warn("remedies could not be proposed; tried again soon", "incident", incident, "error", err)
			e.all.Store(true)
		}
	}
}

// carryAll carries what is queued, each in a goroutine of its own, and waits for
// all of them in the end.
func (e *Engine) carryAll(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, carriers)
	for {
		id, ok := e.carry.pop(ctx)
		if !ok {
			return
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c := e.take(id)
		if c == nil {
			<-room
			continue
		}
		all.Go(func() {
			defer func() { <-room }()
			defer e.leave(id)
			e.carryOn(ctx, id, c)
		})
	}
}

// take marks a remediation as carried by this engine; nil: it is already.
func (e *Engine) take(id string) *carriage {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.carried[id]; c != nil {
		c.again = true
		return nil
	}
	c := &carriage{owner: e.claim(), tape: &tape{redact: e.o.Redact}}
	e.carried[id] = c
	return c
}

func (e *Engine) leave(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.carried[id].again {
		e.carry.push(id)
	}
	delete(e.carried, id)
}

func (e *Engine) carries(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.carried[id] != nil
}
