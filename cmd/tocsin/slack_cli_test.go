package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const slackDocument = "../../docs/slack.md"

func slackFences(t *testing.T) (whole fence, all []fence) {
	t.Helper()
	for _, m := range fences.FindAllStringSubmatch(string(read(t, slackDocument)), -1) {
		f := fence{filepath.Base(slackDocument), m[1], m[2]}
		if f.lang == "yaml" && strings.Contains(f.text, "route:") {
			require.Empty(t, whole.text, "one configuration is whole")
			whole = f
		}
		all = append(all, f)
	}
	require.NotEmpty(t, whole.text)
	return whole, all
}

// slackDesk is a folder with the tokens of a workspace in which the document's
// configuration works.
func slackDesk(t *testing.T) (dir string, s *slacktest.Server, url string) {
	t.Helper()
	const bot, app = "xoxb-canary-bot", "xapp-canary-app"
	s = slacktest.New(slacktest.WithToken(bot, botScopes()...), slacktest.WithToken(app, "connections:write"))
	t.Cleanup(s.Close)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.AddChannel("incidents")
	for id, name := range map[string]string{"U024BE7LH": "ana", "U0G9QF9C6": "bo"} {
		s.AddUser(slacktest.User{ID: id, Name: name})
	}
	dir = t.TempDir()
	leak.After(t, filepath.Join(dir, "data"))
	for file, text := range map[string]string{"slack.token": bot, "slack.secret": "canary-of-the-signing-secret", "slack.app-token": app} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	return dir, s, web.URL
}

// botScopes are those of an app that was made from the manifest as it is without a
// configuration.
func botScopes() []string {
	var out []string
	for _, s := range slack.Scopes(slack.Permissions(slackFeatures(true, false, false, false, false)...)) {
		out = append(out, s.Name)
	}
	return out
}

// emulated is the document's configuration, changed, in a file that leads to the
// emulator.
func emulated(t *testing.T, dir, url string, changes ...string) string {
	t.Helper()
	whole, _ := slackFences(t)
	cfg := any(asMap(t, whole.text))
	for _, c := range append(changes, `slack: {api_url: "`+url+`/api/", rate_limit: 0}`) {
		cfg = with(cfg, asMap(t, c))
	}
	text, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	file := filepath.Join(dir, "tocsin.yml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

func TestSlackDocumentConfigurations(t *testing.T) {
	whole, all := slackFences(t)
	dir, _, _ := slackDesk(t)
	tried := 0
	for _, f := range all {
		if f.lang != "yaml" {
			continue
		}
		text, err := yaml.Marshal(with(asMap(t, whole.text), asMap(t, f.text)))
		require.NoError(t, err)
		_, warnings, err := config.Parse(filepath.Join(dir, "tocsin.yml"), text)
		require.NoError(t, err, f.text)
		assert.Empty(t, warnings, f.text)
		tried++
	}
	assert.Equal(t, 3, tried)
}

// TestSlackDocumentCommands follows the document in a new workspace, up to the
// first click.
func TestSlackDocumentCommands(t *testing.T) {
	_, all := slackFences(t)
	dir, s, url := slackDesk(t)
	r := &running{slack: s, logs: &bytes.Buffer{}, file: emulated(t, dir, url, `
server: {listen: "127.0.0.1:0"}
storage: {path: data, min_free: 0, ballast: 0}
`)}
	r.run(t)
	s.SetCallbacks(slacktest.Callbacks{Secret: "canary-of-the-signing-secret", Interactions: r.url + "/slack/interactions", Self: url})
	t.Chdir(dir)
	t.Setenv("TOCSIN_URL", r.url)
	ran := 0
	for _, f := range all {
		if f.lang != "sh" {
			continue
		}
		for line := range strings.Lines(f.text) {
			words := options.FindAllString(line, -1)
			require.Equal(t, "tocsin", words[0], line)
			for n := range words {
				words[n] = strings.Trim(words[n], `"`)
			}
			if words[1] == "serve" {
				continue // it runs already
			}
			out := runCLI(t, 0, words[1:]...)
			assert.NotEmpty(t, out, line)
			assert.NotContains(t, out, "canary", line)
			assert.NotContains(t, out, "FAIL", line)
			ran++
		}
	}
	assert.GreaterOrEqual(t, ran, 8)
	require.Eventually(t, func() bool { return len(s.Messages("dm:U024BE7LH")) == 1 }, 20*time.Second, 5*time.Millisecond)
	m := s.Messages("dm:U024BE7LH")[0]
	_, err := s.Click(m.Channel, m.TS, "U024BE7LH", slack.ActionAcknowledge)
	require.NoError(t, err)
	require.Len(t, r.incidents(t), 1)
	assert.Equal(t, "ana", r.incidents(t)[0].AcknowledgedBy)
	assert.Contains(t, r.get(t, "/metrics"), `tocsin_slack_callbacks_total{kind="interaction",outcome="done"} 1`)
}

// TestSlackDocumentTellsTheScopes compares the table with the one that the manifest
// is made of.
func TestSlackDocumentTellsTheScopes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| Scope | For | To |\n|---|---|---|\n")
	for _, s := range slack.Scopes(slack.Permissions()) {
		var features []string
		for _, p := range s.For {
			if !slices.Contains(features, string(p.For)) {
				features = append(features, string(p.For))
			}
		}
		name := "`" + s.Name + "`"
		if s.Level != "" {
			name += " of the app-level token"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, strings.Join(features, ", "), s.Why())
	}
	assert.Contains(t, string(read(t, slackDocument)), b.String(), "put this into docs/slack.md:\n%s", b.String())
}

func TestSlackCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do      func(*slacktest.Server)
		changes []string
		want    []string
		fails   string
	}{
		"all is well": {want: []string{
			"ok    bot token", "ok    scope chat:write: to post", "ok    channel #incidents", "ok    user ana", "?     signing secret", "outcome=\"done\"",
		}},
		"Socket Mode":     {changes: []string{`slack: {app_token_file: slack.app-token}`}, want: []string{"ok    app token", "-     signing secret: not needed"}},
		"no clicks":       {changes: []string{`slack: {signing_secret_file: ""}`}, want: []string{"-     signing secret: neither"}},
		"no https":        {changes: []string{`server: {external_url: "http://tocsin.example.com"}`}, want: []string{"?     callbacks: server.external_url is not https"}},
		"archived":        {do: func(s *slacktest.Server) { s.SetArchived("incidents", true) }, want: []string{"FAIL  channel #incidents", "unarchive"}, fails: "1 of "},
		"deactivated":     {do: func(s *slacktest.Server) { s.Deactivate("U0G9QF9C6", true) }, want: []string{"FAIL  user bo"}, fails: "1 of "},
		"revoked":         {do: func(s *slacktest.Server) { s.RevokeToken("xoxb-canary-bot") }, want: []string{"FAIL  bot token"}, fails: "1 of "},
		"wrong app token": {changes: []string{`slack: {app_token: xapp-canary-wrong}`}, want: []string{"FAIL  app token"}, fails: "1 of "},
		"user group": {
			do:      func(s *slacktest.Server) { s.AddUserGroup(slacktest.UserGroup{ID: "S0614TZR7"}) },
			changes: []string{`schedules: [{name: primary, user_group: S0614TZR7}]`},
			want:    []string{"FAIL  scope usergroups:read", "FAIL  scope usergroups:write", "FAIL  user group S0614TZR7"}, fails: "3 of ",
		},
		"no bot token": {changes: []string{`slack: {bot_token_file: ""}`}, fails: "bot token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s, url := slackDesk(t)
			if c.do != nil {
				c.do(s)
			}
			var out bytes.Buffer
			err := (&slackCheckCmd{Config: emulated(t, dir, url, c.changes...)}).Run(t.Context(), &env{out: &out, err: &out})
			if c.fails == "" {
				require.NoError(t, err, out.String())
			} else {
				require.ErrorContains(t, err, c.fails, out.String())
				var exit exitError
				require.ErrorAs(t, err, &exit)
				assert.Equal(t, 1, exit.code)
			}
			for _, w := range c.want {
				assert.Contains(t, out.String(), w)
			}
			assert.NotContains(t, out.String(), "canary")
		})
	}
}

