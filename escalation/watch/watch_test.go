package watch_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// bridge plays a watch in a synctest bubble, whose clock begins on Saturday
// 2000-01-01 00:00 UTC. Ana is on call until Monday 09:00, then bo.
type bridge struct {
	// person is what users may do; nil: everything.
	person func(name string) tocsin.Principal
	*testing.T
	path   string
	store  *bolt.Store
	engine *escalation.Engine
	watch  *watch.Watch
	plan   func(*watch.Schedule)
	// planned is the plan in force.
	planned watch.Plan
	group   *group
	stop    context.CancelFunc
	done    chan error
}

// group is a user group as Slack keeps it.
type group struct {
	mu      sync.Mutex
	members []string
	sets    int
	err     error
}

func (g *group) Members(context.Context) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.members), g.err
}

func (g *group) seen() (members []string, sets int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.members), g.sets
}

func (g *group) Set(_ context.Context, members []string) error {
	if len(members) == 0 {
		return errors.New("no_users_provided")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sets++
	g.members = slices.Clone(members)
	return g.err
}

func play(t *testing.T, plan func(*watch.Schedule), story func(h *bridge)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tocsin.db")
	synctest.Test(t, func(t *testing.T) {
		h := &bridge{T: t, path: path, plan: plan, group: &group{}}
		h.start()
		defer h.halt()
		story(h)
	})
}

func user(name string) escalation.User {
	c := []escalation.Contact{{By: "Slack", Target: escalation.Target{Key: "slack:@" + name, Detail: true}}}
	return escalation.User{Name: name, High: c, Low: c}
}

func (h *bridge) start() {
	h.Helper()
	var err error
	h.store, err = bolt.Open(h.path, bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(h, err)
	primary, err := oncall.New(oncall.Spec{Name: "primary", Layers: []oncall.Layer{{Name: "weekly", Rotation: &oncall.Rotation{
		Users: []string{"ana", "bo"}, Unit: oncall.Weeks, Length: 1, Start: oncall.Date{Year: 1999, Month: 12, Day: 27}, Handoff: 9 * 60,
	}}}})
	require.NoError(h, err)
	users := map[string]escalation.User{"ana": user("ana"), "bo": user("bo"), "cy": user("cy")}
	rules, err := escalation.NewRules(escalation.Spec{
		Users: users, Schedules: map[string]*oncall.Schedule{"primary": primary},
		Policies: []escalation.Policy{{
			Name: "platform", Steps: []escalation.Step{{To: []escalation.Recipient{{Schedule: "primary"}}}}, LastResort: []escalation.Recipient{{User: "cy"}},
		}},
	})
	require.NoError(h, err)
	h.engine, err = escalation.NewEngine(rules, escalation.Options{Store: h.store, Changed: func() {
		if h.watch != nil {
			h.watch.Changed()
		}
	}})
	require.NoError(h, err)
	s := watch.Schedule{Schedule: primary, Channel: escalation.Target{Key: "slack:#oncall", Detail: true}, Notify: true, Group: h.group}
	if h.plan != nil {
		h.plan(&s)
	}
	h.planned = watch.Plan{
		Schedules: []watch.Schedule{s}, Users: users, Slack: map[string]string{"ana": "U1", "bo": "U2", "cy": "U3"},
		Policies: rules.Policies(), Receivers: []string{"page"},
	}
	h.watch, err = watch.New(h.planned, watch.Options{Store: h.store, Roster: h.engine, Person: func(name string) tocsin.Principal {
		if h.person == nil {
			return tocsin.Principal{Name: name, Role: tocsin.RoleAdmin}
		}
		return h.person(name)
	}})
	require.NoError(h, err)
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	h.done = make(chan error, 1)
	go func() { h.done <- h.watch.Run(ctx) }()
	synctest.Wait()
}

func (h *bridge) halt() {
	h.Helper()
	h.stop()
	require.NoError(h, <-h.done)
	require.NoError(h, h.store.Close())
}

func (h *bridge) until(day, hour, minute int) {
	h.Helper()
	time.Sleep(time.Until(time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC)))
	synctest.Wait()
}

// told returns the notices, the oldest first: "slack:@ana Your shift …".
func (h *bridge) told() []string {
	h.Helper()
	list, err := h.store.List(context.Background(), tocsin.Filter{Notices: true, Archived: true, Limit: 1000})
	require.NoError(h, err)
	var out []string
	for _, inc := range list {
		require.Len(h, inc.Deliveries, 1)
		out = append(out, inc.Deliveries[0].Target+" "+inc.Title)
	}
	slices.Sort(out)
	return out
}

func (h *bridge) notice(prefix string) *tocsin.Incident {
	h.Helper()
	list, err := h.store.List(context.Background(), tocsin.Filter{Notices: true, Archived: true, Limit: 1000})
	require.NoError(h, err)
	for _, inc := range list {
		if strings.HasPrefix(inc.Title, prefix) {
			return inc
		}
	}
	require.Failf(h, "no such notice", "%s", prefix)
	return nil
}

func (h *bridge) onCall() string {
	h.Helper()
	now := time.Now()
	shifts, err := h.engine.Shifts(context.Background(), tocsin.ShiftQuery{Schedule: "primary", From: now, To: now})
	require.NoError(h, err)
	require.Len(h, shifts, 1, "exactly one person at a time")
	return shifts[0].User
}

func TestAChangeOfShiftIsToldOnce(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.until(3, 8, 59)
		assert.Empty(t, h.told())
		h.until(3, 9, 1)
		want := []string{
			"slack:#oncall bo takes over from ana on primary until Mon 10 Jan 09:00 UTC",
			"slack:@ana Your shift on primary is over",
			"slack:@bo You are on call on primary until Mon 10 Jan 09:00 UTC",
		}
		assert.Equal(t, want, h.told())
		h.halt()
		h.start()
		h.until(5, 0, 0)
		assert.Equal(t, want, h.told(), "a restart tells nothing twice")
		assert.Equal(t, "Nothing is open, and nothing is silenced.", h.notice("You are on call").Text)
	})
}

