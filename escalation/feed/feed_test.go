package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/feed"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// memory is a store of documents.
type memory struct {
	mu      sync.Mutex
	docs    map[string]string
	updates int
	err     error
}

func (m *memory) Update(_ context.Context, fn func(tocsin.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.updates++
	return fn(writer{m: m})
}

// writer is the part of a Tx that feeds use.
type writer struct {
	tocsin.Tx
	m *memory
}

func (w writer) PutDocument(kind, id string, value []byte) {
	if w.m.docs == nil {
		w.m.docs = map[string]string{}
	}
	w.m.docs[kind+"/"+id] = string(value)
}

func (w writer) DeleteDocument(kind, id string) { delete(w.m.docs, kind+"/"+id) }

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) kept() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.docs)
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.updates
}

func (m *memory) Documents(context.Context, string) ([]tocsin.Document, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []tocsin.Document
	for _, key := range slices.Sorted(maps.Keys(m.docs)) {
		out = append(out, tocsin.Document{ID: strings.TrimPrefix(key, "feed/"), Value: []byte(m.docs[key])})
	}
	return out, 0, m.err
}

// source is one that answers what it is told to.
type source struct {
	id    string
	every time.Duration

	mu    sync.Mutex
	spans []oncall.Span
	err   error
	asked []time.Time
}

func (s *source) set(err error, spans ...oncall.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans, s.err = spans, err
}

func (s *source) source() feed.Source {
	return feed.Source{ID: s.id, Every: s.every, Fetch: func(_ context.Context, from, to time.Time) ([]oncall.Span, error) {
		if from.Hour() != 0 || to.Sub(from) != feed.Back+feed.Ahead {
			return nil, fmt.Errorf("asked for %v to %v", from, to)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, time.Now())
		return s.spans, s.err
	}}
}

// calls returns how often the source was asked since it was called last.
func (s *source) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.asked)
	s.asked = nil
	return n
}

func span(user string, day int) oncall.Span {
	begin := time.Date(2000, 1, day, 9, 0, 0, 0, time.UTC)
	return oncall.Span{User: user, From: begin, To: begin.AddDate(0, 0, 1)}
}

// journal is a log to read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// harness runs feeds inside a synctest bubble, whose clock begins in 2000.
type harness struct {
	*feed.Feeds
	store   *memory
	log     journal
	reg     *prometheus.Registry
	changed atomic.Int32
	stop    func()
}

func start(t *testing.T, store *memory, sources ...*source) *harness {
	t.Helper()
	h := &harness{store: store, reg: prometheus.NewRegistry()}
	var err error
	h.Feeds, err = feed.New(store, list(sources...), feed.Options{
		Logger: slog.New(slog.NewTextHandler(&h.log, nil)), Registerer: h.reg, Changed: func() { h.changed.Add(1) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if cancel(); !stopped {
			stopped = true
			assert.NoError(t, <-done)
		}
	}
	t.Cleanup(h.stop)
	return h
}

// metrics returns the values, by name and feed.
func (h *harness) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := h.reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			out[family.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

func list(sources ...*source) []feed.Source {
	var out []feed.Source
	for _, s := range sources {
		out = append(out, s.source())
	}
	return out
}

// pass lets time pass, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWhatASourceSaysIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cal := &source{id: "primary/imported", every: 10 * time.Minute}
		cal.set(nil, span("bo", 4), span("ana", 3), span("bo", 4), oncall.Span{User: "nobody", From: time.Now(), To: time.Now()})
		h := start(t, &memory{}, cal)
		assert.Nil(t, h.Spans(cal.id))
		pass(time.Second)
		want := []oncall.Span{span("ana", 3), span("bo", 4)}
		assert.Equal(t, want, h.Spans(cal.id))
		assert.EqualValues(t, 1, h.changed.Load())
		assert.JSONEq(t, `{"fetchedAt":"2000-01-01T00:00:00Z","from":"1999-10-02T00:00:00Z","to":"2000-07-01T00:00:00Z","spans":[
			{"user":"ana","from":"2000-01-03T09:00:00Z","to":"2000-01-04T09:00:00Z"},
			{"user":"bo","from":"2000-01-04T09:00:00Z","to":"2000-01-05T09:00:00Z"}]}`, h.store.kept()["feed/primary/imported"])

		cal.set(nil, span("ana", 3), span("bo", 4)) // the same in another order
		pass(23 * time.Hour)
		assert.Equal(t, 1+23*6, cal.calls())
		assert.Equal(t, 1, h.store.count(), "what has not changed is not written")
		pass(time.Hour)
		assert.Equal(t, 2, h.store.count(), "but on a new day")
		assert.EqualValues(t, 1, h.changed.Load())

		cal.set(nil, span("ana", 3))
		pass(10 * time.Minute)
		assert.Equal(t, []oncall.Span{span("ana", 3)}, h.Spans(cal.id))
		assert.EqualValues(t, 2, h.changed.Load())
		h.stop()

		cal.set(errors.New("away"))
		again := start(t, h.store, cal)
		assert.Equal(t, []oncall.Span{span("ana", 3)}, again.Spans(cal.id), "from the store")
		pass(time.Hour)
		assert.Equal(t, []oncall.Span{span("ana", 3)}, again.Spans(cal.id), "while the source is away")
		assert.Zero(t, again.changed.Load())
	})
}

func TestAnOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cal := &source{id: "x", every: 10 * time.Minute}
		cal.set(nil, span("ana", 3))
		h := start(t, &memory{}, cal)
		pass(time.Second)
		cal.calls()
		cal.set(errors.New("the calendar at example.com was not fetched"))
		pass(2 * time.Hour)
		// After 10 minutes, then 0:30, 1, 2, 4, 8 minutes, then 10 again.
		assert.Equal(t, 1+5+9, cal.calls())
		assert.Equal(t, 1, strings.Count(h.log.String(), "does not answer"))
		assert.Contains(t, h.log.String(), "feed=x age=10m0s")
		assert.Contains(t, h.log.String(), "was not fetched")
		assert.Equal(t, []oncall.Span{span("ana", 3)}, h.Spans("x"))
		assert.Equal(t, map[string]float64{"tocsin_feed_age_seconds x": 7201, "tocsin_feed_errors_total x": 15}, h.metrics(t))
		cal.set(nil, span("ana", 3))
		pass(10 * time.Minute)
		assert.Contains(t, h.log.String(), "answers again")
		assert.EqualValues(t, 1, h.changed.Load())
		cal.set(errors.New("again"))
		pass(10 * time.Minute)
		assert.Equal(t, 2, strings.Count(h.log.String(), "does not answer"))
	})
}

func TestASourceThatNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := &source{id: "busy", every: time.Second} // not that often
		busy.set(tocsin.RetryAfter(errors.New("later"), 40*time.Minute))
		h := start(t, &memory{}, busy)
		pass(100 * time.Minute)
		assert.Equal(t, 3, busy.calls(), "as it asked for")
		assert.Nil(t, h.Spans("busy"))
		assert.Contains(t, h.log.String(), "never did")
		assert.Empty(t, h.store.kept())
		busy.set(nil)
		pass(20 * time.Minute)
		busy.calls()
		assert.Zero(t, h.changed.Load(), "nobody is on call by it, as before")
		assert.Len(t, h.store.kept(), 1)
		pass(time.Minute)
		assert.Equal(t, 6, busy.calls())
		busy.set(nil, slices.Repeat([]oncall.Span{span("ana", 1)}, 20_001)...)
		pass(time.Minute)
		assert.Contains(t, h.log.String(), "more than 20000")
		busy.set(nil, oncall.Span{User: "ana", To: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)})
		pass(time.Minute)
		assert.Empty(t, h.Spans("busy"))
	})
}

func TestTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cal := &source{id: "x", every: time.Minute}
		cal.set(nil, span("ana", 3))
		store := &memory{}
		h := start(t, store, cal)
		store.fail(tocsin.ErrUnavailable)
		pass(time.Second)
		assert.Len(t, h.Spans("x"), 1, "it holds all the same")
		assert.EqualValues(t, 1, h.changed.Load())
		assert.Contains(t, h.log.String(), "could not be stored")
		store.fail(nil)
		pass(time.Minute)
		assert.Len(t, store.kept(), 1, "and is written with the next answer")
		assert.EqualValues(t, 1, h.changed.Load())
	})
	_, err := feed.New(&memory{err: tocsin.ErrUnavailable}, nil, feed.Options{})
	assert.ErrorIs(t, err, tocsin.ErrUnavailable)
	_, err = feed.New(nil, nil, feed.Options{})
	assert.Error(t, err)
}

func TestNewSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &source{id: "a"}, &source{id: "b"}
		a.set(nil, span("ana", 3))
		b.set(nil, span("bo", 3))
		h := start(t, &memory{}, a)
		pass(time.Second)
		h.SetSources(append(list(b, a, a), feed.Source{ID: "c"}, feed.Source{Fetch: b.source().Fetch}))
		assert.Equal(t, 3, strings.Count(h.log.String(), "is left out"))
		pass(0)
		assert.Equal(t, 1, b.calls())
		assert.Equal(t, 1, a.calls(), "a little later")
		pass(time.Second)
		assert.Equal(t, 1, a.calls())
		assert.Len(t, h.Spans("b"), 1)

		h.SetSources(list(b))
		pass(65 * time.Minute)
		assert.Zero(t, a.calls())
		assert.Equal(t, map[string]float64{"tocsin_feed_age_seconds b": 300, "tocsin_feed_errors_total b": 0}, h.metrics(t))
		assert.Len(t, h.Spans("a"), 1, "what it said stays for its return")
		pass(feed.Ahead + 24*time.Hour)
		assert.Len(t, h.store.kept(), 2)
		h.SetSources(list(b))
		pass(time.Second)
		assert.Equal(t, []string{"feed/b"}, slices.Collect(maps.Keys(h.store.kept())), "until it is past")
		assert.Nil(t, h.Spans("a"))
	})
}

// A source that hangs holds up neither the others, nor the end.
func TestASourceThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good := &source{id: "good"}
		good.set(nil, span("ana", 3))
		h := start(t, &memory{})
		h.SetSources(append([]feed.Source{{ID: "hangs", Fetch: func(ctx context.Context, _, _ time.Time) ([]oncall.Span, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}}, good.source()))
		pass(time.Second)
		assert.Len(t, h.Spans("good"), 1)
		assert.Empty(t, h.log.String())
		pass(time.Minute)
		assert.Contains(t, h.log.String(), "context deadline exceeded")
		pass(29 * time.Second)
		h.stop()
		assert.Equal(t, 1, strings.Count(h.log.String(), "does not answer"), "stopping is no outage")
	})
}

func TestWhatCannotBeReadIsAskedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cal := &source{id: "x"}
		cal.set(nil, span("ana", 3))
		h := start(t, &memory{docs: map[string]string{"feed/x": "{"}}, cal)
		assert.Contains(t, h.log.String(), "cannot be read")
		pass(time.Second)
		assert.Len(t, h.Spans("x"), 1)
	})
}

// What is told of a change may look, and change the sources, without a deadlock.
func TestChangedMayCallBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cal := &source{id: "x"}
		cal.set(nil, span("ana", 3))
		var f *feed.Feeds
		var seen [][]oncall.Span
		var err error
		f, err = feed.New(&memory{}, list(cal), feed.Options{Changed: func() {
			seen = append(seen, f.Spans("x"))
			f.SetSources(list(cal))
		}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, f.Run(ctx))
		assert.Equal(t, [][]oncall.Span{{span("ana", 3)}}, seen)
		assert.Equal(t, 2, cal.calls())
	})
}
