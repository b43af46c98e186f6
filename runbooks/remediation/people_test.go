package remediation_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

func approvers(names ...string) func(*remediation.Spec) {
	return func(s *remediation.Spec) { s.Approvers = names }
}

func twoPerson(s *remediation.Spec) { s.TwoPerson = true }

func TestApproveAsksFirst(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		id := s.burn("node-3")
		r := s.one(id)
		assert.Equal(s, tocsin.RemediationProposed, r.State)
		assert.Equal(s, 1, r.Needs)
		assert.Equal(s, 15*time.Minute, r.ExpiresAt.Sub(r.ProposedAt))
		assert.Contains(s, s.said(id)[0], "proposed; an approval is needed, of ana, bo, until")
		_, err := s.engine.Approve(ctx, r.ID, "cy")
		require.ErrorIs(s, err, tocsin.ErrInvalid)
		require.ErrorContains(s, err, "ask ana or bo")
		_, err = s.engine.Approve(ctx, r.ID, "")
		require.ErrorIs(s, err, tocsin.ErrInvalid)
		_, err = s.engine.Approve(ctx, "nothing", "ana")
		require.ErrorIs(s, err, tocsin.ErrNotFound)
		s.pass(10 * time.Minute)
		assert.Empty(s, s.world.runs())
		got, err := s.engine.Approve(ctx, r.ID, "ana")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemediationApproved, got.State)
		_, err = s.engine.Approve(ctx, r.ID, "ana")
		require.NoError(s, err, "a double click")
		synctest.Wait()
		_, err = s.engine.Approve(ctx, r.ID, "ana")
		require.NoError(s, err, "a late double click")
		_, err = s.engine.Approve(ctx, r.ID, "bo")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		assert.Len(s, s.world.runs(), 1)
		_, err = s.engine.Start(ctx, id, "restart-node", "", "ana")
		require.NoError(s, s.store.Update(ctx, func(tocsin.Tx) error { return nil }))
		require.ErrorIs(s, err, tocsin.ErrConflict, "once for an incident")
	}, remedy(tocsin.ModeApprove, approvers("ana", "bo")))
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		id := s.burn("node-1")
		r, err := s.engine.Approve(ctx, s.one(id).ID, "ana")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemediationProposed, r.State)
		r, err = s.engine.Approve(ctx, r.ID, "ana")
		require.NoError(s, err)
		assert.Len(s, r.Approvals, 1, "one person is not two")
		s.pass(time.Minute)
		assert.Empty(s, s.world.runs())
		r, err = s.engine.Approve(ctx, r.ID, "bo")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemediationApproved, r.State)

		// Whoever asks for it is none of the two.
		other := s.smoulder("node-2")
		r, err = s.engine.Start(ctx, other, "restart-node", "", "ana")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemediationProposed, r.State)
		assert.Equal(s, "ana", r.ProposedBy)
		_, err = s.engine.Start(ctx, other, "restart-node", "", "ana")
		require.NoError(s, err, "a double click")
		_, err = s.engine.Approve(ctx, r.ID, "ana")
		require.ErrorIs(s, err, tocsin.ErrInvalid)
		_, err = s.engine.Approve(ctx, r.ID, "bo")
		require.NoError(s, err)
		r, err = s.engine.Start(ctx, other, "restart-node", "", "cy")
		require.NoError(s, err, "to start what is proposed is to approve it")
		assert.Equal(s, tocsin.RemediationApproved, r.State)
		synctest.Wait()
		assert.Len(s, s.world.runs(), 2)
	}, remedy(tocsin.ModeApprove, twoPerson))
}

func TestProposalsExpire(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		id := s.burn("node-3")
		r := s.one(id)
		s.pass(15*time.Minute - time.Nanosecond)
		require.Equal(s, tocsin.RemediationProposed, s.one(id).State)
		time.Sleep(time.Nanosecond) // between the click and the commit
		_, err := s.engine.Approve(ctx, r.ID, "ana")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		require.ErrorContains(s, err, "nobody approved it in time")
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationExpired, s.one(id).State)
		s.pass(time.Hour)
		assert.Empty(s, s.world.runs())

		// Somebody may ask for it anew.
		got, err := s.engine.Start(ctx, id, "restart-node", "node-3", "ana")
		require.NoError(s, err)
		assert.Equal(s, r.ID, got.ID)
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		assert.Len(s, s.world.runs(), 1)
	}, remedy(tocsin.ModeApprove))
	play(t, func(s *stage) {
		id := s.burn("node-3")
		s.pass(15*time.Minute + 6*time.Second)
		assert.Equal(s, tocsin.RemediationExpired, s.one(id).State, "the sweep finds it")
		assert.Equal(s, "nobody approved it in time", s.one(id).Why)
	}, remedy(tocsin.ModeApprove))
}