func TestAChangeDuringAPauseIsToldAfterIt(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.halt()
		h.until(3, 12, 0)
		h.start()
		assert.Len(t, h.told(), 3)
	})
}

func TestBrief(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		now := time.Now()
		require.NoError(t, h.store.Update(context.Background(), func(tx tocsin.Tx) error {
			for i, state := range []tocsin.State{tocsin.Triggered, tocsin.Acknowledged, tocsin.Acknowledged} {
				inc := &tocsin.Incident{
					ID: "k7f3q" + string(rune('1'+i)), State: state, Severity: tocsin.Critical, Title: "it burns", Receivers: []string{},
					OpenedAt: now, Revision: 1, StateRevision: 1, Kind: tocsin.KindManual, Runbook: "nodes#down",
				}
				if state == tocsin.Acknowledged {
					inc.AcknowledgedBy = "ana"
				}
				if i == 2 {
					inc.Escalation = &tocsin.Escalation{SnoozedUntil: now.Add(80 * time.Hour)}
				}
				tx.PutIncident(inc)
			}
			tx.PutSilence(tocsin.Silence{ID: "sssss1", Matchers: []string{`region="eu"`}, StartsAt: now, EndsAt: now.Add(100 * time.Hour), CreatedBy: "ana", Comment: "moving"})
			return nil
		}))
		h.until(3, 9, 1)
		assert.Equal(t, `Open and not taken:
  k7f3q1 critical it burns (for 2d), runbook nodes#down
Taken and not resolved:
  k7f3q2 critical it burns (for 2d), runbook nodes#down, taken by ana, nothing fires
Snoozes that end in this shift:
  k7f3q3 critical it burns (for 2d), runbook nodes#down, until Tue 08:00 UTC
Silences:
  region="eu" by ana until Wed 5 Jan 04:00 UTC: moving`, h.notice("bo takes over").Text)
	})
}

func TestChangesOfFutureShiftsAreTold(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.until(1, 12, 0)
		day := func(d, hour int) time.Time { return time.Date(2000, 1, d, hour, 0, 0, 0, time.UTC) }
		o, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy", From: day(5, 0), To: day(6, 0), CreatedBy: "bo"})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []string{"slack:@bo Your shifts on primary have changed", "slack:@cy Your shifts on primary have changed"}, h.told())
		h.until(2, 12, 0)
		assert.Len(t, h.told(), 2)
		_, err = h.engine.AnswerOverride(context.Background(), o.ID, "bo", tocsin.OverrideCancel)
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, h.told(), 4)
	})
}

func (h *bridge) groupIs(want []string, why ...any) {
	h.Helper()
	members, _ := h.group.seen()
	assert.Equal(h, want, members, why...)
}

func (h *bridge) setsAre(want int, why ...any) {
	h.Helper()
	_, sets := h.group.seen()
	assert.Equal(h, want, sets, why...)
}

func TestUserGroupFollowsAndIsNeverEmptied(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.groupIs([]string{"U1"})
		h.until(3, 9, 1)
		h.groupIs([]string{"U2"})
		now := time.Now()
		_, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "bo", From: now, To: now.Add(time.Hour), CreatedBy: "bo"})
		require.NoError(t, err)
		synctest.Wait()
		h.groupIs([]string{"U2"}, "in a gap those of before stay")
		h.setsAre(2)
		h.halt()
		h.start()
		h.setsAre(2, "what is right is not set again")
	})
}

func TestHandoffThatNobodyAcknowledgesIsSaid(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.AcknowledgeWithin = 30 * time.Minute }, func(h *bridge) {
		h.until(3, 9, 1)
		assert.Equal(t, "bo", h.onCall())
		inc := h.notice("You are on call")
		assert.Equal(t, tocsin.Triggered, inc.State)
		h.until(3, 9, 32)
		assert.Contains(t, h.told(), "slack:#oncall bo has NOT acknowledged the handoff, and is on call all the same")
		assert.Equal(t, tocsin.Resolved, h.notice("You are on call").State)
	})
}

