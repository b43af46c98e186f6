package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// TestWhyContacts: the contact that was not used since somebody answered, the one that
// is for another urgency, and the quiet hours that hold.
func TestWhyContacts(t *testing.T) {
	t.Parallel()
	hour := func(by time.Duration) string { return time.Now().UTC().Add(by).Format("15:04") }
	people := `
users:
  - {name: ana, slack: U0ANA, email: ana@example.com, quiet_hours: [{start_time: '` + hour(-time.Hour) + `', end_time: '` + hour(2*time.Hour) + `'}],
     contacts: [{by: email}, {by: slack, after: 1h}], low_urgency_contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, contacts: [{by: slack}]}
`
	d := newDuty(t).with(people, dutyPrimary, dutyPolicy)
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	d.whyUntil(id, tocsin.StageContact, tocsin.EndWaiting, "ana is called by Slack at ")
	d.whyUntil(id, tocsin.StageProvider, tocsin.EndSent, "for ana: the provider has it")
	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	d.whyUntil(id, tocsin.StageContact, tocsin.EndHeld, "ana was not called by Slack: ")

	d.deliver("009-warning-mempool.json")
	low := ""
	for _, inc := range d.incidents(t) {
		if inc.Severity == tocsin.Warning {
			low = inc.ID
		}
	}
	d.whyUntil(low, tocsin.StageContact, tocsin.EndHeld, "ana is not woken: severity warning is of low urgency, and the quiet hours end at ")
	d.whyUntil(low, tocsin.StageContact, tocsin.EndHeld, "ana is not called by email: it is for high urgency, and this is of low (severity warning)")
	d.whyUntil(low, tocsin.StageContact, tocsin.EndWaiting, "ana is called by Slack at ")
}

// TestWhyProviders: what was tried again says so when it has gone through, and what
// failed says it in the provider's own words.
func TestWhyProviders(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	d.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: anaKey, Status: http.StatusInternalServerError, Times: 1})
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	r := d.whyUntil(id, tocsin.StageProvider, tocsin.EndSent, "after it had failed: ")
	assert.Equal(t, "ana", r.User)
	assert.Contains(t, r.Text, "500")
	assert.NotContains(t, whyAll(d.why(id, "")), anaKey)
}

// TestWhyMergedAndRepeated: what pages for another says so on both, and what is told
// again opens nothing.
func TestWhyMergedAndRepeated(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	d.deliver("007-region-down.json")
	d.deliver("001-first-firing.json")
	d.deliver("001-first-firing.json")
	id, region := d.byTitle(whyDown).ID, ""
	for _, inc := range d.incidents(t) {
		if inc.ID != id {
			region = inc.ID
		}
	}
	d.whyUntil(id, tocsin.StagePayload, "", "told again once, last at ")
	d.do(id, tocsin.ActMerge, tocsin.Action{By: "ana", Into: region})
	d.whyUntil(id, tocsin.StageSuppression, tocsin.EndHeld, "merged: incident "+region+" pages for it")
	d.whyUntil(region, tocsin.StageSuppression, "", id+" ("+whyDown+") was merged into this one")
	d.deliver("017-truncated.json")
	d.deliver("019-truncated-repeat.json")
	for _, inc := range d.incidents(t) {
		if strings.Contains(inc.Title, "node-1:9090") || inc.Truncated > 0 {
			d.whyUntil(inc.ID, tocsin.StagePayload, tocsin.EndHeld, "alerts are not known here: the sender left them out")
			return
		}
	}
	require.Fail(t, "no incident of the truncated payload")
}

// TestWhyOfEveryPayload: all that was recorded, one after the other: each incident has
// an answer, every stage, lines that fit, and nothing that a terminal would obey.
func TestWhyOfEveryPayload(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/data/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the recorded payloads are not here")
	}
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	for _, file := range files {
		d.deliver(filepath.Base(file))
	}
	list := d.incidents(t)
	require.NotEmpty(t, list)
	for _, inc := range list {
		why := d.why(inc.ID, "ana")
		assert.NotEmpty(t, why.Answer)
		stages := map[tocsin.ReasonStage]bool{}
		for _, r := range why.Reasons {
			stages[r.Stage] = true
			assert.NotEmpty(t, r.Text)
		}
		for _, s := range []tocsin.ReasonStage{tocsin.StagePayload, tocsin.StageIdentity, tocsin.StageGroup, tocsin.StageSuppression, tocsin.StageRoute, tocsin.StagePolicy, tocsin.StagePerson, tocsin.StageProvider} {
			assert.True(t, stages[s], "%s has no %s", inc.Title, s)
		}
		said := runCLI(t, 0, "why", inc.ID, "--server.url", d.url)
		for _, line := range strings.Split(said, "\n") {
			assert.NotContains(t, line, "\x1b")
			if utf8.RuneCountInString(line) > whyWidth {
				assert.Len(t, strings.Fields(strings.TrimPrefix(line, "  - ")), 1, "only a word that is longer than a line is: %q", line)
			}
		}
	}
}

