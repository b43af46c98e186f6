package escalation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func quiet(from, to int) oncall.Window { return oncall.Window{From: from * 60, To: to * 60} }

func hours(from, to int) []oncall.Window { return []oncall.Window{quiet(from, to)} }

func TestActionsHappenOnce(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]tocsin.Action{
		"acknowledge":   {Kind: tocsin.ActAcknowledge},
		"resolve":       {Kind: tocsin.ActResolve, Force: true},
		"snooze":        {Kind: tocsin.ActSnooze},
		"escalate":      {Kind: tocsin.ActEscalate},
		"escalate to":   {Kind: tocsin.ActEscalate, User: "cy"},
		"step":          {Kind: tocsin.ActEscalate, Step: 3},
		"reassign":      {Kind: tocsin.ActReassign, User: "cy"},
		"to a schedule": {Kind: tocsin.ActReassign, Schedule: "secondary"},
		"to a policy":   {Kind: tocsin.ActReassign, Policy: "platform"},
		"add responder": {Kind: tocsin.ActAddResponder, User: "cy"},
		"note":          {Kind: tocsin.ActNote, Text: "looking"},
		"severity":      {Kind: tocsin.ActSeverity, Severity: tocsin.Info},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, basic(t), func(h *tower) {
				id := h.open(tocsin.Critical, "page")
				a := a
				a.By, a.ID = "ana", "click-1"
				if a.Kind == tocsin.ActSnooze {
					a.Until = time.Now().Add(time.Hour)
				}
				before := len(h.all(id))
				h.act(id, a)
				lines := h.all(id)
				assert.Greater(t, len(lines), before, "it is on the timeline")
				revision := h.get(id).Revision
				h.act(id, a)
				h.act(id, a)
				assert.Equal(t, lines, h.all(id))
				assert.Equal(t, revision, h.get(id).Revision)
			})
		})
	}
}

func (h *tower) all(id string) []string {
	h.Helper()
	events, err := h.store.Timeline(context.Background(), id, 0, 1000)
	require.NoError(h, err)
	var out []string
	for i := range events {
		out = append(out, string(events[i].Kind)+" "+events[i].Actor+" "+events[i].Text)
	}
	return out
}

func TestActionsWithoutAnIDAreIdempotentWhereTheStateSays(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		until := time.Now().Add(time.Hour)
		for _, a := range []tocsin.Action{
			{Kind: tocsin.ActAcknowledge},
			{Kind: tocsin.ActAddResponder, User: "cy"},
			{Kind: tocsin.ActSeverity, Severity: tocsin.Info},
			{Kind: tocsin.ActSnooze, Until: until},
			{Kind: tocsin.ActResolve, Force: true},
		} {
			a.By = "ana"
			h.act(id, a)
			lines := h.all(id)
			h.act(id, a)
			assert.Equal(t, lines, h.all(id), "%s", a.Kind)
		}
	})
}

func TestResolveAsksFirst(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		err := h.errorOf(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana"})
		require.ErrorIs(t, err, tocsin.ErrConflict)
		assert.ErrorContains(t, err, "1 alert still fires")
		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true, Text: "it is the test"})
		assert.Equal(t, tocsin.Resolved, h.get(id).State)
		h.pass(time.Hour)
		assert.Len(t, h.calls(id), 1)
		require.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana"}), tocsin.ErrConflict)
	})
}

func TestEscalateNow(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana"})
		assert.Equal(t, []string{"0s calling ana by Slack", "1m calling bo by Slack"}, h.calls(id))
		h.pass(15 * time.Minute)
		assert.Contains(t, h.calls(id), "16m calling cy by Slack", "the clock starts anew")
		require.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", Step: 7}), tocsin.ErrInvalid)
		require.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", User: "nobody"}), tocsin.ErrInvalid)
	})
}

