package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// writeFiles writes files below a new folder, which it returns.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestRunbooksCoverage(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"runbooks/node.md": stepsBefore, "runbooks/other.md": "---\nalerts: [Other]\n---\n# Other\n\n1. x\n",
		"rules.yml": "groups: [{name: g, rules: [{alert: NodeDown, expr: x, labels: {severity: critical}}, {alert: nodeDOWN, expr: x}, " +
			"{alert: DiskFull, expr: x, labels: {severity: page}}, {alert: Slow, expr: x}, {record: a, expr: x}]}]\n",
		"warn.yml": "groups: [{name: g, rules: [{alert: Slow, expr: x, labels: {severity: warning}}]}]\n", "bad.yml": "a: [",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	ask := func(code int, args ...string) string {
		return runCLI(t, code, append([]string{"runbooks", "coverage", "--dir", at("runbooks")}, args...)...)
	}
	out := ask(0, "--rules", at("rules.yml"))
	for _, want := range []string{
		"4 alert rules: 1 with a runbook of their own, 1 only by fallback, 2 without one", "DiskFull           page      " + at("rules.yml") + ":1",
		"nodeDOWN          -         node     the runbook writes the alert's name in other letters: NodeDown", "other             other.md:4  Other",
	} {
		assert.Contains(t, out, want)
	}
	out = ask(1, "--rules", at("rules.yml"), "--strict")
	assert.Contains(t, out, "1 alert of severity critical or page without a runbook")
	assert.NotContains(t, ask(0, "--rules", at("warn.yml"), "--strict"), "critical")
	assert.Contains(t, ask(1, "--rules", at("bad.yml"), "--strict"), "1 rule file could not be read")
	assert.Contains(t, ask(0, "--rules", at("gone*.yml")), "cannot be read")
	assert.Contains(t, ask(2), "--server.url")
	var got coverageAnswer
	require.NoError(t, json.Unmarshal([]byte(ask(0, "--rules", at("*.yml"), "--output", "json")), &got))
	assert.Len(t, got.Coverage.Rules, 5)
	assert.Nil(t, got.Usage)
}

func TestRunbooksCoverageOfARunningServer(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "runbooks", "Never.md"), []byte("# Never\n\n1. x\n"), 0o600))
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks)
	for n := range 2 {
		id := d.openAt("NodeDown", fmt.Sprint("n", n), "critical")
		d.do(id, tocsin.ActStep, tocsin.Action{By: "ana", RunbookStep: "1", Status: tocsin.StepDone, Via: "API"})
		d.do(id, tocsin.ActStep, tocsin.Action{By: "ana", RunbookStep: "2", Status: tocsin.StepSkipped, Text: "no use", Via: "API"})
		d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	}
	d.openAt("NodeDown", "n3", "critical")
	var use tocsin.RunbookUsage
	require.Equal(t, 200, d.ask("GET", "/api/v1/runbooks-coverage", nil, &use))
	require.Len(t, use.Runbooks, 2)
	assert.True(t, use.Whole)
	node := use.Runbooks[1]
	assert.Equal(t, []any{"node", 3, 2}, []any{node.ID, node.Times, node.Worked})
	assert.Equal(t, tocsin.StepUse{ID: node.Steps[1].ID, Number: 2, Text: "Ask the providr", Uses: 2, Skipped: 2}, node.Steps[1])
	assert.Equal(t, 2, node.Steps[4].Open)
	out := runCLI(t, 0, "runbooks", "coverage", "--server.url", d.url)
	for _, want := range []string{"Use by 3 incidents (all that are kept):", "NEVER USED\nNever\n", "always skipped  Ask the providr", "never done      Drain the node"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "Look at the machine")
}

// A fence that names a remedy which is not declared is told where it stands.
func TestRemediesThatRunbooksName(t *testing.T) {
	t.Parallel()
	cure, sum := remedyScript(t, "restart-node", "#!/bin/sh\nexit 0\n")
	fenced := "# NodeDown\n\n## Mitigation\n\nRestart it:\n\n```bash {remediation=%s}\nsystemctl restart node\n```\n"
	dir := writeFiles(t, map[string]string{
		"rb/node.md": fmt.Sprintf(fenced, "restart-nod"),
		"tocsin.yml": "runbooks: {dirs: [rb]}\nroute: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n" +
			"remediations: [{name: restart-node, command: ['" + cure + "'], sha256: " + sum + ", matchers: ['alertname=\"NodeDown\"'], sandbox: {require: none}}]\n",
	})
	config := filepath.Join(dir, "tocsin.yml")
	want := filepath.Join(dir, "rb", "node.md") + ":7: error: the remedy restart-nod is not declared in the configuration; did you mean restart-node? (undeclared-remedy)"
	assert.Contains(t, runCLI(t, 1, "check", "--config.file", config), want)
	assert.Contains(t, runCLI(t, 1, "runbooks", "lint", "--config.file", config), want)
	assert.Contains(t, runCLI(t, 1, "runbooks", "lint", "--config.file", config, filepath.Join(dir, "rb")), want)
	assert.Empty(t, runCLI(t, 0, "runbooks", "lint", filepath.Join(dir, "rb")), "without a configuration nobody knows")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rb", "node.md"), fmt.Appendf(nil, fenced, "restart-node"), 0o600))
	assert.Contains(t, runCLI(t, 0, "check", "--config.file", config), "is good")
	assert.Empty(t, runCLI(t, 0, "runbooks", "lint", "--config.file", config))
	assert.Contains(t, runCLI(t, 0, "runbooks", "show", "NodeDown", "--config.file", config), "(the remedy restart-node does this: tocsin remediate)")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rb", "node.md"), fmt.Appendf(nil, fenced, "restart-node}{"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rb", "bad.md"), []byte("# A\n\n1. x\n\n```sh remediation=y\nz\n```\n"), 0o600))
	assert.Contains(t, runCLI(t, 1, "check", "--config.file", config), "bad.md:5: the name of a remedy stands in braces: write sh {remediation=y}")
}
