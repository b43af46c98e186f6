package remediation_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

// What is true when a remediation is approved may not be true any more when it
// is its turn.

// TestReloadedWhileItWaits: what waits for its turn while the remedy is changed is
// not run, neither as it was nor as it is.
func TestReloadedWhileItWaits(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*remediation.Spec){
		"another file":      func(s *remediation.Spec) { s.SHA256 = strings.Repeat("cd", 32) },
		"another command":   func(s *remediation.Spec) { s.Command = []string{restart, "--force", "{{node}}"} },
		"for other alerts":  func(s *remediation.Spec) { s.Matchers = []string{`alertname="NodeDown"`, `env="test"`} },
		"another contract":  func(s *remediation.Spec) { s.Contract.Budget.PerTarget.Runs = 1 },
		"not by itself now": func(s *remediation.Spec) { s.Mode = tocsin.ModeApprove },
	} {
		play(t, func(s *stage) {
			s.halt()
			s.slots = 1
			s.start()
			s.world.takes = 10 * time.Second
			id := s.burn("node-1", "node-2")
			s.pass(time.Second)
			s.setRules(remedy(tocsin.ModeAuto, change))
			s.pass(time.Minute)
			assert.Len(s, s.world.runs(), 1, what)
			assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationVerified: 1, tocsin.RemediationRefused: 1}, states(s.all(id)), what)
		}, remedy(tocsin.ModeAuto))
	}
	play(t, func(s *stage) { // the same again is no change
		s.halt()
		s.slots = 1
		s.start()
		s.world.takes = 10 * time.Second
		id := s.burn("node-1", "node-2")
		s.pass(time.Second)
		s.setRules(remedy(tocsin.ModeAuto))
		s.pass(time.Minute)
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationVerified: 2}, states(s.all(id)))
	}, remedy(tocsin.ModeAuto))
}

// TestAnApprovalOfSomebodyWhoMayNotAnyMore counts no more: neither beside a second
// one, nor when it is the remedy's turn.
func TestAnApprovalOfSomebodyWhoMayNotAnyMore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	three := approvers("ana", "bo", "cy")
	play(t, func(s *stage) {
		id := s.burn("node-1")
		r, err := s.engine.Approve(ctx, s.one(id).ID, "ana")
		require.NoError(s, err)
		s.setRules(remedy(tocsin.ModeApprove, twoPerson, approvers("bo", "cy")))
		_, err = s.engine.Approve(ctx, r.ID, "bo")
		require.NoError(s, err)
		s.pass(time.Second)
		assert.Equal(s, tocsin.RemediationProposed, s.one(id).State, "bo alone is not two people")
		assert.Empty(s, s.world.runs())
		_, err = s.engine.Approve(ctx, r.ID, "cy")
		require.NoError(s, err)
		s.pass(time.Minute)
		assert.Len(s, s.world.runs(), 1)
	}, remedy(tocsin.ModeApprove, twoPerson, three))
	play(t, func(s *stage) {
		s.halt()
		s.slots = 1
		s.start()
		s.world.takes = 10 * time.Second
		id := s.burn("node-1", "node-2")
		for _, r := range s.all(id) {
			_, err := s.engine.Approve(ctx, r.ID, "ana")
			require.NoError(s, err)
		}
		s.pass(time.Second)
		s.setRules(remedy(tocsin.ModeApprove, approvers("bo")))
		s.pass(time.Minute)
		assert.Len(s, s.world.runs(), 1)
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationVerified: 1, tocsin.RemediationRefused: 1}, states(s.all(id)))
	}, remedy(tocsin.ModeApprove, three))
}

// TestStoppedWhileTheDiskIsFull: what runs here is ended also when that it is
// stopped cannot be written, and whoever stops it is told.
func TestStoppedWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		flaky := &flaky{Store: s.store}
		e, stop, done := run(s.T, s.rules, s.options(flaky))
		defer func() { stop(); <-done }()
		s.world.takes = 25 * time.Second
		id := s.smoulder("node-1")
		e.Offer(context.Background(), id)
		s.pass(time.Second)
		require.Equal(s, 1, s.world.active)
		flaky.down.Store(true)
		require.ErrorIs(s, e.Stop(context.Background(), "", "bo"), tocsin.ErrUnavailable)
		s.pass(time.Second)
		assert.Zero(s, s.world.active)
		flaky.down.Store(false)
		s.pass(30 * time.Second)
		assert.Equal(s, "ended in the middle: stopped by bo", s.one(id).Why)
	}, remedy(tocsin.ModeAuto))
}

