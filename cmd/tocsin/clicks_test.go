package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// What is clicked in Slack, and what is done in PagerDuty, acts on the real
// program, and shows in both.
func TestClicksAndWebhooks(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.write(strings.ReplaceAll(dutyPeople, "after: 1s", "after: 0s"), dutyPrimary, strings.ReplaceAll(dutyPolicy,
		"[{name: page, escalation_policy: platform}]", "[{name: page, escalation_policy: platform, slack_configs: [{channel: '#incidents'}]}]"))
	text, err := os.ReadFile(d.file)
	require.NoError(t, err)
	text = bytes.Replace(text, []byte("slack: {"), []byte("slack: {signing_secret: canary-clicks-are-signed, "), 1)
	text = bytes.Replace(text, []byte("pagerduty: {"), []byte("pagerduty: {webhook_secrets: [canary-hooks-are-signed], "), 1)
	require.NoError(t, os.WriteFile(d.file, text, 0o600))
	d.start()
	d.slack.SetCallbacks(slacktest.Callbacks{Secret: "canary-clicks-are-signed", Interactions: d.url + "/slack/interactions", Self: d.slackURL})
	d.pagerduty.Subscribe(pagerdutytest.Subscription{URL: d.url + "/webhook/pagerduty", Secrets: []string{"canary-hooks-are-signed"}})

	d.fire(t, "NodeDown", "a", "critical")
	d.eventually(func() bool { return len(d.slack.Messages("#incidents")) == 1 && len(d.pagerduty.Incidents("")) == 1 }, "everybody is told")
	id := d.incidents(t)[0].ID
	message := d.slack.Messages("#incidents")[0]

	answer, err := d.slack.Click("#incidents", message.TS, "U0OLD", slack.ActionAcknowledge)
	require.NoError(t, err)
	assert.Equal(t, 200, answer.Status)
	assert.Equal(t, tocsin.Triggered, d.incident(id).State, "old is no user of the configuration")

	_, err = d.slack.Click("#incidents", message.TS, "U0BO", slack.ActionAcknowledge)
	require.NoError(t, err)
	inc := d.incident(id)
	assert.Equal(t, tocsin.Acknowledged, inc.State)
	assert.Equal(t, "bo", inc.AcknowledgedBy)
	d.eventually(func() bool { return d.pagerduty.Incidents("")[0].Status == "acknowledged" }, "PagerDuty shows it")

	require.True(t, d.pagerduty.Resolve(d.pagerduty.Incidents("")[0].ID, pagerdutytest.Reference{ID: "PANA001", Type: "user_reference", Summary: "Ana"}))
	d.pagerduty.Send(context.Background())
	inc = d.incident(id)
	assert.Equal(t, tocsin.Resolved, inc.State)
	assert.Equal(t, "ana", inc.ResolvedBy)
	d.eventually(func() bool { return strings.Contains(string(d.slack.Messages("#incidents")[0].Blocks), "Resolved") }, "Slack shows it")
}
