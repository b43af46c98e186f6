package runbooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// firstScan is how many incidents are looked at first, and maxScan how many
	// where those do not reach back far enough.
	firstScan, maxScan = 500, 5000
	// maxLive is how many open incidents are compared.
	maxLive = 300
	// maxNames is how many alerts of an incident are asked for their names, and
	// maxAsked how many incidents are.
	maxNames, maxAsked = 5, 200
	// maxTimeline is how many events of an incident are read: the newest.
	maxTimeline = 300
	// logPage is how many events are read at once, newest page first, and maxPages
	// how many pages.
	logPage, maxPages = 1000, 20
)

// Archive is what is read of the store.
type Archive interface {
	// List returns incidents, the newest first.
	List(ctx context.Context, f tocsin.Filter) ([]*tocsin.Incident, error)
	// AlertsOf returns up to limit alerts of an incident.
	AlertsOf(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error)
	// Timeline returns the newest events of an incident, oldest first.
	Timeline(ctx context.Context, id string, after uint64, limit int) ([]tocsin.Event, error)
}

// Log reads the events of no incident, of which changes are: tocsin.Reader gives
// them not.
type Log interface {
	// Log returns up to limit events of all incidents and of none with a Seq above
	// after, oldest first.
	Log(ctx context.Context, after uint64, limit int) ([]tocsin.Event, error)
	// LastSeq returns the number of the last event.
	LastSeq() uint64
}

// Neighbours finds what stands beside the steps. It is safe for concurrent use.
type Neighbours struct {
	// Archive is the store.
	Archive Archive
	// Log reads the changes. Nil: they are said to be missing.
	Log Log
	// Timeout; 0: BesideTimeout.
	Timeout time.Duration
}

// finding is what one part of the reading has brought.
type finding struct {
	part  int
	apply func(*Beside)
	err   error
}

// The parts, as they are called where they are missing.
const (
	partFired = iota
	partEarlier
	partSimilar
	partChanges
	partCount
)

func partName(n int) string {
	return [partCount]string{"how often it fired", "what was done the last times", "similar incidents", "changes"}[n]
}

// Beside tells what stands beside the steps of an incident at now. It never fails,
// and returns within the timeout even where the store does not answer: what was not
// read by then is in Missing, and counts say "at least". It reads some thousand
// records of the store: keep the answer for a while rather than ask for each look
// at a page.
func (n *Neighbours) Beside(ctx context.Context, inc *tocsin.Incident, now time.Time) Beside {
	timeout := cmp.Or(n.Timeout, BesideTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := make(chan finding, partCount)
	go n.readPast(ctx, inc, now, out)
	go n.readSimilar(ctx, inc, out)

	b := nothingYet(inc, now)
	var heard [partCount]bool
	take := func(f finding) {
		heard[f.part] = true
		if f.apply != nil {
			f.apply(&b)
		}
		if f.err != nil {
			b.Missing = append(b.Missing, missing(partName(f.part), f.err, timeout))
		}
	}
	for range partCount {
		select {
		case f := <-out:
			take(f)
		case <-ctx.Done():
			// What has been found by now is told.
			for more := true; more; {
				select {
				case f := <-out:
					take(f)
				default:
					more = false
				}
			}
			for part, ok := range heard {
				if !ok {
					b.Missing = append(b.Missing, missing(partName(part), ctx.Err(), timeout))
				}
			}
			slices.Sort(b.Missing)
			return b
		}
	}
	slices.Sort(b.Missing)
	return b
}

// nothingYet is what is known without reading anything.
func nothingYet(inc *tocsin.Incident, now time.Time) Beside {
	return Beside{
		Incident: inc.ID, Since: now.Add(-BesideWindow), Fired: Count{1, true},
		Earlier: []Earlier{}, Similar: []Similar{}, SimilarTotal: Count{0, true}, Changes: []tocsin.Event{}, ChangesTotal: Count{0, true},
	}
}

func missing(what string, err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Sprintf("%s: not all was read within %s", what, timeout)
	}
	return what + ": " + short(err.Error())
}

// readPast reads what there was of the same alert, and what was changed since it
// was fine.
func (n *Neighbours) readPast(ctx context.Context, inc *tocsin.Incident, now time.Time, out chan<- finding) {
	since := now.Add(-BesideWindow)
	same, whole, err := n.same(ctx, inc, since)
	if fired := (Count{countFired(same, since), !whole}); err == nil || fired.N > 0 {
		out <- finding{partFired, func(b *Beside) { b.Fired = fired }, err}
	} else {
		out <- finding{partFired, nil, err}
	}
	olds := before(same, inc)
	earlier := make([]Earlier, 0, len(olds))
	for _, old := range olds {
		events, failed := n.Archive.Timeline(ctx, old.ID, 0, maxTimeline)
		if failed != nil {
			err = cmp.Or(err, failed)
			break
		}
		earlier = append(earlier, newEarlier(old, events, len(events) < maxTimeline))
	}
	out <- finding{partEarlier, func(b *Beside) { b.Earlier = earlier }, err}

	timeline, err := n.Archive.Timeline(ctx, inc.ID, 0, maxTimeline)
	fine := lastFine(inc, timeline, olds)
	from, to := changesSpan(inc, fine, now)
	changes, total, failed := n.changes(ctx, from, to)
	out <- finding{partChanges, func(b *Beside) {
		b.LastFine, b.ChangesSince, b.Changes, b.ChangesTotal = fine, from, changes, total
	}, cmp.Or(failed, err)}
}

