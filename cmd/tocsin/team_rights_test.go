package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
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
)

// twoTeamsConfig has two teams whose people have no role but in them. What help is
// told of calls ana, who is on the other team.
const twoTeamsConfig = `
auth: {proxy: {from: [127.0.0.0/8], header: X-Forwarded-User}}
users:
  - {name: ana, slack: U0ANA, role: none, contacts: [{by: slack}]}
  - {name: bo, slack: U0BO, role: none, contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, role: admin, contacts: [{by: slack}]}
teams:
  - {name: db, users: [ana]}
  - {name: web, users: [bo], role: manager}
schedules:
  - {name: db-primary, team: db, layers: [{name: weekly, users: [ana], rotation: {start: '2026-01-05'}}]}
  - {name: web-primary, team: web, layers: [{name: weekly, users: [bo], rotation: {start: '2026-01-05'}}]}
route:
  receiver: rest
  group_by: [alertname]
  routes:
    - {receiver: db, matchers: ['of="db"']}
    - {receiver: web, matchers: ['of="web"']}
    - {receiver: help, matchers: ['of="help"']}
receivers:
  - {name: rest}
  - {name: db, team: db}
  - {name: web, team: web, escalation_policy: web}
  - {name: help, team: web, escalation_policy: help}
escalation_policies:
  - {name: web, steps: [{notify: [{schedule: web-primary}]}], last_resort: [{user: cy}]}
  - {name: help, steps: [{notify: [{user: ana}]}], last_resort: [{user: cy}]}
`

// as asks for a page, or sends a form, as somebody whom the proxy has let in.
func (d *duty) as(name, path string, form url.Values) (status int, body string) {
	d.t.Helper()
	method, sent := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, sent = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, sent)
	require.NoError(d.t, err)
	req.Header.Set("X-Forwarded-User", name)
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := stay.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(b)
}

// tokenFor has the command line make a token, as the admin.
func (d *duty) tokenFor(admin string, line ...string) string {
	d.t.Helper()
	var out, errOut bytes.Buffer
	code := run(d.t.Context(), append(append([]string{"token", "create"}, line...), "--server.url", d.url, "--server.token-file", admin), &out, &errOut)
	require.Equal(d.t, 0, code, errOut.String())
	return strings.TrimSpace(out.String())
}

