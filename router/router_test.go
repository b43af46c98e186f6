package router_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
)

func TestGroupOpensOneIncident(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	out := h.send(h.fires(alert("NodeDown", "us", "a")), h.fires(alert("NodeDown", "us", "b")), h.fires(alert("NodeDown", "eu", "c")))
	assert.Equal(t, tocsin.Outcome{Opened: 2, Fired: 3}, out)

	us := h.live()[0]
	if us.Firing != 2 {
		us = h.live()[1]
	}
	assert.Equal(t, tocsin.Triggered, us.State)
	assert.Equal(t, tocsin.Critical, us.Severity)
	assert.Equal(t, uint32(2), us.Firing)
	assert.Equal(t, "t.yml:5", us.Route)
	assert.Equal(t, []string{"page"}, us.Receivers)
	assert.Equal(t, "NodeDown a", us.Title)
	require.Len(t, us.Deliveries, 2)
	assert.Len(t, us.Lagging(start), 2, "both targets are to be told")

	out = h.send(h.fires(alert("NodeDown", "us", "a")), h.fires(alert("NodeDown", "us", "b")))
	assert.Equal(t, tocsin.Outcome{Repeated: 2}, out)
	again, err := h.store.Get(context.Background(), us.ID)
	require.NoError(t, err)
	assert.Equal(t, us.Revision, again.Revision, "a repeat changes nothing that is shown")
}

func TestResolveAndReopen(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a, b := alert("NodeDown", "us", "a"), alert("NodeDown", "us", "b")
	h.send(h.fires(a), h.fires(b))
	id := h.only().ID

	h.clock.Advance(time.Minute)
	h.send(h.ends(a))
	assert.Equal(t, tocsin.Triggered, h.only().State, "b still fires")
	h.clock.Advance(time.Minute)
	h.send(h.ends(b))
	assert.Equal(t, tocsin.Resolved, h.only().State)

	h.clock.Advance(10 * time.Minute)
	out := h.send(h.fires(b))
	assert.Equal(t, 1, out.Reopened)
	inc := h.only()
	assert.Equal(t, id, inc.ID, "within the window it is the same incident")
	assert.Equal(t, tocsin.Triggered, inc.State)
	assert.Equal(t, uint32(1), inc.Reopened)

	h.clock.Advance(time.Minute)
	h.send(h.ends(b))
	deliverAll(h)
	h.clock.Advance(31 * time.Minute)
	out = h.send(h.fires(b))
	assert.Equal(t, 1, out.Opened, "after the window it is a new one")
	assert.NotEqual(t, id, h.only().ID)
	old, err := h.store.Get(context.Background(), id)
	require.NoError(t, err, "the old one can still be looked up")
	assert.Equal(t, tocsin.Resolved, old.State)
}

// deliverAll records receipts for everything that lags.
func deliverAll(h *harness) {
	h.Helper()
	require.NoError(h, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
		for _, w := range h.store.Lagging(h.clock.Now()) {
			inc := tx.Incident(w.Incident)
			inc.Delivery(w.Target).Record(tocsin.Receipt{Ref: "x", Revision: inc.Revision, State: inc.State, Severity: inc.Severity}, h.clock.Now())
			tx.PutIncident(inc)
		}
		return nil
	}))
}

func TestUndeliveredIncidentReopensAfterTheWindow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a := alert("NodeDown", "us", "a")
	h.send(h.fires(a))
	id := h.only().ID
	h.clock.Advance(time.Minute)
	h.send(h.ends(a))
	h.clock.Advance(time.Hour)
	h.sweep()
	h.send(h.fires(a))
	assert.Equal(t, id, h.only().ID, "somebody was not told that it was over: it is not")
}

func TestMixedBatchDoesNotCloseAndReopen(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a, b := alert("NodeDown", "us", "a"), alert("NodeDown", "us", "b")
	h.send(h.fires(a))
	h.clock.Advance(time.Minute)
	h.send(h.ends(a), h.fires(b))
	inc := h.only()
	assert.Equal(t, tocsin.Triggered, inc.State)
	assert.Zero(t, inc.Reopened)
	assert.NotContains(t, h.kinds(inc.ID), tocsin.EventResolved)
}

