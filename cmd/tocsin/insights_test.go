package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
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
	in, err := d.app.insights(t.Context(), everybody, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
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
	in, err = d.app.insights(over, everybody, time.Now().Add(-time.Hour), time.Now())
	require.NoError(t, err)
	assert.True(t, in.Cut, "it says that it has not read all")

	said := runCLI(t, 0, "insights", "--weeks", "1", "--server.url", d.url)
	assert.Regexp(t, `Incidents +3 `, said)
	assert.Regexp(t, `Acknowledged without action +1\n`, said)
	assert.Regexp(t, `ana +3 +[03]\n`, said, "by day or by night, as it is now")
	assert.Contains(t, runCLI(t, 0, "insights", "-o", "json", "--server.url", d.url), `"cut": false`)
	runCLI(t, 2, "insights", "--weeks", "99", "--server.url", d.url)
}

// A reading that is cut off goes on where it was, and counts what a whole one does; a
// note that is written later counts.
func TestInsightsGoOn(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	s := busyMonth(t, 600, now)
	a := &App{store: s, cfg: &config.Config{}}
	from := now.AddDate(0, 0, -28)
	whole, err := a.insights(t.Context(), everybody, from, now)
	require.NoError(t, err)
	require.Equal(t, 600, whole.Incidents)
	assert.Equal(t, []int{600, 600}, []int{whole.Pages[0].Count, whole.Pages[1].Count}, "two ways to ana are one page")
	assert.Equal(t, 300, whole.Idle.Count)
	assert.Len(t, a.counted.seen, 600-1, "what ended an hour ago is not settled")
	again, err := a.insights(t.Context(), everybody, from, now)
	require.NoError(t, err)
	assert.Equal(t, whole, again)

	idle := whole.Idle.Incidents[len(whole.Idle.Incidents)-1]
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident(idle)
		i.Touch(now)
		tx.PutIncident(i)
		tx.Append(i.Event(tocsin.EventNote, "ana", "what it was", now))
		return nil
	}))
	again, err = a.insights(t.Context(), everybody, from, now)
	require.NoError(t, err)
	assert.Equal(t, 299, again.Idle.Count)
}

// everybody is somebody who may view all incidents.
var everybody = &tocsin.Principal{Role: tocsin.RoleViewer}
