// Package worker handles wake-ups that a queue delivers: a goroutine each, up
// to a limit, under a lease, with one place that decides what an error means
// for the message. The NATS stream and its in-process stand-in both use it, so
// that they cannot differ in this.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Grace is how long handlers that run when the pool is drained may go on before
// their context is cancelled: a post that is under way is better finished than
// left unclear. As long again is waited for them to notice.
const Grace = 4 * time.Second

// Outcomes that Options.Observe is told.
const (
	// Done: handled and acknowledged.
	Done = "done"
	// Retry: the handler failed; the message comes again.
	Retry = "retry"
	// Panic: the handler panicked; the message comes again.
	Panic = "panic"
	// Corrupt: the bytes are no wake-up; the message never comes again.
	Corrupt = "corrupt"
	// Lost: the lease could not be extended, the message comes again by itself.
	Lost = "lost"
)

// ErrLeaseLost is the cause that a handler's context is cancelled with when the
// queue no longer holds the message for this process.
var ErrLeaseLost = errors.New("the lease on the wake-up was lost: the queue did not confirm its extension")

var errDrained = errors.New("the service stops")

// Handler acts on one wake-up. See the queue's Consume for what its error does.
type Handler func(context.Context, tocsin.Wake) error

// Message is one delivery of a wake-up. Ack, Nak and Term need not be certain
// to arrive: a message that is not settled comes again.
type Message interface {
	// Wake decodes the message; an error means that its bytes are corrupt.
	Wake() (tocsin.Wake, error)
	// Delivered counts the deliveries of the message, this one included.
	Delivered() uint64
	// Ack takes the message out of the queue.
	Ack()
	// Nak has it delivered again after d.
	Nak(d time.Duration)
	// Term takes it out of the queue as one that can never be handled.
	Term(reason string)
	// Extend starts the lease afresh. Nil means that the queue confirmed it.
	Extend(ctx context.Context) error
}

// Options say how a Pool works.
type Options struct {
	// Limit is the number of handlers that run at once.
	Limit int
	// Lease is how long the queue leaves a message with us unless extended.
	Lease time.Duration
	// Logger is told of panics, corrupt messages and lost leases.
	Logger *slog.Logger
	// Observe is told the outcome of each message. Nil: nobody is.
	Observe func(outcome string)
}

// Pool runs handlers. Take may be called from several goroutines.
type Pool struct {
	opts    Options
	handle  Handler
	stop    context.Context // ends when no more is taken
	handler context.Context // ends when handlers must give up
	giveUp  context.CancelCauseFunc
	places  chan struct{}

	mu      sync.Mutex
	drained bool
	running sync.WaitGroup
}

// New returns a Pool that takes messages until ctx ends. Its handlers inherit
// the values of ctx; its end reaches them only after Grace.
func New(ctx context.Context, handle Handler, opts Options) *Pool {
	p := &Pool{opts: opts, handle: handle, stop: ctx, places: make(chan struct{}, opts.Limit)}
	p.handler, p.giveUp = context.WithCancelCause(context.WithoutCancel(ctx))
	return p
}

// Take hands m to a handler of its own, and returns once there was a place for
// it. After the pool's context has ended it gives m back at once.
func (p *Pool) Take(m Message) {
	received := time.Now()
	if p.stop.Err() != nil {
		m.Nak(0)
		return
	}
	select {
	case p.places <- struct{}{}:
	case <-p.stop.Done():
		m.Nak(0)
		return
	}
	if !p.enter() {
		<-p.places
		m.Nak(0)
		return
	}
	go func() {
		defer p.running.Done()
		outcome := p.work(m, received)
		<-p.places
		if p.opts.Observe != nil {
			p.opts.Observe(outcome)
		}
	}()
}

// enter counts a handler, unless the pool is drained.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drained {
		p.running.Add(1)
	}
	return !p.drained
}

// Drain waits for the handlers that run: Grace for them to finish, and as long
// again after their context was cancelled. An error says that some did not come
// back.
func (p *Pool) Drain() error {
	p.mu.Lock()
	p.drained = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.running.Wait()
		close(done)
	}()
	defer p.giveUp(errDrained)
	if waitFor(done, Grace) {
		return nil
	}
	p.giveUp(errDrained)
	if waitFor(done, Grace) {
		return nil
	}
	return fmt.Errorf("%d handlers of wake-ups did not stop within %s", len(p.places), 2*Grace)
}

func waitFor(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// work handles one message and settles it.
func (p *Pool) work(m Message, received time.Time) string {
	wake, err := m.Wake()
	if err != nil {
		p.opts.Logger.Error("dropped a wake-up that is no wake-up", "error", err)
		m.Term("corrupt")
		return Corrupt
	}
	ctx, cancel := context.WithCancelCause(p.handler)
	defer cancel(nil)
	held := holdLease(m, received, p.opts.Lease, func() { cancel(ErrLeaseLost) })
	if held == nil {
		return Lost
	}
	panicked, err := p.call(ctx, wake)
	lost := !held.release()
	switch {
	case err == nil:
		// Done is done, even when the lease was lost meanwhile.
		m.Ack()
		return Done
	case lost:
		p.opts.Logger.Warn("lease of a wake-up lost while it was handled",
			"incident", wake.Incident, "target", wake.Target, "error", err)
		return Lost
	case p.handler.Err() != nil:
		m.Nak(0)
	default:
		m.Nak(Delay(err, m.Delivered()))
	}
	if panicked {
		return Panic
	}
	return Retry
}

// call runs the handler. A panic becomes an error: one incident that trips a
// bug must not keep the service from paging about the others.
func (p *Pool) call(ctx context.Context, wake tocsin.Wake) (panicked bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			p.opts.Logger.Error("panic while handling a wake-up", "incident", wake.Incident,
				"target", wake.Target, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			panicked, err = true, fmt.Errorf("panic: %v", r)
		}
	}()
	return false, p.handle(ctx, wake)
}
