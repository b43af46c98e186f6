package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const (
	anaKey = "canaryanakey00000000000000000001"
	// dutyTeam is dutyPolicy with a team that gets mail.
	dutyTeam = `
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: platform, email_configs: [{to: team@example.com}]}]
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
`
)

// subjects are those of the mails to somebody, each with the first line of its
// text.
func (d *duty) subjects(to string) []string {
	var out []string
	for _, m := range d.smtp.Mailbox(to) {
		first, _, _ := strings.Cut(strings.TrimSpace(m.Text), "\n")
		out = append(out, m.Subject+" | "+first)
	}
	return out
}

func TestDutyEveryContactInTurn(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyTeam)
	id := d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")
	d.eventually(func() bool { return len(d.smtp.Mailbox("ana@example.com")) == 1 }, "ana gets mail in the end")
	pages, mails, dms := d.pagerduty.Incidents(anaKey), d.smtp.Mailbox("ana@example.com"), d.slack.Messages("U0ANA")
	require.Len(t, pages, 1)
	require.Len(t, dms, 1)
	opened := d.incident(id).OpenedAt
	assert.GreaterOrEqual(t, pages[0].CreatedAt.Sub(opened).Seconds(), 1.0, "PagerDuty waits a second")
	assert.GreaterOrEqual(t, mails[0].At.Sub(opened).Seconds(), 2.0, "mail waits two")
	assert.Contains(t, pages[0].Title, "NodeDown a")
	assert.Len(t, d.smtp.Mailbox("team@example.com"), 1)

	d.do(id, tocsin.ActNote, tocsin.Action{By: "ana", Text: "looking"})
	d.quiet()
	assert.Contains(t, runCLI(t, 0, "incidents", id, "--server.url", d.url), "ana: looking")
	assert.Len(t, d.smtp.Mailbox("ana@example.com"), 1, "a note is no reason for mail")
	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	d.quiet()
	d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	d.quiet()
	for _, to := range []string{"ana@example.com", "team@example.com"} {
		mails = d.smtp.Mailbox(to)
		require.Len(t, mails, 3, "%s: %v", to, d.subjects(to))
		assert.Contains(t, mails[1].Text, "Acknowledged by ana")
		assert.Contains(t, mails[2].Text, "Resolved by ana")
		for _, m := range mails[1:] {
			assert.Contains(t, m.Header.Get("References"), mails[0].ID, "in one thread")
		}
	}
	assert.Equal(t, pagerdutytest.Resolved, d.pagerduty.Incidents(anaKey)[0].Status)
	assert.Len(t, d.slack.Messages("U0ANA"), 1)
	assert.Empty(t, d.slack.Messages("U0CY"), "the last resort hears nothing")
	assert.Empty(t, d.pagerduty.Violations())
}

func TestDutyAnAnswerStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: anaKey, Status: http.StatusServiceUnavailable})
	d.with(dutyPeople, dutyPrimary, dutyTeam)
	id := d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")
	d.eventually(func() bool {
		call := d.incident(id).Delivery("pagerduty:@ana")
		return call != nil && call.Attempts > 0
	}, "PagerDuty is called in vain, and tried again later")
	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	inc := d.incident(id)
	assert.Empty(t, inc.Escalation.Calls, "the mail is not sent any more")
	d.pagerduty.Clear()
	d.quiet()
	assert.Contains(t, d.timeline(id), "not called any more, unless it was on its way already: pagerduty:@ana")
	// A second attempt that was under way just then may have reached PagerDuty.
	if !strings.Contains(d.timeline(id), "acknowledged in PagerDuty, in case it was triggered there") {
		assert.Contains(t, runCLI(t, 0, "incidents", id, "--server.url", d.url), "pagerduty:@ana  stopped: somebody answered")
	}
	assert.Empty(t, d.pagerduty.Incidents(anaKey))
	assert.Empty(t, d.smtp.Mailbox("ana@example.com"))
	assert.Contains(t, d.said("U0ANA"), "Acknowledged by ana")
	assert.Zero(t, inc.Deadline().Sub(inc.Escalation.RemindAt), "what is ahead is the reminder alone")

	// It comes back: the one who is stopped is called after all.
	d.do(id, tocsin.ActEscalate, tocsin.Action{By: "bo", Step: 1})
	d.eventually(func() bool { return len(d.pagerduty.Incidents(anaKey)) == 1 }, "PagerDuty calls ana")
	d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	d.quiet()
	assert.Equal(t, pagerdutytest.Resolved, d.pagerduty.Incidents(anaKey)[0].Status)
	assert.Empty(t, d.smtp.Mailbox("ana@example.com"), "the mail was still ahead")
}
