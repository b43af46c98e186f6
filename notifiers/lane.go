package notifiers

import (
	"cmp"
	"container/heap"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// laneFull is how many deliveries wait in the memory of a lane that has a
	// rate; more are left to the store until there is room again, except the
	// critical ones, which have laneRoom. A lane without a rate has laneRoom for
	// all.
	laneFull = 256
	laneRoom = 4096
	// parallel is how many calls a lane without a rate makes at once. One with
	// a rate makes one.
	parallel = 32
)

// provider is what pauses together. The time keeps its monotonic reading: a step
// of the machine's clock makes no pause longer.
type provider struct{ until atomic.Pointer[time.Time] }

func (p *provider) pause(until time.Time) {
	for old := p.until.Load(); old == nil || old.Before(until); old = p.until.Load() {
		if p.until.CompareAndSwap(old, &until) {
			return
		}
	}
}

func (p *provider) paused() time.Time {
	if until := p.until.Load(); until != nil {
		return *until
	}
	return time.Time{}
}

// item is an incident that waits in a lane, or is worked on.
type item struct {
	// wake's Severity changes under the lane's mutex; the rest never does.
	wake  tocsin.Wake
	since time.Time
	// busy items are being worked on; dirty ones were woken meanwhile.
	busy, dirty bool
	notBefore   time.Time
	attempts    int
	done        chan struct{}
	// place is the index in the lane's queue, -1 while it is not there.
	place int
}

// queue is a heap of the items that nobody works on, the most urgent on top.
type queue []*item

// Len, Less, Swap, Push and Pop are container/heap's.
func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return urgency(q[i], q[j]) < 0 }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue) Push(x any) {
	it := x.(*item)
	it.place = len(*q)
	*q = append(*q, it)
}

func (q *queue) Pop() any {
	old := *q
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	it.place = -1
	return it
}

// lane is a queue by urgency with one rate.
type lane struct {
	now      func() time.Time
	provider *provider
	kick     chan struct{}
	stopped  chan struct{}

	mu      sync.Mutex
	limiter *rate.Limiter
	width   int
	items   map[delivery]*item
	// ready items may be taken at once; delayed ones wait for their notBefore.
	ready    queue
	delayed  []*item
	busy     int
	failures int
	until    time.Time
	overflow bool
}

func newLane(t Target, p *provider, now func() time.Time) *lane {
	l := &lane{now: now, provider: p, kick: make(chan struct{}, 1), stopped: make(chan struct{}), items: map[delivery]*item{}}
	l.setRate(t)
	return l
}

func (l *lane) setRate(t Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.PerSecond <= 0 {
		l.limiter, l.width = nil, parallel
		return
	}
	if l.limiter == nil {
		l.limiter = rate.NewLimiter(rate.Limit(t.PerSecond), max(t.Burst, 1))
	} else {
		l.limiter.SetLimit(rate.Limit(t.PerSecond))
		l.limiter.SetBurst(max(t.Burst, 1))
	}
	l.width = 1
}

func (l *lane) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// add queues a wake-up and returns what closes when it has been worked off, or
// nil when the lane is full and the sweep will bring it back.
func (l *lane) add(w tocsin.Wake) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := delivery{w.Incident, w.Target}
	if it := l.items[k]; it != nil {
		it.wake.Severity, it.dirty = w.Severity, it.busy
		if it.place >= 0 {
			heap.Fix(&l.ready, it.place)
		}
		return it.done
	}
	room := laneFull
	if w.Severity == tocsin.Critical || l.limiter == nil {
		room = laneRoom
	}
	if len(l.items) >= room {
		l.overflow = true
		return nil
	}
	it := &item{wake: w, since: l.now(), done: make(chan struct{}), place: -1}
	l.items[k] = it
	heap.Push(&l.ready, it)
	l.poke()
	return it.done
}

// holds reports whether a delivery waits here.
func (l *lane) holds(k delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items[k] != nil
}

// loop hands out the most urgent item whenever the rate, the pauses and the
// width allow, until ctx ends and all work has returned. It calls refill when
// wake-ups were turned away and there is room again.
func (l *lane) loop(ctx context.Context, process func(context.Context, *lane, *item) result, refill func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(l.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		it, wait := l.next()
		if it == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-l.kick:
			case <-timer.C:
			}
			continue
		}
		wg.Go(func() {
			l.finish(it, process(ctx, l, it))
			if l.hasRoomAgain() {
				refill()
			}
		})
	}
}

