package watch

import (
	"cmp"
	"context"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// progress returns what says how far people are with an incident's runbook; "":
// nothing is known of its steps. The handoff does not wait for it: where the kept
// runbooks cannot be read, those of now do.
func (w *Watch) progress(ctx context.Context) func(*tocsin.Incident) string {
	kept, _, err := w.o.Store.Documents(ctx, tocsin.RunbookVersions)
	if err != nil {
		w.o.Logger.Warn("the runbooks that incidents opened with could not be read", "error", err)
	}
	return func(inc *tocsin.Incident) string {
		var pinned, now *tocsin.Runbook
		if p := inc.Progress; p != nil {
			at, found := slices.BinarySearchFunc(kept, p.Version, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
			if found {
				pinned = tocsin.DecodeRunbook(kept[at].Value)
			}
		}
		if w.o.Runbook != nil {
			now = w.o.Runbook(inc.Runbook)
		}
		if now == nil {
			now = pinned
		}
		return tocsin.SayProgress(inc.Progress.View(pinned, now))
	}
}
