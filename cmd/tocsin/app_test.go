package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

func labels(name, instance, severity string) map[string]string {
	return map[string]string{"alertname": name, "instance": instance, "severity": severity, "region": "us"}
}

func (r *running) fire(tb testing.TB, name, instance, severity string) {
	tb.Helper()
	request := webhookBody(tb, fires(labels(name, instance, severity), name+" "+instance))
	code, body := r.post(tb, "/webhook/alertmanager", request)
	for tries := 0; code == http.StatusServiceUnavailable && tries < 10; tries++ { // a busy machine; Alertmanager tries again too
		code, body = r.post(tb, "/webhook/alertmanager", request)
	}
	require.Equal(tb, http.StatusOK, code, body)
}

func TestFromWebhookToSlackAndPagerDuty(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	assert.Len(t, r.slack.Messages("#incidents"), 1)
	assert.Len(t, r.pagerduty.Incidents("canarypagerdutyroutingkey0000001"), 1)
	assert.Contains(t, r.get(t, "/"), "NodeDown")
}

func TestNATSStoppedDelaysNothing(t *testing.T) {
	r := startApp(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, r.app.stream.Close(ctx))
	for n := range 20 {
		r.fire(t, "NodeDown", fmt.Sprint("n", n), "critical")
	}
	require.Eventually(t, func() bool { return len(r.slack.Messages("#incidents")) == 20 }, 10*time.Second, 10*time.Millisecond,
		"without NATS the wake-ups stay in the process")
	r.settled(t)
}

func TestNoSecretAnywhere(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	r.slack.RevokeToken("xoxb-canary-slack-token")
	r.fire(t, "NodeDown", "b", "critical")
	r.fire(t, "Slow", "c", "warning")
	var seen strings.Builder
	for _, path := range []string{"/metrics", "/", "/api/v1/incidents", "/api/v1/stats", "/api/v1/runbooks", "/-/ready"} {
		seen.WriteString(r.get(t, path))
	}
	for _, inc := range r.incidents(t) {
		seen.WriteString(r.get(t, "/api/v1/incidents/"+inc.ID))
		seen.WriteString(r.get(t, "/incidents/"+inc.ID))
	}
	require.NoError(t, os.WriteFile(r.file, bytes.ReplaceAll(read(t, r.file), []byte("receiver: page,"), []byte("receiver: nobody,")), 0o600))
	_, body := r.post(t, "/-/reload", nil)
	seen.WriteString(body)
	r.stop()
	seen.WriteString(r.logs.String())
	assert.NotContains(t, seen.String(), "canary")
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	b, err := os.ReadFile(file)
	require.NoError(tb, err)
	return b
}

func (r *running) incidents(tb testing.TB) []*tocsin.Incident {
	tb.Helper()
	list, err := r.app.store.List(context.Background(), tocsin.Filter{Limit: 1000})
	require.NoError(tb, err)
	return list
}

func TestReloadKeepsTheOldWhenTheNewIsWrong(t *testing.T) {
	r := startApp(t)
	good := read(t, r.file)
	require.NoError(t, os.WriteFile(r.file, bytes.ReplaceAll(good, []byte("receiver: page,"), []byte("receiver: nobody,")), 0o600))
	code, body := r.post(t, "/-/reload", nil)
	assert.Equal(t, http.StatusInternalServerError, code)
	assert.Contains(t, body, "tocsin.yml:")
	assert.Contains(t, body, "nobody")
	assert.Contains(t, r.get(t, "/metrics"), "tocsin_config_last_reload_successful 0")
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	assert.Len(t, r.slack.Messages("#incidents"), 1, "the old rules hold")

	require.NoError(t, os.WriteFile(r.file, bytes.ReplaceAll(good, []byte(`channel: "#incidents"`), []byte(`channel: "#new"`)), 0o600))
	code, body = r.post(t, "/-/reload", nil)
	require.Equal(t, http.StatusOK, code, body)
	r.fire(t, "NodeDown", "b", "critical")
	r.settled(t)
	require.Eventually(t, func() bool { return len(r.slack.Messages("#new")) > 0 }, 10*time.Second, 10*time.Millisecond)
}

