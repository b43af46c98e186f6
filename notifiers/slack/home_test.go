package slack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const homeUser = "U0ANA0001"

// homeOf publishes a Home tab and returns what is seen.
func homeOf(t testing.TB, h slack.Home) slacktest.View {
	t.Helper()
	s := slacktest.New()
	defer s.Close()
	s.AddUser(slacktest.User{ID: homeUser, Name: "ana"})
	c := slack.New(slack.Config{Token: "xoxb-canary", APIURL: slacktest.URL, HTTPClient: s.Client()})
	require.NoError(t, c.Publish(t.Context(), homeUser, "", h))
	v, ok := s.Home(homeUser)
	require.True(t, ok)
	assert.Equal(t, homeUser, v.PrivateMetadata, "a click tells for whom it was made")
	return v
}

func theirIncident(n int) *tocsin.Incident {
	now := time.Unix(1_800_000_000, 0)
	return &tocsin.Incident{
		ID: fmt.Sprintf("k7f3q%d", n), Revision: 3, State: tocsin.Triggered, Severity: tocsin.Critical, Kind: tocsin.KindAlerts,
		Title: fmt.Sprintf("Node %d is down", n), OpenedAt: now, ChangedAt: now, Alerts: 3, Firing: 2,
		Escalation: &tocsin.Escalation{Responders: []tocsin.Responder{{User: "ana", At: now, Calls: 1}}},
	}
}

func TestHomeShowsShiftsAndIncidents(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	shift := func(user string, from, to time.Duration) tocsin.Shift {
		return tocsin.Shift{Schedule: "primary", User: user, From: now.Add(from), To: now.Add(to)}
	}
	mine := theirIncident(2)
	mine.Acknowledge("ana", now)
	taken := theirIncident(3)
	taken.Acknowledge("bo_<!channel>", now)
	endless := shift("ana", 200*time.Hour, 28*24*time.Hour)
	endless.Schedule = "<!here>"
	shadow := shift("cy", -time.Hour, time.Hour)
	shadow.Shadow = true
	gap := shift("", -time.Hour, time.Hour)
	gap.Schedule = "secondary"
	v := homeOf(t, slack.Home{
		Now: now, Who: "ana", Until: now.Add(28 * 24 * time.Hour), Lines: []string{"Nothing was done."},
		Shifts:    []tocsin.Shift{shift("ana", -time.Hour, time.Hour), shift("ana", 2*time.Hour, 3*time.Hour), endless},
		OnCall:    []tocsin.Shift{shift("ana", -time.Hour, time.Hour), shadow, gap},
		Incidents: []*tocsin.Incident{theirIncident(1), mine, taken},
	})
	text := string(v.Blocks)
	for _, want := range []string{
		"Nothing was done.", "On call now*: `primary` until", "Next: `primary` *from*", "with no end in sight",
		"On call now on `primary`: you", "cy (shadow)", "`secondary`: ⚠️ *nobody*",
		"My incidents (3)", "*Triggered*: Node 1 is down", "critical", "2 of 3 firing", "called you", "yours", "taken by",
		`"tocsin:k7f3q1:3"`, `"tocsin_acknowledge"`, `"tocsin_resolve_firing"`, "/tocsin help",
	} {
		assert.Contains(t, text, want)
	}
	for _, never := range []string{"<!channel", "<!here", `\u003c!channel`, `\u003c!here`} {
		assert.NotContains(t, text, never)
	}
	assert.Equal(t, 1, strings.Count(text, `"tocsin_acknowledge"`), "what is acknowledged is not again")
	assert.Equal(t, 3, strings.Count(text, `"tocsin_resolve_firing"`))
}

func TestHomeOfNobody(t *testing.T) {
	t.Parallel()
	v := homeOf(t, slack.Home{Now: time.Now(), Stranger: homeUser, Incidents: []*tocsin.Incident{theirIncident(1)}})
	assert.Contains(t, string(v.Blocks), "slack: "+homeUser)
	assert.NotContains(t, string(v.Blocks), "k7f3q1", "a stranger sees no incident")

	v = homeOf(t, slack.Home{Now: time.Now(), Who: "ana"})
	assert.Contains(t, string(v.Blocks), "Nothing is open")
	assert.Contains(t, string(v.Blocks), "none in sight")
}

