package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	// apiTimeout bounds one request to JetStream's API.
	apiTimeout = 3 * time.Second
	// writeTimeout bounds one write to NATS' socket: a peer that reads no more
	// must not hold the publisher for nats.go's default of a minute.
	writeTimeout = 2 * time.Second

	wakeMaxBytes = 64 << 20
	// wakeMaxAge takes wake-ups away that nobody consumes, such as those of a
	// provider that left the configuration.
	wakeMaxAge = time.Hour
	// eventDuplicates is short because the order check (see publishBatch) is
	// what refuses doubles; the server holds every ID of the window in memory.
	eventDuplicates = 10 * time.Second
)

// session is one connection, and the embedded server behind it where there is
// one. It is replaced as a whole when that server is restarted.
type session struct {
	srv *server.Server // nil: external
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	connected atomic.Bool
	// ready: the streams are there.
	ready atomic.Bool
	track tracker
	// dead is closed with the session.
	dead chan struct{}
}

// open makes a new session and the streams. On an error of the streams there is
// a session all the same; the supervisor goes on with it.
func (s *Stream) open(ctx context.Context) error {
	sess := &session{log: s.log, dead: make(chan struct{})}
	sess.track.init()
	if err := s.connect(ctx, sess); err != nil {
		sess.close()
		return err
	}
	s.sess.Store(sess)
	s.changed.fire()
	return s.ready(ctx, sess)
}

func (s *Stream) connect(ctx context.Context, sess *session) (err error) {
	opts := s.options(sess)
	if s.cfg.URL == "" {
		if sess.srv, err = startServer(ctx, s.cfg, s.log); err != nil {
			return err
		}
		opts = append(opts, nats.InProcessServer(sess.srv), nats.NoReconnect())
	} else {
		opts = append(opts, s.clusterOptions()...)
	}
	if sess.nc, err = nats.Connect(s.cfg.URL, opts...); err != nil {
		if s.cfg.URL == "" {
			return fmt.Errorf("connect to the embedded NATS server: %w", err)
		}
		return tocsin.Invalid("nats.url", "%v", err)
	}
	sess.connected.Store(sess.nc.IsConnected())
	if sess.js, err = jetstream.New(sess.nc, jetstream.WithPublishAsyncMaxPending(eventBatch),
		jetstream.WithPublishAsyncTimeout(ackWithin), jetstream.WithDefaultTimeout(apiTimeout)); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	if err = sess.track.subscribe(sess.nc); err != nil {
		return fmt.Errorf("subscribe to confirmations: %w", err)
	}
	return nil
}

// options of every connection. Nothing is buffered while disconnected: a wake-up
// that waits for NATS to come back is better made in-process.
func (s *Stream) options(sess *session) []nats.Option {
	return []nats.Option{
		nats.Name("tocsin"),
		nats.ReconnectBufSize(-1),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.SkipSubjectValidation(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			sess.connected.Store(false)
			if err != nil && s.ctx.Err() == nil {
				s.log.Warn("lost the connection to NATS", "error", err)
			}
		}),
		nats.ConnectHandler(s.connected(sess)),
		nats.ReconnectHandler(s.connected(sess)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("error from NATS", "error", err)
		}),
	}
}

// connected notes that the connection came up, for the first time or again.
func (s *Stream) connected(sess *session) nats.ConnHandler {
	return func(nc *nats.Conn) {
		sess.track.reset()
		sess.connected.Store(true)
		s.changed.fire()
		s.log.Info("connected to NATS", "server", nc.ConnectedServerName())
	}
}

// clusterOptions never give up: a cluster that is away for an hour, or refuses
// the credentials until somebody mends them, is one to come back to.
func (s *Stream) clusterOptions() []nats.Option {
	opts := []nats.Option{
		nats.Timeout(2 * time.Second),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(),
	}
	if s.cfg.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(s.cfg.CredentialsFile))
	}
	if s.cfg.TLS != nil {
		opts = append(opts, nats.Secure(s.cfg.TLS))
	}
	return opts
}

// ready makes or updates the streams and marks the session ready.
func (s *Stream) ready(ctx context.Context, sess *session) error {
	if !sess.connected.Load() {
		return errUnconnected
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if err := s.makeWakeStream(ctx, sess.js); err != nil {
		return fmt.Errorf("make the stream %s: %w", WakeStream, err)
	}
	events, err := sess.js.CreateOrUpdateStream(ctx, s.eventConfig())
	if err != nil {
		return fmt.Errorf("make the stream %s: %w", EventStream, err)
	}
	if !sess.ready.Swap(true) && sess.srv == nil {
		s.warnOfDurability(events.CachedInfo())
	}
	s.changed.fire()
	return nil
}

// makeWakeStream replaces a stream whose settings cannot be updated: it holds
// nothing that must be kept.
func (s *Stream) makeWakeStream(ctx context.Context, js jetstream.JetStream) error {
	cfg := jetstream.StreamConfig{
		Name:              WakeStream,
		Description:       "Tocsin: which target of which incident may lag. Carries no truth.",
		Subjects:          []string{wakeSubjects},
		Retention:         jetstream.WorkQueuePolicy,
		Storage:           jetstream.MemoryStorage,
		Replicas:          s.cfg.Replicas,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardOld,
		MaxBytes:          wakeMaxBytes,
		MaxAge:            wakeMaxAge,
	}
	_, err := js.CreateOrUpdateStream(ctx, cfg)
	var api *jetstream.APIError
	if err == nil || !errors.As(err, &api) || api.Code >= 503 {
		return err
	}
	s.log.Warn("replacing the stream of wake-ups", "stream", WakeStream, "error", err)
	if err := js.DeleteStream(ctx, WakeStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	_, err = js.CreateOrUpdateStream(ctx, cfg)
	return err
}

func (s *Stream) eventConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        EventStream,
		Description: "Tocsin: what happened to incidents, as JSON. See docs/events.md.",
		Subjects:    []string{EventSubjects},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Replicas:    s.cfg.Replicas,
		Discard:     jetstream.DiscardOld,
		MaxBytes:    s.cfg.EventsMaxBytes,
		MaxAge:      s.cfg.EventsMaxAge,
		Duplicates:  min(eventDuplicates, s.cfg.EventsMaxAge),
		AllowDirect: true,
	}
}

// warnOfDurability says what cannot be promised of a cluster that others run.
// NATS syncs to disk every two minutes unless told otherwise (sync_interval),
// acknowledges before, and tells no client which it is.
func (s *Stream) warnOfDurability(info *jetstream.StreamInfo) {
	s.log.Warn("the events stream is as durable as the NATS cluster makes it, and the cluster does not say: "+
		"set 'sync_interval: always' on its servers, or events of the last two minutes may be lost when all lose power",
		"stream", EventStream)
	if s.cfg.Replicas < 3 {
		s.log.Warn("the streams do not survive the loss of a NATS server; set nats.replicas to 3",
			"replicas", s.cfg.Replicas)
	}
	if info != nil && info.Config.PersistMode == jetstream.AsyncPersistMode {
		s.log.Warn("the events stream has persist_mode async: it acknowledges before it writes, whatever sync_interval says",
			"stream", EventStream)
	}
}

// err says why the session does not take wake-ups.
func (s *session) err() error {
	switch {
	case !s.connected.Load():
		return errUnconnected
	case !s.ready.Load():
		return errUnready
	default:
		return s.track.err()
	}
}

// close ends the session. An embedded server is waited for: a second one on the
// same folder would corrupt it.
func (s *session) close() {
	close(s.dead)
	s.connected.Store(false)
	if s.nc != nil {
		s.nc.Close()
	}
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
}
