package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// The demo as a person plays it, with time between its scenes: it goes on until
// it is stopped. A pause is long enough here for the second step of the policy to
// fall due while the first incident is open. What is left in the end is worked on: the
// remedy is approved, the node answers again, and its alert resolves by itself.
func TestDemoWithPauses(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out := &journal{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{
			"demo", "--pause", "1s", "--listen", "127.0.0.1:0", "--slack", "127.0.0.1:0", "--pagerduty", "127.0.0.1:0", "--nodes", "127.0.0.1:0",
		}, out, out)
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(out.String(), "The script is over") || len(code) > 0
	}, 2*time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(out.String(), "waits for you") || len(code) > 0
	}, time.Minute, 10*time.Millisecond)
	require.Empty(t, code, "it goes on: %s", out)
	told, _, _ := strings.Cut(out.String(), "The script is over")
	assert.Contains(t, told, "everything arrived, once")
	assert.Equal(t, 2, strings.Count(told, "calling bo by Slack"), told)
	if _, why := holder(); why == "" && len(code) == 0 {
		remediesOfTheDemo(t, told)
	}
	stop()
	assert.Equal(t, 0, <-code, out.String())
}

func remediesOfTheDemo(t *testing.T, told string) {
	t.Helper()
	assert.Contains(t, told, `| • `+"`"+`"node-us-east-2:9090"`, "the plan")
	assert.Contains(t, told, "approved by bo")
	assert.Contains(t, told, "| node-us-east-2 was restarted", "what the script wrote")
	assert.Contains(t, told, "| held by ")
	assert.Contains(t, told, "budget: 1 of 1 targets in 15s (10 % of 7)", "the other is refused")

	tocsinURL, nodesURL := addressIn(t, told, "Tocsin"), addressIn(t, told, "seven nodes")
	var left tocsin.Remediation
	require.Eventually(t, func() bool {
		var list struct{ Remediations []tocsin.Remediation }
		if json.Unmarshal(fetchText(t, tocsinURL+"/api/v1/remediations"), &list) != nil {
			return false
		}
		for _, r := range list.Remediations {
			if r.Target == "node-ap-south-1:9090" && r.State == tocsin.RemediationProposed {
				left = r
			}
		}
		return left.ID != ""
	}, time.Minute, 20*time.Millisecond, "a remedy waits for whoever watches")
	health := regexp.MustCompile(`node-ap-south-1\s+(\S+)\s+does not answer`).FindSubmatch(fetchText(t, nodesURL))
	require.NotNil(t, health)
	_, err := http.Get(string(health[1]))
	require.Error(t, err, "the node is really down")

	runCLI(t, 0, "remediate", "approve", left.ID, "--by", "bo", "--server.url", tocsinURL)
	require.Eventually(t, func() bool {
		var one struct{ Remediation tocsin.Remediation }
		return json.Unmarshal(fetchText(t, tocsinURL+"/api/v1/remediations/"+left.ID), &one) == nil &&
			one.Remediation.State == tocsin.RemediationVerified
	}, time.Minute, 20*time.Millisecond, "verified")
	assert.Equal(t, "ok\n", string(fetchText(t, string(health[1]))), "the node is really back")
	require.Eventually(t, func() bool {
		var inc struct{ Incident tocsin.Incident }
		return json.Unmarshal(fetchText(t, tocsinURL+"/api/v1/incidents/"+left.Incident), &inc) == nil && inc.Incident.State == tocsin.Resolved
	}, time.Minute, 20*time.Millisecond, "resolved from the node's state")
}

func addressIn(t *testing.T, told, what string) string {
	t.Helper()
	m := regexp.MustCompile(what + `\s+(http://\S+)`).FindStringSubmatch(told)
	require.NotNil(t, m, told)
	return m[1]
}

func fetchText(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return body
}

// What answers for Prometheus in the demo gives what Prometheus would.
func TestTheDemosPrometheus(t *testing.T) {
	t.Parallel()
	c := newChain()
	began := time.Now()
	for n := range c {
		c[n].samples = []sample{{at: began, up: n != 1, waiting: float64(n * 500)}}
	}
	c[0].samples = append(c[0].samples, sample{at: began.Add(time.Minute)}) // goes down later
	for expr, want := range map[string][]float64{
		`up{instance="node-us-east-2:9090"} == 0`:  {0},
		`up{instance="node-us-east-2:9090"} == 1`:  nil,
		`up{instance="node-us-east-3:9090"}`:       {1},
		`up{job="chain",region="us-east"}`:         {1, 0, 1},
		`count(up{job="chain"})`:                   {7},
		`sum(up{job="chain"}) by (region)`:         {2, 1, 2, 1},
		`sum(up{job="chain"}) by (region) == 0`:    nil,
		waitingMetric + ` > 1000`:                  {1500, 2000, 2500, 3000},
		waitingMetric + `{region="us-east"} > 900`: {1000},
		`up{job="other"}`:                          nil,
		`rate(up[5m])`:                             nil,
		`up{instance=~".*"}`:                       nil,
		`count(up`:                                 nil,
	} {
		var got []float64
		for _, s := range c.series(expr) {
			if v := s.Value(began.Add(time.Second)); !math.IsNaN(v) {
				got = append(got, v)
			}
		}
		assert.Equal(t, want, got, expr)
	}
	up := c.series(`up{instance="node-us-east-1:9090"}`)
	require.Len(t, up, 1)
	assert.True(t, math.IsNaN(up[0].Value(began.Add(-time.Second))), "nobody had looked yet")
	assert.Equal(t, []float64{1, 0}, []float64{up[0].Value(began), up[0].Value(began.Add(time.Hour))}, "the past is kept")
}

// Alerts fire and resolve by what was seen: a region's at once and before its
// nodes', each once, and what Tocsin does not take is sent again.
func TestTheDemosAlerts(t *testing.T) {
	t.Parallel()
	var sent []string
	down := false
	w := &watcher{chain: newChain(), post: func(_ context.Context, alerts ...demoAlert) error {
		if down {
			return io.ErrUnexpectedEOF
		}
		for _, a := range alerts {
			sent = append(sent, a.Status+" "+a.Labels["alertname"]+" "+a.Labels["instance"])
		}
		return nil
	}}
	now := time.Now()
	see := func(n int, up bool) { w.chain[n].samples = []sample{{at: now, up: up}} }
	for n := range w.chain {
		see(n, n > 2)
	}
	tell := func(after time.Duration) []string {
		sent = nil
		_ = w.tell(t.Context(), w.firing(now.Add(after))) // an error is what the case is about
		return sent
	}
	assert.Equal(t, []string{"firing RegionDown "}, tell(0))
	assert.ElementsMatch(t, []string{"firing NodeDown node-us-east-1:9090", "firing NodeDown node-us-east-2:9090", "firing NodeDown node-us-east-3:9090"}, tell(nodeDownFor))
	assert.Empty(t, tell(time.Minute), "once")
	for n := range 3 {
		see(n, true)
	}
	down = true
	assert.Empty(t, tell(time.Minute))
	down = false
	assert.Len(t, tell(time.Minute), 4, "sent again")
	require.NoError(t, w.repeat(t.Context()))
}
