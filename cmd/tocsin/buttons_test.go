package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Buttons come with what takes their clicks, not before it.
func TestButtonsWaitForTheRestart(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	chat := strings.ReplaceAll(dutyPolicy, "[{name: page, escalation_policy: platform}]", "[{name: page, escalation_policy: platform, slack_configs: [{channel: '#incidents'}]}]")
	d.with(dutyPeople, dutyPrimary, chat)
	text, err := os.ReadFile(d.file)
	require.NoError(t, err)
	signed := strings.Replace(string(text), "slack: {", "slack: {signing_secret: canary-clicks-are-signed, ", 1)
	require.NoError(t, os.WriteFile(d.file, []byte(signed), 0o600))
	d.reload()
	d.open("NodeDown", "critical")
	d.hears("#incidents", "NodeDown a")
	assert.NotContains(t, string(d.slack.Messages("#incidents")[0].Blocks), "tocsin_acknowledge")
	d.restart()
	d.fire(t, "NodeDown", "b", "critical")
	d.eventually(func() bool { return len(d.slack.Messages("#incidents")) == 2 }, "the second is told")
	assert.Contains(t, string(d.slack.Messages("#incidents")[1].Blocks), "tocsin_acknowledge")
}
