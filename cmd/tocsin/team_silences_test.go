package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// withSilences gives each of the two teams silences of its own.
func withSilences(config string) string {
	return strings.NewReplacer(
		"{name: db, users: [ana]}", `{name: db, users: [ana], silence_matchers: ['of="db"']}`,
		"{name: web, users: [bo], role: manager}", `{name: web, users: [bo], role: manager, silence_matchers: ['of=web']}`,
	).Replace(config)
}

// TestSilencesOfTwoTeams: people of a team make, see and end silences of the team's
// alerts, and nothing of the other's, by the client, the command line, Alertmanager's
// API and the pages.
func TestSilencesOfTwoTeams(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(withSilences(twoTeamsConfig))
	_, secret, err := d.app.entrance.keeper.CreateToken(t.Context(), tocsin.Token{Name: "root", Role: tocsin.RoleAdmin})
	require.NoError(t, err)
	folder := t.TempDir()
	files := map[string]string{"root": filepath.Join(folder, "root")}
	require.NoError(t, os.WriteFile(files["root"], []byte(secret), 0o600))
	by := map[string]*client.Client{"root": client.New(d.url, client.Options{Token: secret})}
	for name, of := range map[string][2]string{"db": {"db", "responder"}, "web": {"web", "responder"}, "webview": {"web", "viewer"}} {
		token := d.tokenFor(files["root"], "--name", name+"-bot", "--role", of[1], "--team", of[0])
		files[name] = filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(files[name], []byte(token), 0o600))
		by[name] = client.New(d.url, client.Options{Token: token})
	}
	code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, fires(map[string]string{"alertname": "CanaryDown", "of": "web", "severity": "critical"}, "it is down")))
	require.Equal(t, 200, code, body)

	wants := func(matchers ...string) tocsin.Silence {
		return tocsin.Silence{Matchers: matchers, EndsAt: time.Now().Add(time.Hour), Comment: "it is being moved"}
	}
	for _, matchers := range [][]string{{"alertname=CanaryDown"}, {`of=~"web"`}, {`of="db"`}} {
		_, err = by["web"].PutSilence(t.Context(), wants(matchers...))
		var told *client.Error
		require.ErrorAs(t, err, &told)
		assert.Equal(t, 403, told.Status)
		assert.Equal(t, "matchers", told.Field)
		assert.Equal(t, `add of="web"; your team's silences include it`, told.Detail)
	}
	_, err = by["webview"].PutSilence(t.Context(), wants("of=web"))
	require.ErrorContains(t, err, "viewer in web")
	for name, alerts := range map[string]int{"web": 1, "webview": 1, "db": 0, "root": 1} {
		var hidden struct{ Alerts, Before int }
		require.NoError(t, by[name].Get(t.Context(), "/api/v1/silences/preview?matcher=alertname%3DCanaryDown", &hidden))
		assert.Equal(t, alerts, hidden.Alerts, name)
		assert.Equal(t, alerts, hidden.Before, name)
	}

	made, err := by["web"].PutSilence(t.Context(), wants("alertname=CanaryDown", "of=web"))
	require.NoError(t, err)
	assert.Equal(t, "web-bot", made.CreatedBy)
	list, err := by["web"].Incidents(t.Context(), client.IncidentQuery{})
	require.NoError(t, err)
	require.Len(t, list.Incidents, 1)
	assert.EqualValues(t, 1, list.Incidents[0].Suppressed, "it holds the alert back")
	for name, sees := range map[string]bool{"web": true, "webview": true, "root": true, "db": false} {
		var all []client.Silence
		all, err = by[name].Silences(t.Context())
		require.NoError(t, err)
		assert.Len(t, all, map[bool]int{true: 1}[sees], name)
		var v2 []struct{ ID string }
		require.NoError(t, by[name].Get(t.Context(), "/api/v2/silences", &v2))
		assert.Len(t, v2, map[bool]int{true: 1}[sees], name)
		_, out, errOut := typed(t, "tocsin silence list", "--server.url", d.url, "--server.token-file", files[name])
		assert.Empty(t, errOut)
		assert.Equal(t, sees, strings.Contains(out, made.ID), name)
	}
	changed := made.Silence
	changed.Matchers = []string{"of=db"}
	_, err = by["db"].PutSilence(t.Context(), changed)
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	require.ErrorIs(t, by["db"].ExpireSilence(t.Context(), made.ID), tocsin.ErrNotFound)
	require.ErrorIs(t, by["db"].Get(t.Context(), "/api/v1/silences/"+made.ID, nil), tocsin.ErrNotFound)
	require.ErrorIs(t, by["db"].Get(t.Context(), "/api/v2/silence/"+made.ID, nil), tocsin.ErrNotFound)
	require.ErrorContains(t, by["webview"].ExpireSilence(t.Context(), made.ID), "viewer in web")
	_, err = by["web"].PutSilence(t.Context(), changed)
	require.ErrorContains(t, err, `matchers: add of="web"`)

	status, page := d.as("bo", "/silences", nil)
	assert.Equal(t, 200, status)
	assert.Contains(t, page, "it is being moved")
	assert.Contains(t, page, ">of=&#34;web&#34;</textarea>")
	assert.Contains(t, page, "1 alert</strong> of yours now")
	status, page = d.as("ana", "/silences", nil)
	assert.Equal(t, 200, status)
	assert.NotContains(t, page, "being moved")
	status, page = d.as("ana", "/silences/"+made.ID+"/extend", url.Values{"for": {"1h"}, "shown": {made.EndsAt.UTC().Format("2006-01-02T15:04:05")}})
	assert.Equal(t, 404, status)
	assert.NotContains(t, page, "being moved")
	now, err := by["root"].Silences(t.Context())
	require.NoError(t, err)
	require.Len(t, now, 1)
	assert.Equal(t, made.Matchers, now[0].Matchers, "nobody changed it")
	assert.Equal(t, "active", now[0].State)

	exit, _, errOut := typed(t, "tocsin silence expire "+made.ID, "--server.url", d.url, "--server.token-file", files["db"])
	assert.NotZero(t, exit)
	assert.Contains(t, errOut, "not found")
	exit, _, errOut = typed(t, "tocsin silence add alertname=CanaryDown --for 1h --comment x", "--server.url", d.url, "--server.token-file", files["web"])
	assert.NotZero(t, exit)
	assert.Contains(t, errOut, `matchers: add of="web"; your team's silences include it`)
	exit, out, errOut := typed(t, "tocsin silence expire "+made.ID, "--server.url", d.url, "--server.token-file", files["web"])
	require.Zero(t, exit, errOut)
	assert.Contains(t, out, "is over")
}

