package streamtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Queue is what carries wake-ups: stream.Stream, Memory.
type Queue interface {
	// Wake is stream.Stream's.
	Wake(wakes []tocsin.Wake) error
	// Healthy is stream.Stream's.
	Healthy() bool
	// Consume is stream.Stream's.
	Consume(ctx context.Context, kind string, handle func(context.Context, tocsin.Wake) error) error
}

// Open returns an empty, healthy queue that handles limit wake-ups of a kind at
// once, whose lease is lease where it has one, and that is closed with the test.
type Open func(t *testing.T, limit int, lease time.Duration) Queue

// patience bounds every wait of the suite.
const patience = 15 * time.Second

// Conformance holds a queue to what handlers of wake-ups rely on.
func Conformance(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"delivers what is woken, whatever the target's name": testDelivers,
		"keeps kinds apart": testKinds,
		"keeps one wake-up waiting per incident and target":            testOneWaiting,
		"delivers a wake-up that comes while the earlier is handled":   testWakeWhileHandled,
		"delivers again after the delay that an error names":           testRetryDelay,
		"delivers again after an error without a delay, and a panic":   testRetryBackoff,
		"a new wake-up does not wait for the delay of the earlier one": testWakeBeatsDelay,
		"a thousand delayed wake-ups hold up no other":                 testDelayedHoldUpNone,
		"handles up to the limit at once":                              testConcurrency,
		"keeps a wake-up while its handler works":                      testLease,
		"lets handlers finish when the context ends":                   testEnd,
		"gives back what was not handled":                              testGivesBack,
		"refuses what can never be sent, and sends the rest":           testInvalid,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func testDelivers(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	var wakes []tocsin.Wake
	for n, target := range []string{
		"slack:#incidents", "slack:a.b.*.>", "slack:with space\tand\nlines", "slack:", "slack",
		"slack:" + strings.Repeat("long", 1000), `slack:"quoted\"`, "slack:ünïcode", "slack:a:b:c",
	} {
		wakes = append(wakes, tocsin.Wake{Incident: fmt.Sprintf("inc%d", n), Target: target, Severity: tocsin.Critical})
	}
	h := consume(t, q, "slack", succeed)
	require.NoError(t, q.Wake(wakes))
	got := map[tocsin.Wake]int{}
	for range wakes {
		got[h.next(t)]++
	}
	for _, w := range wakes {
		assert.Equal(t, 1, got[w], "deliveries of %+v", w)
	}
	h.none(t)
}

func testKinds(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	slack, webhook := consume(t, q, "slack", succeed), consume(t, q, "webhook", succeed)
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "webhook:x"), wake("b", "slack:x"), wake("c", "slackish:x")}))
	assert.Equal(t, wake("b", "slack:x"), slack.next(t))
	assert.Equal(t, wake("a", "webhook:x"), webhook.next(t))
	slack.none(t)
	webhook.none(t)
}

func testOneWaiting(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	for n := range 50 {
		w := wake("a", "slack:x")
		w.Severity = []tocsin.Severity{tocsin.Info, tocsin.Critical}[n/49]
		require.NoError(t, q.Wake([]tocsin.Wake{w, wake("b", "slack:x"), wake("a", "slack:y")}))
	}
	flushed := consume(t, q, "flush", succeed)
	require.NoError(t, q.Wake([]tocsin.Wake{wake("z", "flush:")}))
	flushed.next(t) // what was woken before is in the queue now

	h := consume(t, q, "slack", succeed)
	got := map[tocsin.Wake]int{}
	for range 3 {
		got[h.next(t)]++
	}
	latest := wake("a", "slack:x")
	latest.Severity = tocsin.Critical
	assert.Equal(t, map[tocsin.Wake]int{latest: 1, wake("b", "slack:x"): 1, wake("a", "slack:y"): 1}, got)
	h.none(t)
}

