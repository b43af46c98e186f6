package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
)

const minimal = `
route: {receiver: hook}
receivers:
  - name: hook
    webhook_configs: [{url: "http://127.0.0.1:8080/"}]
`

// setEnv sets the variables that the files in testdata name.
func setEnv(t *testing.T) {
	t.Helper()
	t.Setenv("TOCSIN_TEST_CANARY", "canary-env")
	t.Setenv("TOCSIN_TEST_INTAKE_TOKEN", "intake-token-from-env")
	t.Setenv("TOCSIN_TEST_ROUTING_KEY", "fedcba9876543210fedcba9876543210")
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}

func TestBadConfigurationsAreRefusedInFullAndInPlace(t *testing.T) {
	setEnv(t)
	for _, file := range files(t, "testdata/bad/*.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			var want []string
			for line := range strings.Lines(string(src)) {
				text, ok := strings.CutPrefix(line, "# want: ")
				if !ok {
					break
				}
				want = append(want, strings.TrimSpace(text))
			}
			require.NotEmpty(t, want, "the file must say what it wants: # want: line:column: message")

			cfg, warnings, err := config.Load(file)
			assert.Nil(t, cfg)
			var e *config.Error
			require.ErrorAs(t, err, &e)
			var got []string
			for _, p := range e.Problems {
				got = append(got, strings.TrimSpace(strings.TrimPrefix(p.String(), file+":")))
			}
			assert.Equal(t, want, got)
			assert.NotContains(t, err.Error()+warnings.String(), "canary-env")
			if !strings.Contains(string(src), "unknown key") {
				assert.NotContains(t, err.Error(), "canary", "a secret or the credentials of a URL")
			}
		})
	}
}

