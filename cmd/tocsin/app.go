package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/feed"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/callback"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/router/stream"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
	"github.com/tocsin-oncall/tocsin/server"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// stopWithin bounds a graceful stop.
const stopWithin = 10 * time.Second

// App is the whole program as a value: tests run it on ":0" as main does on the
// configured address.
//
//	server ──► router ──► store ──committed──► stream ──► dispatcher ──► providers
//	   │         ▲ ▲        │                                  │
//	   │     sweep settle   └──► events ──► stream             └──► store (receipts)
//	   │           │
//	   └──────► engine (escalation) ◄── watch, feeds (schedules)
type App struct {
	path string
	log  *slog.Logger

	store      *bolt.Store
	stream     *stream.Stream
	shelf      *runbooks.Shelf
	shelves    *runbooks.Watch
	usage      usage
	router     *router.Router
	dispatcher *notifiers.Dispatcher
	engine     *escalation.Engine
	feeds      *feed.Feeds
	watch      *watch.Watch
	doors      *doors
	clicks     *clicks
	webhooks   *callback.Handler
	changes    *changes
	audits     *auditFile // nil: none
	prometheus *live.Client
	links      *server.Links
	remedies   *remedies
	secrets    secrets
	entrance   entrance
	counted    insightDesk
	server     *server.Server
	registry   *prometheus.Registry
	events     chan struct{}
	seen       chan struct{} // for those who look on

	// applying is held while a configuration, or what feeds say, is put into
	// force: the last one stays in force then.
	applying sync.Mutex
	files    outside // guarded by applying

	mu      sync.Mutex // guards cfg and inForce during reloads
	cfg     *config.Config
	inForce inForce
	// reload keeps the outcome of the last one for the metrics.
	reloadOK prometheus.Gauge
}

// NewApp opens and connects everything that the configuration file at path asks
// for. It is one straight function on purpose: the order is what matters. The
// store comes first, since its lock guards the folder. What was opened before a
// failure is closed again.
func NewApp(ctx context.Context, path string, log *slog.Logger) (_ *App, err error) {
	cfg, warnings, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		log.Warn("configuration", "warning", w.String())
	}
	p, err := wire(cfg)
	if err != nil {
		return nil, err
	}
	a := &App{path: path, log: log, cfg: cfg, registry: prometheus.NewRegistry(), clicks: &clicks{}, remedies: &remedies{}, events: make(chan struct{}, 1), seen: make(chan struct{}, 1)}
	a.setSecrets(cfg)
	log = slog.New(veil{log.Handler(), &a.secrets})
	a.log = log
	a.load(cfg, warnings)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()

	if a.store, err = bolt.Open(filepath.Join(cfg.Storage.Path, "tocsin.db"), a.storeOptions(cfg)); err != nil {
		return nil, err
	}
	sc, err := streamConfig(cfg, log, a.registry)
	if err != nil {
		return nil, err
	}
	if a.stream, err = stream.Start(ctx, sc); err != nil {
		return nil, err
	}
	if err = a.openRunbooks(cfg); err != nil {
		return nil, err
	}
	if err = a.openOnCall(ctx, cfg, p); err != nil {
		return nil, err
	}
	if a.dispatcher, err = notifiers.New(a.targets(cfg, p), notifiers.Options{
		Store: a.store, Waker: a.stream, Runbook: a.filledRunbook, Steps: a.stepViews, URL: a.incidentURL, Ahead: a.engine.Ahead, Remediations: a.remedies.shown,
		Timeout: 15 * time.Second, DigestAfter: digestAfter(cfg),
		Logger: log.With("component", "notifiers"), Registerer: a.registry,
	}); err != nil {
		return nil, err
	}
	if a.router, err = router.New(p.rules, router.Options{
		Store: a.store, Runbooks: a.shelf, Escalator: offering{a.engine, a.remedies},
		Logger: log.With("component", "router"), Registerer: a.registry,
	}); err != nil {
		return nil, err
	}
	a.openClicks(cfg, p)
	if err = errors.Join(a.openPagerDuty(cfg), a.openLive(cfg), a.openRemedies(cfg)); err != nil {
		return nil, err
	}
	if a.doors, err = a.openDoors(cfg); err != nil {
		return nil, err
	}
	a.registerMetrics()
	if a.server, err = a.openServer(cfg); err != nil {
		return nil, err
	}
	_, err = a.server.Listen()
	return a, err
}

func (a *App) storeOptions(cfg *config.Config) bolt.Options {
	return bolt.Options{
		MaxSize: int64(cfg.Storage.MaxSize), MinFree: orNone(cfg.Storage.MinFree), Ballast: orNone(cfg.Storage.Ballast),
		Retention: time.Duration(cfg.Storage.Retention),
		Queue:     cfg.Server.Limits.Queue, Wait: time.Duration(cfg.Server.Limits.Wait),
		Committed: a.committed, Logger: a.log.With("component", "storage"), Registerer: a.registry,
	}
}

// orNone translates "0: none" into what the store takes for none.
func orNone(s config.Size) int64 {
	if s == 0 {
		return -1
	}
	return int64(s)
}

func streamConfig(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) (stream.Config, error) {
	c := stream.Config{
		URL: cfg.NATS.URL, Dir: streamDir(cfg), CredentialsFile: cfg.NATS.CredentialsFile,
		Replicas: cfg.NATS.Replicas, EventsMaxAge: time.Duration(cfg.NATS.Events.MaxAge),
		EventsMaxBytes: int64(cfg.NATS.Events.MaxBytes),
		Logger:         log.With("component", "stream"), Registerer: reg,
	}
	var err error
	if t := cfg.NATS.TLS; t != nil {
		c.TLS, err = clientTLS(t)
	}
	return c, err
}

