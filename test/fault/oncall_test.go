package fault

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// lateSteps call cy twice and ana twice within eight seconds.
var lateSteps = []string{
	"notify: [{schedule: primary}]",
	"after: 2s, notify: [{schedule: secondary}]",
	"after: 2s, notify: [{team: leads}]",
	"after: 2s, notify: [{slack_channel: '#war'}]",
	"after: 1s, notify: [{user: cy}]",
	"after: 1s, notify: [{schedule: primary}]",
}

const lateFor = 9 * time.Second

// TestSuspendedAcrossDeadlines stops the process while five steps fall due.
func TestSuspendedAcrossDeadlines(t *testing.T) {
	t.Parallel()
	w := newOnCall(t, lateSteps...)
	w.start()
	id := firstStep(t, w)
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGSTOP))
	<-time.After(lateFor)
	back := time.Now()
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGCONT))
	checkLate(t, w, id, back)
}

// TestDeadAcrossDeadlines has no process while five steps fall due.
func TestDeadAcrossDeadlines(t *testing.T) {
	t.Parallel()
	w := newOnCall(t, lateSteps...)
	w.start()
	id := firstStep(t, w)
	w.kill()
	<-time.After(lateFor)
	back := time.Now()
	w.start()
	checkLate(t, w, id, back)
}

// firstStep opens an incident and waits until the first person was called, and
// the program knows it.
func firstStep(t *testing.T, w *world) string {
	t.Helper()
	id := w.open("node-1.")
	require.Eventually(t, func() bool { return len(w.pages("ana", id)) == 1 && len(w.directly("ana", id)) == 1 }, 5*time.Second, 5*time.Millisecond)
	w.settled(time.Second)
	return id
}

// checkLate finds the late steps taken at once, in order, everybody called once
// for all of them, and nothing of it again.
func checkLate(t *testing.T, w *world, id string, back time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		i := w.incident(id)
		return i.has("step 6 of night")
	}, 10*time.Second, 10*time.Millisecond)
	i := w.incident(id)
	assert.Equal(t, []string{
		"step 1 of night: ana (on call on primary)",
		"step 2 of night: bo (on call on secondary)",
		"step 3 of night: cy, di",
		"step 4 of night: #war",
		"step 5 of night: cy",
		"step 6 of night: ana (on call on primary)",
	}, i.said(tocsin.EventEscalated))
	for n := range i.Timeline {
		if e := &i.Timeline[n]; e.Kind == tocsin.EventEscalated && n > 0 && e.Text[:6] != "step 1" {
			assert.True(t, e.At.After(back), "not at once: %s", e.Text)
			assert.WithinDuration(t, back, e.At, 5*time.Second, "not at once: %s", e.Text)
		}
	}
	assert.Eventually(t, func() bool { return len(w.pages("bo", id)) == 1 }, 10*time.Second, 20*time.Millisecond)
	w.settled(20 * time.Second)
	<-time.After(2500 * time.Millisecond) // what came twice would come now
	i = w.incident(id)
	assert.ElementsMatch(t, []string{
		"calling ana by Slack", "calling ana by PagerDuty",
		"calling bo by Slack", "calling bo by PagerDuty",
		"calling cy by Slack", "calling cy by PagerDuty",
		"calling di by Slack", "calling di by PagerDuty",
		"calling #war",
		"calling ana again (2) by Slack", "calling ana again (2) by PagerDuty",
	}, i.said(tocsin.EventCalled), "cy is called once for two late steps")
	for _, user := range []string{"ana", "bo", "cy", "di"} {
		assert.Len(t, w.pages(user, id), 1, user)
		assert.Len(t, w.directly(user, id), 1, user)
	}
	assert.Empty(t, w.pages("boss", id))
}

// TestAnswerSurvivesKillNine acknowledges while what is queued cannot be sent,
// and kills the program as soon as it has answered. The answer holds, and
// nothing of the queue is sent when the providers are back.
func TestAnswerSurvivesKillNine(t *testing.T) {
	t.Parallel()
	w := newOnCall(t, "notify: [{schedule: primary}]", "after: 1s, notify: [{team: leads}]")
	for _, user := range people {
		w.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: keyOf(user), Status: http.StatusServiceUnavailable})
		w.slack.Fault(slacktest.Fault{Channel: slackID(user), Status: http.StatusServiceUnavailable})
	}
	w.start()
	var ids []string
	for n := range 8 {
		id := w.open(fmt.Sprintf("node-%d.", n))
		require.Eventually(t, func() bool {
			i := w.incident(id)
			return i.Incident.Delivery("slack:@ana") != nil && i.Incident.Delivery("pagerduty:@ana") != nil
		}, 5*time.Second, 5*time.Millisecond)
		require.Equal(t, http.StatusOK, w.send(http.MethodPost, "/api/v1/incidents/"+id+"/acknowledge", map[string]string{"by": "ana"}, nil))
		w.kill()
		w.start()
		i := w.incident(id)
		require.Equal(t, tocsin.Acknowledged, i.Incident.State, "an acknowledgement that was answered is lost")
		require.True(t, i.has("not called any more"))
		ids = append(ids, id)
	}
	w.pagerduty.Clear()
	w.slack.ClearFaults()
	<-time.After(5 * time.Second) // the look for what may have been posted, and the steps behind
	w.settled(20 * time.Second)
	for _, id := range ids {
		i := w.incident(id)
		assert.Len(t, i.said(tocsin.EventAcknowledged), 1)
		assert.False(t, i.has("calling cy"), "a step was taken after the answer")
		for _, user := range people {
			assert.Empty(t, w.pages(user, id), "%s was paged after the answer", user)
			assert.Empty(t, w.directly(user, id), "%s was told after the answer", user)
		}
	}
}