func TestOutgoingStaysUntilTheIncomingAcknowledges(t *testing.T) {
	t.Parallel()
	stays := func(s *watch.Schedule) { s.AcknowledgeWithin, s.OutgoingStays = 30*time.Minute, true }
	play(t, stays, func(h *bridge) {
		h.until(3, 8, 59)
		assert.Equal(t, "ana", h.onCall())
		h.until(3, 9, 0)
		assert.Equal(t, "ana", h.onCall(), "no moment between")
		h.until(3, 9, 10)
		assert.Equal(t, "ana", h.onCall())
		require.NoError(t, h.engine.Act(context.Background(), h.notice("Your shift on primary begins").ID, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "bo"}))
		h.until(3, 9, 11)
		assert.Equal(t, "bo", h.onCall())
		assert.Contains(t, h.told(), "slack:#oncall bo has acknowledged the handoff")
		assert.Contains(t, h.told(), "slack:@bo You are on call on primary until Mon 10 Jan 09:00 UTC")
		told := len(h.told())
		h.until(5, 9, 0)
		assert.Len(t, h.told(), told, "and that is that")
	})
	play(t, stays, func(h *bridge) {
		h.until(3, 9, 29)
		assert.Equal(t, "ana", h.onCall())
		h.until(3, 9, 31)
		assert.Equal(t, "bo", h.onCall(), "the grace has passed")
	})
	play(t, stays, func(h *bridge) { // acknowledged before it begins
		h.until(3, 8, 59)
		require.NoError(t, h.engine.Act(context.Background(), h.notice("Your shift on primary begins").ID, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "bo"}))
		h.until(3, 9, 1)
		assert.Equal(t, "bo", h.onCall())
	})
}

func TestTheOutgoingOneCannotAcknowledgeTheHandoff(t *testing.T) {
	t.Parallel()
	play(t, func(s *watch.Schedule) { s.AcknowledgeWithin, s.OutgoingStays = 30*time.Minute, true }, func(h *bridge) {
		h.until(3, 9, 5)
		id := h.notice("Your shift on primary begins").ID
		require.NoError(t, h.engine.Act(context.Background(), id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"}))
		h.until(3, 9, 7)
		assert.Equal(t, "ana", h.onCall())
		assert.Equal(t, tocsin.Triggered, h.notice("Your shift on primary begins").State, "it still waits for bo")
		require.NoError(t, h.engine.Act(context.Background(), id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "bo"}))
		h.until(3, 9, 9)
		assert.Equal(t, "bo", h.onCall())
	})
}

func TestChangesAreToldAsTheyAre(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.until(1, 12, 0)
		from := time.Date(2000, 1, 5, 10, 0, 0, 0, time.UTC)
		o, err := h.engine.PutOverride(context.Background(), tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy", From: from, To: from.Add(2 * time.Hour), CreatedBy: "bo"})
		require.NoError(t, err)
		synctest.Wait()
		list, err := h.store.List(context.Background(), tocsin.Filter{Notices: true, Archived: true})
		require.NoError(t, err)
		texts := map[string]string{}
		for _, inc := range list {
			texts[inc.Deliveries[0].Target] = inc.Text
		}
		assert.Equal(t, map[string]string{
			"slack:@bo": "no longer: Wed 5 Jan 10:00 UTC to Wed 5 Jan 12:00 UTC (cy, override " + o.ID + ")",
			"slack:@cy": "new: Wed 5 Jan 10:00 UTC to Wed 5 Jan 12:00 UTC (override " + o.ID + ")",
		}, texts)
	})
}

func TestAGapIsToldAheadAndItsEndToo(t *testing.T) {
	t.Parallel()
	play(t, nil, func(h *bridge) {
		h.until(1, 12, 0)
		now := time.Now()
		o, err := h.engine.PutOverride(context.Background(), tocsin.Override{
			Kind: tocsin.OverrideTimeOff, User: "bo", From: now.Add(72 * time.Hour), To: now.Add(96 * time.Hour), CreatedBy: "bo",
		})
		require.NoError(t, err)
		synctest.Wait()
		list, err := h.store.List(context.Background(), tocsin.Filter{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		inc := list[0]
		assert.Equal(t, "policy platform will reach nobody from Tue 4 Jan 12:00 UTC", inc.Title)
		assert.Contains(t, inc.Text, "Tue 4 Jan 2000 12:00 UTC to Wed 5 Jan 2000 12:00 UTC")
		assert.Equal(t, tocsin.Triggered, inc.State)
		assert.Empty(t, inc.Receivers, "days ahead it is shown, and calls nobody")
		h.until(3, 12, 1)
		inc, err = h.store.Get(context.Background(), inc.ID)
		require.NoError(t, err)
		assert.Equal(t, []string{"page"}, inc.Receivers, "a day ahead people are called")
		_, err = h.engine.AnswerOverride(context.Background(), o.ID, "bo", tocsin.OverrideCancel)
		require.NoError(t, err)
		synctest.Wait()
		inc, err = h.store.Get(context.Background(), inc.ID)
		require.NoError(t, err)
		assert.Equal(t, tocsin.Resolved, inc.State)
	})
}
