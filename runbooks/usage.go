package runbooks

import (
	"cmp"
	"context"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds on what Usage looks at: how many incidents first, how many at the most, and
// how many versions of runbooks.
const (
	firstUsage, maxUsage = 1000, 20_000
	maxVersions          = 5000
)

// Past is what Usage needs of the store: a part of tocsin.Reader.
type Past interface {
	// List returns incidents, the newest first.
	List(ctx context.Context, f tocsin.Filter) ([]*tocsin.Incident, error)
	// Documents returns all of a kind, by ID.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
}

// Usage says how the runbooks of a library were used by the incidents that are
// retained, at most the 20,000 newest. Where ctx ends before all are read it returns
// what it has, if that is anything, and that it is not whole.
func Usage(ctx context.Context, past Past, lib *Library) (tocsin.RunbookUsage, error) {
	out := tocsin.RunbookUsage{Runbooks: []tocsin.RunbookUse{}}
	var incidents []*tocsin.Incident
	for _, limit := range []int{firstUsage, maxUsage} {
		list, err := past.List(ctx, tocsin.Filter{Archived: true, Limit: limit})
		if err != nil {
			if incidents == nil {
				return out, err
			}
			break
		}
		incidents = list
		if out.Whole = len(list) < limit; out.Whole {
			break
		}
	}
	docs, _, err := past.Documents(ctx, tocsin.RunbookVersions)
	if err != nil {
		return out, err
	}
	u := usage{docs: docs, steps: map[string]map[string]bool{}, byID: map[string]*tocsin.RunbookUse{}}
	u.shelve(lib)
	out.Incidents = len(incidents)
	for _, inc := range incidents {
		if out.Since.IsZero() || inc.OpenedAt.Before(out.Since) {
			out.Since = inc.OpenedAt
		}
		if inc.Runbook != "" {
			u.count(inc)
		}
	}
	for _, use := range u.uses {
		out.Runbooks = append(out.Runbooks, *use)
	}
	return out, nil
}

// usage counts.
type usage struct {
	docs []tocsin.Document
	// steps are those of a version, and uses the runbooks in order.
	steps map[string]map[string]bool
	uses  []*tocsin.RunbookUse
	byID  map[string]*tocsin.RunbookUse
}

// shelve begins with the runbooks that there are.
func (u *usage) shelve(lib *Library) {
	for _, rb := range lib.List() {
		use := &tocsin.RunbookUse{ID: rb.ID, Title: rb.Title, Alerts: rb.Alerts, Steps: make([]tocsin.StepUse, len(rb.Steps))}
		for i := range rb.Steps {
			s := &rb.Steps[i]
			use.Steps[i] = tocsin.StepUse{ID: s.ID, Number: i + 1, Text: s.Short()}
		}
		u.byID[rb.ID] = use
		u.uses = append(u.uses, use)
	}
}

// count counts one incident.
func (u *usage) count(inc *tocsin.Incident) {
	use := u.byID[inc.Runbook]
	if use == nil {
		use = &tocsin.RunbookUse{ID: inc.Runbook, Gone: true, Steps: []tocsin.StepUse{}}
		u.byID[inc.Runbook] = use
		at, _ := slices.BinarySearchFunc(u.uses, use, func(a, b *tocsin.RunbookUse) int {
			if !a.Gone {
				return -1
			}
			return cmp.Compare(a.ID, b.ID)
		})
		u.uses = slices.Insert(u.uses, at, use)
	}
	use.Times++
	if inc.OpenedAt.After(use.Last) {
		use.Last = inc.OpenedAt
	}
	if inc.State != tocsin.Resolved || inc.Progress == nil || len(inc.Progress.Steps) == 0 {
		return
	}
	use.Worked++
	had := u.stepsOf(inc.Progress.Version)
	for i := range use.Steps {
		s := &use.Steps[i]
		touched := inc.Progress.Of(s.ID)
		if touched == nil && !had[s.ID] {
			continue // the runbook did not have it yet
		}
		s.Uses++
		switch inc.Progress.Status(s.ID) {
		case tocsin.StepDone:
			s.Done++
		case tocsin.StepSkipped:
			s.Skipped++
		case tocsin.StepStarted:
			s.Started++
		default:
			s.Open++
		}
	}
}

// stepsOf are the IDs of the steps of a version that was kept.
func (u *usage) stepsOf(version string) map[string]bool {
	if version == "" {
		return nil
	}
	if known, ok := u.steps[version]; ok || len(u.steps) >= maxVersions {
		return known
	}
	ids := map[string]bool{}
	at, found := slices.BinarySearchFunc(u.docs, version, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
	if found {
		if rb := tocsin.DecodeRunbook(u.docs[at].Value); rb != nil {
			for i := range rb.Steps {
				ids[rb.Steps[i].ID] = true
			}
		}
	}
	u.steps[version] = ids
	return ids
}