func testWakeWhileHandled(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	release := make(chan struct{})
	defer close(release)
	var calls atomic.Int32
	h := consume(t, q, "slack", func(context.Context, tocsin.Wake) error {
		if calls.Add(1) == 1 {
			<-release
		}
		return nil
	})
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	h.next(t)
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	h.next(t)
	h.none(t)
}

func testRetryDelay(t *testing.T, open Open) {
	const delay = 400 * time.Millisecond
	q := open(t, 16, time.Minute)
	var calls atomic.Int32
	h := consume(t, q, "slack", func(context.Context, tocsin.Wake) error {
		if calls.Add(1) == 1 {
			return tocsin.RetryAfter(errors.New("busy"), delay)
		}
		return nil
	})
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	h.next(t)
	began := time.Now()
	h.next(t)
	assert.GreaterOrEqual(t, time.Since(began), delay-50*time.Millisecond)
	assert.Less(t, time.Since(began), delay+2*time.Second)
	h.none(t)
}

func testRetryBackoff(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	var calls atomic.Int32
	h := consume(t, q, "slack", func(context.Context, tocsin.Wake) error {
		switch calls.Add(1) {
		case 1:
			return errors.New("no luck")
		case 2:
			panic("a bug")
		default:
			return nil
		}
	})
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	began := time.Now()
	for range 3 {
		h.next(t)
	}
	assert.GreaterOrEqual(t, time.Since(began), 500*time.Millisecond, "a quarter of a second and a half at least")
	h.none(t)
}

func testWakeBeatsDelay(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	h := consume(t, q, "slack", func(_ context.Context, w tocsin.Wake) error {
		if w.Severity == tocsin.Info {
			return tocsin.RetryAfter(errors.New("busy"), time.Hour)
		}
		return nil
	})
	first := wake("a", "slack:x")
	first.Severity = tocsin.Info
	require.NoError(t, q.Wake([]tocsin.Wake{first}))
	assert.Equal(t, first, h.next(t))
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	assert.Equal(t, wake("a", "slack:x"), h.next(t))
}

func testDelayedHoldUpNone(t *testing.T, open Open) {
	q := open(t, 8, time.Minute)
	h := consume(t, q, "slack", func(_ context.Context, w tocsin.Wake) error {
		if w.Target == "slack:down" {
			return tocsin.RetryAfter(errors.New("down"), time.Hour)
		}
		return nil
	})
	down := make([]tocsin.Wake, 3000)
	for n := range down {
		down[n] = wake(fmt.Sprintf("i%d", n), "slack:down")
	}
	require.NoError(t, q.Wake(down))
	for range down {
		h.next(t)
	}
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:up")}))
	assert.Equal(t, wake("a", "slack:up"), h.next(t))
}

func testConcurrency(t *testing.T, open Open) {
	const limit = 4
	q := open(t, limit, time.Minute)
	release := make(chan struct{})
	h := consume(t, q, "slack", func(context.Context, tocsin.Wake) error {
		<-release
		return nil
	})
	var wakes []tocsin.Wake
	for n := range 2 * limit {
		wakes = append(wakes, wake(fmt.Sprintf("i%d", n), "slack:x"))
	}
	require.NoError(t, q.Wake(wakes))
	for range limit {
		h.next(t)
	}
	h.none(t)
	close(release)
	for range limit {
		h.next(t)
	}
	h.none(t)
}

func testLease(t *testing.T, open Open) {
	const lease = 600 * time.Millisecond
	q := open(t, 16, lease)
	finished := make(chan error, 1)
	h := consume(t, q, "slack", func(ctx context.Context, _ tocsin.Wake) error {
		select {
		case <-time.After(3 * lease):
		case <-ctx.Done():
		}
		finished <- context.Cause(ctx)
		return nil
	})
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	h.next(t)
	require.NoError(t, <-finished, "the handler's context ended while it worked")
	h.none(t)
	assert.Equal(t, 1, h.count(), "deliveries")
}

