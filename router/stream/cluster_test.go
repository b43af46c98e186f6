package stream_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream"
	"github.com/tocsin-oncall/tocsin/router/stream/streamtest"
)

// natsServer is a NATS server that somebody else runs: it listens, and can be
// stopped and started again on the same port and folder.
type natsServer struct {
	t    *testing.T
	dir  string
	port int
	srv  *server.Server
}

func startNATS(t *testing.T) *natsServer {
	t.Helper()
	n := &natsServer{t: t, dir: t.TempDir(), port: -1}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *natsServer) start() {
	n.t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: n.port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: n.dir,
	})
	require.NoError(n.t, err)
	go srv.Start()
	require.True(n.t, srv.ReadyForConnections(patience))
	n.srv, n.port = srv, srv.Addr().(*net.TCPAddr).Port
}

func (n *natsServer) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

func (n *natsServer) url() string { return "nats://127.0.0.1:" + strconv.Itoa(n.port) }

// client is somebody else's connection.
func (n *natsServer) client() jetstream.JetStream {
	n.t.Helper()
	nc, err := nats.Connect(n.url())
	require.NoError(n.t, err)
	n.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(n.t, err)
	return js
}

// proxy stands between Tocsin and NATS and can stop reading, as a wedged server
// does whose sockets stay open.
type proxy struct {
	mu      sync.Mutex
	wedged  chan struct{} // closed: not wedged
	address string
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{wedged: make(chan struct{})}
	close(p.wedged)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
			go p.copy(ctx, in, out)
			go p.copy(ctx, out, in)
		}
	}()
	return p
}

func (p *proxy) copy(ctx context.Context, to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		wedged := p.wedged
		p.mu.Unlock()
		select {
		case <-wedged:
		case <-ctx.Done():
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// wedge stops the proxy until the function that it returns is called.
func (p *proxy) wedge() (free func()) {
	ch := make(chan struct{})
	p.mu.Lock()
	p.wedged = ch
	p.mu.Unlock()
	return sync.OnceFunc(func() { close(ch) })
}

func TestCluster(t *testing.T) {
	t.Parallel()
	streamtest.Conformance(t, func(t *testing.T, limit int, lease time.Duration) streamtest.Queue {
		return start(t, stream.Config{URL: startNATS(t).url(), MaxAckPending: limit, AckWait: lease})
	})
}

func healthy(t *testing.T, s *stream.Stream) {
	t.Helper()
	require.Eventually(t, s.Healthy, patience, 10*time.Millisecond, "NATS is well, the stream does not see it")
}

func unhealthy(t *testing.T, s *stream.Stream) {
	t.Helper()
	require.Eventually(t, func() bool { return !s.Healthy() }, patience, 10*time.Millisecond)
	require.ErrorIs(t, s.Err(), tocsin.ErrUnavailable)
}

// load wakes for the test's length, notes the longest that a call took, and
// counts what was handled.
type load struct {
	longest, handled, refused atomic.Int64
}

func startLoad(t *testing.T, s *stream.Stream) *load {
	t.Helper()
	var l load
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	done.Go(func() {
		assert.NoError(t, s.Consume(ctx, "slack", func(context.Context, tocsin.Wake) error {
			l.handled.Add(1)
			return nil
		}))
	})
	done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			if s.Wake([]tocsin.Wake{{Incident: strconv.Itoa(n), Target: "slack:#incidents"}}) != nil {
				l.refused.Add(1)
			}
			l.longest.Store(max(l.longest.Load(), int64(time.Since(began))))
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return &l
}

// progress waits until more was handled.
func (l *load) progress(t *testing.T) {
	t.Helper()
	n := l.handled.Load()
	require.Eventually(t, func() bool { return l.handled.Load() > n+100 }, patience, 10*time.Millisecond, "nothing is handled")
}

func (l *load) neverBlocked(t *testing.T) {
	t.Helper()
	// A few milliseconds, and what a busy machine takes from us; NATS is away for longer.
	assert.Less(t, time.Duration(l.longest.Load()), 2*time.Second, "Wake waited for NATS")
}

func TestNATSStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	s := start(t, stream.Config{URL: n.url()})
	l := startLoad(t, s)
	l.progress(t)
	n.stop()
	unhealthy(t, s)
	require.Eventually(t, func() bool { return l.refused.Load() > 10 }, patience, 10*time.Millisecond)
	n.start()
	healthy(t, s)
	l.progress(t)
	l.neverBlocked(t)
}

func TestNATSWedgedUnderLoad(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	p := startProxy(t, n.url()[len("nats://"):])
	s := start(t, stream.Config{URL: "nats://" + p.address})
	l := startLoad(t, s)
	l.progress(t)
	free := p.wedge()
	defer free()
	began := time.Now()
	unhealthy(t, s)
	assert.Less(t, time.Since(began), 20*time.Second)
	free()
	healthy(t, s)
	l.progress(t)
	l.neverBlocked(t)
}

// A wedge is noticed although nothing is woken.
func TestNATSWedgedWhileIdle(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	p := startProxy(t, n.url()[len("nats://"):])
	s := start(t, stream.Config{URL: "nats://" + p.address})
	healthy(t, s)
	free := p.wedge()
	defer free()
	unhealthy(t, s)
	free()
	healthy(t, s)
}

func TestNATSAwayAtStart(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	n.stop()
	s := start(t, stream.Config{URL: n.url()})
	require.ErrorIs(t, s.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}), tocsin.ErrUnavailable)
	n.start()
	healthy(t, s)
	startLoad(t, s).progress(t)
}

