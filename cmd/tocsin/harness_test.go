package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// running is the program in this process, with its providers.
type running struct {
	app       *App
	url, file string
	slack     *slacktest.Server
	pagerduty *pagerdutytest.Server
	logs      *bytes.Buffer
	stop      func()
}

const testConfig = `
server: {listen: "127.0.0.1:0", external_url: "http://tocsin.example.com"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary-slack-token, api_url: "%s/api/", rate_limit: 0}
pagerduty: {events_url: "%s", rate_limit: 0}
route:
  receiver: chat
  group_by: [alertname, instance]
  routes: [{receiver: page, matchers: ['severity="critical"']}]
receivers:
  - {name: chat, slack_configs: [{channel: "#chat"}]}
  - {name: page, slack_configs: [{channel: "#incidents"}], pagerduty_configs: [{routing_key: canarypagerdutyroutingkey0000001}]}
inhibit_rules:
  - {source_matchers: ['alertname="RegionDown"'], target_matchers: ['alertname="NodeDown"'], equal: [region]}
`

func startApp(tb testing.TB) *running {
	tb.Helper()
	r := &running{
		slack: slacktest.New(slacktest.WithAutoCreate()), pagerduty: pagerdutytest.New(pagerdutytest.Config{}),
		logs: &bytes.Buffer{},
	}
	s, p := httptest.NewServer(r.slack), httptest.NewServer(r.pagerduty)
	tb.Cleanup(s.Close)
	tb.Cleanup(p.Close)
	tb.Cleanup(r.slack.Close)
	dir := tb.TempDir()
	leak.After(tb, dir)
	r.file = filepath.Join(dir, "tocsin.yml")
	require.NoError(tb, os.WriteFile(r.file, fmt.Appendf(nil, testConfig, s.URL, p.URL), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	app, err := NewApp(ctx, r.file, slog.New(slog.NewTextHandler(leak.Log(tb, &locked{w: r.logs}), &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(tb, err)
	r.app, r.url = app, "http://"+app.Addr()
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(tb, <-done)
		require.NoError(tb, app.Close())
	}
	tb.Cleanup(r.stop)
	return r
}

// settled waits until nothing lags.
func (r *running) settled(tb testing.TB) {
	tb.Helper()
	require.Eventually(tb, func() bool { return r.app.store.Stats().Lagging == 0 }, 20*time.Second, 5*time.Millisecond)
}

// webhookBody is a request of Alertmanager's.
func webhookBody(tb testing.TB, alerts ...demoAlert) []byte {
	tb.Helper()
	for i := range alerts {
		if alerts[i].StartsAt.IsZero() {
			alerts[i].StartsAt = time.Now()
		}
	}
	b, err := json.Marshal(map[string]any{"version": "4", "status": "firing", "alerts": alerts, "groupKey": "x", "truncatedAlerts": 0})
	require.NoError(tb, err)
	return b
}

func (r *running) post(tb testing.TB, path string, body []byte) (int, string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+path, bytes.NewReader(body))
	require.NoError(tb, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp.StatusCode, string(b)
}

func (r *running) get(tb testing.TB, path string) string {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.url+path, nil)
	require.NoError(tb, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return string(b)
}

// locked is a writer for many goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func newTestLogger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(leak.Log(tb, tb.Output()), nil))
}