// A pair of Alertmanagers sends everything twice, in any order: all 24 orders
// end resolved, with at most one incident.
func TestAllOrdersOfAPair(t *testing.T) {
	t.Parallel()
	orders := permutations([]int{0, 1, 2, 3})
	require.Len(t, orders, 24)
	for _, order := range orders {
		h := newHarness(t, basic())
		a := alert("NodeDown", "us", "a")
		h.clock.Advance(time.Minute)
		f1, f2 := a, a
		f1.Firing, f1.StartsAt = true, start
		f2.Firing, f2.StartsAt = true, start.Add(14*time.Millisecond) // the members disagree
		r1, r2 := f1, f2
		r1.Firing, r1.EndsAt = false, start.Add(40*time.Second)
		r2.Firing, r2.EndsAt = false, start.Add(40*time.Second+14*time.Millisecond)
		all := []tocsin.Alert{f1, f2, r1, r2}
		for _, i := range order {
			h.send(all[i])
			h.clock.Advance(5 * time.Second)
		}
		h.clock.Advance(2 * time.Minute)
		h.sweep()
		live := h.live()
		assert.LessOrEqual(t, len(live), 1, "order %v", order)
		for _, inc := range live {
			assert.Equal(t, tocsin.Resolved, inc.State, "order %v", order)
			assert.Zero(t, inc.Reopened, "order %v", order)
		}
		require.NoError(t, h.store.Check(context.Background()))
	}
}

func permutations(in []int) [][]int {
	if len(in) <= 1 {
		return [][]int{in}
	}
	var out [][]int
	for i := range in {
		rest := append(append([]int{}, in[:i]...), in[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]int{in[i]}, p...))
		}
	}
	return out
}

func TestResolvedNeverSeenOpensNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a := alert("NodeDown", "us", "a")
	h.send(h.ends(a))
	assert.Empty(t, h.live())
	assert.Equal(t, 1, h.store.Stats().Alerts, "remembered for its late firing")
	h.clock.Advance(2 * time.Minute)
	h.sweepAlerts()
	assert.Zero(t, h.store.Stats().Alerts, "and forgotten")
}

func TestFiringWithOldStartAfterTheLateWindowIsNew(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a := alert("NodeDown", "us", "a")
	h.send(h.fires(a))
	h.clock.Advance(time.Minute)
	h.send(h.ends(a))
	h.clock.Advance(5 * time.Minute)
	back := a
	back.Firing, back.StartsAt = true, start // Prometheus is back and kept activeAt
	out := h.send(back)
	assert.Equal(t, 1, out.Reopened)
	assert.Equal(t, tocsin.Triggered, h.only().State)
}

func TestInhibition(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	node, region := alert("NodeDown", "us", "a"), alert("RegionDown", "us", "")
	h.send(h.fires(node))
	assert.False(t, h.of("NodeDown").Quiet())

	h.clock.Advance(time.Minute)
	h.send(h.fires(region))
	inc := h.of("NodeDown")
	assert.True(t, inc.Quiet(), "the region's alert inhibits the node's")
	assert.Equal(t, "t.yml:9", inc.Suppression.By)

	out := h.send(h.fires(alert("NodeDown", "us", "b")), h.fires(alert("NodeDown", "eu", "c")))
	assert.Equal(t, 1, out.Suppressed, "only in its own region")
	assert.True(t, h.of("NodeDown").Quiet() || h.of("NodeDown").GroupBy != nil)

	h.clock.Advance(time.Minute)
	h.send(h.ends(region))
	for _, inc := range h.live() {
		assert.False(t, inc.Quiet(), "released: %s", inc.Title)
	}
	require.NoError(t, h.store.Check(context.Background()))
}

func TestInhibitedFromTheStartIsNotTargeted(t *testing.T) {
	t.Parallel()
	for name, batches := range map[string]func(h *harness) [][]tocsin.Alert{
		"source first": func(h *harness) [][]tocsin.Alert {
			return [][]tocsin.Alert{{h.fires(alert("RegionDown", "us", ""))}, {h.fires(alert("NodeDown", "us", "a"))}}
		},
		"same batch, target first": func(h *harness) [][]tocsin.Alert {
			return [][]tocsin.Alert{{h.fires(alert("NodeDown", "us", "a")), h.fires(alert("RegionDown", "us", ""))}}
		},
	} {
		h := newHarness(t, basic())
		for _, b := range batches(h) {
			h.send(b...)
		}
		inc := h.of("NodeDown")
		assert.True(t, inc.Quiet(), name)
		assert.Empty(t, inc.Deliveries, "%s: nobody is to be told", name)
		assert.Contains(t, h.kinds(inc.ID), tocsin.EventSuppressed, name)

		h.clock.Advance(time.Minute)
		h.send(h.ends(alert("RegionDown", "us", "")))
		assert.Len(t, h.of("NodeDown").Lagging(h.clock.Now()), 2, "%s: it still fires, so it pages", name)
	}
}

