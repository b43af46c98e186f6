package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	shipped "github.com/tocsin-oncall/tocsin/deploy/remedies"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

// onPaper says what would be run, and runs nothing.
type onPaper struct{}

func (onPaper) Run(context.Context, remediation.Command, io.Writer) (remediation.Result, error) {
	return remediation.Result{}, remediation.ErrNotStarted
}

func (onPaper) Holds(context.Context, remediation.Command) (string, error) { return "paper", nil }

// Every remedy of the examples and of the demo is a script that is shipped, pinned as
// it is shipped.
func TestExampleRemediesArePinned(t *testing.T) {
	used := map[string]bool{}
	check := func(argv []string, sum string) {
		name, ours := strings.CutPrefix(argv[0], "/usr/local/lib/tocsin/")
		require.True(t, ours, argv)
		text, err := fs.ReadFile(shipped.Files, name)
		require.NoError(t, err)
		h := sha256.Sum256(text)
		assert.Equal(t, hex.EncodeToString(h[:]), sum, "the pin of %s", name)
		used[name] = true
	}
	for _, file := range append(examples(t), "../../deploy/demo/tocsin.yml") {
		for name, value := range map[string]string{
			"DEMO_DATA": "data", "DEMO_SLACK": "http://127.0.0.1:9912", "DEMO_PAGERDUTY": "http://127.0.0.1:9913", "DEMO_LISTEN": "127.0.0.1:9911",
			"DEMO_YESTERDAY": "2026-11-21",
		} {
			t.Setenv(name, value)
		}
		if !strings.Contains(file, "demo") {
			loadExample(t, file) // sets the environment
		}
		cfg, _, err := config.Load(file)
		require.NoError(t, err)
		for i := range cfg.Remediations {
			r := &cfg.Remediations[i]
			check(r.Command, r.SHA256)
			if c := &r.Contract.Rollback; len(c.Command) > 0 {
				check(c.Command, c.SHA256)
			}
			assert.NotEmpty(t, r.Contract.Precheck.PromQL, "%s starts only while it is bad", r.Name)
			assert.NotEmpty(t, r.Contract.Verify.PromQL, "%s is looked at afterwards", r.Name)
			assert.Positive(t, r.Contract.Budget.PerTarget.Runs, r.Name)
			assert.Positive(t, r.Contract.Budget.Fleet.Percent+float64(r.Contract.Budget.Fleet.Runs), r.Name)
			assert.Positive(t, r.Contract.Breaker.Runs, r.Name)
		}
		_, err = remediation.NewRules(wireRemedies(cfg))
		require.NoError(t, err, file)
	}
	assert.Len(t, used, 5, "each script is in an example")
}

// planned is what a remedy of an example would run for an incident.
func (s *theatre) planned(file, id, remedy string) tocsin.RemedyPlan {
	s.Helper()
	cfg, _, err := config.Load("../../deploy/examples/" + file)
	require.NoError(s, err)
	rules, err := remediation.NewRules(wireRemedies(cfg))
	require.NoError(s, err)
	e, err := remediation.New(rules, remediation.Options{Store: s.store, Runner: onPaper{}})
	require.NoError(s, err)
	p, err := e.Plan(s.Context(), id, remedy, "")
	require.NoError(s, err)
	return p
}