func TestHomeOfManyIncidents(t *testing.T) {
	t.Parallel()
	h := slack.Home{Now: time.Now(), Who: "ana"}
	for n := range 400 {
		i := theirIncident(n)
		i.Title = strings.Repeat("<!channel> & ", 400)
		h.Incidents = append(h.Incidents, i)
		h.Shifts = append(h.Shifts, tocsin.Shift{Schedule: strings.Repeat("s", 500), From: h.Now.Add(-time.Hour), To: h.Now.Add(time.Hour)})
		h.OnCall = append(h.OnCall, tocsin.Shift{Schedule: strings.Repeat("s", 500), User: strings.Repeat("u", 500)})
	}
	h.Lines = []string{strings.Repeat("x", 50_000)}
	text := string(homeOf(t, h).Blocks)
	assert.Contains(t, text, "… and 385 more")
	assert.Equal(t, 15, strings.Count(text, `"actions"`))
}

// TestHomeIsNeverBroken: whatever it is made of, Slack takes it, and no text from
// outside mentions anybody or links anywhere.
func TestHomeIsNeverBroken(t *testing.T) {
	t.Parallel()
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"<!channel>", "<@U0BO00001>", "<https://evil.example.com|x>", "```", "*_~`", "\u202e", ""}))
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		h := slack.Home{Now: now, Who: hostile.Draw(rt, "who")}
		if rapid.IntRange(0, 9).Draw(rt, "stranger") == 0 {
			h.Stranger = hostile.Draw(rt, "stranger's ID")
		}
		for n := range rapid.IntRange(0, 20).Draw(rt, "incidents") {
			i := theirIncident(n)
			i.Title = hostile.Draw(rt, "title")
			i.State = rapid.SampledFrom([]tocsin.State{tocsin.Triggered, tocsin.Acknowledged}).Draw(rt, "state")
			i.AcknowledgedBy = hostile.Draw(rt, "by")
			h.Incidents = append(h.Incidents, i)
		}
		for range rapid.IntRange(0, 10).Draw(rt, "shifts") {
			s := tocsin.Shift{Schedule: hostile.Draw(rt, "schedule"), User: hostile.Draw(rt, "user"), From: now, To: now.Add(time.Hour)}
			h.Shifts, h.OnCall = append(h.Shifts, s), append(h.OnCall, s)
		}
		seen := slacktest.Message{Blocks: homeOf(t, h).Blocks}.See()
		assert.Empty(rt, seen.Mentions)
		assert.Empty(rt, seen.Links)
	})
}

func TestPublishSaysWhenTheTabHasChanged(t *testing.T) {
	t.Parallel()
	s := slacktest.New()
	defer s.Close()
	s.AddUser(slacktest.User{ID: homeUser, Name: "ana"})
	c := slack.New(slack.Config{Token: "xoxb-canary", APIURL: slacktest.URL, HTTPClient: s.Client()})
	require.NoError(t, c.Publish(t.Context(), homeUser, "", slack.Home{Now: time.Now(), Who: "ana"}))
	err := c.Publish(t.Context(), homeUser, "1.2", slack.Home{Now: time.Now(), Who: "ana"})
	require.ErrorIs(t, err, slack.ErrHomeChanged)
	assert.False(t, tocsin.IsPermanent(err))

	err = c.Publish(t.Context(), "U0NOBODY1", "", slack.Home{})
	require.Error(t, err)
	assert.True(t, tocsin.IsPermanent(err))

	s.Fault(slacktest.Fault{Method: "views.publish", Error: "not_enabled"})
	err = c.Publish(t.Context(), homeUser, "", slack.Home{})
	assert.True(t, tocsin.IsPermanent(err))
	assert.ErrorContains(t, err, "turn on the Home tab")
	assert.NotErrorIs(t, err, slack.ErrHomeChanged)
}
