package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// The configurations in deploy/examples are played: real rules made of them, a
// real store, and the alerts that the teams' Alertmanagers send.

// examples are the configurations that are shipped.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../deploy/examples/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

var variables = regexp.MustCompile(`\$\{([A-Z_]+)\}`)

// loadExample loads a configuration with its environment.
func loadExample(t *testing.T, file string) (parts, *escalation.Rules) {
	t.Helper()
	for n, m := range variables.FindAllStringSubmatch(string(read(t, file)), -1) {
		value := fmt.Sprintf("canary0123456789abcdef012345%04x", n) // as long as a routing key
		if strings.HasPrefix(m[1], "SLACK") {
			value = "xoxb-canary"
		}
		t.Setenv(m[1], value)
	}
	cfg, warnings, err := config.Load(file)
	require.NoError(t, err)
	assert.Empty(t, warnings)
	p, err := wire(cfg)
	require.NoError(t, err)
	out, err := readFiles(cfg, time.Now(), newTestLogger(t))
	require.NoError(t, err)
	rules, err := wireEscalation(cfg, p.byReceiver, out)
	require.NoError(t, err)
	return p, rules
}

func TestExamplesReachSomebodyAtEveryMinute(t *testing.T) {
	for _, file := range examples(t) {
		_, rules := loadExample(t, file)
		from := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
		assert.Empty(t, rules.Coverage(nil, from, from.AddDate(0, 0, 8*7)), file)
		assert.Empty(t, rules.Coverage(nil, from, from.AddDate(1, 0, 0)), file)
	}
}

// theatre plays one configuration in a synctest bubble.
type theatre struct {
	*testing.T
	store  *bolt.Store
	router *router.Router
	engine *escalation.Engine
	began  time.Time
	firing []tocsin.Alert
	sent   time.Time
}

// perform plays a story that begins at an instant.
func perform(t *testing.T, file string, at time.Time, story func(s *theatre)) {
	t.Helper()
	p, rules := loadExample(t, "../../deploy/examples/"+file)
	path := filepath.Join(t.TempDir(), "tocsin.db")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		s := &theatre{T: t, began: at}
		var err error
		s.store, err = bolt.Open(path, bolt.Options{MinFree: -1, Ballast: -1, Committed: func([]tocsin.Wake) {
			if s.engine != nil {
				s.engine.Committed(s.store.NextDeadline())
			}
		}})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.store.Close()) }()
		s.engine, err = escalation.NewEngine(rules, escalation.Options{Store: s.store})
		require.NoError(t, err)
		s.router, err = router.New(p.rules, router.Options{Store: s.store, Escalator: s.engine, SweepEvery: time.Minute})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 2)
		go func() { done <- s.engine.Run(ctx) }()
		go func() { done <- s.router.Run(ctx) }()
		defer func() {
			stop()
			require.NoError(t, <-done)
			require.NoError(t, <-done)
		}()
		story(s)
	})
}

// webhook sends the alerts of a real webhook body, as if they fired now.
func (s *theatre) webhook(name string) string {
	s.Helper()
	file := "../../../shared/data/webhooks/" + name
	body, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		s.Skipf("no real webhook bodies here (%s)", file)
	}
	require.NoError(s, err)
	var b struct {
		Alerts []struct{ Labels, Annotations tocsin.Labels }
	}
	require.NoError(s, json.Unmarshal(body, &b))
	require.NotEmpty(s, b.Alerts)
	return s.fire(b.Alerts[0].Labels, b.Alerts[0].Annotations)
}

// fire has an alert fire and returns the incident that it opened.
func (s *theatre) fire(labels, annotations tocsin.Labels) string {
	s.Helper()
	s.firing = append(s.firing, tocsin.Alert{Source: "am", Labels: labels, Annotations: annotations, Firing: true, StartsAt: time.Now()})
	s.send()
	s.pass(0)
	list, err := s.store.List(s.Context(), tocsin.Filter{Limit: 1})
	require.NoError(s, err)
	require.Len(s, list, 1)
	return list[0].ID
}

// send sends all that fires, as Alertmanager does every four hours.
func (s *theatre) send() {
	s.Helper()
	s.sent = time.Now()
	_, err := s.router.Receive(s.Context(), tocsin.Batch{Source: "am", Alerts: s.firing})
	require.NoError(s, err)
}

func labelled(name, severity string) tocsin.Labels {
	return tocsin.Labels{"alertname": name, "severity": severity, "region": "us-east", "instance": "a"}
}

