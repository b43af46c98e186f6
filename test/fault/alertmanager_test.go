package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alertmanagers starts a pair of real Alertmanagers that do not know each other,
// as in a partition: both send everything.
func alertmanagers(t *testing.T, w *world) []string {
	t.Helper()
	binary, err := exec.LookPath("alertmanager")
	if err != nil {
		t.Skip("no alertmanager in PATH (go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1); a real sender is not tried")
	}
	var urls []string
	for n := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := l.Addr().String()
		require.NoError(t, l.Close())
		file := filepath.Join(w.dir, fmt.Sprintf("alertmanager-%d.yml", n))
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
route: {receiver: tocsin, group_by: [alertname], group_wait: 100ms, group_interval: 1s}
receivers: [{name: tocsin, webhook_configs: [{url: "http://%s/webhook/alertmanager", send_resolved: true}]}]
`, w.addr), 0o600))
		cmd := exec.Command(binary, "--config.file", file, "--storage.path", filepath.Join(w.dir, fmt.Sprint("am", n)),
			"--web.listen-address", addr, "--cluster.listen-address", "")
		cmd.Stdout, cmd.Stderr = w.logs, w.logs
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		require.Eventually(t, func() bool {
			resp, err := client.Get("http://" + addr + "/-/ready")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		}, 20*time.Second, 20*time.Millisecond)
		urls = append(urls, "http://"+addr)
	}
	return urls
}

// raise tells the Alertmanagers of alerts, as Prometheus does.
func raise(t *testing.T, urls []string, alerts ...alert) {
	t.Helper()
	type apiAlert struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt,omitzero"`
	}
	var list []apiAlert
	for _, a := range alerts {
		list = append(list, apiAlert{a.Labels, a.Annotations, a.StartsAt, a.EndsAt})
	}
	b, err := json.Marshal(list)
	require.NoError(t, err)
	for _, u := range urls {
		resp, err := client.Post(u+"/api/v2/alerts", "application/json", bytes.NewReader(b))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
}

// TestRealAlertmanagerPair lets two real Alertmanagers send the same alerts: one
// incident each, one page, and resolved when they say so.
func TestRealAlertmanagerPair(t *testing.T) {
	w := newWorld(t)
	w.start()
	urls := alertmanagers(t, w)
	a, b := firing("NodeDown", "node-1.", "critical"), firing("Slow", "node-2.", "warning")
	raise(t, urls, a, b)
	require.Eventually(t, func() bool {
		return len(w.slack.Messages("#incidents")) == 1 && len(w.slack.Messages("#chat")) == 1
	}, 20*time.Second, 20*time.Millisecond)
	a.EndsAt = time.Now()
	raise(t, urls, a)
	require.Eventually(t, func() bool {
		p := w.pagerduty.Incidents(routingKey)
		return len(p) == 1 && p[0].Status == "resolved"
	}, 20*time.Second, 20*time.Millisecond)
	w.settled(10 * time.Second)
	assert.Len(t, w.slack.Messages("#incidents"), 1)
	assert.Len(t, w.slack.Messages("#chat"), 1)
	s, err := w.stats()
	require.NoError(t, err)
	assert.Equal(t, 2, s.Live)
	assert.Equal(t, 1, s.Open)
}

// TestAlertmanagerRetriesWhatWasRefused keeps the program away while
// Alertmanager tells of an alert: it is told once the program is there.
func TestAlertmanagerRetriesWhatWasRefused(t *testing.T) {
	w := newWorld(t)
	urls := alertmanagers(t, w)
	raise(t, urls, firing("NodeDown", "node-1.", "critical"))
	w.start()
	require.Eventually(t, func() bool { return len(w.pagerduty.Incidents(routingKey)) == 1 }, 30*time.Second, 20*time.Millisecond)
	w.settled(10 * time.Second)
	assert.Len(t, w.slack.Messages("#incidents"), 1)
}
