package remediation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// life is what kill -9 takes: from one moment on an engine writes nothing,
// executes nothing and pages nobody.
type life struct {
	dead atomic.Bool
	stop atomic.Pointer[context.CancelFunc]
}

var errDead = tocsin.Unavailable(errors.New("dead"))

func (l *life) end() {
	l.dead.Store(true)
	if stop := l.stop.Load(); stop != nil {
		(*stop)()
	}
}

// mortal is the store of an engine that dies at its n-th commit: before it is
// durable, or after.
type mortal struct {
	*bolt.Store
	life   *life
	mu     sync.Mutex
	n      int // commits left; negative: it does not die by that
	before bool
	seen   int
}

func (m *mortal) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	if m.life.dead.Load() {
		return errDead
	}
	m.mu.Lock()
	m.seen++
	m.n--
	dies := m.n == 0
	m.mu.Unlock()
	if dies && m.before {
		m.life.end()
		return errDead
	}
	err := m.Store.Update(ctx, fn)
	if dies {
		m.life.end()
	}
	if m.life.dead.Load() {
		return errDead
	}
	return err
}

func (m *mortal) Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error) {
	if m.life.dead.Load() {
		return nil, 0, errDead
	}
	return m.Store.Documents(ctx, kind)
}

// hands are the runner, the prober and the pager of an engine that can die.
type hands struct {
	*world
	life *life
	// run is at which command it dies, right after that has begun; 0: at none.
	run atomic.Int32
}

func (h *hands) Run(ctx context.Context, c remediation.Command, out io.Writer) (remediation.Result, error) {
	if h.life.dead.Load() {
		return remediation.Result{}, remediation.ErrNotStarted
	}
	if h.run.Add(-1) == 0 {
		defer h.life.end()
	}
	res, err := h.world.Run(ctx, c, out)
	return res, err
}

func (h *hands) OpenManual(ctx context.Context, m tocsin.Manual) (string, error) {
	if h.life.dead.Load() {
		return "", errDead
	}
	return h.world.OpenManual(ctx, m)
}

// mortalEngine runs an engine that can die; at which commit, before or after, or
// at which command.
func (s *stage) mortalEngine(commit int, before bool, command int) (*mortal, *life, chan struct{}) {
	s.Helper()
	l := &life{}
	m := &mortal{Store: s.store, life: l, n: commit, before: before}
	h := &hands{world: s.world, life: l}
	h.run.Store(int32(command))
	o := s.options(m)
	o.Runner, o.Prober, o.Pager = h, h, h
	e, err := remediation.New(s.rules, o)
	require.NoError(s, err)
	ctx, cancel := context.WithCancel(context.Background())
	l.stop.Store(&cancel)
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	return m, l, done
}

// check holds what has to hold whatever has died: nothing is left without an
// outcome, nothing ran twice, and what is said not to have run has not.
func (s *stage) check(incident string, idempotent bool, about string) {
	s.Helper()
	times := map[string]int{}
	for _, ran := range s.world.runs() {
		times[ran]++
	}
	most := 1
	if idempotent {
		most = 2
	}
	unknown := 0
	for _, r := range s.all(incident) {
		assert.True(s, r.State.Final(), "%s: %s is %s: %s", about, r.ID, r.State, r.Why)
		assert.NotEmpty(s, r.Why, about)
		restarts := times["restart-node "+r.Target]
		assert.LessOrEqual(s, restarts, most, "%s: %s ran %d times", about, r.Target, restarts)
		assert.LessOrEqual(s, times["undo "+r.Target], 1, "%s: rolled back twice", about)
		if !r.State.Ran() {
			assert.Zero(s, restarts, "%s: %s is %s and ran", about, r.Target, r.State)
		}
		switch r.State {
		case tocsin.RemediationVerified:
			assert.Positive(s, restarts, about)
		case tocsin.RemediationRolledBack:
			assert.Equal(s, 1, times["undo "+r.Target], about)
		case tocsin.RemediationUnknown:
			unknown++
		}
	}
	paged := 0
	for _, title := range s.world.titles() {
		if strings.Contains(title, "needs somebody") {
			paged++
		}
	}
	assert.GreaterOrEqual(s, paged, unknown, "%s: somebody is paged about each", about)
}

