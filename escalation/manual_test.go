package escalation_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
)

// room is basic with a place that the default receiver shows incidents in.
func room(t testing.TB) escalation.Spec {
	t.Helper()
	s := basic(t)
	s.Targets = map[string][]escalation.Target{"page": {{Key: "slack:#incidents", Detail: true}}}
	s.Default = []string{"page"}
	return s
}

func (h *tower) page(m tocsin.Manual) string {
	h.Helper()
	id, err := h.engine.OpenManual(context.Background(), m)
	require.NoError(h, err)
	synctest.Wait()
	h.deliver()
	return id
}

func TestAPageByHandFollowsTheReceiversPolicy(t *testing.T) {
	t.Parallel()
	play(t, room(t), func(h *tower) {
		id := h.page(tocsin.Manual{Title: " payments hang ", Text: "since noon", By: "dan"})
		inc := h.get(id)
		assert.Equal(t, tocsin.KindManual, inc.Kind)
		assert.Equal(t, tocsin.Critical, inc.Severity)
		assert.Equal(t, "payments hang", inc.Title)
		assert.NotNil(t, inc.Delivery("slack:#incidents"), "the receiver shows it")
		assert.Equal(t, []string{"0s payments hang (opened by dan)"}, h.said(id, tocsin.EventOpened))
		assert.Equal(t, []string{"0s calling ana by Slack"}, h.calls(id))
	})
}

func TestAPageToAPersonWhoDoesNotAnswerGoesOn(t *testing.T) {
	t.Parallel()
	play(t, room(t), func(h *tower) {
		id := h.page(tocsin.Manual{Title: "look at this", User: "cy", By: "dan"})
		assert.Equal(t, []string{"0s addressed to cy by dan"}, h.said(id, tocsin.EventEscalated))
		h.pass(4*time.Minute + 30*time.Second)
		assert.Equal(t, []string{"0s calling cy by Slack", "2m calling cy by PagerDuty"}, h.calls(id))
		h.pass(2 * time.Minute)
		assert.Contains(t, h.calls(id), "5m calling ana by Slack", "who sleeps on is not the end of it")
		h.ack(id, "cy")
		h.pass(50 * time.Minute)
		assert.NotContains(t, strings.Join(h.calls(id), "\n"), "calling bo")
	})
	play(t, room(t), func(h *tower) {
		id := h.page(tocsin.Manual{Title: "look at this", User: "cy", By: "dan"})
		h.ack(id, "cy")
		h.pass(40 * time.Minute)
		assert.Equal(t, []string{"0s calling cy by Slack"}, h.calls(id), "nobody else is woken")
	})
}

func TestAPageByHandIsOpenedOnceForAKey(t *testing.T) {
	t.Parallel()
	play(t, room(t), func(h *tower) {
		m := tocsin.Manual{Key: "click 1", Title: "once", Schedule: "secondary", By: "dan"}
		first := h.page(m)
		assert.Equal(t, first, h.page(m))
		assert.Equal(t, []string{"0s calling bo by Slack"}, h.calls(first))
		h.act(first, tocsin.Action{Kind: tocsin.ActResolve, By: "dan"})
		assert.NotEqual(t, first, h.page(m), "a new one after it")
	})
}

func TestAPageByHandIsRefusedWithTheField(t *testing.T) {
	t.Parallel()
	play(t, room(t), func(h *tower) {
		for field, m := range map[string]tocsin.Manual{
			"title":    {Title: "  "},
			"text":     {Title: "x", Text: strings.Repeat("x", 5000)},
			"severity": {Title: "x", Severity: "urgent"},
			"user":     {Title: "x", User: "nobody"},
			"schedule": {Title: "x", Schedule: "tertiary"},
			"policy":   {Title: "x", Policy: "none"},
		} {
			_, err := h.engine.OpenManual(context.Background(), m)
			require.ErrorIs(t, err, tocsin.ErrInvalid, field)
			assert.Contains(t, err.Error(), field)
		}
		list, err := h.store.List(context.Background(), tocsin.Filter{})
		require.NoError(t, err)
		assert.Empty(t, list)
	})
}