func TestSlackCheckAsJSON(t *testing.T) {
	t.Parallel()
	dir, s, url := slackDesk(t)
	s.SetArchived("incidents", true)
	c := &slackCheckCmd{Config: emulated(t, dir, url)}
	c.Output = "json"
	var out bytes.Buffer
	require.Error(t, c.Run(t.Context(), &env{out: &out, err: &out}))
	var got struct{ Findings []slack.Finding }
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	n := slices.IndexFunc(got.Findings, func(f slack.Finding) bool { return f.What == "channel #incidents" })
	require.GreaterOrEqual(t, n, 0)
	assert.Equal(t, slack.CheckMissing, got.Findings[n].Status)
}

func TestSlackManifestFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	dir, _, url := slackDesk(t)
	for name, c := range map[string]struct {
		changes     []string
		flags       slackManifestCmd
		has, hasNot []string
	}{
		"as documented": {has: []string{"https://tocsin.example.com/slack/events", "channels:manage", "socket_mode_enabled: false"}, hasNot: []string{"usergroups:", "groups:write"}},
		"Socket Mode":   {changes: []string{`slack: {app_token_file: slack.app-token}`}, has: []string{"socket_mode_enabled: true"}, hasNot: []string{"https://tocsin", "connections:write"}},
		"a URL all the same": {
			changes: []string{`slack: {app_token_file: slack.app-token}`}, flags: slackManifestCmd{URL: "https://other.example.com"},
			has: []string{"socket_mode_enabled: false", "https://other.example.com/slack/commands"},
		},
		"no look-up":       {changes: []string{`slack: {lookup: false}`}, hasNot: []string{"groups:read"}},
		"user groups":      {changes: []string{`schedules: [{name: primary, user_group: S0614TZR7}]`}, has: []string{"usergroups:read", "usergroups:write"}},
		"private channels": {changes: []string{`slack: {incident_channels: {private: true}}`}, has: []string{"groups:write"}, hasNot: []string{"channels:manage"}},
		"flags":            {flags: slackManifestCmd{UserGroups: true, PrivateChannels: true}, has: []string{"usergroups:write", "groups:write"}},
		"explained":        {flags: slackManifestCmd{Explain: true}, has: []string{"pins:write\n  pins.add: "}, hasNot: []string{"_metadata"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.flags.Config = emulated(t, dir, url, c.changes...)
			var out bytes.Buffer
			require.NoError(t, c.flags.Run(&env{out: &out, err: &out}))
			for _, w := range c.has {
				assert.Contains(t, out.String(), w)
			}
			for _, w := range c.hasNot {
				assert.NotContains(t, out.String(), w)
			}
			assert.NotContains(t, out.String(), "canary")
		})
	}
	err := (&slackManifestCmd{}).Run(&env{out: &bytes.Buffer{}})
	require.ErrorContains(t, err, "--socket-mode")
}
