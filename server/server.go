package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// Server answers HTTP. Its methods may be called from many goroutines, Run
// once.
type Server struct {
	config  Config
	deps    Deps
	metrics *metrics
	echo    *echo.Echo
	pages   *pages
	parts   parts
	found   labelSets
	// live is nil where there is no log to follow.
	live *live

	gate atomic.Pointer[gate]
	// Shares of requests, wrong tokens, and log-ins; and those that are done.
	requestsOf, guesses, logins *shares
	attempts                    attempts
	onces                       onces

	// plans has room for those who compute with schedules.
	plans chan struct{}
	// amRoom has room for those who list alerts as Alertmanager does.
	amRoom chan struct{}
	// readings is for who reads much of the store, gathering for who gathers metrics,
	// and scrapes has room for those who are read metrics to.
	readings, gathering turns
	scrapes             chan struct{}
	// board is what everybody may see.
	board statusBoard
	// started is when the server was made.
	started time.Time

	budget  *budget
	buffers *buffers
	// callbacks are the buffers of callbacks; the budget is the same.
	callbacks *buffers
	decoders  sync.Pool

	flight   *flight
	stopping atomic.Bool
	requests atomic.Uint64
	idPrefix string

	// pictures bounds those that are drawn for people who have not logged in.
	pictures *rate.Limiter

	troubleLog, refusalLog rate.Sometimes

	reloading, backingUp, verifying sync.Mutex
	// verified is what verifying the audit log has found last; nil: nobody has yet.
	verified atomic.Pointer[verified]
	// silencing is held by a form that makes or extends a silence: sent twice, it does
	// so once.
	silencing sync.Mutex

	// certificates is nil without TLS.
	certificates *certificates

	mu       sync.Mutex
	listener net.Listener
}

// New returns a server that does not listen yet. An error says what is wrong
// with the configuration, or which part is missing.
func New(c Config, d Deps) (*Server, error) {
	c = c.withDefaults()
	d, err := d.withDefaults()
	if err = errors.Join(err, c.validate()); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{
		config:     c,
		deps:       d,
		plans:      make(chan struct{}, c.Limits.Plans),
		amRoom:     make(chan struct{}, amLists),
		readings:   newTurns(2),
		gathering:  newTurns(1),
		scrapes:    make(chan struct{}, scrapesMost),
		started:    d.Now(),
		budget:     &budget{limit: int64(c.Limits.Buffered)},
		flight:     newFlight(),
		idPrefix:   rand.Text()[:6] + "-",
		pictures:   rate.NewLimiter(picturesPerSecond, pictureBurst),
		troubleLog: rate.Sometimes{First: 10, Interval: time.Second},
		refusalLog: rate.Sometimes{First: 10, Interval: time.Second},
	}
	if err := s.SetAuth(c); err != nil {
		return nil, err
	}
	s.requestsOf = newShares(rate.Limit(c.Limits.Requests), 2*c.Limits.Requests)
	s.guesses = newShares(rate.Every(guessEvery), guessBurst)
	s.logins = newShares(rate.Every(loginEvery), loginBurst)
	s.attempts.done = map[string]time.Time{}
	s.onces.of = map[digest]*once{}
	s.buffers = newBuffers(c.Limits.Body, "set max_alerts on Alertmanager's webhook, or raise the limit", s.budget)
	s.callbacks = newBuffers(callbackBody, "no provider sends as much", s.budget)
	s.decoders.New = func() any { return newDecoder(c.Limits) }
	if d.Log != nil {
		s.live = newLive(d.Log, d.Changed, d.Logger, c.Limits.Viewers)
	}
	if s.pages, err = newPages(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.echo = s.routes()
	if s.metrics, err = newMetrics(d.Registerer, s.paths(), s.budget); err != nil {
		return nil, fmt.Errorf("server: metrics: %w", err)
	}
	if c.TLS.CertFile != "" {
		if s.certificates, err = newCertificates(c.TLS, d.Logger, time.Now); err == nil {
			err = s.certificates.register(d.Registerer)
		}
		if err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
	}
	return s, nil
}

// Handler returns the whole surface, for a server of the caller's own. It has
// the limits, but not the timeouts and the limit of connections, which Run adds.
func (s *Server) Handler() http.Handler { return s.echo }

// SetAuth takes from a configuration what says who may come in: ExternalURL,
// Intake, API, CalendarToken, NoLocal and Proxy; the rest stays as it is. It is
// for a reload. On an error nothing is changed.
func (s *Server) SetAuth(c Config) error {
	c.TLS = s.config.TLS
	if err := validateAuth(c); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	g, err := newGate(&c)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.gate.Store(g)
	return nil
}

// Listen takes the address, so that a start can fail before anything else is
// begun. Run does it, too. Doing it again changes nothing.
func (s *Server) Listen() (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		l, err := net.Listen("tcp", s.config.Listen)
		if err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
		s.listener = l
	}
	return s.listener.Addr(), nil
}

// Addr is the address that is listened on, host:port, or "" before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close gives the address back when Run was never called.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// Run serves until ctx ends. Then readiness turns false and new requests are
// answered with 503 until those in flight have been answered and Timeouts.Drain
// has passed; what is still in flight after Timeouts.Stop is cut off. It returns
// nil after a stop that was asked for.
func (s *Server) Run(ctx context.Context) error {
	if _, err := s.Listen(); err != nil {
		return err
	}
	l := limitConns(s.listener, s.config.Connections, s.metrics)
	srv := s.httpServer(l)
	served := make(chan error, 1)
	go func() { served <- s.serve(srv, l) }()

	select {
	case err := <-served:
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	err := s.stop(srv)
	<-served //nolint:errcheck // the server was told to stop: what Serve says then is that
	return err
}

// serve serves plain HTTP, or HTTPS.
func (s *Server) serve(srv *http.Server, l net.Listener) error {
	if s.certificates == nil {
		return srv.Serve(l)
	}
	srv.TLSConfig = s.certificates.server()
	return srv.ServeTLS(l, "", "")
}

func (s *Server) httpServer(l *connLimit) *http.Server {
	t := s.config.Timeouts
	// net/http adds 4 KiB to what it is told (Server.initialReadLimitSize).
	headers := max(s.config.Limits.Headers-4<<10, 1)
	return &http.Server{
		Handler:           s.echo,
		ReadHeaderTimeout: t.ReadHeader,
		ReadTimeout:       t.Read,
		WriteTimeout:      t.Write,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    headers,
		ConnState:         l.state,
		ErrorLog:          slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelDebug),
	}
}

func (s *Server) stop(srv *http.Server) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Timeouts.Stop)
	defer cancel()
	s.stopping.Store(true)
	if s.live != nil {
		s.live.close()
	}
	s.deps.Logger.Info("stopping", "in_flight", s.flight.count.Load())

	drain := time.NewTimer(s.config.Timeouts.Drain)
	defer drain.Stop()
	select {
	case <-drain.C:
	case <-ctx.Done():
	}
	err := s.flight.wait(ctx)
	if err == nil {
		err = srv.Shutdown(ctx)
	}
	if err != nil {
		s.deps.Logger.Warn("requests were cut off", "in_flight", s.flight.count.Load(), "after", time.Since(start))
	}
	if err := srv.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

func (s *Server) debug() bool {
	return s.deps.Logger.Enabled(context.Background(), slog.LevelDebug)
}
