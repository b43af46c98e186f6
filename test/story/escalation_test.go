package story

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// Fires at 03:00 on Sunday. The primary does not answer. At 03:15 the secondary
// is paged, and acknowledges. Nothing more.
func TestThePrimaryDoesNotAnswer(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(16 * time.Minute)
		s.acknowledges(id, "bo")
		s.until(6 * time.Hour)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email", "15m bo by Slack"}, s.calls(id))
		for _, name := range []string{"ana", "bo"} {
			require.Len(t, s.slack.Messages(slackID(name)), 1, name)
			assert.Positive(t, s.slack.Messages(slackID(name))[0].Edits, "the message follows")
			for _, r := range s.slack.Messages(slackID(name))[0].Replies {
				assert.False(t, r.Broadcast, "nobody is woken by it: %s", r.Text)
			}
		}
		pages := s.pagerduty.Incidents(everybody["ana"])
		require.Len(t, pages, 1)
		assert.Equal(t, "acknowledged", pages[0].Status, "ana's phone stops ringing")
		assert.Empty(t, s.pagerduty.Incidents(everybody["bo"]), "bo answered before it was her turn to ring")
		assert.Len(t, s.slack.Messages("#incidents"), 1)
		assert.Zero(t, s.store.Stats().Lagging)
		assert.Equal(t, tocsin.Acknowledged, s.get(id).State)
	})
}

// Slack has no room, and PagerDuty is slow: who answers meanwhile, by another
// way, has nobody called any more.
func TestAnswerStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		s.slack.Fault(slacktest.Fault{Status: http.StatusTooManyRequests, RetryAfter: slacktest.Seconds(30), Until: sunday.Add(20 * time.Minute)})
		id := s.opens("NodeDown", "critical")
		s.until(6 * time.Minute)
		assert.Equal(t, []string{"2m ana by PagerDuty", "5m ana by email"}, s.calls(id))
		s.acknowledges(id, "ana")
		assert.Contains(t, s.said(id, tocsin.EventStopped), "6m not called any more, unless it was on its way already: slack:@ana")
		s.until(2 * time.Hour)
		assert.Equal(t, []string{"2m ana by PagerDuty", "5m ana by email"}, s.calls(id), "nobody else, and Slack does not call late")
		assert.Len(t, s.slack.Messages("#incidents"), 1, "those who watch are told all the same")
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

// The acknowledgement comes while the call is on its way to the provider: it
// arrives, once, and is taken back.
func TestAnswerOvertakesACall(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		s.pagerduty.Fail(pagerdutytest.Fault{RoutingKey: everybody["ana"], Action: "trigger", Delay: 10 * time.Second, Times: 1})
		s.slack.Fault(slacktest.Fault{Method: "chat.postMessage", Channel: slackID("bo"), Delay: 8 * time.Second, Count: 1})
		id := s.opens("NodeDown", "critical")
		s.until(2*time.Minute + 5*time.Second)
		s.acknowledges(id, "cy")
		s.until(time.Hour)
		pages := s.pagerduty.Incidents(everybody["ana"])
		require.Len(t, pages, 1)
		assert.Equal(t, pagerdutytest.Acknowledged, pages[0].Status)
		assert.Equal(t, []string{"0s ana by Slack", "2m10s ana by PagerDuty"}, s.calls(id))

		second := s.opens("DiskFull", "critical")
		s.until(15*time.Minute + 4*time.Second)
		s.acknowledges(second, "ana")
		s.until(time.Hour)
		require.Len(t, s.calls(second), 4, "%v", s.calls(second))
		assert.Equal(t, "bo by Slack", afterTime(s.calls(second)[3]))
		assert.Equal(t, 1, s.slack.Messages(slackID("bo"))[0].Edits, "and says who has it")
		assert.Zero(t, s.store.Stats().Lagging)
	})
}

func TestNobodyOnCallGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		_, err := s.engine.PutOverride(context.Background(), tocsin.Override{
			Kind: tocsin.OverrideTimeOff, User: "ana", From: sunday, To: sunday.Add(48 * time.Hour), CreatedBy: "ana",
		})
		require.NoError(t, err)
		id := s.opens("NodeDown", "critical")
		assert.Equal(t, []string{"0s bo by Slack"}, s.calls(id), "the secondary, without a wait")
		require.Len(t, s.said(id, tocsin.EventNobody), 1)
		assert.Contains(t, s.said(id, tocsin.EventNobody)[0], "nobody is on call on schedule primary")
		s.until(16 * time.Minute)
		assert.Equal(t, []string{
			"0s bo by Slack", "2m bo by PagerDuty", "5m bo by email", "15m cy by Slack", "15m dan by Slack",
		}, s.calls(id))
	})
}

