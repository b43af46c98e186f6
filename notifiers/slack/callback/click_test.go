package callback_test

import (
	"context"
	"errors"
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
	"github.com/tocsin-oncall/tocsin/router"
)

// TestAnIncidentIsWorkedOnByClicks goes the whole way: each click is committed
// before it is answered, and the one message shows it.
func TestAnIncidentIsWorkedOnByClicks(t *testing.T) {
	t.Parallel()
	for name, bare := range map[string]bool{"with metadata": false, "without metadata": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(_ *callback.Config, _ *callback.Deps, c *slacktest.Callbacks) { c.NoMetadata = bare })
			w.open("k7f3q9")
			for _, step := range []struct {
				user, action, choice string
				shows                string
			}{
				{ana, slack.ActionAcknowledge, "", "*Acknowledged* by ana"},
				{bo, slack.ActionEscalate, "", "*Acknowledged* by ana"},
				{bo, slack.ActionSnooze, "1h", "💤 snoozed until"},
				{ana, slack.ActionResolveFiring, "", "✅ *Resolved*"},
			} {
				var choice []string
				if step.choice != "" {
					choice = []string{step.choice}
				}
				a := w.click("k7f3q9", step.user, step.action, choice...)
				assert.Equal(t, http.StatusOK, a.Status, step.action)
				assert.Empty(t, a.Body)
				assert.Contains(t, string(w.message("k7f3q9").Blocks), step.shows)
			}
			got := w.desk.actions()
			require.Len(t, got, 4)
			assert.Equal(t, []string{"ana", "bo", "bo", "ana"}, []string{got[0].By, got[1].By, got[2].By, got[3].By})
			assert.WithinDuration(t, time.Now().Add(time.Hour), got[2].Until, time.Minute)
			assert.True(t, got[3].Force, "the confirmed click resolves what still fires")
			for _, a := range got {
				assert.Regexp(t, `^slack:\d+\.\d{6}:\d+\.\d{6}:U`, a.ID)
			}
			w.settle()
			assert.Empty(t, w.slack.Ephemerals(""), "a success needs no words")
			_, err := w.slack.Click("incidents", w.message("k7f3q9").TS, ana, slack.ActionAcknowledge)
			require.Error(t, err, "a resolved incident cannot be acknowledged")
		})
	}
}

func TestDoubleClickCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	for range 3 {
		assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, slack.ActionEscalate).Status)
	}
	assert.Len(t, w.desk.actions(), 1)
	w.click("k7f3q9", bo, slack.ActionEscalate)
	assert.Len(t, w.desk.actions(), 2, "somebody else may mean it")
	w.settle()
	assert.Empty(t, w.slack.Ephemerals(""))
}

// TestAStaleButtonTellsThePresentState: the message could not be brought up to
// date, and offers what is not to be done any more.
func TestAStaleButtonTellsThePresentState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*tocsin.Incident)
		action string
		choice []string
		says   string
	}{
		"acknowledged by another": {func(i *tocsin.Incident) { i.Acknowledge("bo", time.Now()) }, slack.ActionAcknowledge, nil, "`k7f3q9` is acknowledged by bo since"},
		"acknowledge":             {resolved, slack.ActionAcknowledge, nil, "`k7f3q9` is resolved by bo since"},
		"resolve":                 {resolved, slack.ActionResolveFiring, nil, "`k7f3q9` is resolved"},
		"escalate":                {resolved, slack.ActionEscalate, nil, "`k7f3q9` is resolved"},
		"snooze":                  {resolved, slack.ActionSnooze, []string{"1h"}, "`k7f3q9` is resolved"},
		"silence":                 {resolved, slack.ActionSilence, []string{"1h"}, "`k7f3q9` is resolved"},
		"to a person":             {resolved, slack.ActionMore, []string{slack.ChoicePerson}, "`k7f3q9` is resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.open("k7f3q9")
			w.desk.change("k7f3q9", c.change)
			assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, c.action, c.choice...).Status)
			said := w.told(ana)
			assert.Contains(t, said, "Nothing was done")
			assert.Contains(t, said, c.says)
			assert.Empty(t, w.desk.actions())
			assert.Empty(t, w.slack.Ephemerals(bo), "nobody else is told")
		})
	}
}

func resolved(i *tocsin.Incident) { i.Resolve("bo", "done", time.Now()) }

func TestAResolveThatFindsMoreFiringIsToldWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9", func(i *tocsin.Incident) { i.Firing = 0 })
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.Firing = 3 })
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, slack.ActionResolve).Status)
	assert.Contains(t, w.told(ana), "Nothing was done: 3 alerts still fire.")
	assert.Empty(t, w.desk.actions())
}

