package callback_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/router"
)

// shelf is a store of many incidents, newest first, behind that of the world. It
// takes its time.
type shelf struct {
	*desk
	list   []*tocsin.Incident
	alerts map[string][]tocsin.AlertRecord
	// each is how long it takes to read one incident's alerts, listing to list.
	each, listing time.Duration
	reads         int
}

func (s *shelf) pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) List(ctx context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	if err := s.pause(ctx, s.listing); err != nil {
		return nil, err
	}
	var out []*tocsin.Incident
	for _, i := range s.list {
		if (f.Archived || i.Open()) && (len(f.States) == 0 || slices.Contains(f.States, i.State)) && len(out) < f.Limit {
			out = append(out, i)
		}
	}
	return out, nil
}

func (s *shelf) AlertsOf(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	all, mine := s.alerts[id]
	if !mine {
		return s.desk.AlertsOf(ctx, id, limit)
	}
	s.reads++
	if err := s.pause(ctx, s.each); err != nil {
		return nil, err
	}
	return all[:min(limit, len(all))], nil
}

// put adds an incident of alerts, older than those before.
func (s *shelf) put(id string, opened time.Time, open bool, groupBy []string, alerts ...tocsin.AlertRecord) *tocsin.Incident {
	i := &tocsin.Incident{ID: id, State: tocsin.Resolved, Title: "Title of " + id, OpenedAt: opened, GroupBy: groupBy, Alerts: uint32(len(alerts))}
	for n := range alerts {
		if !open {
			alerts[n].State.Firing = false
		}
		if alerts[n].State.Firing {
			i.Firing++
			if alerts[n].State.Suppression != nil {
				i.Suppressed++
			}
		}
	}
	if open {
		i.State = tocsin.Triggered
	}
	slices.SortStableFunc(alerts, func(a, b tocsin.AlertRecord) int {
		switch {
		case a.State.Firing == b.State.Firing:
			return 0
		case a.State.Firing:
			return -1
		default:
			return 1
		}
	})
	s.list = append(s.list, i)
	if s.alerts == nil {
		s.alerts = map[string][]tocsin.AlertRecord{}
	}
	s.alerts[id] = alerts
	return i
}

func record(firing bool, pairs ...string) tocsin.AlertRecord {
	l := tocsin.Labels{}
	for n := 0; n < len(pairs); n += 2 {
		l[pairs[n]] = pairs[n+1]
	}
	return tocsin.AlertRecord{Alert: tocsin.Alert{Labels: l, Firing: firing}, State: tocsin.AlertState{Firing: firing}}
}

// ours is an alert that a silence of the group of k7f3q9 hides.
func ours(firing bool, more ...string) tocsin.AlertRecord {
	return record(firing, append([]string{"region", "eu", "job", `no"de`}, more...)...)
}

// counted asks for a silence over the shelf, and returns the window's text.
func counted(t testing.TB, s *shelf, wait func(*world) slacktest.View) string {
	t.Helper()
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		s.desk = d.Reader.(*desk)
		d.Reader = s
	})
	w.open("k7f3q9")
	w.click("k7f3q9", ana, slack.ActionSilence, "4h")
	return string(wait(w).Blocks)
}

func atOnce(w *world) slacktest.View { return w.window(ana) }

