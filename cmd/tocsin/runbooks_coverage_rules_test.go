package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

// teller is a Prometheus that counts.
type teller struct {
	asked   int
	rules   live.Rules
	err     error
	bounded bool
}

func (p *teller) Rules(ctx context.Context) (live.Rules, error) {
	_, p.bounded = ctx.Deadline()
	p.asked++
	return p.rules, errors.Join(p.err, ctx.Err())
}

func TestRulesAreAskedForOnceAMinute(t *testing.T) {
	t.Parallel()
	load := func(text string) *runbooks.Library {
		lib, problems, err := runbooks.Load([]string{writeFiles(t, map[string]string{"a.md": text})})
		require.NoError(t, err)
		require.Empty(t, problems)
		return lib
	}
	node, disk := load("---\nalerts: [NodeDown]\n---\n# A\n\n1. x\n"), load("---\nalerts: [DiskFull]\n---\n# A\n\n1. x\n")
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	prom, desk := &teller{err: errors.New("away")}, &ruleDesk{}
	gone, leave := context.WithCancel(t.Context())
	leave()
	hold := func(lib *runbooks.Library, after time.Duration) tocsin.LoadedRules {
		return desk.hold(gone, prom, lib, now.Add(after))
	}

	got := hold(node, 0)
	assert.Equal(t, tocsin.LoadedRules{Problem: "away", Coverage: tocsin.Coverage{Rules: []tocsin.RuleCoverage{}, Unmatched: []tocsin.Unmatched{}}}, got, "nothing is known, also not that no rule leads to a")
	assert.True(t, prom.bounded)
	prom.err = nil
	prom.rules = live.Rules{Total: 2, Rules: []live.Rule{{File: "f", Group: "g", Name: "NodeDown"}, {Name: "X", RunbookURL: "https://w/a.md"}}}
	assert.Equal(t, "away", hold(node, 59*time.Second).Problem)
	assert.Equal(t, 1, prom.asked, "also of one that is away")

	got = hold(node, time.Minute)
	assert.Equal(t, 2, prom.asked)
	assert.Empty(t, got.Problem)
	assert.Equal(t, now.Add(time.Minute), got.At)
	assert.Equal(t, tocsin.RuleCoverage{File: "f", Group: "g", Alert: "NodeDown", Runbook: "a", By: "name"}, got.Rules[0])
	assert.Equal(t, "runbook_url", got.Rules[1].By)
	assert.Empty(t, got.Unmatched)

	got = hold(disk, 61*time.Second)
	assert.Equal(t, 2, prom.asked, "other runbooks are no reason to ask")
	assert.Equal(t, []string{"NodeDown"}, []string{got.Uncovered()[0].Alert})

	prom.err = errors.New("no answer")
	got = hold(disk, 2*time.Minute)
	assert.Equal(t, []any{"no answer", now.Add(time.Minute), 2}, []any{got.Problem, got.At, len(got.Rules)}, "what was told last, and when")
	prom.err, prom.rules.Total, prom.rules.Warnings = nil, 9, []string{"a ruler is away"}
	got = hold(disk, 3*time.Minute)
	assert.Equal(t, "it has 9 alert rules, of which the first 2 were read; Prometheus warns: a ruler is away", got.Problem)
	assert.Equal(t, now.Add(3*time.Minute), got.At)
}

// An alert that has a runbook now is no gap, whatever it had when it opened an
// incident.
func TestWithout(t *testing.T) {
	t.Parallel()
	lib, _, err := runbooks.Load([]string{writeFiles(t, map[string]string{"Written.md": "# Written\n\n## Mitigation\n\n1. x\n"})})
	require.NoError(t, err)
	at := func(n int) time.Time { return time.Unix(int64(100-n), 0) }
	var fired []runbooks.Rule
	var opened []time.Time
	for n, name := range []string{"B", "Written", "A", "C", "C"} {
		fired, opened = append(fired, runbooks.Rule{Name: name, Fired: true}), append(opened, at(n))
	}
	got := without(lib, fired, opened)
	require.Len(t, got, 3)
	assert.Equal(t, []string{"C", "A", "B"}, []string{got[0].Name, got[1].Name, got[2].Name})
	assert.Equal(t, 2, got[0].Times)
	assert.Equal(t, at(3), got[0].Last, "the newest come first")
	assert.Empty(t, without(nil, nil, nil))
}

