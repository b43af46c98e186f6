package escalation_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
)

func TestUntilSomebodyAnswers(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(id), "the first call is in the transaction that opened it")
		h.pass(16 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "2m calling ana by PagerDuty", "15m calling bo by Slack"}, h.calls(id))
		h.ack(id, "bo")
		h.pass(44 * time.Minute)
		assert.Len(t, h.calls(id), 3, "an acknowledgement stops everything, bo's PagerDuty too")
		inc := h.get(id)
		assert.Equal(t, tocsin.Acknowledged, inc.State)
		assert.Equal(t, "bo", inc.AcknowledgedBy)
	})
}

func TestTheWholePolicy(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Repeat = 1
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(3 * time.Hour)
		h.ack(id, "boss")
		h.pass(30 * time.Minute)
		assert.Equal(t, []string{
			"0s step 1 of platform: ana (on call on primary)",
			"15m step 2 of platform: bo (on call on secondary)",
			"30m step 3 of platform: cy, dan",
			"45m step 1 of platform: ana (on call on primary)",
			"1h0m step 2 of platform: bo (on call on secondary)",
			"1h15m step 3 of platform: cy, dan",
		}, h.said(id, tocsin.EventEscalated))
		last := h.said(id, tocsin.EventLastResort)
		assert.Equal(t, "1h30m nobody has answered: last resort of platform: boss", last[0])
		assert.Len(t, last, 10, "every ten minutes until 3 h")
		assert.Contains(t, h.calls(id), "1h30m calling boss by PagerDuty", "the last resort uses every contact at once")
		assert.Contains(t, h.calls(id), "45m calling ana again (2) by Slack")
	})
}

func TestNobodyOnCallIsSaidAndSkippedAtOnce(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		now := time.Now()
		for _, user := range []string{"ana", "bo"} {
			_, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideTimeOff, User: user, From: now, To: now.Add(24 * time.Hour), CreatedBy: user})
			require.NoError(t, err)
		}
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{
			"0s step 1 of platform: nobody is on call on schedule primary; going on at once",
			"0s step 2 of platform: nobody is on call on schedule secondary; going on at once",
		}, h.said(id, tocsin.EventNobody))
		assert.Equal(t, []string{"0s calling cy by Slack", "0s calling dan by Slack"}, h.calls(id))
	})
}

func TestNobodyAtAllIsTheLastResort(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps = spec.Policies[0].Steps[:1]
	spec.Policies[0].Repeat = 5
	play(t, spec, func(h *tower) {
		now := time.Now()
		_, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana", From: now, To: now.Add(24 * time.Hour), CreatedBy: "ana"})
		require.NoError(t, err)
		id := h.open(tocsin.Critical, "page")
		assert.Equal(t, []string{"0s calling boss by Slack", "0s calling boss by PagerDuty"}, h.calls(id))
	})
}

func TestAcknowledgementRunsOut(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		h.ack(id, "ana")
		h.pass(46 * time.Minute)
		assert.Equal(t, []string{"46m still acknowledged by ana; comes back to triggered at 2000-01-01 01:01 UTC unless acknowledged again"}, h.said(id, tocsin.EventReminded))
		assert.Contains(t, h.calls(id), "46m calling ana again (2) by Slack")
		h.pass(14 * time.Minute)
		inc := h.get(id)
		assert.Equal(t, tocsin.Triggered, inc.State)
		assert.Equal(t, []string{"0s step 1 of platform: ana (on call on primary)", "1h1m step 2 of platform: bo (on call on secondary)"}, h.said(id, tocsin.EventEscalated), "it goes on where it was")
	})
}

func TestAcknowledgementRenewed(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "ana")
		h.pass(50 * time.Minute)
		h.ack(id, "ana")
		h.pass(40 * time.Minute)
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State)
		h.pass(21 * time.Minute)
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
	})
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: time.Now().Add(2 * time.Hour)})
		h.pass(119 * time.Minute)
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "a snooze does not run out before its time")
		assert.Len(t, h.calls(id), 1)
		h.pass(time.Minute)
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
		assert.Equal(t, "2h0m calling ana again (2) by Slack", h.calls(id)[1], "from the first step")
		assert.Error(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: time.Now().Add(-time.Minute)}))
	})
}