func TestMetricsAreClean(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	text := r.get(t, "/metrics")
	for _, name := range []string{
		"tocsin_alerts_received_total 1", "tocsin_alerts_total{result=\"deduplicated\"} 0", "tocsin_alerts_suppressed_total",
		"tocsin_incidents_total{change=\"opened\"} 1", "tocsin_deliveries_total{kind=\"slack\",outcome=\"delivered\"} 1",
		"tocsin_delivery_lag_seconds_count", "tocsin_oldest_unaccounted_seconds 0", "tocsin_store_commit_seconds_count",
		"tocsin_store_queue_length",
	} {
		assert.Contains(t, text, name)
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed; the metrics are not linted")
	}
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestBackupAndRestore(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	file := filepath.Join(t.TempDir(), "backup.db")
	leak.After(t, file)
	out := runCLI(t, 0, "backup", file, "--server.url", r.url)
	assert.Contains(t, out, "backup.db")
	r.fire(t, "NodeDown", "b", "critical")
	r.settled(t)
	runCLI(t, 1, "restore", file, "--config.file", r.file, "--force") // it is running
	r.stop()
	runCLI(t, 1, "restore", file, "--config.file", r.file) // a store is there
	runCLI(t, 0, "restore", file, "--config.file", r.file, "--force")

	again, err := NewApp(context.Background(), r.file, newTestLogger(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, again.Close()) }()
	list, err := again.store.List(context.Background(), tocsin.Filter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "NodeDown a", list[0].Title)
}

func TestCommandsAgainstAServer(t *testing.T) {
	r := startApp(t)
	assert.Contains(t, runCLI(t, 0, "incidents", "--server.url", r.url), "no incidents")
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	id := r.incidents(t)[0].ID
	assert.Contains(t, runCLI(t, 0, "incidents", "--server.url", r.url), id)
	detail := runCLI(t, 0, "incidents", id, "--server.url", r.url)
	for _, want := range []string{"NodeDown a", "tocsin.yml:", "slack:#incidents  sent, up to date", "known there as C", "triggered in PagerDuty"} {
		assert.Contains(t, detail, want)
	}
	assert.Contains(t, runCLI(t, 0, "ack", id, "--by", "ana", "--server.url", r.url), "acknowledged")
	assert.Contains(t, runCLI(t, 0, "ack", id, "--by", "ana", "--server.url", r.url), "acknowledged")
	out := runCLI(t, 0, "silence", "add", "alertname=Slow", "--for", "1h", "--comment", "noise", "--by", "ana", "--server.url", r.url)
	silence := strings.Fields(out)[1]
	assert.Contains(t, runCLI(t, 0, "route", "--config.file", r.file, "--live", "--server.url", r.url, "alertname=Slow"), "silenced until")
	assert.Contains(t, runCLI(t, 0, "silence", "list", "--server.url", r.url), silence)
	assert.Contains(t, runCLI(t, 0, "silence", "expire", silence, "--server.url", r.url), "over")
	assert.Contains(t, runCLI(t, 1, "resolve", id, "--by", "ana", "--server.url", r.url), "give --force")
	assert.Contains(t, runCLI(t, 0, "resolve", id, "--by", "ana", "--force", "--server.url", r.url), "resolved")
	assert.Contains(t, runCLI(t, 1, "ack", id, "--server.url", r.url), "resolved; there is nothing to acknowledge")
	assert.Contains(t, runCLI(t, 1, "ack", "nope", "--server.url", r.url), "not found")
	assert.Contains(t, runCLI(t, 1, "incidents", "--server.url", "http://127.0.0.1:1"), "is the server running?")
	r.settled(t)
	assert.Equal(t, "resolved", r.pagerduty.Incidents("canarypagerdutyroutingkey0000001")[0].Status)
}

// runCLI runs the program's command line and returns all that it prints.
func runCLI(tb testing.TB, code int, args ...string) string {
	tb.Helper()
	var out bytes.Buffer
	got := run(context.Background(), args, &out, &out)
	require.Equal(tb, code, got, "tocsin %s\n%s", strings.Join(args, " "), &out)
	leak.Said(tb, out.String())
	return out.String()
}