func TestResolvedWhileInhibitedTellsThoseWhoWereTold(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	h.send(h.fires(alert("NodeDown", "us", "a")))
	deliverAll(h)
	h.send(h.fires(alert("RegionDown", "us", "")))
	inc := h.of("NodeDown")
	assert.Len(t, inc.Lagging(h.clock.Now()), 1, "the message is kept up to date; PagerDuty is not told anew")
	h.clock.Advance(time.Minute)
	h.send(h.ends(alert("NodeDown", "us", "a")))
	inc = h.of("NodeDown")
	assert.Equal(t, tocsin.Resolved, inc.State)
	assert.Len(t, inc.Lagging(h.clock.Now()), 2, "both hear that it is over")
}

func TestSilences(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	ctx := context.Background()
	h.send(h.fires(alert("NodeDown", "us", "a")))
	s, err := h.router.PutSilence(ctx, tocsin.Silence{
		Matchers: []string{`alertname="NodeDown"`}, EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "maintenance",
	})
	require.NoError(t, err)
	assert.Len(t, s.ID, tocsin.IDLength)
	inc := h.only()
	assert.True(t, inc.Quiet(), "known alerts are silenced at once")
	assert.Contains(t, inc.Suppression.Text, "ana")
	assert.Contains(t, inc.Suppression.Text, "maintenance")

	out := h.send(h.fires(alert("NodeDown", "eu", "b")))
	assert.Equal(t, 1, out.Suppressed)

	h.reopen(basic())
	assert.True(t, h.live()[0].Quiet(), "a restart forgets no silence")

	h.clock.Advance(time.Hour)
	h.sweep()
	for _, inc := range h.live() {
		assert.False(t, inc.Quiet())
		assert.NotEmpty(t, inc.Lagging(h.clock.Now()), "it still fires when the silence is over: it pages")
	}
}

func TestExpireSilenceEarly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	ctx := context.Background()
	s, err := h.router.PutSilence(ctx, tocsin.Silence{
		Matchers: []string{`region=~"u."`}, EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "x",
	})
	require.NoError(t, err)
	h.send(h.fires(alert("NodeDown", "us", "a")))
	require.True(t, h.only().Quiet())
	h.clock.Advance(time.Second)
	require.NoError(t, h.router.ExpireSilence(ctx, s.ID, "bo"))
	assert.False(t, h.only().Quiet())
	require.NoError(t, h.router.ExpireSilence(ctx, s.ID, "bo"), "twice is once")
	assert.ErrorIs(t, h.router.ExpireSilence(ctx, "nope", "bo"), tocsin.ErrNotFound)
}

func TestBadSilences(t *testing.T) {
	t.Parallel()
	good := tocsin.Silence{Matchers: []string{`a="b"`}, EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "x"}
	for field, spoil := range map[string]func(*tocsin.Silence){
		"matchers":  func(s *tocsin.Silence) { s.Matchers = []string{`a=~"("`} },
		"matchers:": func(s *tocsin.Silence) { s.Matchers = []string{`a=~".*"`} },
		"createdBy": func(s *tocsin.Silence) { s.CreatedBy = "" },
		"comment":   func(s *tocsin.Silence) { s.Comment = "" },
		"endsAt":    func(s *tocsin.Silence) { s.EndsAt = start },
	} {
		h := newHarness(t, basic())
		s := good
		spoil(&s)
		_, err := h.router.PutSilence(context.Background(), s)
		require.ErrorIs(t, err, tocsin.ErrInvalid, field)
		assert.ErrorContains(t, err, field)
	}
}

