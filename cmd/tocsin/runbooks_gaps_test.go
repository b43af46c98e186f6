package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheRunbooksLack(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, "runbooks", "Broken.md"), []byte("# Broken\n\n1. See [that](gone.md).\n\n```sh {remediation=cure}\nx\n```\n"), 0o600))
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks)
	for _, node := range []string{"n1", "n2"} {
		d.openAt("Lonely", node, "critical")
	}
	d.openAt("NodeDown", "n1", "critical")
	answer, err := http.Get(d.url + "/runbooks-coverage")
	require.NoError(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, 200, answer.StatusCode, string(page))
	for _, want := range []string{"<bdi>Lonely</bdi></strong> <span class=\"muted\">2 incidents", "Broken.md:3", "gone.md", "the remedy cure is not declared"} {
		assert.Contains(t, string(page), want)
	}
	assert.NotContains(t, string(page), "<bdi>NodeDown</bdi></strong>")
}
