package callback

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// maxBehind bounds what waits to be said, maxAtOnce the calls under way.
	maxBehind = 256
	maxAtOnce = 16
	// Slack takes a response_url 5 times within 30 minutes.
	maxUses       = 5
	responseLives = 30 * time.Minute
	firstPause    = time.Second
)

// behind does what comes after the answers.
type behind struct {
	h     *Handler
	slots chan struct{}
	ctx   context.Context
	stop  context.CancelFunc

	mu      sync.Mutex
	waiting int
	closed  bool
	idle    sync.WaitGroup
}

func newBehind(h *Handler) *behind {
	b := &behind{h: h, slots: make(chan struct{}, maxAtOnce)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// do runs fn beside the caller, or drops it where too much waits.
func (b *behind) do(fn func(context.Context)) {
	b.mu.Lock()
	if b.closed || b.waiting >= maxBehind {
		b.mu.Unlock()
		b.h.metrics.replies.WithLabelValues("dropped").Inc()
		b.h.log.once(b.h.cfg.Now(), "overload").Warn("an answer to a click in Slack was dropped: too many wait; what was clicked was done")
		return
	}
	b.waiting++
	b.idle.Add(1)
	b.mu.Unlock()
	go func() {
		defer b.idle.Done()
		defer func() {
			// Nobody else would catch it, and the process would end.
			if v := recover(); v != nil {
				b.h.cfg.Logger.Error("an answer to somebody in Slack panicked: this is a fault of Tocsin, please report it", "panic", v, "stack", string(debug.Stack()))
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.waiting--
		}()
		fn(b.ctx)
	}()
}

// call runs fn when there is room for one more call to Slack.
func (b *behind) call(ctx context.Context, fn func(context.Context) error) error {
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.slots }()
	return fn(ctx)
}

// close takes nothing more, and waits for what is under way. When ctx ends first,
// what waits to be tried again is given up.
func (b *behind) close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	done := make(chan struct{})
	go func() { b.idle.Wait(); close(done) }()
	select {
	case <-done:
		b.stop()
		return nil
	case <-ctx.Done():
	}
	b.stop()
	<-done
	return ctx.Err()
}

// sender is where somebody clicked or typed, and when.
type sender struct {
	user, channel, responseURL, trigger string
	at                                  time.Time
	// home is set for who clicked in their Home tab, which is then where they are
	// answered; hash is that of what they saw.
	home bool
	hash string
}

// say tells the sender something, as often as Slack takes it and as long as
// somebody may still want to read it.
func (h *Handler) say(to sender, r slack.Reply) func(context.Context) {
	if to.home {
		return h.showHome(to.user, to.hash, r.Lines...)
	}
	return func(ctx context.Context) {
		ctx, cancel := context.WithDeadline(ctx, time.Now().Add(responseLives))
		defer cancel()
		byURL := to.responseURL != ""
		pause := firstPause
		for use := 1; ; use++ {
			err := h.behind.call(ctx, func(ctx context.Context) error {
				switch {
				case byURL:
					return h.d.Slack.Respond(ctx, to.responseURL, r)
				case r.Public && h.d.Post != nil:
					return h.d.Post(ctx, to.channel, r)
				}
				return h.d.Slack.Tell(ctx, to.channel, to.user, r)
			})
			switch {
			case err == nil:
				h.metrics.replies.WithLabelValues("said").Inc()
				return
			case byURL && to.channel != "" && (tocsin.IsPermanent(err) || use == maxUses):
				byURL, use, pause = false, 0, firstPause
				continue
			case tocsin.IsPermanent(err), use == maxUses, ctx.Err() != nil:
				h.metrics.replies.WithLabelValues("failed").Inc()
				h.log.once(h.cfg.Now(), "reply").Warn("somebody who clicked in Slack could not be answered; what was clicked is not undone", "error", err)
				return
			}
			wait := pause
			if after, ok := tocsin.RetryDelay(err); ok {
				wait = max(wait, after)
			}
			if !sleep(ctx, wait) {
				continue // the next call fails with ctx and ends it
			}
			pause *= 2
		}
	}
}

// sleep reports whether the whole time has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