func TestSilenceCountsByMatchingEachAlert(t *testing.T) {
	t.Parallel()
	s, now := &shelf{}, time.Now()
	day := 24 * time.Hour
	held := ours(true)
	held.State.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced}
	group := []string{"region", "job"}
	s.put("same01", now.Add(-time.Hour), true, group, ours(true, "instance", "1"), ours(true, "instance", "2"), ours(false, "instance", "3"))
	s.put("other1", now.Add(-time.Hour), true, group, record(true, "region", "us", "job", `no"de`))
	s.put("byname", now.Add(-2*time.Hour), true, []string{"alertname"}, record(true, "region", "us", "job", `no"de`), ours(true), held, ours(false))
	s.put("region", now.Add(-3*time.Hour), true, []string{"region"}, record(true, "region", "eu", "job", "x"))
	s.put("quiet1", now.Add(-3*time.Hour), true, []string{"job"}, ours(false))
	s.put("gone01", now.Add(-5*day), false, []string{"job"}, record(false, "job", `no"de`), ours(false))
	s.put("manual", now.Add(-6*day), false, nil)
	s.put("empty1", now.Add(-6*day), false, group).Alerts = 3
	s.put("other2", now.Add(-20*day), false, []string{"region"}, record(false, "region", "us"), record(false, "region", "us"))
	s.put("last01", now.Add(-29*day), false, group, ours(false))
	s.put("toold1", now.Add(-31*day), false, group, ours(false))
	text := counted(t, s, atOnce)
	assert.Contains(t, text, "Now it would hide *4* firing alerts of 2 incidents. 1 of the alerts pages nobody already.")
	assert.Contains(t, text, "In the last 30 days it would have hidden alerts of *5* of 10 incidents. Of 1 the alerts are not kept any more, and they are not counted.")
	assert.NotContains(t, text, "at least")
	for _, id := range []string{"same01", "byname", "quiet1", "gone01", "last01"} {
		assert.Contains(t, text, "`"+id+"` Title of "+id)
	}
	assert.NotContains(t, text, "toold1")
}

func TestSilenceNamesTheLatest(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	for n := range 9 {
		s.put(fmt.Sprintf("inc%d", n), time.Now().Add(-time.Duration(n)*time.Hour), false, nil, ours(false)).Title = "<!channel> *now*"
	}
	text := counted(t, s, atOnce)
	assert.Contains(t, text, "*9* of 9 incidents")
	assert.Contains(t, text, "`inc4`")
	assert.NotContains(t, text, "`inc5`")
	assert.Contains(t, text, "&lt;!channel&gt; ∗now∗")
}

// TestSilenceCountsWithinItsTime: the window opens while Slack still takes it, and
// says that it could not look at all.
func TestSilenceCountsWithinItsTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		each, listing time.Duration
		open          int
		says          []string
	}{
		"alerts are slow to read": {time.Millisecond, 0, 100, []string{
			"Now it would hide *50* firing alerts of 50 incidents.", "would have hidden alerts of *at least 5", "Only 1", "of these could be looked at in time",
		}},
		"open ones too": {50 * time.Millisecond, 0, 100, []string{"Now it would hide *at least ", "would have hidden alerts of *at least 7* of "}},
		"the list is slow": {0, 550 * time.Millisecond, 100, []string{
			"Not all that fires now could be looked at in time", "would have hidden alerts of *at least 500* of 1000 incidents. There may be more than these: the newest 1000 could be looked at in time.",
		}},
		"nothing comes": {0, time.Minute, 10, []string{"Not all that fires now could be looked at in time", "could not be counted in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{each: c.each, listing: c.listing}
				for n := range 9000 {
					alerts := []tocsin.AlertRecord{ours(n < c.open)}
					if n%2 == 0 {
						alerts = []tocsin.AlertRecord{record(n < c.open, "region", "us")}
					}
					s.put(fmt.Sprintf("inc%d", n), time.Now().Add(-time.Duration(n)*time.Minute), n < c.open, []string{"region", "job"}, alerts...)
				}
				begun := time.Now()
				text := counted(t, s, func(w *world) slacktest.View {
					w.settle()
					v, ok := w.slack.View(ana)
					require.True(t, ok, "the window came too late")
					return v
				})
				assert.LessOrEqual(t, time.Since(begun), 1300*time.Millisecond)
				for _, want := range c.says {
					assert.Contains(t, text, want)
				}
			})
		})
	}
}

