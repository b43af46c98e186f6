package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

const dutyRunbooks = "\nrunbooks: {dirs: [runbooks]}\n"

const stepsBefore = `# NodeDown

## Diagnosis

1. Look at the machine

   ` + "```bash\n   ssh $INSTANCE uptime\n   ```" + `
2. Ask the providr

## Mitigation

1. Drain the node
2. Restart the node
3. Tell the team
`

// stepsAfter mends a word, changes a step, leaves one out and adds one; and moves
// all of them.
const stepsAfter = `# NodeDown

What was learnt last time is below.

## Diagnosis

1. Look at the   machine

   ` + "```bash\n   ssh $INSTANCE uptime\n   ```" + `
2. Ask the provider

## Mitigation

1. Restart the node, twice
2. Check the volumes
3. Tell the team
`

// putRunbook writes the runbook of NodeDown, in a git checkout; "" takes it away.
func (d *duty) putRunbook(text string) {
	d.t.Helper()
	file := filepath.Join(d.dir, "runbooks", "node.md")
	require.NoError(d.t, os.MkdirAll(filepath.Join(d.dir, ".git"), 0o700))
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, ".git", "HEAD"), []byte("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d\n"), 0o600))
	require.NoError(d.t, os.MkdirAll(filepath.Dir(file), 0o700))
	if text == "" {
		require.NoError(d.t, os.Remove(file))
		return
	}
	require.NoError(d.t, os.WriteFile(file, []byte(text), 0o600))
}