// TestARollbackThatIsStoppedWhileItWaits is not begun.
func TestARollbackThatIsStoppedWhileItWaits(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		s.slots = 1
		s.start()
		s.world.exit, s.world.takes = 1, 10*time.Second
		id := s.burn("node-1", "node-2")
		s.pass(15 * time.Second)
		require.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationRollingBack: 1, tocsin.RemediationStarted: 1}, states(s.all(id)))
		require.NoError(s, s.engine.Stop(context.Background(), "", "bo"))
		s.pass(time.Minute)
		assert.Len(s, s.world.runs(), 2, "no rollback")
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationNotFixed: 1, tocsin.RemediationUnknown: 1}, states(s.all(id)))
		for _, r := range s.all(id) {
			assert.Contains(s, r.Why, "stopped by bo")
		}
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Contract.Verify = remediation.Verify{} }))
}

// asked does something when the first question is asked.
type asked struct {
	*world
	first  atomic.Bool
	during func()
}

func (a *asked) Query(ctx context.Context, expr string) ([]float64, error) {
	if !a.first.Swap(true) {
		defer a.during()
	}
	return a.world.Query(ctx, expr)
}

// TestAnOldAnswerStartsNothing: where the start could not be written for a while,
// the precheck is asked again.
func TestAnOldAnswerStartsNothing(t *testing.T) {
	t.Parallel()
	for _, well := range []bool{false, true} {
		play(t, func(s *stage) {
			s.halt()
			flaky := &flaky{Store: s.store}
			o := s.options(flaky)
			o.Prober = &asked{world: s.world, during: func() { flaky.down.Store(true) }}
			e, stop, done := run(s.T, s.rules, o)
			defer func() { stop(); <-done }()
			id := s.smoulder("node-1")
			e.Offer(context.Background(), id)
			s.pass(time.Minute)
			require.Equal(s, tocsin.RemediationApproved, s.one(id).State)
			s.world.set(func() { s.world.up["node-1"] = well })
			flaky.down.Store(false)
			s.pass(time.Minute)
			if well {
				assert.Equal(s, tocsin.RemediationRefused, s.one(id).State)
				assert.Contains(s, s.one(id).Why, "the precheck says no")
				assert.Empty(s, s.world.runs())
			} else {
				assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
			}
		}, remedy(tocsin.ModeAuto))
	}
}

// TestAClockThatIsPutBack keeps nothing waiting: what was lost is found, and what
// is looked at is looked at for no longer than it was to be.
func TestAClockThatIsPutBack(t *testing.T) {
	t.Parallel()
	earlier := func(s *stage) (stop func()) {
		o := s.options(s.store)
		o.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
		_, cancel, done := run(s.T, s.rules, o)
		return func() { cancel(); <-done }
	}
	play(t, func(s *stage) {
		s.halt()
		_, l, done := s.mortalEngine(0, false, 1)
		id := s.smoulder("node-1")
		s.pass(10 * time.Second)
		require.True(s, l.dead.Load())
		<-done
		require.Equal(s, tocsin.RemediationStarted, s.one(id).State)
		defer earlier(s)()
		s.pass(30 * time.Second)
		assert.Equal(s, tocsin.RemediationUnknown, s.one(id).State)
		assert.Len(s, s.world.titles(), 1)
	}, remedy(tocsin.ModeAuto))
	play(t, func(s *stage) {
		s.world.helps = false
		id := s.burn("node-1")
		s.pass(30 * time.Second)
		require.Equal(s, tocsin.RemediationVerifying, s.one(id).State)
		s.halt()
		defer earlier(s)()
		s.pass(3 * time.Minute)
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationRolledBack, s.one(id).State)
	}, remedy(tocsin.ModeAuto))
}

// TestTheDefaultPatternStaysInItsFolder: a value that leads out of a folder has to
// be allowed by a pattern of its own.
func TestTheDefaultPatternStaysInItsFolder(t *testing.T) {
	t.Parallel()
	rules := func(pattern string) *remediation.Rules {
		r, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
			s.Parameters = []remediation.Parameter{{Name: "node", Label: "instance", Pattern: pattern}}
		})})
		require.NoError(t, err)
		return r
	}
	for value, passes := range map[string]bool{
		"..": false, "../../etc/shadow": false, "/var/../etc": false, "a/..": false,
		"a..b": true, "...": true, "/var/lib/x.db": true, "./a": true, "10.0.0.1:9100": true,
	} {
		a := &tocsin.Alert{Labels: tocsin.Labels{"instance": value}}
		_, err := rules("").Fill("restart-node", a)
		assert.Equal(t, passes, err == nil, "%s: %v", value, err)
		_, err = rules(remediation.DefaultPattern).Fill("restart-node", a)
		assert.Equal(t, passes, err == nil, "%s: the default, written out as the configuration does: %v", value, err)
		_, err = rules(`[a-z0-9:./]+`).Fill("restart-node", a)
		assert.NoError(t, err, value)
	}
	for value, passes := range map[string]bool{"a": true, "b": true, "ab": false, "a\n": false, "xb": false, "a|b": false} {
		_, err := rules("a|b").Fill("restart-node", &tocsin.Alert{Labels: tocsin.Labels{"instance": value}})
		assert.Equal(t, passes, err == nil, "%q: an alternative is held to the whole value", value)
	}
}
