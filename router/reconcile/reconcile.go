// Package reconcile asks Alertmanager what fires there, and brings what is known
// here in line with it: webhooks get lost, and Alertmanager gives up on them.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
)

// Config says whom to ask.
type Config struct {
	// URLs of all members of the cluster, without /api/v2; none: nobody is asked.
	URLs []string
	// Source is the source of their webhooks' alerts.
	Source string
	// Receivers of Alertmanager's that send here; none: all.
	Receivers []string
	// Token, or Username and Password, for the API.
	Token, Username, Password string
	// Every is how often they are asked; 0: a minute.
	Every time.Duration
	// Timeout of one answer; 0: 10 s.
	Timeout time.Duration
	// Settle is how long an alert fires there before it is missed here; 0: a
	// minute. Its webhook waits for group_wait.
	Settle time.Duration
	// Checks is how often in a row an alert must be gone at all peers before it is
	// resolved here; 0: 3.
	Checks int
	// WriteSilences writes the silences made here to Alertmanager.
	WriteSilences bool
	// Skip leaves an alert alone; nil: none. It is safe for concurrent use.
	Skip func(*tocsin.Alert) bool
}

func (c Config) withDefaults() Config {
	c.Every = cmp.Or(c.Every, time.Minute)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Settle = cmp.Or(c.Settle, time.Minute)
	c.Checks = cmp.Or(c.Checks, 3)
	return c
}

// Receiver takes alerts, durably.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Store is what is known here.
type Store interface {
	tocsin.Updater
	// AlertStates yields what is known of every alert.
	AlertStates(yield func(tocsin.AlertState) bool)
	// Alert returns an alert with its text.
	Alert(ctx context.Context, id tocsin.Key) (tocsin.AlertRecord, error)
}

// Options are the parts of a Reconciler. Receiver and Store are required.
type Options struct {
	Receiver Receiver
	Store    Store
	// Client for the questions; nil: one of its own.
	Client *http.Client
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// batch is the most alerts of one commit.
const batch = 1000

// Reconciler asks regularly. Run is called once; SetConfig at any time.
type Reconciler struct {
	o       Options
	conf    atomic.Pointer[Config]
	poke    chan struct{}
	missed  *prometheus.CounterVec
	checks  *prometheus.CounterVec
	written *prometheus.CounterVec

	// What follows is Run's alone.
	gone absence
	// foreign remembers whether an alert that fires here is of another source.
	foreign map[tocsin.Key]bool
	asked   *Config
	// silent are the peers that did not answer last time.
	silent map[string]bool
}

// New returns a reconciler. It asks nobody: Run does.
func New(c Config, o Options) (*Reconciler, error) {
	if o.Receiver == nil || o.Store == nil {
		return nil, errors.New("reconcile: a receiver and a store are needed")
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reconciler{o: o, poke: make(chan struct{}, 1), gone: absence{}, foreign: map[tocsin.Key]bool{}, silent: map[string]bool{}}
	r.missed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_reconcile_missed_total", Help: "Alerts that Alertmanager's webhook did not tell of, by what: webhook (it fires) or resolve.",
	}, []string{"what"})
	r.checks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_reconcile_checks_total", Help: "Questions to Alertmanagers, by outcome.",
	}, []string{"outcome"})
	r.written = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_reconcile_silences_total", Help: "Silences written to Alertmanager, by outcome.",
	}, []string{"outcome"})
	if o.Registerer != nil {
		if err := errors.Join(o.Registerer.Register(r.missed), o.Registerer.Register(r.checks), o.Registerer.Register(r.written)); err != nil {
			return nil, err
		}
	}
	r.SetConfig(c)
	return r, nil
}