// What the teams' Alertmanagers send fits the remedies of their examples, and fills
// them in.
func TestExampleRemediesFitTheRealAlerts(t *testing.T) {
	const lib, compose = "/usr/local/lib/tocsin/", "/srv/bitcell/infra/docker/docker-compose.yml"
	node := tocsin.Labels{"severity": "critical", "region": "us-east", "instance": "node-us-east-1:9090", "job": "bitcell-us-east"}
	with := func(l tocsin.Labels, more ...string) tocsin.Labels {
		out := tocsin.Labels{}
		for k, v := range l {
			out[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	for _, c := range []struct {
		file, body, remedy string
		labels             tocsin.Labels
		argv               []string
	}{
		{file: "bitcell.yml", body: "001-first-firing.json", remedy: "restart-node", argv: []string{lib + "restart-node", "--compose", compose, "node-us-east-1:9090"}},
		{
			file: "bitcell.yml", remedy: "reconnect-peers", labels: with(node, "alertname", "NoPeers"),
			argv: []string{lib + "reconnect-peers", "--rpc-below", "545", "--compose", compose, "node-us-east-1:9090"},
		},
		{
			file: "bitcell.yml", remedy: "prune-database",
			labels: with(node, "alertname", "NodeFilesystemAlmostOutOfSpace", "mountpoint", "/data/bitcell", "instance", "node-ap-southeast-1:9100"),
			argv:   []string{lib + "prune-database", "--keep", "10000", "node-ap-southeast-1:9100"},
		},
		{
			file: "fusion.yml", body: "015-fusion-service-down.json", remedy: "rollback-deployment",
			argv: []string{lib + "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-resolver"},
		},
		{
			file: "fusion.yml", body: "016-fusion-high-error-rate.json", remedy: "rollback-deployment",
			argv: []string{lib + "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer"},
		},
		{
			file: "fusion.yml", remedy: "scale-deployment",
			labels: tocsin.Labels{"alertname": "HighCPUUsage", "severity": "warning", "namespace": "fusion-bitcoin", "container": "relayer", "pod": "relayer-6d5f7-abcde"},
			argv:   []string{lib + "scale-deployment", "--by", "1", "--max", "6", "fusion-bitcoin", "fusion-bitcoin-relayer"},
		},
	} {
		t.Run(c.remedy+" "+c.body, func(t *testing.T) {
			perform(t, c.file, time.Date(2026, 3, 31, 10, 0, 0, 0, time.UTC), func(s *theatre) {
				var id string
				if c.body != "" {
					id = s.webhook(c.body)
				} else {
					id = s.fire(c.labels, nil)
				}
				p := s.planned(c.file, id, c.remedy)
				assert.Equal(s, c.argv, p.Argv)
			})
		})
	}
}

// A label that is not what the example's team calls its things is not passed on.
func TestExampleRemediesRefuseOtherLabels(t *testing.T) {
	for _, instance := range []string{"-rf", "$(reboot)", "node-us-east-1:9090\n", "node-us-east-1;reboot:9090", "nöde-us-east-1:9090", "prometheus:9090", "node-us-east-1:9090 --x"} {
		perform(t, "bitcell.yml", time.Date(2026, 3, 31, 10, 0, 0, 0, time.UTC), func(s *theatre) {
			id := s.fire(tocsin.Labels{"alertname": "NodeDown", "severity": "critical", "region": "us-east", "instance": instance}, nil)
			p := s.planned("bitcell.yml", id, "restart-node")
			assert.Empty(s, p.Argv, instance)
			assert.Contains(s, strings.Join(p.Refused, "\n"), "instance", "it says which label it was")
		})
	}
}

// A block of an example's runbook that names a remedy names one that is declared, for
// the alerts of that runbook.
func TestExampleRunbooksNameTheirRemedies(t *testing.T) {
	named := regexp.MustCompile("```bash \\{remediation=([a-z-]+)\\}")
	for file, dir := range map[string]string{
		"examples/bitcell.yml": "examples/runbooks/bitcell", "examples/fusion.yml": "examples/runbooks/fusion", "demo/tocsin.yml": "demo/runbooks",
	} {
		var declared, used []string
		for _, m := range regexp.MustCompile(`(?m)^  - name: ([a-z-]+)\n    summary:`).FindAllStringSubmatch(string(read(t, "../../deploy/"+file)), -1) {
			declared = append(declared, m[1])
		}
		files, err := filepath.Glob("../../deploy/" + dir + "/*.md")
		require.NoError(t, err)
		for _, f := range files {
			for _, m := range named.FindAllStringSubmatch(string(read(t, f)), -1) {
				used = append(used, m[1])
			}
		}
		slices.Sort(declared)
		slices.Sort(used)
		require.NotEmpty(t, declared, file)
		assert.Equal(t, declared, used, file)
	}
}

// tocsin check accepts what is shipped, with its runbooks.
func TestExamplesCheck(t *testing.T) {
	for _, file := range examples(t) {
		loadExample(t, file) // sets the environment
		assert.Contains(t, runCLI(t, 0, "check", "--config.file", file), " is good: ")
	}
}

// The commands that install what is shipped do, in another folder than root's.
func TestRemediesInstallAsDocumented(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "tocsin")
	b := newBox(t, "install", "sha256sum")
	b.standIn("systemctl", "exit 1")
	ran := 0
	for _, m := range fences.FindAllStringSubmatch(string(read(t, "../../docs/remediation.md")), -1) {
		if m[1] != "bash" {
			continue
		}
		cmd := exec.Command("/bin/sh", "-euc", strings.ReplaceAll(m[2], "/usr/local/lib/tocsin", lib))
		cmd.Dir, cmd.Env = "../..", []string{"PATH=" + b.bin}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "would run: systemctl --no-ask-password restart bitcell-node@us-east-1.service")
		files, err := filepath.Glob(lib + "/*")
		require.NoError(t, err)
		assert.Len(t, files, 5)
		ran++
	}
	assert.Equal(t, 1, ran)
	assert.Empty(t, b.calls(), "a dry run does nothing")
}
