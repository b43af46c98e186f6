package watch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
)

// replan starts the watch anew with another plan.
func (h *bridge) replan(change func(*watch.Plan)) {
	h.Helper()
	p := h.planned
	change(&p)
	h.planned = p
	h.watch.SetPlan(p)
	synctest.Wait()
}

func (h *bridge) override(user string, from, to time.Time) tocsin.Override {
	h.Helper()
	o, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: user, From: from, To: to, CreatedBy: user})
	require.NoError(h, err)
	synctest.Wait()
	return o
}

func day(d, hour, minute int) time.Time { return time.Date(2000, 1, d, hour, minute, 0, 0, time.UTC) }

// rota is a schedule of one person.
func rota(t testing.TB, user string) *oncall.Schedule {
	t.Helper()
	s, err := oncall.New(oncall.Spec{Name: "primary", Layers: []oncall.Layer{{Name: "feed", Spans: []oncall.Span{
		{User: "ana", From: day(1, 0, 0), To: day(20, 0, 0)}, {User: user, From: day(20, 0, 0), To: day(50, 0, 0)},
	}}}})
	require.NoError(t, err)
	return s
}

func TestAFeedThatFlapsTellsNobodyAgainAndAgain(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		says := func(user string) {
			h.replan(func(p *watch.Plan) {
				s := p.Schedules[0]
				s.Schedule = rota(t, user)
				p.Schedules = []watch.Schedule{s}
			})
		}
		says("bo")
		begun := len(h.told())
		for range 144 { // a day
			says("cy")
			time.Sleep(5 * time.Minute)
			says("bo")
			time.Sleep(5 * time.Minute)
		}
		news := 0
		for _, line := range h.told()[begun:] {
			if strings.HasPrefix(line, "slack:@cy Your shifts on primary have changed") {
				news++
			}
		}
		assert.LessOrEqual(t, news, 12, "288 changes in a day")
		says("cy")
		time.Sleep(7 * time.Hour)
		before := len(h.told())
		time.Sleep(48 * time.Hour)
		says("bo")
		assert.Len(t, h.told(), before+2, "what they know is what is so, and after a quiet time they are told at once")
	})
}

func TestATurnThatFlapsIsToldAFewTimes(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		for range 30 {
			now := time.Now()
			h.override("cy", now, now.Add(time.Minute))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
		}
		n := 0
		for _, line := range h.told() {
			if strings.HasPrefix(line, "slack:#oncall") {
				n++
			}
		}
		assert.LessOrEqual(t, n, 8, "sixty turns in an hour")
		assert.GreaterOrEqual(t, n, 4)
		h.until(3, 9, 1)
		assert.Contains(t, strings.Join(h.told(), "\n"), "slack:#oncall bo takes over from ana on primary until Mon 10 Jan 09:00 UTC")
	})
}

func TestTwoHandoffsWithinTheTimeForOne(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.AcknowledgeWithin = 30 * time.Minute }, func(h *bridge) {
		h.until(3, 9, 1)
		first := h.notice("You are on call").ID
		h.until(3, 9, 10)
		h.override("cy", time.Now(), day(3, 20, 0))
		inc, err := h.store.Get(context.Background(), first)
		require.NoError(t, err)
		assert.Equal(t, tocsin.Resolved, inc.State, "nobody waits for bo any more")
		h.until(3, 9, 45)
		assert.Contains(t, h.told(), "slack:#oncall cy has NOT acknowledged the handoff, and is on call all the same")
		assert.NotContains(t, h.told(), "slack:#oncall bo has NOT acknowledged the handoff, and is on call all the same")
		for _, inc := range h.open() {
			assert.NotEqual(t, tocsin.KindNotice, inc.Kind, "%s", inc.Title)
		}
	})
}

// open are the live incidents that are not resolved, notices too.
func (h *bridge) open() []*tocsin.Incident {
	var out []*tocsin.Incident
	h.store.Live(func(inc *tocsin.Incident) bool {
		if inc.Open() {
			out = append(out, inc)
		}
		return true
	})
	return out
}

func TestAHandoffThatIsAcknowledgedAndResolvedIsAcknowledged(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.AcknowledgeWithin = 30 * time.Minute }, func(h *bridge) {
		h.until(3, 9, 1)
		id := h.notice("You are on call").ID
		for _, kind := range []tocsin.ActionKind{tocsin.ActAcknowledge, tocsin.ActResolve} {
			require.NoError(t, h.engine.Act(context.Background(), id, tocsin.Action{Kind: kind, By: "bo"}))
		}
		h.until(3, 9, 45)
		assert.Contains(t, h.told(), "slack:#oncall bo has acknowledged the handoff")
	})
}

