package slack

import (
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
)

// GraphDocuments is the kind of the documents that keep which messages have got
// their graph, by the incident's ID.
const GraphDocuments = "slack-graph"

// graphed are the targets that have got a graph since the incident opened for the
// last time.
type graphed struct {
	Opening uint32   `json:"opening"`
	Targets []string `json:"targets"`
}

// readGraphed reads a document; what is none counts as empty.
func readGraphed(value []byte) (g graphed) {
	if value == nil || json.Unmarshal(value, &g) != nil {
		return graphed{}
	}
	return g
}

// has reports whether a message has its graph already.
func (g *graphed) has(s *Shown) bool {
	return g.Opening > s.Opening || g.Opening == s.Opening && slices.Contains(g.Targets, s.Target)
}

// known reports whether a message has its graph already.
func (g *Graphs) known(ctx context.Context, s Shown) (bool, error) {
	docs, _, err := g.cfg.Store.Documents(ctx, GraphDocuments)
	if err != nil {
		return false, err
	}
	for _, d := range docs {
		if d.ID == s.Incident {
			have := readGraphed(d.Value)
			return have.has(&s), nil
		}
	}
	return false, nil
}

// claim writes down that a message gets its graph; false: it has got it, by whomever,
// or the incident has ended meanwhile.
func (g *Graphs) claim(ctx context.Context, s Shown) (claimed bool, err error) {
	err = g.cfg.Store.Update(ctx, func(tx tocsin.Tx) error {
		claimed = false
		inc := tx.Incident(s.Incident)
		have := readGraphed(tx.Document(GraphDocuments, s.Incident))
		if inc == nil || !inc.Open() || inc.Reopened != s.Opening || have.has(&s) {
			return nil
		}
		if have.Opening != s.Opening {
			have = graphed{Opening: s.Opening}
		}
		have.Targets = append(have.Targets, s.Target)
		value, err := json.Marshal(&have)
		if err != nil {
			return err
		}
		tx.PutDocument(GraphDocuments, s.Incident, value)
		claimed = true
		return nil
	})
	return claimed, err
}

// Tidy drops what is known of incidents that have ended: one that opens again counts
// as another opening.
func (g *Graphs) Tidy(ctx context.Context) error {
	docs, _, err := g.cfg.Store.Documents(ctx, GraphDocuments)
	if err != nil {
		return err
	}
	var ended []string
	for _, d := range docs {
		inc, err := g.cfg.Store.Get(ctx, d.ID)
		switch {
		case errors.Is(err, tocsin.ErrNotFound), err == nil && !inc.Open():
			ended = append(ended, d.ID)
		case err != nil:
			return err
		}
	}
	if len(ended) == 0 {
		return nil
	}
	return g.cfg.Store.Update(ctx, func(tx tocsin.Tx) error {
		for _, id := range ended {
			if inc := tx.Incident(id); inc == nil || !inc.Open() {
				tx.DeleteDocument(GraphDocuments, id)
			}
		}
		return nil
	})
}
