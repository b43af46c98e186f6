package bolt

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// request is one update on its way through the committer.
type request struct {
	ctx context.Context
	// Either fn or op is set.
	fn func(tocsin.Tx) error
	op func() error
	// done takes the answer; it never blocks the committer.
	done  chan error
	timer *time.Timer

	// mu is held while the function runs.
	mu                 sync.Mutex
	started, cancelled bool
	// err is what the decision returned, kept until the commit.
	err error
	// refused is true when the decision did not run.
	refused bool
}

func newRequest() *request {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &request{done: make(chan error, 1), timer: t}
}

// cancel reports whether the function has not run and will not. It waits while
// it runs.
func (r *request) cancel() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		r.cancelled = true
	}
	return r.cancelled
}

// submit queues a function and waits for the answer.
func (s *Store) submit(ctx context.Context, fn func(tocsin.Tx) error, op func() error) error {
	if ctx.Err() != nil {
		s.met.cancelled.Inc()
		return notRun(ctx)
	}
	r := s.requests.Get().(*request)
	r.ctx, r.fn, r.op = ctx, fn, op
	r.timer.Reset(s.opts.Wait)
	if err := s.enqueue(r); err != nil {
		s.met.cancelled.Inc()
		s.recycle(r)
		return err
	}
	return s.await(r)
}

// enqueue hands r to the committer.
func (s *Store) enqueue(r *request) error {
	select {
	case <-s.quit:
		return tocsin.Unavailable(errClosed)
	default:
	}
	select {
	case s.queue <- r:
		return nil
	case <-s.quit:
		return tocsin.Unavailable(errClosed)
	case <-r.ctx.Done():
		return notRun(r.ctx)
	case <-r.timer.C:
		return s.overloaded()
	}
}

// await waits for the committer's answer.
func (s *Store) await(r *request) error {
	timeout := r.timer.C
	for {
		select {
		case err := <-r.done:
			s.recycle(r)
			return err
		case <-r.ctx.Done():
			return s.leave(r, notRun(r.ctx), tocsin.Unavailable(fmt.Errorf("%w: %w", errUnclear, context.Cause(r.ctx))))
		case <-timeout:
			if r.cancel() {
				s.met.cancelled.Inc()
				return s.overloaded()
			}
			timeout = nil
		case <-s.stopped:
			return s.leave(r, tocsin.Unavailable(s.ended()), tocsin.Unavailable(errUnclear))
		}
	}
}

// leave gives up on r: with its answer if there is one, with unrun if it has
// not run, else with unclear.
func (s *Store) leave(r *request, unrun, unclear error) error {
	r.timer.Stop()
	if r.cancel() {
		s.met.cancelled.Inc()
		return unrun
	}
	select {
	case err := <-r.done:
		s.recycle(r)
		return err
	default:
		return unclear
	}
}

// recycle keeps a request that the committer has done with.
func (s *Store) recycle(r *request) {
	r.timer.Stop()
	done, timer := r.done, r.timer
	*r = request{done: done, timer: timer}
	s.requests.Put(r)
}

func (s *Store) overloaded() error {
	return tocsin.Unavailable(fmt.Errorf("overloaded: %d updates wait, and no turn came within %s", len(s.queue), s.opts.Wait))
}

// notRun says that ctx ended before the function had run.
func notRun(ctx context.Context) error {
	return tocsin.Unavailable(fmt.Errorf("nothing was changed: %w", context.Cause(ctx)))
}

// ended is why there is no committer any more.
func (s *Store) ended() error {
	if f := s.fence.Load(); f != nil {
		return *f
	}
	return errClosed
}
