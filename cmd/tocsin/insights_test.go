package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func TestInsightsOfWhatHappened(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	idle, worked := d.open("NodeDown", "critical"), d.open("DiskFull", "critical")
	d.open("Open", "critical")
	d.quiet()
	for _, id := range []string{idle, worked} {
		d.do(id, tocsin.ActAcknowledge, tocsin.Action{By: "ana"})
	}
	d.do(worked, tocsin.ActNote, tocsin.Action{By: "ana", Text: "replaced it"})
	for _, id := range []string{idle, worked} {
		d.do(id, tocsin.ActResolve, tocsin.Action{By: "ana", Force: true})
	}
	in, err := d.app.insights(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, 3, in.Incidents)
	assert.Equal(t, 2, in.Acknowledge.Count)
	assert.Equal(t, 2, in.Resolve.Count)
	assert.Equal(t, []string{idle}, in.Idle.Incidents)
	assert.Zero(t, in.Brief.Count, "a person ended them")
	require.NotEmpty(t, in.Pages)
	assert.Equal(t, "ana", in.Pages[0].Name)
	assert.GreaterOrEqual(t, in.Pages[0].Count, 3)
	assert.Len(t, in.Rules, 3)
	assert.False(t, in.Cut)

	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	in, err = d.app.insights(over, time.Now().Add(-time.Hour), time.Now())
	require.NoError(t, err)
	assert.True(t, in.Cut, "it says that it has not read all")

	said := runCLI(t, 0, "insights", "--weeks", "1", "--server.url", d.url)
	assert.Contains(t, said, "incidents:     3,")
	assert.Contains(t, said, "1 acknowledged, and nothing done")
	assert.Contains(t, runCLI(t, 0, "insights", "-o", "json", "--server.url", d.url), `"cut": false`)
	runCLI(t, 2, "insights", "--weeks", "99", "--server.url", d.url)
}