// next takes the most urgent item that may go now; or says how long to wait.
func (l *lane) next() (*item, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const idle = time.Hour
	if l.busy >= l.width || len(l.items) == l.busy {
		return nil, idle
	}
	now := l.now()
	if until := latest(l.until, l.provider.paused()); until.After(now) {
		return nil, until.Sub(now)
	}
	soonest := l.promote(now)
	if len(l.ready) == 0 {
		if soonest.IsZero() {
			return nil, idle
		}
		return nil, soonest.Sub(now)
	}
	if l.limiter != nil {
		r := l.limiter.Reserve()
		if wait := r.Delay(); wait > 0 {
			r.Cancel() // the most urgent is chosen when the token is there, not before
			return nil, wait
		}
	}
	it := heap.Pop(&l.ready).(*item)
	it.busy, it.dirty = true, false
	l.busy++
	return it, 0
}

// promote moves the delayed items that are due among the ready ones, and says
// when the next of the others will be; zero: there are none.
func (l *lane) promote(now time.Time) (soonest time.Time) {
	l.delayed = slices.DeleteFunc(l.delayed, func(it *item) bool {
		if it.notBefore.After(now) {
			if soonest.IsZero() || it.notBefore.Before(soonest) {
				soonest = it.notBefore
			}
			return false
		}
		heap.Push(&l.ready, it)
		return true
	})
	return soonest
}

// urgency orders items: the more severe first, then the older.
func urgency(a, b *item) int {
	return cmp.Or(
		cmp.Compare(b.wake.Severity.Rank(), a.wake.Severity.Rank()),
		a.since.Compare(b.since),
		cmp.Compare(a.wake.Incident, b.wake.Incident),
	)
}

// claim takes up to n more waiting items for which want holds, the most urgent
// first, to be worked on together.
func (l *lane) claim(n int, want func(*item) bool) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*item
	for _, it := range l.ready {
		if want(it) {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, urgency)
	out = out[:min(n, len(out))]
	for _, it := range out {
		heap.Remove(&l.ready, it.place)
		it.busy, it.dirty = true, false
		l.busy++
	}
	return out
}

// result says what becomes of an item.
type result struct {
	// again: there is more to do, as soon as the lane allows.
	again bool
	// wait before the item is taken up again.
	wait time.Duration
	// neutral says nothing about the provider's health.
	neutral bool
	// failed: the provider failed; try again after a pause that grows.
	failed bool
	// pause that the provider asked for.
	pause time.Duration
}

const (
	firstPause = time.Second
	itemPause  = time.Minute
	lanePause  = 30 * time.Second
)

// finish puts an item back or lets it go.
func (l *lane) finish(it *item, r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	it.busy = false
	now := l.now()
	switch {
	case r.pause > 0:
		l.provider.pause(now.Add(r.pause))
	case r.failed:
		l.failures++
		it.attempts++
		l.until = now.Add(backoff(l.failures, lanePause))
		it.notBefore = now.Add(backoff(it.attempts, itemPause))
	case r.wait > 0:
		it.notBefore = now.Add(r.wait)
	case !r.neutral:
		l.failures, it.attempts, l.until = 0, 0, time.Time{}
	}
	if !r.again && !r.failed && r.pause == 0 && !it.dirty {
		delete(l.items, delivery{it.wake.Incident, it.wake.Target})
		close(it.done)
	} else if it.notBefore.After(now) {
		l.delayed = append(l.delayed, it)
	} else {
		heap.Push(&l.ready, it)
	}
	l.poke()
}

// hasRoomAgain reports, once, that wake-ups were turned away and may come back.
func (l *lane) hasRoomAgain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.overflow || len(l.items) > laneFull/2 {
		return false
	}
	l.overflow = false
	return true
}

// backoff doubles from firstPause up to limit, with a quarter of jitter.
func backoff(n int, limit time.Duration) time.Duration {
	d := limit
	if n < 20 {
		d = min(limit, firstPause<<(n-1))
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
