package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	gojson "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
)

const canary = "canary-5f2c9e"

// withCanaries has the canary in every secret there is, written and from files.
func withCanaries(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(canary+"file\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "url"), []byte("https://x.example/"+canary+"\n"), 0o600))
	cfg, warnings, err := config.Parse(filepath.Join(dir, "tocsin.yml"), []byte(`
server:
  intake_tokens: [`+canary+`1]
  intake_basic_auth: {username: am, password_file: secret}
  api_tokens: ["ana:`+canary+`2", `+canary+`3]
  calendar_token: `+canary+`6
slack: {bot_token_file: secret}
pagerduty: {api_token: `+canary+`7}
smtp: {host: mail.example.com, from: t@example.com, username: u, password: `+canary+`8}
users:
  - {name: ana, slack: U0ANA, pagerduty_routing_key: `+canary+`9}
  - {name: bo, slack: U0BO, pagerduty_routing_key_file: secret}
schedules:
  - name: primary
    layers:
      - {calendar: {url: "https://x.example/`+canary+`10"}}
      - {calendar: {url_file: url}}
time_off_calendars: [{user: ana, url: "https://x.example/`+canary+`11"}]
route: {receiver: all}
receivers:
  - name: all
    pagerduty_configs: [{routing_key: `+canary+`4}, {routing_key_file: secret}]
    webhook_configs:
      - {url_file: url, bearer_token_file: secret}
      - {url: "https://x.example/`+canary+`", basic_auth: {username: u, password: `+canary+`5}}
`))
	require.NoError(t, err)
	assert.NotContains(t, warnings.String(), canary)
	return cfg
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	cfg := withCanaries(t)
	assert.Equal(t, canary+"file", cfg.Slack.BotToken.Reveal())

	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%c", "%U", "%e", "%T %[1]v"} {
		shown[verb] = fmt.Sprintf(verb, *cfg) + fmt.Sprintf(verb, cfg.Slack.BotToken) +
			fmt.Sprintf(verb, &cfg.Slack.BotToken) + fmt.Sprintf(verb, cfg.Server.APITokens) + fmt.Sprintf(verb, cfg.Receivers)
	}
	shown["error"] = fmt.Errorf("posting with %v: %w", cfg.Slack.BotToken, os.ErrClosed).Error()
	marshal := map[string]func(any) ([]byte, error){
		"json": json.Marshal, "go-json": func(v any) ([]byte, error) { return gojson.Marshal(v) },
		"yaml": func(v any) ([]byte, error) { return yaml.Dump(v) },
	}
	for name, f := range marshal {
		out, err := f(cfg)
		require.NoError(t, err, name)
		assert.Contains(t, string(out), "secret", name)
		shown[name] = string(out)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "config", cfg, "value", *cfg, "secret", cfg.Slack.BotToken,
			"token", cfg.Server.APITokens[0], "tokens", cfg.Server.APITokens, "slack", cfg.Slack)
	}
	shown["log"] = log.String()
	for how, text := range shown {
		assert.NotContains(t, text, canary, how)
		assert.NotContains(t, text, fmt.Sprintf("%x", canary), how)
	}
}

func TestSecretPrintsAsItself(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "<secret>", config.NewSecret("x").String())
	assert.Equal(t, "<secret>", fmt.Sprintf("%q", config.NewSecret("x")))
	assert.Empty(t, config.Secret{}.String(), "that there is none is no secret")
	assert.Equal(t, "ana:<secret>", config.APIToken{Name: "ana", Token: config.NewSecret("x")}.String())
}