// Nobody answers at all: the boss, by every way at once, until somebody does.
func TestLastResortIsLoud(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(66 * time.Minute)
		s.acknowledges(id, "boss")
		s.until(6 * time.Hour)
		assert.Equal(t, []string{
			"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email",
			"15m bo by Slack", "17m bo by PagerDuty", "20m bo by email",
			"30m cy by Slack", "30m dan by Slack", "32m cy by PagerDuty", "32m dan by PagerDuty", "35m cy by email", "35m dan by email",
			"45m boss by email", "45m boss by Slack", "45m boss by PagerDuty",
			"55m boss by email again", "55m boss by Slack again", "55m boss by PagerDuty again",
			"1h5m boss by email again", "1h5m boss by Slack again", "1h5m boss by PagerDuty again",
		}, s.calls(id))
		broadcasts := 0
		for _, r := range s.slack.Messages("#incidents")[0].Replies {
			if r.Broadcast {
				broadcasts++
			}
		}
		assert.Equal(t, 3, broadcasts, "the channel hears of the last resort each time")
		assert.Len(t, s.pagerduty.Incidents(everybody["boss"]), 1, "one incident, however often it is called")
	})
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) { spec.Policies[0].Repeat = 1 })
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(46 * time.Minute)
		calls := s.calls(id)
		assert.Equal(t, "45m ana by Slack again", calls[len(calls)-1])
		s.until(91 * time.Minute)
		for name, key := range everybody {
			assert.LessOrEqual(t, len(s.pagerduty.Incidents(key)), 1, name)
		}
		calls = s.calls(id)
		assert.Contains(t, calls, "1h0m bo by Slack again")
		assert.Contains(t, calls, "1h30m boss by PagerDuty")
		assert.Len(t, calls, 12+12+3)
	})
}

func quiet(spec *escalation.Spec) {
	ana := spec.Users["ana"]
	ana.Zone, ana.Quiet = "Europe/Madrid", []oncall.Window{{From: 22 * 60, To: 7 * 60}}
	spec.Users["ana"] = ana
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	play(t, watched(quiet), func(t *testing.T, s *service) {
		loud, soft := s.opens("NodeDown", "critical"), s.opens("Slow", "warning")
		s.until(14 * time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email"}, s.calls(loud), "urgency wakes")
		assert.Empty(t, s.calls(soft))
		s.acknowledges(loud, "ana")
		s.until(16 * time.Minute)
		assert.Empty(t, s.calls(soft), "what waits for ana's morning wakes nobody else")
		other := s.opens("Slower", "warning")
		s.acknowledges(s.opens("Slowest", "critical"), "ana")
		s.until(time.Minute)
		s.acts(other, tocsin.Action{Kind: tocsin.ActSeverity, By: "bo", Severity: tocsin.Critical})
		s.pass(time.Second)
		assert.Equal(t, []string{"1m ana by Slack"}, s.calls(other), "raised, it does not wait for the morning")
	})
}

// What is not urgent calls at the end of the quiet hours.
func TestLowUrgencyInTheMorning(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		quiet(spec)
		spec.Policies[0].Steps = spec.Policies[0].Steps[:1]
		spec.Policies[0].RepeatAfter = 24 * time.Hour
	})
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("Slow", "warning")
		s.until(5 * time.Hour)
		assert.Equal(t, []string{"3h0m ana by Slack"}, s.calls(id), "07:00 in Madrid is 06:00 UTC")
	})
}

func TestAcknowledgementTimesOut(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		spec.Policies[0].RemindAfter, spec.Policies[0].ReturnAfter = 45*time.Minute, time.Hour
	})
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(time.Minute)
		s.acknowledges(id, "ana")
		s.until(50 * time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "46m ana by Slack again"}, s.calls(id), "reminded")
		s.acknowledges(id, "ana")
		s.until(80 * time.Minute)
		assert.Equal(t, tocsin.Acknowledged, s.get(id).State, "renewed")
		s.until(111 * time.Minute)
		assert.Equal(t, tocsin.Triggered, s.get(id).State)
		assert.Equal(t, []string{"0s ana by Slack", "46m ana by Slack again", "1h35m ana by Slack again", "1h50m bo by Slack"}, s.calls(id), "goes on where it was")
	})
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(3 * time.Minute)
		s.acts(id, tocsin.Action{Kind: tocsin.ActSnooze, By: "ana", Until: sunday.Add(4 * time.Hour)})
		s.until(4*time.Hour - time.Second)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty"}, s.calls(id))
		s.until(4*time.Hour + 3*time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty", "4h0m ana by Slack again", "4h2m ana by PagerDuty"}, s.calls(id))
		assert.Len(t, s.ringing("ana"), 1, "what was acknowledged there was ended first: it would not have rung")
	})
}

func TestEverybodyMustAnswer(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		spec.Policies[0].Steps = []escalation.Step{{To: []escalation.Recipient{{Team: "leads"}}, AllMustAcknowledge: true}}
	})
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(time.Minute)
		s.acknowledges(id, "cy")
		s.until(6 * time.Minute)
		assert.Equal(t, tocsin.Triggered, s.get(id).State)
		assert.Equal(t, []string{"0s cy by Slack", "0s dan by Slack", "2m dan by PagerDuty", "5m dan by email"}, s.calls(id), "cy is left alone")
		s.acknowledges(id, "dan")
		s.until(time.Hour)
		assert.Equal(t, tocsin.Acknowledged, s.get(id).State)
		assert.Len(t, s.calls(id), 4)
	})
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		spec.Policies[0].Steps[0] = escalation.Step{To: []escalation.Recipient{{Team: "leads"}, {User: "eve"}}, RoundRobin: true}
	})
	play(t, o, func(t *testing.T, s *service) {
		for _, name := range []string{"cy", "dan", "eve", "cy"} {
			id := s.opens("Job "+name+time.Now().String(), "critical")
			assert.Equal(t, []string{"0s " + name + " by Slack"}, s.calls(id))
			s.acknowledges(id, name)
			s.restart() // whose turn it is outlives the process
			s.pass(time.Minute)
		}
	})
}

