package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// open opens a store that is checked and closed when the test ends.
func open(t *testing.T, dir string, o bolt.Options) *bolt.Store {
	t.Helper()
	if o.Ballast == 0 {
		o.Ballast = -1
	}
	s, err := bolt.Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = s.Check(context.WithoutCancel(t.Context())) // it may be closed; what matters is asserted below
		require.NoError(t, s.Close())
	})
	return s
}

// put writes a small live incident with one event.
func put(ctx context.Context, s *bolt.Store, id string) error {
	return s.Update(ctx, func(tx tocsin.Tx) error {
		i := &tocsin.Incident{ID: id, State: tocsin.Triggered, Group: tocsin.NewKey(id), OpenedAt: time.Now()}
		tx.PutIncident(i)
		tx.Append(i.Event(tocsin.EventOpened, "", "opened "+id, time.Now()))
		return nil
	})
}

func nothing(tocsin.Tx) error { return nil }

// blockCommitter keeps the committer busy with an update until release is
// called, which returns that update's outcome.
func blockCommitter(t *testing.T, s *bolt.Store) (release func() error) {
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- s.Update(t.Context(), func(tocsin.Tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return func() error { close(leave); return <-left }
}

func TestOverload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := bolt.Open(dir, bolt.Options{Queue: 1, Ballast: -1, MinFree: -1})
		require.NoError(t, err)
		release := blockCommitter(t, s)
		ran := 0
		errs := make(chan error, 2)
		began := time.Now()
		for range 2 { // one finds a place in the queue, one does not
			go func() { errs <- s.Update(t.Context(), func(tocsin.Tx) error { ran++; return nil }) }()
		}
		for range 2 {
			err := <-errs
			require.ErrorIs(t, err, tocsin.ErrUnavailable)
			require.ErrorContains(t, err, "overloaded")
		}
		assert.Equal(t, bolt.DefaultWait, time.Since(began))
		require.NoError(t, release())
		require.NoError(t, s.Update(t.Context(), nothing))
		assert.Zero(t, ran, "an update that was given up on never runs")
		require.NoError(t, s.Close())
	})
}

func TestContextEndsInQueue(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), bolt.Options{})
	release := blockCommitter(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ran := false
	got := make(chan error, 1)
	go func() { got <- s.Update(ctx, func(tocsin.Tx) error { ran = true; return nil }) }()
	require.Eventually(t, func() bool { return s.Stats().Queue == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	err := <-got
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.NoError(t, release())
	require.NoError(t, s.Update(t.Context(), nothing))
	assert.False(t, ran)
}

func TestContextEndsInCommit(t *testing.T) {
	t.Parallel()
	committing, leave := make(chan struct{}, 8), make(chan struct{})
	s := open(t, t.TempDir(), bolt.Options{Committed: func([]tocsin.Wake) {
		committing <- struct{}{}
		<-leave
	}})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { got <- put(ctx, s, "a") }()
	<-committing
	cancel()
	err := <-got
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "safe to make it again")
	close(leave)
	require.NoError(t, s.Update(t.Context(), nothing))
	_, err = s.Get(t.Context(), "a")
	require.NoError(t, err, "it was durable already")
}

func TestGoexitInDecision(t *testing.T) {
	t.Parallel()
	s, err := bolt.Open(t.TempDir(), bolt.Options{Ballast: -1})
	require.NoError(t, err)
	err = s.Update(t.Context(), func(tocsin.Tx) error { runtime.Goexit(); return nil })
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorContains(t, err, "Goexit")
	require.ErrorIs(t, s.Update(t.Context(), nothing), tocsin.ErrUnavailable)
	require.ErrorContains(t, s.Stats().Err, "Goexit")
	require.NoError(t, s.Close())
}

func TestCommitted(t *testing.T) {
	t.Parallel()
	var told [][]tocsin.Wake
	now := time.Now()
	s := open(t, t.TempDir(), bolt.Options{
		Now:       func() time.Time { return now },
		Committed: func(w []tocsin.Wake) { told = append(told, w); panic("a hook's bug harms nobody") },
	})
	wake := tocsin.Wake{Incident: "a", Target: "slack:#x", Severity: tocsin.Critical}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := &tocsin.Incident{ID: "a", State: tocsin.Triggered, Severity: tocsin.Critical, OpenedAt: now}
		i.AddTarget("slack:#x", true, now)
		i.AddTarget("slack:#later", true, now)
		i.Delivery("slack:#later").Next = now.Add(time.Minute)
		i.Touch(now)
		tx.PutIncident(i)
		return nil
	}))
	assert.Equal(t, [][]tocsin.Wake{{wake}}, told)
	assert.Equal(t, []tocsin.Wake{wake}, s.Lagging(now))
	assert.Len(t, s.Lagging(now.Add(time.Hour)), 2)
	st := s.Stats()
	assert.Equal(t, 2, st.Lagging)
	assert.True(t, now.Equal(st.OldestLag))

	require.NoError(t, s.Update(t.Context(), nothing))
	assert.Len(t, told, 1, "nothing was committed")
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident("a")
		for n := range i.Deliveries {
			i.Deliveries[n].Revision = i.Revision
		}
		tx.PutIncident(i)
		return nil
	}))
	assert.Equal(t, [][]tocsin.Wake{{wake}, nil}, told, "nothing lags any more")
	assert.Empty(t, s.Lagging(now.Add(time.Hour)))
	assert.Zero(t, s.Stats().Lagging)

	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		i := tx.Incident("a")
		i.Resolve("ana", "resolved", now)
		tx.PutIncident(i)
		return nil
	}))
	assert.Len(t, s.Lagging(now.Add(time.Hour)), 2)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error { tx.Archive("a"); return nil }))
	assert.Empty(t, s.Lagging(now.Add(time.Hour)), "an archived incident is over, told or not")
	assert.Empty(t, told[len(told)-1])
}

