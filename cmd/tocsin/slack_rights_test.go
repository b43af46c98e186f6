package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// twoTeams share a channel: bo is in web and dba in db, and they may nothing else;
// ana responds everywhere, cy manages.
const twoTeams = `
users:
  - {name: ana, slack: U0ANA, contacts: [{by: slack}]}
  - {name: bo, slack: U0BO, role: none, contacts: [{by: slack}]}
  - {name: dba, slack: U0DBA, role: none, contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, role: manager, contacts: [{by: slack}]}
teams:
  - {name: web, users: [bo]}
  - {name: db, users: [dba], role: manager}
schedules:
  - {name: web, team: web, layers: [{name: weekly, users: [bo], rotation: {start: '2026-01-05'}}]}
  - {name: db, team: db, layers: [{name: weekly, users: [dba], rotation: {start: '2026-01-05'}}]}
route: {receiver: web, group_by: [alertname, instance], routes: [{receiver: db, matchers: ['alertname="DiskFull"']}]}
receivers:
  - {name: web, team: web, escalation_policy: web, slack_configs: [{channel: "#incidents"}]}
  - {name: db, team: db, escalation_policy: db, slack_configs: [{channel: "#incidents"}]}
escalation_policies:
  - {name: web, steps: [{notify: [{schedule: web}]}], last_resort: [{user: cy}]}
  - {name: db, steps: [{notify: [{schedule: db}]}], last_resort: [{user: cy}]}
`

// withTwoTeams starts the program with an incident of each team, and a remedy for
// that of db, which bo may approve by name.
func (s *team) withTwoTeams() (web, db string) {
	s.t.Helper()
	s.slack.AddUser(slacktest.User{ID: "U0DBA", Name: "dba", RealName: "dba"})
	cure, sum := remedyScript(s.t, "cure", "#!/bin/sh\nexit 0\n")
	s.with(twoTeams, fmt.Sprintf(`
remediations:
  - {name: cure, command: ['%s', '{{node}}'], sha256: %s, parameters: [{name: node, label: instance, pattern: '[a-z]'}], matchers: ['alertname="DiskFull"'],
     mode: approve, approvers: [bo, dba], sandbox: {require: none}}
`, cure, sum))
	web, db = s.openAt("NodeDown", "a", "critical"), s.openAt("DiskFull", "b", "critical")
	s.shows("#incidents", web, "Called: bo")
	s.shows("#incidents", db, "Called: dba", "cure")
	return web, db
}

// refusedOn has bo click on an incident, and waits for the refusal.
func (s *team) refusedOn(id, action string, choice ...string) {
	s.t.Helper()
	before := len(s.slack.Ephemerals("U0BO"))
	a := s.clicks("#incidents", id, "U0BO", action, choice...)
	assert.Equal(s.t, 200, a.Status)
	s.eventually(func() bool { return len(s.slack.Ephemerals("U0BO")) > before }, "bo is answered: %s %s", action, choice)
	said := s.slack.Ephemerals("U0BO")
	text := plainText(string(said[len(said)-1].See().HTML))
	assert.Contains(s.t, text, "Nothing was done: bo has no right to", "%s %s", action, choice)
	assert.NotContains(s.t, text, "DiskFull", "%s %s", action, choice)
}

// TestSlackClicksOfTeams: people see each other's incidents in a shared channel, and
// act on their own.
func TestSlackClicksOfTeams(t *testing.T) {
	overBoth(t, func(s *team) {
		web, db := s.withTwoTeams()
		before := s.incident(db).Revision
		for _, c := range [][]string{
			{slack.ActionAcknowledge},
			{slack.ActionResolveFiring},
			{slack.ActionEscalate},
			{slack.ActionSnooze, "1h"},
			{slack.ActionSilence, "1h"},
			{slack.ActionMore, slack.ChoiceNote},
			{slack.ActionMore, slack.ChoicePerson},
			{slack.ActionMore, slack.ChoiceWhy},
			{slack.ActionApprove},
			{slack.ActionDeny},
			{slack.ActionPlan},
		} {
			s.refusedOn(db, c[0], c[1:]...)
		}
		s.event(map[string]any{"type": "reaction_added", "user": "U0BO", "reaction": "pushpin", "item": map[string]any{
			"type": "message", "channel": s.message("#incidents", db).Channel, "ts": s.slack.Say("#incidents", "U0BO", "it is the disk", s.message("#incidents", db).TS),
		}})
		_, opened := s.slack.View("U0BO")
		assert.False(s.t, opened)
		assert.Equal(s.t, before, s.incident(db).Revision, "nothing has changed: %s", s.timeline(db))
		assert.NotContains(s.t, s.timeline(db), "it is the disk")
		assert.Equal(s.t, tocsin.RemediationProposed, s.theRun(db, tocsin.RemediationProposed).State)

		s.clicks("#incidents", web, "U0BO", slack.ActionAcknowledge)
		s.shows("#incidents", web, "Acknowledged by bo")
		s.clicks("#incidents", web, "U0BO", slack.ActionSilence, "1h")
		s.whispered("U0BO", "a silence can hide other teams' alerts")
		s.clicks("#incidents", db, "U0DBA", slack.ActionApprove)
		assert.Equal(s.t, "dba", s.theRun(db, tocsin.RemediationVerified, tocsin.RemediationUnknown, tocsin.RemediationNotFixed).Approvals[0].By)

		s.opens("U0BO", "NodeDown a")
		assert.NotContains(s.t, s.home("U0BO"), "DiskFull")
		s.opens("U0DBA", "DiskFull b")
		assert.NotContains(s.t, s.home("U0DBA"), "NodeDown")

		// Whoever is called may answer.
		s.clicks("#incidents", db, "U0DBA", slack.ActionMore, slack.ChoicePerson)
		s.eventually(func() bool { _, open := s.slack.View("U0DBA"); return open }, "the window opens")
		_, err := s.slack.Submit("U0DBA", map[string]string{"person": "U0BO", "text": "knows the disks"})
		require.NoError(s.t, err)
		s.shows("U0BO", db, "DiskFull")
		s.opens("U0BO", "DiskFull b")
		s.clicks("U0BO", db, "U0BO", slack.ActionAcknowledge)
		s.shows("#incidents", db, "Acknowledged by bo")
	})
}

