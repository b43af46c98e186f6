package runbooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// archiveOf is a store that is read.
type archiveOf struct {
	incidents []*tocsin.Incident // the newest first
	docs      []tocsin.Document
	limit     int // more are not read in time
}

func (p *archiveOf) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	switch {
	case !f.Archived:
		return nil, errors.New("archived ones count too")
	case p.limit > 0 && f.Limit > p.limit:
		return nil, context.DeadlineExceeded
	}
	return p.incidents[:min(len(p.incidents), f.Limit)], nil
}

func (p *archiveOf) Documents(_ context.Context, kind string) ([]tocsin.Document, uint64, error) {
	if kind != tocsin.RunbookVersions {
		return nil, 0, nil
	}
	return p.docs, 1, nil
}

// pin keeps a runbook as it is.
func (p *archiveOf) pin(t *testing.T, version string, rb *tocsin.Runbook) {
	t.Helper()
	b, err := json.Marshal(rb)
	require.NoError(t, err)
	p.docs = append(p.docs, tocsin.Document{ID: version, Value: b})
}

// open adds an incident, older than those before.
func (p *archiveOf) open(runbook, version string, state tocsin.State, steps map[string]tocsin.StepStatus) {
	inc := &tocsin.Incident{
		ID: fmt.Sprint("i", len(p.incidents)), Runbook: runbook, State: state,
		OpenedAt: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).Add(-time.Duration(len(p.incidents)) * time.Hour),
		Progress: &tocsin.Progress{Version: version},
	}
	for id, s := range steps {
		inc.Progress.Steps = append(inc.Progress.Steps, tocsin.StepProgress{Step: id, Status: s})
	}
	p.incidents = append(p.incidents, inc)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"NodeDown.md": "# NodeDown\n\n## Mitigation\n\n1. look\n2. ask\n3. drain\n4. tell\n", "Never.md": "# Never\n\n## Mitigation\n\n1. x\n",
	})
	lib := load(t, dir)
	rb := lib.Get("NodeDown")
	old := *rb
	old.Steps = rb.Steps[:3]
	p := &archiveOf{}
	p.pin(t, "v1", &old)
	p.pin(t, "v2", rb)
	id := func(n int) string { return rb.Steps[n].ID }
	done, skipped, started := tocsin.StepDone, tocsin.StepSkipped, tocsin.StepStarted
	p.open("NodeDown", "v2", tocsin.Triggered, map[string]tocsin.StepStatus{id(0): done})
	p.open("NodeDown", "v2", tocsin.Resolved, map[string]tocsin.StepStatus{id(0): done, id(1): skipped, id(3): started})
	p.open("NodeDown", "v1", tocsin.Resolved, map[string]tocsin.StepStatus{id(0): done, id(1): skipped})
	p.open("NodeDown", "v1", tocsin.Resolved, nil)
	p.open("zz-gone", "v9", tocsin.Resolved, map[string]tocsin.StepStatus{"x": done})
	p.open("aa-gone", "", tocsin.Resolved, nil)
	p.open("", "", tocsin.Resolved, nil)
	use, err := runbooks.Usage(t.Context(), p, lib)
	require.NoError(t, err)
	assert.True(t, use.Whole)
	assert.Equal(t, 7, use.Incidents)
	assert.Equal(t, p.incidents[6].OpenedAt, use.Since)
	require.Len(t, use.Runbooks, 4)
	byID := map[string]tocsin.RunbookUse{}
	ids := []string{}
	for _, r := range use.Runbooks {
		byID[r.ID] = r
		ids = append(ids, r.ID)
	}
	assert.Equal(t, []string{"Never", "NodeDown", "aa-gone", "zz-gone"}, ids)
	assert.Zero(t, byID["Never"].Times)
	assert.Zero(t, byID["Never"].Last)
	assert.True(t, byID["aa-gone"].Gone)
	got := byID["NodeDown"]
	assert.Equal(t, 4, got.Times)
	assert.Equal(t, 2, got.Worked, "one is not over, one nobody has touched")
	assert.Equal(t, p.incidents[0].OpenedAt, got.Last)
	assert.Equal(t, []tocsin.StepUse{
		{ID: id(0), Number: 1, Text: "look", Uses: 2, Done: 2},
		{ID: id(1), Number: 2, Text: "ask", Uses: 2, Skipped: 2},
		{ID: id(2), Number: 3, Text: "drain", Uses: 2, Open: 2},
		{ID: id(3), Number: 4, Text: "tell", Uses: 1, Started: 1},
	}, got.Steps)
	assert.Equal(t, []string{"", "always skipped", "never done", "never done"}, []string{got.Steps[0].Idle(), got.Steps[1].Idle(), got.Steps[2].Idle(), got.Steps[3].Idle()})

	// More than can be read in time.
	for range 1500 {
		p.open("NodeDown", "v2", tocsin.Resolved, nil)
	}
	p.limit = 1000
	use, err = runbooks.Usage(t.Context(), p, lib)
	require.NoError(t, err)
	assert.False(t, use.Whole)
	assert.Equal(t, 1000, use.Incidents)
	p.limit = 10
	_, err = runbooks.Usage(t.Context(), p, lib)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
