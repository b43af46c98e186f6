package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAPIDocument runs what docs/api.md shows, in one shell, against a server.
func TestAPIDocument(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	r := startApp(t)
	r.fire(t, "NodeDown", "a", "critical")
	var script strings.Builder
	for _, f := range documentFences(t, "../../docs/api.md") {
		if f.lang == "sh" {
			script.WriteString(strings.ReplaceAll(f.text, "tocsin token create", "tocsin token create --server.url \"$TOCSIN_URL\""))
			script.WriteString("\necho ----\n")
		}
	}
	out, err := ownShell(t, r.url, script.String())
	require.NoError(t, err, out)
	parts := strings.Split(out, "----\n")
	require.Len(t, parts, 7, out)
	assert.Contains(t, parts[0], `"name":"deploys","role":"responder"`)
	assert.Contains(t, parts[1], `NodeDown`)
	assert.Contains(t, parts[1], "\ttriggered\t")
	assert.Contains(t, parts[2], `"incident":`)
	assert.Contains(t, parts[3], `"status":"ok"`)
	assert.Contains(t, parts[4], "Now it would hide 1 firing alert")
	assert.Contains(t, parts[5], "event: opened\ndata: {")
	assert.NotContains(t, parts[5], "127.0.0.1", "where from is for managers")

	s := runCLI(t, 0, "audit", "--all", "--server.url", r.url)
	assert.Equal(t, 1, strings.Count(s, "the third batch does not start"), s)
	assert.Regexp(t, `silence +deploys \(API from 127\.0\.0\.1\) +silence \w+ of alertname="NodeDown" ended by deploys`, s)
}
