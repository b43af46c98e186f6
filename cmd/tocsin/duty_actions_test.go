package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// dutyChannel posts to a channel too, and asks for quick answers.
const dutyChannel = `
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: platform, slack_configs: [{channel: "#incidents"}]}]
escalation_policies:
  - name: platform
    steps:
      - {notify: [{schedule: primary}]}
      - {after: 1h, notify: [{user: bo}, {slack_channel: "#leads", user_group: S0LEADS}]}
    last_resort: [{user: cy}]
`

// message is the one of an incident in a channel.
func (d *duty) message(ref, id string) slacktest.Message {
	d.t.Helper()
	for _, m := range d.slack.Messages(ref) {
		if strings.Contains(m.Text, id) {
			return m
		}
	}
	return slacktest.Message{}
}

// shows waits until an incident's message in a channel, with its thread, says
// something.
func (d *duty) shows(ref, id string, want ...string) {
	d.t.Helper()
	comesToSay(d.t, func() slacktest.Message { return d.message(ref, id) }, want...)
}

// comesToSay waits until a message, with its thread, says all of it.
func comesToSay(t *testing.T, message func() slacktest.Message, want ...string) {
	t.Helper()
	text := func() string {
		m := message()
		out := m.Text + "\n" + plainText(string(m.See().HTML))
		for _, r := range m.Replies {
			out += "\n" + plainText(string(r.See().HTML))
		}
		return out
	}
	for _, w := range want {
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(text(), w) && time.Now().Before(deadline) {
			<-time.After(5 * time.Millisecond)
		}
		require.Contains(t, text(), w)
	}
}

func TestDutyActionsAreSeenInSlack(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyChannel)
	cli := func(code int, args ...string) string {
		return runCLI(t, code, append(args, "--server.url", d.url)...)
	}
	id := d.open("NodeDown", "error")
	d.shows("#incidents", id, "Triggered: NodeDown a", "error", "Called: ana", "Next: ", "bo by Slack")

	note := tocsin.Action{ID: "note-1", By: "ana", Text: "the vendor was called"}
	for range 3 { // once, however often it is sent
		d.do(id, tocsin.ActNote, note)
	}
	d.shows("#incidents", id, "the vendor was called")
	cli(0, "severity", id, "critical", "--by", "ana")
	d.shows("#incidents", id, "severity changed from error to critical by ana", "critical · ")
	cli(0, "add-responder", id, "cy", "--by", "ana", "--note", "knows the disks")
	d.shows("#incidents", id, "ana asked cy to help: knows the disks", "Called: ana, cy")
	d.shows("U0CY", id, "Triggered: NodeDown a")
	cli(0, "add-responder", id, "cy", "--by", "ana")
	cli(0, "ack", id, "--by", "ana")
	d.shows("#incidents", id, "Acknowledged: NodeDown a", "Acknowledged by ana", "ana ✓")
	d.shows("U0CY", id, "Acknowledged by ana")

	cli(0, "reassign", id, "--to", "bo", "--by", "ana", "--note", "my shift is over")
	d.shows("U0BO", id, "Triggered: NodeDown a")
	d.shows("#incidents", id, "Triggered: NodeDown a", "reassigned to bo by ana: my shift is over")
	cli(0, "snooze", id, "--for", "2s", "--by", "bo")
	d.shows("#incidents", id, "snoozed by bo until", "Acknowledged: NodeDown a")
	d.shows("#incidents", id, "the snooze is over", "Triggered: NodeDown a")
	d.do(id, tocsin.ActEscalate, tocsin.Action{By: "bo", Step: 2})
	d.shows("#leads", id, "Triggered: NodeDown a")
	assert.Contains(t, d.message("#leads", id).See().Mentions, "!subteam^S0LEADS")
	cli(0, "ack", id, "--by", "bo")

	line := d.timeline(id)
	assert.Equal(t, 1, strings.Count(line, "the vendor was called"), line)
	assert.Equal(t, 1, strings.Count(line, "asked cy to help"), line)
	assert.Equal(t, 1, strings.Count(line, "calling cy by Slack"), line)
	d.quiet()
	for ref, n := range map[string]int{"#incidents": 1, "#leads": 1, "U0ANA": 1, "U0BO": 1, "U0CY": 1} {
		found := 0
		for _, m := range d.slack.Messages(ref) {
			if strings.Contains(m.Text, id) {
				found++
			}
		}
		assert.Equal(t, n, found, "%s has one message for the incident: %s", ref, d.said(ref))
	}
	out := cli(1, "resolve", id, "--by", "bo")
	assert.Contains(t, out, "1 alert still fires")
	cli(0, "resolve", id, "--by", "bo", "--force")
	d.shows("#incidents", id, "Resolved")
	assert.Equal(t, http.StatusConflict, d.ask(http.MethodPost, "/api/v1/incidents/"+id+"/snooze", tocsin.Action{By: "bo", Until: time.Now().Add(time.Hour)}, nil))
}

