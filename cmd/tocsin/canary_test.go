package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/access/oidc/oidctest"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// The secrets of the canary's configuration: one for each key that is a secret.
const canaryConfig = `
server:
  listen: "%[1]s"
  external_url: "http://%[1]s"
  intake_tokens: [canary-intake-token]
  intake_basic_auth: {username: am, password: canary-intake-password}
  api_tokens: ["ops:canary-api-token", "wall:viewer:canary-wall-token"]
  calendar_token: canary-calendar-token
auth:
  oidc: {issuer: "%[3]s", client_id: tocsin, client_secret: canary-client-secret}
storage: {path: data, min_free: 0, ballast: 0}
runbooks: {dirs: [runbooks]}
slack: {bot_token: xoxb-canary-bot-token, signing_secret: canary-signing-secret, app_token: xapp-canary-app-token, api_url: "%[2]s/api/", rate_limit: 0}
pagerduty: {events_url: "%[2]s", api_url: "%[2]s", api_token: canary-pagerduty-token, webhook_secrets: [canary-pagerduty-webhook], rate_limit: 0}
smtp: {host: 127.0.0.1, port: 1, tls: starttls, from: t@example.com, username: tocsin, password: canary-smtp-password}
prometheus: {url: "%[2]s", bearer_token: canary-prometheus-token}
alertmanager: {urls: ["%[2]s"], token: canary-alertmanager-token, every: 10s}
doors:
  pagerduty: [{routing_key: canarylegacyroutingkey0000000001, source: legacy}]
time_off_calendars: [{user: ana, url: "%[2]s/away.ics?key=canary-time-off-url", every: 1m}]
calendars: {allow_private: [127.0.0.0/8]}
users:
  - {name: ana, email: ana@example.com, slack: U0ANA, role: manager, pagerduty_routing_key: canaryanaroutingkey000000000001}
schedules:
  - name: primary
    layers:
      - {users: [ana], rotation: {unit: weeks, start: "2026-01-05"}}
      - {priority: 5, calendar: {url: "%[2]s/shared.ics?key=canary-shared-url"}}
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: ana}]}
route: {receiver: all, group_by: [alertname]}
receivers:
  - name: all
    escalation_policy: platform
    slack_configs: [{channel: "#incidents"}]
    pagerduty_configs: [{routing_key: canaryservicerouting000000000001}]
    webhook_configs:
      - {url: "%[2]s/hook/canary-hook-url", bearer_token: canary-hook-token}
      - {url: "%[2]s/hook/second", basic_auth: {username: u, password: canary-hook-password}}
    email_configs: [{to: team@example.com}]
`

// TestCanarySecrets runs the real binary against providers that send everything
// back that they are sent, and looks for each secret, as it is and as it is
// written on the wire, in everything that comes out.
func TestCanarySecrets(t *testing.T) {
	t.Parallel()
	c := startCanary(t)
	cfg, _, err := config.Load(c.file)
	require.NoError(t, err)
	var secrets []string
	for _, s := range cfg.Hidden {
		secrets = append(secrets, s.Reveal())
	}
	assertEverySecretIsThere(t, cfg)

	c.fire()
	token := c.token()
	session := c.logIn()
	secrets = append(secrets, token, session)
	c.useSecretsInWrongPlaces(secrets)
	require.Eventually(t, func() bool { return c.echoes("/hook/") && c.echoes("chat.postMessage") && c.echoes("/v2/enqueue") },
		time.Minute, 50*time.Millisecond, "the providers were asked")
	c.crawl(session)
	c.save("backup", c.body("GET", "/api/v1/backup"))
	c.stop()
	c.save("the log", c.log.String())
	c.saveFiles()

	for place, text := range c.seen {
		if err := leak.Text(text, secrets...); err != nil {
			t.Errorf("%s holds %v", place, err)
		}
	}
	assert.Greater(t, len(c.seen), 30, "there is much to look at")
	assert.Contains(t, c.log.String(), "level=DEBUG", "the log is the longest there is")
}

