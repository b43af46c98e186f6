package callback_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// boViews: bo only looks, everybody else may everything.
func boViews(name string) tocsin.Principal {
	if name == "bo" {
		return tocsin.Principal{Name: name, Role: tocsin.RoleViewer}
	}
	return tocsin.Principal{Name: name, Role: tocsin.RoleAdmin}
}

// boOf has bo in a team that is told by a receiver, and in nothing else.
func boOf(receiver string, role tocsin.Role) option {
	return func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = func(name string) tocsin.Principal {
			if name != "bo" {
				return boViews(name)
			}
			theirs := map[string]tocsin.Role{receiver: role}
			return tocsin.Principal{Name: name, Role: tocsin.RoleNone, Teams: theirs, Receivers: theirs, Schedules: theirs}
		}
	}
}

// everyButton are the clicks on an incident that is triggered.
var everyButton = [][]string{
	{slack.ActionAcknowledge},
	{slack.ActionResolveFiring},
	{slack.ActionEscalate},
	{slack.ActionSnooze, "1h"},
	{slack.ActionSilence, "1h"},
	{slack.ActionMore, slack.ChoiceNote},
	{slack.ActionMore, slack.ChoicePerson},
}

// Who sees a message in a channel, and is in no team that is told, changes nothing
// and learns nothing.
func TestAnotherTeamsIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, boOf("database", tocsin.RoleManager))
	w.open("k7f3q9", func(i *tocsin.Incident) { i.Title = "the customers' passwords are out" })
	for _, c := range append(everyButton, []string{slack.ActionMore, slack.ChoiceWhy}) {
		before := len(w.slack.Ephemerals(bo))
		a := w.click("k7f3q9", bo, c[0], c[1:]...)
		assert.Equal(t, http.StatusOK, a.Status, c)
		require.Eventually(t, func() bool { return len(w.slack.Ephemerals(bo)) > before }, 5*time.Second, 2*time.Millisecond, "%v", c)
		said := w.told(bo)
		assert.Contains(t, said, "Nothing was done: bo has no right to ", c)
		assert.Contains(t, said, "not told to a team in which you have it", c)
		assert.NotContains(t, said, "passwords", c)
		assert.NotContains(t, said, "platform", c)
	}
	_, opened := w.slack.View(bo)
	assert.False(t, opened)
	assert.Empty(t, w.desk.actions())
	assert.Empty(t, w.desk.silences)

	w.click("k7f3q9", ana, slack.ActionAcknowledge)
	require.Len(t, w.desk.actions(), 1, "others go on")
}

// Who is in a team that is told does what their role in it allows.
func TestOnesOwnTeamsIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t, boOf("platform", tocsin.RoleResponder))
	w.open("k7f3q9")
	w.click("k7f3q9", bo, slack.ActionEscalate)
	w.click("k7f3q9", bo, slack.ActionAcknowledge)
	require.Len(t, w.desk.actions(), 2)
	w.click("k7f3q9", bo, slack.ActionSilence, "1h")
	assert.Contains(t, w.told(bo), "a silence can hide other teams' alerts")
	_, opened := w.slack.View(bo)
	assert.False(t, opened)

	w = newWorld(t, boOf("platform", tocsin.RoleViewer))
	w.open("k7f3q9")
	w.click("k7f3q9", bo, slack.ActionAcknowledge)
	assert.Contains(t, w.told(bo), "no right to respond")
	before := len(w.slack.Ephemerals(bo))
	w.click("k7f3q9", bo, slack.ActionMore, slack.ChoiceWhy)
	require.Eventually(t, func() bool { return len(w.slack.Ephemerals(bo)) > before }, 5*time.Second, 2*time.Millisecond)
	assert.NotContains(t, w.told(bo), "no right", "and may look")
	assert.Empty(t, w.desk.actions())
}