// TestKilledAtEveryCommit kills an engine at every commit of a run, before and
// after it is durable, and at every command; another one comes after.
func TestKilledAtEveryCommit(t *testing.T) {
	t.Parallel()
	idempotent := func(s *remediation.Spec) { s.Idempotent = true }
	for name, c := range map[string]struct {
		spec  remediation.Spec
		helps bool
	}{
		"it helps":                  {remedy(tocsin.ModeAuto), true},
		"it does not help":          {remedy(tocsin.ModeAuto), false},
		"idempotent, helps":         {remedy(tocsin.ModeAuto, idempotent), true},
		"idempotent, does not help": {remedy(tocsin.ModeAuto, idempotent), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commits := 0
			die := func(commit int, before bool, command int) {
				play(t, func(s *stage) {
					s.halt()
					s.world.helps, s.world.takes = c.helps, 3*time.Second
					id := s.smoulder("node-1")
					m, l, done := s.mortalEngine(commit, before, command)
					s.pass(4 * time.Minute)
					commits = max(commits, m.seen)
					l.end()
					<-done
					s.start()
					s.pass(6 * time.Minute)
					s.check(id, c.spec.Idempotent, fmt.Sprintf("commit %d (before: %v), command %d", commit, before, command))
					assert.Len(s, s.all(id), 1)
				}, c.spec)
			}
			die(-1, false, 0)
			require.Greater(t, commits, 3)
			for n := 1; n <= min(commits, 40); n++ {
				die(n, true, 0)
				die(n, false, 0)
			}
			die(-1, false, 1)
			die(-1, false, 2)
		})
	}
}

// TestKilledWhileItRunsIsUnknownAndPaged: in a single case, what the timeline and
// the page say.
func TestKilledWhileItRunsIsUnknownAndPaged(t *testing.T) {
	t.Parallel()
	for _, idempotent := range []bool{false, true} {
		play(t, func(s *stage) {
			s.halt()
			s.world.takes = 10 * time.Second
			_, l, done := s.mortalEngine(-1, false, 0)
			id := s.smoulder("node-1")
			s.pass(7 * time.Second)
			require.Len(s, s.world.runs(), 1)
			l.end()
			<-done
			s.start()
			s.pass(time.Minute)
			r := s.one(id)
			if idempotent {
				assert.Equal(s, tocsin.RemediationVerified, r.State)
				assert.Len(s, s.world.runs(), 2)
				assert.Empty(s, s.world.titles())
				return
			}
			assert.Equal(s, tocsin.RemediationUnknown, r.State)
			assert.Equal(s, "Tocsin was lost in the middle: it may have run, and nobody saw the end", r.Why)
			assert.Equal(s, []string{"remedy restart-node on node-1 needs somebody: its outcome is unknown"}, s.world.titles())
			assert.Contains(s, s.world.pages[0].Text, "nobody saw the end")
			s.pass(24 * time.Hour)
			assert.Len(s, s.world.runs(), 1)
		}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Idempotent = idempotent }))
	}
}

// TestLostTwiceIsUnknown: once more is once.
func TestLostTwiceIsUnknown(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		s.world.takes = 20 * time.Minute
		id := s.smoulder("node-1")
		for n := range 2 {
			_, l, done := s.mortalEngine(-1, false, 0)
			s.pass(30 * time.Second)
			for len(s.world.runs()) <= n {
				s.pass(time.Second)
			}
			l.end()
			<-done
		}
		s.start()
		s.pass(time.Hour)
		assert.Len(s, s.world.runs(), 2)
		assert.Equal(s, tocsin.RemediationUnknown, s.one(id).State)
		assert.Len(s, s.world.titles(), 1)
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Idempotent, s.Timeout = true, time.Hour
		s.Command = append(s.Command, "{{node}}")
	}))
}

