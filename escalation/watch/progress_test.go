package watch_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
)

func TestBriefTellsOfTheRunbook(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		steps := func(texts ...string) *tocsin.Runbook {
			rb := &tocsin.Runbook{ID: "nodes#down"}
			for _, text := range texts {
				rb.Steps = append(rb.Steps, tocsin.Step{ID: text, Text: text})
			}
			return rb
		}
		pinned, err := json.Marshal(steps("look", "drain", "restart"))
		require.NoError(t, err)
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			tx.PutDocument(tocsin.RunbookVersions, "v1", pinned)
			for id, p := range map[string]*tocsin.Progress{
				"k7f3q1": {Version: "v1", Steps: []tocsin.StepProgress{{Step: "look", Status: tocsin.StepDone, By: "ana"}, {Step: "drain", Status: tocsin.StepStarted, By: "bo"}}},
				"k7f3q2": {Version: "gone"},
				"k7f3q3": nil,
			} {
				tx.PutIncident(&tocsin.Incident{
					ID: id, State: tocsin.Triggered, Severity: tocsin.Critical, Title: "it burns", OpenedAt: time.Now(), Revision: 1,
					StateRevision: 1, Kind: tocsin.KindManual, Runbook: "nodes#down", Progress: p,
				})
			}
			return nil
		}))
		text, err := h.watch.Brief(context.Background(), &tocsin.Principal{Role: tocsin.RoleViewer}, "")
		require.NoError(t, err)
		assert.Equal(t, `ana is on call on primary until Mon 3 Jan 09:00 UTC
Open and not taken:
  k7f3q1 critical it burns (just now), runbook nodes#down (1 of 3 steps done, next: drain (bo has begun))
  k7f3q2 critical it burns (just now), runbook nodes#down
  k7f3q3 critical it burns (just now), runbook nodes#down`, text)

		now := steps("look", "drain", "reset", "tell")
		w, err := watch.New(h.planned, watch.Options{Store: h.store, Roster: h.engine, Runbook: func(string) *tocsin.Runbook { return now }})
		require.NoError(t, err)
		text, err = w.Brief(context.Background(), &tocsin.Principal{Role: tocsin.RoleViewer}, "")
		require.NoError(t, err)
		assert.Equal(t, `ana is on call on primary until Mon 3 Jan 09:00 UTC
Open and not taken:
  k7f3q1 critical it burns (just now), runbook nodes#down (1 of 4 steps done, next: drain (bo has begun))
  k7f3q2 critical it burns (just now), runbook nodes#down (0 of 4 steps done, next: look)
  k7f3q3 critical it burns (just now), runbook nodes#down (0 of 4 steps done, next: look)`, text)
	})
}
