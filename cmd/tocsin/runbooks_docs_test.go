package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// What docs/runbooks.md says is tried on a running server: its configuration is
// loaded, its rules are read, its commands run.
func TestRunbooksDocument(t *testing.T) {
	r := startApp(t)
	dir := filepath.Dir(r.file)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "runbooks"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "rules"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "runbooks", "node.md"), []byte(stepsBefore), 0o600))
	for _, name := range []string{"alerts.yml", "rules/node.yml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("groups: [{name: g, rules: [{alert: NodeDown, expr: x}]}]\n"), 0o600))
	}
	text, err := yaml.Marshal(with(asMap(t, string(read(t, r.file))), asMap(t, "runbooks: {dirs: [runbooks]}")))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file, text, 0o600))
	require.NoError(t, r.app.Reload(t.Context()))
	r.fire(t, "NodeDown", "a", "critical")
	id := r.incidents(t)[0].ID
	document := documentFences(t, "../../docs/runbooks.md")
	whole := string(read(t, "../../docs/runbooks.md"))
	t.Chdir(dir)
	t.Setenv("TOCSIN_URL", r.url)
	ran, loaded := 0, 0
	for _, f := range document {
		switch f.lang {
		case "sh":
			ran += runDocumented(t, r, strings.ReplaceAll(f.text, "k7f3q9", id))
		case "yaml":
			loaded++
			if strings.Contains(f.text, "groups:") {
				checkRules(t, f.text)
				continue
			}
			_, warnings, err := config.Parse(filepath.Join(dir, "x.yml"), []byte(f.text+
				"\nroute: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n"))
			require.NoError(t, err, f.text)
			assert.Empty(t, warnings)
		}
	}
	assert.Equal(t, 15, ran)
	assert.Equal(t, 2, loaded)

	// The fence that names a remedy is read as the document says.
	_, fence, _ := strings.Cut(whole, "````markdown\n")
	fence, _, _ = strings.Cut(fence, "````\n")
	rbs, err := runbooks.Parse("node.md", []byte("# NodeDown\n\n## Mitigation\n\n"+fence))
	require.NoError(t, err)
	assert.Equal(t, "restart-node", rbs[0].Steps[0].Commands[0].Remediation)
	assert.Equal(t, "bash", rbs[0].Steps[0].Commands[0].Lang)
}

// runDocumented runs the lines of a block, and returns how many.
func runDocumented(t *testing.T, r *running, text string) (ran int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " #")
		words := options.FindAllString(line, -1)
		if len(words) == 0 {
			continue
		}
		ran++
		if words[0] == "curl" {
			status, body := curl(t, r.url, line)
			assert.Equal(t, http.StatusOK, status, "%s\n%s", line, body)
			continue
		}
		require.Equal(t, "tocsin", words[0], line)
		for n := range words {
			words[n] = strings.Trim(words[n], `"'`)
			if words[n] == "http://127.0.0.1:9911" {
				words[n] = r.url
			}
		}
		out := runCLI(t, 0, words[1:]...)
		if words[2] != "lint" { // which says nothing where nothing is wrong
			assert.NotEmpty(t, out, line)
		}
	}
	return ran
}