func TestAnIncidentGetsAChannelOfItsOwn(t *testing.T) {
	t.Parallel()
	spec := room(t)
	spec.Channels = escalation.Channels{Ready: true, Severities: []tocsin.Severity{tocsin.Critical}}
	play(t, spec, func(h *tower) {
		loud, calm := h.open(tocsin.Critical, "page"), h.open(tocsin.Warning, "page")
		assert.NotNil(t, h.get(loud).Delivery(tocsin.IncidentChannel))
		assert.Nil(t, h.get(calm).Delivery(tocsin.IncidentChannel))
		assert.Len(t, h.said(loud, tocsin.EventChannel), 1)
		h.act(calm, tocsin.Action{Kind: tocsin.ActChannel, By: "bo"})
		h.act(calm, tocsin.Action{Kind: tocsin.ActChannel, By: "ana"})
		assert.Equal(t, []string{"0s a channel of its own is opened in Slack: bo asked for it"}, h.said(calm, tocsin.EventChannel), "once")
	})
	spec.Channels = escalation.Channels{}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		assert.ErrorIs(t, h.errorOf(id, tocsin.Action{Kind: tocsin.ActChannel, By: "bo"}), tocsin.ErrConflict)
		assert.Nil(t, h.get(id).Delivery(tocsin.IncidentChannel))
	})
}

// A channel that is held back, or could not be made, is opened when somebody asks.
func TestAChannelIsAskedForAgain(t *testing.T) {
	t.Parallel()
	spec := room(t)
	spec.Channels = escalation.Channels{Ready: true, Severities: []tocsin.Severity{tocsin.Critical}}
	play(t, spec, func(h *tower) {
		id := h.open(tocsin.Critical, "page")
		h.edit(id, func(i *tocsin.Incident) { i.Delivery(tocsin.IncidentChannel).Ref = "" })
		h.act(id, tocsin.Action{Kind: tocsin.ActChannel, By: "bo", ID: "click 1"})
		h.act(id, tocsin.Action{Kind: tocsin.ActChannel, By: "bo", ID: "click 1"})
		assert.Len(t, h.said(id, tocsin.EventChannel), 2)
		d := h.get(id).Delivery(tocsin.IncidentChannel)
		assert.NotEmpty(t, d.Ref, "it was delivered anew")

		h.edit(id, func(i *tocsin.Incident) {
			d := i.Delivery(tocsin.IncidentChannel)
			d.Failed, d.Revision, d.FailedRevision = true, 1, i.StateRevision
		})
		h.act(id, tocsin.Action{Kind: tocsin.ActChannel, By: "bo", ID: "click 2"})
		assert.False(t, h.get(id).Delivery(tocsin.IncidentChannel).Failed)

		quiet := h.open(tocsin.Warning, "page")
		h.act(quiet, tocsin.Action{Kind: tocsin.ActMerge, By: "bo", Into: id})
		assert.ErrorIs(t, h.errorOf(quiet, tocsin.Action{Kind: tocsin.ActChannel, By: "bo"}), tocsin.ErrConflict, "it would not come")
		assert.Nil(t, h.get(quiet).Delivery(tocsin.IncidentChannel))
	})
}

// An incident for receivers that do not exist would be told to nobody.
func TestAPageByHandNamesReceiversThatExist(t *testing.T) {
	t.Parallel()
	play(t, room(t), func(h *tower) {
		_, err := h.engine.OpenManual(context.Background(), tocsin.Manual{Title: "x", Receivers: []string{"page", "pgae"}})
		require.ErrorIs(t, err, tocsin.ErrInvalid)
		assert.ErrorContains(t, err, "pgae")
		assert.NotEmpty(t, h.calls(h.page(tocsin.Manual{Title: "x", Receivers: []string{"page"}})))
	})
}
