package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// dutyAlarm calls nobody but who is on call on primary; the alarm receiver is a
// channel.
const dutyAlarm = `
alarm: {receiver: alarm, after: 5m}
route: {receiver: page, group_by: [alertname, instance]}
receivers:
  - {name: page, escalation_policy: platform}
  - {name: alarm, slack_configs: [{channel: "#alarm"}]}
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{schedule: primary}]}
`

func TestDutyAGapAheadIsTold(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyAlarm)
	uncovered := func() float64 { return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) }
	until := func() time.Time {
		return time.Unix(int64(d.metric(`tocsin_oncall_covered_until_timestamp_seconds{policy="platform"}`)), 0)
	}
	d.eventually(func() bool { return uncovered() == 0 }, "all is covered")
	assert.WithinDuration(t, time.Now().Add(8*7*24*time.Hour), until(), time.Minute)

	from := time.Now().Add(72 * time.Hour).Truncate(time.Second)
	d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana", From: from, To: from.Add(2 * time.Hour)})
	d.eventually(func() bool { return uncovered() == 7200 }, "two hours are not covered")
	assert.WithinDuration(t, from, until(), 2*time.Second)
	title := "policy platform will reach nobody from " + from.UTC().Format("Mon 2 Jan 15:04 MST")
	d.hears("#alarm", title)
	d.hears("#alarm", "ana is away")
	inc := d.byTitle(title)
	assert.Equal(t, tocsin.Triggered, inc.State)
	assert.Empty(t, d.slack.Messages("U0CY"))

	d.override(tocsin.Override{Schedule: "primary", User: "bo", From: from, To: from.Add(2 * time.Hour)})
	d.eventually(func() bool { return d.incident(inc.ID).State == tocsin.Resolved }, "the gap is filled")
	d.hears("#alarm", "reaches somebody at every minute again")
	assert.Zero(t, uncovered())
	d.quiet()
	require.Len(t, d.slack.Messages("#alarm"), 1)
	t.Log(d.said("#alarm"))
	assert.Contains(t, d.said("U0BO"), "Your shifts on primary have changed")
}

const dutyHandoff = `
schedules:
  - {name: primary, channel: "#handoff", layers: [{name: weekly, users: [ana], rotation: {start: '2026-01-05'}}]}
`

func TestDutyShiftsAreToldOnce(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		name := map[bool]string{false: "while it runs", true: "across a restart"}[stopped]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDuty(t).with(dutyPeople, dutyHandoff, dutyPolicy)
			taken, open := d.open("DiskFull", "error"), d.open("NodeDown", "critical")
			d.do(taken, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
			out := runCLI(t, 0, "silence", "add", "alertname=Noise", "--for", "5h", "--comment", "known", "--by", "ana", "--server.url", d.url)
			require.Contains(t, out, "silence")
			d.eventually(func() bool { return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) == 0 }, "the watch has looked")

			from := time.Now().Add(1500 * time.Millisecond)
			d.override(tocsin.Override{Schedule: "primary", User: "bo", From: from, To: from.Add(2 * time.Hour)})
			d.hears("U0ANA", "Your shifts on primary have changed")
			d.hears("U0BO", "Your shifts on primary have changed")
			assert.NotContains(t, d.said("U0BO"), "You are on call")
			if stopped {
				d.stop()
				d.eventually(func() bool { return time.Now().After(from) }, "the shift begins meanwhile")
				d.start()
			}
			d.hears("U0BO", "You are on call on primary until")
			d.hears("U0ANA", "Your shift on primary is over")
			d.hears("#handoff", "bo takes over from ana on primary until")
			d.restart()
			d.eventually(func() bool { return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) == 0 }, "the watch has looked")
			d.quiet()

			count := func(ref, text string) int {
				n := 0
				for _, m := range d.slack.Messages(ref) {
					if strings.Contains(m.Text, text) {
						n++
					}
				}
				return n
			}
			assert.Equal(t, 1, count("U0BO", "You are on call"))
			assert.Equal(t, 1, count("U0BO", "have changed"))
			assert.Equal(t, 1, count("U0ANA", "is over"))
			assert.Equal(t, 1, count("U0ANA", "have changed"))
			require.Len(t, d.slack.Messages("#handoff"), 1)
			for _, ref := range []string{"#handoff", "U0BO"} {
				for _, want := range []string{open + " critical NodeDown a", taken + " error DiskFull a", "taken by ana", "alertname=Noise by ana until", "known"} {
					assert.Contains(t, d.said(ref), want, ref)
				}
			}
			assert.Empty(t, d.slack.Messages("U0CY"))
		})
	}
}

func TestDutyAHandoffIsAcknowledged(t *testing.T) {
	t.Parallel()
	for _, otherwise := range []string{"hand_over", "outgoing_stays"} {
		t.Run(otherwise, func(t *testing.T) {
			t.Parallel()
			d := newDuty(t).with(dutyPeople, strings.ReplaceAll(dutyHandoff, "channel:", "handoff: {acknowledge_within: 30m, otherwise: "+otherwise+"}, channel:"), dutyPolicy)
			d.eventually(func() bool { return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) == 0 }, "the watch has looked")
			from := time.Now().Add(1500 * time.Millisecond)
			d.override(tocsin.Override{Schedule: "primary", User: "bo", From: from, To: from.Add(2 * time.Hour)})
			ask := map[string]string{"hand_over": "You are on call on primary", "outgoing_stays": "Your shift on primary begins"}[otherwise]
			d.hears("U0BO", ask)
			d.eventually(func() bool { return time.Now().After(from) }, "the shift begins")
			assert.Equal(t, map[string]string{"hand_over": "bo", "outgoing_stays": "ana"}[otherwise], d.onCall(time.Time{}))
			notice := d.notice(ask)
			assert.Equal(t, tocsin.Triggered, notice.State)
			d.restart()
			_, command, found := strings.Cut(d.said("U0BO"), "Please acknowledge: tocsin ")
			require.True(t, found, "bo is told how")
			runCLI(t, 0, append(strings.Fields(command)[:2], "--by", "bo", "--server.url", d.url)...)
			assert.Equal(t, tocsin.Acknowledged, d.incident(notice.ID).State)
			d.reload() // has the watch look
			d.hears("#handoff", "bo has acknowledged the handoff")
			d.eventually(func() bool { return d.onCall(time.Time{}) == "bo" }, "bo is on call then")
			d.hears("#handoff", "bo takes over from ana")
			d.quiet()
			assert.Len(t, d.slack.Messages("#handoff"), 2)
		})
	}
}

// notice is the one whose title begins so.
func (d *duty) notice(title string) *tocsin.Incident {
	d.t.Helper()
	list, err := d.app.store.List(d.t.Context(), tocsin.Filter{Notices: true, Limit: 100})
	require.NoError(d.t, err)
	for _, inc := range list {
		if strings.HasPrefix(inc.Title, title) {
			return inc
		}
	}
	require.Fail(d.t, "no notice "+title)
	return nil
}
