package runbooks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

func TestLint(t *testing.T) {
	t.Parallel()
	r := runbooks.Lint([]string{"testdata/lint"}, []string{"testdata/lint/rules.yml"}, nil)
	type f struct {
		file  string
		line  int
		level runbooks.Level
		code  string
	}
	var got []f
	for _, x := range r.Findings {
		assert.NotEmpty(t, x.Text)
		got = append(got, f{filepath.Base(x.File), x.Line, x.Severity, x.Code})
	}
	e, w := runbooks.LevelError, runbooks.LevelWarning
	assert.Equal(t, []f{
		{"bad.md", 1, e, runbooks.CodeFrontMatter},
		{"bad.md", 7, e, runbooks.LintDeadLink},
		{"bad.md", 7, e, runbooks.LintDeadLink},
		{"bad.md", 9, w, runbooks.LintOpenFence},
		{"good.md", 3, e, runbooks.LintDuplicateAlert},
		{"good.md", 11, w, runbooks.LintUnused},
		{"rules.yml", 8, e, runbooks.LintUncovered},
		{"rules.yml", 11, w, runbooks.LintElsewhere},
	}, got)
	assert.True(t, r.Failed())
	assert.Equal(t, 4, r.Rules)
	assert.Equal(t, 4, r.Runbooks)
	assert.Contains(t, r.Findings[1].String(), "bad.md:7: error: ")
	b, err := json.Marshal(r)
	require.NoError(t, err)
	var back runbooks.Report
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, r, back)
}

func TestLintClean(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"runbooks/a/NodeDown.md": "# NodeDown\n\n## Fix it\n\n- See [b](../b.md#fix), [c](/a/NodeDown), [folder](../a), [out](../../docs/x.md), [web](https://example.com/gone), [mail](mailto:a@b.c), [here](#fix-it), [named](#Spot), <a@b.c>\n\n<a name=\"spot\"></a>\n",
		"runbooks/b.md":          "# Some page\n\nFix\n---\n\ntext\n",
		"runbooks/matched.md":    "---\nmatchers: ['severity=\"critical\"', 'region=\"eu\"']\n---\n# Anything\n\n1. do\n",
		"docs/x.md":              "# x",
		"rules/a.yml":            "groups:\n- name: a\n  rules:\n  - {alert: nodedown, expr: up}\n  - {alert: Other, expr: up, labels: {severity: critical}}\n",
		"rules/ignored.txt":      "not rules",
	})
	r := runbooks.Lint([]string{filepath.Join(dir, "runbooks")}, []string{filepath.Join(dir, "rules")}, nil)
	assert.Empty(t, r.Findings)
	assert.NotNil(t, r.Findings)
	assert.False(t, r.Failed())
	assert.Equal(t, 2, r.Rules)
	b, err := json.Marshal(r)
	require.NoError(t, err)
	assert.JSONEq(t, `{"runbooks": 3, "steps": 3, "rules": 2, "findings": []}`, string(b))
}

func TestLintWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"rb/a.md": "# a\n", "bad.yml": "groups: [", "empty.yml": "", "odd.yml": "groups: 1\n---\n[1, 2]\n---\ngroups: [{rules: [1, {alert: [x]}]}, 2]\n",
		"bomb.yml":  "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\ngroups: [{rules: *c}]\n",
		"large.yml": strings.Repeat("#", 9<<20),
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	r := runbooks.Lint([]string{at("rb")}, []string{at("bad.yml"), at("empty.yml"), at("odd.yml"), at("bomb.yml"), at("large.yml"), at("gone.yml")}, nil)
	var files []string
	for _, f := range r.Findings {
		assert.Equal(t, runbooks.LintBadRules, f.Code, f.Text)
		files = append(files, filepath.Base(f.File))
	}
	assert.Equal(t, []string{"bad.yml", "gone.yml", "large.yml"}, files)
	assert.Positive(t, r.Runbooks)
	r = runbooks.Lint([]string{at("gone")}, nil, nil)
	assert.True(t, r.Failed())
}

func TestLintRealData(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(sharedData); err != nil {
		t.Skip("no shared data beside the checkout: ", err)
	}
	r := runbooks.Lint([]string{filepath.Join(sharedData, "runbooks", "bitcell")}, []string{filepath.Join(sharedData, "rules", "bitcell-alerts.yml")}, nil)
	counts := map[string]int{}
	for _, f := range r.Findings {
		counts[f.Code]++
	}
	assert.Equal(t, map[string]int{runbooks.LintUncovered: 7, runbooks.LintDeadLink: 3}, counts)
	assert.Equal(t, 15, r.Rules)
}