func TestStreamsAndConsumersThatVanishComeBack(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	s := start(t, stream.Config{URL: n.url()})
	l := startLoad(t, s)
	l.progress(t)
	js := n.client()
	require.NoError(t, js.DeleteConsumer(t.Context(), stream.WakeStream, "tocsin-slack"))
	l.progress(t)
	require.NoError(t, js.DeleteStream(t.Context(), stream.WakeStream))
	unhealthy(t, s)
	healthy(t, s)
	l.progress(t)
	l.neverBlocked(t)
}

// A stream of wake-ups that an operator made otherwise is replaced; it holds
// nothing.
func TestWakeStreamThatCannotBeUpdatedIsReplaced(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	_, err := n.client().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: stream.WakeStream, Subjects: []string{"tocsin.wake.>"}, Storage: jetstream.FileStorage,
	})
	require.NoError(t, err)
	s := start(t, stream.Config{URL: n.url()})
	require.NoError(t, s.Err())
	startLoad(t, s).progress(t)
}

func TestCorruptWakesAreDropped(t *testing.T) {
	t.Parallel()
	n := startNATS(t)
	reg := prometheus.NewPedanticRegistry()
	s := start(t, stream.Config{URL: n.url(), Registerer: reg})
	js := n.client()
	for _, data := range []string{"", "{", "[]", "{}", `{"incident":"a"}`, `{"incident":"a","target":"x","target":"y"}`, "\xff", `{"incident":1}`} {
		_, err := js.Publish(t.Context(), "tocsin.wake.slack.a."+strconv.Itoa(len(data)), []byte(data))
		require.NoError(t, err)
	}
	startLoad(t, s).progress(t)
	require.Eventually(t, func() bool {
		info, err := js.Stream(t.Context(), stream.WakeStream)
		return err == nil && info.CachedInfo().State.NumSubjects <= 20
	}, patience, 50*time.Millisecond)
	assert.GreaterOrEqual(t, metric(t, reg, "tocsin_wakes_handled_total", "slack", "corrupt"), 6.0)
}

// metric returns the value of the metric with the name and all the label values.
func metric(t testing.TB, reg prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	require.Fail(t, "no such metric", "%s %q", name, labels)
	return 0
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	s := start(t, stream.Config{Registerer: reg})
	startLoad(t, s).progress(t)
	assert.Positive(t, metric(t, reg, "tocsin_wakes_published_total"))
	assert.Positive(t, metric(t, reg, "tocsin_wakes_handled_total", "slack", "done"))
	assert.Zero(t, metric(t, reg, "tocsin_wakes_failed_total"))
	assert.Zero(t, metric(t, reg, "tocsin_events_published_total"))
	assert.Zero(t, metric(t, reg, "tocsin_events_behind"))
	assert.InEpsilon(t, 1.0, metric(t, reg, "tocsin_stream_healthy"), 0)
	_, err := stream.Start(t.Context(), stream.Config{Dir: t.TempDir(), Registerer: reg})
	require.ErrorContains(t, err, "metrics")
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]stream.Config{
		"neither folder nor URL":   {},
		"replicas of the embedded": {Dir: t.TempDir(), Replicas: 3},
		"no URL":                   {URL: "nats://user:hunter2@[::1"},
		"no host":                  {URL: "nats://a:4222,hunter2"},
		"missing credentials":      {URL: "nats://a:4222", CredentialsFile: "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := stream.Start(t.Context(), cfg)
			require.ErrorIs(t, err, tocsin.ErrInvalid)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestEmbeddedServerIsRestarted(t *testing.T) {
	t.Parallel()
	s := start(t, stream.Config{})
	l := startLoad(t, s)
	for range 2 {
		l.progress(t)
		s.KillServer()
		unhealthy(t, s)
		healthy(t, s)
	}
	l.progress(t)
	l.neverBlocked(t)
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	s, err := stream.Start(t.Context(), stream.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ended := make(chan error, 2)
	go func() {
		ended <- s.Consume(t.Context(), "slack", func(context.Context, tocsin.Wake) error { return nil })
	}()
	go func() { ended <- s.PublishEvents(t.Context(), &eventLog{}, nil) }()
	for range 2 {
		require.NoError(t, s.Close(t.Context()))
	}
	for range 2 {
		require.NoError(t, <-ended)
	}
	require.ErrorIs(t, s.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}), tocsin.ErrUnavailable)
}
