package runbooks_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldens(t *testing.T) {
	t.Parallel()
	files := []string{
		"kubernetes/KubeNodeNotReady.md", "kubernetes/KubeletDown.md",
		"incidents.md", "bridge-guide.md", "queue-stuck.md", "matchers.md",
	}
	for _, file := range files {
		source, err := os.ReadFile(filepath.Join("testdata", "runbooks", file))
		require.NoError(t, err)
		rbs, err := runbooks.Parse(file, source)
		require.NoError(t, err, file)
		got, err := json.MarshalIndent(rbs, "", "  ")
		require.NoError(t, err)
		golden := filepath.Join("testdata", "golden", strings.ReplaceAll(file, "/", "_")+".json")
		if *update {
			require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got), file)
	}
}

// parseOne parses a source that is one runbook.
func parseOne(t *testing.T, file, source string) tocsin.Runbook {
	t.Helper()
	rbs, err := runbooks.Parse(file, []byte(source))
	require.NoError(t, err)
	require.Len(t, rbs, 1)
	return rbs[0]
}

func TestWhichAlerts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, source string
		want         []string
	}{
		"file name":              {"a/DiskFull.md", "# Disk is full\n\n- x", []string{"DiskFull"}},
		"file name over heading": {"DiskFull.md", "# DiskFilling\n", []string{"DiskFull"}},
		"heading":                {"disk.md", "# DiskFull\n\ntext", []string{"DiskFull"}},
		"heading in code":        {"disk.md", "# `disk:full`\n\ntext", []string{"disk:full"}},
		"heading with label":     {"disk.md", "# Alert: DiskFull\n\ntext", []string{"DiskFull"}},
		"one word":               {"Watchdog.md", "# Watchdog\n\n## Meaning\nx", []string{"Watchdog"}},
		"UTF-8":                  {"ディスク満杯.md", "# ディスク満杯\n\n## Fix\n- x", []string{"ディスク満杯"}},
		"words in both":          {"node-down.md", "# Node down\n\n## Diagnosis\n- look", []string{"NodeDown"}},
		"front matter":           {"x.md", "---\nalerts: [A, B]\n---\n# DiskFull\n", []string{"A", "B"}},
		"front matter, text":     {"x.md", "---\nalert: A\n---\ntext", []string{"A"}},
		"bold":                   {"x.md", "# Disk\n\n**Alerts**: `A`, `B`\n", []string{"A", "B"}},
		"bold lines":             {"x.md", "# Disk\n\n**Alert:** A\n**Severity:** warning\n**Diagnosis:**\n- x\n", []string{"A"}},
		"plain words":            {"x.md", "# Disk\n\nAlert: A or B\n", []string{"A", "B"}},
		"in a list":              {"x.md", "# Disk\n\n- **Alert:** `A`\n- **Severity:** page\n", []string{"A"}},
		"in a table":             {"x.md", "# Disk\n\n|Field|Value|\n|-|-|\n|Alert|`A`|\n", []string{"A"}},
		"in a section":           {"x.md", "# Disk\n\n## Alert\n\nAlert: A\n", []string{"A"}},
		"no names":               {"x.md", "# Disk\n\n**Alert:** Custom alerts or manual detection\n", nil},
		"a guide":                {"deployment-guide.md", "# Production Guide\n\n## Overview\ntext", nil},
		"where alerts go":        {"x.md", "# Disk\n\n- **Alerts**: PagerDuty\n- Alerts: http://localhost:9999/alerts\n\n**Alerts:** https://a.b\n", nil},
		"a word":                 {"kafka.md", "# Kafka\n\nAbout it.", nil},
		"readme":                 {"README.md", "# README\n\ntext", nil},
		"empty":                  {"notes.md", "", nil},
		"not front matter":       {"notes.md", "---\njust a line\n---\n", nil},
	} {
		assert.Equal(t, c.want, parseOne(t, c.file, c.source).Alerts, name)
	}
}

func TestManyAlertsByHeading(t *testing.T) {
	t.Parallel()
	rbs, err := runbooks.Parse("alerts.md", []byte("# Alerts\n\nAll of them.\n\n## NodeDown\n\n### Diagnosis\n- look\n\n## `disk_full`\n\n### Fix\n- free\n\n## PostgreSQL\n\ntext\n"))
	require.NoError(t, err)
	require.Len(t, rbs, 3)
	assert.Equal(t, "alerts", rbs[0].ID)
	assert.Equal(t, "alerts#nodedown", rbs[1].ID)
	assert.Equal(t, []string{"NodeDown"}, rbs[1].Alerts)
	assert.Equal(t, []string{"disk_full"}, rbs[2].Alerts)
	assert.Equal(t, 10, rbs[2].Line)
}