// TestSilenceCountsRight: the shortcuts by what an incident's alerts share count
// the same as looking at each alert with the router's own matchers.
func TestSilenceCountsRight(t *testing.T) {
	t.Parallel()
	ms, err := router.ParseMatchers([]string{`job="no\"de"`, `region="eu"`})
	require.NoError(t, err)
	matches := func(l tocsin.Labels) bool {
		for _, m := range ms {
			if !m.Matches(l[m.Name]) {
				return false
			}
		}
		return true
	}
	rapid.Check(t, func(rt *rapid.T) {
		s, now := &shelf{}, time.Now()
		names := []string{"region", "job", "instance"}
		value := func(name string) string {
			return rapid.SampledFrom(map[string][]string{"region": {"eu", "us", ""}, "job": {`no"de`, "x", ""}, "instance": {"1", "2"}}[name]).Draw(rt, name)
		}
		firing, openHit, hit, total := 0, 0, 0, 0
		for n := range rapid.IntRange(0, 8).Draw(rt, "incidents") {
			var groupBy []string
			shared := tocsin.Labels{}
			for _, name := range names {
				if rapid.Bool().Draw(rt, "shared") {
					groupBy, shared[name] = append(groupBy, name), value(name)
				}
			}
			open := rapid.Bool().Draw(rt, "open")
			var alerts []tocsin.AlertRecord
			fires, any := 0, false
			for range rapid.IntRange(1, 4).Draw(rt, "alerts") {
				var pairs []string
				for _, name := range names {
					v, ok := shared[name]
					if !ok {
						v = value(name)
					}
					if v != "" {
						pairs = append(pairs, name, v)
					}
				}
				a := record(rapid.Bool().Draw(rt, "firing"), append(pairs, "n", "1")...)
				alerts = append(alerts, a)
				any = any || matches(a.Labels)
				if open && a.State.Firing && matches(a.Labels) {
					fires++
				}
			}
			s.put(fmt.Sprintf("inc%d", n), now.Add(-time.Duration(n+1)*time.Hour), open, groupBy, alerts...)
			total++
			firing += fires
			if fires > 0 {
				openHit++
			}
			if any {
				hit++
			}
		}
		text := counted(t, s, atOnce)
		plural := func(n int, word string) string {
			if n == 1 {
				return word
			}
			return word + "s"
		}
		require.Contains(rt, text, fmt.Sprintf("Now it would hide *%d* firing %s of %d %s.", firing, plural(firing, "alert"), openHit, plural(openHit, "incident")))
		require.Contains(rt, text, fmt.Sprintf("it would have hidden alerts of *%d* of %d %s.", hit, total, plural(total, "incident")))
	})
}

// TestSilenceCountsWhatCanBeRead: an incident that cannot be read leaves the rest.
func TestSilenceCountsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.put("inc1", time.Now(), false, nil, ours(false))
	s.put("inc2", time.Now(), false, nil, ours(false))
	broken := &breaks{shelf: s}
	w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
		s.desk = d.Reader.(*desk)
		d.Reader = broken
	})
	w.open("k7f3q9")
	w.click("k7f3q9", ana, slack.ActionSilence, "4h")
	assert.Contains(t, string(w.window(ana).Blocks), "*at least 1* of 2 incidents. Only 1 of these could be looked at in time.")
}

type breaks struct{ *shelf }

func (b *breaks) AlertsOf(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	if id == "inc2" {
		return nil, errors.New("the page is broken")
	}
	return b.shelf.AlertsOf(ctx, id, limit)
}

// BenchmarkSilenceCount is what a silence counts over 10,000 archived incidents that
// are read from memory, each grouped by other labels than the silence's, so that
// each is looked at twice; a store's own time comes on top.
func BenchmarkSilenceCount(b *testing.B) {
	s := &shelf{}
	for n := range 10_000 {
		alerts := make([]tocsin.AlertRecord, 0, 5)
		for k := range 5 {
			alerts = append(alerts, record(false, "alertname", "NodeDown", "region", "us", "job", `no"de`, "severity", "critical", "instance", fmt.Sprint(n, k)))
		}
		s.put(fmt.Sprintf("inc%d", n), time.Now().Add(-time.Duration(n)*time.Minute), false, []string{"alertname"}, alerts...)
	}
	b.ReportAllocs()
	for b.Loop() {
		text := counted(b, s, atOnce)
		require.Contains(b, text, "*0* of 10000 incidents")
	}
}