func TestStrangersAreToldWhatToAdd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", guest, slack.ActionAcknowledge).Status)
	assert.Contains(t, w.told(guest), "`slack: "+guest+"`")
	assert.Empty(t, w.desk.actions())
	a, err := w.slack.Command(guest, "incidents", "ack k7f3q9")
	require.NoError(t, err)
	assert.Contains(t, string(a.Body), guest)
}

// TestNotNow: what could not be committed is not acknowledged, and may be clicked
// again at once.
func TestNotNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	w.desk.fail(tocsin.Unavailable(errors.New("the disk is full")))
	assert.Equal(t, http.StatusServiceUnavailable, w.click("k7f3q9", ana, slack.ActionAcknowledge).Status)
	said := w.told(ana)
	assert.Contains(t, said, "Not done")
	assert.NotContains(t, said, "disk")
	w.desk.fail(nil)
	assert.Equal(t, http.StatusOK, w.click("k7f3q9", ana, slack.ActionAcknowledge).Status)
	assert.Len(t, w.desk.actions(), 1)
}

func TestSnoozeUntilTheMorning(t *testing.T) {
	t.Parallel()
	madrid, err := time.LoadLocation("Europe/Madrid")
	require.NoError(t, err)
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Zone = func(string) *time.Location { return madrid }
	})
	w.open("k7f3q9")
	w.click("k7f3q9", ana, slack.ActionSnooze, slack.ChoiceMorning)
	got := w.desk.actions()
	require.Len(t, got, 1)
	local := got[0].Until.In(madrid)
	assert.Equal(t, "09:00:00", local.Format("15:04:05"))
	assert.Greater(t, time.Until(local), 50*time.Minute)
	assert.Less(t, time.Until(local), 26*time.Hour)
}

func TestNote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	w.click("k7f3q9", ana, slack.ActionMore, slack.ChoiceNote)
	assert.Equal(t, "Add a note", w.window(ana).Title)
	w.desk.fail(tocsin.Unavailable(errors.New("no")))
	_, err := w.slack.Submit(ana, map[string]string{"text": "the fan <!channel>"})
	require.NoError(t, err)
	assert.Contains(t, w.window(ana).Errors["text"], "Try again", "the window keeps what was written")
	w.desk.fail(nil)
	_, err = w.slack.Submit(ana, map[string]string{"text": "the fan <!channel>"})
	require.NoError(t, err)
	_, open := w.slack.View(ana)
	assert.False(t, open)
	got := w.desk.actions()
	require.Len(t, got, 1)
	assert.Equal(t, tocsin.Action{Kind: tocsin.ActNote, ID: got[0].ID, By: "ana", Text: "the fan <!channel>"}, got[0])
	_, err = w.slack.Submit(ana, map[string]string{"text": "again"})
	require.Error(t, err)
}

func TestEscalateToAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	w.click("k7f3q9", ana, slack.ActionMore, slack.ChoicePerson)
	w.window(ana)
	_, err := w.slack.Submit(ana, map[string]string{"person": guest})
	require.NoError(t, err)
	assert.Contains(t, w.window(ana).Errors["person"], "does not know this person")
	_, err = w.slack.Submit(ana, map[string]string{"person": bo, "text": "it is your disk"})
	require.NoError(t, err)
	got := w.desk.actions()
	require.Len(t, got, 1)
	assert.Equal(t, "bo", got[0].User)
	assert.Equal(t, "it is your disk", got[0].Text)
}

func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	w.open("m2m2m2", func(i *tocsin.Incident) { i.Firing = 2 })
	w.open("z9z9z9", func(i *tocsin.Incident) { i.Resolve("", "over", time.Now()) })
	w.click("k7f3q9", ana, slack.ActionSilence, "4h")
	v := w.window(ana)
	assert.Contains(t, string(v.Blocks), "*4* firing alerts of 2 incidents")
	assert.Contains(t, string(v.Blocks), "it would have hidden alerts of *3* of 3 incidents")
	assert.Contains(t, string(v.Blocks), `region=\"eu\"`)
	_, err := w.slack.Submit(ana, map[string]string{})
	require.Error(t, err, "why is asked for")
	_, err = w.slack.Submit(ana, map[string]string{"text": "moving racks"})
	require.NoError(t, err)
	require.Len(t, w.desk.silences, 1)
	s := w.desk.silences[0]
	assert.Equal(t, []string{`job="no\"de"`, `region="eu"`}, s.Matchers)
	assert.Equal(t, "ana", s.CreatedBy)
	assert.Equal(t, "moving racks", s.Comment)
	assert.Equal(t, 4*time.Hour, s.EndsAt.Sub(s.StartsAt))
	_, err = router.ParseMatchers(s.Matchers)
	require.NoError(t, err)
	assert.Contains(t, w.told(ana), "`sssss1`")
}

func TestSilenceOfEverythingIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	w.desk.change("k7f3q9", func(i *tocsin.Incident) { i.GroupBy = nil })
	w.click("k7f3q9", ana, slack.ActionSilence, "4h")
	assert.Contains(t, w.told(ana), "would hide everything")
}

func TestRunbookAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Runbook = func(id string, l tocsin.Labels) *tocsin.Runbook {
			return &tocsin.Runbook{Title: id, Steps: []tocsin.Step{{Text: "Look at <!here> " + l["instance"], Commands: []tocsin.Command{{Text: "ping " + l["instance"]}}}}}
		}
		d.Why = func(_ context.Context, inc *tocsin.Incident, who string) []string {
			return slack.Why(inc, &tocsin.Why{Answer: "You (" + who + ") were called <!channel> of " + inc.ID}, who, "")
		}
	})
	w.open("k7f3q9", func(i *tocsin.Incident) { i.Runbook = "node#down" })
	w.click("k7f3q9", ana, slack.ActionMore, slack.ChoiceRunbook)
	said := w.told(ana)
	assert.Contains(t, said, "ping k7f3q90")
	w.click("k7f3q9", ana, slack.ActionMore, slack.ChoiceWhy)
	require.Eventually(t, func() bool { return len(w.slack.Ephemerals(ana)) == 2 }, 5*time.Second, time.Millisecond)
	assert.Contains(t, w.told(ana), "You (ana) were called")
	w.click("k7f3q9", bo, slack.ActionMore, slack.ChoiceWhy)
	assert.Contains(t, w.told(bo), "You (bo) were called", "each is answered for themselves")
	for _, e := range w.slack.Ephemerals("") {
		assert.Empty(t, e.See().Mentions)
	}
}

func TestNoticesAreAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9", func(i *tocsin.Incident) { i.Kind, i.Title = tocsin.KindNotice, "Your shift begins" })
	w.click("k7f3q9", ana, slack.ActionAcknowledge)
	assert.Len(t, w.desk.actions(), 1)
	assert.Contains(t, string(w.message("k7f3q9").Blocks), "Taken by ana")
	assert.NotContains(t, string(w.message("k7f3q9").Blocks), `"actions"`)
}

func TestStillOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9", func(i *tocsin.Incident) {
		i.Acknowledge("ana", time.Now())
		i.Escalation = &tocsin.Escalation{ReturnAt: time.Now().Add(time.Hour)}
	})
	w.click("k7f3q9", ana, slack.ActionKeep)
	got := w.desk.actions()
	require.Len(t, got, 1)
	assert.Equal(t, tocsin.ActAcknowledge, got[0].Kind)
}

type commander func(ctx context.Context, who, text string) (string, bool)

func (c commander) Run(ctx context.Context, said slack.Said) (slack.Reply, error) {
	text, public := c(ctx, said.Who, said.Text)
	r := slack.Reply{Public: public}
	for line := range strings.SplitSeq(text, "\n") {
		r.Lines = append(r.Lines, slack.Escape(line, 1000))
	}
	return r, nil
}

func TestCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slack.AddChannel("incidents")
	a, err := w.slack.Command(ana, "incidents", "list")
	require.NoError(t, err)
	assert.Contains(t, string(a.Body), "not available")

	w = newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		d.Commander = commander(func(_ context.Context, who, text string) (string, bool) {
			if text == "panic" {
				panic(text)
			}
			return who + " said <!channel>\n> " + text, text == "public"
		})
	})
	w.slack.AddChannel("incidents")
	_, err = w.slack.Command(ana, "incidents", "list")
	require.NoError(t, err)
	assert.Contains(t, w.told(ana), "ana said &lt;!channel&gt;\\n› list")
	_, err = w.slack.Command(ana, "incidents", "public")
	require.NoError(t, err)
	require.Len(t, w.slack.Messages("incidents"), 1)
	assert.Empty(t, w.slack.Messages("incidents")[0].See().Mentions)
	_, err = w.slack.Command(ana, "incidents", "panic")
	require.NoError(t, err)
	assert.Contains(t, w.told(ana), "fault of Tocsin")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.slack.VerifyURL())
	a, err := w.slack.Event([]byte(`{"type":"event_callback","team_id":"` + slacktest.TeamID + `","event":{"type":"app_mention"}}`))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, a.Status)
	for _, body := range []string{`{"type":"event_callback","team_id":"T0OTHER"}`, `{`, `{}`} {
		a, err = w.slack.Event([]byte(body))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, a.Status, 400, body)
	}
}
