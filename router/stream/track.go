package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	// confirmWithin is how long NATS may take to confirm a wake-up.
	confirmWithin = 2 * time.Second
	// probeEvery spaces the wake-ups that ask for a confirmation: one costs
	// about as much as the wake-up itself. probeCount asks sooner in a storm.
	probeEvery = 5 * time.Millisecond
	probeCount = maxUnconfirmed / 4
	idleProbe  = time.Second
	// probeSubject is that of the probe made when nothing else is published.
	// Nobody consumes it: one such message stays in the stream.
	probeSubject = wakePrefix + "-.probe"
)

// tracker counts what one connection published and what was confirmed. JetStream
// takes in a stream's messages in the order in which they were published, so it
// is enough to ask for the confirmation of one now and then: it stands for all
// before it.
type tracker struct {
	// inbox is the prefix of the confirmations' subjects; the number of the
	// message follows.
	inbox string
	// sent and acked number the messages; publisher's goroutine writes sent.
	sent, acked atomic.Uint64
	// waiting is since when an unanswered probe waits, as a time since born;
	// 0: none.
	waiting atomic.Int64
	born    time.Time
	// refused is why NATS refused the last probe. Nil: it did not.
	refused atomic.Pointer[error]
	// progress tells room of confirmations.
	progress chan struct{}

	mu       sync.Mutex
	probed   uint64
	probedAt time.Duration
}

func (t *tracker) init() {
	t.born = time.Now()
	t.progress = make(chan struct{}, 1)
}

func (t *tracker) subscribe(nc *nats.Conn) error {
	t.inbox = nc.NewInbox() + "."
	_, err := nc.Subscribe(t.inbox+"*", t.confirmed)
	return err
}

// reset forgets what was on its way when the connection broke.
func (t *tracker) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked.Store(t.sent.Load())
	t.waiting.Store(0)
}

// err says why the connection does not take wake-ups.
func (t *tracker) err() error {
	if since := t.waiting.Load(); since != 0 && time.Since(t.born)-time.Duration(since) > confirmWithin {
		return errUnconfirmed
	}
	if e := t.refused.Load(); e != nil {
		return *e
	}
	return nil
}

// publish sends one message and has it confirmed when that is due. One goroutine
// calls it.
func (t *tracker) publish(nc *nats.Conn, subject string, data []byte) error {
	n := t.sent.Add(1)
	now := time.Since(t.born)
	if now-t.probedAt < probeEvery && n-t.probed < probeCount {
		return nc.Publish(subject, data)
	}
	return t.probe(nc, subject, data, n, now)
}

// idle publishes a probe when nothing was probed for a while, so that a quiet
// hour does not hide that NATS hangs, and so that its return is noticed.
func (t *tracker) idle(nc *nats.Conn) {
	if now := time.Since(t.born); now-t.probedAt >= idleProbe {
		// An error shows as a missing confirmation.
		_ = t.probe(nc, probeSubject, []byte("{}"), t.sent.Add(1), now)
	}
}

func (t *tracker) probe(nc *nats.Conn, subject string, data []byte, n uint64, now time.Duration) error {
	t.mu.Lock()
	t.probed, t.probedAt = n, now
	t.waiting.CompareAndSwap(0, int64(now))
	t.mu.Unlock()
	return nc.PublishRequest(subject, t.inbox+strconv.FormatUint(n, 10), data)
}

// confirmed takes the answer to a probe.
func (t *tracker) confirmed(msg *nats.Msg) {
	if len(msg.Subject) <= len(t.inbox) {
		return
	}
	n, err := strconv.ParseUint(msg.Subject[len(t.inbox):], 10, 64)
	if err != nil {
		return
	}
	if reason := refusal(msg); reason == nil {
		t.refused.Store(nil)
	} else {
		t.refused.Store(&reason)
	}
	t.mu.Lock()
	if n > t.acked.Load() {
		t.acked.Store(n)
	}
	if n >= t.probed {
		t.waiting.Store(0)
	} else if t.waiting.Load() != 0 {
		t.waiting.Store(int64(time.Since(t.born)))
	}
	t.mu.Unlock()
	select {
	case t.progress <- struct{}{}:
	default:
	}
}

// room waits while too much is unconfirmed. False: there will be no room.
func (t *tracker) room(closed, dead <-chan struct{}) bool {
	if t.sent.Load()-t.acked.Load() < maxUnconfirmed {
		return true
	}
	timer := time.NewTimer(confirmWithin)
	defer timer.Stop()
	for t.sent.Load()-t.acked.Load() >= maxUnconfirmed {
		select {
		case <-t.progress:
		case <-timer.C:
			return false
		case <-closed:
			return false
		case <-dead:
			return false
		}
	}
	return true
}

// refusal reads JetStream's answer to a publish (nats-server, JSPubAckResponse):
// {"stream":…,"seq":…} or {"error":{…}}, or an empty message with the status 503
// where no stream takes the subject.
func refusal(msg *nats.Msg) error {
	if len(msg.Data) == 0 {
		return tocsin.Unavailable(errors.New("NATS has no stream for wake-ups; JetStream may be off"))
	}
	if !bytes.Contains(msg.Data, []byte(`"error"`)) {
		return nil
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil || answer.Error == nil {
		return nil
	}
	return tocsin.Unavailable(errors.New("NATS refuses wake-ups: " + answer.Error.Description))
}