// pass lets time go by; every target is told at once.
func (s *theatre) pass(d time.Duration) {
	s.Helper()
	for end := time.Now().Add(d); ; {
		if time.Since(s.sent) >= 4*time.Hour {
			s.send()
		}
		synctest.Wait()
		for _, w := range s.store.Lagging(time.Now()) {
			require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
				inc := tx.Incident(w.Incident)
				del := inc.Delivery(w.Target)
				del.Record(tocsin.Receipt{Ref: "x", Revision: inc.Revision, State: inc.State, Severity: inc.Severity, Called: del.Calls}, time.Now())
				tx.PutIncident(inc)
				return nil
			}))
		}
		if !time.Now().Before(end) {
			return
		}
		time.Sleep(min(max(time.Minute, d/500), time.Until(end)))
	}
}

// calls of an incident so far: "15m0s bo by Slack". Those of one person at one
// instant are one line.
func (s *theatre) calls(id string) []string {
	s.Helper()
	events, err := s.store.Timeline(s.Context(), id, 0, 10_000)
	require.NoError(s, err)
	var out []string
	for i := range events {
		if events[i].Kind != tocsin.EventCalled {
			continue
		}
		text := events[i].At.Sub(s.began).Round(time.Second).String() + " " + strings.TrimPrefix(events[i].Text, "calling ")
		person, way, ok := strings.Cut(text, " by ")
		if last := len(out) - 1; ok && last >= 0 && strings.HasPrefix(out[last], person+" by ") {
			out[last] += " and " + way
			continue
		}
		out = append(out, text)
	}
	return out
}

func instant(t *testing.T, zone, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04", text, loc)
	require.NoError(t, err)
	return at
}

// whom are the people on call on a schedule at an instant.
func whom(rules *escalation.Rules, schedule string, at time.Time) []string {
	var out []string
	for _, sh := range rules.Schedules()[schedule].At(nil, at) {
		out = append(out, sh.User)
	}
	return out
}

// Primary and secondary are on call for a week from Monday 09:00, on the wall
// clock of Madrid: the last Sundays of March and October change nothing.
func TestBitCellHandsOverOnMondays(t *testing.T) {
	_, rules := loadExample(t, "../../deploy/examples/bitcell.yml")
	next := map[string]string{"ana": "bo", "bo": "cy", "cy": "ana"}
	for _, monday := range []string{"2026-03-23", "2026-03-30", "2026-04-06", "2026-10-19", "2026-10-26", "2026-11-02"} {
		at := instant(t, "Europe/Madrid", monday+" 09:00")
		before, after := whom(rules, "primary", at.Add(-time.Second)), whom(rules, "primary", at)
		require.Len(t, before, 1)
		require.Len(t, after, 1)
		assert.Equal(t, next[before[0]], after[0], monday)
		for _, when := range []time.Time{at.Add(-time.Second), at} {
			assert.Equal(t, []string{next[whom(rules, "primary", when)[0]]}, whom(rules, "secondary", when), "the secondary is the next primary")
		}
	}
	shifts := rules.Schedules()["primary"].Shifts(nil, instant(t, "Europe/Madrid", "2026-03-23 09:00"), instant(t, "Europe/Madrid", "2026-04-06 09:00"))
	require.Len(t, shifts, 2)
	assert.Equal(t, 7*24*time.Hour-time.Hour, shifts[0].To.Sub(shifts[0].From), "the night of the change is an hour shorter")
}

// P0: the whole team and the leadership at once, within the 15 minutes that the
// guide gives, and again a quarter of an hour later.
func TestBitCellP0(t *testing.T) {
	perform(t, "bitcell.yml", instant(t, "Europe/Madrid", "2026-03-29 03:10"), func(s *theatre) {
		id := s.webhook("011-critical-no-region-label.json")
		s.pass(14 * time.Minute)
		assert.ElementsMatch(s, []string{
			"0s #incidents", "0s cy by Slack", "0s ana by Slack", "0s bo by Slack",
			"0s platform-lead by Slack and PagerDuty", "0s eng-manager by Slack and PagerDuty",
			"2m0s ana by PagerDuty", "2m0s bo by PagerDuty", "2m0s cy by PagerDuty",
		}, s.calls(id))
		assert.Equal(s, "S00ONCALL1", s.incident(id).Delivery("slack:#incidents").Mention)
		s.pass(2 * time.Minute)
		again := strings.Join(s.calls(id), "\n")
		for _, who := range []string{"cy", "ana", "platform-lead", "eng-manager"} {
			assert.Contains(s, again, "15m0s "+who+" again (2) by", "the primary, the secondary and the leadership once more")
		}
	})
}

