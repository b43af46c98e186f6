package escalation_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

const service = "pagerduty:page/0"

// told opens an incident that a service was told of.
func (h *tower) told() string {
	id := h.open(tocsin.Critical, "page")
	h.edit(id, func(inc *tocsin.Incident) {
		inc.AddTarget(service, false, time.Now())
		d := inc.Delivery(service)
		d.Ref, d.State, d.Revision, d.Severity = "key", inc.State, inc.Revision, inc.Severity
		d.Back = &tocsin.Back{Remote: "Q1"}
	})
	return id
}

func seen(state tocsin.State, ago time.Duration) *tocsin.Seen {
	return &tocsin.Seen{Target: service, Ref: "key", State: state, Remote: "Q1", At: time.Now().Add(-ago)}
}

func TestWhatATargetShowsItIsNotTold(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.told()
		lags := func() bool { return h.get(id).Delivery(service).Lags(h.get(id)) }
		time.Sleep(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana", ID: "1", Seen: seen(tocsin.Acknowledged, 10*time.Second)})
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State)
		assert.True(t, h.get(id).AcknowledgedAt.Equal(time.Now().Add(-10*time.Second)), "when it was done, not when it was told")
		assert.False(t, lags())

		time.Sleep(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActUnacknowledge, By: "PagerDuty", ID: "2", Seen: seen(tocsin.Triggered, 0)})
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
		assert.False(t, h.get(id).Deadline().IsZero(), "somebody is called again")
		assert.False(t, lags())

		h.act(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "bo", ID: "3", Seen: seen(tocsin.Acknowledged, 30*time.Second)})
		assert.Equal(t, tocsin.Triggered, h.get(id).State, "it was done before the incident came back")

		time.Sleep(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "bo", ID: "4", Force: true, Seen: seen(tocsin.Resolved, 0)})
		assert.Equal(t, tocsin.Resolved, h.get(id).State)
		assert.False(t, lags())
		time.Sleep(time.Minute)
		reopened := seen(tocsin.Triggered, 0)
		reopened.Reopened = true
		h.act(id, tocsin.Action{Kind: tocsin.ActReopen, By: "bo", ID: "5", Seen: reopened})
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
		assert.Equal(t, uint32(1), h.get(id).Reopened)
		assert.False(t, lags())
	})
}

func TestWhatIsOutdatedChangesNothing(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.told()
		time.Sleep(time.Minute)
		h.act(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"})
		h.act(id, tocsin.Action{Kind: tocsin.ActUnacknowledge, By: "PagerDuty", Seen: seen(tocsin.Triggered, 30*time.Second)})
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "the acknowledgement is newer")

		other := seen(tocsin.Resolved, 0)
		other.Ref = "the key before"
		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true, Seen: other})
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State, "it is about what was there before")
	})
}

func TestATimeoutElsewhereEndsNoSnooze(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: time.Now().Add(time.Hour)})
		h.act(id, tocsin.Action{Kind: tocsin.ActUnacknowledge, By: "PagerDuty"})
		assert.Equal(t, tocsin.Acknowledged, h.get(id).State)
		h.act(id, tocsin.Action{Kind: tocsin.ActUnacknowledge, By: "ana", Force: true})
		assert.Equal(t, tocsin.Triggered, h.get(id).State)
	})
}

func TestReopenWhatIsArchived(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.act(id, tocsin.Action{Kind: tocsin.ActReopen, By: "ana"})
		assert.Zero(t, h.get(id).Reopened, "it is open")
		h.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error { tx.Archive(id); return nil }))
		err := h.engine.Act(context.Background(), id, tocsin.Action{Kind: tocsin.ActReopen, By: "ana"})
		require.ErrorIs(t, err, tocsin.ErrConflict)
	})
}

func TestNotesAreToldWhereTheyDidNotComeFrom(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		id := h.told()
		h.act(id, tocsin.Action{Kind: tocsin.ActNote, By: "ana", Text: "from there", Seen: &tocsin.Seen{Target: service, Ref: "key"}})
		assert.Zero(t, h.get(id).Delivery(service).Heard().Noted)
		h.act(id, tocsin.Action{Kind: tocsin.ActNote, By: "ana", Text: "from here"})
		assert.Equal(t, h.get(id).Revision, h.get(id).Delivery(service).Heard().Noted)
	})
}
