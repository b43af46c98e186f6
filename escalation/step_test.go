package escalation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
)

// nodeDown has steps with these texts; a step's ID is "id " and its text.
func nodeDown(texts ...string) *tocsin.Runbook {
	rb := &tocsin.Runbook{ID: "ops#node-down", Title: "Node down"}
	for _, text := range texts {
		rb.Steps = append(rb.Steps, tocsin.Step{ID: "id " + text, Section: tocsin.SectionMitigation, Text: text})
	}
	return rb
}

// openWith opens an incident that has pinned a runbook.
func (h *tower) openWith(rb *tocsin.Runbook) string {
	h.Helper()
	id := h.open(tocsin.Critical, "page")
	value, err := json.Marshal(rb)
	require.NoError(h, err)
	require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
		tx.PutDocument(tocsin.RunbookVersions, "v1", value)
		inc := tx.Incident(id)
		inc.Runbook, inc.Progress = rb.ID, &tocsin.Progress{Version: "v1"}
		inc.AddTarget("slack:#incidents", true, time.Now())
		tx.PutIncident(inc)
		return nil
	}))
	h.deliver()
	return id
}

func (h *tower) steps(id string) string {
	h.Helper()
	var out []string
	for _, s := range h.get(id).Progress.Steps {
		out = append(out, strings.TrimSuffix(fmt.Sprintf("%d %s %s by %s via %s: %s", s.Number, s.Text, s.Status, s.By, s.Via, s.Note), ": "))
	}
	return strings.Join(out, "\n")
}

func tick(by, step string, status tocsin.StepStatus, text string) tocsin.Action {
	return tocsin.Action{Kind: tocsin.ActStep, By: by, RunbookStep: step, Status: status, Text: text}
}

func TestStepsAreWorkedThrough(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.openWith(nodeDown("Look", "Drain it", "Restart the node", "Tell ana"))
		slackAct := tick("ana", "id Restart the node", tocsin.StepDone, "")
		slackAct.Via = "Slack"
		h.act(id, slackAct)
		h.pass(time.Minute)
		h.act(id, tick("cy", "2", tocsin.StepStarted, ""))
		h.act(id, tick("bo", "4", tocsin.StepSkipped, "not needed"))
		h.act(id, tick("bo", "1", tocsin.StepDone, "the fan is broken"))
		h.act(id, tick("ana", "3", tocsin.StepOpen, ""))
		assert.Equal(t, strings.Join([]string{
			"3 Restart the node open by ana via API",
			"2 Drain it started by cy via API",
			"4 Tell ana skipped by bo via API: not needed",
			"1 Look done by bo via API: the fan is broken",
		}, "\n"), h.steps(id))
		assert.Equal(t, []string{
			"0s ana did step 3: Restart the node",
			"1m cy began step 2: Drain it",
			"1m bo skipped step 4: Tell ana (not needed)",
			"1m bo did step 1: Look (the fan is broken)",
			"1m ana took step 3 back: Restart the node",
		}, h.said(id, tocsin.EventStep))
		inc := h.get(id)
		d := inc.Delivery("slack:#incidents")
		assert.Equal(t, inc.Revision, d.Revision, "Slack was told")
		assert.Equal(t, time.Minute, inc.Progress.Of("id Look").At.Sub(inc.OpenedAt))

		h.halt()
		h.start() // what was ticked is there after a restart
		assert.Equal(t, inc.Progress, h.get(id).Progress)
	})
}

func TestTwoTickTheSameStep(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.openWith(nodeDown("Look", "Restart the node"))
		var wait sync.WaitGroup
		errs := make([]error, 20)
		for n := range errs {
			wait.Go(func() {
				errs[n] = h.errorOf(id, tick([]string{"ana", "bo"}[n%2], []string{"2", "id Restart the node"}[n%2], tocsin.StepDone, ""))
			})
		}
		wait.Wait()
		require.NoError(t, errors.Join(errs...), "the second is a success")
		synctest.Wait()
		inc := h.get(id)
		require.Len(t, inc.Progress.Steps, 1)
		first := inc.Progress.Steps[0].By
		assert.Equal(t, []string{"0s " + first + " did step 2: Restart the node"}, h.said(id, tocsin.EventStep))

		h.pass(time.Minute)
		h.act(id, tick("cy", "2", tocsin.StepDone, ""))
		assert.Equal(t, inc.Progress, h.get(id).Progress, "the first stands")
		assert.Equal(t, inc.Revision, h.get(id).Revision)

		h.act(id, tick("cy", "2", tocsin.StepDone, "it took two tries"))
		h.act(id, tick("cy", "2", tocsin.StepDone, "it took two tries"))
		assert.Equal(t, "2 Restart the node done by "+first+" via API: cy: it took two tries", h.steps(id), "what the second has to add is added, once")
		assert.Equal(t, "1m cy on step 2: Restart the node (it took two tries)", h.said(id, tocsin.EventStep)[1])
		assert.Len(t, h.said(id, tocsin.EventStep), 2)

		h.act(id, tick("cy", "1", tocsin.StepOpen, ""))
		assert.Len(t, h.get(id).Progress.Steps, 1, "it was open")
		h.act(id, tick("cy", "1", tocsin.StepOpen, "what is meant?"))
		assert.Contains(t, h.steps(id), "1 Look open by cy via API: what is meant?")
	})
}

