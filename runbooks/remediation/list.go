package remediation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// List returns remediations, the newest first: those of an incident, or of all
// where incident is empty; at most limit (0: 100).
func (e *Engine) List(ctx context.Context, incident string, limit int) ([]tocsin.Remediation, error) {
	x, err := e.committed(ctx)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 100
	}
	var found []*record
	x.each(func(r *record) bool {
		if incident == "" || r.Incident == incident {
			found = append(found, r)
		}
		return true
	})
	out := make([]tocsin.Remediation, 0, min(limit, len(found)))
	for _, r := range newestFirst(found)[:min(limit, len(found))] {
		out = append(out, r.clone().Remediation)
	}
	return out, nil
}

func newestFirst(runs []*record) []*record {
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b *record) int { return b.ProposedAt.Compare(a.ProposedAt) })
	return runs
}

// Get returns a remediation, and what its commands have written: the beginning
// and the end, without secrets. The error is tocsin.ErrNotFound.
func (e *Engine) Get(ctx context.Context, id string) (tocsin.Remediation, string, error) {
	x, err := e.committed(ctx)
	if err != nil {
		return tocsin.Remediation{}, "", err
	}
	r := x.find(id)
	if r == nil {
		return tocsin.Remediation{}, "", tocsin.ErrNotFound
	}
	text, err := e.text(ctx, id)
	return r.clone().Remediation, text, err
}

// Stopped says of each remedy that is stopped, or of "all", by whom and since
// when.
func (e *Engine) Stopped(ctx context.Context) (map[string]string, error) {
	docs, version, err := e.o.Store.Documents(ctx, KindSwitch)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, s := range readStops(docs, version) {
		if s.Stopped {
			out[name] = "stopped by " + s.By + " at " + stamp(s.At)
		}
	}
	return out, nil
}

// written is the document of an output.
type written struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

func (l *ledger) output(id string, t *tape, ended bool) error {
	value, err := json.Marshal(written{Text: t.text(ended), At: l.now})
	if err == nil {
		l.tx.PutDocument(KindOutput, id, value)
	}
	return err
}

// text is what is kept of an output; "": nothing is.
func (e *Engine) text(ctx context.Context, id string) (string, error) {
	docs, _, err := e.o.Store.Documents(ctx, KindOutput)
	if err != nil {
		return "", err
	}
	at, found := slices.BinarySearchFunc(docs, id, func(d tocsin.Document, id string) int { return strings.Compare(d.ID, id) })
	if !found {
		return "", nil
	}
	var w written
	if err := json.Unmarshal(docs[at].Value, &w); err != nil {
		return "", fmt.Errorf("the output of %s cannot be read: %w", id, err)
	}
	return w.Text, nil
}
