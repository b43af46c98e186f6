package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
)

// TestDutyWords plays a night with everything in it, and logs what people read:
// go test -run TestDutyWords -v ./cmd/tocsin.
func TestDutyWords(t *testing.T) {
	t.Parallel()
	const night = `
alarm: {receiver: alarm, after: 5m}
route: {receiver: page, group_by: [alertname, instance]}
receivers:
  - {name: page, escalation_policy: platform, slack_configs: [{channel: "#incidents"}], email_configs: [{to: team@example.com}]}
  - {name: alarm, slack_configs: [{channel: "#alarm"}]}
escalation_policies:
  - name: platform
    repeat: 1
    steps:
      - {notify: [{schedule: primary}]}
      - {after: 15m, notify: [{user: bo}, {slack_channel: "#leads", user_group: S0LEADS}]}
    last_resort: [{user: cy}]
`
	schedule := strings.ReplaceAll(dutyHandoff, "channel:", "handoff: {acknowledge_within: 30m}, channel:")
	d := newDuty(t).with(dutyPeople, schedule, night)
	first := d.open("NodeDown", "critical")
	d.eventually(func() bool { return len(d.smtp.Mailbox("ana@example.com")) == 1 }, "ana gets mail")
	d.do(first, tocsin.ActEscalate, tocsin.Action{By: "ana", Text: "needs the vendor's number"})
	d.hears("#leads", "NodeDown a")
	for range 2 { // again from the first step, and through to the last resort
		d.quiet()
		d.do(first, tocsin.ActEscalate, tocsin.Action{By: "ana"})
	}
	d.do(first, tocsin.ActEscalate, tocsin.Action{By: "ana", Step: 3})
	d.hears("U0CY", "NodeDown a")
	d.do(first, tocsin.ActNote, tocsin.Action{By: "bo", Text: "switch 4 has no power"})
	d.do(first, tocsin.ActAcknowledge, tocsin.Action{By: "bo"})
	second := d.open("DiskFull", "error")
	d.do(second, tocsin.ActSnooze, tocsin.Action{By: "ana", Until: time.Now().Add(40 * time.Minute)})
	from := time.Now().Add(time.Second)
	d.override(tocsin.Override{Schedule: "primary", User: "bo", From: from, To: from.Add(2 * time.Hour), Comment: "dentist"})
	for _, user := range []string{"ana", "bo"} {
		d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: user, From: from.Add(48 * time.Hour), To: from.Add(50 * time.Hour)})
	}
	d.hears("#handoff", "bo takes over from ana")
	d.restart() // looks around at once
	d.hears("#alarm", "will reach nobody")
	d.do(first, tocsin.ActResolve, tocsin.Action{By: "bo", Force: true})
	d.quiet()

	var b strings.Builder
	for _, ref := range []string{"#incidents", "#leads", "#handoff", "#alarm", "U0ANA", "U0BO", "U0CY"} {
		fmt.Fprintf(&b, "\n=== Slack %s\n", ref)
		for _, m := range d.slack.Messages(ref) {
			fmt.Fprintf(&b, "[notification] %s\n  %s\n", m.Text, strings.ReplaceAll(plainText(string(m.See().HTML)), " / ", "\n  "))
			for _, r := range m.Replies {
				fmt.Fprintf(&b, "    > %s\n", strings.ReplaceAll(plainText(string(r.See().HTML)), " / ", "\n    > "))
			}
		}
	}
	for _, to := range []string{"ana@example.com", "team@example.com"} {
		for _, m := range d.smtp.Mailbox(to) {
			fmt.Fprintf(&b, "\n=== mail to %s: %s\n%s\n", to, m.Subject, m.Text)
		}
	}
	fmt.Fprintf(&b, "\n=== tocsin incidents %s\n%s", first, runCLI(t, 0, "incidents", first, "--server.url", d.url))
	fmt.Fprintf(&b, "\n=== tocsin incidents %s\n%s", second, runCLI(t, 0, "incidents", second, "--server.url", d.url))
	t.Log(b.String())
	for _, bad := range []string{"0001-01-01", "<nil>", "%!", "%+v"} {
		assert.NotContains(t, b.String(), bad)
	}
	assert.NotContains(t, d.said("U0CY"), "DiskFull")
}
