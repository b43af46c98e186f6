package runbooks_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"pgregory.net/rapid"
)

const coverageRules = `
groups:
  - name: g
    rules:
      - {record: job:up:sum, expr: sum(up)}
      - {alert: NodeDown, expr: up == 0, labels: {severity: critical}}
      - {alert: nodeslow, expr: x, labels: {severity: warning}}
      - {alert: Linked, expr: x, annotations: {runbook_url: 'https://git.example.com/guide.md#disk'}}
      - {alert: Lost, expr: x, annotations: {runbook_url: 'https://git.example.com/guide.md#gone'}}
      - {alert: Elsewhere, expr: x, annotations: {runbook_url: 'https://wiki.example.com/42'}}
      - {alert: Database, expr: x, labels: {team: db, severity: page}}
      - {alert: Perhaps, expr: x, labels: {severity: '{{ if gt $value 9.0 }}critical{{ else }}info{{ end }}'}}
      - {alert: Templated, expr: x, labels: {team: '{{ $labels.team }}'}}
      - {alert: Pinned, expr: x, labels: {team: db}}
`

func TestCoverage(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"rules/a.yml": coverageRules, "rules/bad.yml": "a: [", "rules/b.txt": "x",
		"rb/node.md":    "---\nalerts: [NodeDown, NodeSlow]\n---\n" + step("x"),
		"rb/guide.md":   "# Guide\n\nText.\n\n## Disk\n\n**Alert:** `DiskFull`\n\n1. x\n",
		"rb/else.md":    "---\nalerts: [Elsewhere]\n---\n" + step("x"),
		"rb/db.md":      "---\nmatchers: ['team=\"db\"']\n---\n" + step("x"),
		"rb/pinned.md":  "---\nmatchers: ['team=\"db\"', 'alertname=\"Pinned\"']\n---\n" + step("x"),
		"rb/unused.md":  "---\nalerts: [Unused]\n---\n" + step("x"),
		"rb/prose.md":   "# About\n\nWords.\n",
		"rb/cluster.md": "---\nmatchers: ['cluster=\"eu\"', 'alertname=~\"Perh.*\"']\n---\n" + step("x"),
	})
	lib := load(t, filepath.Join(dir, "rb"))
	c := lib.Coverage([]string{filepath.Join(dir, "rules", "*.yml")})
	require.Len(t, c.Findings, 1)
	assert.Contains(t, c.Findings[0].File, "bad.yml")
	type row struct {
		runbook, by, fallback string
		severe                bool
	}
	got := map[string]row{}
	for _, r := range c.Rules {
		assert.Equal(t, filepath.Join(dir, "rules", "a.yml"), r.File)
		assert.NotZero(t, r.Line)
		got[r.Alert] = row{r.Runbook, r.By, r.Fallback, r.Severe()}
	}
	assert.Equal(t, map[string]row{
		"NodeDown":  {"node", "name", "", true},
		"nodeslow":  {"node", "name", "the runbook writes the alert's name in other letters: NodeDown, NodeSlow", false},
		"Linked":    {"guide#disk", "runbook_url", "", false},
		"Lost":      {"guide", "runbook_url", "its runbook_url names a heading that no runbook has; this is the page", false},
		"Elsewhere": {"else", "name", "its runbook_url (https://wiki.example.com/42) leads to no runbook", false},
		"Database":  {"db", "matchers", "its matchers name no alert: it is for every alert with these labels", true},
		"Perhaps":   {"cluster", "matchers", `only for series with labels that match cluster="eu", alertname=~"Perh.*"`, true},
		"Templated": {"db", "matchers", `only for series with labels that match team="db"`, false},
		"Pinned":    {"pinned", "matchers", "", false},
	}, got)
	ids := []string{}
	for _, u := range c.Unmatched {
		ids = append(ids, u.ID)
	}
	assert.Equal(t, []string{"unused"}, ids)
	assert.Empty(t, c.Uncovered())
	assert.Len(t, c.Fallbacks(), 6)

	// Without the runbooks, nothing is covered.
	c = load(t, filepath.Join(dir, "rules")).Coverage([]string{filepath.Join(dir, "rules"), filepath.Join(dir, "gone*.yml")})
	assert.Len(t, c.Uncovered(), 9)
	assert.Len(t, c.Findings, 2)
	c = (*runbooks.Library)(nil).Coverage(nil)
	assert.NotNil(t, c.Rules)
	assert.NotNil(t, c.Unmatched)
	assert.NotNil(t, c.Findings)
}