// A shadow learns: gets a copy, is not waited for, and stops nothing.
func TestShadow(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		rota := oncall.Rotation{Users: []string{"ana"}, Unit: oncall.Weeks, Length: 1, Start: oncall.Date{Year: 2026, Month: 1, Day: 5}}
		learn := rota
		learn.Users = []string{"eve"}
		spec.Schedules["primary"] = schedule(t, "primary", time.UTC, oncall.Layer{Name: "weekly", Rotation: &rota}, oncall.Layer{Name: "learn", Rotation: &learn, Shadow: true})
		spec.Schedules["secondary"] = schedule(t, "secondary", time.UTC,
			oncall.Layer{Name: "weekdays", Rotation: &rota, Windows: []oncall.Window{{Days: 1 << time.Monday}}},
			oncall.Layer{Name: "learn", Rotation: &learn, Shadow: true})
	})
	play(t, o, func(t *testing.T, s *service) {
		s.slack.Fault(slacktest.Fault{Channel: slackID("eve"), Status: http.StatusInternalServerError})
		id := s.opens("NodeDown", "critical")
		s.until(16 * time.Minute)
		assert.Equal(t, []string{
			"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email", "15m cy by Slack", "15m dan by Slack",
		}, s.calls(id), "a schedule with a shadow alone has nobody on call, and a shadow who cannot be told holds up nothing")
		s.slack.ClearFaults()
		s.acknowledges(id, "cy")
		s.pass(2 * time.Minute) // a target that failed is left alone for a while
		second := s.opens("DiskFull", "critical")
		s.until(10 * time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "0s eve by Slack", "2m ana by PagerDuty", "5m ana by email"}, s.calls(second))
		assert.Nil(t, s.get(second).Escalation.Responder("eve"))
	})
}

// Who is on call is asked when a step is taken; what the policy says is not.
func TestOverrideAndPolicyInTheMiddle(t *testing.T) {
	t.Parallel()
	play(t, watched(nil), func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(10 * time.Minute)
		_, err := s.engine.PutOverride(context.Background(), tocsin.Override{
			Kind: tocsin.OverrideReplace, Schedule: "secondary", User: "eve", From: time.Now(), To: time.Now().Add(time.Hour), CreatedBy: "bo",
		})
		require.NoError(t, err)
		changed := s.spec()
		changed.Policies[0].Steps = []escalation.Step{{To: []escalation.Recipient{{User: "boss"}}}}
		rules, err := escalation.NewRules(changed)
		require.NoError(t, err)
		s.engine.SetRules(rules)
		s.until(31 * time.Minute)
		assert.Equal(t, []string{
			"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email",
			"15m eve by Slack", "17m eve by PagerDuty", "20m eve by email", "30m cy by Slack", "30m dan by Slack",
		}, s.calls(id))
		s.acknowledges(id, "cy")
		assert.Equal(t, []string{"0s boss by Slack"}, s.calls(s.opens("DiskFull", "critical")), "the next incident follows the new policy")
	})
}

// Fires five minutes before the handoff: the one who was on call is called
// first, and each step asks who is on call then.
func TestHandoffInTheMiddle(t *testing.T) {
	t.Parallel()
	o := watched(func(spec *escalation.Spec) {
		spec.Policies[0].Steps[1].To = []escalation.Recipient{{Schedule: "primary"}}
	})
	o.at = time.Date(2026, 3, 2, 8, 55, 0, 0, time.UTC)
	o.plan = func(p *watch.Plan) {
		for i := range p.Schedules {
			if p.Schedules[i].Name() == "primary" {
				p.Schedules[i].Notify, p.Schedules[i].Channel = true, escalation.Target{Key: "slack:#chat", Detail: true}
			}
		}
	}
	play(t, o, func(t *testing.T, s *service) {
		id := s.opens("NodeDown", "critical")
		s.until(16 * time.Minute)
		assert.Equal(t, []string{"0s ana by Slack", "2m ana by PagerDuty", "5m ana by email", "15m bo by Slack"}, s.calls(id))
		require.NotEmpty(t, s.slack.Messages("#chat"), "the channel hears of the handoff")
		brief := s.slack.Messages("#chat")[0]
		assert.Contains(t, brief.Text+string(brief.Blocks)+string(brief.Attachments), id, "with what is open")
		assert.Len(t, s.slack.Messages(slackID("bo")), 2, "bo hears that the shift has begun, and is called")
	})
}
