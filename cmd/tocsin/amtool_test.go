package main

import (
	"encoding/json"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// amtoolPath is where Alertmanager's own command line is.
func amtoolPath(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("amtool")
	if err != nil {
		program = filepath.Join(build.Default.GOPATH, "bin", "amtool")
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("amtool is not installed: go install github.com/prometheus/alertmanager/cmd/amtool@v0.31.1")
	}
	return program
}

// amtool asks the server.
func (r *running) amtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), amtoolPath(t), append([]string{"--alertmanager.url=" + r.url}, args...)...).CombinedOutput()
	return string(out), err
}

func (r *running) mustAmtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.amtool(t, args...)
	require.NoError(t, err, "amtool %s\n%s", strings.Join(args, " "), out)
	return strings.TrimSpace(out)
}

func TestAmtoolReadsAlerts(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	assert.NotContains(t, r.mustAmtool(t, "alert", "query"), "active")
	r.fire(t, "NodeDown", "a", "critical")
	r.fire(t, "NodeDown", "b", "critical")
	r.fire(t, "DiskFull", "b", "warning")

	assert.Equal(t, 3, strings.Count(r.mustAmtool(t, "alert", "query"), "active"))
	assert.Equal(t, 2, strings.Count(r.mustAmtool(t, "alert", "query", "NodeDown"), "active"))
	assert.Equal(t, 1, strings.Count(r.mustAmtool(t, "alert", "query", "alertname=~Node.*", "instance!=a"), "active"))
	assert.Equal(t, 1, strings.Count(r.mustAmtool(t, "alert", "query", "--receiver", "chat"), "active"))
	var alerts []amtoolAlert
	require.NoError(t, json.Unmarshal([]byte(r.mustAmtool(t, "-o", "json", "alert", "query", "DiskFull")), &alerts))
	require.Len(t, alerts, 1)
	assert.Equal(t, "warning", alerts[0].Labels["severity"])
	assert.True(t, alerts[0].EndsAt.After(time.Now()))
	assert.NotEmpty(t, r.mustAmtool(t, "-o", "extended", "alert", "query"))

	out, err := r.amtool(t, "alert", "query", "--receiver=(")
	assert.Error(t, err)
	assert.Contains(t, out, "missing closing", "what Tocsin says against it is shown")
}

type amtoolAlert struct {
	Labels map[string]string
	EndsAt time.Time
	Status struct {
		State      string
		SilencedBy []string
	}
}

func TestAmtoolSilences(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.fire(t, "NodeDown", "b", "critical")

	id := r.mustAmtool(t, "silence", "add", "--author=ana", "--comment=they are being moved", "--duration=1h", "alertname=NodeDown", "instance=~a|x")
	assert.Len(t, id, 6, "an ID of Tocsin's: %s", id)
	assert.Contains(t, r.mustAmtool(t, "silence", "query"), `alertname="NodeDown" instance=~"a|x"`)
	assert.Equal(t, id, r.mustAmtool(t, "silence", "query", "-q", "alertname=NodeDown"))
	assert.Empty(t, r.mustAmtool(t, "silence", "query", "-q", "alertname=Other"))
	assert.Contains(t, runCLI(t, 0, "silence", "list", "--server.url", r.url), "they are being moved")

	var alerts []amtoolAlert
	require.NoError(t, json.Unmarshal([]byte(r.mustAmtool(t, "-o", "json", "alert", "query", "--silenced")), &alerts))
	require.Len(t, alerts, 1)
	assert.Equal(t, "suppressed", alerts[0].Status.State)
	assert.Equal(t, []string{id}, alerts[0].Status.SilencedBy)
	assert.Equal(t, 1, strings.Count(r.mustAmtool(t, "alert", "query"), "active"), "amtool leaves silenced ones out unless it is asked")

	assert.Contains(t, r.mustAmtool(t, "silence", "update", "--comment=still", "--duration=3h", id), "still")
	assert.Equal(t, id, r.mustAmtool(t, "silence", "query", "-q", "--id="+id), "it is the same one")
	r.mustAmtool(t, "silence", "expire", id)
	assert.Empty(t, r.mustAmtool(t, "silence", "query", "-q"))
	assert.Equal(t, id, r.mustAmtool(t, "silence", "query", "-q", "--expired"))
	assert.Equal(t, 2, strings.Count(r.mustAmtool(t, "alert", "query"), "active"))

	out, err := r.amtool(t, "silence", "expire", "nobody")
	assert.Error(t, err, out)
	out, err = r.amtool(t, "silence", "add", "--author=ana", "--comment=x", "alertname=~.*")
	assert.Error(t, err)
	assert.Contains(t, out, "silence everything", "what Tocsin says against it is shown")
}

func TestAmtoolStatus(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	assert.Contains(t, r.mustAmtool(t, "cluster", "show"), "disabled")
	shown := r.mustAmtool(t, "config", "show")
	assert.Contains(t, shown, `- name: "page"`)
	assert.NotContains(t, shown, "canary", "nothing else of the configuration")
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, []byte(shown), 0o600))
	assert.Contains(t, r.mustAmtool(t, "check-config", file), "SUCCESS", "Grafana loads it as Alertmanager would")
}

// TestAmtoolLogsIn asks with a token, as Prometheus' HTTP configuration has it.
func TestAmtoolLogsIn(t *testing.T) {
	t.Parallel()
	r := startApp(t)
	r.changeConfig(t, `server: {api_tokens: ["ana:canary-api-token-of-ana"]}`)
	out, err := r.amtool(t, "alert", "query")
	assert.Error(t, err)
	assert.Contains(t, out, "401")
	file := filepath.Join(t.TempDir(), "http.yml")
	require.NoError(t, os.WriteFile(file, []byte("authorization: {credentials: canary-api-token-of-ana}\n"), 0o600))
	id := r.mustAmtool(t, "--http.config.file="+file, "silence", "add", "--author=somebody else", "--comment=x", "a=b")
	assert.Equal(t, id, r.mustAmtool(t, "--http.config.file="+file, "silence", "query", "-q", "--created-by=ana"))
}

// changeConfig puts a snippet into the configuration and has it read again.
func (r *running) changeConfig(t *testing.T, snippet string) {
	t.Helper()
	text, err := yaml.Marshal(with(asMap(t, string(read(t, r.file))), asMap(t, snippet)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file, text, 0o600))
	require.NoError(t, r.app.Reload(t.Context()))
}
