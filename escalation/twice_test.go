package escalation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
)

// Ways in which somebody would be called twice, or after an answer.

func TestWhoWasAddedAndAnswersIsLeftAlone(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "cy"})
		h.ack(id, "cy")
		h.pass(10 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack"}, h.calls(id), "cy has answered: her PagerDuty is not called")
	})
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.act(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "cy"})
		h.ack(id, "cy")
		h.pass(10 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack"}, h.calls(id))
		assert.Equal(t, "cy", h.get(id).AcknowledgedBy)
	})
}

// Who was asked by name once is called like everybody else after the incident
// has come back: an answer stops what is queued.
func TestAskedOnceIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.act(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "cy"})
		h.pass(74 * time.Minute) // back to triggered at 1h, cy and dan at 1h15m
		h.mute = true
		h.pass(90 * time.Second)
		require.Contains(t, h.calls(id), "1h15m calling cy again (2) by Slack")
		h.ack(id, "dan")
		d := h.get(id).Delivery("slack:@cy")
		assert.Equal(t, d.Called, d.Calls, "cy's call was queued, and is not made any more")
	})
}

func TestAskingAgainAfterAWhileCallsAgain(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		add := tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "cy"}
		h.act(id, add)
		h.act(id, add)
		h.pass(10 * time.Minute)
		h.act(id, add)
		assert.Equal(t, []string{"0s calling ana by Slack", "0s calling cy by Slack", "2m calling cy by PagerDuty", "10m calling cy again (2) by Slack"}, h.calls(id))
	})
}

func TestDoubleClicksWithoutAnID(t *testing.T) {
	t.Parallel()
	for _, a := range []tocsin.Action{{Kind: tocsin.ActReassign, User: "cy"}, {Kind: tocsin.ActEscalate, User: "cy"}, {Kind: tocsin.ActReassign, Policy: "platform"}} {
		play(t, basic(t), func(h *tower) {
			id := h.open(tocsin.Critical, "page")
			h.pass(5 * time.Minute)
			a.By = "ana"
			h.act(id, a)
			lines := h.all(id)
			h.act(id, a)
			assert.Equal(t, lines, h.all(id), "%s %s", a.Kind, a.User)
		})
	}
}

func TestAnActionIsDoneOnceThoughItIsResolvedNow(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		a := tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", ID: "click"}
		h.act(id, a)
		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		require.NoError(t, h.errorOf(id, a), "it was done")
	})
}

func TestAcknowledgedTwiceIsNoRenewal(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].RemindAfter = 0
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		lines := h.all(id)
		time.Sleep(time.Second)
		h.ack(id, "ana")
		assert.Equal(t, lines, h.all(id))
		h.pass(30 * time.Minute)
		h.ack(id, "ana")
		h.pass(59 * time.Minute)
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "later it is")
	})
}

func TestAReminderOfLowUrgencyWaitsForTheMorning(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	ana := spec.Users["ana"]
	ana.Quiet = append(ana.Quiet, quiet(1, 7))
	spec.Users["ana"] = ana
	p := &spec.Policies[0]
	p.RemindAfter, p.ReturnAfter = 2*time.Hour, 0
	play(t, spec, func(h *tower) {
		low, high := h.open(tocsin.Warning, "page"), h.open(tocsin.Critical, "page")
		h.ack(low, "ana")
		h.ack(high, "ana")
		h.pass(6 * time.Hour)
		assert.Len(t, h.calls(low), 1)
		assert.Contains(t, h.calls(high), "2h0m calling ana again (2) by Slack")
		h.pass(2 * time.Hour)
		assert.Contains(t, h.calls(low), "7h0m calling ana again (2) by Slack")
	})
}

func TestLoweredSeverityCallsNoMoreThanItsOwn(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: tocsin.Warning})
		h.pass(10 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(id), "PagerDuty is for high urgency")
	})
}

// An hour of standstill, in which a person falls due three times.
func TestLateStepsCallEverybodyOnce(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	place := escalation.Recipient{Name: "#incidents", Targets: []escalation.Target{{Key: "slack:#incidents", Detail: true}}}
	spec.Policies[0].Steps = []escalation.Step{
		{To: []escalation.Recipient{{User: "ana"}, place}},
		{After: 15 * time.Minute, To: []escalation.Recipient{{User: "bo"}, {User: "ana"}, place}},
	}
	spec.Policies[0].Repeat = 5
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		h.halt()
		time.Sleep(time.Hour)
		h.start()
		h.pass(5 * time.Minute)
		assert.Equal(t, []string{
			"0s calling #incidents", "0s calling ana by Slack",
			"1h1m calling ana by PagerDuty", "1h1m calling #incidents again (2)",
			"1h1m calling bo by Slack", "1h1m calling ana again (2) by Slack",
			"1h3m calling bo by PagerDuty",
		}, h.calls(id), "ana's late PagerDuty and the steps that come late call her once by each way")
		assert.Len(t, h.said(id, tocsin.EventEscalated), 5, "and each step is said")
	})
}