// TestSlackSilencesOfTeams: the button and the words silence what is the team's.
func TestSlackSilencesOfTeams(t *testing.T) {
	overBoth(t, func(s *team) {
		web, db := s.withTwoTeams()
		s.replace("{name: web, users: [bo]}", `{name: web, users: [bo], silence_matchers: ['alertname="NodeDown"']}`)
		s.reload()
		s.clicks("#incidents", web, "U0BO", slack.ActionSilence, "1h")
		s.eventually(func() bool { _, open := s.slack.View("U0BO"); return open }, "the window opens")
		_, err := s.slack.Submit("U0BO", map[string]string{"text": "moving racks"})
		require.NoError(s.t, err)
		s.whispered("U0BO", "Silenced until")
		s.eventually(func() bool { return s.incident(web).Suppressed == 1 }, "it holds the alert back")
		s.refusedOn(db, slack.ActionSilence, "1h")

		s.says(slash, "U0BO", "silences", "moving racks")
		s.says(slash, "U0BO", "silence alertname=DiskFull for 2h x", `add alertname="NodeDown"; your team's silences include it`)
		s.says(slash, "U0BO", "silence instance=zz alertname=NodeDown for 2h new disks", "Silenced until")
		s.says(slash, "U0DBA", "silences", "dba has no right to view here")
		s.replace("{name: db, users: [dba], role: manager}", `{name: db, users: [dba], role: manager, silence_matchers: ['alertname="DiskFull"']}`)
		s.reload()
		s.says(slash, "U0DBA", "silences", "Nothing is silenced.")
		all, err := s.app.router.Silences(s.t.Context())
		require.NoError(s.t, err)
		require.Len(s.t, all, 2)
		for _, one := range all {
			s.says(slash, "U0DBA", "silence expire "+one.ID, "there is no silence "+one.ID)
			s.says(slash, "U0BO", "silence expire "+one.ID, "is over")
		}
	})
}