// TestAPageIsOwedUntilItIsOpened, whoever opens it in the end.
func TestAPageIsOwedUntilItIsOpened(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.world.exit, s.world.mute = 1, true
		id := s.burn("node-1")
		s.pass(time.Minute)
		require.Equal(s, tocsin.RemediationRolledBack, s.one(id).State)
		assert.Empty(s, s.world.titles())
		s.halt()
		s.start()
		s.world.set(func() { s.world.mute = false })
		s.pass(time.Minute)
		assert.Len(s, s.world.titles(), 1)
		s.world.set(func() { s.world.pages = nil })
		s.pass(time.Hour)
		assert.Empty(s, s.world.titles(), "once")
	}, remedy(tocsin.ModeAuto))
}

// TestStoppedWhileItRuns: an orderly end records what it interrupts.
func TestStoppedWhileItRuns(t *testing.T) {
	t.Parallel()
	for _, idempotent := range []bool{false, true} {
		play(t, func(s *stage) {
			s.world.takes = 10 * time.Second
			id := s.burn("node-1")
			s.pass(time.Second)
			s.halt()
			want := map[bool]tocsin.RemediationState{false: tocsin.RemediationUnknown, true: tocsin.RemediationStarted}[idempotent]
			assert.Equal(s, want, s.one(id).State)
			assert.Zero(s, s.world.active)
			s.start()
			s.pass(time.Minute)
			want = map[bool]tocsin.RemediationState{false: tocsin.RemediationUnknown, true: tocsin.RemediationVerified}[idempotent]
			assert.Equal(s, want, s.one(id).State)
			assert.Len(s, s.world.titles(), map[bool]int{false: 1, true: 0}[idempotent])
		}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Idempotent = idempotent }))
	}
	play(t, func(s *stage) { // while it is verified
		s.world.helps = false
		id := s.burn("node-1")
		s.pass(30 * time.Second)
		s.halt()
		assert.Equal(s, tocsin.RemediationVerifying, s.one(id).State)
		s.start()
		s.pass(20 * time.Second)
		s.world.set(func() { s.world.up["node-1"] = true })
		s.pass(10 * time.Second)
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State, "to look is not to run")
		assert.Len(s, s.world.runs(), 1)
	}, remedy(tocsin.ModeAuto))
}

func tenPercent(s *remediation.Spec) {
	s.Contract.Budget.Fleet = remediation.FleetAllowance{Percent: 10, Of: "count(up)", In: time.Hour}
	s.Contract.Budget.PerTarget.Runs = 1
}

func nodes(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("node-%03d", i))
	}
	return out
}

// TestAHundredAlertsAtOnceKeepTheBudget, with two engines on one store, in one
// incident and in a hundred.
func TestAHundredAlertsAtOnceKeepTheBudget(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]int{"in one incident": 100, "in a hundred": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, func(s *stage) {
				other, stop, done := run(s.T, s.rules, s.options(s.store))
				defer func() { stop(); <-done }()
				s.world.size, s.world.takes = 50, 2*time.Second
				all := nodes(100)
				var ids []string
				for i := 0; i < len(all); i += each {
					ids = append(ids, s.smoulder(all[i:i+each]...))
				}
				for _, id := range ids {
					go s.engine.Offer(context.Background(), id)
					go other.Offer(context.Background(), id)
				}
				s.pass(30 * time.Minute)
				assert.Len(s, s.world.runs(), 5)
				assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationVerified: 5, tocsin.RemediationRefused: 95}, states(s.all("")))
				assert.LessOrEqual(s, s.world.peak, 8, "four at once for each engine")
				for _, r := range s.all("") {
					if r.State == tocsin.RemediationRefused {
						assert.Equal(s, "budget: 5 of 5 targets in 1h (10 % of 50)", r.Why)
					}
				}
			}, remedy(tocsin.ModeAuto, tenPercent))
		})
	}
}

