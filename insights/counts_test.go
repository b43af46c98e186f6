package insights_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/insights"
)

// What does not count may be left out of a timeline: the figures are the same.
func TestWhatDoesNotCountIsNotMissed(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	kinds := []tocsin.EventKind{
		tocsin.EventOpened, tocsin.EventAlertFired, tocsin.EventAcknowledged, tocsin.EventReturned, tocsin.EventReopened, tocsin.EventCalled, tocsin.EventCalled,
		tocsin.EventNote, tocsin.EventStep, tocsin.EventRemediation, tocsin.EventDelivered, tocsin.EventResolved, tocsin.EventSnoozed, tocsin.EventStopped, "new",
	}
	rapid.Check(t, func(rt *rapid.T) {
		inc := &tocsin.Incident{
			ID: "a", OpenedAt: opened, State: rapid.SampledFrom([]tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Resolved}).Draw(rt, "state"),
			ResolvedAt: opened.Add(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(rt, "took")), ResolvedBy: rapid.SampledFrom([]string{"", "ana"}).Draw(rt, "by"),
			Deliveries: []tocsin.Delivery{{Target: "slack:#all"}, {Target: "slack:@ana", User: "ana"}, {Target: "pagerduty:ana", User: "ana"}, {Target: "slack:@bo", User: "bo"}},
		}
		c := insights.Case{Incident: inc, Rule: "NodeDown"}
		for n := range rapid.IntRange(0, 20).Draw(rt, "events") {
			e := inc.Event(rapid.SampledFrom(kinds).Draw(rt, "kind"), "", rapid.SampledFrom([]string{"calls", "a copy for bo"}).Draw(rt, "text"), opened.Add(time.Duration(n)*time.Second))
			e.Target = rapid.SampledFrom(inc.Deliveries).Draw(rt, "target").Target
			c.Timeline = append(c.Timeline, e)
		}
		all := insights.Look(&c)
		c.Timeline = slices.DeleteFunc(slices.Clone(c.Timeline), func(e tocsin.Event) bool { return !insights.Counts(e.Kind) })
		require.Equal(rt, all, insights.Look(&c))
	})
}