// Steps are found as they are shown: in the runbook as it is now, and where that is
// edited or gone also in the one that was pinned.
func TestStepsOfAnEditedRunbook(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.openWith(nodeDown("Look", "Drain it", "Restart the node"))
		now := nodeDown("Ask", "Look", "Reset the node")
		rules, err := escalation.NewRules(h.spec)
		require.NoError(t, err)
		asked := 0
		engine, err := escalation.NewEngine(rules, escalation.Options{Store: h.store, Runbook: func(id string) *tocsin.Runbook {
			asked++
			assert.Equal(t, "ops#node-down", id)
			return now
		}})
		require.NoError(t, err)
		act := func(a tocsin.Action) error { return engine.Act(context.Background(), id, a) }
		require.NoError(t, act(tick("ana", "1", tocsin.StepDone, "")))
		require.NoError(t, act(tick("ana", "id Drain it", tocsin.StepDone, "")), "a stale message in Slack still has it")
		require.NoError(t, act(tick("ana", "3", tocsin.StepDone, "")))
		assert.Equal(t, "1 Ask done by ana via API\n2 Drain it done by ana via API\n3 Reset the node done by ana via API", h.steps(id))
		assert.Equal(t, 3, asked, "once for each action")
		now = nodeDown("Ask")
		require.NoError(t, act(tick("bo", "id Reset the node", tocsin.StepOpen, "")), "it is in neither, and was touched")
		require.ErrorIs(t, act(tick("bo", "2", tocsin.StepDone, "")), tocsin.ErrInvalid)
		now = nil
		require.NoError(t, act(tick("bo", "1", tocsin.StepStarted, "")), "all is gone: as it was pinned")
		assert.Contains(t, h.steps(id), "1 Look started by bo via API")
	})
}

func TestStepsThatAreRefused(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		plain := h.open(tocsin.Critical, "page")
		require.ErrorIs(t, h.errorOf(plain, tick("ana", "1", tocsin.StepDone, "")), tocsin.ErrConflict, "it has no runbook")
		id := h.openWith(nodeDown("Look", "Drain it"))
		for _, step := range []string{"0", "3", "-1", "", "x", "1.0", "99999999999999999999", strings.Repeat("9", 5000)} {
			err := h.errorOf(id, tick("ana", step, tocsin.StepDone, ""))
			require.ErrorIs(t, err, tocsin.ErrInvalid, step)
			assert.Less(t, len(err.Error()), 1000)
		}
		assert.ErrorContains(t, h.errorOf(id, tick("ana", "3", tocsin.StepDone, "")), "from 1 to 2")
		require.ErrorIs(t, h.errorOf(id, tick("ana", "1", "perhaps", "")), tocsin.ErrInvalid)
		require.ErrorIs(t, h.errorOf("nope", tick("ana", "1", tocsin.StepDone, "")), tocsin.ErrNotFound)
		assert.Empty(t, h.said(id, tocsin.EventStep))

		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		h.act(id, tick("ana", "1", tocsin.StepDone, ""))
		assert.Equal(t, tocsin.Resolved, h.get(id).State)
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error { tx.Archive(id); return nil }))
		require.ErrorIs(t, h.errorOf(id, tick("ana", "2", tocsin.StepDone, "")), tocsin.ErrConflict)
		assert.Equal(t, "1 Look done by ana via API", h.steps(id), "after the end, and not after the archive")

		notice := escalation.NewNotice(escalation.Target{Key: "slack:@ana"}, "ana", "Your shift begins", "", time.Now())
		notice.ID, notice.Runbook = "notice", "ops#node-down"
		h.change(notice)
		require.ErrorIs(t, h.errorOf("notice", tick("ana", "1", tocsin.StepDone, "")), tocsin.ErrConflict)
	})
}

func TestStepsAreBounded(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		h.mute = true
		var texts []string
		for n := range 1001 {
			texts = append(texts, fmt.Sprint(n)+strings.Repeat("ä", 300))
		}
		id := h.openWith(nodeDown(texts...))
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			inc := tx.Incident(id)
			for n := range 999 {
				inc.Progress = inc.Progress.With(tocsin.StepProgress{Step: "id " + texts[n], Status: tocsin.StepDone})
			}
			tx.PutIncident(inc)
			return nil
		}))
		h.act(id, tick("ana", "1000", tocsin.StepSkipped, strings.Repeat("long ", 1000)))
		s := h.get(id).Progress.Of("id " + texts[999])
		assert.Len(t, []rune(s.Text), 200)
		assert.Len(t, []rune(s.Note), 500)
		require.ErrorIs(t, h.errorOf(id, tick("ana", "1001", tocsin.StepDone, "")), tocsin.ErrConflict)
		h.act(id, tick("ana", "1", tocsin.StepOpen, ""))
	})
}

func TestStepsHappenOnce(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.openWith(nodeDown("Look", "Drain it"))
		a := tick("ana", "1", tocsin.StepDone, "")
		a.ID = "click-1"
		h.act(id, a)
		h.act(id, tick("bo", "1", tocsin.StepOpen, ""))
		h.act(id, a)
		assert.Equal(t, tocsin.StepOpen, h.get(id).Progress.Status("id Look"), "a click that comes twice does not undo what came between")
		assert.Len(t, h.said(id, tocsin.EventStep), 2)
	})
}
