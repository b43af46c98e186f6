// Package fault runs the real binary as its users do and then does to it what
// happens at night: kill -9, a full disk, a provider that hangs.
package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// binary is the tocsin under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tocsin-fault-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "tocsin")
	build := exec.Command("go", "build", "-o", binary, "github.com/tocsin-oncall/tocsin/cmd/tocsin")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = leak.Suite{Tests: m, Answers: heard}.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const routingKey = "canary0123456789abcdef0123456789"

// world is a binary and the providers around it, which outlive it.
type world struct {
	t         *testing.T
	dir, data string
	addr      string
	slack     *slacktest.Server
	slackURL  string
	pagerduty *pagerdutytest.Server
	pdURL     string
	extra     string // more configuration
	// config makes the whole configuration; nil: the pipeline's.
	config func(*world) string

	cmd  *exec.Cmd
	logs *lockedBuffer
	said io.Writer // where the program writes: logs, searched for secrets
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), logs: &lockedBuffer{},
		slack:     slacktest.New(slacktest.WithAutoCreate(), slacktest.WithRequestLog(100_000)),
		pagerduty: pagerdutytest.New(pagerdutytest.Config{}),
	}
	w.data, w.said = filepath.Join(w.dir, "data"), leak.Log(t, w.logs)
	leak.After(t, w.data)
	s, p := httptest.NewServer(w.slack), httptest.NewServer(w.pagerduty)
	t.Cleanup(s.Close)
	t.Cleanup(p.Close)
	t.Cleanup(w.slack.Close)
	w.slackURL, w.pdURL = s.URL, p.URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.addr = l.Addr().String()
	require.NoError(t, l.Close())
	t.Cleanup(func() {
		if w.cmd != nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the program's log:\n%s", tail(w.logs.String(), 4000))
		}
	})
	return w
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

const configText = `
server: {listen: "%s"}
storage: {path: "%s", min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary-slack, api_url: "%s/api/", rate_limit: 0}
pagerduty: {events_url: "%s", rate_limit: 0}
route:
  receiver: chat
  group_by: [alertname, instance]
  routes: [{receiver: page, matchers: ['severity="critical"']}]
receivers:
  - {name: chat, slack_configs: [{channel: "#chat"}]}
  - {name: page, slack_configs: [{channel: "#incidents"}], pagerduty_configs: [{routing_key: "%s"}]}
inhibit_rules:
  - {source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname="Inhibited"'], equal: [region]}
%s`

func (w *world) configFile() string {
	w.t.Helper()
	file := filepath.Join(w.dir, "tocsin.yml")
	text := fmt.Sprintf(configText, w.addr, w.data, w.slackURL, w.pdURL, routingKey, w.extra)
	if w.config != nil {
		text = w.config(w)
	}
	require.NoError(w.t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// start runs the binary, behind wrapper if there is one, until it is ready.
func (w *world) start(wrapper ...string) {
	w.t.Helper()
	w.launch(wrapper...)
	require.Eventually(w.t, func() bool { return w.status("/-/ready") == http.StatusOK }, 30*time.Second, 5*time.Millisecond,
		"the program did not become ready")
}

// launch runs the binary and does not wait for anything.
func (w *world) launch(wrapper ...string) {
	w.t.Helper()
	argv := append(wrapper, binary, "serve", "--config.file", w.configFile(), "--log.level", "debug")
	w.cmd = exec.Command(argv[0], argv[1:]...)
	w.cmd.Stdout, w.cmd.Stderr = w.said, w.said
	require.NoError(w.t, w.cmd.Start())
}

func (w *world) kill() {
	w.t.Helper()
	require.NoError(w.t, w.cmd.Process.Signal(syscall.SIGKILL))
	_ = w.cmd.Wait()
	w.cmd = nil
}

// term stops gracefully and returns how long it took.
func (w *world) term() time.Duration {
	w.t.Helper()
	began := time.Now()
	require.NoError(w.t, w.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(w.t, w.cmd.Wait(), "a stop that was asked for is no failure")
	w.cmd = nil
	return time.Since(began)
}

// heard is what the program answers the tests.
var heard = &leak.Answers{Next: &http.Transport{MaxIdleConnsPerHost: 64}}

var client = &http.Client{Timeout: 10 * time.Second, Transport: heard}

func (w *world) status(path string) int {
	resp, err := client.Get("http://" + w.addr + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// stats is what GET /api/v1/stats tells, as far as the tests care.
type stats struct{ Live, Open, Alerts, Lagging int }

func (w *world) stats() (stats, error) {
	var s stats
	resp, err := client.Get("http://" + w.addr + "/api/v1/stats")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// settled waits until nothing lags.
func (w *world) settled(within time.Duration) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		s, err := w.stats()
		return err == nil && s.Lagging == 0
	}, within, 50*time.Millisecond, "something still lags")
}

// alert is one alert as Alertmanager sends it.
type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func firing(name, instance, severity string) alert {
	return alert{
		Status: "firing", StartsAt: time.Now(),
		Labels:      map[string]string{"alertname": name, "instance": instance, "severity": severity, "region": "us"},
		Annotations: map[string]string{"summary": name + " on " + instance},
	}
}

// post sends alerts and returns the status; 0 when there was no answer.
func (w *world) post(alerts ...alert) int {
	b, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "tocsin", "groupLabels": map[string]string{},
		"commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "externalURL": "http://am", "alerts": alerts,
	})
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.addr+"/webhook/alertmanager", bytes.NewReader(b))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// lockedBuffer is a log that is written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