func TestSuggestionsWaitAsLongAsTheAlert(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.burn("node-3")
		s.pass(24 * time.Hour)
		r := s.one(id)
		assert.Equal(s, tocsin.RemediationProposed, r.State)
		assert.Equal(s, []string{"restart-node on node-3: could be run: an approval is needed, of anybody who may respond,"}, s.said(id))
		s.calm(id, "node-3")
		s.pass(6 * time.Second)
		assert.Equal(s, tocsin.RemediationExpired, s.one(id).State)
		assert.Equal(s, "the alert has ended", s.one(id).Why)
		assert.Empty(s, s.world.runs())
	}, remedy(tocsin.ModeSuggest))
}

// A request that is sent again after somebody has said no does not ask once more.
func TestAKeyAsksOnce(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.burn("node-3")
		start := func(key byte) (tocsin.Remediation, error) {
			ctx := tocsin.WithOnce(context.Background(), &tocsin.Once{Name: [32]byte{key}, Makes: tocsin.MadeRemediation})
			return s.engine.Start(ctx, id, "restart-node", "", "ana")
		}
		r, err := start(1)
		require.NoError(s, err)
		_, err = s.engine.Deny(context.Background(), r.ID, "bo")
		require.NoError(s, err)
		_, err = start(1)
		assert.Equal(s, &tocsin.RepeatError{Made: tocsin.MadeRemediation, ID: r.ID}, err)
		assert.Equal(s, tocsin.RemediationDenied, s.one(id).State)
		_, err = start(2)
		require.NoError(s, err)
		assert.NotEqual(s, tocsin.RemediationDenied, s.one(id).State)
	}, remedy(tocsin.ModeApprove, twoPerson, approvers("ana", "bo")))
}

func TestDenyAndCancel(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		id := s.burn("node-3")
		r, err := s.engine.Deny(ctx, s.one(id).ID, "bo")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemediationDenied, r.State)
		_, err = s.engine.Deny(ctx, r.ID, "bo")
		require.NoError(s, err)
		_, err = s.engine.Approve(ctx, r.ID, "ana")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		s.engine.Offer(ctx, id)
		s.pass(time.Minute)
		assert.Equal(s, tocsin.RemediationDenied, s.one(id).State, "no is no")

		s.world.takes = 20 * time.Second
		id = s.burn("node-4")
		r = s.one(id)
		_, err = s.engine.Approve(ctx, r.ID, "ana")
		require.NoError(s, err)
		s.pass(2 * time.Second)
		_, err = s.engine.Deny(ctx, r.ID, "bo")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		_, err = s.engine.Cancel(ctx, r.ID, "bo")
		require.NoError(s, err)
		s.pass(time.Second)
		r = s.one(id)
		assert.Equal(s, tocsin.RemediationUnknown, r.State)
		assert.Equal(s, "ended in the middle: stopped by bo", r.Why)
		assert.Equal(s, -1, r.Exit)
		assert.Len(s, s.world.runs(), 1, "nothing is rolled back that nobody knows of")
		_, err = s.engine.Cancel(ctx, r.ID, "bo")
		require.NoError(s, err)
	}, remedy(tocsin.ModeApprove))
}

func TestTheKillSwitchHoldsEverythingWithinASecond(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		other, stop, done := run(s.T, s.rules, s.options(s.store)) // on the same store
		defer func() { stop(); <-done }()
		s.world.takes = 25 * time.Second
		id := s.burn("node-1", "node-2")
		s.pass(3 * time.Second)
		require.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationStarted: 2}, states(s.all(id)))
		require.NoError(s, other.Stop(ctx, "", "bo"))
		s.pass(time.Second)
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationUnknown: 2}, states(s.all(id)))
		assert.Equal(s, "ended in the middle: stopped by bo", s.all(id)[0].Why)
		assert.Zero(s, s.world.active)

		id = s.burn("node-3")
		assert.Equal(s, tocsin.RemediationRefused, s.one(id).State)
		assert.Contains(s, s.one(id).Why, "stopped by bo")
		_, err := s.engine.Start(ctx, id, "restart-node", "", "ana")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		stopped, err := s.engine.Stopped(ctx)
		require.NoError(s, err)
		assert.Contains(s, stopped["all"], "stopped by bo")

		require.NoError(s, s.engine.Resume(ctx, "", "bo"))
		s.pass(time.Minute)
		assert.Len(s, s.world.runs(), 2, "nothing starts by itself then")
		_, err = s.engine.Start(ctx, id, "restart-node", "", "ana")
		require.NoError(s, err)
		s.pass(time.Minute)
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		require.ErrorIs(s, s.engine.Stop(ctx, "nothing", "bo"), tocsin.ErrNotFound)
		require.ErrorIs(s, s.engine.Stop(ctx, "", ""), tocsin.ErrInvalid)
	}, remedy(tocsin.ModeAuto))
}

func TestASwitchOfOneRemedyHoldsThatOne(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		require.NoError(s, s.engine.Stop(context.Background(), "restart-node", "bo"))
		id := s.burn("node-1")
		s.pass(time.Minute)
		assert.Equal(s, []string{"other node-1"}, s.world.runs())
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationRefused: 1, tocsin.RemediationVerified: 1}, states(s.all(id)))
	}, remedy(tocsin.ModeAuto), remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Name, s.Command = "other", []string{"/bin/other", "{{node}}"}
	}))
}

