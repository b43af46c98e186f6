package story

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// The clocks change between the steps, at 02:00 and 03:00: a quarter of an hour
// stays one.
func TestClocksChangeBetweenTheSteps(t *testing.T) {
	t.Parallel()
	madrid, err := time.LoadLocation("Europe/Madrid")
	require.NoError(t, err)
	for name, at := range map[string]time.Time{
		"forward":           time.Date(2026, 3, 29, 1, 50, 0, 0, madrid),
		"back, the first":   time.Date(2026, 10, 25, 2, 30, 0, 0, madrid),
		"back, the second":  time.Date(2026, 10, 25, 2, 30, 0, 0, madrid).Add(time.Hour),
		"across the change": time.Date(2026, 10, 25, 2, 50, 0, 0, madrid),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := watched(func(spec *escalation.Spec) {
				for _, name := range []string{"primary", "secondary"} {
					spec.Schedules[name] = weekly(t, name, "Europe/Madrid", map[string][]string{"primary": {"ana"}, "secondary": {"bo"}}[name]...)
				}
				spec.Policies[0].Repeat = 1
			})
			o.at = at
			play(t, o, func(t *testing.T, s *service) {
				id := s.opens("NodeDown", "critical")
				s.until(91 * time.Minute)
				var slack []string
				for _, c := range s.calls(id) {
					if strings.Contains(c, "by Slack") {
						slack = append(slack, c)
					}
				}
				assert.Equal(t, []string{"0s ana by Slack", "15m bo by Slack", "30m cy by Slack", "30m dan by Slack", "45m ana by Slack again", "1h0m bo by Slack again", "1h15m cy by Slack again", "1h15m dan by Slack again", "1h30m boss by Slack"}, slack)
			})
		})
	}
}

// Resolved and firing again is the same page to the provider, and calls anew.
func TestReopenedCallsAgain(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(3 * time.Minute)
		s.send(ends(ops("NodeDown", "critical")))
		s.until(10 * time.Minute)
		assert.Empty(t, s.ringing("ana"))
		s.send(fires(ops("NodeDown", "critical")))
		s.until(26 * time.Minute)
		assert.Equal(t, tocsin.Triggered, s.get(id).State)
		assert.Equal(t, []string{
			"0s ana by Slack", "2m ana by PagerDuty", "10m ana by Slack again", "12m ana by PagerDuty", "15m ana by email", "25m bo by Slack",
		}, s.calls(id))
		assert.Len(t, s.ringing("ana"), 1)
	})
}

// Who was called about it before is not called because it fires again, but when
// it is that person's turn.
func TestReopenedDoesNotRingTheWholeHouse(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(50 * time.Minute)
		s.send(ends(ops("NodeDown", "critical")))
		s.until(time.Hour)
		before := len(s.calls(id))
		s.send(fires(ops("NodeDown", "critical")))
		s.until(time.Hour + 14*time.Minute)
		assert.Equal(t, []string{"1h0m ana by Slack again", "1h2m ana by PagerDuty", "1h5m ana by email again"}, s.calls(id)[before:])
		for _, r := range s.slack.Messages(slackID("boss"))[0].Replies {
			assert.False(t, r.Broadcast, "%s", r.Text)
		}
		s.until(time.Hour + 46*time.Minute)
		assert.Contains(t, s.calls(id), "1h45m boss by PagerDuty")
	})
}

// An alert that comes and goes for an hour is one page that stays, and who has
// acknowledged it is left alone.
func TestFlappingCallsAFewTimes(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		for n := range 120 {
			s.pass(15 * time.Second)
			s.send(ends(ops("NodeDown", "critical")))
			s.pass(15 * time.Second)
			s.send(fires(ops("NodeDown", "critical")))
			if n == 5 {
				s.acknowledges(id, "ana")
			}
		}
		s.pass(time.Minute)
		assert.Equal(t, id, s.only().ID)
		assert.LessOrEqual(t, len(s.calls(id)), 4, "%v", s.calls(id))
		assert.LessOrEqual(t, len(s.pagerduty.Incidents(everybody["ana"])), 1)
		assert.Equal(t, tocsin.Acknowledged, s.get(id).State)
	})
}

