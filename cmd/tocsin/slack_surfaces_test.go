package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// everywhere waits until the channel's message, the one of ana and ana's Home tab
// all say something of an incident.
func (s *team) everywhere(id, message, home string) {
	s.t.Helper()
	for _, ref := range []string{"#incidents", "U0ANA"} {
		s.eventually(func() bool { return strings.Contains(s.shown(ref, id), message) }, "%s says of %s: %s", ref, id, message)
	}
	s.opens("U0ANA", home)
}

// ticks has somebody click on a check box, by the beginning of what it says.
func (s *team) ticks(ref, id, user, step string) {
	s.t.Helper()
	a := s.clicks(ref, id, user, slack.ActionSteps, step)
	require.Equal(s.t, 200, a.Status)
}

// TestSlackOneIncidentOnThreeSurfaces: whatever is clicked where, all places show
// the same.
func TestSlackOneIncidentOnThreeSurfaces(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		id := s.open("NodeDown", "critical")
		s.everywhere(id, "Triggered: NodeDown a", "Triggered: NodeDown a")
		stale, err := s.slack.ClickPayload("#incidents", s.message("#incidents", id).TS, "U0CY", slack.ActionAcknowledge)
		require.NoError(s.t, err)

		s.clicks("#incidents", id, "U0BO", slack.ActionAcknowledge)
		s.everywhere(id, "Acknowledged by bo", "taken by bo")
		_, err = s.slack.ClickHome("U0ANA", "tocsin:"+id, slack.ActionAcknowledge)
		require.Error(s.t, err, "there is nothing to acknowledge at home any more")

		// One ticks in the direct message, one in the channel, on what was shown before.
		s.ticks("U0ANA", id, "U0ANA", "1. Look at the machine")
		s.ticks("#incidents", id, "U0BO", "3. Drain the node")
		s.everywhere(id, "2 of 5 steps done", "taken by bo")
		assert.Contains(s.t, s.progress(id), "1 Look at the machine: done by ana, Slack\n")
		assert.Contains(s.t, s.progress(id), "3 Drain the node: done by bo, Slack\n")
		s.ticks("#incidents", id, "U0BO", "3. Drain the node")
		s.everywhere(id, "1 of 5 steps done", "taken by bo")

		s.clicks("U0ANA", id, "U0ANA", slack.ActionSnooze, "1h")
		s.everywhere(id, "snoozed until", "yours, snoozed until")
		s.clicks("#incidents", id, "U0BO", slack.ActionMore, slack.ChoiceNote)
		s.eventually(func() bool { _, open := s.slack.View("U0BO"); return open }, "the window opens")
		_, err = s.slack.Submit("U0BO", map[string]string{"text": "the vendor is on the phone"})
		require.NoError(s.t, err)
		s.shows("#incidents", id, "the vendor is on the phone")
		s.shows("U0ANA", id, "the vendor is on the phone")

		// A button of long ago tells how things stand, and does nothing.
		before := s.incident(id).Revision
		_, err = s.slack.Interact(stale)
		require.NoError(s.t, err)
		s.whispered("U0CY", "Nothing was done: the incident has moved on.")
		s.whispered("U0CY", id+" is acknowledged by ana")
		assert.Equal(s.t, before, s.incident(id).Revision)

		_, err = s.slack.ClickHome("U0ANA", "tocsin:"+id, slack.ActionResolveFiring)
		require.NoError(s.t, err)
		s.eventually(func() bool { return strings.Contains(s.home("U0ANA"), "Nothing is open that called you") }, "the tab shows it without being opened anew")
		s.everywhere(id, "Resolved", "Nothing is open that called you")
		assert.Equal(s.t, "ana", s.incident(id).ResolvedBy)
		for _, ref := range []string{"#incidents", "U0ANA"} {
			assert.Len(s.t, s.slack.Messages(ref), 1, "%s: %s", ref, s.said(ref))
		}
	})
}

