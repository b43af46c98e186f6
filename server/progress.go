package server

import (
	"cmp"
	"context"
	"slices"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// progress returns an incident's runbook, as it is now or, where it is gone, as it
// was when the incident opened, and how its steps stand.
func (s *Server) progress(ctx context.Context, inc *tocsin.Incident) (*tocsin.Runbook, []tocsin.StepView, error) {
	if inc.Runbook == "" {
		return nil, []tocsin.StepView{}, nil
	}
	var pinned *tocsin.Runbook
	if p := inc.Progress; p != nil && p.Version != "" {
		docs, _, err := s.deps.Reader.Documents(ctx, tocsin.RunbookVersions)
		if err != nil {
			return nil, nil, err
		}
		at, found := slices.BinarySearchFunc(docs, p.Version, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
		if found {
			pinned = tocsin.DecodeRunbook(docs[at].Value)
		}
	}
	now := s.deps.Runbooks.Get(inc.Runbook)
	return cmp.Or(now, pinned), orEmpty(inc.Progress.View(pinned, now)), nil
}

// workedStep is a step with how it stands.
type workedStep struct {
	tocsin.StepView
	// Step is nil where only its text is known.
	Step *tocsin.Step
}

// Steps are the steps to show on the page, in order.
func (d detail) Steps() []workedStep {
	byID := map[string]*tocsin.Step{}
	if d.Runbook != nil {
		for i := range d.Runbook.Steps {
			byID[d.Runbook.Steps[i].ID] = &d.Runbook.Steps[i]
		}
	}
	out := make([]workedStep, len(d.Progress))
	for i, v := range d.Progress {
		out[i] = workedStep{v, byID[v.ID]}
	}
	return out
}

// Done says how far people are with the runbook.
func (d detail) Done() string { return tocsin.SayProgress(d.Progress) }