func TestContinueAddsReceiversNotIncidents(t *testing.T) {
	t.Parallel()
	spec := basic()
	spec.Targets = targets("chat", "page", "audit")
	spec.Route.Routes[0].Continue = true
	spec.Route.Routes = append(spec.Route.Routes, router.RouteSpec{Receiver: "audit", Matchers: []string{`region="us"`}, Pos: "t.yml:7"})
	h := newHarness(t, spec)
	h.send(h.fires(alert("NodeDown", "us", "a")))
	inc := h.only()
	assert.Equal(t, []string{"page", "audit"}, inc.Receivers)
	assert.Len(t, inc.Deliveries, 4)
}

func TestGroupByAll(t *testing.T) {
	t.Parallel()
	spec := basic()
	spec.Route.GroupBy = []string{"..."}
	h := newHarness(t, spec)
	h.send(h.fires(alert("NodeDown", "us", "a")), h.fires(alert("NodeDown", "us", "b")))
	assert.Len(t, h.live(), 2)
}

func weekends(t testing.TB) []timeinterval.TimeInterval {
	t.Helper()
	var out []timeinterval.TimeInterval
	for _, day := range []string{"saturday", "sunday"} {
		var r timeinterval.WeekdayRange
		require.NoError(t, r.UnmarshalYAML(func(v any) error { *v.(*string) = day; return nil }))
		out = append(out, timeinterval.TimeInterval{Weekdays: []timeinterval.WeekdayRange{r}})
	}
	return out
}

func TestMutedRoutePagesWhenTheIntervalEnds(t *testing.T) {
	t.Parallel()
	spec := basic()
	spec.TimeIntervals = map[string][]timeinterval.TimeInterval{"weekend": weekends(t)}
	spec.Route.Routes[0].Mute = []string{"weekend"}
	h := newHarness(t, spec)
	h.clock.Advance(5 * 24 * time.Hour) // Saturday
	h.send(h.fires(alert("NodeDown", "us", "a")))
	inc := h.only()
	assert.Equal(t, "weekend", inc.Muted)
	assert.True(t, inc.Quiet())
	assert.Empty(t, inc.Deliveries)

	h.clock.Advance(2 * 24 * time.Hour) // Monday
	h.send(h.fires(alert("NodeDown", "us", "a")))
	h.sweep()
	inc = h.only()
	assert.Empty(t, inc.Muted)
	assert.Len(t, inc.Lagging(h.clock.Now()), 2)
}

func TestFlappingStaysOneOpenIncident(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a := alert("NodeDown", "us", "a")
	for range 720 { // an hour, every five seconds
		h.send(h.fires(a))
		h.clock.Advance(2500 * time.Millisecond)
		h.send(h.ends(a))
		h.clock.Advance(2500 * time.Millisecond)
		h.sweepIncidents()
	}
	inc := h.only()
	assert.True(t, inc.Flapping)
	assert.Equal(t, tocsin.Triggered, inc.State)
	assert.LessOrEqual(t, inc.Reopened, uint32(timing.FlapChanges/2), "pages are capped")
	assert.Greater(t, inc.Flaps, uint32(1000))
	assert.Less(t, len(h.kinds(inc.ID)), 40, "the timeline says it once")

	h.clock.Advance(timing.FlapSettle)
	h.sweep()
	assert.Equal(t, tocsin.Resolved, h.only().State, "quiet for the settle time")
}

func TestStaleAlertsAreClosed(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a, b := alert("NodeDown", "us", "a"), alert("NodeDown", "us", "b")
	h.send(h.fires(a), h.fires(b))
	h.clock.Advance(11 * time.Hour)
	h.send(h.fires(b)) // heard of again
	h.clock.Advance(2 * time.Hour)
	h.sweepAlerts()
	inc := h.only()
	assert.Equal(t, uint32(1), inc.Firing)
	assert.Contains(t, h.kinds(inc.ID), tocsin.EventAlertStale)
	h.clock.Advance(12 * time.Hour)
	h.sweepAlerts()
	assert.Equal(t, tocsin.Resolved, h.only().State)
}

func TestSeverityRaiseReturnsToTriggered(t *testing.T) {
	t.Parallel()
	spec := basic()
	spec.Route.Routes = nil
	h := newHarness(t, spec)
	h.send(h.fires(alert("Slow", "us", "a", "severity", "warning")))
	id := h.only().ID
	h.act(id, func(inc *tocsin.Incident) (tocsin.Event, bool) { return inc.Acknowledge("ana", h.clock.Now()) })
	assert.Equal(t, tocsin.Acknowledged, h.only().State)
	h.send(h.fires(alert("Slow", "us", "b", "severity", "critical")))
	inc := h.only()
	assert.Equal(t, tocsin.Critical, inc.Severity)
	assert.Equal(t, tocsin.Triggered, inc.State)
	assert.Equal(t, []tocsin.EventKind{tocsin.EventOpened, tocsin.EventAcknowledged, tocsin.EventAlertFired, tocsin.EventSeverity}, h.kinds(id))
}

