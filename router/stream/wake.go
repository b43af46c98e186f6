package stream

import (
	"errors"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

const (
	// maxQueued is how many wake-ups may wait for the publisher. A wake-up
	// takes about 100 bytes.
	maxQueued = 1 << 16
	// maxUnconfirmed is how many may be on their way without a confirmation.
	// It stays below the 10,000 that a JetStream stream buffers by default.
	maxUnconfirmed = 4096
	tick           = 500 * time.Millisecond
)

// wakeQueue holds what Wake was given until the publisher takes it.
type wakeQueue struct {
	mu     sync.Mutex
	queue  []tocsin.Wake
	signal chan struct{}
}

// put appends all of wakes, or none when too many wait.
func (q *wakeQueue) put(wakes []tocsin.Wake) bool {
	q.mu.Lock()
	if len(q.queue)+len(wakes) > maxQueued {
		q.mu.Unlock()
		return false
	}
	q.queue = append(q.queue, wakes...)
	q.mu.Unlock()
	select {
	case q.signal <- struct{}{}:
	default:
	}
	return true
}

// take swaps the queue for the empty slice spare.
func (q *wakeQueue) take(spare []tocsin.Wake) []tocsin.Wake {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.queue
	q.queue = spare[:0]
	return taken
}

// Wake has the handlers of the targets' kinds told. It waits for nothing: nil
// means that NATS worked a moment ago and will be given the wake-ups. An error
// that satisfies errors.Is(err, tocsin.ErrUnavailable) means that none were
// taken: wake in-process. One that satisfies errors.Is(err, tocsin.ErrInvalid)
// names wake-ups that can never be sent; the others were taken.
//
// A wake-up replaces one for the same (incident, target) that waits, also one
// that waits for a retry.
func (s *Stream) Wake(wakes []tocsin.Wake) error {
	for n := range wakes {
		if worker.Check(wakes[n]) != nil {
			return s.wakeValid(wakes)
		}
	}
	return s.wake(wakes)
}

// wakeValid sends what can be sent and returns why the rest cannot.
func (s *Stream) wakeValid(wakes []tocsin.Wake) error {
	var valid []tocsin.Wake
	var errs []error
	for _, w := range wakes {
		if err := worker.Check(w); err != nil {
			errs = append(errs, err)
			continue
		}
		valid = append(valid, w)
	}
	s.metrics.failed.Add(float64(len(errs)))
	return errors.Join(append(errs, s.wake(valid))...)
}

func (s *Stream) wake(wakes []tocsin.Wake) error {
	err := s.Err()
	if err == nil && !s.wakes.put(wakes) {
		err = errFull
	}
	if err != nil {
		s.metrics.failed.Add(float64(len(wakes)))
	}
	return err
}

// publishWakes is the one goroutine that publishes wake-ups, so that a socket
// that takes no more holds nobody else.
func (s *Stream) publishWakes() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var spare []tocsin.Wake
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			if sess := s.sess.Load(); sess != nil && sess.connected.Load() {
				sess.track.idle(sess.nc)
			}
		case <-s.wakes.signal:
			batch := s.wakes.take(spare)
			sent := s.publishBatchOfWakes(batch)
			s.metrics.published.Add(float64(sent))
			if lost := len(batch) - sent; lost > 0 {
				s.metrics.failed.Add(float64(lost))
				s.log.Warn("wake-ups were lost on the way to NATS; the sweep finds what lags", "wakeups", lost)
			}
			if spare = batch[:0]; cap(spare) > 4096 {
				spare = nil
			}
		}
	}
}

// publishBatchOfWakes returns how many it could send.
func (s *Stream) publishBatchOfWakes(batch []tocsin.Wake) int {
	sess := s.sess.Load()
	if sess == nil {
		return 0
	}
	for n := range batch {
		if !sess.track.room(s.ctx.Done(), sess.dead) {
			return n
		}
		w := &batch[n]
		data, err := json.Marshal(w)
		if err == nil {
			err = sess.track.publish(sess.nc, wakeSubject(w), data)
		}
		if err != nil {
			s.log.Debug("wake-up not published", "error", err)
			return n
		}
	}
	return len(batch)
}

// wakeSubject names the (incident, target). The target is hashed: it may hold
// anything and be of any length, and a line too long would cost the connection.
func wakeSubject(w *tocsin.Wake) string {
	return wakePrefix + worker.Kind(w.Target) + "." + w.Incident + "." + tocsin.NewKey(w.Target).String()
}
