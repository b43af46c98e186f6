package insights_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/insights"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func zoneOf(user string) *time.Location {
	if user == "bo" {
		return time.FixedZone("east", 8*3600)
	}
	return nil
}

// slow counts the same, one question at a time.
type slow struct {
	cases    []insights.Case
	from, to time.Time
}

func (s slow) count(is func(insights.Case) bool) (ids []string) {
	ids = []string{}
	for _, c := range s.cases {
		if in := c.Incident.OpenedAt; c.Incident.Kind != tocsin.KindNotice && in.Compare(s.from) >= 0 && in.Compare(s.to) < 0 && is(c) {
			ids = append(ids, c.Incident.ID)
		}
	}
	return ids
}

func has(c insights.Case, kinds ...tocsin.EventKind) bool {
	for _, e := range c.Timeline {
		for _, k := range kinds {
			if e.Kind == k {
				return true
			}
		}
	}
	return false
}

// rank is the least duration that tenths of all are not above.
func rank(all []time.Duration, tenths int) time.Duration {
	best := time.Duration(-1)
	for _, d := range all {
		below := 0
		for _, e := range all {
			if e <= d {
				below++
			}
		}
		if below*10 >= len(all)*tenths && (best < 0 || d < best) {
			best = d
		}
	}
	return max(best, 0)
}

func anyCase(t *rapid.T, n int) insights.Case {
	minutes := func(what string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Minute
	}
	opened := start.Add(minutes("opened", 3*24*60))
	inc := &tocsin.Incident{ID: fmt.Sprint("i", n), OpenedAt: opened, State: tocsin.Triggered}
	c := insights.Case{Incident: inc, Rule: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "rule")}
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		inc.Kind = tocsin.KindNotice
	}
	for _, user := range []string{"ana", "bo", ""} {
		inc.Deliveries = append(inc.Deliveries, tocsin.Delivery{Target: "to:" + user, User: user}, tocsin.Delivery{Target: "also:" + user, User: user})
	}
	for range rapid.IntRange(0, 6).Draw(t, "calls") {
		who := rapid.SampledFrom([]string{"ana", "bo", "", "gone"}).Draw(t, "who")
		way := rapid.SampledFrom([]string{"to:", "also:"}).Draw(t, "way")
		c.Timeline = append(c.Timeline, tocsin.Event{Kind: tocsin.EventCalled, Target: way + who, At: opened.Add(minutes("call", 24*60))})
	}
	if rapid.Bool().Draw(t, "acknowledged") {
		inc.AcknowledgedAt = opened.Add(minutes("ack", 30))
		c.Timeline = append(c.Timeline, tocsin.Event{Kind: tocsin.EventAcknowledged, At: inc.AcknowledgedAt})
	}
	if rapid.Bool().Draw(t, "worked") {
		c.Timeline = append(c.Timeline, tocsin.Event{Kind: rapid.SampledFrom([]tocsin.EventKind{tocsin.EventNote, tocsin.EventStep, tocsin.EventRemediation}).Draw(t, "work")})
	}
	if rapid.Bool().Draw(t, "resolved") {
		inc.State, inc.ResolvedAt = tocsin.Resolved, opened.Add(minutes("took", 10))
		inc.ResolvedBy = rapid.SampledFrom([]string{"", "ana"}).Draw(t, "by")
	}
	return c
}

func TestInsightsAreWhatASlowCountSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := slow{from: start.Add(12 * time.Hour), to: start.Add(60 * time.Hour)}
		for n := range rapid.IntRange(0, 12).Draw(t, "cases") {
			s.cases = append(s.cases, anyCase(t, n))
		}
		r := insights.Of(looked(s.cases), s.from, s.to, zoneOf)
		assert.Len(t, s.count(func(insights.Case) bool { return true }), r.Incidents)

		acked := func(c insights.Case) bool { return has(c, tocsin.EventAcknowledged) }
		ended := func(c insights.Case) bool { return c.Incident.State == tocsin.Resolved }
		assert.Equal(t, s.count(acked), r.Acknowledge.Incidents)
		assert.Equal(t, s.count(ended), r.Resolve.Incidents)
		var took []time.Duration
		s.count(func(c insights.Case) bool {
			if ended(c) {
				took = append(took, c.Incident.ResolvedAt.Sub(c.Incident.OpenedAt))
			}
			return false
		})
		assert.Equal(t, rank(took, 5).Seconds(), r.Resolve.Median)
		assert.Equal(t, rank(took, 9).Seconds(), r.Resolve.P90)
		assert.Equal(t, s.count(func(c insights.Case) bool {
			return acked(c) && ended(c) && !has(c, tocsin.EventNote, tocsin.EventStep, tocsin.EventRemediation)
		}), r.Idle.Incidents)
		assert.Equal(t, s.count(func(c insights.Case) bool {
			return !acked(c) && ended(c) && c.Incident.ResolvedBy == "" && c.Incident.ResolvedAt.Before(c.Incident.OpenedAt.Add(5*time.Minute))
		}), r.Brief.Incidents)
		for _, user := range []string{"ana", "bo"} {
			all := 0
			s.count(func(c insights.Case) bool { all += fewest(c.Timeline, user); return false })
			assert.Equal(t, all, countOf(r.Pages, user))
			assert.LessOrEqual(t, countOf(r.Nights, user), all)
		}
		for _, rule := range []string{"A", "B", ""} {
			want := len(s.count(func(c insights.Case) bool { return c.Rule == rule && rule != "" }))
			assert.Equal(t, want, countOf(r.Rules, rule))
		}
	})
}

