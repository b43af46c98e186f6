package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// TestSlackReloadsWhilePeopleType: nothing of what is typed and clicked while the
// configuration changes is lost, or done twice, and the connections stay.
func TestSlackReloadsWhilePeopleType(t *testing.T) {
	const many = 20
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		id := s.open("NodeDown", "critical")
		s.shows("#incidents", id, "Triggered: NodeDown a")
		for n := range many {
			s.openAt("Disk", fmt.Sprintf("n%02d", n), "error")
		}
		s.quiet()
		var typing sync.WaitGroup
		for w := range 2 {
			typing.Go(func() {
				for n := range many {
					_, err := s.slack.Command("U0BO", "#ops", fmt.Sprintf("note %s note %d of writer %d;", id, n, w))
					assert.NoError(s.t, err)
				}
			})
		}
		typing.Go(func() {
			for n := range many {
				disk := s.byTitle(fmt.Sprintf("Disk n%02d", n)).ID
				_, err := s.slack.Command("U0CY", "#ops", "ack "+disk)
				assert.NoError(s.t, err)
			}
		})
		for n := range 6 {
			s.reload(teamPeople, strings.ReplaceAll(dutyPrimary, "[ana]", []string{"[bo]", "[ana]"}[n%2]), dutyChannel)
		}
		typing.Wait()
		line := s.timeline(id)
		for w := range 2 {
			for n := range many {
				assert.Equal(s.t, 1, strings.Count(line, fmt.Sprintf("note %d of writer %d;", n, w)), "note %d of writer %d", n, w)
			}
		}
		for n := range many {
			disk := s.byTitle(fmt.Sprintf("Disk n%02d", n))
			assert.Equal(s.t, "cy", disk.AcknowledgedBy, disk.ID)
		}
		if s.socket {
			assert.Equal(s.t, 2, s.slack.Sockets().Opened(), "the connections stay")
			assert.Empty(s.t, s.slack.Sockets().Violations())
		}
	})
}

// TestSlackReloadOfPeopleAndTokens: who somebody is, what they may do, and which
// token speaks, hold at once.
func TestSlackReloadOfPeopleAndTokens(t *testing.T) {
	overBoth(t, func(s *team) {
		s.with(teamPeople, dutyPrimary, dutyChannel)
		id := s.open("NodeDown", "critical")
		s.shows("#incidents", id, "Triggered: NodeDown a")
		s.opens("U0BO", "My shifts")
		s.says(slash, "U0VIC", "note "+id+" me too", "vic has no right to respond")

		s.reload(strings.NewReplacer(
			"{name: vic, slack: U0VIC, role: viewer}", "{name: vic, slack: U0OLD}",
			"{name: bo, slack: U0BO, contacts", "{name: bo, slack: U0BO, role: viewer, contacts",
			"slack: U0CY, role: manager", "slack: U0CY",
		).Replace(teamPeople), dutyPrimary, dutyChannel)
		s.clicks("#incidents", id, "U0BO", slack.ActionAcknowledge)
		s.whispered("U0BO", "bo has no right to respond")
		assert.Equal(s.t, tocsin.Triggered, s.incident(id).State)
		s.says(slash, "U0VIC", "list", "Tocsin does not know who you are")
		s.says(slash, "U0CY", "override add primary @bo for 2h", "you are not on call on primary then")
		s.opens("U0VIC", "Welcome to Tocsin")
		s.says(slash, "U0OLD", "note "+id+" it is me", id)
		assert.Contains(s.t, s.timeline(id), "note: it is me")

		// Another bot token: what the old one could is over, and nothing is missed.
		s.slack.AddToken("xoxb-canary-next")
		if s.socket {
			s.slack.AddToken(teamAppToken)
		}
		s.slack.RevokeToken("xoxb-canary-duty")
		s.write(teamPeople, dutyPrimary, dutyChannel)
		s.replace("xoxb-canary-duty", "xoxb-canary-next")
		s.duty.reload()
		s.clicks("#incidents", id, "U0BO", slack.ActionAcknowledge)
		s.shows("#incidents", id, "Acknowledged by bo")
		s.shows("U0ANA", id, "Acknowledged by bo")
		s.opens("U0BO", "NodeDown a")
		s.says(mention, "U0ANA", "show "+id, "acknowledged by bo")
		s.says(direct, "U0ANA", "show "+id, "acknowledged by bo")

		// What needs a restart is said, and holds until then.
		s.replace(teamSecretLine(s), teamSecretLine(s)+"-next")
		s.duty.reload()
		assert.Contains(s.t, s.log.String(), "these settings take effect at the next start")
		s.says(slash, "U0ANA", "note "+id+" still here", id)
	})
}

func teamSecretLine(s *team) string {
	if s.socket {
		return teamAppToken
	}
	return teamSecret
}

// TestWithoutSlack: the program needs no Slack, and gets along with one that is
// added and taken away by a reload.
func TestWithoutSlack(t *testing.T) {
	t.Parallel()
	s := newTeam(t, false)
	s.write(troubledPeople, dutyPrimary, dutyTeam)
	with := string(read(t, s.file))
	start := strings.Index(with, "slack: {")
	without := with[:start] + "#" + with[start:]
	without = strings.NewReplacer("{by: slack}, {by: pagerduty, after: 1h}", "{by: pagerduty}", "contacts: [{by: slack}]", "email: bo@example.com, contacts: [{by: email}]").Replace(without)
	s.rewrite(without)
	s.duty.start()
	s.listen()
	id := s.open("NodeDown", "critical")
	s.eventually(func() bool { return len(s.pagerduty.Incidents(anaKey)) == 1 }, "PagerDuty calls ana")
	code, body := s.post(t, "/api/v1/incidents/"+id+"/channel", []byte(`{"by":"ana"}`))
	assert.Equal(t, http.StatusConflict, code, body)
	code, _ = s.post(t, "/slack/interactions", []byte("x"))
	assert.Equal(t, http.StatusNotFound, code)

	s.rewrite(with)
	s.duty.reload()
	s.do(id, tocsin.ActReassign, tocsin.Action{By: "cy", User: "bo"})
	s.shows("U0BO", id, "Triggered: NodeDown a")
	s.do(id, tocsin.ActChannel, tocsin.Action{By: "ana"})
	s.becomes(id, "ana is in it", has("U0ANA"))
	s.rewrite(without)
	s.duty.reload()
	s.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "bo"})
	s.restart()
	require.Equal(t, tocsin.Acknowledged, s.incident(id).State)
}