// progress is how the steps stand, a line each.
func (d *duty) progress(id string) string {
	d.t.Helper()
	var got client.Incident
	require.Equal(d.t, http.StatusOK, d.ask(http.MethodGet, "/api/v1/incidents/"+id, nil, &got))
	var lines []string
	for _, v := range got.Progress {
		line := fmt.Sprintf("%d %s: %s", v.Number, v.Text, v.Status)
		if v.By != "" {
			line += fmt.Sprintf(" by %s, %s", v.By, v.Via)
		}
		if v.Note != "" {
			line += ", " + v.Note
		}
		line += remarks(&v)
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestDutyRunbookProgress(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	d.with(dutyPeople, dutyPrimary, dutyChannel, dutyRunbooks)
	step := func(code int, args ...string) string {
		return runCLI(t, code, append([]string{"runbooks", "step"}, append(args, "--server.url", d.url)...)...)
	}
	id := d.open("NodeDown", "critical")
	assert.Regexp(t, `^[0-9a-f]{12}@1a2b3c4d5e$`, d.incident(id).Progress.Version)
	brief := func() string {
		text, err := d.app.watch.Brief(context.Background(), &tocsin.Principal{Role: tocsin.RoleViewer}, "")
		require.NoError(t, err)
		return text
	}
	assert.Contains(t, brief(), "runbook node (0 of 5 steps done, next: Look at the machine)")

	// Two at once, in two ways: one of them did it.
	var wait sync.WaitGroup
	wait.Go(func() { step(0, id, "3", "--done", "--by", "ana") })
	wait.Go(func() {
		d.do(id, tocsin.ActStep, tocsin.Action{By: "bo", RunbookStep: "3", Status: tocsin.StepDone, Via: "page"})
	})
	wait.Wait()
	assert.Equal(t, 1, strings.Count(d.timeline(id), "did step 3: Drain the node"), d.timeline(id))
	d.do(id, tocsin.ActStep, tocsin.Action{By: "cy", RunbookStep: "3", Status: tocsin.StepOpen})

	assert.Contains(t, step(0, id, "1", "--done", "--note", "the fan is loud", "--by", "ana"), id+": step 1 is done by ana, ")
	assert.Contains(t, step(0, id, "2", "--skip", "nobody answers there", "--by", "ana"), "step 2 is skipped by ana, ")
	step(0, id, "3", "--done", "--by", "ana")
	assert.Contains(t, step(0, id, "4", "--start", "--by", "bo"), "step 4 is started by bo, ")
	d.shows("#incidents", id, "ana did step 1: Look at the machine (the fan is loud)", "ana skipped step 2: Ask the providr (nobody answers there)",
		"ana did step 3: Drain the node", "bo began step 4: Restart the node", "cy took step 3 back: Drain the node")
	before := d.progress(id)
	assert.Equal(t, strings.Join([]string{
		"1 Look at the machine: done by ana, terminal, the fan is loud",
		"2 Ask the providr: skipped by ana, terminal, nobody answers there",
		"3 Drain the node: done by ana, terminal",
		"4 Restart the node: started by bo, terminal",
		"5 Tell the team: open",
	}, "\n"), before)
	assert.Contains(t, brief(), "runbook node (2 of 5 steps done, 1 skipped, next: Restart the node (bo has begun))")
	d.restart()
	assert.Equal(t, before, d.progress(id))

	// The runbook is edited in the middle of it.
	version := d.incident(id).Progress.Version
	d.putRunbook(stepsAfter)
	d.reload()
	assert.Equal(t, strings.Join([]string{
		"1 Look at the machine: done by ana, terminal, the fan is loud",
		"2 Ask the providr: skipped by ana, terminal, nobody answers there (not in the runbook any more)",
		"2 Ask the provider: open (edited since)",
		"3 Drain the node: done by ana, terminal (not in the runbook any more)",
		"4 Restart the node: started by bo, terminal (not in the runbook any more)",
		"3 Restart the node, twice: open (edited since)",
		"4 Check the volumes: open (edited since)",
		"5 Tell the team: open",
	}, "\n"), d.progress(id))
	step(0, id, "3", "--done", "--by", "bo")
	assert.Contains(t, d.timeline(id), "bo did step 3: Restart the node, twice")
	assert.Equal(t, version, d.incident(id).Progress.Version)
	other := d.openAt("NodeDown", "b", "critical")
	assert.NotEqual(t, version, d.incident(other).Progress.Version, "the next one opens with what it is now")

	out := runCLI(t, 0, "incidents", id, "--server.url", d.url)
	for _, want := range []string{
		"2 of 5 steps done, next: Ask the provider", "[x]  1. Look at the machine", "done by ana, ", "terminal: the fan is loud",
		"ssh a uptime", "[-]  2. Ask the providr (not in the runbook any more)", "[ ]  2. Ask the provider (edited since)",
		"[>]  4. Restart the node (not in the runbook any more)", "[x]  3. Restart the node, twice (edited since)",
	} {
		assert.Contains(t, out, want)
	}
	assert.Contains(t, d.get(t, "/incidents/"+id), "2 of 5 steps done, next: Ask the provider")

	// It is taken away altogether: what was pinned is worked on.
	d.putRunbook("")
	d.reload()
	assert.Contains(t, d.progress(id), "5 Tell the team: open (not in the runbook any more)")
	step(0, id, "5", "--done", "--by", "cy")
	assert.Contains(t, d.progress(id), "5 Tell the team: done by cy, terminal (not in the runbook any more)")
	assert.Contains(t, runCLI(t, 0, "incidents", id, "--server.url", d.url), "ssh a uptime", "with its commands")
}

// openAt fires an alert of another instance and returns its incident.
func (d *duty) openAt(name, instance, severity string) string {
	d.t.Helper()
	d.fire(d.t, name, instance, severity)
	return d.byTitle(name + " " + instance).ID
}

func TestDutyRunbookStepsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.putRunbook(stepsBefore)
	d.with(dutyPeople, dutyPrimary, dutyPolicy, dutyRunbooks)
	id := d.open("NodeDown", "critical")
	for want, args := range map[string][]string{
		"from 1 to 5":     {id, "6", "--done"},
		"has no runbook":  {d.open("Other", "critical"), "1", "--done"},
		"--done":          {id, "1"},
		"say why":         {id, "1", "--skip", " "},
		"not found":       {"zzzzzz", "1", "--done"},
		"can't be used":   {id, "1", "--done", "--open"},
		`"nope" is no st`: {id, "nope", "--start"},
	} {
		out := &strings.Builder{}
		code := run(context.Background(), append(append([]string{"runbooks", "step"}, args...), "--server.url", d.url), out, out)
		assert.NotZero(t, code, want)
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, d.timeline(id), "step: ")
	out := runCLI(t, 0, "runbooks", "step", id, "1", "--done", "--output", "json", "--server.url", d.url)
	assert.Contains(t, out, `"status": "done"`)
}
