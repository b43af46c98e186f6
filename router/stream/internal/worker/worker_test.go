package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/internal/worker"
)

// fakeMessage records how it was settled.
type fakeMessage struct {
	corrupt   error
	delivered uint64
	// extend answers the nth extension, from 1; nil: with success.
	extend func(ctx context.Context, n int) error

	mu      sync.Mutex
	settled []string
	delay   time.Duration
	extends int
}

func (m *fakeMessage) Wake() (tocsin.Wake, error) {
	return tocsin.Wake{Incident: "a", Target: "slack:x"}, m.corrupt
}
func (m *fakeMessage) Delivered() uint64 { return m.delivered }
func (m *fakeMessage) Ack()              { m.settle("ack", 0) }
func (m *fakeMessage) Term(string)       { m.settle("term", 0) }

func (m *fakeMessage) Nak(d time.Duration) { m.settle("nak", d) }

func (m *fakeMessage) settle(how string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled, m.delay = append(m.settled, how), d
}

func (m *fakeMessage) Extend(ctx context.Context) error {
	m.mu.Lock()
	m.extends++
	n := m.extends
	m.mu.Unlock()
	if m.extend == nil {
		return nil
	}
	return m.extend(ctx, n)
}

const lease = 30 * time.Second

// pool returns a Pool and the outcomes that it observed.
func pool(ctx context.Context, limit int, handle worker.Handler) (*worker.Pool, chan string) {
	outcomes := make(chan string, 100)
	return worker.New(ctx, handle, worker.Options{
		Limit: limit, Lease: lease, Logger: slog.New(slog.DiscardHandler),
		Observe: func(outcome string) { outcomes <- outcome },
	}), outcomes
}

func TestSettles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handle   worker.Handler
		corrupt  error
		outcome  string
		settled  string
		min, max time.Duration
	}{
		"done": {handle: func(context.Context, tocsin.Wake) error { return nil }, outcome: worker.Done, settled: "ack"},
		"asked for a delay": {
			handle:  func(context.Context, tocsin.Wake) error { return tocsin.RetryAfter(errors.New("busy"), time.Minute) },
			outcome: worker.Retry, settled: "nak", min: time.Minute, max: time.Minute,
		},
		"asked for no delay": {
			handle:  func(context.Context, tocsin.Wake) error { return tocsin.RetryAfter(errors.New("busy"), 0) },
			outcome: worker.Retry, settled: "nak", min: worker.MinDelay, max: worker.MinDelay,
		},
		"failed": {
			handle:  func(context.Context, tocsin.Wake) error { return errors.New("no luck") },
			outcome: worker.Retry, settled: "nak", min: worker.FirstBackoff / 2, max: worker.FirstBackoff,
		},
		"panicked": {
			handle:  func(context.Context, tocsin.Wake) error { panic("a bug") },
			outcome: worker.Panic, settled: "nak", min: worker.FirstBackoff / 2, max: worker.FirstBackoff,
		},
		"corrupt": {
			handle:  func(context.Context, tocsin.Wake) error { panic("not reached") },
			corrupt: errors.New("no JSON"), outcome: worker.Corrupt, settled: "term",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, outcomes := pool(t.Context(), 1, test.handle)
			m := &fakeMessage{corrupt: test.corrupt, delivered: 1}
			p.Take(m)
			assert.Equal(t, test.outcome, <-outcomes)
			require.NoError(t, p.Drain())
			assert.Equal(t, []string{test.settled}, m.settled)
			assert.GreaterOrEqual(t, m.delay, test.min)
			assert.LessOrEqual(t, m.delay, test.max)
		})
	}
}

func TestDelayStaysInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		delivered := rapid.Uint64().Draw(t, "delivered")
		d := worker.Delay(errors.New("no luck"), delivered)
		assert.GreaterOrEqual(t, d, worker.FirstBackoff/2)
		assert.LessOrEqual(t, d, worker.MaxBackoff)
		if delivered > 8 {
			assert.GreaterOrEqual(t, d, worker.MaxBackoff/2)
		}
		asked := time.Duration(rapid.Int64().Draw(t, "asked"))
		d = worker.Delay(tocsin.RetryAfter(errors.New("busy"), asked), delivered)
		assert.Equal(t, min(max(asked, worker.MinDelay), worker.MaxDelay), d)
	})
}

