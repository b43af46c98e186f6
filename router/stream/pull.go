package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

const (
	// prefetch is the number of wake-ups asked for at a time. What waits here
	// has its lease running already.
	prefetch = 256
	// heartbeat is how often an idle server says that it still knows of our
	// request; after two that fail to come the consumer is made again.
	heartbeat = time.Second
	pullFor   = 30 * time.Second
)

// puller asks a durable consumer for wake-ups and hands them to a pool.
//
// It does by hand what jetstream.Consumer.Consume does: that one decides by a
// flag which another goroutine resets whether to ask for more, and when a whole
// batch is handled before the flag is reset (which happens in-process, with both
// cores busy) it asks no more until a heartbeat fails to come, seconds later.
// Here one goroutine, the subscription's, decides. The protocol is that of
// NATS' ADR-13 and ADR-37.
type puller struct {
	nc      *nats.Conn
	subject string // of the requests
	pool    *worker.Pool

	sub *nats.Subscription
	// left is the number of wake-ups asked for that did not come yet. Only the
	// subscription's goroutine uses it.
	left int
	// seen is when the server was last heard of, in nanoseconds since began;
	// busy is set while the pool has no place.
	began time.Time
	seen  atomic.Int64
	busy  atomic.Bool
	// trouble takes the first error that ends the pulling; closed is closed
	// when the subscription has delivered its last.
	trouble chan error
	closed  chan struct{}
}

// pull starts a puller.
func pull(nc *nats.Conn, consumer string, pool *worker.Pool) (*puller, error) {
	p := &puller{
		nc: nc, subject: "$JS.API.CONSUMER.MSG.NEXT." + WakeStream + "." + consumer, pool: pool,
		began: time.Now(), trouble: make(chan error, 1), closed: make(chan struct{}),
	}
	inbox := nc.NewInbox()
	first := make(chan struct{})
	sub, err := nc.Subscribe(inbox, func(msg *nats.Msg) {
		<-first
		p.receive(msg)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	p.sub = sub
	sub.SetClosedHandler(func(string) { close(p.closed) })
	p.ask()
	close(first)
	return p, nil
}

// run waits until ctx ends, the session is dead, or something is wrong; what
// came until then goes to the pool, which gives it back when ctx has ended.
func (p *puller) run(ctx context.Context, stopped, dead <-chan struct{}) (err error) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for err == nil && ctx.Err() == nil {
		select {
		case err = <-p.trouble:
		case <-dead:
			return errDown
		case <-stopped:
			return errClosed
		case <-ctx.Done():
		case <-ticker.C:
			if !p.busy.Load() && time.Since(p.began)-time.Duration(p.seen.Load()) > 2*heartbeat {
				err = errors.New("the server does not know of the request for wake-ups any more")
			}
		}
	}
	if p.sub.Drain() != nil {
		return err
	}
	select {
	case <-p.closed:
	case <-time.After(worker.Grace):
	}
	return err
}

// receive takes a wake-up or a status.
func (p *puller) receive(msg *nats.Msg) {
	p.seen.Store(int64(time.Since(p.began)))
	if len(msg.Data) == 0 && msg.Header.Get("Status") != "" {
		p.status(msg.Header)
		return
	}
	p.left--
	p.busy.Store(true)
	p.pool.Take(&message{msg: msg, nc: p.nc})
	p.seen.Store(int64(time.Since(p.began)))
	p.busy.Store(false)
	if p.left <= prefetch/2 {
		p.ask()
	}
}

// status takes what the server says of a request.
func (p *puller) status(h nats.Header) {
	switch code := h.Get("Status"); code {
	case "100": // heartbeat
		return
	case "408": // the request's time is over
		left, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
		if err != nil {
			left = p.left
		}
		p.left = max(p.left-left, 0)
		p.ask()
	default:
		p.fail(fmt.Errorf("the server says %s %s", code, h.Get("Description")))
	}
}

// ask requests what is missing to prefetch.
func (p *puller) ask() {
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, prefetch-p.left, pullFor, heartbeat)
	p.left = prefetch
	if err := p.nc.PublishRequest(p.subject, p.sub.Subject, request); err != nil {
		p.fail(fmt.Errorf("ask for wake-ups: %w", err))
	}
}

func (p *puller) fail(err error) {
	select {
	case p.trouble <- err:
	default:
	}
}

// message is a worker.Message of JetStream. Errors of the acks are left: a
// message that is not settled comes again, which does no harm.
type message struct {
	msg *nats.Msg
	nc  *nats.Conn
}

// Wake decodes the message.
func (m *message) Wake() (w tocsin.Wake, err error) {
	if err = json.Unmarshal(m.msg.Data, &w); err != nil {
		return w, fmt.Errorf("decode %s: %w", m.msg.Subject, err)
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
func (m *message) Ack() { m.settle("+ACK") }

// Nak has it delivered again.
func (m *message) Nak(d time.Duration) {
	if d <= 0 {
		m.settle("-NAK")
		return
	}
	m.settle(fmt.Sprintf(`-NAK {"delay": %d}`, d))
}

// Term drops it.
func (m *message) Term(reason string) { m.settle("+TERM " + reason) }

func (m *message) settle(how string) { _ = m.nc.Publish(m.msg.Reply, []byte(how)) }

// Extend asks for the lease to start afresh and waits for the confirmation.
func (m *message) Extend(ctx context.Context) error {
	_, err := m.nc.RequestWithContext(ctx, m.msg.Reply, []byte("+WPI"))
	return err
}
