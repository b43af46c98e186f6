package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// why is the trace of an incident for somebody who may see everything.
func (d *duty) why(id, who string) *tocsin.Why {
	d.t.Helper()
	why, err := d.app.why(d.t.Context(), &tocsin.Principal{Name: who, Role: tocsin.RoleAdmin}, id)
	require.NoError(d.t, err)
	return why
}

// whyUntil waits until the trace says something in a stage, and returns what says it.
func (d *duty) whyUntil(id string, stage tocsin.ReasonStage, end tocsin.ReasonEnd, text string) tocsin.Reason {
	d.t.Helper()
	var found tocsin.Reason
	var last *tocsin.Why
	is := func() bool {
		last = d.why(id, "")
		for _, r := range last.Reasons {
			if r.Stage == stage && r.End == end && strings.Contains(r.Text, text) {
				found = r
				return true
			}
		}
		return false
	}
	if !assert.Eventually(d.t, is, 20*time.Second, 20*time.Millisecond) {
		require.Fail(d.t, "it does not say", "%s %s %q in:\n%s", stage, end, text, whyAll(last))
	}
	return found
}

// whyAll is a trace as the terminal shows it.
func whyAll(why *tocsin.Why) string {
	var b strings.Builder
	printWhy(&b, why)
	return b.String()
}

// TestWhySilenced: which silence, by whom, with its comment, until when, and what it
// hides.
func TestWhySilenced(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	s := tocsin.Silence{Matchers: []string{`alertname="NodeDown"`, `region=~"us-.*"`}, StartsAt: time.Now().Add(-time.Minute), EndsAt: time.Now().Add(time.Hour), CreatedBy: "bo", Comment: "moving it"}
	var made tocsin.Silence
	require.Equal(t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/silences", s, &made))
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	r := d.whyUntil(id, tocsin.StageSuppression, tocsin.EndHeld, `; the silence hides alertname="NodeDown", region=~"us-.*", from`)
	assert.Equal(t, made.ID, r.Where)
	assert.Equal(t, "bo", r.By)
	assert.Contains(t, r.Text, "moving it")
	assert.Contains(t, r.Text, "silenced until "+s.EndsAt.UTC().Format("2006-01-02 15:04"))
	why := d.why(id, "ana")
	assert.Contains(t, why.Answer, "It has called nobody: it is silenced until", "what a person asks first is answered first")
	assert.Contains(t, why.Answer, "You (ana) were not called.")
	d.whyUntil(id, tocsin.StagePolicy, tocsin.EndHeld, "policy platform was not begun: it is silenced")
	d.whyUntil(id, tocsin.StageProvider, tocsin.EndHeld, "nothing was sent: it is silenced")
}

// TestWhyInhibited: which rule at file:line, and by which alert.
func TestWhyInhibited(t *testing.T) {
	t.Parallel()
	const inhibit = `
inhibit_rules: [{name: region, source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname="NodeDown"'], equal: [region]}]
`
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy, inhibit)
	d.deliver("007-region-down.json")
	d.deliver("001-first-firing.json")
	r := d.whyUntil(d.byTitle(whyDown).ID, tocsin.StageSuppression, tocsin.EndHeld, "as long as RegionDown")
	assert.Regexp(t, `^region at tocsin\.yml:\d+$`, r.Where)
	assert.Contains(t, r.Text, `region="us-east"`)
}

// TestWhyMuted: which interval, where it stands.
func TestWhyMuted(t *testing.T) {
	t.Parallel()
	const muted = `
route: {receiver: page, group_by: [alertname], routes: [{receiver: page, matchers: ['alertname="NodeDown"'], mute_time_intervals: [always]}]}
receivers: [{name: page, escalation_policy: platform}]
time_intervals:
  - {name: always, time_intervals: [{months: ['1:12']}]}
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
`
	d := newDuty(t).with(dutyPeople, dutyPrimary, muted)
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	r := d.whyUntil(id, tocsin.StageSuppression, tocsin.EndHeld, "by time interval always")
	assert.Equal(t, d.place("{name: always"), r.Where)
	d.whyUntil(id, tocsin.StageRoute, tocsin.EndHeld, "receiver page is not told by this route now: time interval always mutes it")
	assert.Contains(t, d.why(id, "").Answer, "It has called nobody: it is muted by time interval always.")
}

// place is the file:line of what a line of the configuration holds.
func (d *duty) place(text string) string {
	d.t.Helper()
	body, err := os.ReadFile(d.file)
	require.NoError(d.t, err)
	before, _, found := strings.Cut(string(body), text)
	require.True(d.t, found, text)
	return fmt.Sprintf("tocsin.yml:%d", strings.Count(before, "\n")+1)
}