// With prometheus.url, the rules that have never fired are covered too: on the page,
// over the API and in the terminal.
func TestCoverageOfLoadedRules(t *testing.T) {
	t.Parallel()
	prom := &livetest.Server{Token: "canary-of-prometheus"}
	prom.SetRules(livetest.Group{Name: "nodes", File: "/etc/prometheus/a.yml", Rules: []livetest.Rule{
		{Name: "NodeDown", Labels: livetest.Labels{"severity": "critical"}},
		{Name: "Linked", Annotations: livetest.Labels{"runbook_url": "https://wiki/node"}},
		{Name: "Quiet\x1b[31m<script>", Labels: livetest.Labels{"severity": "page"}},
	}})
	srv := httptest.NewServer(prom)
	t.Cleanup(srv.Close)
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "runbooks", "Never.md"), []byte("# Never\n\n## Mitigation\n\n1. x\n"), 0o600))
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks, "\nprometheus: {url: '"+srv.URL+"', bearer_token: canary-of-prometheus, timeout: 30s}\n")
	d.openAt("Lonely", "n1", "critical")

	var use tocsin.RunbookUsage
	require.Equal(t, 200, d.ask("GET", "/api/v1/runbooks-coverage", nil, &use))
	require.NotNil(t, use.Rules)
	assert.Empty(t, use.Rules.Problem)
	require.Len(t, use.Rules.Rules, 3)
	assert.Equal(t, []string{"node", "node", ""}, []string{use.Rules.Rules[0].Runbook, use.Rules.Rules[1].Runbook, use.Rules.Rules[2].Runbook})
	require.Len(t, use.Rules.Unmatched, 1)
	assert.Equal(t, "Never", use.Rules.Unmatched[0].ID)

	answer, err := http.Get(d.url + "/runbooks-coverage")
	require.NoError(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	for _, want := range []string{"3 alert rules: 2 with a runbook of their own", "Quiet⟨U&#43;001B⟩[31m&lt;script&gt;", "has opened no incident; group <bdi>nodes</bdi> in <code>/etc/prometheus/a.yml</code>", "<bdi>Lonely</bdi>"} {
		assert.Contains(t, string(page), want)
	}
	out := runCLI(t, 0, "runbooks", "coverage", "--server.url", d.url)
	for _, want := range []string{"Loaded by Prometheus (told at ", "3 alert rules: 2 with", "/etc/prometheus/a.yml, group nodes", "Use by 1 incident"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "\x1b")
	assert.Contains(t, runCLI(t, 1, "runbooks", "coverage", "--server.url", d.url, "--strict"), "1 alert of severity critical or page without a runbook")
	var printed coverageAnswer
	require.NoError(t, json.Unmarshal([]byte(runCLI(t, 0, "runbooks", "coverage", "--server.url", d.url, "--output", "json")), &printed))
	assert.Len(t, printed.Usage.Rules.Rules, 3)
	asked := 0
	for _, q := range prom.Asked() {
		if q.Path == "/api/v1/rules" {
			asked++
		}
	}
	assert.LessOrEqual(t, asked, 2, "at most once a minute, whoever looks")
}

// A Prometheus that does not answer is said in words, without its token, and hides
// nothing else.
func TestCoverageWithoutPrometheus(t *testing.T) {
	t.Parallel()
	prom := &livetest.Server{Token: "canary-of-prometheus"}
	prom.Fail(livetest.Fault{Status: http.StatusServiceUnavailable, Type: "unavailable", Text: "not yet, canary-of-prometheus"})
	srv := httptest.NewServer(prom)
	t.Cleanup(srv.Close)
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks, "\nprometheus: {url: '"+srv.URL+"', bearer_token: canary-of-prometheus, timeout: 30s}\n")
	d.openAt("Lonely", "n1", "critical")
	page := d.get(t, "/runbooks-coverage")
	assert.Contains(t, page, "Prometheus did not tell all its rules: <bdi>Prometheus says: unavailable: not yet, &lt;secret&gt;")
	assert.Contains(t, page, "<bdi>Lonely</bdi>")
	assert.NotContains(t, page, "canary-of-prometheus")
	out := runCLI(t, 1, "runbooks", "coverage", "--server.url", d.url, "--strict")
	for _, want := range []string{"Prometheus did not tell all its rules: Prometheus says: unavailable: not yet, <secret>", "Use by 1 incident"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "Loaded by Prometheus")
}

// The demo has something to show: one of its rules has no runbook.
func TestCoverageOfTheDemo(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newChain().prometheus())
	t.Cleanup(srv.Close)
	client, err := live.New(live.Config{URL: srv.URL, Timeout: time.Minute})
	require.NoError(t, err)
	lib, problems, err := runbooks.Load([]string{"../../deploy/demo/runbooks"})
	require.NoError(t, err)
	require.Empty(t, problems)
	got := (&ruleDesk{}).hold(t.Context(), client, lib, time.Now())
	require.Empty(t, got.Problem)
	require.Len(t, got.Rules, 4)
	require.Len(t, got.Uncovered(), 1)
	assert.Equal(t, "NodeAnswersSlowly", got.Uncovered()[0].Alert)
	assert.Empty(t, got.Fallbacks())
	assert.Empty(t, got.Unmatched)
}