func TestHandoffToSomebodyWhoCannotBeAsked(t *testing.T) {
	t.Parallel()
	stays := func(s *watch.Schedule) { s.AcknowledgeWithin, s.OutgoingStays = 30*time.Minute, true }
	play(t, stays, func(h *bridge) {
		h.replan(func(p *watch.Plan) {
			p.Users = map[string]escalation.User{"ana": user("ana"), "bo": {Name: "bo"}, "cy": user("cy")}
		})
		h.until(3, 9, 10)
		assert.Equal(t, "ana", h.onCall())
		h.until(3, 9, 31)
		assert.Equal(t, "bo", h.onCall())
		h.until(10, 8, 59)
		assert.NotNil(t, h.notice("Your shift on primary begins at Mon 10 Jan"), "the next handoff is asked for as ever")
	})
}

func TestNoticesGoWhereTheyCanBeRead(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) {
		s.AcknowledgeWithin, s.Notify, s.Channel = 30*time.Minute, false, escalation.Target{}
	}, func(h *bridge) {
		h.replan(func(p *watch.Plan) {
			bo := user("bo")
			bo.Low = []escalation.Contact{{By: "PagerDuty", Target: escalation.Target{Key: "pagerduty:@bo"}}}
			p.Users = map[string]escalation.User{"ana": user("ana"), "bo": bo, "cy": user("cy")}
		})
		h.until(3, 9, 1)
		assert.Equal(t, "slack:@bo", h.notice("You are on call").Deliveries[0].Target, "PagerDuty has no notices; and who is to acknowledge is asked")
		h.until(3, 10, 0)
		for _, line := range h.told() {
			assert.NotContains(t, line, " has NOT acknowledged", "there is no channel to say it in")
		}
	})
}

func TestOneBadDocumentStopsNoSchedule(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			tx.PutDocument("watch", "other", []byte(`"what is this?"`))
			return nil
		}))
		h.until(3, 9, 1)
		assert.Len(t, h.told(), 3)
	})
}

// strike is a roster that makes no overrides.
type strike struct{ watch.Roster }

func (s strike) PutOverride(context.Context, tocsin.Override) (tocsin.Override, error) {
	return tocsin.Override{}, errors.New("no room")
}

func TestAnOverrideThatCannotBeMadeStopsNoNotices(t *testing.T) {
	t.Parallel()
	stays := func(s *watch.Schedule) { s.AcknowledgeWithin, s.OutgoingStays = 30*time.Minute, true }
	play(t, stays, func(h *bridge) {
		w, err := watch.New(h.planned, watch.Options{Store: h.store, Roster: strike{h.engine}})
		require.NoError(t, err)
		h.stop()
		require.NoError(t, <-h.done)
		ctx, stop := context.WithCancel(context.Background())
		h.stop = stop
		go func() { h.done <- w.Run(ctx) }()
		h.until(3, 9, 1)
		assert.Len(t, h.told(), 3)
	})
}

func TestAScheduleThatIsRemovedIsForgotten(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.AcknowledgeWithin = 30 * time.Minute }, func(h *bridge) {
		h.until(3, 9, 1)
		was := h.planned.Schedules
		h.replan(func(p *watch.Plan) { p.Schedules = nil })
		for _, inc := range h.open() {
			assert.NotEqual(t, tocsin.KindNotice, inc.Kind, "nobody waits for an acknowledgement any more")
		}
		told := len(h.told())
		h.until(12, 0, 0)
		h.replan(func(p *watch.Plan) { p.Schedules = was })
		assert.Len(t, h.told(), told, "and when it comes back, nobody is told of old shifts")
	})
}

func TestCoverageFollowsItsPolicyAndReceivers(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.gap()
		require.Len(t, h.open(), 1)
		h.until(3, 12, 0)
		h.replan(func(p *watch.Plan) { p.Receivers = []string{"others"} })
		assert.Equal(t, []string{"others"}, h.open()[0].Receivers)
		h.replan(func(p *watch.Plan) { p.Policies = nil })
		assert.Empty(t, h.open(), "the policy is gone, and its gaps with it")
	})
}

// gap has bo away for a day of her shift.
func (h *bridge) gap() tocsin.Override {
	h.Helper()
	o, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "bo", From: day(4, 0, 0), To: day(5, 0, 0), CreatedBy: "bo"})
	require.NoError(h, err)
	synctest.Wait()
	return o
}

func TestCoverageThatFlapsIsOneIncident(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		for range 20 {
			o := h.gap()
			time.Sleep(time.Minute)
			_, err := h.engine.AnswerOverride(context.Background(), o.ID, "bo", tocsin.OverrideCancel)
			require.NoError(t, err)
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		open := h.open()
		require.Len(t, open, 1)
		assert.LessOrEqual(t, open[0].Reopened, uint32(2), "people are paged about it a few times, not twenty")
		time.Sleep(3 * time.Hour)
		assert.Empty(t, h.open(), "and it ends when it has held for a while")
	})
}

// stuck is a user group of a Slack that does not answer.
type stuck struct{}

func (g stuck) Members(ctx context.Context) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (g stuck) Set(context.Context, []string) error { return nil }

func TestASlackThatDoesNotAnswerHoldsNoShiftUp(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.Group = stuck{} }, func(h *bridge) {
		h.until(3, 9, 0)
		time.Sleep(2 * time.Minute)
		assert.Len(t, h.told(), 3, fmt.Sprint(h.told()))
	})
}
