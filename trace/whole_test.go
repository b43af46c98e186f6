package trace_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/trace"
)

// says returns the reason of a stage that holds a text.
func says(t *testing.T, m *trace.Material, stage tocsin.ReasonStage, text string) tocsin.Reason {
	t.Helper()
	all := trace.Of(m, "").Reasons
	for _, r := range all {
		if r.Stage == stage && strings.Contains(r.Text, text) {
			return r
		}
	}
	require.Fail(t, "it does not say", "%s %q: %+v", stage, text, all)
	return tocsin.Reason{}
}

func called(users ...string) *tocsin.Incident {
	inc := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Severity: tocsin.Critical, Title: "NodeDown", Revision: 1, StateRevision: 1, OpenedAt: at, Receivers: []string{"page"}, Escalation: &tocsin.Escalation{High: true}}
	inc.Escalation.Runs = []tocsin.Run{{Policy: "platform", Plan: "p", Step: 1, Due: at.Add(time.Hour)}}
	for _, u := range users {
		inc.Escalation.Responders = append(inc.Escalation.Responders, tocsin.Responder{User: u, At: at, Calls: 1, Because: "on call on primary by layer weekly (step 1 of platform at tocsin.yml:9)"})
	}
	return inc
}

// Why no remedy ran is said in the words in which it was refused.
func TestWhyNoRemedyRan(t *testing.T) {
	t.Parallel()
	tests := map[tocsin.RemediationState]tocsin.ReasonEnd{
		tocsin.RemediationRefused: tocsin.EndHeld, tocsin.RemediationDenied: tocsin.EndHeld, tocsin.RemediationExpired: tocsin.EndHeld,
		tocsin.RemediationProposed: tocsin.EndWaiting, tocsin.RemediationStarted: tocsin.EndWaiting, tocsin.RemediationVerified: "",
		tocsin.RemediationNotFixed: tocsin.EndFailed, tocsin.RemediationRolledBack: tocsin.EndFailed, tocsin.RemediationUnknown: tocsin.EndFailed,
	}
	for state, end := range tests {
		for _, why := range []string{"not run: 3 of 3 runs in 1h are used up", "not run: it would act on 40 % of the fleet, and 10 % are allowed", "not run: the precheck says no"} {
			m := &trace.Material{Incident: called("ana"), Remedies: 2, Remediations: []tocsin.Remediation{{
				ID: "r1", Remedy: "restart", Target: "node-3", Mode: tocsin.ModeAuto, State: state, Why: why,
				Log: []tocsin.RemediationEntry{{At: at.Add(time.Minute), By: "bo", Text: "denied"}},
			}}}
			r := says(t, m, tocsin.StageRemedy, "remedy restart on node-3 (auto): "+strings.ReplaceAll(string(state), "_", " ")+": "+why)
			assert.Equal(t, end, r.End, state)
			assert.Equal(t, "bo", r.By)
			assert.Equal(t, at.Add(time.Minute), r.At)
		}
	}
	says(t, &trace.Material{Incident: called(), Remedies: 2}, tocsin.StageRemedy, "none of the remedies fits what fires (declared: 2)")
	quiet := called()
	quiet.Muted = "nights"
	says(t, &trace.Material{Incident: quiet, Remedies: 2}, tocsin.StageRemedy, "what is held back is not remedied either")
	for _, r := range trace.Of(&trace.Material{Incident: called()}, "").Reasons {
		assert.NotEqual(t, tocsin.StageRemedy, r.Stage, "where there are no remedies there is nothing to say")
	}
}

