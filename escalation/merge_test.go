package escalation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// A merged incident that becomes more severe makes what pages for it more severe,
// which wakes whoever has acknowledged that one; once.
func TestSeverityIsPassedOn(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b, c := h.open(tocsin.Warning, "page"), h.open(tocsin.Warning, "page"), h.open(tocsin.Warning, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		h.act(a, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: c})
		h.ack(c, "ana")
		h.edit(b, func(i *tocsin.Incident) { i.Raise(tocsin.Critical, time.Now()) })
		h.pass(time.Minute)
		for _, id := range []string{a, c} {
			assert.Equal(t, tocsin.Critical, h.get(id).Severity, "all of the chain")
		}
		assert.Equal(t, tocsin.Triggered, h.get(c).State, "what was acknowledged was less than this")
		assert.Equal(t, b, h.get(b).ID)
		assert.Equal(t, a, h.get(b).MergedInto)
		assert.Len(t, h.said(a, tocsin.EventMerged), 3, "merged into, merged, and raised: %v", h.said(a, tocsin.EventMerged))

		h.act(c, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: tocsin.Info})
		h.pass(5 * time.Minute)
		assert.Equal(t, tocsin.Info, h.get(c).Severity, "what a person says stands")
	})
}

func TestSeverityByHandIsPassedOnAtOnce(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b := h.open(tocsin.Warning, "page"), h.open(tocsin.Warning, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		calls := len(h.calls(a))
		h.act(b, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: tocsin.Info})
		assert.Equal(t, tocsin.Warning, h.get(a).Severity, "less changes nothing")
		h.act(b, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: tocsin.Critical})
		assert.Equal(t, tocsin.Critical, h.get(a).Severity)
		assert.Greater(t, len(h.calls(a)), calls, "it begins anew, urgently")
		require.Len(t, h.calls(b), 1, "and not for itself")
	})
}

func TestUnmerge(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b := h.open(tocsin.Critical, "page"), h.open(tocsin.Critical, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActUnmerge, By: "ana"})
		assert.Empty(t, h.said(b, tocsin.EventUnmerged), "it is not merged")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		h.ack(a, "ana")
		h.pass(time.Hour / 2)
		require.Len(t, h.calls(b), 1)
		h.act(b, tocsin.Action{Kind: tocsin.ActUnmerge, By: "ana", Text: "another cause", ID: "x"})
		h.act(b, tocsin.Action{Kind: tocsin.ActUnmerge, By: "ana", ID: "x"})
		assert.Empty(t, h.get(b).MergedInto)
		assert.Equal(t, []string{"30m no longer merged into " + a + ", says ana: it pages for itself again: another cause"}, h.said(b, tocsin.EventUnmerged))
		assert.Len(t, h.calls(b), 2, "it pages from the first step on")
		assert.Contains(t, h.said(a, tocsin.EventMerged)[1], b+" (it burns) is no longer merged into this one, says ana")
		assert.Equal(t, tocsin.Acknowledged, h.get(a).State)
		h.act(b, tocsin.Action{Kind: tocsin.ActResolve, By: "ana", Force: true})
		require.ErrorIs(t, h.errorOf(b, tocsin.Action{Kind: tocsin.ActUnmerge, By: "ana"}), tocsin.ErrConflict)
	})
}

// Of an incident that an older Tocsin merged it is not known what the other one
// knows: nobody is woken after an update because of that. What becomes more severe
// later is passed on.
func TestAnOldMergeWakesNobody(t *testing.T) {
	t.Parallel()
	play(t, basic(t), func(h *tower) {
		a, b := h.open(tocsin.Warning, "page"), h.open(tocsin.Critical, "page")
		h.act(b, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: a})
		h.act(a, tocsin.Action{Kind: tocsin.ActSeverity, By: "ana", Severity: tocsin.Info})
		h.ack(a, "ana")
		h.edit(b, func(i *tocsin.Incident) { i.Severity, i.MergedSeverity = tocsin.Error, "" })
		h.pass(time.Minute)
		assert.Equal(t, tocsin.Acknowledged, h.get(a).State)
		assert.Equal(t, tocsin.Info, h.get(a).Severity)
		h.edit(b, func(i *tocsin.Incident) { i.Raise(tocsin.Critical, time.Now()) })
		h.pass(time.Minute)
		assert.Equal(t, tocsin.Critical, h.get(a).Severity)
	})
}