func TestTheRollbackIsHeldToo(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.world.helps = false
		id := s.burn("node-1")
		require.NoError(s, s.engine.Stop(context.Background(), "", "bo"))
		s.pass(time.Hour)
		assert.Equal(s, tocsin.RemediationNotFixed, s.one(id).State)
		assert.Contains(s, s.one(id).Why, "it is not rolled back: stopped by bo")
		assert.Len(s, s.world.runs(), 1)
		assert.Len(s, s.world.titles(), 1)
	}, remedy(tocsin.ModeAuto))
}

func TestARemedyThatWasChangedIsNotWhatWasApproved(t *testing.T) {
	t.Parallel()
	changed := remedy(tocsin.ModeApprove, func(s *remediation.Spec) { s.SHA256 = strings.Repeat("cd", 32) })
	play(t, func(s *stage) {
		id := s.burn("node-3")
		s.setRules(changed)
		_, err := s.engine.Approve(context.Background(), s.one(id).ID, "ana")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationExpired, s.one(id).State)

		id = s.burn("node-4")
		s.setRules()
		s.pass(6 * time.Second)
		assert.Equal(s, "the remedy was changed since it was proposed", s.one(id).Why)
		assert.Empty(s, s.world.runs())
		assert.Empty(s, s.engine.Remedies())
	}, remedy(tocsin.ModeApprove))
}

func TestTheBreakerGivesUpAndPagesWithTheHistory(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		ctx := context.Background()
		s.world.helps = false
		for _, node := range []string{"node-1", "node-2", "node-3"} {
			s.burn(node)
			s.pass(time.Hour)
		}
		assert.Len(s, s.world.titles(), 3)
		id := s.burn("node-4", "node-5")
		s.pass(time.Minute)
		for _, r := range s.all(id) {
			assert.Equal(s, tocsin.RemediationRefused, r.State)
			assert.Contains(s, r.Why, "breaker: 3 runs in 7d have not helped")
		}
		require.Len(s, s.world.titles(), 4, "once for all of them")
		assert.Equal(s, "remedy restart-node is given up: it does not help", s.world.titles()[3])
		assert.Contains(s, s.world.pages[3].Text, "node-1: not_fixed")
		assert.Contains(s, s.world.pages[3].Text, "node-3: not_fixed")
		assert.Len(s, s.world.runs(), 3)
		_, err := s.engine.Start(ctx, id, "restart-node", "node-4", "ana")
		require.ErrorIs(s, err, tocsin.ErrConflict)
		require.ErrorContains(s, err, "breaker")

		require.NoError(s, s.engine.Resume(ctx, "restart-node", "ana"))
		_, err = s.engine.Start(ctx, id, "restart-node", "node-4", "ana")
		require.NoError(s, err)
		s.pass(time.Minute)
		assert.Len(s, s.world.runs(), 4)
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Contract.Breaker.Runs, s.Contract.Rollback = 3, remediation.Rollback{}
	}))
}

func TestCooldownAndTheBudgetOfATarget(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		first := s.burn("node-1")
		assert.Equal(s, tocsin.RemediationVerified, s.one(first).State)
		s.pass(9 * time.Minute)
		id := s.burn("node-1")
		assert.Contains(s, s.one(id).Why, "cooldown: it ran on node-1 until 2000-01-01 00:00:00 UTC; again from 2000-01-01 00:10:00 UTC on")
		s.pass(time.Minute)
		id = s.burn("node-1")
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		s.pass(20 * time.Minute)
		id = s.burn("node-1")
		assert.Equal(s, "budget: 2 of 2 runs on node-1 in 1h", s.one(id).Why)
		s.pass(30 * time.Minute)
		id = s.burn("node-1")
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		assert.Len(s, s.world.runs(), 3)
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Contract.Cooldown, s.Contract.Budget.PerTarget.Runs = 10*time.Minute, 2
	}))
}

func TestManyClicksAtOnceStartItOnce(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		other, stop, done := run(s.T, s.rules, s.options(s.store))
		defer func() { stop(); <-done }()
		s.world.takes = time.Second
		id := s.smoulder("node-3")
		var clicks sync.WaitGroup
		for i := range 40 {
			e := []*remediation.Engine{s.engine, other}[i%2]
			clicks.Go(func() {
				r, err := e.Start(context.Background(), id, "restart-node", "", []string{"ana", "bo"}[i/2%2])
				if err == nil {
					_, _ = e.Approve(context.Background(), r.ID, []string{"ana", "bo", "cy"}[i%3])
				}
			})
		}
		clicks.Wait()
		s.pass(time.Minute)
		assert.Equal(s, []string{"restart-node node-3"}, s.world.runs())
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
	}, remedy(tocsin.ModeApprove))
}
