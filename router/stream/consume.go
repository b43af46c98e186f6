package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 2 * time.Second
)

// Consume hands the wake-ups of one kind of target (the part before ":") to
// handle, each in a goroutine, at most Config.MaxAckPending at once. Several
// processes that consume one kind share its wake-ups. What handle returns decides:
//
//   - nil: done.
//   - an error with a tocsin.RetryDelay: delivered again after that, between 50 ms
//     and an hour.
//   - another error, or a panic: delivered again after half a second to a minute,
//     more with each delivery.
//
// There is no last delivery. While handle works, the lease is extended; when NATS
// does not confirm that, its context is cancelled before the lease ends.
//
// Consume lives through restarts of NATS. When ctx ends, it takes no more, gives
// handlers four seconds to finish and as long again after cancelling their
// context, and returns nil, or an error when some did not come back.
func (s *Stream) Consume(ctx context.Context, kind string, handle func(context.Context, tocsin.Wake) error) error {
	if !worker.Token(kind) {
		return tocsin.Invalid("kind", "%.80q: want letters, digits, '_' or '-'", kind)
	}
	pool := worker.New(ctx, handle, worker.Options{
		Limit: s.cfg.MaxAckPending, Lease: s.cfg.AckWait, Logger: s.log,
		Observe: func(outcome string) { s.metrics.handled.WithLabelValues(kind, outcome).Inc() },
	})
	pause := firstRetry
	for ctx.Err() == nil && s.ctx.Err() == nil {
		changed := s.changed.wait()
		began := time.Now()
		if err := s.consumeOnce(ctx, kind, pool); err != nil {
			s.log.Debug("consumer interrupted", "kind", kind, "error", err)
		}
		if time.Since(began) > time.Minute {
			pause = firstRetry
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
			pause = min(2*pause, maxRetry)
		case <-changed:
			pause = firstRetry
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
	return pool.Drain()
}

// consumeOnce consumes until ctx, the session or the consumer ends.
func (s *Stream) consumeOnce(ctx context.Context, kind string, pool *worker.Pool) error {
	sess := s.sess.Load()
	if sess == nil || !sess.ready.Load() {
		return errUnready
	}
	name, err := s.makeConsumer(ctx, sess, kind)
	if err != nil {
		return err
	}
	p, err := pull(sess.nc, name, pool)
	if err != nil {
		return err
	}
	return p.run(ctx, s.ctx.Done(), sess.dead)
}

// makeConsumer makes or updates the durable consumer of a kind. MaxAckPending is
// unlimited at the server: it would count the wake-ups that wait for a retry
// too, and a thousand of a provider's channel that is down would hold up its
// other channels. The pool limits what is handled at once.
func (s *Stream) makeConsumer(ctx context.Context, sess *session, kind string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	name := "tocsin-" + kind
	_, err := sess.js.CreateOrUpdateConsumer(ctx, WakeStream, jetstream.ConsumerConfig{
		Durable:       name,
		FilterSubject: wakePrefix + kind + ".>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       s.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MemoryStorage: true,
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		sess.ready.Store(false)
	}
	if err != nil {
		return "", fmt.Errorf("make the consumer of %s: %w", kind, err)
	}
	return name, nil
}
