package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// TestIncidentsOfATeam: lists are narrowed to teams, to whoever asks, by severity and
// by matchers, in the terminal and on the page alike.
func TestIncidentsOfATeam(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(twoTeamsConfig)
	_, secret, err := d.app.entrance.keeper.CreateToken(t.Context(), tocsin.Token{Name: "cy", Role: tocsin.RoleAdmin})
	require.NoError(t, err)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(secret), 0o600))
	for of, severity := range map[string]string{"db": "critical", "web": "warning", "help": "info"} {
		code, body := d.post(t, "/webhook/alertmanager", webhookBody(t, fires(map[string]string{"alertname": "Down", "of": of, "severity": severity}, of+" is down")))
		require.Equal(t, 200, code, body)
	}
	list := func(code int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		require.Equal(t, code, run(t.Context(), append(args, "--server.url", d.url, "--server.token-file", token), &out, &out), out.String())
		return out.String()
	}
	for _, c := range []struct {
		args    []string
		has, no []string
	}{
		{nil, []string{"db is down", "web is down", "help is down"}, nil},
		{[]string{"--team", "web"}, []string{"web is down", "help is down"}, []string{"db is down"}},
		{[]string{"--team", "web", "--filter", `of="web"`}, []string{"web is down"}, []string{"db is down", "help is down"}},
		{[]string{"--filter", `of=~"web|db",severity!="warning"`}, []string{"db is down"}, []string{"web is down", "help is down"}},
		{[]string{"--severity", "warning"}, []string{"db is down", "web is down"}, []string{"help is down"}},
		{[]string{"--mine"}, []string{"no incidents; --all looks among those that are over, too"}, []string{"is down"}},
	} {
		out := list(0, append([]string{"incidents"}, c.args...)...)
		for _, want := range c.has {
			assert.Contains(t, out, want, c.args)
		}
		for _, not := range c.no {
			assert.NotContains(t, out, not, c.args)
		}
	}
	assert.Contains(t, list(1, "incidents", "--team", "ops"), `there is no team "ops"`)
	assert.Contains(t, list(1, "incidents", "nope"), "tocsin incidents --all lists")
	assert.Contains(t, list(1, "silence", "expire", "nope"), `silence "nope": not found`)
	assert.Contains(t, list(1, "silence", "expire", "nope"), "tocsin silence list --expired lists")

	_, page := d.as("cy", "/?team=db", nil)
	assert.Contains(t, page, "db is down")
	assert.NotContains(t, page, "web is down")
	assert.Contains(t, page, `<option value="db" selected>db</option>`)
	assert.Contains(t, page, `<option value="web">web</option>`)
}
