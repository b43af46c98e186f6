package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// A runbook that is edited while an incident is worked on is read without anybody
// asking; what was pinned and ticked stays, and what goes wrong takes nothing away.
func TestRunbooksAreReadAgainByThemselves(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, "\nrunbooks: {dirs: [runbooks], reload_interval: 20ms}\n")
	id := d.open("NodeDown", "critical")
	version := d.incident(id).Progress.Version
	d.do(id, tocsin.ActStep, tocsin.Action{By: "ana", RunbookStep: "1", Status: tocsin.StepDone, Via: "API"})

	d.putRunbook(stepsAfter)
	d.eventually(func() bool { return strings.Contains(d.progress(id), "Restart the node, twice: open (edited since)") }, "the runbook is read again")
	assert.Contains(t, d.progress(id), "1 Look at the machine: done by ana, API")
	assert.Equal(t, version, d.incident(id).Progress.Version)

	stale := func() string {
		var rb tocsin.Runbook
		d.ask("GET", "/api/v1/runbooks/node", nil, &rb)
		return rb.Stale
	}
	assert.Empty(t, stale())
	d.putRunbook("---\nalerts: [NodeDown\n---\n# Broken\n")
	d.eventually(func() bool { return stale() != "" }, "the broken file is seen")
	assert.Contains(t, d.progress(id), "1 Look at the machine: done by ana, API")
	assert.Contains(t, d.get(t, "/metrics"), "tocsin_runbooks_stale 1")
	assert.Contains(t, d.get(t, "/api/v1/runbooks"), `"stale":`)
	assert.Contains(t, runCLI(t, 0, "incidents", id, "--server.url", d.url), "This is its last good version: ")
	assert.Contains(t, d.log.String(), "its version of before stays in use")

	require.NoError(t, os.Rename(filepath.Join(d.dir, "runbooks"), filepath.Join(d.dir, "away")))
	d.eventually(func() bool { return strings.Contains(stale(), "its folder cannot be read now") }, "the folder is missed")
	other := d.openAt("NodeDown", "b", "critical")
	assert.Equal(t, "node", d.incident(other).Runbook, "the next incident has its runbook all the same")
	require.NoError(t, os.Rename(filepath.Join(d.dir, "away"), filepath.Join(d.dir, "runbooks")))
	d.putRunbook(stepsBefore)
	d.eventually(func() bool { return stale() == "" && !strings.Contains(d.progress(id), "edited") }, "all is well again")
	assert.Contains(t, d.log.String(), `msg="runbooks reloaded" component=runbooks runbooks=1 added=0 changed=1`)
}