// same lists the incidents of the same alert, the newest first. Whole is whether
// all since then were looked at.
func (n *Neighbours) same(ctx context.Context, inc *tocsin.Incident, since time.Time) (same []*tocsin.Incident, whole bool, err error) {
	if inc.Group.IsZero() {
		return []*tocsin.Incident{inc}, true, nil
	}
	var all []*tocsin.Incident
	for _, limit := range []int{firstScan, maxScan} {
		list, failed := n.Archive.List(ctx, tocsin.Filter{Archived: true, Limit: limit})
		if failed != nil {
			err = failed
			break
		}
		all = list
		if whole = len(all) < limit || all[len(all)-1].OpenedAt.Before(since); whole {
			break
		}
	}
	same, sure, failed := n.named(ctx, inc, all)
	return same, whole && sure, cmp.Or(err, failed)
}

// named are the incidents of the group of inc that have an alert of the same name.
// Sure is whether all of them were asked.
func (n *Neighbours) named(ctx context.Context, inc *tocsin.Incident, all []*tocsin.Incident) (same []*tocsin.Incident, sure bool, err error) {
	var mine []string
	if !namedByGroup(inc) {
		if mine, err = n.names(ctx, inc); err != nil {
			return nil, false, err
		}
	}
	asked := 0
	for _, other := range all {
		switch {
		case other.Group != inc.Group:
			continue
		case other.ID == inc.ID, len(mine) == 0, namedByGroup(other):
			same = append(same, other)
			continue
		case asked == maxAsked:
			return same, false, nil
		}
		asked++
		theirs, err := n.names(ctx, other)
		if err != nil {
			return same, false, err
		}
		if overlap(mine, theirs) {
			same = append(same, other)
		}
	}
	return same, true, nil
}

// names are the names of the first alerts of an incident: one where they all have
// the same.
func (n *Neighbours) names(ctx context.Context, inc *tocsin.Incident) ([]string, error) {
	limit := maxNames
	if namedByGroup(inc) {
		limit = 1
	}
	records, err := n.Archive.AlertsOf(ctx, inc.ID, limit)
	var names []string
	for i := range records {
		if name := records[i].Name(); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

// readSimilar compares the open incidents.
func (n *Neighbours) readSimilar(ctx context.Context, inc *tocsin.Incident, out chan<- finding) {
	live, err := n.Archive.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: maxLive})
	whole := err == nil && len(live) < maxLive
	var mine []string
	if err == nil {
		mine, err = n.names(ctx, inc)
	}
	similar := []Similar{}
	for _, other := range live {
		var theirs []string
		if err == nil && len(mine) > 0 && other.ID != inc.ID {
			theirs, err = n.names(ctx, other)
		}
		if s, ok := similarity(inc, other, mine, theirs); ok {
			similar = append(similar, s)
		}
	}
	total := Count{len(similar), !whole || err != nil}
	slices.SortFunc(similar, bySimilarity)
	similar = similar[:min(len(similar), maxSimilar)]
	out <- finding{partSimilar, func(b *Beside) { b.Similar, b.SimilarTotal = similar, total }, err}
}

// changes reads the log from its end, page by page, back to from.
func (n *Neighbours) changes(ctx context.Context, from, to time.Time) (changes []tocsin.Event, total Count, err error) {
	changes = []tocsin.Event{}
	if n.Log == nil {
		return changes, Count{AtLeast: true}, errors.New("this store does not tell of them")
	}
	last := n.Log.LastSeq()
	for range maxPages {
		first := last - min(last, logPage)
		events, err := n.Log.Log(ctx, first, logPage)
		if err != nil {
			return changes, Count{total.N, true}, err
		}
		reached := false
		for _, e := range slices.Backward(events) {
			switch {
			case e.Seq > last: // numbers were left out, and the page reaches into the one before
			case e.At.Before(from):
				reached = true
			case e.Kind == tocsin.EventChange && !e.At.After(to):
				if total.N++; len(changes) < maxChanges {
					e.Text = short(e.Text)
					changes = append(changes, e)
				}
			}
		}
		if last = first; reached || last == 0 {
			return changes, total, nil
		}
	}
	return changes, Count{total.N, true}, nil
}