func TestSectionWording(t *testing.T) {
	t.Parallel()
	for heading, want := range map[string]tocsin.SectionKind{
		"Meaning": tocsin.SectionMeaning, "Description": tocsin.SectionMeaning, "Overview": tocsin.SectionMeaning, "Symptoms": tocsin.SectionMeaning,
		"Impact": tocsin.SectionImpact, "User impact": tocsin.SectionImpact,
		"Diagnosis": tocsin.SectionDiagnosis, "Troubleshooting Steps": tocsin.SectionDiagnosis, "2. Investigation": tocsin.SectionDiagnosis, "Impact Assessment": tocsin.SectionDiagnosis,
		"Mitigation": tocsin.SectionMitigation, "Immediate Actions (0-15 minutes)": tocsin.SectionMitigation, "Common solutions": tocsin.SectionMitigation, "Common Causes and Solutions": tocsin.SectionMitigation,
		"Resolution": tocsin.SectionResolution, "Recovery": tocsin.SectionResolution, "How to fix": tocsin.SectionResolution,
		"Escalation": tocsin.SectionEscalation, "Emergency Contacts": tocsin.SectionEscalation,
		"Follow-up": tocsin.SectionFollowUp, "Verification": tocsin.SectionFollowUp, "Post-Incident Review": tocsin.SectionFollowUp, "Postmortem": tocsin.SectionFollowUp,
		"Glossary": tocsin.SectionOther, "Recovery Objectives": tocsin.SectionOther,
	} {
		rb := parseOne(t, "x.md", "# Disk\n\n## "+heading+"\n\n1. Some text.\n\n```text\nmore\n```\n\nAnd `words`.\n")
		require.Len(t, rb.Sections, 1, heading)
		assert.Equal(t, want, rb.Sections[0].Kind, heading)
	}
	rb := parseOne(t, "x.md", "# Disk\n\n**Diagnosis:** Look at it:\n- top\n\n__Mitigation__\n\n- Free space.\n")
	require.Len(t, rb.Steps, 2)
	assert.Equal(t, tocsin.SectionDiagnosis, rb.Steps[0].Section)
	assert.Equal(t, tocsin.SectionMitigation, rb.Steps[1].Section)
}

func TestWhatIsNoStep(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"contents":     "# Disk\n\n- [Diagnosis](#diagnosis)\n  - [Look](#look)\n\n## Diagnosis\n\n1. [A](#a)\n2. [B](#b)\n",
		"links":        "# Disk\n\n## Mitigation\n\n- [Docs](https://example.com)\n- [More](./more.md)\n",
		"symptoms":     "# Disk\n\n## Symptoms\n\n1. It is full\n\n```bash\ndf -h\n```\n",
		"to do":        "# Disk\n\n## Mitigation\n\nTODO\n\n## Diagnosis\n\nTo be added.\n",
		"see":          "# Disk\n\n## Mitigation\n\nSee [there](https://example.com) for steps.\n",
		"sample":       "# Disk\n\n## Diagnosis\n\n```text\nlevel=error\n```\n",
		"empty items":  "# Disk\n\n## Follow-up\n\n-\n-\n- **When**:\n",
		"requirements": "# Disk\n\n## System\n\n- CPU: 4\n",
		"hidden":       "# Disk\n\n## Mitigation\n\n<!--\n- rm -rf /\n-->\n",
	} {
		assert.Empty(t, parseOne(t, "x.md", source).Steps, name)
	}
}

func TestUnusualButFine(t *testing.T) {
	t.Parallel()
	rb := parseOne(t, "x.md", "\ufeff# Disk\r\n\r\n## Fix\r\n\r\n1. Restart <pod-name><br>soon &amp; \\*well\\*\r\n")
	assert.Equal(t, "Restart <pod-name> soon & *well*", rb.Steps[0].Text)
	rb = parseOne(t, "x.md", "# Disk\n\n## Fix\n\n- bad \xff byte, [click](javascript:alert(1)) [ok](../a.md)\n")
	assert.Equal(t, "bad \ufffd byte, click ok", rb.Steps[0].Text)
	assert.Equal(t, []tocsin.Link{{Text: "ok", URL: "../a.md"}}, rb.Steps[0].Links)
}

func TestBrokenFrontMatterKeepsTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		front string
		line  int
	}{
		"not YAML":     {"title: [", 1},
		"wrong type":   {"a: 1\nalerts: {x: y}", 3},
		"bad matcher":  {`matchers: ['a=~"("']`, 1},
		"alias bomb":   {"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nalerts: *b", 4},
		"deep":         {"a: " + strings.Repeat("[", 5000), 1},
		"large":        {"a: " + strings.Repeat("x", 20_000), 1},
		"alias bomb 2": {"a: &a x\nalerts: [*a]", 3},
	} {
		rbs, err := runbooks.Parse("x.md", []byte("---\n"+c.front+"\n---\n# DiskFull\n\n## Fix\n\n- do\n"))
		var p *runbooks.Problem
		require.ErrorAs(t, err, &p, name)
		assert.Equal(t, runbooks.CodeFrontMatter, p.Code, name)
		assert.Equal(t, c.line, p.Line, name)
		require.Len(t, rbs, 1, name)
		assert.Equal(t, []string{"DiskFull"}, rbs[0].Alerts, name)
		assert.Empty(t, rbs[0].Matchers, name)
		assert.Len(t, rbs[0].Steps, 1, name)
	}
}