// P1: the primary at once, the secondary after 15 minutes, and after 30, the
// time that the guide gives, the team and its lead.
func TestBitCellP1(t *testing.T) {
	for _, body := range []string{"007-region-down.json", "010-warning-consensus.json"} {
		t.Run(body, func(t *testing.T) {
			perform(t, "bitcell.yml", instant(t, "Europe/Madrid", "2026-03-29 01:50"), func(s *theatre) {
				id := s.webhook(body)
				s.pass(31 * time.Minute)
				assert.ElementsMatch(s, []string{
					"0s cy by Slack", "2m0s cy by PagerDuty", "15m0s ana by Slack", "17m0s ana by PagerDuty",
					"30m0s ana again (2) by Slack", "30m0s bo by Slack", "30m0s cy again (2) by Slack", "30m0s platform-lead by Slack and PagerDuty",
				}, s.calls(id))
			})
		})
	}
}

// P2: at once, at night too; the whole team well within the two hours.
func TestBitCellP2(t *testing.T) {
	perform(t, "bitcell.yml", instant(t, "Europe/Madrid", "2026-03-31 03:00"), func(s *theatre) {
		id := s.webhook("001-first-firing.json")
		s.pass(16 * time.Minute)
		assert.Equal(s, []string{"0s ana by Slack", "2m0s ana by PagerDuty", "15m0s bo by Slack"}, s.calls(id))
		s.pass(106 * time.Minute)
		assert.Contains(s, s.calls(id), "1h45m0s cy by Slack")
	})
}

// P3: on the next business day of whoever is on call, and nobody is woken, ever.
func TestBitCellP3(t *testing.T) {
	for fires, want := range map[string]struct{ at, who string }{
		"2026-03-31 11:00": {"0s", "ana"},      // Tuesday, at work
		"2026-03-31 22:00": {"11h0m0s", "ana"}, // until Wednesday 09:00
		"2026-04-03 17:59": {"0s", "ana"},
		"2026-04-03 18:01": {"62h59m0s", "ana"}, // Friday evening until Monday 09:00
		"2026-03-28 12:00": {"38h0m0s", "cy"},   // Saturday noon until Monday 09:00 in Singapore, over the change of the clocks
	} {
		t.Run(fires, func(t *testing.T) {
			perform(t, "bitcell.yml", instant(t, "Europe/Madrid", fires), func(s *theatre) {
				id := s.webhook("009-warning-mempool.json")
				s.pass(64 * time.Hour)
				require.NotEmpty(s, s.calls(id))
				assert.Equal(s, want.at+" "+want.who+" by Slack", s.calls(id)[0])
				s.pass(7 * 24 * time.Hour)
				s.inWorkingHours(id)
				assert.Contains(s, strings.Join(s.calls(id), "\n"), "receiver leadership-by-mail", "the last resort is a mail")
			})
		})
	}
}

var zones = map[string]string{
	"ana": "Europe/Madrid", "bo": "America/New_York", "cy": "Asia/Singapore",
	"dia": "Europe/Berlin", "eli": "Europe/Berlin", "fay": "America/Los_Angeles", "gus": "America/Los_Angeles",
}

// inWorkingHours requires that nobody was called but by Slack or mail, on a
// weekday and by day, where the person is.
func (s *theatre) inWorkingHours(id string) {
	s.Helper()
	events, err := s.store.Timeline(s.Context(), id, 0, 10_000)
	require.NoError(s, err)
	for i := range events {
		e := &events[i]
		name, person := strings.CutPrefix(e.Target, "slack:@")
		if e.Kind != tocsin.EventCalled || strings.HasPrefix(e.Target, "email:") {
			continue
		}
		require.True(s, person, "%s by %s", e.Text, e.Target)
		loc, err := time.LoadLocation(zones[name])
		require.NoError(s, err)
		local := e.At.In(loc)
		assert.NotContains(s, []time.Weekday{time.Saturday, time.Sunday}, local.Weekday(), "%s at %s", e.Text, local)
		assert.GreaterOrEqual(s, local.Hour(), 9, "%s at %s", e.Text, local)
		assert.Less(s, local.Hour(), 18, "%s at %s", e.Text, local)
	}
}

func (s *theatre) incident(id string) *tocsin.Incident {
	s.Helper()
	inc, err := s.store.Get(s.Context(), id)
	require.NoError(s, err)
	return inc
}

// While a region is down its nodes page nobody.
func TestBitCellRegionDownCoversItsNodes(t *testing.T) {
	perform(t, "bitcell.yml", instant(t, "Europe/Madrid", "2026-03-31 03:00"), func(s *theatre) {
		s.fire(labelled("RegionDown", "critical"), nil)
		s.pass(time.Second)
		node := s.fire(labelled("NodeDown", "critical"), nil)
		s.pass(3 * time.Hour)
		require.Equal(s, "NodeDown", s.incident(node).Title)
		assert.Empty(s, s.calls(node))
	})
}