func TestAllMustAnswerEndsWithItsIncident(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Schedule: "primary"}, {User: "dan"}}, AllMustAcknowledge: true}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.edit(id, func(i *tocsin.Incident) { i.Firing = 0; i.Resolve("", "over", time.Now()) })
		now := time.Now()
		h.override(tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy", From: now, To: now.Add(time.Hour), CreatedBy: "cy"})
		h.edit(id, func(i *tocsin.Incident) { i.Firing = 1; i.Reopen("again", time.Now()) })
		h.ack(id, "cy")
		h.ack(id, "dan")
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "ana was on it in its life before")
	})
}

func TestAllMustAnswerAndTheNextStep(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	place := escalation.Recipient{Name: "#incidents", Targets: []escalation.Target{{Key: "slack:#incidents", Detail: true}}}
	spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Team: "leads"}, place}, AllMustAcknowledge: true}
	spec.Policies[0].Steps[2] = escalation.Step{After: 15 * time.Minute, To: []escalation.Recipient{{Team: "leads"}}, AllMustAcknowledge: true}
	play(t, spec, func(h *tower) {
		h.mute = true
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "cy")
		assert.False(t, h.get(id).Delivery("slack:#incidents").Stopped, "one answer of two does not stop the channel's page")
		assert.True(t, h.get(id).Delivery("slack:@cy").Stopped)
		h.mute = false
		h.pass(16 * time.Minute)
		assert.Contains(t, h.calls(id), "15m calling bo by Slack")
		h.pass(15 * time.Minute)
		calls := h.calls(id)
		assert.Contains(t, calls, "30m calling dan again (2) by Slack")
		assert.NotContains(t, calls, "30m calling cy by Slack", "cy has answered")
	})
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(16 * time.Minute)
		h.ack(id, "bo")
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "the step that called bo asks for one answer")
	})
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "cy", User: "boss"})
		h.ack(id, "boss")
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "it was escalated to the boss")
	})
	play(t, spec, func(h *tower) {
		h.broken["slack:@dan"], h.broken["pagerduty:@dan"] = true, true
		id := h.open(tocsin.Critical, "page")
		h.pass(2 * time.Minute)
		h.ack(id, "cy")
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "dan cannot be reached, and so cannot answer")
	})
}

func TestAheadTellsTheTruth(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	ana := spec.Users["ana"]
	ana.Quiet = append(ana.Quiet, quiet(0, 7))
	spec.Users["ana"] = ana
	second := spec.Policies[0]
	second.Name = "second"
	second.Steps = second.Steps[1:2]
	spec.Policies = append(spec.Policies, second)
	spec.Receivers["also"] = "second"
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Warning, "page", "also")
		h.ack(id, "ana")
		var lines []string
		for _, a := range h.engine.Ahead(h.get(id)) {
			lines = append(lines, a.At.UTC().Format("15:04")+" "+a.Text)
		}
		n := 0
		for _, l := range lines {
			if l == "01:00 the acknowledgement runs out: back to triggered" {
				n++
			}
		}
		assert.Equal(t, 1, n, "%v", lines)
		h.act(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: time.Now().Add(2 * time.Hour)})
		lines = nil
		for _, a := range h.engine.Ahead(h.get(id)) {
			lines = append(lines, a.At.UTC().Format("15:04")+" "+a.Text)
		}
		require.GreaterOrEqual(t, len(lines), 3, "%v", lines)
		assert.Equal(t, "02:00 the snooze ends: back to triggered, from the first step", lines[0])
		assert.Equal(t, "02:00 ana by Slack at 07:00 UTC, after quiet hours (on call on primary)", lines[1])
		assert.Equal(t, "02:15 bo by Slack (on call on secondary)", lines[2])
	})
}

// Another policy is asked for help: the one that was answered does not begin
// anew beside it.
func TestEscalatedToAnotherPolicy(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	second := spec.Policies[0]
	second.Name = "second"
	second.Steps = []escalation.Step{{To: []escalation.Recipient{{User: "dan"}}}}
	spec.Policies = append(spec.Policies, second)
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.pass(5 * time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActEscalate, By: "ana", Policy: "second"})
		h.pass(time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "5m calling dan by Slack"}, h.calls(id))
		h.pass(15 * time.Minute)
		assert.Contains(t, h.calls(id), "20m calling bo by Slack", "where it was, after its wait")
	})
}
