package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const remedyConfig = `
server: {listen: "%s"}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-bench, api_url: "%s/api/", rate_limit: 0}
prometheus: {url: "%s", timeout: 5s}
route: {receiver: chat, group_by: [alertname, instance]}
receivers: [{name: chat, slack_configs: [{channel: "#bench"}]}]
remediations:
  - name: restart
    command: ['%s', '{{node}}']
    sha256: %x
    parameters: [{name: node, label: instance}]
    matchers: ['alertname="NodeDown"']
    mode: auto
    contract: {breaker: {runs: 0}%s}
    sandbox: {require: none}
`

// remedies prints how long it takes from before the POST of an alert until its
// remedy is written as started, which is right before it is executed.
func remedies(ctx context.Context, o options) error {
	for _, v := range []struct {
		name     string
		precheck time.Duration
		rate     int
	}{{"no precheck, 5/s", 0, 5}, {"precheck of 50 ms, 5/s", 50 * time.Millisecond, 5}, {"no precheck, 10/s", 0, 10}} {
		if err := with(func(s *sink, dir string) error {
			return remedyLatency(ctx, o, s, dir, v.name, v.precheck, v.rate)
		}); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return nil
}

func remedyLatency(ctx context.Context, o options, s *sink, dir, name string, precheck time.Duration, rate int) error {
	const n = 300
	q := &oracle{takes: precheck, at: map[string][2]time.Time{}}
	prometheus := httptest.NewServer(q)
	defer prometheus.Close()
	script, text := filepath.Join(dir, "restart"), []byte("#!/bin/sh\nexit 0\n")
	if err := os.WriteFile(script, text, 0o755); err != nil { //nolint:gosec // it is to be executed
		return err
	}
	contract := ""
	if precheck > 0 {
		contract = `, precheck: {promql: 'up{instance="{{node}}"} == 0'}`
	}
	p, err := startWith(ctx, o, dir, func(addr string) string {
		return fmt.Sprintf(remedyConfig, addr, s.URL, prometheus.URL, script, sha256.Sum256(text), contract)
	})
	if err != nil {
		return err
	}
	sent := map[string]time.Time{}
	client := &http.Client{}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		<-tick.C
		node := fmt.Sprintf("node-%d:9090", i)
		body := webhookBody(makeAlert(i, node))
		sent[node] = time.Now()
		if err := postOne(ctx, client, p.url, body); err != nil {
			return errors.Join(err, p.stop())
		}
	}
	started, err := p.started(n)
	if err := errors.Join(err, p.stop()); err != nil {
		return err
	}
	var took []time.Duration
	for node, at := range started {
		took = append(took, at.Sub(sent[node])-q.took(node))
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / float64(time.Millisecond) }
	fmt.Printf("%-24s POST to started, beyond the precheck: p50 %.1f ms, p99 %.1f ms, max %.1f ms   (p99 at most 100)\n", name, ms(0.5), ms(0.99), ms(1))
	return nil
}

// oracle is a Prometheus that says yes after a while, and notes when it was asked
// about whom and when it has answered.
type oracle struct {
	takes time.Duration
	mu    sync.Mutex
	at    map[string][2]time.Time
}

var askedFor = regexp.MustCompile(`instance="([^"]*)"`)

func (q *oracle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	about := askedFor.FindStringSubmatch(r.FormValue("query"))
	time.Sleep(q.takes)
	if about != nil {
		q.mu.Lock()
		q.at[about[1]] = [2]time.Time{began, time.Now()}
		q.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"0"]}]}}`, time.Now().Unix())
}

// took is how long the answer about a node took; 0: nobody asked.
func (q *oracle) took(node string) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.at[node][1].Sub(q.at[node][0])
}

// started waits until n remedies have come to their end and returns when each was
// started.
func (p *process) started(n int) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for deadline := time.Now().Add(time.Minute); len(out) < n; time.Sleep(250 * time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("only %d of %d remedies have run", len(out), n)
		}
		var incidents struct{ Incidents []struct{ ID, Title string } }
		if err := p.fetch("/api/v1/incidents?limit=1000", &incidents); err != nil {
			return nil, err
		}
		for _, inc := range incidents.Incidents {
			var runs struct {
				Remediations []struct {
					Target, State string
					StartedAt     time.Time
				}
			}
			if err := p.fetch("/api/v1/remediations?incident="+inc.ID, &runs); err != nil {
				return nil, err
			}
			for _, r := range runs.Remediations {
				switch {
				case r.State == "verified":
					out[r.Target] = r.StartedAt
				case strings.Contains("refused unknown expired not_fixed", r.State):
					return nil, fmt.Errorf("the remedy of %s is %s", r.Target, r.State)
				}
			}
		}
	}
	return out, nil
}

func (p *process) fetch(path string, into any) error {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
