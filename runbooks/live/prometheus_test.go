package live_test

import (
	"context"
	"fmt"
	"net"
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
	"github.com/tocsin-oncall/tocsin/runbooks/live"
)

// startPrometheus starts a real one on data that promtool has written: node_load
// climbs from 0 by 1 a minute for an hour from at on, node-1 is down from the
// 31st minute.
func startPrometheus(t *testing.T) (base string) {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed (.ci/run installs it)")
		}
	}
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("# TYPE node_load gauge\n")
	for m := range 61 {
		fmt.Fprintf(&text, "node_load{instance=\"node-1\"} %d %d\n", m, at.Add(time.Duration(m)*time.Minute).Unix())
	}
	text.WriteString("# TYPE up gauge\n")
	for m := range 61 {
		up := 1
		if m > 30 {
			up = 0
		}
		fmt.Fprintf(&text, "up{instance=\"node-1\"} %d %d\n", up, at.Add(time.Duration(m)*time.Minute).Unix())
	}
	text.WriteString("# EOF\n")
	metrics, config, data := filepath.Join(dir, "metrics"), filepath.Join(dir, "prometheus.yml"), filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(metrics, []byte(text.String()), 0o600))
	require.NoError(t, os.WriteFile(config, []byte("rule_files: [rules.yml]\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(loadedRules), 0o600))
	out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", metrics, data).CombinedOutput()
	require.NoError(t, err, string(out))

	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listen.Addr().String()
	require.NoError(t, listen.Close())
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+config, "--storage.tsdb.path="+data,
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+addr, "--log.level=warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was interrupted
		if t.Failed() {
			t.Log(log.String())
		}
	})
	base = "http://" + addr
	require.Eventually(t, func() bool {
		res, err := http.Get(base + "/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "Prometheus does not start")
	return base
}

const loadedRules = `groups:
  - name: nodes
    rules:
      - {record: 'job:up:sum', expr: sum(up)}
      - {alert: NodeDown, expr: up == 0, labels: {severity: critical}, annotations: {runbook_url: 'https://r/node', summary: 'down {{ $value }}'}}
      - {alert: Fires, expr: vector(1), labels: {severity: '{{ if gt $value 9.0 }}page{{ else }}info{{ end }}'}}
  - name: empty
    rules: []
`

func TestARealPrometheus(t *testing.T) {
	t.Parallel()
	base := startPrometheus(t)
	client, err := live.New(live.Config{URL: base, Timeout: time.Minute})
	require.NoError(t, err)
	ctx := t.Context()

	r, err := client.Query(ctx, "node_load", at.Add(10*time.Minute))
	require.NoError(t, err)
	assert.Equal(t, live.Result{Type: live.TypeVector, Total: 1, Series: []live.Series{{
		Labels: tocsin.Labels{"__name__": "node_load", "instance": "node-1"}, Points: []live.Point{{at.Add(10 * time.Minute), 10}},
	}}}, r)

	r, err = client.Range(ctx, "node_load > 15", at, at.Add(time.Hour), time.Minute)
	require.NoError(t, err)
	require.Len(t, r.Series, 1)
	require.Len(t, r.Series[0].Points, 45)
	assert.Equal(t, live.Point{At: at.Add(16 * time.Minute), Value: 16}, r.Series[0].Points[0])

	r, err = client.Query(ctx, "node_load[5m]", at.Add(10*time.Minute+30*time.Second))
	require.NoError(t, err)
	assert.Equal(t, live.TypeMatrix, r.Type)
	assert.Len(t, r.Series[0].Points, 5)
	r, err = client.Query(ctx, `"text"`, at)
	require.NoError(t, err)
	assert.Equal(t, "text", r.Text)
	r, err = client.Query(ctx, "1 / 0", at)
	require.NoError(t, err)
	assert.Equal(t, live.TypeScalar, r.Type)

	// What decides about a remedy is asked of now: the data lie elsewhere.
	moment := fmt.Sprintf(" @ %d", at.Add(45*time.Minute).Unix())
	for expr, want := range map[string]bool{
		`up{instance="node-1"}` + moment + ` == 0`: true, `up{instance="node-1"}` + moment + ` == 1`: false, `up{instance="node-2"}` + moment: false, "vector(0)": true, "0": true,
	} {
		yes, err := client.Yes(ctx, expr)
		require.NoError(t, err, expr)
		assert.Equal(t, want, yes, expr)
	}
	v, err := client.Value(ctx, "count(up"+moment+")")
	require.NoError(t, err)
	assert.Equal(t, 1.0, v)
	_, err = client.Value(ctx, "0/0")
	assert.ErrorContains(t, err, "finite")

	var said *live.Error
	_, err = client.Query(ctx, "up{", at)
	require.ErrorAs(t, err, &said)
	require.ErrorIs(t, err, tocsin.ErrInvalid)
	assert.Equal(t, "bad_data", said.Type)
	assert.Contains(t, said.Text, "parse error")
	_, err = client.Query(ctx, `label_replace(up, "1bad", "x", "", "")`, at.Add(time.Minute))
	require.ErrorIs(t, err, tocsin.ErrInvalid)
	wrong, err := live.New(live.Config{URL: base + "/nowhere", Timeout: time.Minute})
	require.NoError(t, err)
	_, err = wrong.Query(ctx, "up", at)
	assert.ErrorContains(t, err, "correct prometheus.url")

	t.Run("what stands beside the steps", func(t *testing.T) {
		got := live.Ask(ctx, client, []live.Question{
			{Query: 1, Expr: "node_load" + moment + " > 8"},
			{Step: 1, Query: 1, Expr: "node_load > 8"},
			{Step: 2, Query: 1, Expr: "node_load >"},
			{Step: 3, Query: 1, Expr: `label_replace(vector(1), "a", "$$1", "", "")`},
		})
		require.Len(t, got[0].Series, 1)
		assert.Equal(t, 45.0, got[0].Series[0].Points[0].Value)
		assert.Equal(t, "it gives nothing now", got[1].Why)
		assert.Contains(t, got[2].Why, "parse error")
		assert.Equal(t, "$1", got[3].Series[0].Labels["a"], "how a dollar is written in a replacement")
	})
	t.Run("the rules that are loaded", func(t *testing.T) {
		r, err := client.Rules(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, r.Total)
		file := r.Rules[0].File
		assert.Equal(t, "rules.yml", filepath.Base(file))
		assert.Equal(t, []live.Rule{
			{file, "nodes", "NodeDown", tocsin.Labels{"severity": "critical"}, "https://r/node"},
			{file, "nodes", "Fires", tocsin.Labels{"severity": "{{ if gt $value 9.0 }}page{{ else }}info{{ end }}"}, ""},
		}, r.Rules)
		_, err = wrong.Rules(ctx)
		assert.ErrorContains(t, err, "correct prometheus.url")
	})
	t.Run("thresholds are taken as PromQL reads them", func(t *testing.T) {
		for _, expr := range realRules(t) {
			if compared, _, ok := live.Threshold(expr); ok {
				_, err := client.Query(ctx, compared, at)
				assert.NoError(t, err, compared)
			}
		}
	})
}