// onCall is who is on call on a schedule now.
func (w *world) onCall(schedule string) string {
	w.t.Helper()
	var a struct{ Shifts []tocsin.Shift }
	require.Equal(w.t, http.StatusOK, w.send(http.MethodGet, "/api/v1/oncall?schedule="+schedule, nil, &a))
	require.Len(w.t, a.Shifts, 1)
	return a.Shifts[0].User
}

// change changes an override, kills the program as soon as it has answered, and
// starts it again.
func (w *world) change(path string, body any) tocsin.Override {
	w.t.Helper()
	var o tocsin.Override
	require.Equal(w.t, http.StatusOK, w.send(http.MethodPost, "/api/v1/overrides"+path, body, &o))
	w.kill()
	w.start()
	return o
}

// TestOverridesSurviveKillNine kills the program after each answer: what was
// answered holds, and pages go to whom it puts on call.
func TestOverridesSurviveKillNine(t *testing.T) {
	t.Parallel()
	w := newOnCall(t, "notify: [{schedule: primary}]", "after: 30s, notify: [{team: leads}]")
	w.start()
	by := map[string]string{"by": "bo"}
	for range 3 {
		to := time.Now().Add(time.Hour).Truncate(time.Second)
		o := w.change("", tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "bo", To: to, CreatedBy: "bo"})
		require.Equal(t, "bo", w.onCall("primary"), "an override that was answered is lost")
		w.change("/"+o.ID+"/cancel", by)
		require.Equal(t, "ana", w.onCall("primary"), "a cancelled override is back")

		swap := w.change("", tocsin.Override{Kind: tocsin.OverrideSwap, Schedule: "primary", User: "di", Replaces: "ana", To: to, CreatedBy: "ana"})
		require.Equal(t, "ana", w.onCall("primary"), "a swap holds that nobody has accepted")
		w.change("/"+swap.ID+"/accept", map[string]string{"by": "di"})
		require.Equal(t, "di", w.onCall("primary"), "a swap that was accepted is lost")
		w.change("/"+swap.ID+"/cancel", by)
	}
	off := w.change("", tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy", To: time.Now().Add(time.Hour), CreatedBy: "cy"})
	id := w.open("node-1.")
	require.Eventually(t, func() bool { return len(w.pages("cy", id)) == 1 }, 10*time.Second, 20*time.Millisecond, "the override %s does not page", off.ID)
	assert.Empty(t, w.pages("ana", id))
	var list struct{ Overrides []tocsin.Override }
	require.Equal(t, http.StatusOK, w.send(http.MethodGet, "/api/v1/overrides", nil, &list))
	assert.Len(t, list.Overrides, 7, "each once")
}

// TestRealAlertmanagerEscalates lets two real Alertmanagers send the same alert:
// one page a person, of each step, and resolved when they say so.
func TestRealAlertmanagerEscalates(t *testing.T) {
	w := newOnCall(t, "notify: [{schedule: primary}]", "after: 2s, notify: [{schedule: secondary}]", "after: 1h, notify: [{team: leads}]")
	w.start()
	urls := alertmanagers(t, w)
	a := firing("NodeDown", "node-1.", "critical")
	raise(t, urls, a)
	require.Eventually(t, func() bool { return len(w.pagerduty.Incidents(keyOf("bo"))) == 1 }, 30*time.Second, 20*time.Millisecond)
	assert.Len(t, w.pagerduty.Incidents(keyOf("ana")), 1)
	a.EndsAt = time.Now()
	raise(t, urls, a)
	require.Eventually(t, func() bool {
		first, second := w.pagerduty.Incidents(keyOf("ana")), w.pagerduty.Incidents(keyOf("bo"))
		return first[0].Status == "resolved" && second[0].Status == "resolved"
	}, 20*time.Second, 20*time.Millisecond)
	w.settled(10 * time.Second)
	id := w.incidentOf("node-1.")
	for user, pages := range map[string]int{"ana": 1, "bo": 1, "cy": 0, "di": 0, "boss": 0} {
		assert.Len(t, w.pages(user, id), pages, user)
		assert.Len(t, w.directly(user, id), pages, user)
	}
}
