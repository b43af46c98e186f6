package insights_test

import (
	"fmt"
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
		inc.Deliveries = append(inc.Deliveries, tocsin.Delivery{Target: "to:" + user, User: user})
	}
	for range rapid.IntRange(0, 4).Draw(t, "calls") {
		who := rapid.SampledFrom([]string{"ana", "bo", "", "gone"}).Draw(t, "who")
		c.Timeline = append(c.Timeline, tocsin.Event{Kind: tocsin.EventCalled, Target: "to:" + who, At: opened.Add(minutes("call", 24*60))})
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
		r := insights.Of(s.cases, s.from, s.to, zoneOf)
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
			all, night := 0, 0
			s.count(func(c insights.Case) bool {
				for _, e := range c.Timeline {
					if e.Kind == tocsin.EventCalled && e.Target == "to:"+user {
						hour := e.At.UTC().Hour()
						if user == "bo" {
							hour = (hour + 8) % 24
						}
						all++
						if hour < 7 || hour > 21 {
							night++
						}
					}
				}
				return false
			})
			assert.Equal(t, all, countOf(r.Pages, user))
			assert.Equal(t, night, countOf(r.Nights, user))
		}
		for _, rule := range []string{"A", "B", ""} {
			want := len(s.count(func(c insights.Case) bool { return c.Rule == rule && rule != "" }))
			assert.Equal(t, want, countOf(r.Rules, rule))
		}
	})
}

func countOf(list []tocsin.Tally, name string) int {
	for _, t := range list {
		if t.Name == name {
			return t.Count
		}
	}
	return 0
}