// What Cover says of an alert that has fired is what Find does with it: there are no
// labels but its own, and braces in them are no template.
func TestCoverOfAlertsIsFind(t *testing.T) {
	t.Parallel()
	lib := load(t, folder(t, map[string]string{
		"node.md":    "---\nalerts: [NodeDown, NodeSlow]\n---\n" + step("x"),
		"guide.md":   "# Guide\n\nText.\n\n## Disk\n\n**Alert:** `DiskFull`\n\n1. x\n",
		"db.md":      "---\nmatchers: ['team=\"db\"']\n---\n" + step("x"),
		"braces.md":  "---\nmatchers: ['team=~\".*b.*\"', 'severity!=\"page\"']\n---\n" + step("x"),
		"pinned.md":  "---\nmatchers: ['team=\"db\"', 'alertname=\"Pinned\"']\n---\n" + step("x"),
		"nothing.md": "---\nmatchers: ['team=\"\"', 'alertname=\"Bare\"']\n---\n" + step("x"),
	}))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"NodeDown", "nodedown", "DiskFull", "Pinned", "Bare", "Other"}).Draw(t, "name")
		a := tocsin.Alert{Labels: tocsin.Labels{"alertname": name}, Annotations: tocsin.Labels{}}
		if v := rapid.SampledFrom([]string{"", "db", "{{b}}", "web"}).Draw(t, "team"); v != "" {
			a.Labels["team"] = v
		}
		if v := rapid.SampledFrom([]string{"", "page", "{{ x }}"}).Draw(t, "severity"); v != "" {
			a.Labels["severity"] = v
		}
		if url := rapid.SampledFrom([]string{"", "https://g/guide.md#disk", "https://g/guide.md#gone", "https://g/none", "node"}).Draw(t, "url"); url != "" {
			a.Annotations["runbook_url"] = url
		}
		want := ""
		if rb := lib.Find(&a); rb != nil {
			want = rb.ID
		}
		got := lib.Cover([]runbooks.Rule{{Name: name, Labels: a.Labels, Annotations: a.Annotations, Fired: true}})
		assert.Equal(t, want, got.Rules[0].Runbook, "%v", a)
	})
}

// Rules are told in the order in which they come, with their groups, and one for
// which any label would do leads to its runbook.
func TestCover(t *testing.T) {
	t.Parallel()
	lib := load(t, folder(t, map[string]string{
		"node.md": "---\nalerts: [NodeDown]\n---\n" + step("x"),
		"db.md":   "---\nmatchers: ['team=\"db\"', 'alertname=\"Slow\"']\n---\n" + step("x"),
	}))
	for name, c := range map[string]struct {
		rule      runbooks.Rule
		want      tocsin.RuleCoverage
		unmatched int
	}{
		"by name":      {runbooks.Rule{File: "f", Group: "g", Name: "NodeDown"}, tocsin.RuleCoverage{File: "f", Group: "g", Alert: "NodeDown", Runbook: "node", By: "name"}, 1},
		"none":         {runbooks.Rule{File: "f", Line: 3, Name: "Other"}, tocsin.RuleCoverage{File: "f", Line: 3, Alert: "Other"}, 2},
		"by its URL":   {runbooks.Rule{Name: "X", Annotations: tocsin.Labels{"runbook_url": "https://w/node.md"}}, tocsin.RuleCoverage{Alert: "X", Runbook: "node", By: "runbook_url"}, 1},
		"labels fit":   {runbooks.Rule{Name: "Slow", Labels: tocsin.Labels{"team": "db", "severity": "page"}}, tocsin.RuleCoverage{Alert: "Slow", Severity: "page", Runbook: "db", By: "matchers"}, 1},
		"another team": {runbooks.Rule{Name: "Slow", Labels: tocsin.Labels{"team": "web"}}, tocsin.RuleCoverage{Alert: "Slow"}, 2},
		"series may":   {runbooks.Rule{Name: "Slow"}, tocsin.RuleCoverage{Alert: "Slow", Runbook: "db", By: "matchers", Fallback: `only for series with labels that match team="db", alertname="Slow"`}, 1},
		"it did not":   {runbooks.Rule{Name: "Slow", Fired: true}, tocsin.RuleCoverage{Alert: "Slow"}, 2},
		"no name":      {runbooks.Rule{}, tocsin.RuleCoverage{}, 2},
	} {
		got := lib.Cover([]runbooks.Rule{c.rule})
		assert.Equal(t, []tocsin.RuleCoverage{c.want}, got.Rules, name)
		assert.Len(t, got.Unmatched, c.unmatched, name)
	}
	got := (*runbooks.Library)(nil).Cover(nil)
	assert.Equal(t, tocsin.Coverage{Rules: []tocsin.RuleCoverage{}, Unmatched: []tocsin.Unmatched{}}, got)
}

// What Coverage says of a rule is what Find does with its alerts.
func TestCoverageOfRealRules(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(sharedData); err != nil {
		t.Skip("no shared data beside the checkout: ", err)
	}
	for name, want := range map[string]struct{ rules, uncovered int }{"bitcell": {15, 7}, "fusion": {5, 5}} {
		lib := load(t, filepath.Join(sharedData, "runbooks", name))
		c := lib.Coverage([]string{filepath.Join(sharedData, "rules", name+"-alert*s.yml")})
		assert.Empty(t, c.Findings, name)
		assert.Len(t, c.Rules, want.rules, name)
		assert.Len(t, c.Uncovered(), want.uncovered, name)
		assert.Empty(t, c.Fallbacks(), name)
		assert.Empty(t, c.Unmatched, name)
		for _, r := range c.Rules {
			found := ""
			if rb := lib.Find(&tocsin.Alert{Labels: tocsin.Labels{"alertname": r.Alert}}); rb != nil {
				found = rb.ID
			}
			assert.Equal(t, found, r.Runbook, r.Alert)
		}
	}
}