// An incident that was not urgent is raised: everybody is called again, loudly.
func TestSeverityRaised(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "warning")
		s.until(4 * time.Minute)
		s.send(fires(ops("NodeDown", "critical")))
		s.until(20 * time.Minute)
		assert.Equal(t, id, s.only().ID)
		assert.Equal(t, []string{
			"0s ana by Slack", "4m ana by Slack again", "6m ana by PagerDuty", "9m ana by email", "19m bo by Slack",
		}, s.calls(id))
	})
}

func TestInhibitedCallsNobodyUntilItIsOver(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		region := s.opens("RegionDown", "critical")
		node := s.opens("NodeDown", "critical")
		s.acknowledges(region, "ana")
		s.until(time.Hour)
		assert.Empty(t, s.calls(node))
		s.send(ends(ops("RegionDown", "critical")))
		s.until(time.Hour + 16*time.Minute)
		assert.Equal(t, []string{"1h0m ana by Slack", "1h2m ana by PagerDuty", "1h5m ana by email", "1h15m bo by Slack"}, s.calls(node))
	})
}

func TestMergedCallsNobodyUntilItPagesForItself(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		cause, other := s.opens("Database", "critical"), s.opens("Website", "critical")
		s.until(time.Minute)
		s.acts(other, tocsin.Action{Kind: tocsin.ActMerge, By: "ana", Into: cause})
		s.acknowledges(cause, "ana")
		s.until(time.Hour)
		assert.Equal(t, []string{"0s ana by Slack"}, s.calls(other), "once: then it was merged")
		s.send(ends(ops("Database", "critical")))
		s.until(time.Hour + 3*time.Minute)
		calls := s.calls(other)
		require.Len(t, calls, 3, "%v", calls)
		assert.Contains(t, calls[1], "ana by Slack again")
		assert.Contains(t, calls[2], "ana by PagerDuty")
	})
}

// Two at once are two calls, and what answers one does not stop the other.
func TestTwoAtOnceToOnePerson(t *testing.T) {
	t.Parallel()
	o := watched(nil)
	o.slackRate = 1
	play(t, o, func(t *testing.T, s *service) {
		one, two := s.opens("NodeDown", "critical"), s.opens("DiskFull", "critical")
		s.until(3 * time.Minute)
		s.acknowledges(one, "ana")
		s.until(16 * time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty"}, s.calls(one))
		require.Len(t, s.contacts(), 6)
		assert.Less(t, s.contacts()[1].at.Sub(s.began), 3*time.Second, "Slack takes one message a second")
		assert.Equal(t, []string{"2m ana by PagerDuty", "5m ana by email", "15m bo by Slack"}, s.calls(two)[1:])
		pages := s.pagerduty.Incidents(everybody["ana"])
		require.Len(t, pages, 2)
		assert.NotEqual(t, pages[0].Status, pages[1].Status)
	})
}

// Asked for by name: an acknowledgement does not stop the call.
func TestAddedResponderIsCalledAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(time.Minute)
		s.acknowledges(id, "ana")
		s.acts(id, tocsin.Action{Kind: tocsin.ActAddResponder, By: "ana", User: "eve"})
		s.until(time.Hour)
		assert.Equal(t, []string{"0s ana by Slack", "1m eve by Slack", "3m eve by PagerDuty", "6m eve by email"}, s.calls(id))
	})
}

// An account that is gone is no reason to wait.
func TestUnreachablePersonIsPassedOver(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		s.slack.Deactivate(slackID("ana"), true)
		s.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: everybody["ana"], Status: http.StatusBadRequest})
		s.mail.Fault(smtptest.Fault{At: smtptest.AtRcpt, Code: 550, Text: "no such mailbox", Count: -1})
		id := s.opens("NodeDown", "critical")
		s.until(30 * time.Second)
		assert.Equal(t, []string{"bo by Slack"}, []string{afterTime(s.calls(id)[0])}, "seconds, not a quarter of an hour")
		assert.NotEmpty(t, s.said(id, tocsin.EventNobody))
	})
}
