package slack

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/tocsin-oncall/tocsin"
)

// How many graphs there are, and how long one may take. A storm gets few: whoever
// looks at fifty incidents looks at no graph.
const (
	graphsAtOnce = 2
	graphsQueued = 16
	graphsEvery  = 3 * time.Second
	graphsBurst  = 10
	graphWithin  = 20 * time.Second
	// graphAgain is how long after a failed try an incident's message may have its
	// graph tried again; graphsRefused how long Slack is left alone when it lacks the
	// permission, which takes an administrator to mend.
	graphAgain    = time.Minute
	graphsRefused = 30 * time.Minute
	graphLogs     = time.Minute
	maxGraphTries = 10_000
)

// Shown is a message that shows an open incident of a rule, as it was just posted or
// changed.
type Shown struct {
	Incident string
	// Opening counts how often the incident was opened again before.
	Opening uint32
	// Target and Ref are those of the delivery.
	Target, Ref string
	client      *Client
}

// OnShown has fn told of each message of an open incident whose first alert comes
// from a rule, after it was posted or changed. fn must not block. Call it before the first delivery.
func (c *Client) OnShown(fn func(Shown)) { c.shown = fn }

// tell tells of a message.
func (c *Client) tell(n *tocsin.Notice, ref string) {
	i := n.Incident
	if drawn := len(n.Alerts) > 0 && n.Alerts[0].GeneratorURL != ""; drawn && c.shown != nil && ref != "" && i.Open() && !i.Quiet() {
		c.shown(Shown{Incident: i.ID, Opening: i.Reopened, Target: n.Delivery.Target, Ref: ref, client: c})
	}
}

// GraphStore is what Graphs need of the store.
type GraphStore interface {
	tocsin.Updater
	// Get returns an incident, live or archived, or tocsin.ErrNotFound.
	Get(ctx context.Context, id string) (*tocsin.Incident, error)
	// Documents returns what Tx.Documents does.
	Documents(ctx context.Context, kind string) (docs []tocsin.Document, version uint64, err error)
}

// GraphsConfig is what Graphs stand on. Store and Draw are required.
type GraphsConfig struct {
	Store GraphStore
	// Draw draws what an incident's rule asks for. It returns tocsin.ErrNotFound
	// where there is nothing to draw.
	Draw func(ctx context.Context, incident string) (Picture, error)
	// Logger is for what is left out; nil: nothing is said.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
}

// Graphs puts the graph of an incident's rule into the thread of each message about
// it: after the message, which never waits for it, once for each time that the
// incident opens, and at most once, since what is said of it is written down before
// it is shown. What fails or is too much is left out. It is safe for concurrent use.
type Graphs struct {
	cfg   GraphsConfig
	queue chan Shown
	rate  *rate.Limiter
	total *prometheus.CounterVec

	mu sync.Mutex
	// tries is until when each is not to be tried again.
	tries map[Shown]time.Time
	// closed until then, since Slack refused everything.
	closed time.Time
	// said is when something was last logged of each kind, and left how many graphs
	// were left out since.
	said map[string]time.Time
	left int
}

// NewGraphs returns Graphs that do nothing before Run.
func NewGraphs(cfg GraphsConfig) *Graphs {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Graphs{
		cfg: cfg, queue: make(chan Shown, graphsQueued), rate: rate.NewLimiter(rate.Every(graphsEvery), graphsBurst),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_slack_graphs_total", Help: "Graphs for Slack threads: shown, failed, and left out since there were too many.",
		}, []string{"outcome"}),
		tries: map[Shown]time.Time{}, said: map[string]time.Time{},
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(g.total)
	}
	return g
}

// Shown asks for the graph of a message. It never blocks.
func (g *Graphs) Shown(s Shown) {
	now := time.Now()
	if !g.due(s, now) {
		return
	}
	if g.rate.AllowN(now, 1) {
		select {
		case g.queue <- s:
			return
		default:
		}
	}
	g.leaveOut(s, now)
}

// due reports whether a graph is to be tried, and notes that it was.
func (g *Graphs) due(s Shown, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.closed) || now.Before(g.tries[s.key()]) {
		return false
	}
	g.wait(s, now.Add(graphAgain))
	return true
}