func TestLeaseIsExtendedWhileTheHandlerWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, outcomes := pool(t.Context(), 1, func(ctx context.Context, _ tocsin.Wake) error {
			<-time.After(10 * time.Minute)
			return ctx.Err()
		})
		// Every second try fails: the next comes before the lease is over.
		m := &fakeMessage{extend: func(_ context.Context, n int) error {
			return []error{nil, errors.New("no answer")}[n%2]
		}}
		p.Take(m)
		assert.Equal(t, worker.Done, <-outcomes)
		assert.Equal(t, []string{"ack"}, m.settled)
		assert.Greater(t, m.extends, 40)
		n := m.extends
		<-time.After(time.Hour)
		synctest.Wait()
		assert.Equal(t, n, m.extends, "a released lease was extended")
	})
}

func TestLostLeaseEndsTheHandler(t *testing.T) {
	t.Parallel()
	for name, extend := range map[string]func(context.Context, int) error{
		"refused":   func(context.Context, int) error { return errors.New("no responders") },
		"no answer": func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() },
		"late":      func(_ context.Context, n int) error { return []error{nil, errors.New("gone")}[min(n/3, 1)] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var lost time.Duration
				p, outcomes := pool(t.Context(), 1, func(ctx context.Context, _ tocsin.Wake) error {
					<-ctx.Done()
					lost = time.Since(began)
					return context.Cause(ctx)
				})
				m := &fakeMessage{extend: extend}
				p.Take(m)
				assert.Equal(t, worker.Lost, <-outcomes)
				assert.Empty(t, m.settled, "the message is not ours to settle any more")
				want := lease
				if name == "late" {
					want += 2 * lease / 3
				}
				assert.Less(t, lost, want, "work outlived the lease")
				assert.Greater(t, lost, want/2)
			})
		})
	}
}

func TestDoneIsAcknowledgedEvenWhenTheLeaseWasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, outcomes := pool(t.Context(), 1, func(context.Context, tocsin.Wake) error {
			<-time.After(2 * lease)
			return nil
		})
		m := &fakeMessage{extend: func(context.Context, int) error { return errors.New("gone") }}
		p.Take(m)
		assert.Equal(t, worker.Done, <-outcomes)
		assert.Equal(t, []string{"ack"}, m.settled)
	})
}

// A message that waited for a place until its lease was over is delivered to
// somebody else by now.
func TestMessageThatWaitedTooLongIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, outcomes := pool(t.Context(), 1, func(context.Context, tocsin.Wake) error {
			<-time.After(lease)
			return nil
		})
		p.Take(&fakeMessage{})
		second := &fakeMessage{}
		p.Take(second)
		assert.Equal(t, worker.Done, <-outcomes)
		assert.Equal(t, worker.Lost, <-outcomes)
		assert.Empty(t, second.settled)
	})
}

func TestDrainGivesHandlersGraceAndThenEndsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, outcomes := pool(ctx, 2, func(ctx context.Context, _ tocsin.Wake) error {
			<-ctx.Done()
			return ctx.Err()
		})
		m := &fakeMessage{delivered: 5}
		p.Take(m)
		cancel()
		late := &fakeMessage{}
		p.Take(late)
		assert.Equal(t, []string{"nak"}, late.settled)
		began := time.Now()
		require.NoError(t, p.Drain())
		assert.Equal(t, worker.Grace, time.Since(began))
		assert.Equal(t, worker.Retry, <-outcomes)
		assert.Equal(t, []string{"nak"}, m.settled)
		assert.Zero(t, m.delay, "somebody else should have it at once")
	})
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p, _ := pool(t.Context(), 2, func(context.Context, tocsin.Wake) error {
			<-release
			return nil
		})
		p.Take(&fakeMessage{})
		require.ErrorContains(t, p.Drain(), "1 handlers")
		close(release)
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"slack": true, "A-b_9": true, "": false, "a.b": false, "*": false, ">": false, "a b": false, "ü": false, "a\x00": false,
	} {
		assert.Equal(t, want, worker.Token(s), "%q", s)
	}
}

func BenchmarkPool(b *testing.B) {
	p := worker.New(b.Context(), func(context.Context, tocsin.Wake) error { return nil },
		worker.Options{Limit: 1024, Lease: lease, Logger: slog.New(slog.DiscardHandler)})
	b.ReportAllocs()
	for b.Loop() {
		p.Take(&fakeMessage{})
	}
	require.NoError(b, p.Drain())
}