// TestSlackAllAtOnce: several people click at the same time, and all places show
// one and the same end of it.
func TestSlackAllAtOnce(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		id := s.open("NodeDown", "critical")
		s.everywhere(id, "Triggered: NodeDown a", "Triggered: NodeDown a")
		press := func(ref, user, action string, choice ...string) func() {
			payload, err := s.slack.ClickPayload(ref, s.message(ref, id).TS, user, action, choice...)
			require.NoError(s.t, err)
			return func() {
				_, err := s.slack.Interact(payload)
				assert.NoError(s.t, err)
			}
		}
		atOnce := func(clicks ...func()) {
			var all sync.WaitGroup
			for _, click := range clicks {
				all.Go(click)
			}
			all.Wait()
		}
		home, err := s.slack.ClickHomePayload("U0ANA", "tocsin:"+id, slack.ActionAcknowledge)
		require.NoError(s.t, err)
		atOnce(
			press("#incidents", "U0BO", slack.ActionAcknowledge), press("#incidents", "U0CY", slack.ActionAcknowledge),
			press("#incidents", "U0ANA", slack.ActionSteps, "1. Look at the machine"), press("#incidents", "U0BO", slack.ActionSteps, "1. Look at the machine"),
			press("U0ANA", "U0ANA", slack.ActionSteps, "2. Ask the providr"),
			func() { _, err := s.slack.Interact(home); assert.NoError(s.t, err) },
		)
		inc := s.incident(id)
		require.Equal(s.t, tocsin.Acknowledged, inc.State)
		s.everywhere(id, "Acknowledged by "+inc.AcknowledgedBy, map[string]string{"ana": "yours", "bo": "taken by bo", "cy": "taken by cy"}[inc.AcknowledgedBy])
		s.everywhere(id, "2 of 5 steps done", "NodeDown a")
		assert.Equal(s.t, 1, strings.Count(s.timeline(id), "did step 1"), s.timeline(id))

		atOnce(
			press("#incidents", "U0BO", slack.ActionResolveFiring), press("U0ANA", "U0ANA", slack.ActionResolveFiring),
			press("#incidents", "U0CY", slack.ActionSnooze, "1h"),
		)
		s.everywhere(id, "Resolved", "Nothing is open that called you")
		assert.Equal(s.t, 1, strings.Count(s.timeline(id), "resolved by"), s.timeline(id))
		assert.Empty(s.t, s.slack.Sockets().Violations())
	})
}

// TestSlackOverARestart: what was clicked is not lost, and what comes again is not
// done again.
func TestSlackOverARestart(t *testing.T) {
	overBoth(t, func(s *team) {
		s.putRunbook(stepsBefore)
		s.with(teamPeople, dutyPrimary, dutyChannel, dutyRunbooks)
		id := s.open("NodeDown", "critical")
		s.everywhere(id, "Triggered: NodeDown a", "Triggered: NodeDown a")
		ts := s.message("#incidents", id).TS
		mend := s.slack.Fault(slacktest.Fault{Method: "chat.update", Status: 503})
		var payloads [][]byte
		for _, c := range [][]string{{slack.ActionAcknowledge}, {slack.ActionSteps, "1. Look at the machine"}} {
			p, err := s.slack.ClickPayload("#incidents", ts, "U0BO", c[0], c[1:]...)
			require.NoError(s.t, err)
			payloads = append(payloads, p)
			_, err = s.slack.Interact(p)
			require.NoError(s.t, err)
		}
		page := map[string]any{
			"type": "app_mention", "user": "U0ANA", "channel": s.slack.AddChannel("ops"), "ts": "1763800000.000100",
			"text": "<@" + slacktest.BotUserID + "> page @bo the database is down",
		}
		s.eventAs("Ev-page", page)
		assert.Contains(s.t, s.shown("#incidents", id), "Triggered", "Slack does not take the change yet")
		s.restart()
		mend()
		s.everywhere(id, "Acknowledged by bo", "taken by bo")
		s.everywhere(id, "1 of 5 steps done", "taken by bo")

		// All of it is taken back, and comes again.
		s.says(slash, "U0ANA", "unack "+id+" force", "is triggered")
		s.do(id, tocsin.ActStep, tocsin.Action{By: "ana", RunbookStep: "1", Status: tocsin.StepOpen})
		s.everywhere(id, "0 of 5 steps done", "Triggered: NodeDown a")
		s.restart()
		revision := s.incident(id).Revision
		for _, p := range payloads {
			_, err := s.slack.Interact(p)
			require.NoError(s.t, err)
		}
		s.eventAs("Ev-page", page)
		s.quiet()
		assert.Equal(s.t, revision, s.incident(id).Revision, s.timeline(id))
		assert.Equal(s.t, 1, strings.Count(s.timeline(id), "acknowledged by bo"), s.timeline(id))
		assert.Equal(s.t, 1, strings.Count(s.timeline(id), "bo did step 1"), s.timeline(id))
		assert.Len(s.t, s.incidents(s.t), 2, "the page by hand is one")
		assert.Len(s.t, s.slack.Messages("U0BO"), 1)
	})
}