// TestWhyNoRemedyRan: the remedy that fits and was refused, in the words of its
// contract, and that none fits.
func TestWhyNoRemedyRan(t *testing.T) {
	t.Parallel()
	cure, sum := remedyScript(t, "cure", "#!/bin/sh\nexit 0\n")
	no, noSum := remedyScript(t, "no", "#!/bin/sh\necho the database is being backed up\nexit 1\n")
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy, fmt.Sprintf(`
remediations:
  - name: cure
    command: ['%s', '{{node}}']
    sha256: %s
    parameters: [{name: node, label: instance, pattern: '[a-z0-9:-]{1,40}'}]
    matchers: ['alertname="NodeDown"']
    mode: auto
    contract:
      precheck: {command: ['%s'], sha256: %s}
      verify: {command: ['%s'], sha256: %s, within: 10s, every: 1s}
      budget: {per_target: {runs: 1, in: 1h}, fleet: {runs: 1, in: 1h}}
    sandbox: {require: none}
`, cure, sum, no, noSum, cure, sum))
	d.deliver("001-first-firing.json")
	r := d.whyUntil(d.byTitle(whyDown).ID, tocsin.StageRemedy, tocsin.EndHeld, "remedy cure on node-us-east-1:9090 (auto): refused: ")
	assert.Contains(t, r.Text, "precheck")
	d.deliver("007-region-down.json")
	for _, inc := range d.incidents(t) {
		if strings.Contains(strings.ToLower(inc.Title), "region") && inc.Title != whyDown {
			d.whyUntil(inc.ID, tocsin.StageRemedy, tocsin.EndHeld, "none of the remedies fits what fires (declared: 1)")
		}
	}
}

// TestWhyTellsNoOtherTeamsAlerts: what inhibits it is told only to who may look at it.
func TestWhyTellsNoOtherTeamsAlerts(t *testing.T) {
	t.Parallel()
	const teams = `
route: {receiver: page, group_by: [alertname, instance], routes: [{receiver: net, matchers: ['alertname="RegionDown"']}]}
receivers: [{name: page, escalation_policy: platform}, {name: net, escalation_policy: platform}]
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
inhibit_rules: [{source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname="NodeDown"'], equal: [region]}]
`
	d := newDuty(t).with(dutyPeople, dutyPrimary, teams)
	d.deliver("007-region-down.json")
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	d.whyUntil(id, tocsin.StageSuppression, tocsin.EndHeld, "as long as RegionDown")
	bo := &tocsin.Principal{Name: "bo", Role: tocsin.RoleNone, Receivers: map[string]tocsin.Role{"page": tocsin.RoleViewer}}
	why, err := d.app.why(t.Context(), bo, id)
	require.NoError(t, err)
	assert.True(t, whySays(why.Reasons, tocsin.StageSuppression, tocsin.EndHeld, "inhibited: NodeDown"))
	assert.NotContains(t, whyAll(why), "as long as RegionDown", "it is another team's")
	nobody := &tocsin.Principal{Name: "cy", Role: tocsin.RoleNone}
	_, err = d.app.why(t.Context(), nobody, id)
	require.ErrorIs(t, err, tocsin.ErrNotFound)
}

// TestWhyObeysNobody: what an alert, or a person, wrote does not reach the terminal.
func TestWhyObeysNobody(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[31mred\x07\r\n\u202e<script>"
	said := whyAll(&tocsin.Why{Answer: evil, Reasons: []tocsin.Reason{{Stage: evil, Text: evil, By: "b" + evil, Where: evil}}})
	for _, bad := range []string{"\x1b", "\x07", "\r", "\u202e"} {
		assert.NotContains(t, said, bad)
	}
}

// TestWhyStopped: what was queued when somebody answered is not sent, and says so.
func TestWhyStopped(t *testing.T) {
	t.Parallel()
	people := strings.ReplaceAll(dutyPeople, "contacts: [{by: slack}, {by: pagerduty, after: 1s}, {by: email, after: 2s}]", "contacts: [{by: pagerduty}, {by: slack, after: 1h}]")
	d := newDuty(t).with(people, dutyPrimary, dutyPolicy)
	d.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: anaKey, Status: http.StatusServiceUnavailable})
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	d.whyUntil(id, tocsin.StageProvider, tocsin.EndWaiting, "for ana: it has failed, and is tried again: ")
	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "bo"})
	d.whyUntil(id, tocsin.StageProvider, tocsin.EndHeld, "for ana: stopped before it was sent: somebody had answered")
	d.whyUntil(id, tocsin.StageContact, tocsin.EndHeld, "ana was not called by Slack: ")
}