// TestSlackWordsOfTeams: what is typed about another team's incident is answered as
// what is typed about none.
func TestSlackWordsOfTeams(t *testing.T) {
	overBoth(t, func(s *team) {
		web, db := s.withTwoTeams()
		before := s.incident(db).Revision
		for n, d := range []door{slash, mention, direct} {
			for _, words := range []string{
				"show ID", "why ID", "ack ID", "resolve ID force", "note ID x", "snooze ID 2h", "escalate ID", "merge " + web + " into ID", "channel ID", "step ID 1 done",
			} {
				theirs := s.says(d, "U0BO", strings.ReplaceAll(words, "ID", db))
				unknown := s.says(d, "U0BO", strings.ReplaceAll(words, "ID", "z2z2z2"))
				assert.Equal(s.t, strings.ReplaceAll(unknown, "z2z2z2", db), theirs, "%s %s", d, words)
			}
			assert.NotContains(s.t, s.says(d, "U0BO", "list", "NodeDown a"), "DiskFull")
			assert.NotContains(s.t, s.says(d, "U0BO", "list all", "NodeDown a"), "DiskFull")
			assert.NotContains(s.t, s.says(d, "U0BO", "handoff", "Handoff of web", "NodeDown a"), "DiskFull")
			s.says(d, "U0DBA", "list", "DiskFull b")
			s.says(d, "U0ANA", "list", "DiskFull b", "NodeDown a")
			s.says(d, "U0BO", "note "+web+" looking at it", "Noted.")
			for _, words := range []string{"silence alertname=NodeDown for 2h x", "silences", "silence expire zzzzzz", "status"} {
				s.says(d, "U0BO", words, "Nothing was done: bo has no right to view here")
			}
			assert.NotContains(s.t, s.says(d, "U0BO", "oncall", "web"), "dba")
			s.says(d, "U0BO", "oncall db", "there is no schedule db")
			s.says(d, "U0BO", "override add db @me for 2h", "there is no schedule db")
			s.says(d, "U0BO", "override add web @cy for 2h", "cy replaces bo on web")
			s.says(d, "U0DBA", "override add db @ana for 2h", "ana replaces whoever is on call on db")

			title := fmt.Sprint("it burns ", n)
			s.says(d, "U0BO", "page @dba "+title, "Opened: ", title, "Called: dba")
			assert.Equal(s.t, []string{"web"}, s.byTitle(title).Receivers)
			s.says(d, "U0BO", "page receiver db @dba "+title, "is none of yours; those are web")
			s.says(d, "U0DBA", "ack "+s.byTitle(title).ID, "is acknowledged by dba")
		}
		assert.Equal(s.t, before, s.incident(db).Revision, "nothing has changed: %s", s.timeline(db))

		// Rights are asked for anew each time.
		s.replace("{name: web, users: [bo]}", "{name: web, users: [ana]}")
		s.reload()
		s.says(slash, "U0BO", "list", "NodeDown a") // it has called bo
		id := s.openAt("NodeDown", "c", "critical")
		s.says(slash, "U0BO", "page @dba it burns", "bo has no right to respond here")
		s.says(slash, "U0ANA", "reassign "+id+" @cy", "Called: cy")
		s.replace("{name: bo, slack: U0BO, role: none,", "{name: bo, slack: U0BO,")
		s.reload()
		s.says(slash, "U0BO", "list", "NodeDown a", "DiskFull b")
		s.says(slash, "U0BO", "ack "+db, "is acknowledged by bo")
	})
}
