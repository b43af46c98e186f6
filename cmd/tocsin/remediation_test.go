package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// script writes a script and returns its path and its pin.
func remedyScript(t *testing.T, name, text string) (path, sum string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	h := sha256.Sum256([]byte(text))
	return path, hex.EncodeToString(h[:])
}

// theRun waits until the only run of an incident is in one of some states.
func (d *duty) theRun(id string, states ...tocsin.RemediationState) tocsin.Remediation {
	d.t.Helper()
	var list struct{ Remediations []tocsin.Remediation }
	d.eventually(func() bool {
		d.ask("GET", "/api/v1/remediations?incident="+id, nil, &list)
		if len(list.Remediations) != 1 {
			return false
		}
		for _, s := range states {
			if list.Remediations[0].State == s {
				return true
			}
		}
		return false
	}, "the run is %v", states)
	return list.Remediations[0]
}

// A remedy is proposed in Slack, planned, approved there, run in the sandbox, and
// verified; everybody sees how it stands.
func TestARemedyFromAlertToVerified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cure, sum := remedyScript(t, "restart-node", "#!/bin/sh\necho restarting \"$1\" with "+"canary-the-smtp-password"+"\necho up > "+dir+"/node\n")
	look, lookSum := remedyScript(t, "is-up", "#!/bin/sh\ntest -f "+dir+"/node\n")
	d := newDuty(t)
	d.write(dutyPeople, dutyPrimary, strings.ReplaceAll(dutyPolicy, "[{name: page, escalation_policy: platform}]",
		"[{name: page, escalation_policy: platform, slack_configs: [{channel: '#incidents'}]}]"), fmt.Sprintf(`
remediations:
  - name: restart-node
    command: ['%s', '{{node}}']
    sha256: %s
    parameters: [{name: node, label: instance, pattern: '[a-z0-9-]{1,20}'}]
    matchers: ['alertname="NodeDown"']
    mode: approve
    contract:
      verify: {command: ['%s'], sha256: %s, within: 10s, every: 1s}
    sandbox: {require: none, read: ['%s'], write: ['%s']}
`, cure, sum, look, lookSum, dir, dir))
	text, err := os.ReadFile(d.file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.file, []byte(strings.Replace(string(text), "slack: {", "slack: {signing_secret: canary-the-smtp-password, ", 1)), 0o600))
	d.start()
	d.slack.SetCallbacks(slacktest.Callbacks{Secret: "canary-the-smtp-password", Interactions: d.url + "/slack/interactions", Self: d.slackURL})

	id := d.open("NodeDown", "critical")
	run := d.theRun(id, tocsin.RemediationProposed)
	assert.Equal(t, "a", run.Target)
	d.eventually(func() bool {
		m := d.slack.Messages("#incidents")
		return len(m) == 1 && strings.Contains(string(m[0].Blocks), slack.ActionApprove)
	}, "Slack asks")
	assert.Contains(t, runCLI(t, 0, "remediate", "plan", id, "--server.url", d.url), cure)
	_, err = os.Stat(filepath.Join(dir, "node"))
	require.ErrorIs(t, err, os.ErrNotExist, "a plan does nothing")

	_, err = d.slack.Click("#incidents", d.slack.Messages("#incidents")[0].TS, "U0BO", slack.ActionApprove)
	require.NoError(t, err)
	run = d.theRun(id, tocsin.RemediationVerified, tocsin.RemediationNotFixed, tocsin.RemediationUnknown, tocsin.RemediationRefused)
	shown := runCLI(t, 0, "remediate", "show", run.ID, "--server.url", d.url)
	require.Equal(t, tocsin.RemediationVerified, run.State, shown)
	assert.Contains(t, shown, "restarting a with <secret>", "what it wrote is kept, without secrets")
	assert.Equal(t, "bo", run.Approvals[0].By)
	assert.Contains(t, d.timeline(id), "restart-node")
	d.eventually(func() bool { return strings.Contains(string(d.slack.Messages("#incidents")[0].Blocks), "verified") }, "Slack shows it")
	assert.NotContains(t, d.log.String(), "canary")
	d.eventually(func() bool {
		events, err := d.app.store.Log(t.Context(), 0, 10_000)
		return err == nil && slices.ContainsFunc(events, func(e tocsin.Event) bool {
			return e.Kind == tocsin.EventChange && e.Text == "remedy restart-node on a: verified"
		})
	}, "what has run is a change")
}

// A label that does not match is not run; what is stopped does not start.
func TestARemedyThatMayNotRun(t *testing.T) {
	t.Parallel()
	cure, sum := remedyScript(t, "cure", "#!/bin/sh\nexit 0\n")
	d := newDuty(t)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, fmt.Sprintf(`
remediations:
  - {name: cure, command: ['%s', '{{node}}'], sha256: %s, parameters: [{name: node, label: instance, pattern: '[a-z]'}], matchers: ['alertname="NodeDown"'], mode: auto, sandbox: {require: none}}
`, cure, sum))
	assert.Contains(t, runCLI(t, 0, "remediate", "stop", "--server.url", d.url), "All remedies are stopped.")
	d.fire(t, "NodeDown", "a", "critical")
	d.eventually(func() bool { return len(d.incidents(t)) == 1 }, "it opens")
	id := d.incidents(t)[0].ID
	assert.Contains(t, runCLI(t, 1, "remediate", "run", id, "cure", "--server.url", d.url), "stopped")
	runCLI(t, 0, "remediate", "resume", "--server.url", d.url)
	d.fire(t, "NodeDown", "b; rm -rf /", "critical")
	d.eventually(func() bool { return len(d.incidents(t)) == 2 }, "it opens")
	for _, inc := range d.incidents(t) {
		if inc.ID != id {
			assert.Contains(t, runCLI(t, 1, "remediate", "run", inc.ID, "cure", "--server.url", d.url), "instance")
		}
	}
}