func testEnd(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	started, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	var cause error
	go func() {
		ended <- q.Consume(ctx, "slack", func(ctx context.Context, _ tocsin.Wake) error {
			close(started)
			<-release
			cause = ctx.Err()
			return nil
		})
	}()
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x")}))
	receive(t, started)
	cancel()
	select {
	case err := <-ended:
		require.Fail(t, "Consume returned while a handler ran", "%v", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	require.NoError(t, receive(t, ended))
	require.NoError(t, cause, "the handler's context ended with Consume's")

	require.NoError(t, q.Wake([]tocsin.Wake{wake("b", "slack:x")}))
	h := consume(t, q, "slack", succeed)
	assert.Equal(t, wake("b", "slack:x"), h.next(t), "a handled wake-up came again")
	h.none(t)
}

func testGivesBack(t *testing.T, open Open) {
	q := open(t, 1, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	started, release := make(chan struct{}, 10), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- q.Consume(ctx, "slack", func(context.Context, tocsin.Wake) error {
			started <- struct{}{}
			<-release
			return nil
		})
	}()
	require.NoError(t, q.Wake([]tocsin.Wake{wake("a", "slack:x"), wake("b", "slack:x"), wake("c", "slack:x")}))
	receive(t, started)
	cancel()
	close(release)
	require.NoError(t, receive(t, ended))

	h := consume(t, q, "slack", succeed)
	got := []string{h.next(t).Incident, h.next(t).Incident}
	assert.ElementsMatch(t, []string{"b", "c"}, got)
	h.none(t)
}

func testInvalid(t *testing.T, open Open) {
	q := open(t, 16, time.Minute)
	h := consume(t, q, "slack", succeed)
	for _, bad := range []tocsin.Wake{
		{},
		wake("", "slack:x"), wake("a", ""), wake("a", ":x"), wake("a.b", "slack:x"), wake("a", "sl.ack:x"),
		wake("*", "slack:x"), wake(">", "slack:x"), wake("a", "slack:\xff"), wake("a b", "slack:x"),
		wake("a", "slack:"+strings.Repeat("x", 5000)),
	} {
		require.ErrorIs(t, q.Wake([]tocsin.Wake{bad, wake("good", "slack:x")}), tocsin.ErrInvalid, "%+v", bad)
		assert.Equal(t, wake("good", "slack:x"), h.next(t))
	}
	h.none(t)
	require.ErrorIs(t, q.Consume(t.Context(), "a.>", succeed), tocsin.ErrInvalid)
	assert.NoError(t, q.Wake(nil))
	assert.True(t, q.Healthy())
}

func wake(incident, target string) tocsin.Wake {
	return tocsin.Wake{Incident: incident, Target: target}
}

func succeed(context.Context, tocsin.Wake) error { return nil }

// handled records what a consumer was given.
type handled struct {
	ch chan tocsin.Wake

	mu sync.Mutex
	n  int
}

// consume runs a consumer until the test ends.
func consume(t *testing.T, q Queue, kind string, handle func(context.Context, tocsin.Wake) error) *handled {
	t.Helper()
	h := &handled{ch: make(chan tocsin.Wake, 10_000)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- q.Consume(ctx, kind, func(ctx context.Context, w tocsin.Wake) error {
			h.mu.Lock()
			h.n++
			h.mu.Unlock()
			h.ch <- w
			return handle(ctx, w)
		})
	}()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, receive(t, ended))
	})
	return h
}

func (h *handled) next(t *testing.T) tocsin.Wake {
	t.Helper()
	return receive(t, h.ch)
}

// none checks that nothing comes for a while.
func (h *handled) none(t *testing.T) {
	t.Helper()
	select {
	case w := <-h.ch:
		assert.Fail(t, "unexpected delivery", "%+v", w)
	case <-time.After(150 * time.Millisecond):
	}
}

func (h *handled) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.Fail(t, "nothing came", "within %s", patience)
		panic("unreachable")
	}
}
