package notifiers

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// sweepMost bounds the wake-ups of one sweep.
const sweepMost = 2000

// Run works off the lanes until ctx ends, and then waits for the calls under
// way to return, at most a few seconds. It sweeps at once: what lags then was
// left by a process before this one, which may have posted it.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.mu.Lock()
	d.run = ctx
	d.mu.Unlock()
	strays := d.inherit()
	tick := time.NewTicker(d.o.SweepEvery)
	defer tick.Stop()
	defer d.end()
	d.Wake(strays)
	last := map[delivery]bool{}
	last = d.sweep(last)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-d.soon:
			// A lane turned these away itself: no waker has lost them.
			last = map[delivery]bool{}
		}
		last = d.sweep(last)
	}
}

// end waits for the work under way. Whoever was about to begin some has begun it
// when the lock is had, or sees that it is too late.
func (d *Dispatcher) end() {
	d.mu.Lock()
	d.run = nil
	d.mu.Unlock()
	d.work.Wait()
}

func (d *Dispatcher) sweepSoon() {
	select {
	case d.soon <- struct{}{}:
	default:
	}
}

// inherit flags what lags at the start: its messages may be there. It returns
// what was stopped before anybody could know: that does not lag.
func (d *Dispatcher) inherit() (strays []tocsin.Wake) {
	d.o.Store.Live(func(inc *tocsin.Incident) bool {
		for i := range inc.Deliveries {
			del := &inc.Deliveries[i]
			if stray(del) && !del.Failed {
				strays = append(strays, tocsin.Wake{Incident: inc.ID, Target: del.Target, Severity: inc.Severity})
			} else if !del.Lags(inc) {
				continue
			}
			d.flag(delivery{inc.ID, del.Target}, true)
		}
		return true
	})
	return strays
}

// sweep wakes what lags and waits in no lane. What the sweep before woke
// already and still nobody holds is handled here: the waker has lost it.
func (d *Dispatcher) sweep(before map[delivery]bool) map[delivery]bool {
	var pass, here []tocsin.Wake
	woken := map[delivery]bool{}
	wakes := d.o.Store.Lagging(d.o.Now())
	slices.SortStableFunc(wakes, func(a, b tocsin.Wake) int { return cmp.Compare(b.Severity.Rank(), a.Severity.Rank()) })
	for _, w := range wakes {
		if len(woken) >= sweepMost {
			break
		}
		k := delivery{w.Incident, w.Target}
		if d.holds(k) {
			continue
		}
		woken[k] = true
		if before[k] || d.o.Waker == nil {
			here = append(here, w)
		} else {
			pass = append(pass, w)
		}
	}
	if len(pass) > 0 {
		if err := d.o.Waker.Wake(pass); err != nil {
			here = append(here, pass...)
		}
	}
	d.Wake(here)
	return woken
}

func (d *Dispatcher) holds(k delivery) bool {
	d.mu.Lock()
	t, ok := d.targets[k.target]
	l := d.lanes[t.Lane]
	d.mu.Unlock()
	return ok && l != nil && l.holds(k)
}
