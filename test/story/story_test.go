package story

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestOnePageFromFiringToResolved(t *testing.T) {
	play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
		a := alert("NodeDown", 1, "critical")
		s.send(fires(a))
		s.pass(time.Second)
		messages := s.slack.Messages("#incidents")
		require.Len(t, messages, 1)
		require.Len(t, s.pagerduty.Incidents(routingKey), 1)

		s.send(fires(a), fires(a))
		s.pass(4 * time.Hour)
		assert.Equal(t, 1, s.slack.Calls(""), "repeats are seen by nobody")

		s.acknowledges(s.only().ID, "ana")
		s.pass(5 * time.Second)
		assert.Equal(t, "acknowledged", s.pagerduty.Incidents(routingKey)[0].Status)
		s.send(ends(a))
		s.pass(5 * time.Second)
		messages = s.slack.Messages("#incidents")
		require.Len(t, messages, 1, "one message, updated in place")
		assert.Equal(t, 2, messages[0].Edits)
		require.NotEmpty(t, messages[0].Replies, "the history is in the thread")
		assert.Contains(t, messages[0].Replies[0].Text, "ana")
		pages := s.pagerduty.Incidents(routingKey)
		require.Len(t, pages, 1)
		assert.Equal(t, "resolved", pages[0].Status)
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

func TestSlack429ForFiveMinutes(t *testing.T) {
	for name, header := range map[string]*int{"with Retry-After": slacktest.Seconds(30), "without": nil} {
		t.Run(name, func(t *testing.T) {
			play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
				s.slack.Fault(slacktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: header, Until: time.Now().Add(5 * time.Minute)})
				s.send(fires(alert("Slow", 1, "critical")))
				s.send(fires(alert("NodeDown", 2, "critical")))
				s.pass(3 * time.Second)
				assert.Len(t, s.pagerduty.Incidents(routingKey), 2, "PagerDuty does not wait for Slack")
				s.pass(10 * time.Minute)
				assert.Len(t, s.slack.Messages("#incidents"), 2)
				assert.Zero(t, s.store.Stats().Lagging)
				var last time.Time
				for _, r := range s.slack.Requests() {
					if r.Status == http.StatusTooManyRequests && !last.IsZero() {
						assert.GreaterOrEqual(t, r.At.Sub(last), 30*time.Second, "no call before the pause is over")
					}
					last = r.At
				}
			})
		})
	}
}

func TestSlackDownForTenMinutesShowsTheFinalState(t *testing.T) {
	play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
		s.slack.Fault(slacktest.Fault{Status: http.StatusServiceUnavailable, Until: time.Now().Add(10 * time.Minute)})
		for n := range 50 {
			s.send(fires(alert("NodeDown", n, "critical")))
		}
		for _, inc := range s.live() {
			s.acknowledges(inc.ID, "ana")
			s.acknowledges(inc.ID, "bo")
		}
		s.pass(time.Minute)
		for n := range 50 {
			s.send(ends(alert("NodeDown", n, "critical")))
		}
		s.pass(9 * time.Minute)
		down := s.slack.Calls("")
		assert.LessOrEqual(t, down, 40, "a dead provider is asked now and then, not by every incident")
		s.pass(10 * time.Minute)
		assert.LessOrEqual(t, s.slack.Calls("chat.postMessage")-down, 50)
		for _, r := range s.slack.Requests() {
			assert.NotEqual(t, http.StatusTooManyRequests, r.Status, "%s at %s", r.Method, r.At)
		}
		assert.Zero(t, s.store.Stats().Lagging)
		lines := shownLines(s.slack.Messages("#incidents"))
		for _, inc := range s.live() {
			assert.Equal(t, tocsin.Resolved, inc.State)
			shown := lines[inc.ID]
			require.NotEmpty(t, shown, "%s is told of", inc.ID)
			for _, line := range shown {
				assert.Contains(t, line, "✅", "%s shows its final state", inc.ID)
			}
		}
		for _, p := range s.pagerduty.Incidents(routingKey) {
			assert.Equal(t, "resolved", p.Status)
		}
	})
}

// shownLines are what a channel shows of each incident: its message, or its line
// in a digest.
func shownLines(messages []slacktest.Message) map[string][]string {
	out := map[string][]string{}
	for _, m := range messages {
		text := strings.ReplaceAll(m.Text+"\n"+string(m.Blocks), `\n`, "\n")
		if ids := incidentID.FindAllStringSubmatch(string(m.Attachments), -1); len(ids) > 0 {
			out[ids[0][1]] = append(out[ids[0][1]], text)
			continue
		}
		for line := range strings.SplitSeq(text, "\n") {
			for _, id := range incidentID.FindAllStringSubmatch(line, -1) {
				out[id[1]] = append(out[id[1]], line)
			}
		}
	}
	return out
}