// assertEverySecretIsThere fails for a key that can hold a secret and has none
// here: whoever adds one adds a canary.
func assertEverySecretIsThere(t *testing.T, cfg *config.Config) {
	t.Helper()
	found, within := map[string]bool{}, map[reflect.Type]bool{}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[config.Secret](), v.Type() == reflect.TypeFor[config.APIToken]():
			found[path] = found[path] || !v.IsZero()
		case v.Kind() == reflect.Pointer:
			if v.IsNil() {
				v = reflect.New(v.Type().Elem())
			}
			walk(path, v.Elem())
		case v.Kind() == reflect.Slice:
			if of := v.Type().Elem(); !within[of] { // routes hold routes
				within[of] = true
				walk(path, reflect.Zero(of))
				delete(within, of)
			}
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && f.Name != "Hidden" {
					walk(path+"."+f.Name, v.Field(i))
				}
			}
		}
	}
	walk("", reflect.ValueOf(cfg).Elem())
	require.Greater(t, len(found), 15)
	found[".Alertmanager.BasicAuth.Password"] = true // it stands in the token's place
	for path, has := range found {
		assert.True(t, has, "%s can hold a secret, and canaryConfig gives it none", path)
	}
}

// canary is the real binary and what came out of it.
type canary struct {
	t        *testing.T
	file     string
	url      string
	log      *record
	seen     map[string]string
	command  *exec.Cmd
	echo     *echo
	provider *oidctest.Issuer
}

// echo answers everything with all that it was sent.
type echo struct {
	got record
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true)
	_, _ = e.got.Write(dump)
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(dump)
}

// record keeps what is written.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func startCanary(t *testing.T) *canary {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	c := &canary{t: t, file: filepath.Join(dir, "tocsin.yml"), url: "http://" + address, log: &record{}, seen: map[string]string{}, echo: &echo{}}
	providers := httptest.NewServer(c.echo)
	t.Cleanup(providers.Close)
	c.provider = oidctest.New(t, c.url+"/login/callback", time.Now)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "runbooks"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "runbooks", "down.md"), []byte("# Down\n\nalert: NodeDown\n\n1. Look\n"), 0o600))
	require.NoError(t, os.WriteFile(c.file, fmt.Appendf(nil, canaryConfig, address, providers.URL, c.provider.URL), 0o600))

	self, err := os.Executable()
	require.NoError(t, err)
	program := filepath.Join(dir, "tocsin") // by this name the test binary is the program, see TestMain
	require.NoError(t, os.Symlink(self, program))
	c.command = exec.Command(program, "serve", "--config.file", c.file, "--log.level", "debug")
	c.command.Stdout, c.command.Stderr = c.log, c.log
	c.command.Env = append(os.Environ(), "GOCOVERDIR="+dir)
	require.NoError(t, c.command.Start())
	t.Cleanup(func() { _ = c.command.Process.Kill() })
	require.Eventually(t, func() bool {
		resp, err := http.Get(c.url + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "it starts: %s", c.log)
	return c
}

func (c *canary) stop() {
	c.t.Helper()
	require.NoError(c.t, c.command.Process.Signal(syscall.SIGTERM))
	require.NoError(c.t, c.command.Wait(), "%s", c.log)
}

// ask sends a request as the admin of the configuration, unless header says
// otherwise, and keeps what comes back.
func (c *canary) ask(method, path, body string, header ...string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer canary-api-token")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	require.NoError(c.t, err)
	return resp
}

func (c *canary) body(method, path string, header ...string) string {
	c.t.Helper()
	resp := c.ask(method, path, "", header...)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return fmt.Sprint(resp.Header) + "\n" + string(b)
}

func (c *canary) save(place, text string) { c.seen[place] = text }

func (c *canary) fire() {
	c.t.Helper()
	resp := c.ask("POST", "/webhook/alertmanager", `{"version":"4","status":"firing","receiver":"x","alerts":[{"status":"firing","labels":{"alertname":"NodeDown","severity":"critical"},"startsAt":"2026-11-22T05:00:00Z"}]}`,
		"Authorization", "Bearer canary-intake-token")
	defer resp.Body.Close()
	require.Equal(c.t, 200, resp.StatusCode)
}

// token makes one; that answer alone may show it.
func (c *canary) token() string {
	c.t.Helper()
	resp := c.ask("POST", "/api/v1/tokens", `{"name":"ci","role":"responder"}`)
	defer resp.Body.Close()
	var made struct{ Secret string }
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&made))
	require.NotEmpty(c.t, made.Secret)
	used := c.ask("POST", "/api/v1/silences", `{"matchers":["alertname=\"X\""],"endsAt":"2030-01-01T00:00:00Z","comment":"c"}`, "Authorization", "Bearer "+made.Secret)
	defer used.Body.Close()
	require.Equal(c.t, 200, used.StatusCode)
	return made.Secret
}

