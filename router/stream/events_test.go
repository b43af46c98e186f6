package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream"
)

// eventLog stands for the store's.
type eventLog struct {
	mu     sync.Mutex
	events []tocsin.Event
	notify chan struct{}
	fail   error
}

func newEventLog() *eventLog { return &eventLog{notify: make(chan struct{}, 1)} }

func (l *eventLog) Log(_ context.Context, after uint64, limit int) ([]tocsin.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	var out []tocsin.Event
	for _, e := range l.events {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// add appends n events; every seventh number is left out, as by a transaction
// that failed.
func (l *eventLog) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		seq := uint64(1)
		if len(l.events) > 0 {
			seq = l.events[len(l.events)-1].Seq + 1
		}
		if seq%7 == 0 {
			seq++
		}
		l.events = append(l.events, tocsin.Event{
			Seq: seq, Kind: tocsin.EventNote, Incident: fmt.Sprintf("inc%d", seq%3), Revision: seq,
			At: time.Now().Round(0), Text: "event " + strconv.FormatUint(seq, 10),
		})
	}
	select {
	case l.notify <- struct{}{}:
	default:
	}
}

func (l *eventLog) all() []tocsin.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

func (l *eventLog) failWith(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

// publish runs PublishEvents until the returned function is called.
func publish(t *testing.T, s *stream.Stream, l *eventLog) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.PublishEvents(ctx, l, l.notify) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

// published reads the whole event stream.
func published(t *testing.T, js jetstream.JetStream) []tocsin.Event {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.EventStream)
	if err != nil {
		return nil
	}
	var events []tocsin.Event
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq > 0 && seq <= state.LastSeq; seq++ {
		msg, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		require.NoError(t, err)
		var e tocsin.Event
		require.NoError(t, json.Unmarshal(msg.Data, &e))
		id := strconv.FormatUint(e.Seq, 10)
		assert.Equal(t, id, msg.Header.Get(stream.SeqHeader))
		assert.Equal(t, id, msg.Header.Get("Nats-Msg-Id"))
		assert.Equal(t, "tocsin.events."+string(e.Kind), msg.Subject)
		events = append(events, e)
	}
	return events
}

// arrives waits until the stream holds as many events as the log, and compares.
func arrives(t *testing.T, js jetstream.JetStream, l *eventLog) {
	t.Helper()
	want := l.all()
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream.EventStream)
		return err == nil && s.CachedInfo().State.Msgs >= uint64(len(want))
	}, patience, 20*time.Millisecond)
	got := published(t, js)
	require.Len(t, got, len(want))
	for n := range want {
		require.Equal(t, want[n].Seq, got[n].Seq)
		assert.True(t, want[n].At.Equal(got[n].At))
		got[n].At = want[n].At
		require.Equal(t, want[n], got[n])
	}
}

func TestEventsArriveInOrderOnce(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l, s := newEventLog(), start(t, stream.Config{URL: n.url()})
	l.add(1000)
	publish(t, s, l)
	for range 20 {
		l.add(37)
	}
	arrives(t, n.client(), l)
}

// Tocsin may stop at any point: the next one goes on where the stream ends.
func TestEventsGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	for range 4 {
		s := start(t, stream.Config{URL: n.url()})
		stop := publish(t, s, l)
		l.add(1500)
		require.Eventually(t, func() bool { return len(published(t, n.client())) > len(l.all())-1400 }, patience, time.Millisecond)
		stop()
		require.NoError(t, s.Close(t.Context()))
	}
	publish(t, start(t, stream.Config{URL: n.url()}), l)
	arrives(t, n.client(), l)
}

func TestEventsSurviveAnOutage(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l, s := newEventLog(), start(t, stream.Config{URL: n.url()})
	publish(t, s, l)
	for range 3 {
		l.add(400)
		n.stop()
		l.add(400)
		n.start()
		healthy(t, s)
		l.add(400)
	}
	arrives(t, n.client(), l)
}

func TestEventsOfTwoPublishersAreNotDoubled(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	for range 2 {
		publish(t, start(t, stream.Config{URL: n.url()}), l)
	}
	for range 30 {
		l.add(50)
	}
	arrives(t, n.client(), l)
}

func TestEventsWaitForTheLog(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	l.failWith(tocsin.Unavailable(errors.New("the store is fenced")))
	publish(t, start(t, stream.Config{URL: n.url()}), l)
	l.add(10)
	l.failWith(nil)
	arrives(t, n.client(), l)
}

// What the stream would age out at once is not published: a stream that is empty
// since all aged out does not get the whole log again.
func TestOldEventsAreSkipped(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	l.add(600)
	for i := range 500 {
		l.events[i].At = time.Now().Add(-2 * time.Hour)
	}
	publish(t, start(t, stream.Config{URL: n.url(), EventsMaxAge: time.Hour}), l)
	require.Eventually(t, func() bool { return len(published(t, n.client())) == 100 }, patience, 20*time.Millisecond)
}

func TestHostileEventsArePublished(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	l.events = []tocsin.Event{
		{Seq: 1, At: time.Now(), Kind: "a.b *>", Incident: "x y.>", Text: strings.Repeat("ü", 1<<20)},
		{Seq: 2, At: time.Now(), Text: "\xff\x00"},
		{Seq: 3, At: time.Now(), Kind: tocsin.EventNote, Incident: "a", Text: "fine"},
	}
	publish(t, start(t, stream.Config{URL: n.url()}), l)
	js := n.client()
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream.EventStream)
		if err != nil {
			return false
		}
		msg, err := s.GetLastMsgForSubject(t.Context(), "tocsin.events.note")
		return err == nil && msg.Sequence == 3
	}, patience, 20*time.Millisecond)
}

// The stream is derived from the log: when somebody deletes it, it is written
// again.
func TestEventsAreWrittenAgain(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	l := newEventLog()
	l.add(300)
	publish(t, start(t, stream.Config{URL: n.url()}), l)
	js := n.client()
	arrives(t, js, l)
	require.NoError(t, js.DeleteStream(t.Context(), stream.EventStream))
	l.add(1)
	arrives(t, js, l)
}

func BenchmarkEvents(b *testing.B) {
	reg := prometheus.NewRegistry()
	s := start(b, stream.Config{Registerer: reg})
	l := newEventLog()
	l.add(b.N)
	used := cpu()
	b.ResetTimer()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.PublishEvents(ctx, &cutLog{eventLog: l}, l.notify) }()
	require.Eventually(b, func() bool { return metric(b, reg, "tocsin_events_published_total") >= float64(b.N) }, patience, 5*time.Millisecond)
	b.StopTimer()
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/event")
	cancel()
	require.NoError(b, <-ended)
}

// cutLog finds the place in the log in no time.
type cutLog struct{ *eventLog }

func (l *cutLog) Log(_ context.Context, after uint64, limit int) ([]tocsin.Event, error) {
	n := min(int(after-after/7), len(l.events))
	for n > 0 && l.events[n-1].Seq > after {
		n--
	}
	return l.events[n:min(n+limit, len(l.events))], nil
}