func TestLogAndLookups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bolt.Options{})
	for _, id := range []string{"a", "b"} {
		require.NoError(t, put(t.Context(), s, id))
	}
	a := node(1)
	orphan := tocsin.AlertState{ID: a.ID(), ChangedAt: time.Now()}
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventAlarm, Text: "of none"}, tocsin.Event{Kind: tocsin.EventNote, Incident: "a", Text: "of a"})
		tx.PutAlert(orphan, &a)
		return nil
	}))
	texts := func(after uint64, limit int) (out []string) {
		events, err := s.Log(t.Context(), after, limit)
		require.NoError(t, err)
		for _, e := range events {
			out = append(out, fmt.Sprint(e.Seq, " ", e.Text))
		}
		return out
	}
	assert.EqualValues(t, 4, s.LastSeq())
	assert.Equal(t, []string{"1 opened a", "2 opened b", "3 of none", "4 of a"}, texts(0, 0))
	assert.Equal(t, []string{"2 opened b", "3 of none"}, texts(1, 2))
	assert.Empty(t, texts(4, 10))

	r, err := s.Alert(t.Context(), a.ID())
	require.NoError(t, err)
	assert.Equal(t, a, r.Alert)
	assert.Equal(t, a.ID(), r.State.ID)
	_, err = s.Alert(t.Context(), tocsin.NewKey("none"))
	require.ErrorIs(t, err, tocsin.ErrNotFound)

	require.NoError(t, s.Update(t.Context(), opening(2, nil)))
	b := node(2)
	r, err = s.Alert(t.Context(), b.ID())
	require.NoError(t, err)
	assert.Equal(t, b.Labels, r.Labels)

	var live []string
	s.Live(func(i *tocsin.Incident) bool { live = append(live, i.ID); return len(live) < 2 })
	assert.Equal(t, []string{"a", "b"}, live)
	states := map[tocsin.Key]bool{}
	s.AlertStates(func(st tocsin.AlertState) bool {
		states[st.ID] = st.Firing
		_, err := s.Alert(t.Context(), st.ID)
		return assert.NoError(t, err, "the callback may call the store")
	})
	assert.Equal(t, map[tocsin.Key]bool{a.ID(): false, b.ID(): true}, states)
	n := 0
	s.AlertStates(func(tocsin.AlertState) bool { n++; return false })
	assert.Equal(t, 1, n)
	st := s.Stats()
	assert.Equal(t, []int{3, 3, 2, 1}, []int{st.Live, st.Open, st.Alerts, st.Firing})
	assert.Positive(t, st.Size)
	require.NoError(t, s.Check(t.Context()))
}

func TestSeenAtAcrossRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), opening(1, nil)))
	a := node(1)
	require.NoError(t, s.Update(t.Context(), func(tx tocsin.Tx) error {
		st, _ := tx.Alert(a.ID())
		st.Repeats = 41
		tx.Observed(st)
		return nil
	}))
	require.NoError(t, s.Check(t.Context()), "what is only observed is no difference")
	require.NoError(t, s.Close())
	start := time.Now().Add(time.Hour).UTC()
	s = open(t, dir, bolt.Options{Now: func() time.Time { return start }})
	r, err := s.Alert(t.Context(), a.ID())
	require.NoError(t, err)
	assert.EqualValues(t, 41, r.State.Repeats, "Close writes what was observed")
	assert.Equal(t, start, r.State.SeenAt, "nothing goes stale for the time that we were away")
	require.NoError(t, s.Check(t.Context()))
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, bolt.Options{})
	_, err := bolt.Open(dir, bolt.Options{Timeout: 60 * time.Millisecond})
	require.ErrorIs(t, err, tocsin.ErrUnavailable)
	require.ErrorContains(t, err, filepath.Join(dir, bolt.FileName))
	require.ErrorContains(t, err, "another tocsin")
	require.NoError(t, s.Close())
	open(t, dir, bolt.Options{})
}

func TestCreatedOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "er")
	path := filepath.Join(dir, "store.db")
	var opened []*bolt.Store
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if s, err := bolt.Open(path, bolt.Options{Ballast: -1, Timeout: 100 * time.Millisecond}); err == nil {
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, s)
			}
		})
	}
	all.Wait()
	require.Len(t, opened, 1, "one of those that make the store at once has it")
	require.NoError(t, put(t.Context(), opened[0], "a"))
	require.NoError(t, opened[0].Close())
	s := open(t, path, bolt.Options{})
	_, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Equal(t, []string{path}, left)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	s := open(t, t.TempDir(), bolt.Options{Registerer: reg})
	require.NoError(t, put(t.Context(), s, "a"))
	require.Error(t, s.Update(t.Context(), func(tocsin.Tx) error { return assert.AnError }))
	families, err := reg.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	assert.Equal(t, []string{
		"tocsin_store_batch_updates", "tocsin_store_commit_seconds", "tocsin_store_commits_total",
		"tocsin_store_queue_length", "tocsin_store_size_bytes", "tocsin_store_updates_total",
	}, names)
	assert.EqualValues(t, 1, commits(t, reg))
	_, err = bolt.Open(t.TempDir(), bolt.Options{Registerer: reg, Ballast: -1})
	require.ErrorContains(t, err, "registered already")
	require.NoError(t, s.Close())
	open(t, t.TempDir(), bolt.Options{Registerer: reg})
}

func TestCloseFinishesWhatIsQueued(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := bolt.Open(dir, bolt.Options{Ballast: -1})
	require.NoError(t, err)
	release := blockCommitter(t, s)
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() { assert.NoError(t, put(t.Context(), s, fmt.Sprint("i", n))) })
	}
	require.Eventually(t, func() bool { return s.Stats().Queue == 50 }, 5*time.Second, time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool { return s.Stats().Err != nil }, 5*time.Second, time.Millisecond)
	require.ErrorIs(t, s.Update(t.Context(), nothing), tocsin.ErrUnavailable)
	require.NoError(t, release())
	all.Wait()
	require.NoError(t, <-closed)
	assert.Equal(t, 50, open(t, dir, bolt.Options{}).Stats().Live)
}
