package socket_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "xapp-1-A0TOCSIN01-canary-4f7c1e"

// taken is one envelope.
type taken struct{ id, kind, payload string }

// taker is a stand-in for the callback handler.
type taker struct {
	mu  sync.Mutex
	all []taken
	do  func(ctx context.Context, e taken) (string, bool)
}

func (k *taker) Take(ctx context.Context, id, kind string, payload []byte) ([]byte, bool) {
	e := taken{id, kind, string(payload)}
	k.mu.Lock()
	k.all = append(k.all, e)
	do := k.do
	k.mu.Unlock()
	if do == nil {
		return nil, true
	}
	answer, ok := do(ctx, e)
	return []byte(answer), ok
}

func (k *taker) doing(do func(ctx context.Context, e taken) (string, bool)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.do = do
}

func (k *taker) seen() []taken {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// world is a workspace, and a client that keeps connections to it.
type world struct {
	testing.TB
	slack   *slacktest.Server
	sockets *slacktest.Sockets
	taker   *taker
	logs    *buffer
	metrics *prometheus.Registry
	client  *socket.Client
	stop    func()
}

// bubble runs a test against a workspace behind pipes, in a time of its own. It ends
// with nothing left running, and nothing secret told.
func bubble(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{TB: t, slack: slacktest.New(slacktest.WithToken(token, "connections:write")), taker: &taker{}, logs: &buffer{}, metrics: prometheus.NewRegistry()}
		w.sockets = w.slack.Sockets()
		transport := serve(t, w.slack)
		w.client = socket.New(socket.Config{
			AppToken: token, APIURL: slacktest.URL, HTTPClient: &http.Client{Transport: transport},
			Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Registerer: w.metrics,
		}, w.taker)
		fn(t, w)
		if w.stop != nil {
			w.stop()
		}
		assert.Empty(t, w.sockets.Violations(), "what Slack would not understand")
		assert.NotContains(t, w.logs.String(), "canary")
		assert.NotContains(t, w.logs.String(), "ticket=")
		w.slack.Close()
	})
}

// serve serves a handler over pipes.
func serve(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { assert.ErrorIs(t, server.Serve(l), http.ErrServerClosed) })
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		serving.Wait()
	})
	return &http.Transport{DialContext: l.dial, DisableKeepAlives: true}
}

// run starts the client and waits until it stands still.
func (w *world) run() {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.client.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w, <-ended)
	})
	synctest.Wait()
}

// value is that of a metric, over all its labels that hold the given values.
func (w *world) value(name string, labels ...string) float64 {
	w.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := true
			for _, want := range labels {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				has = has && found
			}
			if has {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// listener takes the far ends of pipes.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- buffered(far):
		return buffered(near), nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipe has room for what was written and not read yet, as a network has: two ends
// that both write before they read would wait for each other for ever.
type pipe struct {
	net.Conn
	out  chan []byte
	done chan struct{}
	once sync.Once
}

func buffered(c net.Conn) *pipe {
	p := &pipe{Conn: c, out: make(chan []byte, 1024), done: make(chan struct{})}
	go p.pump()
	return p
}

func (p *pipe) pump() {
	defer func() { _ = p.Conn.Close() }()
	for {
		select {
		case b := <-p.out:
			if _, err := p.Conn.Write(b); err != nil {
				return
			}
			continue
		default:
		}
		select {
		case b := <-p.out:
			if _, err := p.Conn.Write(b); err != nil {
				return
			}
		case <-p.done:
			if len(p.out) == 0 {
				return
			}
		}
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case <-p.done:
		return 0, net.ErrClosed
	default:
	}
	select {
	case p.out <- bytes.Clone(b):
		return len(b), nil
	case <-p.done:
		return 0, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
