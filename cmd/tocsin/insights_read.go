package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/insights"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

const (
	// insightRows is how many incidents are listed at a time, and insightEvents how much
	// of a timeline is counted, the newest.
	insightRows   = 500
	insightEvents = 1000
	// insightMemory is how many incidents are remembered: some 20 MB.
	insightMemory = 50_000
	// insightRest is how long after its end nothing more happens to an incident; what
	// does after all gives it another revision.
	insightRest = time.Hour
)

// insightDesk remembers what counts of incidents that are over, so that each is read
// once, and a reading that was cut off goes on where it was. Its zero value is ready.
type insightDesk struct {
	mu   sync.Mutex
	seen map[string]insightSeen
}

type insightSeen struct {
	revision uint64
	insights.Seen
}

func (d *insightDesk) recall(inc *tocsin.Incident) (insights.Seen, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, known := d.seen[inc.ID]
	return s.Seen, known && s.revision == inc.Revision
}

func (d *insightDesk) remember(inc *tocsin.Incident, s insights.Seen) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seen) >= insightMemory || d.seen == nil {
		d.seen = map[string]insightSeen{}
	}
	d.seen[inc.ID] = insightSeen{inc.Revision, s}
}

// insights counts the incidents that were opened in [from, to) and that somebody may
// view, the newest first, until ctx is over.
func (a *App) insights(ctx context.Context, who *tocsin.Principal, from, to time.Time) (tocsin.Insights, error) {
	all, cut, err := a.counted.read(ctx, a.store, who.Reader(a.store), from, to)
	if err != nil {
		return tocsin.Insights{}, err
	}
	if cut {
		from = to
		if len(all) > 0 {
			from = all[len(all)-1].OpenedAt
		}
	}
	in := insights.Of(all, from, to, a.zoneOf)
	in.Cut = cut
	return in, nil
}

// read lists by what somebody may view, and reads what is listed of the store. cut is
// true where there was not the time for all of it.
func (d *insightDesk) read(ctx context.Context, store *bolt.Store, list tocsin.Reader, from, to time.Time) (all []insights.Seen, cut bool, err error) {
	f := tocsin.Filter{Archived: true, Limit: insightRows}
	for {
		part, err := list.List(ctx, f)
		older := slices.IndexFunc(part, func(i *tocsin.Incident) bool { return i.OpenedAt.Before(from) })
		if err == nil {
			listed := part
			if older >= 0 {
				listed = part[:older]
			}
			all, err = d.look(ctx, store, all, listed, to)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return all, true, nil
		case err != nil:
			return nil, false, err
		case len(part) < insightRows || older >= 0:
			return all, false, nil
		}
		last := part[len(part)-1]
		f.OpenedBefore, f.BeforeID = last.OpenedAt, last.ID
	}
}

// look appends what counts of the incidents, as of now; where it fails, of those before
// the one that it fails at.
func (d *insightDesk) look(ctx context.Context, store *bolt.Store, all []insights.Seen, listed []*tocsin.Incident, now time.Time) ([]insights.Seen, error) {
	var unread []*tocsin.Incident
	var places []int
	start := len(all)
	for n, inc := range listed {
		s, known := d.recall(inc)
		all = append(all, s)
		if !known {
			unread, places = append(unread, inc), append(places, start+n)
		}
	}
	done := 0
	err := store.Extracts(ctx, unread, insightEvents, insights.Counts, func(of int, e bolt.Extract) {
		inc := unread[of]
		c := insights.Case{Incident: inc, Timeline: e.Events}
		if e.First != nil {
			c.Rule = e.First.Name()
		}
		s := insights.Look(&c)
		all[places[of]], done = s, of+1
		if !inc.Open() && now.Sub(inc.ResolvedAt) > insightRest {
			d.remember(inc, s)
		}
	})
	if done < len(unread) {
		all = all[:places[done]]
	}
	return all, err
}