func TestSeverityRaisedCallsAgain(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Warning, "page")
		h.pass(5 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(id), "low urgency: Slack alone")
		h.edit(id, func(i *tocsin.Incident) { i.Raise(tocsin.Critical, time.Now()) })
		h.pass(3 * time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "5m calling ana again (2) by Slack", "7m calling ana by PagerDuty"}, h.calls(id))
	})
}

func TestQuietHoursHoldLowUrgencyOnly(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	ana := spec.Users["ana"]
	ana.Zone = "Asia/Tokyo" // 00:00 UTC is 09:00 there
	ana.Quiet = append(ana.Quiet, quiet(8, 11))
	spec.Users["ana"] = ana
	play(t, spec, func(h *tower) {
		low := h.open(tocsin.Warning, "page")
		high := h.open(tocsin.Critical, "page")
		assert.Empty(t, h.calls(low))
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(high))
		h.ack(high, "ana")
		h.pass(2 * time.Hour)
		assert.Contains(t, h.calls(low), "2h0m calling ana by Slack")
	})
}

func TestResolvedFiresAgainFromTheFirstStep(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(16 * time.Minute)
		h.edit(id, func(i *tocsin.Incident) { i.Firing = 0; i.Resolve("", "over", time.Now()) })
		h.pass(10 * time.Minute)
		assert.True(t, h.get(id).Deadline().IsZero())
		h.edit(id, func(i *tocsin.Incident) { i.Firing = 1; i.Reopen("again", time.Now()) })
		calls := h.calls(id)
		assert.Equal(t, "26m calling ana again (2) by Slack", calls[len(calls)-1])
	})
}

func TestSuppressedPagesNobodyUntilItIsOver(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.edit(id, func(i *tocsin.Incident) { i.Mute("nights", time.Now()) })
		h.pass(2 * time.Hour)
		assert.Len(t, h.calls(id), 1)
		h.edit(id, func(i *tocsin.Incident) { i.Mute("", time.Now()) })
		assert.Len(t, h.calls(id), 2)
	})
}

func TestAllMustAnswer(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Team: "leads"}}, AllMustAcknowledge: true}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.ack(id, "cy")
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
		h.pass(3 * time.Minute)
		assert.Equal(t, []string{"0s calling cy by Slack", "0s calling dan by Slack", "2m calling dan by PagerDuty"}, h.calls(id), "cy is left alone, dan is not")
		require.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "boss"}), tocsin.ErrConflict)
		h.ack(id, "dan")
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State)
	})
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Team: "leads"}, {User: "boss"}}, RoundRobin: true}
	play(t, spec, func(h *tower) {
		var first []string
		for range 4 {
			first = append(first, h.calls(h.open(tocsin.Critical, "page"))...)
		}
		assert.Equal(t, []string{"0s calling cy by Slack", "0s calling dan by Slack", "0s calling boss by Slack", "0s calling cy by Slack"}, first)
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	for name, zone := range map[string]string{"cy": "Asia/Tokyo", "dan": "America/New_York"} {
		spec.Users[name] = person(name, zone)
	}
	spec.Policies[0].Steps = []escalation.Step{
		{To: []escalation.Recipient{{User: "ana"}}, When: escalation.Condition{Severities: []tocsin.Severity{tocsin.Warning}}},
		{After: 5 * time.Minute, To: []escalation.Recipient{{Team: "leads"}}, When: escalation.Condition{Hours: hours(9, 17)}},
		{After: 5 * time.Minute, To: []escalation.Recipient{{User: "bo"}}, When: escalation.Condition{Hours: hours(9, 17), Zone: "Europe/Madrid"}},
		{After: 5 * time.Minute, To: []escalation.Recipient{{User: "boss"}}},
	}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(10 * time.Minute)
		assert.Equal(t, []string{"0s calling cy by Slack", "2m calling cy by PagerDuty", "5m calling boss by Slack", "7m calling boss by PagerDuty"}, h.calls(id),
			"00:00 UTC is 09:00 in Tokyo, 19:00 in New York and 01:00 in Madrid; a step that reaches nobody does not wait")
		assert.Len(t, h.said(id, tocsin.EventNobody, tocsin.EventSkipped), 3)
	})
}

