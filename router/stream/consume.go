package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

const (
	// prefetch is small: what waits here has its lease running already.
	prefetch = 512
	// heartbeat bounds how long a vanished consumer goes unnoticed: twice this.
	heartbeat = 2 * time.Second
	pullFor   = 30 * time.Second

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
	consumer, err := s.makeConsumer(ctx, sess, kind)
	if err != nil {
		return err
	}
	trouble := make(chan error, 1)
	consuming, err := consumer.Consume(
		func(msg jetstream.Msg) { pool.Take(&message{msg: msg, nc: sess.nc}) },
		jetstream.PullMaxMessages(prefetch), jetstream.PullExpiry(pullFor), jetstream.PullHeartbeat(heartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case trouble <- err:
			default:
			}
		}))
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	select {
	case err = <-trouble:
	case <-sess.dead:
		consuming.Stop()
		return errDown
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	// What was fetched already goes to the pool, which gives it back at once
	// when ctx has ended.
	consuming.Drain()
	select {
	case <-consuming.Closed():
	case <-time.After(worker.Grace):
	}
	return err
}

// makeConsumer makes or updates the durable consumer of a kind. MaxAckPending is
// unlimited at the server: it would count the wake-ups that wait for a retry
// too, and a thousand of a provider's channel that is down would hold up its
// other channels. The pool limits what is handled at once.
func (s *Stream) makeConsumer(ctx context.Context, sess *session, kind string) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	consumer, err := sess.js.CreateOrUpdateConsumer(ctx, WakeStream, jetstream.ConsumerConfig{
		Durable:       "tocsin-" + kind,
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
		return nil, fmt.Errorf("make the consumer of %s: %w", kind, err)
	}
	return consumer, nil
}

// message is a worker.Message of JetStream. Errors of the acks are left: a
// message that is not settled comes again, which does no harm.
type message struct {
	msg jetstream.Msg
	nc  *nats.Conn
}

// Wake decodes the message.
func (m *message) Wake() (w tocsin.Wake, err error) {
	if err = json.Unmarshal(m.msg.Data(), &w); err != nil {
		return w, fmt.Errorf("decode %s: %w", m.msg.Subject(), err)
	}
	return w, worker.Check(w)
}

// Delivered counts the deliveries.
func (m *message) Delivered() uint64 {
	meta, err := m.msg.Metadata()
	if err != nil {
		return 1
	}
	return meta.NumDelivered
}

// Ack settles the message.
func (m *message) Ack() { _ = m.msg.Ack() }

// Nak has it delivered again.
func (m *message) Nak(d time.Duration) { _ = m.msg.NakWithDelay(d) }

// Term drops it.
func (m *message) Term(reason string) { _ = m.msg.TermWithReason(reason) }

// Extend asks for the lease to start afresh and waits for the confirmation, which
// nats.go's InProgress does not.
func (m *message) Extend(ctx context.Context) error {
	_, err := m.nc.RequestWithContext(ctx, m.msg.Reply(), []byte("+WPI"))
	return err
}
