// Package stream carries wake-ups and events over NATS JetStream. It is the only
// code that knows NATS: an embedded server without a listener, or a cluster
// that somebody else runs.
//
// Guarantees:
//
//   - A wake-up carries no truth. At most one waits per (incident, target); the
//     latest replaces the earlier. It is delivered at least once unless NATS
//     stops, and then it may be lost: the store's sweep finds what lags.
//   - Wake never waits for NATS. It returns an error within microseconds when
//     NATS is away, refuses, or has confirmed nothing for two seconds, so that
//     the caller can wake in-process instead.
//   - Events reach the stream TOCSIN_EVENTS in order, each once, without gaps,
//     however often Tocsin or NATS stop: the store's log is the truth and the
//     last message of the stream says where to go on. (What was aged out of the
//     log or the stream before it was read is gone.)
//
// Wake-ups are handled concurrently, and a wake-up that arrives while an earlier
// one for the same (incident, target) is handled is delivered at once beside it:
// handlers serialise per target themselves.
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Names on the wire.
const (
	// WakeStream is the JetStream stream of wake-ups.
	WakeStream = "TOCSIN_WAKE"
	// EventStream is the JetStream stream of incident events.
	EventStream = "TOCSIN_EVENTS"
	// EventSubjects matches the subject of every event: tocsin.events.<kind>.
	// The incident is no part of it: NATS keeps about half a kilobyte for each
	// subject that a stream holds.
	EventSubjects = "tocsin.events.>"
	// SeqHeader is the header of an event's message that holds its Seq.
	SeqHeader = "Tocsin-Seq"

	wakeSubjects = "tocsin.wake.>"
	wakePrefix   = "tocsin.wake."
	eventPrefix  = "tocsin.events."
)

// Config says where NATS is and what it may use. Its zero value, with a Dir, is
// an embedded server with the defaults named below.
type Config struct {
	// URL of a NATS cluster, several separated by commas:
	// "nats://a:4222,nats://b:4222". Empty: embedded.
	URL string
	// Dir is the data folder of the embedded server. JetStream does not lock
	// it: the caller must hold a lock on the folder (the bbolt file's).
	Dir string
	// CredentialsFile is a NATS .creds file for URL. Empty: none.
	CredentialsFile string
	// TLS for URL. Nil: TLS only when the URL or the server asks for it.
	TLS *tls.Config
	// Replicas of both streams. 0: 1, the only value for an embedded server. A
	// cluster that must survive the loss of a server needs 3.
	Replicas int
	// EventsMaxAge is how long the event stream keeps an event. 0: 7 days.
	EventsMaxAge time.Duration
	// EventsMaxBytes is the most that the event stream keeps; the oldest go
	// first. 0: 256 MiB.
	EventsMaxBytes int64
	// AckWait is the lease on a wake-up; it is extended while its handler
	// works. 0: 30 s.
	AckWait time.Duration
	// MaxAckPending is the number of wake-ups of one kind that are handled at
	// once. 0: 1024.
	MaxAckPending int
	// Logger. Nil: slog.Default.
	Logger *slog.Logger
	// Registerer takes the metrics. Nil: a private registry.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() Config {
	c.Replicas = max(c.Replicas, 1)
	if c.EventsMaxAge <= 0 {
		c.EventsMaxAge = 7 * 24 * time.Hour
	}
	if c.EventsMaxBytes <= 0 {
		c.EventsMaxBytes = 256 << 20
	}
	if c.AckWait <= 0 {
		c.AckWait = 30 * time.Second
	}
	if c.MaxAckPending <= 0 {
		c.MaxAckPending = 1024
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	return c
}

func (c Config) check() error {
	if c.URL == "" {
		if c.Dir == "" {
			return tocsin.Invalid("nats", "name a data folder for the embedded server, or a nats.url")
		}
		if c.Replicas > 1 {
			return tocsin.Invalid("nats.replicas", "the embedded server has one replica; %d need a nats.url", c.Replicas)
		}
		return nil
	}
	// The text of an error of url.Parse holds the URL, and that a password.
	for n, part := range strings.Split(c.URL, ",") {
		if u, err := url.Parse(strings.TrimSpace(part)); err != nil || u.Host == "" {
			return tocsin.Invalid("nats.url", "server %d of the list is no URL; want nats://host:4222", n+1)
		}
	}
	if c.CredentialsFile != "" {
		if _, err := os.Stat(c.CredentialsFile); err != nil {
			return tocsin.Invalid("nats.credentials_file", "%v", err)
		}
	}
	return nil
}

// Stream is the connection to NATS. Its methods may be called concurrently.
type Stream struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	wakes   wakeQueue

	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	// sess is nil while there is none: the embedded server is down.
	sess    atomic.Pointer[session]
	changed broadcast
	// eventsStuck asks the supervisor for a restart of the embedded server.
	eventsStuck atomic.Bool

	closing sync.Once
	closed  chan struct{}
}