// streamDir is the folder of the embedded NATS server.
func streamDir(cfg *config.Config) string { return filepath.Join(cfg.Storage.Path, "nats") }

// clientTLS reads the files for TLS towards NATS.
func clientTLS(t *config.NATSTLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("nats.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("nats.tls.ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats.tls: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// committed is told of every commit: targets that lag are woken through NATS,
// or here when NATS cannot; and the event stream goes on.
func (a *App) committed(wakes []tocsin.Wake) {
	if len(wakes) > 0 && a.stream != nil {
		if err := a.stream.Wake(wakes); err != nil && a.dispatcher != nil {
			a.dispatcher.Wake(wakes) // what this loses, the sweep finds
		}
	}
	if a.remedies.engine != nil {
		a.remedies.engine.Committed()
	}
	if a.engine != nil && a.store != nil {
		a.engine.Committed(a.store.NextDeadline())
	}
	for _, told := range []chan struct{}{a.events, a.seen} {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}

func (a *App) incidentURL(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg.Server.ExternalURL + "/incidents/" + url.PathEscape(id)
}

// Addr is the address that the server listens on.
func (a *App) Addr() string { return a.server.Addr() }

// Ready reports why alerts would not be taken now, or nil.
func (a *App) Ready() error { return a.store.Stats().Err }

// Run serves until ctx ends, and then stops within stopWithin: first the server
// (so that nothing new comes in), then what works off the rest.
func (a *App) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var g errgroup.Group
	g.Go(func() error { return a.router.Run(work) })
	g.Go(func() error { return a.dispatcher.Run(work) })
	g.Go(func() error { return a.engine.Run(work) })
	g.Go(func() error { return a.feeds.Run(work) })
	g.Go(func() error { return a.watch.Run(work) })
	a.doors.run(work, &g)
	a.clicks.run(work, &g)
	g.Go(func() error { return a.remedies.engine.Run(work) })
	g.Go(func() error { return a.stream.PublishEvents(work, a.store, a.events) })
	g.Go(func() error { return a.purge(work) })
	g.Go(func() error { return a.changes.run(work) })
	a.followAudit(work, &g)
	g.Go(func() error { return a.shelves.Run(work) })
	for _, kind := range kinds {
		g.Go(func() error { return a.stream.Consume(work, kind, a.dispatcher.Handle) })
	}
	err := a.server.Run(ctx)
	stopWork()
	done := make(chan error, 1)
	go func() {
		err := g.Wait()
		a.stopped()
		done <- err
	}()
	select {
	case werr := <-done:
		return errors.Join(err, ignoreCanceled(werr))
	case <-time.After(stopWithin):
		return errors.Join(err, fmt.Errorf("some work did not stop within %s; it is found and finished at the next start", stopWithin))
	}
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// purge drops what the retention no longer keeps.
func (a *App) purge(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := a.dropOld(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Warn("old incidents could not be dropped; tried again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close releases everything, in the reverse of the order it was opened in. It
// may be called after a failed NewApp, and twice.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	errs := []error{a.clicks.close(ctx)}
	if a.stream != nil {
		errs = append(errs, a.stream.Close(ctx))
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// Reload reads the configuration and the runbooks again. When anything is wrong
// with the configuration, everything stays as it was and the error says why.
func (a *App) Reload(ctx context.Context) (err error) {
	a.applying.Lock()
	defer a.applying.Unlock()
	a.mu.Lock()
	old := a.cfg
	a.mu.Unlock()
	defer func() {
		if err != nil {
			a.reloadOK.Set(0)
			a.log.Error("the configuration was not reloaded; the old one stays", "error", err)
			return
		}
		a.reloadOK.Set(1)
		a.log.Info("configuration reloaded")
	}()
	cfg, warnings, err := config.Load(a.path)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		a.log.Warn("configuration", "warning", w.String())
	}
	p, err := wire(a.clicks.untilRestart(cfg))
	if err != nil {
		return err
	}
	d, err := a.newOnCall(cfg, p)
	if err != nil {
		return err
	}
	cures, err := remediation.NewRules(wireRemedies(cfg))
	if err != nil {
		return err
	}
	if err := a.setRunbooks(cfg); err != nil {
		return err
	}
	if keys := config.RestartNeeded(old, cfg); len(keys) > 0 {
		a.log.Warn("these settings take effect at the next start", "keys", strings.Join(keys, ", "))
	}
	sc := wireServer(cfg)
	if err := a.server.SetAuth(sc); err != nil {
		return err
	}
	a.mu.Lock()
	a.cfg = cfg
	a.load(cfg, warnings)
	a.mu.Unlock()
	a.router.SetRules(p.rules)
	a.doors.set(cfg)
	a.clicks.use(p.slack, old.Slack.BotToken != cfg.Slack.BotToken)
	a.setPagerDuty(cfg)
	a.setAccess(cfg)
	a.setRemedies(cfg, cures)
	a.feeds.SetSources(wireFeeds(cfg, a.log.With("component", "escalation")))
	a.follow(cfg, p, d)
	a.reloaded(ctx, old, cfg)
	return a.dispatcher.SetTargets(ctx, a.targets(cfg, p))
}

// digestAfter translates "0: never".
func digestAfter(cfg *config.Config) int {
	if cfg.Slack.DigestAfter == 0 {
		return -1
	}
	return cfg.Slack.DigestAfter
}