// The answer is for who asks.
func TestTheAnswerIsForWhoAsks(t *testing.T) {
	t.Parallel()
	inc := called("ana")
	inc.Deliveries = []tocsin.Delivery{{Target: "slack:@U0ANA", User: "ana", Ref: "D1/1", DeliveredAt: at}, {Target: "pagerduty:user/ana", User: "ana"}}
	m := &trace.Material{
		Incident: inc, People: map[string]trace.Person{"ana": {}, "bo": {}, "cy": {}}, Ahead: []tocsin.Ahead{{At: at.Add(time.Hour), Text: "bo by PagerDuty"}},
		Alerts: []tocsin.AlertRecord{{Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown"}}, State: tocsin.AlertState{Firing: true, ChangedAt: at}}},
	}
	assert.Equal(t, "You (ana) were called at 2026-11-22 05:00:00 UTC, by Slack: on call on primary by layer weekly (step 1 of platform at tocsin.yml:9). "+
		"NodeDown (critical) fires since 2026-11-22 05:00:00 UTC.", trace.Of(m, "ana").Answer)
	assert.Contains(t, trace.Of(m, "bo").Answer, "You (bo) were not called: your turn is at 2026-11-22 06:00:00 UTC, unless somebody answers before.")
	assert.Contains(t, trace.Of(m, "cy").Answer, "You (cy) were not called.")
	for _, nobody := range []string{"", "a token"} {
		assert.NotContains(t, trace.Of(m, nobody).Answer, "You", "who is nobody is told of the others")
		assert.Contains(t, trace.Of(m, nobody).Answer, "It called ana: on call on primary by layer weekly (step 1 of platform")
	}
}

// Why nobody was called is the first thing that is said.
func TestTheAnswerWhereNobodyWasCalled(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*trace.Material){
		"it is silenced by bo": func(m *trace.Material) {
			i := m.Incident
			i.Firing, i.Suppressed, i.Suppression = 1, 1, &tocsin.Suppression{Text: "silenced by bo"}
		},
		"it is muted by time interval nights": func(m *trace.Material) { m.Incident.Muted = "nights" },
		"it was merged into incident b2b2b2":  func(m *trace.Material) { m.Incident.MergedInto = "b2b2b2" },
		"it follows no escalation policy":     func(m *trace.Material) { m.Incident.Escalation = nil },
		"it is a notice, which pages nobody":  func(m *trace.Material) { m.Incident.Kind = tocsin.KindNotice },
		"bo answered before":                  func(m *trace.Material) { m.Incident.Acknowledge("bo", at) },
		"it was resolved before":              func(m *trace.Material) { m.Incident.Resolve("bo", "", at) },
		"step 1 of platform: ana is away": func(m *trace.Material) {
			m.Timeline = []tocsin.Event{{Kind: tocsin.EventNobody, Text: "step 1 of platform: ana is away"}}
		},
		"no step of its policy has called a person": func(*trace.Material) {},
		"step 1 of platform: ana has no contact for": func(m *trace.Material) {
			m.Timeline = []tocsin.Event{{Kind: tocsin.EventNobody, Text: "step 1 of platform: ana has no contact for high urgency"}}
		},
	}
	for want, change := range tests {
		m := &trace.Material{Incident: called()}
		change(m)
		assert.Contains(t, trace.Of(m, "ana").Answer, "It has called nobody: "+want)
	}
}

// The steps that were not taken are said, and what they wait for.
func TestStepsThatWereNotTaken(t *testing.T) {
	t.Parallel()
	inc := called("ana")
	m := &trace.Material{Incident: inc, Plans: []trace.Plan{{Name: "platform", Pos: "tocsin.yml:8", Steps: []trace.Step{
		{Pos: "tocsin.yml:9", To: "schedule primary"}, {Pos: "tocsin.yml:10", To: "bo", After: time.Hour}, {Pos: "tocsin.yml:11", To: "team platform", When: "for severity critical", After: 2 * time.Hour},
	}}}}
	assert.Equal(t, "tocsin.yml:8", says(t, m, tocsin.StagePolicy, "1 of its 3 steps taken").Where)
	r := says(t, m, tocsin.StagePolicy, "step 2 of platform, which tells bo, is not due before 2026-11-22 06:00:00 UTC")
	assert.Equal(t, tocsin.EndWaiting, r.End)
	assert.Equal(t, "tocsin.yml:10", r.Where)
	says(t, m, tocsin.StagePolicy, "step 3 of platform, which tells team platform (for severity critical), waits for 2h0m0s")
	inc.Acknowledge("bo", at)
	inc.Escalation.Runs[0].Due = time.Time{}
	r = says(t, m, tocsin.StagePolicy, "step 2 of platform, which tells bo, was not taken: bo has answered")
	assert.Equal(t, tocsin.EndHeld, r.End)
}

// A policy that was held back begins anew: what was taken before is not said to have
// been left out.
func TestAPolicyThatIsHeldBack(t *testing.T) {
	t.Parallel()
	inc := called("ana")
	inc.Muted, inc.Escalation.Runs[0].Step, inc.Escalation.Runs[0].Due = "nights", 0, time.Time{}
	m := &trace.Material{
		Incident: inc, Timeline: []tocsin.Event{{Kind: tocsin.EventEscalated, Text: "step 1 of platform: ana (on call on primary)"}},
		Plans: []trace.Plan{{Name: "platform", Steps: []trace.Step{{To: "schedule primary"}, {To: "bo"}}}},
	}
	assert.Equal(t, tocsin.EndHeld, says(t, m, tocsin.StagePolicy, "policy platform stands still: it is muted by time interval nights; when that is over it goes on with step 1").End)
	says(t, m, tocsin.StagePolicy, "step 2 of platform, which tells bo, was not taken: it is muted")
	for _, r := range trace.Of(m, "").Reasons {
		assert.NotContains(t, r.Text, "step 1 of platform, which")
	}
	assert.Contains(t, trace.Of(m, "ana").Answer, "It calls nobody now: it is muted by time interval nights.")
}

// What the configuration says now is marked, and what was decided is not.
func TestThenAndNow(t *testing.T) {
	t.Parallel()
	inc := called("ana")
	inc.Route, inc.Routes = "tocsin.yml:4", []string{"/a"}
	m := &trace.Material{Incident: inc, Loaded: at.Add(time.Hour), Rules: []trace.Rule{
		{Key: "/", Pos: "tocsin.yml:3", Receiver: "rest", Not: "left to the route below it at tocsin.yml:4"},
		{Key: "/a", Pos: "tocsin.yml:4", Matchers: `{a="b"}`, Receiver: "page", Takes: true},
	}}
	assert.False(t, says(t, m, tocsin.StageRoute, "took the first alert").Now)
	says(t, m, tocsin.StageRoute, "after it had opened: lines may have moved")
	m.Rules[1].Pos = "tocsin.yml:7"
	assert.True(t, says(t, m, tocsin.StageRoute, "the route that stood at tocsin.yml:4 then stands here now").Now)
	m.Rules[1].Key = "/b"
	says(t, m, tocsin.StageRoute, "the configuration is another one since")
	m.Rules[1].Key, m.Rules[1].Pos, m.Loaded = "/a", "tocsin.yml:4", at.Add(-time.Hour)
	for _, r := range trace.Of(m, "").Reasons {
		assert.NotContains(t, r.Text, "configuration")
	}
}

// Many routes are counted, not told one by one.
func TestManyRoutesAreCounted(t *testing.T) {
	t.Parallel()
	m := &trace.Material{Incident: called()}
	for n := range 500 {
		m.Rules = append(m.Rules, trace.Rule{Pos: fmt.Sprint("f:", n), Not: "x"})
	}
	says(t, m, tocsin.StageRoute, "and 480 more routes did not take it")
	assert.Less(t, len(trace.Of(m, "").Reasons), 60)
}

// Whatever there is, the trace is whole: in the order of the stages, each reason with a
// text, and it changes nothing that it was given.
func TestATraceIsAlwaysWhole(t *testing.T) {
	t.Parallel()
	order := map[tocsin.ReasonStage]int{}
	for n, s := range []tocsin.ReasonStage{tocsin.StagePayload, tocsin.StageIdentity, tocsin.StageGroup, tocsin.StageSuppression, tocsin.StageRoute, tocsin.StagePolicy, tocsin.StagePerson, tocsin.StageContact, tocsin.StageProvider, tocsin.StageRemedy} {
		order[s] = n
	}
	name := rapid.SampledFrom([]string{"", "ana", "bo", "<b>", "override x", "\x1b[31m"})
	yes := rapid.Bool()
	rapid.Check(t, func(t *rapid.T) {
		inc := called(name.Draw(t, "who"), name.Draw(t, "other"))
		inc.State = rapid.SampledFrom([]tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved}).Draw(t, "state")
		inc.Muted, inc.MergedInto = name.Draw(t, "muted"), name.Draw(t, "merged")
		inc.Escalation.Runs[0].Step = rapid.IntRange(0, 5).Draw(t, "step")
		inc.Escalation.High = yes.Draw(t, "high")
		if yes.Draw(t, "still") {
			inc.Escalation.Runs[0].Due = time.Time{}
		}
		if yes.Draw(t, "none") {
			inc.Escalation = nil
		}
		m := &trace.Material{
			Incident: inc, People: map[string]trace.Person{"ana": {High: []string{"slack:a", "x"}, Low: []string{"email:a"}, Quiet: name.Draw(t, "quiet")}},
			Turns:    []trace.Turn{{Schedule: "primary", At: at, Shifts: []tocsin.Shift{{User: name.Draw(t, "user"), Source: name.Draw(t, "source")}}, Layers: []trace.Layer{{Name: "l", User: name.Draw(t, "on"), Held: name.Draw(t, "held")}}}},
			Timeline: []tocsin.Event{{Kind: tocsin.EventNobody, Text: "x"}, {Kind: tocsin.EventCalled, Target: name.Draw(t, "target"), Text: "y"}},
			Ahead:    []tocsin.Ahead{{At: at, Text: "x"}},
		}
		if inc.Escalation != nil {
			m.Plans = []trace.Plan{{Name: "platform", Steps: make([]trace.Step, rapid.IntRange(0, 4).Draw(t, "steps"))}}
		}
		was := inc.Clone()
		why := trace.Of(m, name.Draw(t, "asks"))
		require.Equal(t, was, inc)
		require.NotEmpty(t, why.Answer)
		last := -1
		for _, r := range why.Reasons {
			n, known := order[r.Stage]
			require.True(t, known, r.Stage)
			require.GreaterOrEqual(t, n, last, "%s", r.Stage)
			last = n
			require.NotEmpty(t, r.Text)
		}
	})
}