// TestWhyRoutes: which routes were tried, and why they did not take it.
func TestWhyRoutes(t *testing.T) {
	t.Parallel()
	const routes = `
route:
  receiver: rest
  routes:
    - {receiver: eu, matchers: ['region="eu-central"']}
    - {receiver: copy, matchers: ['severity="critical"'], continue: true}
    - {receiver: page, matchers: ['alertname="NodeDown"']}
    - {receiver: late, matchers: ['zone="us-east-1"']}
receivers: [{name: rest}, {name: eu}, {name: copy}, {name: late}, {name: page, escalation_policy: platform}]
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
`
	d := newDuty(t).with(dutyPeople, dutyPrimary, routes)
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	d.whyUntil(id, tocsin.StageRoute, "", "took the first alert, for copy, page")
	r := d.whyUntil(id, tocsin.StageRoute, "", `region is "us-east", not region="eu-central"`)
	assert.Equal(t, d.place("{receiver: eu,"), r.Where)
	assert.True(t, r.Now, "the configuration of now says it")
	r = d.whyUntil(id, tocsin.StageRoute, "", "it says continue: true")
	assert.Equal(t, d.place("{receiver: copy,"), r.Where)
	r = d.whyUntil(id, tocsin.StageRoute, "", "not tried: the route at "+d.place("{receiver: page,")+" took it, and does not say continue: true")
	assert.Equal(t, d.place("{receiver: late,"), r.Where)
	d.whyUntil(id, tocsin.StageRoute, "", "the route for everything, for receiver rest, did not take it: left to the route below it")
}

// TestWhyAfterAReload: what was decided stands; where the file says it otherwise now is
// said.
func TestWhyAfterAReload(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	then := d.place("route: {receiver: page")
	d.whyUntil(id, tocsin.StagePerson, "", "ana was called once: on call on primary by layer weekly (step 1 of platform at ")
	for _, r := range d.why(id, "").Reasons {
		assert.NotContains(t, r.Text, "configuration was read", "nothing has changed since")
	}
	other := strings.ReplaceAll(dutyPrimary, "[ana]", "[bo]")
	d.reload("# a line\n# and another\n", dutyPeople, other, dutyPolicy)
	d.whyUntil(id, tocsin.StageRoute, "", "the route that stood at "+then+" then stands here now")
	why := d.why(id, "ana")
	assert.Contains(t, why.Answer, "on call on primary by layer weekly (step 1 of platform")
	for _, r := range why.Reasons {
		if r.Stage == tocsin.StagePerson && strings.Contains(r.Text, "bo was on call") {
			assert.True(t, r.Now, "what a schedule says is what it says now: %+v", r)
		}
		if r.Stage == tocsin.StagePerson && strings.Contains(r.Text, "ana was called") {
			assert.False(t, r.Now)
		}
		if r.Text == "took the first alert, for page" {
			assert.Equal(t, then, r.Where, "the line as it was")
		}
	}
	d.reload(dutyPeople, other, strings.ReplaceAll(dutyPolicy, "route: {receiver: page,", "route: {receiver: page, routes: [{matchers: ['alertname=\"NodeDown\"'], receiver: page}],"))
	d.whyUntil(id, tocsin.StageRoute, "", "the configuration is another one since")
}

// TestWhyWhoseTurn: the override in force and by whom, the layer that is restricted,
// and the step that is not due.
func TestWhyWhoseTurn(t *testing.T) {
	t.Parallel()
	today := int(time.Now().UTC().Weekday())
	days := []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	schedules := `
schedules:
  - name: primary
    layers:
      - {name: weekly, users: [ana], rotation: {start: '2026-01-05'}}
      - {name: other-days, priority: 5, users: [cy], rotation: {start: '2026-01-05'}, restrictions: [{weekdays: [` + days[(today+3)%7] + `]}]}
`
	policy := strings.ReplaceAll(dutyPolicy, "steps: [{notify: [{schedule: primary}]}]", "steps: [{notify: [{schedule: primary}]}, {notify: [{user: cy}], after: 40m}, {notify: [{user: bo}], after: 1h}]")
	d := newDuty(t).with(dutyPeople, schedules, policy)
	made := d.override(tocsin.Override{Schedule: "primary", User: "bo", Replaces: "ana", From: time.Now().Add(-time.Minute), To: time.Now().Add(time.Hour), Comment: "dentist", CreatedBy: "ana"})
	d.deliver("001-first-firing.json")
	id := d.byTitle(whyDown).ID
	d.whyUntil(id, tocsin.StagePerson, "", "bo was called once: on call on primary by override "+made.ID+" (step 1 of platform at ")
	r := d.whyUntil(id, tocsin.StagePerson, "", "override "+made.ID+", in the place of ana; made by ana at ")
	assert.Contains(t, r.Text, ": dentist")
	assert.Equal(t, "ana", r.By)
	r = d.whyUntil(id, tocsin.StagePerson, tocsin.EndHeld, "layer other-days of primary did not hold then: it is restricted")
	assert.Equal(t, d.place("{name: other-days"), r.Where)
	d.whyUntil(id, tocsin.StagePerson, tocsin.EndHeld, "ana stood on layer weekly of primary, but a higher layer, or an override, came before it")
	d.whyUntil(id, tocsin.StagePolicy, tocsin.EndWaiting, "step 2 of platform, which tells cy, is not due before ")
	d.whyUntil(id, tocsin.StagePolicy, tocsin.EndWaiting, "step 3 of platform, which tells bo, waits for 1h0m0s behind the one before it")
	assert.Contains(t, d.why(id, "cy").Answer, "You (cy) were not called: your turn is at ")
	assert.Contains(t, d.why(id, "ana").Answer, "It called bo: ")
	assert.Contains(t, d.why(id, "ana").Answer, "You (ana) were not called.")

	d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "bo"})
	d.whyUntil(id, tocsin.StagePolicy, tocsin.EndHeld, "step 2 of platform, which tells cy, was not taken: ")
	d.whyUntil(id, tocsin.StagePolicy, "", "acknowledged by ")
}