// Start connects to NATS, or starts the embedded server, and makes the streams.
// An error is a mistake in cfg (tocsin.ErrInvalid) or a data folder that cannot
// be made. NATS being away, or the embedded server not starting, is none: the
// Stream is then not healthy, says so in the log, and goes on trying until
// Close. ctx bounds the first try only.
func Start(ctx context.Context, cfg Config) (*Stream, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.URL == "" {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, "jetstream"), 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the embedded NATS server: %w", err)
		}
	}
	s := &Stream{cfg: cfg, log: cfg.Logger, closed: make(chan struct{})}
	s.changed.init()
	s.wakes.signal = make(chan struct{}, 1)
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	m, err := newMetrics(cfg.Registerer, s)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("register the metrics of the stream: %w", err)
	}
	s.metrics = m
	if err := s.open(ctx); err != nil {
		if errors.Is(err, tocsin.ErrInvalid) {
			s.stop()
			m.unregister()
			return nil, err
		}
		s.log.Error("NATS is not available; wake-ups stay in-process until it is", "error", err)
	}
	s.done.Go(s.publishWakes)
	s.done.Go(s.supervise)
	return s, nil
}

// Close stops everything and waits for it as long as ctx allows. Consume and
// PublishEvents should have returned before. It is safe to call twice.
func (s *Stream) Close(ctx context.Context) error {
	s.closing.Do(func() {
		s.stop()
		go func() {
			s.done.Wait()
			if sess := s.sess.Swap(nil); sess != nil {
				sess.close()
			}
			s.metrics.unregister()
			close(s.closed)
		}()
	})
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop NATS: %w", context.Cause(ctx))
	}
}

// Healthy reports whether wake-ups go through. See Err.
func (s *Stream) Healthy() bool { return s.Err() == nil }

// Err says why wake-ups do not go through now, or is nil. It satisfies
// errors.Is(err, tocsin.ErrUnavailable), costs well under a microsecond and
// never blocks.
func (s *Stream) Err() error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	sess := s.sess.Load()
	if sess == nil {
		return errDown
	}
	return sess.err()
}

// Reasons that Err gives; texts are for the readiness page.
var (
	errClosed      = tocsin.Unavailable(errors.New("the stream is closed"))
	errDown        = tocsin.Unavailable(errors.New("the embedded NATS server is down; see the log"))
	errUnconnected = tocsin.Unavailable(errors.New("not connected to NATS; check nats.url and that the cluster is up"))
	errUnready     = tocsin.Unavailable(errors.New("NATS has not made the stream " + WakeStream + " yet; see the log"))
	errUnconfirmed = tocsin.Unavailable(fmt.Errorf("NATS has confirmed no wake-up for %s", confirmWithin))
	errFull        = tocsin.Unavailable(fmt.Errorf("more than %d wake-ups wait for NATS", maxQueued))
)

// broadcast tells any number of waiters that something changed.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) init() { b.ch = make(chan struct{}) }

// wait returns a channel that is closed at the next change.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