func TestGoodConfigurationsLoad(t *testing.T) {
	setEnv(t)
	for _, file := range files(t, "testdata/good/*.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, warnings, err := config.Load(file)
			require.NoError(t, err)
			require.NotNil(t, cfg)
			for _, w := range warnings {
				// How the repository was checked out decides on these.
				if strings.Contains(w.Text, "everybody on this machine can read") {
					continue
				}
				assert.Equal(t, `receiver "null" has no *_configs: it pages nobody`, w.Text)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, warnings, err := config.Parse("tocsin.yml", []byte(minimal))
	require.NoError(t, err)
	assert.Empty(t, warnings)
	d := func(d time.Duration) config.Duration { return config.Duration(d) }

	assert.Equal(t, config.Server{
		Listen: "127.0.0.1:9911", ExternalURL: "http://127.0.0.1:9911",
		Limits: config.Limits{
			Body: 4 << 20, Alerts: 10000, Labels: 128, LabelName: 1 << 10, LabelValue: 16 << 10,
			Queue: 1024, Wait: d(3 * time.Second), RequestsPerSecond: 100, Connections: 10000,
		},
	}, cfg.Server)
	assert.Equal(t, config.Storage{
		Path: "data", MaxSize: 16 << 30, MinFree: 256 << 20, Ballast: 16 << 20, Retention: d(90 * 24 * time.Hour),
	}, cfg.Storage)
	assert.Equal(t, config.NATS{
		Replicas: 1, Events: config.NATSEvents{MaxAge: d(7 * 24 * time.Hour), MaxBytes: 256 << 20},
	}, cfg.NATS)
	assert.Equal(t, config.Slack{
		APIURL: "https://slack.com/api/", RateLimit: 1, Lookup: true, Timeout: d(10 * time.Second), DigestAfter: 5,
		IncidentChannels: config.IncidentChannels{Prefix: "inc", ArchiveAfter: d(24 * time.Hour)},
	}, cfg.Slack)
	assert.Equal(t, config.PagerDuty{
		EventsURL: "https://events.pagerduty.com", APIURL: "https://api.pagerduty.com", RateLimit: 100, Timeout: d(10 * time.Second),
	}, cfg.PagerDuty)
	assert.Equal(t, config.SMTP{Port: 587, TLS: "starttls", Timeout: d(10 * time.Second), RateLimit: 10}, cfg.SMTP)
	assert.Equal(t, config.Incidents{
		ReopenWindow: d(30 * time.Minute), LateWindow: d(time.Minute), StaleAfter: d(12 * time.Hour),
		Flapping: config.Flapping{Changes: 6, Window: d(15 * time.Minute), Settle: d(10 * time.Minute)},
	}, cfg.Incidents)
	assert.Equal(t, config.Alarm{After: d(5 * time.Minute)}, cfg.Alarm)
	assert.Equal(t, []config.WebhookConfig{{
		URL: config.NewSecret("http://127.0.0.1:8080/"), Timeout: d(10 * time.Second), SendResolved: true,
	}}, cfg.Receivers[0].WebhookConfigs)
	assert.Empty(t, cfg.Runbooks.Dirs)
}

func TestFullConfiguration(t *testing.T) {
	setEnv(t)
	cfg, _, err := config.Load("testdata/good/full.yml")
	require.NoError(t, err)

	assert.Equal(t, "https://tocsin.example.com", cfg.Server.ExternalURL, "without its last slash")
	assert.Equal(t, []config.Secret{config.NewSecret("intake-token-from-env")}, cfg.Server.IntakeTokens)
	assert.Equal(t, []config.APIToken{
		{Name: "ana", Role: tocsin.RoleAdmin, Token: config.NewSecret("ana-api-token")},
		{Name: "bo", Role: tocsin.RoleViewer, Token: config.NewSecret("bo-api-token")},
		{Name: config.DefaultActor, Role: tocsin.RoleAdmin, Token: config.NewSecret("plain-api-token")},
	}, cfg.Server.APITokens)
	assert.Equal(t, "http://127.0.0.1:9912/api/", cfg.Slack.APIURL, "with its last slash")
	assert.Equal(t, "xoxb-from-file", cfg.Slack.BotToken.Reveal(), "without the line break")
	assert.False(t, cfg.Slack.Lookup)
	assert.Zero(t, cfg.Incidents.StaleAfter)
	assert.Equal(t, []string{"testdata/good/runbooks", "/srv/runbooks"}, cfg.Runbooks.Dirs)
	assert.Equal(t, "testdata/good/secrets/nats-ca.pem", cfg.NATS.TLS.CAFile)

	critical := cfg.Receivers[1]
	assert.Equal(t, "#incidents", critical.SlackConfigs[0].Channel)
	assert.Equal(t, "0123456789abcdef0123456789abcdef", critical.PagerDutyConfigs[0].RoutingKey.Reveal())
	require.NotNil(t, critical.PagerDutyConfigs[0].RateLimit)
	assert.InDelta(t, 30, *critical.PagerDutyConfigs[0].RateLimit, 0)
	assert.Nil(t, critical.PagerDutyConfigs[1].RateLimit)
	hooks := cfg.Receivers[2].WebhookConfigs
	assert.Equal(t, "https://hooks.example.com/one", hooks[0].URL.Reveal())
	assert.False(t, hooks[0].SendResolved)
	assert.True(t, hooks[1].SendResolved)
	assert.Equal(t, "hook password", hooks[1].BasicAuth.Password.Reveal())

	// A $ that ends a regular expression is no variable.
	m, err := config.ParseMatchers(cfg.Route.Routes[0].Matchers)
	require.NoError(t, err)
	require.Len(t, m, 2)
	assert.True(t, m[1].Matches("storage"))
	assert.False(t, m[1].Matches("storage2"))
}

func TestRulesKnowTheirPlace(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Load("testdata/good/from-alertmanager.yml")
	require.NoError(t, err)
	assert.Equal(t, "from-alertmanager.yml:3", cfg.Route.Pos)
	assert.Equal(t, "from-alertmanager.yml:6", cfg.Route.Routes[0].Pos)
	assert.Equal(t, "from-alertmanager.yml:14", cfg.Receivers[0].Pos)
	assert.Equal(t, "from-alertmanager.yml:24", cfg.InhibitRules[0].Pos)
	assert.Equal(t, "from-alertmanager.yml:28", cfg.TimeIntervals[0].Pos)
}

func TestGroupByTellsAbsentFromEmpty(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Load("testdata/good/anchors.yml")
	require.NoError(t, err)
	assert.Equal(t, []string{"alertname"}, cfg.Route.Routes[0].GroupBy)
	inner := cfg.Route.Routes[0].Routes[0]
	assert.NotNil(t, inner.GroupBy)
	assert.Empty(t, inner.GroupBy)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "slack.token")
	require.NoError(t, os.WriteFile(file, []byte("token-of-another-kind"), 0o600))
	require.NoError(t, os.Chmod(file, 0o644))
	cfg, warnings, err := config.Parse(filepath.Join(filepath.Dir(file), "tocsin.yml"), []byte(`
server: {listen: "0.0.0.0:9911", intake_tokens: [t1], api_tokens: [t2]}
nats: {credentials_file: slack.token}
slack: {bot_token_file: slack.token}
incidents: {stale_after: 1m}
alarm: {receiver: chat}
route:
  receiver: chat
  routes:
    - receiver: drop
    - matchers: [a="b"]
      receiver: pager
receivers:
  - name: chat
    slack_configs: [{channel: "#a"}]
  - name: drop
  - name: pager
    slack_configs: [{channel: "#b"}]
    pagerduty_configs: [{routing_key: short}]
  - name: unused
    webhook_configs: [{url: "http://x.example/"}]
time_intervals: [{name: never, time_intervals: [{weekdays: [monday]}]}]
`))
	require.NoError(t, err)
	assert.Equal(t, "http://localhost:9911", cfg.Server.ExternalURL)
	for _, want := range []string{
		":2:18: external_url is not set: the links in messages lead to http://localhost:9911",
		":3:26: credentials_file means nothing without nats.url",
		":3:26: credentials_file: everybody on this machine can read",
		":4:25: bot_token does not look like one",
		":4:25: bot_token_file: everybody on this machine can read",
		":5:26: stale_after: 1m is shorter than most repeat intervals",
		`:6:19: receiver "chat" uses Slack only`,
		":10:7: this route has no matchers and takes every alert: those after it are never reached",
		`:16:11: receiver "drop" has no *_configs: it pages nobody`,
		":19:39: routing_key does not look like one",
		`:20:11: receiver "unused" is used by no route`,
		`:22:25: time interval "never" is used by no route`,
	} {
		assert.Contains(t, warnings.String(), want)
	}
	assert.Len(t, warnings, 12)
}

func TestLoadOfNoFile(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load(filepath.Join(t.TempDir(), "none.yml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Contains(t, err.Error(), "--config.file")
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	_, _, err := config.Parse("big.yml", make([]byte, 1<<20+1))
	require.ErrorContains(t, err, "larger than 1 MiB")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("TOCSIN_TEST_HOST", "${TOCSIN_TEST_OTHER}: {not: yaml}")
	t.Setenv("TOCSIN_TEST_EMPTY", "")
	cfg, _, err := config.Parse("tocsin.yml", []byte(`
runbooks:
  dirs: ["/a/$$x/${TOCSIN_TEST_EMPTY}", "/$5/$", '/${TOCSIN_TEST_HOST}', "/$${LITERAL}"]
`+minimal))
	require.NoError(t, err)
	assert.Equal(t, []string{"/a/$x/", "/$5/$", "/${TOCSIN_TEST_OTHER}: {not: yaml}", "/${LITERAL}"}, cfg.Runbooks.Dirs)
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yml", "testdata/bad/*.yml"} {
		list, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range list {
			src, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("\xff\xfe\x00"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src []byte) {
		cfg, _, err := config.Parse(filepath.Join(dir, "fuzz.yml"), src)
		if err != nil {
			var e *config.Error
			require.ErrorAs(t, err, &e)
			require.NotEmpty(t, e.Problems)
			require.Nil(t, cfg)
			return
		}
		again, _, err := config.Parse(filepath.Join(dir, "fuzz.yml"), src)
		require.NoError(t, err)
		require.Equal(t, cfg.Hash(), again.Hash())
	})
}
