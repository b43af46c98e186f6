package escalation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// firstAside and longestAside are how long an incident that cannot be settled
	// is left alone, at first and at most.
	firstAside   = 5 * time.Second
	longestAside = 5 * time.Minute
	// tidyEvery is how often policies that nothing follows are looked for.
	tidyEvery = 24 * time.Hour
)

// aside holds the incidents that could not be settled, so that they keep no other
// waiting.
type aside map[string]setAside

type setAside struct {
	until time.Time
	tries int
}

// put sets an incident aside and returns until when: longer each time.
func (a aside) put(id string, now time.Time) time.Time {
	s := a[id]
	s.until = now.Add(min(firstAside<<min(s.tries, 10), longestAside))
	s.tries++
	a[id] = s
	return s.until
}

// without returns the incidents that are not set aside now.
func (a aside) without(ids []string, now time.Time) []string {
	if len(a) == 0 {
		return ids
	}
	return slices.DeleteFunc(ids, func(id string) bool { return a[id].until.After(now) })
}

// prune forgets those that nobody has asked for in a long time: they are gone.
func (a aside) prune(now time.Time) {
	maps.DeleteFunc(a, func(_ string, s setAside) bool { return now.Sub(s.until) > longestAside })
}

// settleEach settles incidents in one transaction; where that is refused, one by
// one, and sets those aside that are refused alone.
func (e *Engine) settleEach(ctx context.Context, ids []string, now time.Time) error {
	err := e.settleAll(ctx, ids, now)
	if err == nil || ctx.Err() != nil || errors.Is(err, tocsin.ErrUnavailable) {
		for _, id := range ids {
			if err == nil {
				delete(e.aside, id)
			}
		}
		return err
	}
	for _, id := range ids {
		err := e.settleAll(ctx, []string{id}, now)
		switch {
		case err == nil:
			delete(e.aside, id)
		case ctx.Err() != nil || errors.Is(err, tocsin.ErrUnavailable):
			return err
		default:
			until := e.aside.put(id, now)
			e.o.Logger.Error("an incident cannot be escalated; the others go on", "incident", id, "again", until, "error", err)
		}
	}
	return nil
}

// soonest is when the first incident is due that is not set aside; zero: none is.
func (e *Engine) soonest(now time.Time) time.Time {
	due, next := e.o.Store.Deadlines(now, 1+len(e.aside))
	if len(e.aside.without(due, now)) > 0 {
		return now
	}
	return next
}

// tidy drops, once a day, the frozen policies that no incident of plans follows,
// and none has followed a day before: one that was opened meanwhile keeps its
// own.
func (e *Engine) tidy(ctx context.Context, plans map[string]bool, now time.Time) error {
	e.aside.prune(now)
	if since := now.Sub(e.tidied); since < tidyEvery && since >= 0 {
		return nil
	}
	docs, _, err := e.o.Store.Documents(ctx, kindPolicy)
	if err != nil {
		return err
	}
	unused, gone := map[string]bool{}, []string{}
	for _, doc := range docs {
		switch {
		case plans[doc.ID] || e.rules.Load().inForce(doc.ID):
		case e.unused[doc.ID]:
			gone = append(gone, doc.ID)
		default:
			unused[doc.ID] = true
		}
	}
	if len(gone) > 0 {
		err = e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			for _, id := range gone {
				if !e.rules.Load().inForce(id) {
					tx.DeleteDocument(kindPolicy, id)
				}
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	e.lib.forget(gone)
	e.tidied, e.unused = now, unused
	return nil
}

// inForce reports whether a frozen policy is the configured one.
func (r *Rules) inForce(id string) bool {
	for _, f := range r.policies {
		if f.id == id {
			return true
		}
	}
	return false
}

// forget drops decoded policies.
func (l *library) forget(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.policies, id)
	}
}
