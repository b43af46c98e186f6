package notifiers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	for n := 1; n < 100; n++ {
		d := backoff(n, lanePause)
		full := lanePause
		if n < 6 {
			full = firstPause << (n - 1)
		}
		assert.LessOrEqual(t, d, full, "failure %d", n)
		assert.GreaterOrEqual(t, d, full*3/4, "failure %d", n)
	}
}

func wake(id string, s tocsin.Severity) tocsin.Wake {
	return tocsin.Wake{Incident: id, Target: "slack:#a", Severity: s}
}

// order runs a lane of one call a second over the wake-ups and returns the order
// in which they were worked off.
func order(t *testing.T, wakes ...tocsin.Wake) []string {
	t.Helper()
	var got []string
	synctest.Test(t, func(t *testing.T) {
		l := newLane(Target{PerSecond: 1}, &provider{}, time.Now)
		for _, w := range wakes {
			require.NotNil(t, l.add(w))
			time.Sleep(time.Millisecond)
		}
		ctx, stop := context.WithCancel(context.Background())
		go l.loop(ctx, func(_ context.Context, _ *lane, it *item) result {
			got = append(got, it.wake.Incident)
			return result{}
		}, func() {})
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
	})
	return got
}

func TestMostUrgentFirstThenOldest(t *testing.T) {
	got := order(t, wake("w1", tocsin.Warning), wake("w2", tocsin.Warning), wake("c1", tocsin.Critical), wake("i", tocsin.Info), wake("c2", tocsin.Critical))
	assert.Equal(t, []string{"c1", "c2", "w1", "w2", "i"}, got)
}

func TestFullLaneTurnsAwayAllButCritical(t *testing.T) {
	t.Parallel()
	l := newLane(Target{PerSecond: 1}, &provider{}, time.Now)
	for n := range laneFull {
		require.NotNil(t, l.add(wake(string(rune('a'))+time.Duration(n).String(), tocsin.Warning)))
	}
	assert.Nil(t, l.add(wake("one more", tocsin.Warning)))
	assert.NotNil(t, l.add(wake("critical", tocsin.Critical)))
	assert.False(t, l.hasRoomAgain())
	clear(l.items)
	assert.True(t, l.hasRoomAgain())
	assert.False(t, l.hasRoomAgain(), "said once")
}

// A message that the provider keeps refusing for now does not hold up the
// others of its lane.
func TestOneBadItemDoesNotBlockTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(Target{}, &provider{}, time.Now)
		bad := l.add(wake("bad", tocsin.Critical))
		good := l.add(wake("good", tocsin.Info))
		ctx, stop := context.WithCancel(context.Background())
		tries := 0
		go l.loop(ctx, func(_ context.Context, _ *lane, it *item) result {
			if it.wake.Incident == "bad" {
				tries++
				return result{failed: true}
			}
			return result{}
		}, func() {})
		time.Sleep(10 * time.Second)
		select {
		case <-good:
		default:
			t.Error("the good one waits behind the bad one")
		}
		time.Sleep(time.Hour)
		select {
		case <-bad:
			t.Error("the bad one was given up")
		default:
		}
		stop()
		synctest.Wait()
		assert.LessOrEqual(t, tries, 85, "about one try a minute: with jitter, each 45 s at the soonest")
	})
}

func TestProviderPauseHoldsAllItsLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		a, b := newLane(Target{}, p, time.Now), newLane(Target{}, p, time.Now)
		began := time.Now()
		var at time.Duration
		ctx, stop := context.WithCancel(context.Background())
		first := true
		go a.loop(ctx, func(context.Context, *lane, *item) result {
			if first {
				first = false
				return result{pause: 30 * time.Second}
			}
			return result{}
		}, func() {})
		a.add(wake("x", tocsin.Critical))
		synctest.Wait()
		go b.loop(ctx, func(context.Context, *lane, *item) result { at = time.Since(began); return result{} }, func() {})
		b.add(wake("y", tocsin.Critical))
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		assert.GreaterOrEqual(t, at, 30*time.Second)
	})
}

func TestWokenWhileBusyIsWorkedOffAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(Target{}, &provider{}, time.Now)
		ctx, stop := context.WithCancel(context.Background())
		runs := 0
		go l.loop(ctx, func(context.Context, *lane, *item) result {
			runs++
			time.Sleep(time.Second)
			return result{}
		}, func() {})
		done := l.add(wake("x", tocsin.Info))
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, done, l.add(wake("x", tocsin.Info)), "at most one waits")
		l.add(wake("x", tocsin.Info))
		<-done
		stop()
		synctest.Wait()
		assert.Equal(t, 2, runs)
	})
}
