package runbooks

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// kindUnused is the kind of the documents that say since when a kept version is
// used by no live incident.
const kindUnused = "runbook-unused"

// Store is what Tidy needs of the store.
type Store interface {
	tocsin.Updater
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
	// Documents returns what is committed of a kind.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
}

// Tidy drops the runbooks that were kept for incidents (tocsin.RunbookVersions)
// once no incident that is retained can need them: those that no live incident has
// been using for longer than retention. 0 keeps them for ever. What the Shelf holds
// now stays, since the next incident may open with it. Since when a version is
// unused is in the store, so that restarts do not put it off. It reads memory alone
// when nothing has changed.
func Tidy(ctx context.Context, store Store, shelf *Shelf, retention time.Duration, now time.Time) error {
	docs, _, err := store.Documents(ctx, tocsin.RunbookVersions)
	if err != nil || len(docs) == 0 || retention <= 0 {
		return err
	}
	marks, _, err := store.Documents(ctx, kindUnused)
	if err != nil {
		return err
	}
	used := shelf.contents()
	store.Live(func(inc *tocsin.Incident) bool {
		if inc.Progress != nil {
			used[content(inc.Progress.Version)] = true
		}
		return true
	})
	mark, err := json.Marshal(now)
	if err != nil {
		return err
	}
	begin, end, gone := sortOut(docs, unusedSince(marks, now), used, now.Add(-retention))
	if len(begin)+len(end)+len(gone) == 0 {
		return nil
	}
	return store.Update(ctx, func(tx tocsin.Tx) error {
		for _, id := range begin {
			tx.PutDocument(kindUnused, id, mark)
		}
		for _, id := range end {
			tx.DeleteDocument(kindUnused, id)
		}
		for _, id := range gone {
			tx.DeleteDocument(kindUnused, id)
			tx.DeleteDocument(tocsin.RunbookVersions, id)
		}
		return nil
	})
}

// unusedSince reads since when versions are unused. A time to come is now: the
// clock was set back.
func unusedSince(marks []tocsin.Document, now time.Time) map[string]time.Time {
	since := map[string]time.Time{}
	for _, m := range marks {
		var at time.Time
		if json.Unmarshal(m.Value, &at) != nil || at.After(now) {
			at = now
		}
		since[m.ID] = at
	}
	return since
}

// sortOut finds the versions that begin to be unused, those that end to be, and
// those that were unused before cutoff already. used holds hashes.
func sortOut(docs []tocsin.Document, since map[string]time.Time, used map[string]bool, cutoff time.Time) (begin, end, gone []string) {
	for _, d := range docs {
		at, marked := since[d.ID]
		switch {
		case used[content(d.ID)] && marked:
			end = append(end, d.ID)
		case used[content(d.ID)]:
		case !marked:
			begin = append(begin, d.ID)
		case at.Before(cutoff):
			gone = append(gone, d.ID)
		}
	}
	return begin, end, gone
}

// contents are the hashes of all runbooks of the present Library.
func (s *Shelf) contents() map[string]bool {
	out := map[string]bool{}
	for _, rb := range s.List() {
		out[content(s.Version(rb))] = true
	}
	return out
}