func TestDutyMerge(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyChannel)
	cause, symptom := d.open("SwitchDown", "critical"), d.open("NodeDown", "critical")
	d.shows("#incidents", symptom, "Triggered: NodeDown a")
	d.shows("U0ANA", symptom, "Triggered: NodeDown a")
	out := runCLI(t, 0, "merge", symptom, "--into", cause, "--by", "ana", "--server.url", d.url)
	assert.Contains(t, out, symptom)
	d.shows("#incidents", symptom, "merged into "+cause+" by ana")
	d.shows("#incidents", cause, symptom+" (NodeDown a) was merged into this one by ana")
	assert.Empty(t, d.incident(symptom).Escalation.Calls, "it calls nobody any more")
	assert.True(t, d.incident(symptom).Deadline().IsZero())
	d.do(cause, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	d.do(cause, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	d.restart() // looks around at once
	d.eventually(func() bool { return d.incident(symptom).MergedInto == "" }, "it pages for itself again")
	d.shows("#incidents", symptom, cause+" is resolved and this one is not", "pages for itself again")
	assert.Contains(t, d.timeline(symptom), "calling ana again (2) by Slack")
	code := d.ask(http.MethodPost, "/api/v1/incidents/"+symptom+"/merge", tocsin.Action{By: "ana", Into: "nope"}, nil)
	assert.Equal(t, http.StatusBadRequest, code)
}

func TestDutyUnmerge(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyChannel)
	cause, symptom := d.open("SwitchDown", "critical"), d.open("NodeDown", "critical")
	d.shows("U0ANA", symptom, "Triggered: NodeDown a")
	runCLI(t, 0, "merge", symptom, "--into", cause, "--by", "ana", "--server.url", d.url)
	out := runCLI(t, 0, "unmerge", symptom, "--by", "ana", "--note", "another cause", "--server.url", d.url)
	assert.Contains(t, out, symptom)
	assert.Empty(t, d.incident(symptom).MergedInto)
	d.shows("#incidents", symptom, "no longer merged into "+cause+", says ana", "another cause")
	d.shows("#incidents", cause, symptom+" (NodeDown a) is no longer merged into this one")
	assert.Contains(t, d.timeline(symptom), "calling ana again (2) by Slack")
}

// TestDutyWhatWasMergedIsResolvedEverywhere: PagerDuty was told of it before.
func TestDutyWhatWasMergedIsResolvedEverywhere(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyTeam)
	cause, symptom := d.open("SwitchDown", "critical"), d.open("NodeDown", "critical")
	d.eventually(func() bool { return len(d.pagerduty.Incidents(anaKey)) == 2 }, "PagerDuty pages ana twice")
	d.do(symptom, tocsin.ActMerge, tocsin.Action{By: "ana", Into: cause})
	end := fires(labels("NodeDown", "a", "critical"), "NodeDown a")
	end.Status, end.StartsAt, end.EndsAt = "resolved", time.Now().Add(-time.Minute), time.Now()
	code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, end))
	require.Equal(t, http.StatusOK, code, body)
	d.quiet()
	require.Equal(t, tocsin.Resolved, d.incident(symptom).State)
	d.eventually(func() bool {
		for _, p := range d.pagerduty.Incidents(anaKey) {
			if strings.Contains(p.Title, "NodeDown") {
				return p.Status == "resolved"
			}
		}
		return false
	}, "it is resolved in PagerDuty")
}
