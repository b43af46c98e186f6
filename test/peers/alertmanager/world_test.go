// Package alertmanager_test drives the real Tocsin with the client that
// Alertmanager generates from its own description of its API, beside a real
// Alertmanager that has the same alerts; and asks what karma and Grafana ask. It is
// a module of its own, as the client's libraries are not Tocsin's.
package alertmanager_test

import (
	"context"
	"fmt"
	"go/build"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take: the machine may be busy with much else.
const patience = 2 * time.Minute

// Tokens of Tocsin's.
const (
	tokenOfAna    = "canary-token-of-ana"
	tokenOfKarma  = "canary-token-of-karma"
	tokenOfEve    = "canary-token-of-eve"
	tokenOfIntake = "canary-token-of-intake"
)

// routing is what both route by; chat and page take nothing but what is looked at.
const routing = `
route:
  receiver: chat
  group_by: [alertname, cluster]
  %s
  routes:
    - {receiver: page, matchers: ['severity="critical"'], continue: true}
    - {receiver: chat, group_by: [team], matchers: ['team=~".+"']}
    - {receiver: chat}
inhibit_rules:
  - {source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname=~"Node.*"'], equal: [cluster]}
`

const tocsinConfig = `
server:
  listen: "127.0.0.1:0"
  external_url: "http://tocsin.example.com"
  api_tokens: ["ana:responder:` + tokenOfAna + `", "karma:responder:` + tokenOfKarma + `", "eve:viewer:` + tokenOfEve + `"]
  intake_tokens: ["` + tokenOfIntake + `"]
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary, signing_secret: canarysigningsecret, api_url: "http://127.0.0.1:1/api/"}
users: [{name: ana, slack: U0ANA, contacts: [{by: slack}]}]
receivers:
  - {name: chat, slack_configs: [{channel: "#chat"}]}
  - {name: page, slack_configs: [{channel: "#page"}]}
`

// feederConfig has an Alertmanager without silences and inhibition send everything
// to Tocsin at once.
const feederConfig = `
route: {receiver: tocsin, group_by: ['...'], group_wait: 0s, group_interval: 1s}
receivers:
  - name: tocsin
    webhook_configs:
      - url: %s/webhook/alertmanager
        http_config: {authorization: {credentials: ` + tokenOfIntake + `}}
`

// world is Tocsin, an Alertmanager that feeds it, and another to compare it with.
type world struct {
	tocsin, judge, feeder string
}

func startWorld(t *testing.T) *world {
	t.Helper()
	program, err := filepath.Abs("../../../bin/tocsin")
	require.NoError(t, err)
	if set := os.Getenv("TOCSIN"); set != "" {
		program = set
	}
	require.FileExists(t, program, "run it by make test-peers")
	manager, err := exec.LookPath("alertmanager")
	if err != nil {
		manager = filepath.Join(build.Default.GOPATH, "bin", "alertmanager")
	}
	if _, err := os.Stat(manager); err != nil {
		t.Skip("alertmanager is not installed: go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1")
	}
	w := &world{}
	w.tocsin = start(t, program, fmt.Sprintf(routing, "")+tocsinConfig, "serve")
	flags := []string{"--web.listen-address=127.0.0.1:0", "--cluster.listen-address=", "--storage.path=data"}
	w.feeder = start(t, manager, fmt.Sprintf(feederConfig, w.tocsin), flags...)
	w.judge = start(t, manager, fmt.Sprintf(routing, "group_wait: 0s")+"receivers: [{name: chat}, {name: page}]\n", flags...)
	return w
}

// listening is where each logs the port that it was given.
var listening = regexp.MustCompile(`(?:tocsin is listening|Listening on)"? .*?address="?([0-9.]+:[0-9]+)`)

// start runs a program in a folder of its own until it is ready, and ends it with
// the test.
func start(t *testing.T, program, config string, args ...string) (url string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600))
	logs, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(program, append(args, "--config.file=config.yml")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, logs, logs
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended, its log says
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		}
		_ = logs.Close()
		if args[0] == "serve" {
			said, err := exec.Command("../../../bin/leak-search", dir).CombinedOutput()
			assert.NoError(t, err, "what it leaves: %s", said)
		}
		if t.Failed() {
			said, _ := os.ReadFile(logs.Name())
			t.Logf("%s\n%s", filepath.Base(program), said)
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		said, err := os.ReadFile(logs.Name())
		found := listening.FindSubmatch(said)
		if err != nil || found == nil {
			return false
		}
		url = "http://" + string(found[1])
		resp, err := http.Get(url + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond, program)
	require.NotEmpty(t, url, "%s did not start", program)
	return url
}

// clientOf is Alertmanager's own client, of the generation that Tocsin knows.
func clientOf(base, token string) *client.AlertmanagerAPI {
	transport := httptransport.New(strings.TrimPrefix(base, "http://"), client.DefaultBasePath, []string{"http"})
	if token != "" {
		transport.DefaultAuthentication = httptransport.BearerToken(token)
	}
	return client.New(transport, strfmt.Default)
}

// both are the two that are compared.
func (w *world) both() map[string]*client.AlertmanagerAPI {
	return map[string]*client.AlertmanagerAPI{"tocsin": clientOf(w.tocsin, tokenOfAna), "alertmanager": clientOf(w.judge, "")}
}

// began is when the alerts began to fire.
var began = time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond)

// fire has alerts fire, at Tocsin by way of the feeder.
func (w *world) fire(t *testing.T, alerts ...models.LabelSet) {
	t.Helper()
	var body models.PostableAlerts
	for n, l := range alerts {
		body = append(body, &models.PostableAlert{
			Alert:       models.Alert{Labels: l, GeneratorURL: strfmt.URI(fmt.Sprintf("http://prometheus.example.com/graph?g0.expr=%%7B%d%%7D&g0.tab=1", n))},
			Annotations: models.LabelSet{"summary": fmt.Sprintf("number %d <b>&\"ünï\"", n)},
			StartsAt:    strfmt.DateTime(began.Add(time.Duration(n) * time.Second)), EndsAt: strfmt.DateTime(time.Now().Add(time.Hour)),
		})
	}
	for _, base := range []string{w.feeder, w.judge} {
		_, err := clientOf(base, "").Alert.PostAlerts(alert.NewPostAlertsParams().WithContext(t.Context()).WithAlerts(body))
		require.NoError(t, err)
	}
}

// ask is a plain request.
func ask(ctx context.Context, t *testing.T, method, url, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // a redirect is an answer
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
