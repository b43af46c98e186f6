package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
)

// fence is one fenced block of a document.
type fence struct{ file, lang, text string }

var fences = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func documents(t *testing.T) []fence {
	t.Helper()
	var out []fence
	for _, file := range []string{"../../README.md", "../../docs/operations.md"} {
		for _, m := range fences.FindAllStringSubmatch(string(read(t, file)), -1) {
			out = append(out, fence{filepath.Base(file), m[1], m[2]})
		}
	}
	require.NotEmpty(t, out)
	return out
}

// TestDocumentedConfigurations loads every Tocsin configuration of the documents,
// and has promtool read every rule file.
func TestDocumentedConfigurations(t *testing.T) {
	tried := 0
	for _, f := range documents(t) {
		switch {
		case f.lang != "yaml":
		case strings.Contains(f.text, "route:"):
			dir := workshop(t)
			_, warnings, err := config.Parse(filepath.Join(dir, "tocsin.yml"), []byte(f.text))
			require.NoError(t, err, f.text)
			assert.Empty(t, warnings)
			tried++
		case strings.Contains(f.text, "groups:"):
			checkRules(t, f.text)
			tried++
		}
	}
	assert.GreaterOrEqual(t, tried, 2)
}

func checkRules(t *testing.T, text string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Log("promtool is not installed; the documented rules are not checked")
		return
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// workshop is a folder with all files that the documents' configuration names.
func workshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, writeDemoFiles(dir, "127.0.0.1:9914"))
	nodes := filepath.Join(dir, "runbooks", "nodes.md") // the documents' configuration declares no remedy
	require.NoError(t, os.WriteFile(nodes, []byte(strings.ReplaceAll(string(read(t, nodes)), " {remediation=restart-node}", "")), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slack.token"), []byte("xoxb-canary"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pagerduty.key"), []byte("canary0123456789abcdef0123456789"), 0o600))
	return dir
}

var options = regexp.MustCompile(`"[^"]*"|\S+`)

// TestDocumentedCommands runs every tocsin command of the documents against a
// running server, in a folder with the README's configuration.
func TestDocumentedCommands(t *testing.T) {
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	r.settled(t)
	id := r.incidents(t)[0].ID
	dir := workshop(t)
	all := documents(t)
	i := slices.IndexFunc(all, func(f fence) bool { return f.lang == "yaml" && strings.Contains(f.text, "route:") })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tocsin.yml"), []byte(all[i].text), 0o600))
	t.Chdir(dir)
	t.Setenv("TOCSIN_URL", r.url)
	ran := 0
	for _, f := range all {
		if f.lang != "sh" {
			continue
		}
		for line := range strings.Lines(f.text) {
			line, _, _ = strings.Cut(line, " #")
			line = strings.ReplaceAll(strings.ReplaceAll(line, "k7f3q9", id), "/var/backups", dir)
			words := options.FindAllString(line, -1)
			if len(words) < 2 || strings.TrimPrefix(words[0], "bin/") != "tocsin" || words[1] == "serve" {
				continue
			}
			for n := range words {
				words[n] = strings.Trim(words[n], `"`)
			}
			out := runCLI(t, 0, words[1:]...)
			assert.NotEmpty(t, out, line)
			ran++
		}
	}
	assert.GreaterOrEqual(t, ran, 10)
}

// TestDocumentedMakeTargets finds every make target that the README names.
func TestDocumentedMakeTargets(t *testing.T) {
	makefile := string(read(t, "../../Makefile"))
	found := 0
	for _, f := range documents(t) {
		for _, m := range regexp.MustCompile(`(?m)^make ([a-z-]+)`).FindAllStringSubmatch(f.text, -1) {
			assert.Contains(t, makefile, fmt.Sprintf("\n%s:", m[1]))
			found++
		}
	}
	assert.GreaterOrEqual(t, found, 3)
}