// TestTwoTeams: people of a team see and answer what is the team's and what calls
// them; the rest is not there, by the API, the client, the pages and Alertmanager's
// API alike.
func TestTwoTeams(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(twoTeamsConfig)
	_, secret, err := d.app.entrance.keeper.CreateToken(t.Context(), tocsin.Token{Name: "root", Role: tocsin.RoleAdmin})
	require.NoError(t, err)
	admin := filepath.Join(t.TempDir(), "admin")
	require.NoError(t, os.WriteFile(admin, []byte(secret), 0o600))

	db := client.New(d.url, client.Options{Token: d.tokenFor(admin, "--name", "db-bot", "--role", "responder", "--team", "db")})
	web := client.New(d.url, client.Options{Token: d.tokenFor(admin, "--name", "web-bot", "--role", "viewer", "--team", "web")})
	all := client.New(d.url, client.Options{Token: secret})

	ids := map[string]string{}
	for _, of := range []string{"db", "web", "help"} {
		code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, fires(map[string]string{"alertname": "Canary" + of, "of": of, "severity": "critical"}, "it is down")))
		require.Equal(t, 200, code, body)
	}
	list, err := all.Incidents(t.Context(), client.IncidentQuery{})
	require.NoError(t, err)
	require.Len(t, list.Incidents, 3)
	for _, i := range list.Incidents {
		ids[i.Receivers[0]] = i.ID
	}

	for name, see := range map[*client.Client][]string{db: {ids["db"]}, web: {ids["web"], ids["help"]}} {
		list, err := name.Incidents(t.Context(), client.IncidentQuery{})
		require.NoError(t, err)
		var got []string
		for _, i := range list.Incidents {
			got = append(got, i.ID)
		}
		assert.ElementsMatch(t, see, got)
	}
	_, err = db.Act(t.Context(), ids["web"], tocsin.Action{Kind: tocsin.ActAcknowledge})
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	_, err = db.Incident(t.Context(), ids["web"])
	require.ErrorIs(t, err, tocsin.ErrNotFound)
	_, err = web.Act(t.Context(), ids["web"], tocsin.Action{Kind: tocsin.ActAcknowledge})
	require.ErrorContains(t, err, "viewer in web")
	inc, err := db.Act(t.Context(), ids["db"], tocsin.Action{Kind: tocsin.ActAcknowledge})
	require.NoError(t, err)
	assert.Equal(t, "db-bot", inc.AcknowledgedBy)

	d.eventually(func() bool { code, _ := d.as("ana", "/incidents/"+ids["help"], nil); return code == 200 }, "what calls ana is there for her")
	_, page := d.as("ana", "/", nil)
	assert.Contains(t, page, ids["db"])
	assert.Contains(t, page, ids["help"])
	assert.NotContains(t, page, ids["web"])
	assert.NotContains(t, page, `href="/system"`)
	code, page := d.as("ana", "/incidents/"+ids["web"], nil)
	assert.Equal(t, 404, code)
	assert.NotContains(t, page, "Canary")
	code, _ = d.as("ana", "/incidents/"+ids["help"]+"/acknowledge", url.Values{"shown": {"triggered"}})
	assert.Equal(t, 303, code)
	help, err := all.Incident(t.Context(), ids["help"])
	require.NoError(t, err)
	assert.Equal(t, "ana", help.Incident.AcknowledgedBy)
	code, _ = d.as("bo", "/incidents/"+ids["help"]+"/resolve", url.Values{"force": {"yes"}})
	assert.Equal(t, 303, code)

	for _, of := range []string{"web", "db", "web", "db"} {
		name := "Canary" + of + rand.Text()
		code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, fires(map[string]string{"alertname": name, "of": of, "severity": "critical"}, "it is down")))
		require.Equal(t, 200, code, body)
	}
	pages, q := 0, client.IncidentQuery{Limit: 1}
	for ; pages == 0 || q.After != ""; pages++ {
		require.Less(t, pages, 9)
		list, err := db.Incidents(t.Context(), q)
		require.NoError(t, err)
		for _, i := range list.Incidents {
			assert.Equal(t, []string{"db"}, i.Receivers)
		}
		q.After = list.Next
	}
	assert.GreaterOrEqual(t, pages, 3, "a page of one is full where there is another one, whatever lies in between")

	var alerts []struct{ Labels map[string]string }
	require.NoError(t, db.Get(t.Context(), "/api/v2/alerts", &alerts))
	require.Len(t, alerts, 3)
	for _, a := range alerts {
		assert.Equal(t, "db", a.Labels["of"])
	}
	shifts, err := db.OnCall(t.Context(), time.Now(), "", "")
	require.NoError(t, err)
	require.Len(t, shifts.Shifts, 1)
	assert.Equal(t, "db-primary", shifts.Shifts[0].Schedule)
	_, err = db.PutSilence(t.Context(), tocsin.Silence{Matchers: []string{`of="db"`}, EndsAt: time.Now().Add(time.Hour), Comment: "x"})
	require.ErrorContains(t, err, "in every team")
	insights, err := db.Insights(t.Context(), 1)
	require.NoError(t, err)
	said, err := json.Marshal(insights)
	require.NoError(t, err)
	assert.Equal(t, 3, insights.Incidents)
	assert.NotContains(t, string(said), "Canaryweb")
}

// TestTokensOfATeam: the command line makes them and shows whose they are, with the
// server and without.
func TestTokensOfATeam(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.write(strings.Replace(twoTeamsConfig, "auth: {proxy: {from: [127.0.0.0/8], header: X-Forwarded-User}}", "", 1))
	code, out, errOut := typed(t, "tocsin token create --name x --role viewer --team db --config.file", d.file)
	require.Equal(t, 0, code, errOut)
	assert.Contains(t, out, "tocsin_")
	assert.Contains(t, errOut, "for x (viewer in team db)")
	code, _, errOut = typed(t, "tocsin token create --name x --role viewer --team none --config.file", d.file)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, `no such team`)
	d.start()
	at := []string{"--server.url", d.url}
	code, out, errOut = typed(t, "tocsin token list", at...)
	require.Equal(t, 0, code, errOut)
	assert.Regexp(t, `TEAM +MADE(?s:.*)x +viewer +db +`, out)
	code, _, errOut = typed(t, "tocsin token create --name y --role manager --team none", at...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, `there is no team "none"`)
	code, _, errOut = typed(t, "tocsin token create --name y --role admin --team db", at...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "within a team want viewer, responder or manager")
}