// TestKilledAtRandomPoints kills one of two engines at random commits and
// commands while many alerts come: budget and at most once hold, nothing is left
// without an outcome.
func TestKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	points := 200
	if testing.Short() || raceEnabled {
		points = 40
	}
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test that can be repeated
	for i := range points {
		idempotent := i%4 == 3
		play(t, func(s *stage) {
			s.world.helps = i%3 > 0
			s.world.size, s.world.takes = 50, time.Duration(r.IntN(4000))*time.Millisecond
			commit, command := 1+r.IntN(30), 0
			if r.IntN(4) == 0 {
				commit, command = -1, 1+r.IntN(6)
			}
			if r.IntN(2) == 0 {
				s.halt() // the one that dies is alone
			}
			_, l, done := s.mortalEngine(commit, r.IntN(2) == 0, command)
			id := s.smoulder(nodes(12)...)
			s.pass(time.Duration(r.IntN(90_000)) * time.Millisecond)
			l.end()
			<-done
			s.halt()
			s.start()
			s.pass(6 * time.Minute)
			s.check(id, idempotent, fmt.Sprintf("point %d", i))
			assert.Len(s, s.all(id), 12)
			targets := map[string]bool{}
			for _, ran := range s.world.runs() {
				targets[ran[strings.LastIndex(ran, " "):]] = true
			}
			assert.LessOrEqual(s, len(targets), 5, "point %d", i)
		}, remedy(tocsin.ModeAuto, tenPercent, func(s *remediation.Spec) {
			s.Idempotent = idempotent
			s.Contract.Budget.PerTarget.Runs = 2
		}))
		if t.Failed() {
			return
		}
	}
}

// TestTheStoreFailsForAWhile: what has happened is written when it can be.
func TestTheStoreFailsForAWhile(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		flaky := &flaky{Store: s.store}
		e, stop, done := run(s.T, s.rules, s.options(flaky))
		defer func() { stop(); <-done }()
		s.world.takes = 10 * time.Second
		id := s.smoulder("node-1")
		e.Offer(context.Background(), id)
		s.pass(time.Second)
		flaky.down.Store(true)
		s.pass(40 * time.Second)
		assert.Equal(s, tocsin.RemediationStarted, s.one(id).State)
		flaky.down.Store(false)
		s.pass(10 * time.Second)
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
		assert.Len(s, s.world.runs(), 1)
	}, remedy(tocsin.ModeAuto))
}

type flaky struct {
	*bolt.Store
	down atomic.Bool
}

func (f *flaky) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	if f.down.Load() {
		return tocsin.Unavailable(errors.New("disk full"))
	}
	return f.Store.Update(ctx, fn)
}

// TestAnswersThatGetLost: a commit that is durable and not answered is done once
// all the same.
func TestAnswersThatGetLost(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.halt()
		e, stop, done := run(s.T, s.rules, s.options(&unclear{Store: s.store}))
		defer func() { stop(); <-done }()
		ids := []string{}
		for _, n := range nodes(20) {
			ids = append(ids, s.smoulder(n))
			e.Offer(context.Background(), ids[len(ids)-1])
		}
		s.pass(10 * time.Minute)
		synctest.Wait()
		assert.Len(s, s.world.runs(), 20)
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationVerified: 20}, states(s.all("")))
	}, remedy(tocsin.ModeAuto))
}

// unclear does every third update, and says that it may not have.
type unclear struct {
	*bolt.Store
	n atomic.Int64
}

func (u *unclear) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	err := u.Store.Update(ctx, fn)
	if u.n.Add(1)%3 == 0 && err == nil {
		return tocsin.Unavailable(errors.New("no answer"))
	}
	return err
}
