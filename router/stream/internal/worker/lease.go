package worker

import (
	"context"
	"sync"
	"time"
)

// lease extends the hold on one message while its handler works. It ends a
// tenth of its length early, so that work never outlives a hold that the queue
// has stopped honouring.
type lease struct {
	msg    Message
	length time.Duration
	lose   func()

	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	until time.Time
	timer *time.Timer
	// over: released or lost.
	over, lost bool
}

// holdLease starts a lease that ran from received, or returns nil when it is
// over already. It calls lose when it is lost.
func holdLease(msg Message, received time.Time, length time.Duration, lose func()) *lease {
	l := &lease{msg: msg, length: length, lose: lose, until: received.Add(length - length/10)}
	if !time.Now().Before(l.until) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(time.Until(received.Add(length/3)), l.extend)
	return l
}

// extend runs when a third of the lease is over, and again until it succeeds or
// the lease has ended.
func (l *lease) extend() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	ctx, until := l.ctx, l.until
	l.mu.Unlock()

	asked := time.Now()
	if asked.Before(until) {
		attempt := asked.Add(l.length / 3)
		if until.Before(attempt) {
			attempt = until
		}
		ctx, cancel := context.WithDeadline(ctx, attempt)
		err := l.msg.Extend(ctx)
		cancel()
		if err == nil {
			until = asked.Add(l.length - l.length/10)
			l.again(until, asked.Add(l.length/3))
			return
		}
	}
	l.again(until, time.Now().Add(l.length/10))
}

// again notes the end of the lease and schedules the next extension, or loses
// the lease when it has ended.
func (l *lease) again(until, next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	if !time.Now().Before(until) {
		l.over, l.lost = true, true
		l.cancel()
		l.lose()
		return
	}
	l.until = until
	if until.Before(next) {
		next = until
	}
	l.timer.Reset(time.Until(next))
}

// release ends the lease and reports whether it was held to the last.
func (l *lease) release() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.timer.Stop()
	if l.cancel != nil {
		l.cancel()
	}
	return !l.lost
}
