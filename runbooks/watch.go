package runbooks

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WatchOptions say how a Watch looks.
type WatchOptions struct {
	// Every is how long it waits between two looks. 0: it does not look.
	Every time.Duration
	// Settle is how long files must stay the same before a change is taken, so that
	// no half-written file and no half-done checkout is. 0: a second.
	Settle time.Duration
	// Logger is for what people should know; nil: none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
}

const (
	// maxSettle is how often it is looked again until files stay the same. After
	// that they are taken as they are.
	maxSettle = 20
	// wholeEvery is how many looks it takes until all files are read, whatever
	// their times say: some file systems tell them wrong.
	wholeEvery = 20
)

// Watch keeps a Shelf as its folders are: it looks at the files' times every so
// often, and reads what has changed. It asks instead of being told (inotify), since
// what tells of changes says nothing of NFS, FUSE and overlays, and loses a folder
// whose symbolic link is swapped; a look at 1,000 files takes about 10 ms
// (docs/adr/0020-runbook-folders-are-looked-at.md).
//
// What goes wrong never takes a runbook away: a file that cannot be used keeps its
// last good version, a folder that is gone or empty keeps what it held, and both
// are marked as stale. A file that was removed is gone.
type Watch struct {
	shelf   *Shelf
	settle  time.Duration
	log     *slog.Logger
	metrics watchMetrics

	mu    sync.Mutex // guards every
	every time.Duration
	again chan struct{}
}

// NewWatch makes a Watch, which looks while Run runs. A Shelf has at most one.
func NewWatch(shelf *Shelf, o WatchOptions) *Watch {
	w := &Watch{
		shelf: shelf, settle: cmp.Or(o.Settle, time.Second), log: o.Logger,
		every: o.Every, again: make(chan struct{}, 1), metrics: newWatchMetrics(shelf, o.Registerer),
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	return w
}

// SetEvery changes how long it waits between two looks. 0: it does not look any
// more.
func (w *Watch) SetEvery(d time.Duration) {
	w.mu.Lock()
	w.every = d
	w.mu.Unlock()
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// Run looks until ctx ends. It always returns nil, and waits for no file system that
// hangs.
func (w *Watch) Run(ctx context.Context) error {
	for looks := 1; ; looks++ {
		if !w.wait(ctx) {
			return nil
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.look(ctx, looks%wholeEvery == 0)
		}()
		select {
		case <-done:
		case <-ctx.Done():
			return nil
		}
	}
}

// wait waits until it is time to look. It is false when ctx has ended.
func (w *Watch) wait(ctx context.Context) bool {
	for {
		w.mu.Lock()
		every := w.every
		w.mu.Unlock()
		var due <-chan time.Time
		stop := func() bool { return true }
		if every > 0 {
			t := time.NewTimer(every)
			due, stop = t.C, t.Stop
		}
		select {
		case <-ctx.Done():
			stop()
			return false
		case <-due:
			return true
		case <-w.again:
			stop()
		}
	}
}

// look looks once, and takes what has changed once it stays the same.
func (w *Watch) look(ctx context.Context, all bool) {
	start := time.Now()
	base := w.shelf.present()
	next, ok := w.read(base, all)
	w.metrics.looked(start)
	if ok && same(base, next) {
		w.shelf.replace(base, next, false)
		return
	}
	for range maxSettle {
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.settle):
		}
		last := next
		if next, ok = w.read(last, false); ok && same(last, next) {
			break
		}
	}
	if ok && !same(base, next) {
		w.take(base, next)
	}
}

// read reads the folders of before again.
func (w *Watch) read(before []*folder, all bool) ([]*folder, bool) {
	dirs := make([]string, len(before))
	for i, f := range before {
		dirs[i] = f.dir
	}
	next, err := readFolders(dirs, before, reading{now: time.Now(), all: all, keep: true})
	return next, err == nil
}

// replace takes next in place of base, which was read last, and returns the
// libraries before and after. Without rebuild only what is known of the files'
// times changes. It does nothing where somebody else has reloaded meanwhile.
func (s *Shelf) replace(base, next []*folder, rebuild bool) (before, after *Library) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(base) != len(s.folders) || len(base) > 0 && base[0] != s.folders[0] {
		return nil, nil
	}
	if !rebuild {
		s.folders = next
		return nil, nil
	}
	before = s.Library()
	return before, s.put(next)
}

// take puts what was read into force, and says so.
func (w *Watch) take(base, next []*folder) {
	before, after := w.shelf.replace(base, next, true)
	if after == nil {
		return
	}
	w.metrics.reloads.Inc()
	added, changed, removed := before.difference(after)
	level := slog.LevelInfo
	if added+changed+removed+len(after.problems)+len(before.problems) == 0 {
		level = slog.LevelDebug // another commit is checked out, and says the same
	}
	w.log.Log(context.Background(), level, "runbooks reloaded", "runbooks", len(after.runbooks), "added", added, "changed", changed,
		"removed", removed, "stale", after.stale(), "problems", len(after.problems))
	for _, p := range after.problems {
		if !slices.Contains(before.problems, p) {
			w.log.Warn("a runbook cannot be used", "file", p.File, "line", p.Line, "problem", p.Text)
		}
	}
}

// difference counts the runbooks that another library has more, says otherwise, and
// does not have.
func (l *Library) difference(next *Library) (added, changed, removed int) {
	for _, rb := range next.runbooks {
		switch old := l.Get(rb.ID); {
		case old == nil:
			added++
		case content(l.Version(old)) != content(next.Version(rb)):
			changed++
		}
	}
	for _, rb := range l.runbooks {
		if next.Get(rb.ID) == nil {
			removed++
		}
	}
	return added, changed, removed
}

// stale counts the runbooks that are not what their files say.
func (l *Library) stale() int {
	n := 0
	for _, rb := range l.List() {
		if rb.Stale != "" {
			n++
		}
	}
	return n
}

// watchMetrics are the metrics of a Watch and of its Shelf.
type watchMetrics struct {
	reloads        prometheus.Counter
	lookedAt, took prometheus.Gauge
}

func newWatchMetrics(shelf *Shelf, reg prometheus.Registerer) watchMetrics {
	gauge := func(name, help string, value func(*Library) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_runbooks_" + name, Help: help},
			func() float64 { return float64(value(shelf.Library())) })
	}
	m := watchMetrics{
		reloads:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_runbooks_reloads_total", Help: "Reloads because runbook files have changed."}),
		lookedAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_runbooks_looked_at_timestamp_seconds", Help: "When the runbook folders were last looked at."}),
		took:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_runbooks_look_seconds", Help: "How long the last look at the runbook folders took."}),
	}
	if reg != nil {
		reg.MustRegister(
			m.reloads, m.lookedAt, m.took,
			gauge("loaded", "Runbooks in use.", func(l *Library) int { return len(l.List()) }),
			gauge("stale", "Runbooks in use that are not what their files say now, since those cannot be used.", (*Library).stale),
			gauge("problems", "Problems of runbook files; see the log, or tocsin runbooks lint.", func(l *Library) int { return len(l.Problems()) }),
		)
	}
	return m
}

func (m watchMetrics) looked(start time.Time) {
	m.lookedAt.SetToCurrentTime()
	m.took.Set(time.Since(start).Seconds())
}
