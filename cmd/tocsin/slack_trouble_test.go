package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const (
	// troubledPeople have ways besides Slack, which are late in coming.
	troubledPeople = `
users:
  - {name: ana, slack: U0ANA, email: ana@example.com, pagerduty_user: PANA001, pagerduty_routing_key: canaryanakey00000000000000000001,
     contacts: [{by: slack}, {by: pagerduty, after: 1h}, {by: email, after: 2h}]}
  - {name: bo, slack: U0BO, contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, role: manager, contacts: [{by: slack}]}
`
	troubledPolicy = `
alarm: {receiver: alarm, after: 5m}
route: {receiver: page, group_by: [alertname, instance]}
receivers:
  - {name: page, escalation_policy: platform, slack_configs: [{channel: "#incidents"}]}
  - {name: alarm, email_configs: [{to: team@example.com}]}
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}, {after: 1h, notify: [{user: bo}]}], last_resort: [{user: cy}]}
`
)

// notes waits until an incident's timeline says something.
func (s *team) notes(id, want string) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(s.timeline(id), want) && time.Now().Before(deadline) {
		<-time.After(10 * time.Millisecond)
	}
	require.Contains(s.t, s.timeline(id), want)
}

func (s *team) failedDeliveries() float64 {
	return s.metric(`tocsin_deliveries_total{kind="slack",outcome="failed"}`)
}

// TestSlackTrouble: what Slack does not take is said on the incident, and whoever
// is called is called in another way.
func TestSlackTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(*team)
		// said is on the timeline; channel: the channel is not told either.
		said    string
		channel bool
	}{
		"account deactivated": {func(s *team) { s.slack.Deactivate("U0ANA", true) }, "the person's Slack account is deactivated", false},
		"token revoked":       {func(s *team) { s.slack.RevokeToken("xoxb-canary-duty") }, "token_revoked: install the Slack app again", true},
		"account gone": {func(s *team) {
			s.slack.Fault(slacktest.Fault{Method: "conversations.open", Error: "user_not_found"})
		}, "check the person's Slack ID in users", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTeam(t, false).with(troubledPeople, dutyPrimary, troubledPolicy)
			failed := s.failedDeliveries()
			c.harm(s)
			id := s.open("NodeDown", "critical")
			s.eventually(func() bool { return len(s.pagerduty.Incidents(anaKey)) == 1 }, "PagerDuty calls ana instead: %s", s.timeline(id))
			s.notes(id, c.said)
			s.eventually(func() bool { return s.failedDeliveries() > max(failed, 0) }, "it is counted")
			s.eventually(func() bool { return len(s.smtp.Mailbox("team@example.com")) > 0 }, "the alarm goes out: %s", s.timeline(id))
			assert.Contains(t, s.smtp.Mailbox("team@example.com")[0].Text, "slack:")
			assert.Empty(t, s.slack.Messages("U0BO"), "ana can be reached, so it is not the next one's yet")
			if !c.channel {
				s.shows("#incidents", id, "Triggered: NodeDown a")
				return
			}
			// Another token mends it without a restart.
			assert.Empty(t, s.slack.Messages("#incidents"))
			s.write(troubledPeople, dutyPrimary, troubledPolicy)
			s.replace("xoxb-canary-duty", "xoxb-canary-next")
			s.duty.reload()
			s.shows("#incidents", id, "Triggered: NodeDown a")
			s.shows("U0ANA", id, "Triggered: NodeDown a")
			s.clicks("#incidents", id, "U0ANA", slack.ActionAcknowledge)
			s.shows("U0ANA", id, "Acknowledged by ana")
			s.says(slash, "U0ANA", "note "+id+" another token", id)
		})
	}
}

// TestSlackNobodyReachable: where no contact is left the next one is called at once.
func TestSlackNobodyReachable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		onCall string
		opens  func(*team) (id string)
	}{
		"by an alert": {"ana", func(s *team) string { return s.open("NodeDown", "critical") }},
		"by hand": {"bo", func(s *team) string {
			s.says(slash, "U0CY", "page @ana are you there?", "Opened: ", "Called: ana")
			return s.byTitle("are you there?").ID
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTeam(t, false).with(teamPeople, strings.ReplaceAll(dutyPrimary, "[ana]", "["+c.onCall+"]"), troubledPolicy)
			s.slack.Deactivate("U0ANA", true)
			id := c.opens(s)
			s.eventually(func() bool { return s.message("U0BO", id).TS != "" }, "bo is called: %s", s.timeline(id))
			s.notes(id, "ana cannot be reached: every contact has failed; going on at once")
			s.says(slash, "U0BO", "show "+id, "ana called", "cannot be reached")
		})
	}
}

// TestSlackMessagesAndChannelsThatGo: a message that is deleted is posted anew with
// the next change; of an archived channel the alarm tells.
func TestSlackMessagesAndChannelsThatGo(t *testing.T) {
	overBoth(t, func(s *team) {
		s.write(teamPeople, dutyPrimary, troubledPolicy)
		s.rooms()
		s.start()
		id := s.open("NodeDown", "critical")
		s.everywhere(id, "Triggered: NodeDown a", "Triggered: NodeDown a")
		room := s.becomes(id, "ana is in it, and the message is pinned", func(r slacktest.Room) bool { return has("U0ANA")(r) && len(r.Pins) == 1 })
		s.quiet()
		for _, ref := range []string{"#incidents", "U0ANA", room.ID} {
			s.slack.Delete(ref, s.message(ref, id).TS)
		}
		s.says(slash, "U0BO", "ack "+id, "is acknowledged by bo")
		s.everywhere(id, "Acknowledged by bo", "taken by bo")
		s.shows(room.ID, id, "Acknowledged by bo")
		for _, ref := range []string{"#incidents", "U0ANA"} {
			assert.Len(s.t, s.messages(ref, id), 1, s.said(ref))
		}
		s.clicks("U0ANA", id, "U0ANA", slack.ActionEscalate)
		assert.Equal(s.t, tocsin.Triggered, s.incident(id).State, "what was posted anew can be clicked")

		s.quiet()
		s.slack.SetArchived(room.ID, true)
		s.slack.SetArchived("#incidents", true)
		s.says(slash, "U0BO", "ack "+id, "is acknowledged by bo")
		s.notes(id, "is_inactive: unarchive the channel or route to another one")
		s.notes(id, "message_not_found")
		s.eventually(func() bool { return len(s.smtp.Mailbox("team@example.com")) > 0 }, "the alarm goes out: %s", s.timeline(id))
		next := s.becomes(id, "it has another channel", func(r slacktest.Room) bool { return r.ID != room.ID && has("U0ANA", "U0BO")(r) })
		s.shows(next.ID, id, "Acknowledged by bo")
		s.notes(id, "#"+room.Name+" was archived or deleted in Slack")
		s.shows("U0ANA", id, "Acknowledged by bo")
		require.Positive(s.t, s.failedDeliveries())
		s.slack.SetArchived("#incidents", false)
		s.says(slash, "U0BO", "resolve "+id+" force", "is resolved by bo")
		s.shows("#incidents", id, "Resolved")
	})
}