func TestUnreachablePersonIsPassedOver(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		h.broken["slack:@ana"] = true
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		assert.Equal(t, []string{"0s calling ana by Slack", "5s calling ana by PagerDuty"}, h.calls(id), "the next contact at once, not after two minutes")
	})
	play(t, basic(t), func(h *tower) {
		h.broken["slack:@ana"], h.broken["pagerduty:@ana"] = true, true
		id := h.open(tocsin.Critical, "page")
		h.pass(3 * time.Minute)
		assert.Equal(t, "1m5s calling bo by Slack", h.calls(id)[2])
		assert.Len(t, h.said(id, tocsin.EventNobody), 1)
	})
}

func TestRestartTakesWhatIsOverdueOnce(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.pass(time.Minute)
		h.halt()
		time.Sleep(40 * time.Minute)
		h.start()
		h.pass(time.Second)
		assert.Equal(t, []string{
			"0s calling ana by Slack", "41m calling ana by PagerDuty",
			"41m calling bo by Slack", "41m calling cy by Slack", "41m calling dan by Slack",
		}, h.calls(id))
		h.halt()
		h.start()
		h.pass(time.Second)
		assert.Len(t, h.calls(id), 5)
	})
}

func TestFrozenPolicy(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		changed := basic(t)
		changed.Policies[0].Steps[1].To = []escalation.Recipient{{User: "boss"}}
		rules, err := escalation.NewRules(changed)
		require.NoError(t, err)
		h.engine.SetRules(rules)
		h.pass(16 * time.Minute)
		assert.Contains(t, h.calls(id), "15m calling bo by Slack")
		other := h.open(tocsin.Critical, "page")
		h.pass(16 * time.Minute)
		assert.Contains(t, h.calls(other), "15m calling boss by Slack")
	})
}

func TestAhead(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		var lines []string
		for _, a := range h.engine.Ahead(h.get(id)) {
			lines = append(lines, a.At.UTC().Format("15:04")+" "+a.Text)
		}
		assert.Equal(t, []string{
			"00:02 ana by PagerDuty", "00:15 bo by Slack (on call on secondary)", "00:30 cy by Slack, dan by Slack", "00:45 last resort: boss by Slack and PagerDuty",
		}, lines)
		h.ack(id, "ana")
		lines = nil
		for _, a := range h.engine.Ahead(h.get(id)) {
			lines = append(lines, a.At.UTC().Format("15:04")+" "+a.Text)
		}
		assert.Equal(t, "00:45 ana is reminded", lines[0])
		assert.Equal(t, "01:00 the acknowledgement runs out: back to triggered", lines[1])
		assert.Equal(t, "01:00 bo by Slack (on call on secondary)", lines[2])
	})
}

// Warnings wake nobody: not the next step, and not the last resort.
func TestLowUrgencyWakesNobodyElse(t *testing.T) {
	t.Parallel()
	spec := basic(t)
	for name, u := range spec.Users {
		u.Quiet = hours(22, 7)
		spec.Users[name] = u
	}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Warning, "page")
		h.pass(6*time.Hour + 59*time.Minute)
		assert.Empty(t, h.calls(id))
		assert.Equal(t, []string{"0s step 1 of platform: ana (on call on primary), when the quiet hours end at Sat 07:00 UTC"}, h.said(id, tocsin.EventEscalated))
		h.pass(time.Hour)
		assert.Equal(t, []string{"7h0m calling ana by Slack", "7h15m calling bo by Slack", "7h30m calling cy by Slack", "7h30m calling dan by Slack", "7h45m calling boss by Slack", "7h55m calling boss again (2) by Slack"}, h.calls(id))
	})
}