// A team's silences are made by a click, too, where the incident is what they hide.
func TestSilencesOfATeam(t *testing.T) {
	t.Parallel()
	role := tocsin.RoleResponder
	var scopes [][]string
	w := newWorld(t, boOf("platform", tocsin.RoleResponder), func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		person := d.Person
		d.Person = func(name string) tocsin.Principal {
			who := person(name)
			for _, matchers := range scopes {
				who.Silences = append(who.Silences, tocsin.SilenceScope{Matchers: matchers, Role: role})
			}
			return who
		}
	})
	w.open("k7f3q9")
	w.open("m2m2m2", func(i *tocsin.Incident) { i.Receivers = []string{"database"} })
	choices := []string{"1h", "4h", "24h", "168h"} // the same one twice is one click
	click := func(id string) {
		w.click(id, bo, slack.ActionSilence, choices[0])
		choices = choices[1:]
	}
	for n, c := range []struct {
		scopes [][]string
		want   []string
	}{
		{[][]string{{`region="eu"`}}, []string{`job="no\"de"`, `region="eu"`}},
		{[][]string{{`team="web"`}, {`alertname=~"Node.*"`, `job="no\"de"`}}, []string{`alertname=~"Node.*"`, `job="no\"de"`, `region="eu"`}},
	} {
		scopes = c.scopes
		click("k7f3q9")
		v := w.window(bo)
		assert.Contains(t, string(v.Blocks), "*2* firing alerts of 1 incident.", "of what is theirs")
		_, err := w.slack.Submit(bo, map[string]string{"text": "moving racks"})
		require.NoError(t, err)
		require.Len(t, w.desk.silences, n+1)
		assert.Equal(t, c.want, w.desk.silences[n].Matchers)
	}
	click("k7f3q9")
	w.window(bo)
	refused := func(id, want string) {
		t.Helper()
		before := len(w.slack.Ephemerals(bo))
		if id != "" {
			click(id)
		} else {
			_, err := w.slack.Submit(bo, map[string]string{"text": "moving racks"})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return len(w.slack.Ephemerals(bo)) > before }, 5*time.Second, 2*time.Millisecond)
		assert.Contains(t, w.told(bo), want)
		assert.Len(t, w.desk.silences, 2)
	}
	scopes = [][]string{{`team="web"`}, {`team="api"`, `x="y"`}}
	refused("", "x=\\\"y\\\"`, and this incident's alerts do not match that")
	refused("k7f3q9", "Snooze the incident instead")
	role = tocsin.RoleViewer
	w.open("n4n4n4")
	choices = []string{"1h"}
	refused("n4n4n4", "a silence can hide other teams' alerts")
}

// Whoever is called answers, whosever incident it is.
func TestWhoIsCalledAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, boOf("database", tocsin.RoleViewer))
	w.open("k7f3q9", called("bo"))
	w.click("k7f3q9", bo, slack.ActionAcknowledge)
	require.Len(t, w.desk.actions(), 1)
	assert.Equal(t, "bo", w.desk.incidents["k7f3q9"].AcknowledgedBy)
}

// A window that is open while somebody leaves the team does nothing any more.
func TestWindowsAskAgain(t *testing.T) {
	t.Parallel()
	role := tocsin.RoleAdmin
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Person = func(name string) tocsin.Principal { return tocsin.Principal{Name: name, Role: role} }
	})
	w.open("k7f3q9")
	for n, c := range []struct {
		click  []string
		values map[string]string
	}{
		{[]string{slack.ActionMore, slack.ChoiceNote}, map[string]string{"text": "x"}},
		{[]string{slack.ActionMore, slack.ChoicePerson}, map[string]string{"person": ana}},
		{[]string{slack.ActionSilence, "1h"}, map[string]string{"for": "1h", "text": "x"}},
	} {
		role = tocsin.RoleAdmin
		w.click("k7f3q9", bo, c.click[0], c.click[1:]...)
		w.window(bo)
		role = tocsin.RoleNone
		a, err := w.slack.Submit(bo, c.values)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, a.Status)
		require.Eventually(t, func() bool { return len(w.slack.Ephemerals(bo)) > n }, 5*time.Second, 2*time.Millisecond)
		assert.Contains(t, w.told(bo), "no right to respond")
	}
	assert.Empty(t, w.desk.actions())
	assert.Empty(t, w.desk.silences)
}

// A Home tab shows who else is on call where the person may view the schedule.
func TestHomeOfATeam(t *testing.T) {
	t.Parallel()
	now := time.Now()
	all := []tocsin.Shift{
		{Schedule: "web", User: "bo", From: now.Add(-time.Hour), To: now.Add(time.Hour)},
		{Schedule: "web", User: "ana-on-web", From: now.Add(-time.Hour), To: now.Add(time.Hour)},
		{Schedule: "db", User: "bo", From: now.Add(-time.Hour), To: now.Add(time.Hour)},
		{Schedule: "db", User: "cy-on-db", From: now.Add(-time.Hour), To: now.Add(time.Hour)},
	}
	w := homeWorld(t, boOf("web", tocsin.RoleViewer), func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Shifts = shiftsOf(all)
	})
	w.open("k7f3q9", func(i *tocsin.Incident) { i.AcknowledgedBy, i.State = "ana", tocsin.Acknowledged })
	w.open("m2x8p4", called("bo"))
	w.openHome(bo)
	w.shows(bo, "m2x8p4")
	home := w.home(bo)
	assert.NotContains(t, home, "k7f3q9")
	assert.Contains(t, home, "ana-on-web")
	assert.NotContains(t, home, "cy-on-db")
	assert.Equal(t, 1, strings.Count(home, "*db*")+strings.Count(home, "`db`"), "bo's own shift: %s", home)
}

// shiftsOf answers queries from a list.
func shiftsOf(all []tocsin.Shift) func(context.Context, tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	return func(_ context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
		var out []tocsin.Shift
		for _, s := range all {
			if (q.User == "" || q.User == s.User) && (q.Schedule == "" || q.Schedule == s.Schedule) {
				out = append(out, s)
			}
		}
		return out, nil
	}
}
