package tocsin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// A receipt counts for the call that it is about, and for those before it; never
// for one that was asked for since.
func TestCallsUnderWay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		between func(*tocsin.Incident)
		again   bool
	}{
		"nothing between":              {func(*tocsin.Incident) {}, false},
		"stopped":                      {func(i *tocsin.Incident) { i.StopCalls() }, false},
		"asked for again":              {func(i *tocsin.Incident) { i.Call("slack:@bo", "bo", "", true, now) }, true},
		"stopped, and asked for again": {func(i *tocsin.Incident) { i.StopCalls(); i.Call("slack:@bo", "bo", "", true, now) }, true},
		"others stopped":               {func(i *tocsin.Incident) { i.StopCalls("bo") }, false},
		"asked for again, and stopped": {func(i *tocsin.Incident) { i.Call("slack:@bo", "bo", "", true, now); i.StopCalls() }, false},
		"asked for twice while it lasts": {func(i *tocsin.Incident) {
			i.Call("slack:@bo", "bo", "", true, now)
			i.Call("slack:@bo", "bo", "", true, now)
		}, true},
	} {
		i := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Revision: 1, StateRevision: 1}
		i.Call("slack:@bo", "bo", "", true, now)
		asked := *i.Delivery("slack:@bo")
		require.Greater(t, asked.Calls, asked.Called, name)
		c.between(i)
		d := i.Delivery("slack:@bo")
		d.Record(tocsin.Receipt{Ref: "D1/1", Revision: 1, State: tocsin.Triggered, Called: asked.Calls}, now)
		assert.Equal(t, c.again, d.Called < d.Calls, name)
		assert.Equal(t, c.again, d.Lags(i), name)
		d.Record(tocsin.Receipt{Ref: "D1/1", Revision: 1, State: tocsin.Triggered, Called: d.Calls}, now)
		assert.False(t, d.Lags(i), "%s: several calls that were asked for meanwhile are one", name)
	}
}

func TestStoppedCallsAreNotMade(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	i := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Revision: 1, StateRevision: 1}
	i.Call("slack:@bo", "bo", "", true, now)
	i.Call("slack:@cy", "cy", "", true, now)
	assert.Equal(t, []string{"slack:@bo"}, i.StopCalls("cy"))
	assert.True(t, i.Delivery("slack:@bo").Stopped)
	assert.False(t, i.Delivery("slack:@bo").Lags(i))
	assert.True(t, i.Delivery("slack:@cy").Lags(i))
	assert.Empty(t, i.StopCalls("cy"), "once")
}

// An acknowledgement that was on its way when the provider told of something else
// may be what is shown there now, which calls nobody: where the incident is
// triggered, it is called for.
func TestAnAcknowledgementThatWasOvertaken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	i := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Acknowledged, AcknowledgedAt: now, Revision: 5, StateRevision: 5}
	i.AddTarget("pagerduty:x/0", false, now)
	d := i.Delivery("pagerduty:x/0")
	d.Ref, d.State, d.Revision = "key", tocsin.Triggered, 4
	sent := tocsin.Receipt{Ref: "key", Revision: 5, State: tocsin.Acknowledged, Sent: now.Add(2 * time.Second)}
	_, ok := i.Return("bo", "reassigned there", now.Add(time.Second))
	require.True(t, ok)
	i.Hear(&tocsin.Seen{Target: d.Target, Ref: "key", State: tocsin.Triggered, At: now.Add(time.Second)}, true, now)
	d.Record(sent, now.Add(3*time.Second))
	assert.Equal(t, tocsin.Acknowledged, d.State)
	assert.Less(t, d.Called, d.Calls, "it takes a call to have it ring")
	assert.True(t, d.Lags(i))
}