// SetConfig changes whom to ask, and asks at once.
func (r *Reconciler) SetConfig(c Config) {
	c = c.withDefaults()
	r.conf.Store(&c)
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Run asks at once and then regularly, until ctx ends. It returns nil.
func (r *Reconciler) Run(ctx context.Context) error {
	for {
		c := r.conf.Load()
		if len(c.URLs) > 0 {
			r.Check(ctx)
		}
		timer := time.NewTimer(c.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-r.poke:
			timer.Stop()
		}
	}
}

// Check asks once. It is not called beside Run.
func (r *Reconciler) Check(ctx context.Context) {
	c := r.conf.Load()
	if r.asked != c {
		r.asked, r.gone, r.foreign = c, absence{}, map[tocsin.Key]bool{}
	}
	clients := r.clients(c)
	v := merge(c, r.ask(ctx, clients))
	if v.answered && ctx.Err() == nil {
		if err := r.align(ctx, c, &v); err != nil && ctx.Err() == nil {
			r.o.Logger.Error("what Alertmanager says could not be stored; it is asked again", "error", err)
		}
	}
	if c.WriteSilences && v.answered && ctx.Err() == nil {
		r.writeSilences(ctx, clients)
	}
}

func (r *Reconciler) clients(c *Config) []*client {
	var out []*client
	for _, u := range c.URLs {
		out = append(out, &client{base: u, conf: c, http: r.o.Client})
	}
	return out
}

// ask asks all peers at a time; the answer of one that does not is nil.
func (r *Reconciler) ask(ctx context.Context, clients []*client) [][]apiAlert {
	answers, errs := make([][]apiAlert, len(clients)), make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { answers[i], errs[i] = c.alerts(ctx) })
	}
	wg.Wait()
	for i, c := range clients {
		if ctx.Err() != nil {
			break
		}
		if err := errs[i]; err != nil {
			answers[i] = nil
			r.checks.WithLabelValues("failed").Inc()
			if !r.silent[c.base] {
				r.o.Logger.Warn("an Alertmanager does not answer; what it knows is not taken for gone", "url", c.base, "error", err)
			}
		} else {
			r.checks.WithLabelValues("answered").Inc()
			if r.silent[c.base] {
				r.o.Logger.Info("an Alertmanager answers again", "url", c.base)
			}
		}
		r.silent[c.base] = errs[i] != nil
	}
	return answers
}

// align brings what is known here in line with what the peers say.
func (r *Reconciler) align(ctx context.Context, c *Config, v *view) error {
	states := map[tocsin.Key]bool{}
	for s := range r.o.Store.AlertStates {
		if s.Firing {
			states[s.ID] = true
		}
	}
	now := r.o.Now()
	missed := v.missed(c, func(id tocsin.Key) bool { return states[id] }, now)
	if err := r.tell(ctx, c, missed, "webhook", "missed webhook: %s; Alertmanager says that it fires, and has not told"); err != nil {
		return err
	}
	for id := range r.foreign {
		if !states[id] {
			delete(r.foreign, id)
		}
	}
	ours := make([]tocsin.Key, 0, len(states))
	for id := range states {
		if v.alerts[id] != nil || r.isOurs(ctx, c, id) {
			ours = append(ours, id)
		}
	}
	var ended []tocsin.Alert
	for _, id := range r.gone.note(v, ours, c.Checks) {
		record, err := r.o.Store.Alert(ctx, id)
		if err != nil {
			continue // it has been archived meanwhile
		}
		a := record.Alert
		a.Firing, a.StartsAt, a.EndsAt = false, record.State.StartsAt, now
		ended = append(ended, a)
	}
	return r.tell(ctx, c, ended, "resolve", "missed resolve: %s; it is gone at every Alertmanager")
}

// isOurs reports whether an alert that fires here came from the Alertmanagers.
func (r *Reconciler) isOurs(ctx context.Context, c *Config, id tocsin.Key) bool {
	foreign, known := r.foreign[id]
	if known {
		return !foreign
	}
	record, err := r.o.Store.Alert(ctx, id)
	if err != nil {
		return false
	}
	r.foreign[id] = record.Source != c.Source
	return record.Source == c.Source
}

// tell commits alerts, and says on the timelines how they were learnt of.
func (r *Reconciler) tell(ctx context.Context, c *Config, alerts []tocsin.Alert, what, text string) error {
	for part := range slices.Chunk(alerts, batch) {
		if _, err := r.o.Receiver.Receive(ctx, tocsin.Batch{Source: c.Source, Alerts: part}); err != nil {
			return err
		}
		r.missed.WithLabelValues(what).Add(float64(len(part)))
		r.o.Logger.Warn("Alertmanager's webhook missed something", "what", what, "alerts", len(part))
		now := r.o.Now()
		if err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			for id, names := range incidentsOf(tx, part) {
				if inc := tx.Incident(id); inc != nil {
					inc.Touch(now)
					tx.PutIncident(inc)
					tx.Append(inc.Event(tocsin.EventNote, "", fmt.Sprintf(text, list(names)), now))
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// incidentsOf names the alerts by the incidents that they are attached to.
func incidentsOf(tx tocsin.Tx, alerts []tocsin.Alert) map[string][]string {
	out := map[string][]string{}
	for i := range alerts {
		if s, ok := tx.Alert(alerts[i].ID()); ok && s.Incident != "" {
			out[s.Incident] = append(out[s.Incident], cmp.Or(alerts[i].Name(), alerts[i].Labels.String()))
		}
	}
	return out
}

// list names the first few.
func list(names []string) string {
	const most = 3
	slices.Sort(names)
	names = slices.Clone(names)
	if n := len(names); n > most {
		return fmt.Sprintf("%s, %s, %s and %d more", names[0], names[1], names[2], n-most)
	}
	text := ""
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}