func looked(cases []insights.Case) (all []insights.Seen) {
	for n := range cases {
		all = append(all, insights.Look(&cases[n]))
	}
	return all
}

// fewest is into how few calls what a person was told can be divided, so that none
// uses a way twice, and none goes on after somebody has taken the incident.
func fewest(timeline []tocsin.Event, user string) int {
	best := make([]int, len(timeline)+1)
	for to := 1; to <= len(timeline); to++ {
		best[to] = 1 << 30
		for from := range to {
			used, one, calls := map[string]bool{}, true, 0
			for n, e := range timeline[from:to] {
				switch {
				case e.Kind == tocsin.EventAcknowledged:
					one = one && n == 0
				case e.Kind == tocsin.EventCalled && strings.HasSuffix(e.Target, ":"+user):
					one = one && !used[e.Target]
					used[e.Target], calls = true, 1
				}
			}
			if one {
				best[to] = min(best[to], best[from]+calls)
			}
		}
	}
	return best[len(timeline)]
}

// A page is what a person feels: one call in three ways is one, and its hour is that
// of the first.
func TestAPageIsCountedOnce(t *testing.T) {
	t.Parallel()
	inc := &tocsin.Incident{ID: "i", OpenedAt: start.Add(21 * time.Hour), State: tocsin.Triggered}
	for _, target := range []string{"slack:ana", "pagerduty:ana", "email:ana", "slack:bo"} {
		_, user, _ := strings.Cut(target, ":")
		inc.Deliveries = append(inc.Deliveries, tocsin.Delivery{Target: target, User: user})
	}
	call := func(minutes int, target, text string) tocsin.Event {
		return tocsin.Event{Kind: tocsin.EventCalled, Target: target, Text: text, At: inc.OpenedAt.Add(time.Duration(minutes) * time.Minute)}
	}
	for _, tc := range []struct {
		what          string
		timeline      []tocsin.Event
		pages, nights int
	}{
		{"three ways", []tocsin.Event{call(0, "slack:ana", ""), call(1, "pagerduty:ana", ""), call(61, "email:ana", "")}, 1, 0},
		{"one after the other with somebody else's", []tocsin.Event{call(0, "slack:ana", ""), call(1, "slack:bo", ""), call(2, "pagerduty:ana", "")}, 1, 0},
		{"again", []tocsin.Event{call(0, "slack:ana", ""), call(1, "pagerduty:ana", ""), call(61, "slack:ana", ""), call(62, "pagerduty:ana", "")}, 2, 1},
		{"after it came back", []tocsin.Event{call(0, "slack:ana", ""), {Kind: tocsin.EventReturned}, call(62, "pagerduty:ana", "")}, 2, 1},
		{"after it was taken", []tocsin.Event{call(0, "slack:ana", ""), {Kind: tocsin.EventAcknowledged}, call(1, "pagerduty:ana", "")}, 2, 0},
		{"a copy", []tocsin.Event{call(0, "slack:ana", "a copy for ana")}, 0, 0},
		{"a place that is gone", []tocsin.Event{call(0, "slack:old", "")}, 0, 0},
	} {
		c := insights.Case{Incident: inc, Timeline: tc.timeline}
		r := insights.Of([]insights.Seen{insights.Look(&c)}, start, start.Add(48*time.Hour), nil)
		assert.Equal(t, tc.pages, countOf(r.Pages, "ana"), tc.what)
		assert.Equal(t, tc.nights, countOf(r.Nights, "ana"), tc.what)
	}
}

func countOf(list []tocsin.Tally, name string) int {
	for _, t := range list {
		if t.Name == name {
			return t.Count
		}
	}
	return 0
}
