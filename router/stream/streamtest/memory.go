// Package streamtest stands in for package stream in tests: an in-process queue
// of wake-ups without NATS, sockets or files, which works in a testing/synctest
// bubble, and the suite that holds it and the real one to the same behaviour.
package streamtest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

// Memory is a queue of wake-ups that behaves as stream.Stream does. Its zero
// value is ready to use. Its methods may be called concurrently.
type Memory struct {
	// Limit is the number of wake-ups of one kind and Consume that are handled
	// at once; 0: 1024. Set it before use.
	Limit int

	mu    sync.Mutex
	lanes map[string]*lane
	seq   uint64
	err   error
}

// lane holds the wake-ups of one kind. An entry's place in order is void when
// its number is not that of the entry any more.
type lane struct {
	entries map[key]*entry
	order   []place
	// ready is closed, and replaced, when order grows.
	ready chan struct{}
}

type key struct{ incident, target string }

type entry struct {
	wake      tocsin.Wake
	seq       uint64
	delivered uint64
}

type place struct {
	key key
	seq uint64
}

// Fail makes Wake return err, as a Stream does whose NATS is away; nil mends it.
// What waits is still delivered.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Healthy reports whether Wake works.
func (m *Memory) Healthy() bool { return m.Err() == nil }

// Err is what Fail was given.
func (m *Memory) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Waiting counts the wake-ups that are not settled: that wait, wait for a retry,
// or are handled.
func (m *Memory) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, l := range m.lanes {
		n += len(l.entries)
	}
	return n
}

// Wake is as stream.Stream's.
func (m *Memory) Wake(wakes []tocsin.Wake) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	var invalid error
	for _, w := range wakes {
		if err := worker.Check(w); err != nil {
			invalid = err
			continue
		}
		l := m.lane(worker.Kind(w.Target))
		k := key{w.Incident, w.Target}
		m.seq++
		l.entries[k] = &entry{wake: w, seq: m.seq}
		l.push(place{k, m.seq})
	}
	return invalid
}

// lane returns the lane of a kind; m.mu is held.
func (m *Memory) lane(kind string) *lane {
	if m.lanes == nil {
		m.lanes = map[string]*lane{}
	}
	l := m.lanes[kind]
	if l == nil {
		l = &lane{entries: map[key]*entry{}, ready: make(chan struct{})}
		m.lanes[kind] = l
	}
	return l
}

func (l *lane) push(p place) {
	l.order = append(l.order, p)
	close(l.ready)
	l.ready = make(chan struct{})
}

// Consume is as stream.Stream's, but that the lease is never lost.
func (m *Memory) Consume(ctx context.Context, kind string, handle func(context.Context, tocsin.Wake) error) error {
	if !worker.Token(kind) {
		return tocsin.Invalid("kind", "%.80q: want letters, digits, '_' or '-'", kind)
	}
	limit := m.Limit
	if limit <= 0 {
		limit = 1024
	}
	pool := worker.New(ctx, handle, worker.Options{
		Limit: limit, Lease: 30 * time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	for ctx.Err() == nil {
		d, wait := m.next(kind)
		if d != nil {
			pool.Take(d)
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
	return pool.Drain()
}

// next takes the first wake-up of a kind, or returns a channel that is closed
// when there may be one.
func (m *Memory) next(kind string) (*delivery, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lane(kind)
	for len(l.order) > 0 {
		p := l.order[0]
		l.order = l.order[1:]
		if e := l.entries[p.key]; e != nil && e.seq == p.seq {
			e.delivered++
			return &delivery{queue: m, lane: l, place: p, wake: e.wake, delivered: e.delivered}, nil
		}
	}
	return nil, l.ready
}

// delivery is one delivery of an entry. Settling it does nothing when a later
// wake-up has taken the entry's place.
type delivery struct {
	queue     *Memory
	lane      *lane
	place     place
	wake      tocsin.Wake
	delivered uint64
}

// Wake returns the wake-up.
func (d *delivery) Wake() (tocsin.Wake, error) { return d.wake, nil }

// Delivered counts the deliveries.
func (d *delivery) Delivered() uint64 { return d.delivered }

// Extend always succeeds.
func (d *delivery) Extend(context.Context) error { return nil }

// Ack settles the wake-up.
func (d *delivery) Ack() {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	if d.current() {
		delete(d.lane.entries, d.place.key)
	}
}

// Term settles the wake-up.
func (d *delivery) Term(string) { d.Ack() }

// Nak has the wake-up delivered again.
func (d *delivery) Nak(after time.Duration) {
	if after > 0 {
		time.AfterFunc(after, d.again)
		return
	}
	d.again()
}

func (d *delivery) again() {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	if d.current() {
		d.lane.push(d.place)
	}
}

// current reports whether the entry is still the one delivered; the queue's mu
// is held.
func (d *delivery) current() bool {
	e := d.lane.entries[d.place.key]
	return e != nil && e.seq == d.place.seq
}