var incidentID = regexp.MustCompile("`([a-z0-9]{6})`")

func TestAnswerLostAfterSlackAccepted(t *testing.T) {
	for _, lookup := range []bool{true, false} {
		name := map[bool]string{true: "look-up on", false: "look-up off"}[lookup]
		t.Run(name, func(t *testing.T) {
			play(t, options{lookup: lookup}, func(t *testing.T, s *service) {
				s.slack.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: true, Count: 20})
				for n := range 20 {
					s.send(fires(alert("NodeDown", n, "critical")))
				}
				s.pass(10 * time.Minute)
				posted := len(s.slack.Messages("#incidents"))
				if lookup {
					assert.Equal(t, 20, posted, "nothing twice")
				} else {
					assert.LessOrEqual(t, posted, 40, "at most once more each")
				}
				assert.Zero(t, s.store.Stats().Lagging)
			})
		})
	}
}

func TestPagerDutyDownForTenMinutes(t *testing.T) {
	play(t, options{}, func(t *testing.T, s *service) {
		s.pagerduty.Fail(pagerdutytest.Fault{Status: http.StatusInternalServerError, Until: time.Now().Add(10 * time.Minute)})
		over, lasting := alert("NodeDown", 1, "critical"), alert("NodeDown", 2, "critical")
		s.send(fires(over), fires(lasting))
		s.pass(time.Second)
		assert.Len(t, s.slack.Messages("#incidents"), 2, "Slack does not wait for PagerDuty")
		s.pass(2 * time.Minute)
		s.send(ends(over))
		s.pass(20 * time.Minute)
		open := 0
		for _, p := range s.pagerduty.Incidents(routingKey) {
			if p.Status == "triggered" {
				open++
			}
		}
		assert.Equal(t, 1, open, "the lasting one is paged, the other leaves no orphan")
		assert.LessOrEqual(t, s.pagerduty.Stats().Failed, 30)
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

func TestPermanentFailureIsSaidAndAlarmed(t *testing.T) {
	play(t, options{alarm: true}, func(t *testing.T, s *service) {
		s.pagerduty.Fail(pagerdutytest.Fault{Status: http.StatusBadRequest})
		s.send(fires(alert("NodeDown", 1, "critical")))
		s.pass(15 * time.Second)
		d := s.only().Delivery("pagerduty:page/0")
		assert.True(t, d.Failed)
		assert.NotEmpty(t, d.Error)
		assert.Equal(t, 1, s.pagerduty.Stats().Calls, "not tried again")
		assert.Len(t, s.slack.Messages("#last-resort"), 1, "somebody else is told")
	})
}

func TestProviderDeadForLongAlarmsOnAnotherChannel(t *testing.T) {
	play(t, options{alarm: true}, func(t *testing.T, s *service) {
		s.pagerduty.Fail(pagerdutytest.Fault{BlackHole: true})
		s.send(fires(alert("NodeDown", 1, "critical")))
		s.pass(4 * time.Minute)
		assert.Empty(t, s.slack.Messages("#last-resort"))
		s.pass(2 * time.Minute)
		assert.Len(t, s.slack.Messages("#last-resort"), 1)
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		s.pass(time.Hour)
		assert.Len(t, s.slack.Messages("#last-resort"), 1, "once")
		s.pagerduty.Clear()
		s.pass(2 * time.Minute)
		assert.Len(t, s.pagerduty.Incidents(routingKey), 1, "and it is still delivered when the provider is back")
	})
}

func TestStormIsToldAsDigestCriticalFirst(t *testing.T) {
	play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
		for n := range 300 {
			s.send(fires(alert("Slow", n, "warning")))
		}
		s.pass(30 * time.Second)
		assert.LessOrEqual(t, s.slack.Calls("chat.postMessage"), 12, "not one by one")
		assert.Zero(t, s.store.Stats().Lagging)
		told := ""
		for _, m := range s.slack.Messages("#chat") {
			told += m.Text + string(m.Blocks) + string(m.Attachments)
		}
		for _, inc := range s.live() {
			assert.Contains(t, told, inc.ID, "every incident is named")
		}
		messages := len(s.slack.Messages("#chat"))
		for n := range 300 {
			s.send(ends(alert("Slow", n, "warning")))
		}
		s.pass(2 * time.Minute)
		assert.Len(t, s.slack.Messages("#chat"), messages, "the digests are updated in place")
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

// While the store is full, receipts cannot be saved: what was posted is not
// posted again, neither single messages nor digests.
func TestFullStorePostsNothingTwice(t *testing.T) {
	play(t, options{slackRate: 1, lookup: true}, func(t *testing.T, s *service) {
		s.send(fires(alert("NodeDown", 1, "critical")))
		for n := range 30 {
			s.send(fires(alert("Slow", n, "warning")))
		}
		s.full.Store(true)
		s.pass(2 * time.Minute)
		s.full.Store(false)
		s.pass(2 * time.Minute)
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		told := ""
		for _, m := range append(s.slack.Messages("#chat"), s.slack.Messages("#incidents")...) {
			told += m.Text + string(m.Blocks) + string(m.Attachments)
		}
		for _, inc := range s.live() {
			assert.Contains(t, told, inc.ID)
		}
		assert.LessOrEqual(t, len(s.slack.Messages("#chat")), 3)
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

func TestCriticalGoesBeforeTheRest(t *testing.T) {
	play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
		s.slack.Fault(slacktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(30), Until: time.Now().Add(time.Minute)})
		for n := range 3 {
			s.send(fires(alert("Slow", n, "warning")))
		}
		s.send(fires(alert("NodeDown", 9, "critical")))
		s.pass(5 * time.Minute)
		require.Len(t, s.slack.Messages("#incidents"), 1)
		require.Len(t, s.slack.Messages("#chat"), 3)
		assert.Less(t, s.slack.Messages("#incidents")[0].TS, s.slack.Messages("#chat")[2].TS)
	})
}

// A reload may take away a target that still has to be told: that is a failure,
// said and alarmed about, and it holds up nobody.
func TestTargetThatIsGoneIsSaid(t *testing.T) {
	play(t, options{alarm: true}, func(t *testing.T, s *service) {
		var rest []notifiers.Target
		for _, target := range s.targets() {
			if target.Key != "pagerduty:page/0" {
				rest = append(rest, target)
			}
		}
		require.NoError(t, s.dispatcher.SetTargets(context.Background(), rest))
		s.send(fires(alert("NodeDown", 1, "critical")))
		s.pass(15 * time.Second)
		d := s.only().Delivery("pagerduty:page/0")
		assert.True(t, d.Failed)
		assert.Contains(t, d.Error, "no such target any more")
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		assert.Len(t, s.slack.Messages("#last-resort"), 1)
	})
}

func TestRestartPostsNothingTwice(t *testing.T) {
	play(t, options{lookup: true}, func(t *testing.T, s *service) {
		s.slack.Fault(slacktest.Fault{Method: "chat.postMessage", DropAfter: true, Count: 1})
		s.send(fires(alert("NodeDown", 1, "critical")))
		s.pass(100 * time.Millisecond)
		require.Len(t, s.slack.Messages("#incidents"), 1)
		require.Empty(t, s.only().Delivery("slack:#incidents").Ref, "posted, but nobody here knows")
		s.restart()
		s.pass(time.Minute)
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		assert.NotEmpty(t, s.only().Delivery("slack:#incidents").Ref)
		s.send(ends(alert("NodeDown", 1, "critical")))
		s.pass(time.Minute)
		m := s.slack.Messages("#incidents")
		require.Len(t, m, 1)
		assert.Positive(t, m[0].Edits)
	})
}

func TestFlappingForAnHourPagesAFewTimes(t *testing.T) {
	play(t, options{slackRate: 1}, func(t *testing.T, s *service) {
		a := alert("NodeDown", 1, "critical")
		for range 720 {
			s.send(fires(a))
			s.pass(2500 * time.Millisecond)
			s.send(ends(a))
			s.pass(2500 * time.Millisecond)
		}
		s.pass(30 * time.Minute)
		assert.LessOrEqual(t, len(s.pagerduty.Incidents(routingKey)), 3, "pages are capped")
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		assert.LessOrEqual(t, len(s.slack.Messages("#incidents")[0].Replies), 30)
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

func TestHostileTextDoesNothing(t *testing.T) {
	play(t, options{}, func(t *testing.T, s *service) {
		a := alert("NodeDown", 1, "critical")
		a.Labels["instance"] = "<!channel> <https://evil.example|click> ```"
		a.Annotations["summary"] = "@here <@U0ANA> *bold* \u202e" + strings.Repeat("x", 5000)
		s.send(fires(a))
		s.pass(time.Second)
		m := s.slack.Messages("#incidents")
		require.Len(t, m, 1)
		assert.Empty(t, m[0].See().Mentions)
		assert.NotContains(t, m[0].See().Links, "https://evil.example")
	})
}
