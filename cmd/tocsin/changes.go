package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
)

const (
	// changesKept is how many changes wait to be told; more are dropped.
	changesKept = 64
	// changeTries is how often one change is told to one service, with changePause
	// before the second try and twice as long before each that follows; PagerDuty
	// may ask for more, up to changeLongest.
	changeTries   = 4
	changePause   = 2 * time.Second
	changeLongest = time.Minute
	// The details that say what was there before a change, and what is now.
	detailBefore, detailAfter = "before", "hash"
	// traceWithin bounds the wait for the event stream's entry.
	traceWithin = 2 * time.Second
)

// changeSender is a service that is told of changes.
type changeSender interface {
	SendChange(ctx context.Context, c pagerduty.Change) error
}

// changes tells PagerDuty of what was changed here, behind whatever changed it:
// nothing waits for it, and what cannot be told soon is dropped, which is logged
// and counted. It is safe for concurrent use.
type changes struct {
	log     *slog.Logger
	outcome *prometheus.CounterVec
	// services by routing key, each with the receivers that name it.
	services atomic.Pointer[[]changeService]
	queue    chan toldChange
	wait     func(ctx context.Context, d time.Duration) error
}

type changeService struct {
	receivers []string
	to        changeSender
}

type toldChange struct {
	pagerduty.Change
	services []changeService
}

func newChanges(log *slog.Logger, reg prometheus.Registerer) *changes {
	c := &changes{
		log: log, queue: make(chan toldChange, changesKept), wait: sleep,
		outcome: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_pagerduty_changes_total", Help: "Change events for PagerDuty's services: sent, failed or dropped.",
		}, []string{"outcome"}),
	}
	for _, o := range []string{"sent", "failed", "dropped"} {
		c.outcome.WithLabelValues(o)
	}
	reg.MustRegister(c.outcome)
	return c
}

// set has the services of a configuration told from now on; none where
// pagerduty.change_events is false.
func (c *changes) set(cfg *config.Config) {
	var out []changeService
	at := map[config.Secret]int{}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		for _, p := range r.PagerDutyConfigs {
			if !cfg.PagerDuty.ChangeEvents || p.RoutingKey.IsZero() {
				continue
			}
			n, ok := at[p.RoutingKey]
			if !ok {
				n = len(out)
				at[p.RoutingKey] = n
				out = append(out, changeService{to: pagerduty.New(pagerduty.Config{
					RoutingKey: p.RoutingKey.Reveal(), EventsURL: cfg.PagerDuty.EventsURL, Timeout: time.Duration(cfg.PagerDuty.Timeout),
				})})
			}
			out[n].receivers = append(out[n].receivers, r.Name)
		}
	}
	c.services.Store(&out)
}

// tell passes a change on to the services of the receivers; of all where none is
// named. It does not wait.
func (c *changes) tell(ch pagerduty.Change, receivers ...string) {
	var to []changeService
	for _, s := range *c.services.Load() {
		if len(receivers) == 0 || slices.ContainsFunc(s.receivers, func(r string) bool { return slices.Contains(receivers, r) }) {
			to = append(to, s)
		}
	}
	if len(to) == 0 {
		return
	}
	select {
	case c.queue <- toldChange{ch, to}:
	default:
		c.outcome.WithLabelValues("dropped").Add(float64(len(to)))
		c.log.Warn("a change is not told to PagerDuty: too many wait already", "change", ch.Summary)
	}
}

// run tells what is queued until ctx ends.
func (c *changes) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ch := <-c.queue:
			var all sync.WaitGroup
			for _, s := range ch.services {
				all.Go(func() { c.send(ctx, s, ch.Change) })
			}
			all.Wait()
		}
	}
}

// send tells one service, a few times where that may help: a change that is shown
// twice does less harm than one that is not.
func (c *changes) send(ctx context.Context, s changeService, ch pagerduty.Change) {
	err := s.to.SendChange(ctx, ch)
	pause := changePause
	for try := 1; err != nil && try < changeTries && !tocsin.IsPermanent(err); try++ {
		asked, _ := tocsin.RetryDelay(err)
		if werr := c.wait(ctx, min(max(asked, pause), changeLongest)); werr != nil {
			break
		}
		err = s.to.SendChange(ctx, ch)
		pause *= 2
	}
	if err != nil {
		c.outcome.WithLabelValues("failed").Inc()
		c.log.Warn("a change could not be told to PagerDuty", "change", ch.Summary, "receivers", strings.Join(s.receivers, ", "), "error", err)
		return
	}
	c.outcome.WithLabelValues("sent").Inc()
}

// changed writes what was changed into the event stream, beside what
// /v2/change/enqueue takes, and tells PagerDuty. Details are told to PagerDuty
// alone. The trace is written even where PagerDuty is not told; that it could not
// be written is no reason to undo what was done.
func (a *App) changed(ctx context.Context, text string, details map[string]string, receivers ...string) {
	now := time.Now()
	e := tocsin.Event{Kind: tocsin.EventChange, At: now, Actor: actorOf(ctx), Text: text, Before: details[detailBefore], After: details[detailAfter]}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceWithin)
	defer cancel()
	err := a.store.Update(ctx, func(tx tocsin.Tx) error {
		tx.Append(e)
		return nil
	})
	if err != nil {
		a.log.Warn("a change could not be written into the event stream", "change", text, "error", err)
	}
	host, _ := os.Hostname()
	a.mu.Lock()
	link := a.cfg.Server.ExternalURL
	a.mu.Unlock()
	a.changes.tell(pagerduty.Change{
		Summary: text, At: now, Source: cmp.Or(host, "tocsin"), URL: link, Details: maps.Clone(details),
	}, receivers...)
}

// reloaded tells of a reload that changed something.
func (a *App) reloaded(ctx context.Context, old, cfg *config.Config) {
	keys := config.Changed(old, cfg)
	if len(keys) == 0 {
		return
	}
	details := map[string]string{"file": a.path, "sections": strings.Join(keys, ", "), detailBefore: old.Hash(), detailAfter: cfg.Hash()}
	if restart := config.RestartNeeded(old, cfg); len(restart) > 0 {
		details["at the next start"] = strings.Join(restart, ", ")
	}
	a.changed(ctx, "Tocsin configuration reloaded: "+strings.Join(keys, ", ")+" changed", details)
}