func TestPersonResolvesWhatStillFires(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	a := alert("NodeDown", "us", "a")
	h.send(h.fires(a))
	id := h.only().ID
	h.act(id, func(inc *tocsin.Incident) (tocsin.Event, bool) {
		return inc.Resolve("ana", "resolved by ana", h.clock.Now())
	})
	h.send(h.fires(a)) // a repeat
	h.sweep()
	assert.Equal(t, tocsin.Resolved, h.only().State, "a repeat is not news")
	h.send(h.fires(alert("NodeDown", "us", "b")))
	assert.Equal(t, tocsin.Triggered, h.only().State, "another alert of the group is")
}

func TestTruncatedIsNoted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	_, err := h.router.Receive(context.Background(), tocsin.Batch{Source: "am", Truncated: 4, Alerts: []tocsin.Alert{h.fires(alert("NodeDown", "us", "a"))}})
	require.NoError(t, err)
	inc := h.only()
	assert.Equal(t, uint64(4), inc.Truncated)
	assert.Contains(t, h.kinds(inc.ID), tocsin.EventTruncated)
}

func TestReloadReleasesWhatARemovedRuleInhibited(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	h.send(h.fires(alert("RegionDown", "us", "")), h.fires(alert("NodeDown", "us", "a")))
	require.True(t, h.of("NodeDown").Quiet())
	spec := basic()
	spec.InhibitRules = nil
	rules, err := router.NewRules(spec)
	require.NoError(t, err)
	h.router.SetRules(rules)
	require.NoError(t, h.router.Redecide(context.Background()))
	assert.False(t, h.of("NodeDown").Quiet())
	require.NoError(t, h.store.Check(context.Background()))
}

func TestReloadThatRemovesTheRouteStillTells(t *testing.T) {
	t.Parallel()
	h := newHarness(t, basic())
	h.send(h.fires(alert("RegionDown", "us", "")), h.fires(alert("NodeDown", "us", "a")))
	spec := basic()
	spec.Route.Routes, spec.InhibitRules, spec.Targets = nil, nil, targets("chat")
	rules, err := router.NewRules(spec)
	require.NoError(t, err)
	h.router.SetRules(rules)
	require.NoError(t, h.router.Redecide(context.Background()))
	assert.NotNil(t, h.of("NodeDown").Delivery("slack:#chat"), "the root's receiver, rather than nobody")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	rules, err := router.NewRules(basic())
	require.NoError(t, err)
	a := alert("NodeDown", "us", "a")
	e := rules.Explain(&a, start)
	assert.Equal(t, []string{"page"}, e.Receivers)
	assert.Equal(t, "t.yml:5", e.Routes[0].Pos)
	assert.Equal(t, tocsin.Labels{"alertname": "NodeDown", "region": "us"}, e.Group)
	require.Len(t, e.Inhibit, 1)
	assert.Equal(t, "t.yml:9", e.Inhibit[0].Pos)
	assert.False(t, e.Inhibit[0].Suppresses)
	warn := alert("Slow", "us", "a", "severity", "warning")
	assert.Equal(t, []string{"chat"}, rules.Explain(&warn, start).Receivers)
}

func TestBadRulesNameTheirPlace(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*router.Spec){
		"t.yml:5":           func(s *router.Spec) { s.Route.Routes[0].Matchers = []string{`severity=~"("`} },
		"t.yml:9":           func(s *router.Spec) { s.InhibitRules[0].SourceMatchers = []string{`=`} },
		`receiver "nobody"`: func(s *router.Spec) { s.Route.Routes[0].Receiver = "nobody" },
		`interval "never"`:  func(s *router.Spec) { s.Route.Routes[0].Mute = []string{"never"} },
		"the root needs":    func(s *router.Spec) { s.Route.Receiver = "" },
	} {
		spec := basic()
		spoil(&spec)
		_, err := router.NewRules(spec)
		assert.ErrorContains(t, err, want)
	}
}