func TestHash(t *testing.T) {
	t.Parallel()
	parse := func(src string) *config.Config {
		cfg, _, err := config.Parse("tocsin.yml", []byte(src))
		require.NoError(t, err)
		return cfg
	}
	base := parse(minimal)
	assert.Regexp(t, "^[0-9a-f]{16}$", base.Hash())
	assert.Equal(t, base.Hash(), parse(minimal+"\n# a comment at the end\n").Hash())
	seen := map[string]string{base.Hash(): "minimal"}
	for _, src := range []string{
		minimal + "storage: {retention: 1d}",
		minimal + "storage: {retention: 2d}",
		minimal + "slack: {bot_token: xoxb-a}",
		minimal + "slack: {bot_token: xoxb-b}",
		minimal + "runbooks: {dirs: [a, b]}",
		minimal + "runbooks: {dirs: [ab]}",
		minimal + "runbooks: {dirs: [a]}",
		minimal + "users: [{name: ana, email: a@example.com}]",
		minimal + "users: [{name: ana, email: a@example.com, quiet_hours: [{end_time: '07:00'}]}]",
		minimal + "users: [{name: ana, email: a@example.com, quiet_hours: [{end_time: '07:01'}]}]",
		minimal + "users: [{name: ana, email: a@example.com, quiet_hours: [{weekdays: [monday]}]}]",
		minimal + "users: [{name: ana, email: a@example.com, quiet_hours: [{weekdays: [sunday]}]}]",
		minimal + "time_off_calendars: [{user: ana, url: 'https://x.example/a'}]\nusers: [{name: ana, email: a@example.com}]",
		minimal + "time_off_calendars: [{user: ana, url: 'https://x.example/b'}]\nusers: [{name: ana, email: a@example.com}]",
		"\n" + minimal, // The rules are at other places, which explanations name.
	} {
		h := parse(src).Hash()
		assert.NotContains(t, seen, h, src)
		seen[h] = src
		changed := config.Changed(base, parse(src))
		assert.Equal(t, src != "\n"+minimal, len(changed) > 0, "%s: %v", src, changed)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	parse := func(src string) *config.Config {
		cfg, _, err := config.Parse("tocsin.yml", []byte(minimal+src))
		require.NoError(t, err)
		return cfg
	}
	base := parse("slack: {bot_token: xoxb-1}\nusers: [{name: ana, email: a@example.com}]")
	assert.Empty(t, config.Changed(base, base))
	assert.Empty(t, config.Changed(base, parse("# moved\nslack: {bot_token: xoxb-1}\n\nusers:\n  - {name: ana, email: a@example.com}")))
	assert.Equal(t, []string{"slack", "users"}, config.Changed(base, parse("slack: {bot_token: xoxb-2}\nusers: []")))
	assert.Equal(t, []string{"users"}, config.Changed(base, parse("slack: {bot_token: xoxb-1}\nusers: [{name: ana, email: b@example.com}]")))
}

func TestRestartNeeded(t *testing.T) {
	t.Parallel()
	parse := func(src string) *config.Config {
		cfg, _, err := config.Parse("tocsin.yml", []byte(minimal+src))
		require.NoError(t, err)
		return cfg
	}
	base := parse("")
	assert.Empty(t, config.RestartNeeded(base, parse("")))
	assert.Empty(t, config.RestartNeeded(base, parse("storage: {retention: 1d}\nslack: {bot_token: xoxb-1}")))
	assert.Empty(t, config.RestartNeeded(base, parse(`
smtp: {host: localhost, from: t@example.com}
server: {calendar_token: other}
users: [{name: ana, email: ana@example.com}]
schedules: [{name: primary, layers: [{users: [ana], rotation: {start: "2026-01-05"}}]}]
calendars: {allow_private: [10.0.0.0/8]}
escalation_policies: [{name: p, steps: [{notify: [{user: ana}]}], last_resort: [{schedule: primary}]}]`)), "people and schedules change with a reload")
	assert.Equal(t, []string{"server.listen", "server.limits.queue", "storage.path", "nats"},
		config.RestartNeeded(base, parse(`
server: {listen: "127.0.0.1:1", limits: {queue: 1}}
storage: {path: other}
nats: {events: {max_age: 1d}}`)))
}