// key is the same for all that is told of one message.
func (s Shown) key() Shown {
	s.client, s.Ref = nil, ""
	return s
}

// wait leaves a message alone until then. The caller holds g.mu.
func (g *Graphs) wait(s Shown, until time.Time) {
	if len(g.tries) >= maxGraphTries {
		clear(g.tries) // what is written down still holds
	}
	g.tries[s.key()] = until
}

// settle leaves a message alone that has its graph.
func (g *Graphs) settle(s Shown) {
	const forGood = 30 * 24 * time.Hour
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wait(s, time.Now().Add(forGood))
}

// leaveOut counts a graph that is not drawn, and says so now and then.
func (g *Graphs) leaveOut(s Shown, now time.Time) {
	g.total.WithLabelValues("left_out").Inc()
	g.mu.Lock()
	g.left++
	n := g.left
	g.mu.Unlock()
	if g.once("left out", now) {
		g.mu.Lock()
		g.left = 0
		g.mu.Unlock()
		g.cfg.Logger.Info("graphs were left out of Slack's threads: there are too many incidents at once", "graphs", n, "incident", s.Incident)
	}
}

// once reports whether something may be logged again.
func (g *Graphs) once(kind string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, said := g.said[kind]; said && now.Sub(at) < graphLogs {
		return false
	}
	g.said[kind] = now
	return true
}

// Run draws and shows until ctx ends. Nil has nothing to do.
func (g *Graphs) Run(ctx context.Context) error {
	if g == nil {
		return nil
	}
	var workers sync.WaitGroup
	for range graphsAtOnce {
		workers.Go(func() { g.work(ctx) })
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := g.Tidy(ctx); err != nil && ctx.Err() == nil {
			g.cfg.Logger.Warn("what is known of old graphs in Slack could not be dropped; tried again later", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	workers.Wait()
	return nil
}

func (g *Graphs) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-g.queue:
			within, cancel := context.WithTimeout(ctx, graphWithin)
			err := g.show(within, s)
			cancel()
			if err != nil && ctx.Err() == nil {
				g.failed(s, err, time.Now())
			}
		}
	}
}

// show draws, uploads, writes down that the graph is about to be shown, and shows
// it. Whatever happens after that, it is not shown again.
func (g *Graphs) show(ctx context.Context, s Shown) error {
	switch known, err := g.known(ctx, s); {
	case err != nil:
		return err
	case known:
		g.settle(s)
		return nil
	}
	p, err := g.cfg.Draw(ctx, s.Incident)
	switch {
	case errors.Is(err, tocsin.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	f, err := s.client.upload(ctx, &p)
	if err != nil {
		return err
	}
	if claimed, err := g.claim(ctx, s); !claimed || err != nil {
		return err
	}
	g.settle(s)
	if err := s.client.share(ctx, f, placeOf(s.Ref)); err != nil {
		return err
	}
	g.total.WithLabelValues("shown").Inc()
	return nil
}

// failed says why a graph is not there. What an administrator has to mend is said
// once, and nothing is tried for a while.
func (g *Graphs) failed(s Shown, err error, now time.Time) {
	g.total.WithLabelValues("failed").Inc()
	kind, wait := cmp.Or(codeOf(err), "other"), time.Duration(0)
	switch after, limited := tocsin.RetryDelay(err); {
	case limited:
		wait = after
	case refusesFiles(kind):
		wait = graphsRefused
	}
	g.mu.Lock()
	g.closed = now.Add(wait)
	_, before := g.said[kind]
	g.mu.Unlock()
	if refusesFiles(kind) && before || !g.once(kind, now) {
		return
	}
	g.cfg.Logger.Warn("a graph could not be put into Slack's thread; the message is there without it", "incident", s.Incident, "target", s.Target, "error", err)
}

// refusesFiles tells the answers that every file would get.
func refusesFiles(code string) bool {
	switch code {
	case "missing_scope", "file_uploads_disabled", "not_allowed_token_type", "invalid_auth", "token_revoked", "account_inactive", "unknown_method":
		return true
	default:
		return false
	}
}