// logIn logs ana in and returns what her cookie holds.
func (c *canary) logIn() string {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(c.t, err)
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(address string) *http.Response {
		resp, err := client.Get(address)
		require.NoError(c.t, err)
		defer resp.Body.Close()
		require.Equal(c.t, 303, resp.StatusCode)
		return resp
	}
	query := c.provider.Login(get(c.url + "/login/start").Header.Get("Location"))
	get(c.url + "/login/callback?" + query.Encode())
	home, err := url.Parse(c.url)
	require.NoError(c.t, err)
	for _, cookie := range jar.Cookies(home) {
		if strings.HasSuffix(cookie.Name, "tocsin_session") {
			return cookie.Value
		}
	}
	require.Fail(c.t, "there is no session")
	return ""
}

// useSecretsInWrongPlaces does what people do: it sends secrets where they do not
// belong.
func (c *canary) useSecretsInWrongPlaces(secrets []string) {
	for i, secret := range secrets {
		s := url.QueryEscape(secret)
		for n, wrong := range []struct {
			method, path string
			header       []string
		}{
			{"GET", "/oncall?token=" + s, nil},
			{"GET", "/api/v1/incidents", []string{"Authorization", "Bearer " + secret + "x"}},
			{"GET", "/api/v1/incidents", []string{"Authorization", secret}},
			{"POST", "/webhook/alertmanager", []string{"Authorization", "Bearer " + secret + "x"}},
			{"GET", "/api/v1/schedules/primary/calendar.ics?token=" + s + "x", nil},
			{"POST", "/slack/interactions", []string{"X-Slack-Signature", secret}},
			{"GET", "/login/callback?code=" + s + "&state=" + s, nil},
			{"GET", "/", []string{"Authorization", "", "Cookie", "tocsin_session=" + secret}},
			{"POST", "/-/reload", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":"+secret))}},
		} {
			c.save(fmt.Sprintf("the answer to wrong use %d of secret %d", n, i), c.body(wrong.method, wrong.path, wrong.header...))
		}
	}
	_ = c.body("POST", "/-/reload")
}

// echoes reports whether a provider has been asked there.
func (c *canary) echoes(path string) bool { return strings.Contains(c.echo.got.String(), path) }

var links = regexp.MustCompile(`(?:href|src|action)="(/[^"]*)"`)

// crawl looks at every page that a link leads to, and at the API.
func (c *canary) crawl(session string) {
	c.t.Helper()
	todo := []string{
		"/", "/oncall", "/runbooks", "/remediations", "/login", "/status", "/metrics", "/-/ready", "/api/v1/me", "/api/v1/tokens", "/api/v1/sessions", "/api/v1/incidents",
		"/api/v1/stats", "/api/v1/audit", "/api/v1/silences", "/api/v1/overrides", "/api/v1/oncall", "/api/v1/shifts", "/api/v1/openapi.yaml",
		"/api/v1/remedies", "/api/v1/remediations", "/api/v1/runbooks", "/api/v2/status", "/api/v2/alerts", "/api/v2/receivers", "/api/v2/silences",
		"/api/v1/schedules/primary/calendar.ics", "/nothing",
	}
	for id := range strings.SplitSeq(c.body("GET", "/api/v1/incidents"), `"id":"`) {
		if id, _, ok := strings.Cut(id, `"`); ok && len(id) == 6 {
			todo = append(todo, "/incidents/"+id, "/api/v1/incidents/"+id, "/api/v1/incidents/"+id+"/beside", "/api/v1/incidents/"+id+"/postmortem")
		}
	}
	for len(todo) > 0 && len(c.seen) < 1000 {
		path := todo[0]
		todo = todo[1:]
		if _, done := c.seen[path]; done || strings.HasPrefix(path, "/events") || strings.HasPrefix(path, "/login/start") || strings.HasPrefix(path, "/logout") {
			continue
		}
		how := []string{"Accept", "text/html"}
		if strings.HasPrefix(path, "/oncall") {
			how = append(how, "Authorization", "", "Cookie", "tocsin_session="+session)
		}
		c.save(path, c.body("GET", path, how...))
		for _, m := range links.FindAllStringSubmatch(c.seen[path], -1) {
			todo = append(todo, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
}

// saveFiles keeps everything in the data folder.
func (c *canary) saveFiles() {
	c.t.Helper()
	dir := filepath.Join(filepath.Dir(c.file), "data")
	require.NoError(c.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		c.save("the file "+filepath.Base(path), string(b))
		return err
	}))
	require.Contains(c.t, slices.Collect(maps.Keys(c.seen)), "the file tocsin.db")
}
