package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// filledRunbook is a runbook with its placeholders filled from an alert's labels; nil:
// there is none.
func (a *App) filledRunbook(id string, labels tocsin.Labels) *tocsin.Runbook {
	rb := a.shelf.Get(id)
	if rb == nil {
		return nil
	}
	return runbooks.Fill(rb, labels)
}

// stepViews are how the steps of an incident's runbook stand; nil: that is not known.
func (a *App) stepViews(ctx context.Context, inc *tocsin.Incident) []tocsin.StepView {
	var pinned *tocsin.Runbook
	if p := inc.Progress; p != nil && p.Version != "" {
		docs, _, err := a.store.Documents(ctx, tocsin.RunbookVersions)
		if err != nil {
			return nil
		}
		byID := func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) }
		if at, found := slices.BinarySearchFunc(docs, p.Version, byID); found {
			pinned = tocsin.DecodeRunbook(docs[at].Value)
		}
	}
	return inc.Progress.View(pinned, a.shelf.Get(inc.Runbook))
}
