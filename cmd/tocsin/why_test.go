package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// whyDown is the title of the incident that 001-first-firing.json opens.
const whyDown = "BitCell node node-us-east-1:9090 is down"

// deliver posts one of the real payloads.
func (d *duty) deliver(file string) {
	d.t.Helper()
	body, err := os.ReadFile("../../../shared/data/webhooks/" + file)
	if err != nil {
		d.t.Skip("the recorded payloads are not here: ", err)
	}
	code, said := d.post(d.t, "/webhook/alertmanager", body)
	require.Equal(d.t, http.StatusOK, code, said)
}

// TestWhyOnRealPayloads: whatever becomes of an incident, the trace says what did
// it, and by which rule.
func TestWhyOnRealPayloads(t *testing.T) {
	t.Parallel()
	const muted = `
route: {receiver: page, group_by: [alertname, region], routes: [{receiver: page, matchers: ['alertname="NodeDown"'], mute_time_intervals: [always]}]}
receivers: [{name: page, escalation_policy: platform}]
time_intervals: [{name: always, time_intervals: [{months: ['1:12']}]}]
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
`
	const inhibited = `
inhibit_rules: [{source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname="NodeDown"'], equal: [region]}]
`
	tests := map[string]struct {
		parts  []string
		before func(*duty)
		want   map[tocsin.ReasonStage]string
		end    tocsin.ReasonEnd
		at     tocsin.ReasonStage
	}{
		"sent": {
			parts: []string{dutyPeople, dutyPrimary, dutyPolicy}, end: tocsin.EndSent, at: tocsin.StageProvider,
			want: map[tocsin.ReasonStage]string{
				tocsin.StagePayload: "sent NodeDown of node-us-east-1:9090, firing since", tocsin.StageIdentity: "node-us-east-1:9090", tocsin.StageGroup: "alertname, instance",
				tocsin.StageSuppression: "no silence", tocsin.StageRoute: "for page", tocsin.StagePolicy: "step 1 of platform: ana",
				tocsin.StagePerson: "ana was on call on primary", tocsin.StageContact: "calling ana by Slack", tocsin.StageProvider: "for ana: the provider has it as",
			},
		},
		"silenced": {
			parts: []string{dutyPeople, dutyPrimary, dutyPolicy}, end: tocsin.EndHeld, at: tocsin.StageSuppression,
			before: func(d *duty) {
				s := tocsin.Silence{Matchers: []string{`alertname="NodeDown"`}, StartsAt: time.Now().Add(-time.Minute), EndsAt: time.Now().Add(time.Hour), CreatedBy: "bo", Comment: "moving it"}
				require.Equal(d.t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/silences", s, nil))
			},
			want: map[tocsin.ReasonStage]string{tocsin.StageSuppression: "by bo (silence "},
		},
		"inhibited": {
			parts: []string{dutyPeople, dutyPrimary, dutyPolicy, inhibited}, end: tocsin.EndHeld, at: tocsin.StageSuppression,
			before: func(d *duty) { d.deliver("007-region-down.json") },
			want:   map[tocsin.ReasonStage]string{tocsin.StageSuppression: "inhibited: NodeDown is"},
		},
		"muted": {
			parts: []string{dutyPeople, dutyPrimary, muted}, end: tocsin.EndHeld, at: tocsin.StageSuppression,
			want: map[tocsin.ReasonStage]string{tocsin.StageSuppression: "by time interval always", tocsin.StageRoute: `alertname="NodeDown"`},
		},
		"nobody on call": {
			parts: []string{dutyPeople, dutyPrimary, dutyPolicy}, end: tocsin.EndFailed, at: tocsin.StagePolicy,
			before: func(d *duty) {
				d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana", From: time.Now().Add(-time.Minute), To: time.Now().Add(time.Hour), CreatedBy: "ana"})
			},
			want: map[tocsin.ReasonStage]string{tocsin.StagePolicy: "step 1 of platform: "},
		},
		"failed at the provider": {
			parts: []string{dutyPeople, dutyPrimary, dutyPolicy}, end: tocsin.EndFailed, at: tocsin.StageProvider,
			before: func(d *duty) {
				d.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: anaKey, Status: http.StatusBadRequest})
			},
			want: map[tocsin.ReasonStage]string{tocsin.StageProvider: "for ana: it failed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDuty(t).with(tt.parts...)
			if tt.before != nil {
				tt.before(d)
			}
			d.deliver("001-first-firing.json")
			id := d.byTitle(whyDown).ID
			var got []tocsin.Reason
			fits := func() bool {
				got = d.why(id, "").Reasons
				return whySays(got, tt.at, tt.end, tt.want[tt.at])
			}
			require.Eventually(t, fits, 20*time.Second, 20*time.Millisecond, "%s %s %q", tt.at, tt.end, tt.want[tt.at])
			for stage, text := range tt.want {
				assert.True(t, whySays(got, stage, "*", text), "%s says %q: %+v", stage, text, got)
			}
			for _, r := range got {
				assert.NotContains(t, r.Text+r.Where, anaKey)
				if r.Stage == tocsin.StageRoute && r.Where != "" {
					assert.Contains(t, r.Where, "tocsin.yml:", "a rule is told with its line")
				}
				if tt.at == tocsin.StageSuppression && r.Stage == tocsin.StageProvider {
					assert.Equal(t, tocsin.EndHeld, r.End, "what is held back reaches no provider: %+v", r)
				}
			}
			said := runCLI(t, 0, "why", id, "--server.url", d.url)
			assert.Contains(t, strings.Join(strings.Fields(said), " "), tt.want[tt.at])
		})
	}
}

// whySays reports whether a stage has a reason of that end ("*": any) and text.
func whySays(reasons []tocsin.Reason, stage tocsin.ReasonStage, end tocsin.ReasonEnd, text string) bool {
	for _, r := range reasons {
		if r.Stage == stage && (end == "*" || r.End == end) && strings.Contains(r.Text, text) {
			return true
		}
	}
	return false
}
