package remediation

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// tidyEvery is how often what is old is dropped, a chunk at a time.
	tidyEvery = time.Minute
	// enough is how many remediations are kept in peace: beyond, what has not run is
	// dropped after an hour.
	enough = maxRecords / 2
	// maxOutputs is how many outputs are kept.
	maxOutputs = 256
)

// tidy drops what is older than the retention, and what is too much.
func (e *Engine) tidy(ctx context.Context, live map[string]bool, now time.Time) error {
	if since := now.Sub(e.tidied); since < tidyEvery && since >= 0 {
		return nil
	}
	x, err := e.committed(ctx)
	if err != nil {
		return err
	}
	outputs, _, err := e.o.Store.Documents(ctx, KindOutput)
	if err != nil {
		return err
	}
	old, spare := x.old(live, now.Add(-max(e.o.Retention, e.rules.Load().memory())), now.Add(-time.Hour)), spareOutputs(x, outputs)
	e.tidied = now
	if len(old)+len(spare) == 0 {
		return nil
	}
	return e.write(ctx, func(l *ledger) error {
		for _, id := range old {
			r, err := l.find(id)
			if err != nil || r == nil || !r.State.Final() || r.Page != nil {
				continue
			}
			if inc := l.tx.Incident(r.Incident); inc != nil && inc.Open() {
				continue // it would be run again
			}
			l.tx.DeleteDocument(KindRecord, id)
			l.tx.DeleteDocument(KindOutput, id)
		}
		for _, id := range spare {
			l.tx.DeleteDocument(KindOutput, id)
		}
		return nil
	})
}

// old are those that have ended before a time, and, where there are too many,
// those that have not run and have ended before another; a chunk of them, and
// none of a live incident.
func (x *index) old(live map[string]bool, before, idle time.Time) []string {
	var out []string
	crowded := len(x.records) > enough
	x.each(func(r *record) bool {
		if r.State.Final() && !live[r.Incident] && (r.EndedAt.Before(before) || crowded && !r.State.Ran() && r.EndedAt.Before(idle)) {
			out = append(out, r.ID)
		}
		return len(out) < chunk
	})
	return out
}

// spareOutputs are the outputs beyond those of the latest runs.
func spareOutputs(x *index, outputs []tocsin.Document) []string {
	if len(outputs) <= maxOutputs {
		return nil
	}
	started := func(id string) time.Time {
		if r := x.find(id); r != nil {
			return r.StartedAt
		}
		return time.Time{}
	}
	ids := make([]string, 0, len(outputs))
	for _, d := range outputs {
		ids = append(ids, d.ID)
	}
	slices.SortStableFunc(ids, func(a, b string) int { return started(b).Compare(started(a)) })
	return ids[maxOutputs:min(len(ids), maxOutputs+chunk)]
}