// Whoever escalates reads where it went: the last resort is loud.
func TestEscalationSaysWhereItGoes(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", Step: 3})
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", Step: 4, Text: "all hands"})
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "bo"})
		var said []string
		for _, line := range h.said(id, tocsin.EventEscalated) {
			if strings.Contains(line, "escalated now") {
				said = append(said, line)
			}
		}
		assert.Equal(t, []string{
			"0s escalated now by ana to step 3",
			"0s escalated now by ana to the last resort of platform: all hands",
			"0s escalated now by bo to the last resort of platform",
		}, said)
		assert.Contains(t, h.calls(id), "0s calling boss by Slack")
	})
}

func TestEscalateWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", User: "cy"})
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack"}, h.calls(id))
		h.pass(16 * time.Minute)
		assert.Contains(t, h.calls(id), "15m calling bo by Slack", "cy does not answer: the policy goes on")
	})
}

func TestReassign(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActReassign, By: "ana", User: "cy"})
		h.pass(3 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack", "2m calling cy by PagerDuty"}, h.calls(id), "ana's PagerDuty is not called any more")
	})
}

func TestAddedResponderIsCalledThoughAcknowledged(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.act(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "cy"})
		h.pass(3 * time.Minute)
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack", "2m calling cy by PagerDuty"}, h.calls(id))
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b := h.open(tocsin.Critical, "page"), h.open(tocsin.Critical, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		require.ErrorIs(t, h.errorOf(a, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: b}), tocsin.ErrInvalid, "no circles")
		h.pass(time.Hour)
		assert.Len(t, h.calls(b), 1, "it pages through the other")
		h.act(a, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		h.pass(time.Minute)
		assert.Empty(t, h.get(b).MergedInto)
		assert.Len(t, h.calls(b), 2, "and for itself again once that one is resolved")
	})
}

func TestUnknownActions(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		require.ErrorIs(t, h.errorOf("nope", tocsin.Action{Kind: tocsin.ActNote, Text: "x", By: "ana"}), tocsin.ErrNotFound)
		for _, a := range []tocsin.Action{
			{Kind: "explode"},
			{Kind: tocsin.ActNote},
			{Kind: tocsin.ActMerge, Into: "nope"},
			{Kind: tocsin.ActSeverity, Severity: "bad"},
			{Kind: tocsin.ActReassign},
			{Kind: tocsin.ActReassign, Policy: "nope"},
			{Kind: tocsin.ActAddResponder, Schedule: "nope"},
		} {
			a.By = "ana"
			require.ErrorIs(t, h.errorOf(id, a), tocsin.ErrInvalid, "%+v", a)
		}
	})
}

func TestSwapsAreTold(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		now := time.Now()
		told := func() []string {
			list, err := h.store.List(context.Background(), tocsin.Filter{Notices: true, Archived: true})
			require.NoError(t, err)
			var out []string
			for _, inc := range list {
				out = append(out, inc.Deliveries[0].Target+" "+inc.Title)
			}
			slices.Sort(out)
			return out
		}
		ask := tocsin.Override{Kind: tocsin.OverrideSwap, Schedule: "primary", Replaces: "ana", User: "bo", From: now.Add(time.Hour), To: now.Add(2 * time.Hour), CreatedBy: "ana"}
		o, err := h.engine.PutOverride(context.Background(), ask)
		require.NoError(t, err)
		_, err = h.engine.PutOverride(context.Background(), ask)
		require.NoError(t, err)
		asked := "slack:@bo ana asks for somebody to take over on primary from Sat 1 Jan 01:00 UTC to Sat 1 Jan 02:00 UTC"
		assert.Equal(t, []string{asked}, told())
		_, err = h.engine.AnswerOverride(context.Background(), o.ID, "cy", tocsin.OverrideAccept)
		require.ErrorIs(t, err, tocsin.ErrConflict)
		for range 2 {
			_, err = h.engine.AnswerOverride(context.Background(), o.ID, "bo", tocsin.OverrideAccept)
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"slack:@ana bo takes your shifts on primary from Sat 1 Jan 01:00 UTC to Sat 1 Jan 02:00 UTC", asked}, told())
	})
}
