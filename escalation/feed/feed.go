// Package feed keeps what others last said about who is on call or away:
// calendars and PagerDuty. It asks them regularly, and remembers the answer in
// the store. When a source is away, what it last said holds: a page does not
// depend on somebody else's server at night.
package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Kind of the documents that the answers are kept in; their ID is the source's.
const Kind = "feed"

const (
	// Back is how far behind the day, in UTC, a source is asked for: the reports
	// on how duty was shared need it. The span that is asked for moves once a day,
	// so that an answer that has not changed is not written anew.
	Back = 13 * 7 * 24 * time.Hour
	// Ahead is how far ahead of the day a source is asked for: the proof of
	// coverage needs it, and people's calendars.
	Ahead = 26 * 7 * 24 * time.Hour

	// DefaultEvery is how often a source is asked that does not say.
	DefaultEvery = 15 * time.Minute
	// MinEvery is how often a source is asked at most.
	MinEvery = 10 * time.Second
)

const (
	// spacing lies between the first questions to different sources.
	spacing = 250 * time.Millisecond
	// patience with one question.
	patience = time.Minute
	// firstRetry after a failure; it doubles, up to Source.Every.
	firstRetry = 30 * time.Second
	// maxSpans of one answer.
	maxSpans = 20_000
)

// Source is somebody who is asked.
type Source struct {
	// ID of the source, up to 256 bytes; the answer is kept under it.
	ID string
	// Every is how often it is asked; 0: DefaultEvery. Less than MinEvery is
	// MinEvery.
	Every time.Duration
	// Fetch asks for all spans that overlap [from, to). Its errors hold no
	// secrets; tocsin.RetryAfter is obeyed. It returns soon after ctx ended.
	Fetch func(ctx context.Context, from, to time.Time) ([]oncall.Span, error)
}

// every is how often the source is asked.
func (s *Source) every() time.Duration { return max(cmp.Or(s.Every, DefaultEvery), MinEvery) }

// Store is where the answers are kept.
type Store interface {
	tocsin.Updater
	// Documents returns what is committed of a kind.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
}

// Options are the parts of Feeds. The zero value is ready.
type Options struct {
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Changed is told when the spans of a source have changed; nil: nobody is. It
	// is not called twice at once. It may call Spans and SetSources.
	Changed func()
}

// Feeds asks sources and holds their last answers. It is safe for concurrent
// use.
type Feeds struct {
	store    Store
	o        Options
	metrics  *metrics
	reload   chan struct{}
	changing sync.Mutex

	mu      sync.Mutex
	sources []Source
	// states by source ID; those of sources that are no longer asked stay, for
	// their return, until all that they said is past.
	states map[string]*state
}

// state is what is known of one source.
type state struct {
	answer
	// stored says that the store holds the answer as it is here.
	stored bool
	// asked is since when an answer is waited for, where there never was one.
	asked time.Time
	// failures since the last answer.
	failures int
}

// New returns Feeds with the last answers from the store. It asks nobody: Run
// does.
func New(store Store, sources []Source, o Options) (*Feeds, error) {
	if store == nil {
		return nil, errors.New("feed: a store is needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Feeds{store: store, o: o, reload: make(chan struct{}, 1), states: make(map[string]*state)}
	docs, _, err := store.Documents(context.Background(), Kind)
	if err != nil {
		return nil, fmt.Errorf("reading what the feeds last said: %w", err)
	}
	for _, d := range docs {
		a, err := decode(d.Value)
		if err != nil {
			o.Logger.Warn("what a feed last said cannot be read; it is asked anew", "feed", d.ID, "error", err)
			continue
		}
		f.states[d.ID] = &state{answer: a, stored: true}
	}
	f.metrics = newMetrics(o.Registerer, f.ages)
	f.use(sources)
	return f, nil
}

// SetSources replaces the sources. All are asked anew soon, also those that were
// there before; until they answer, what they last said holds. It does not wait.
func (f *Feeds) SetSources(sources []Source) {
	f.use(sources)
	select {
	case f.reload <- struct{}{}:
	default:
	}
}

func (f *Feeds) use(sources []Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.o.Now()
	f.sources = nil
	seen := make(map[string]bool)
	for _, s := range sources {
		if s.ID == "" || s.Fetch == nil || seen[s.ID] {
			f.o.Logger.Error("a feed is left out: it has no name, no way to ask, or the name of another one", "feed", s.ID)
			continue
		}
		seen[s.ID] = true
		f.sources = append(f.sources, s)
		if f.states[s.ID] == nil {
			f.states[s.ID] = &state{asked: now}
		}
		f.metrics.errors.WithLabelValues(s.ID) // shown as 0 before the first
	}
	for id := range f.states {
		if !seen[id] {
			f.metrics.errors.DeleteLabelValues(id)
		}
	}
}

// Spans returns what a source last said, by user and time; nil where it never
// answered. The slice is shared: do not change it.
func (f *Feeds) Spans(id string) []oncall.Span {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.states[id]; s != nil {
		return s.spans
	}
	return nil
}

// ages returns the age of each source's last answer, or since when there should
// be one.
func (f *Feeds) ages() map[string]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.o.Now()
	out := make(map[string]time.Duration, len(f.sources))
	for i := range f.sources {
		id := f.sources[i].ID
		out[id] = f.states[id].age(now)
	}
	return out
}

func (s *state) age(now time.Time) time.Duration {
	since := s.fetchedAt
	if since.IsZero() {
		since = s.asked
	}
	return max(now.Sub(since), 0)
}
