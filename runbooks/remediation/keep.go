package remediation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// enforce looks at the kill switch, and at what was cancelled, for as long as
// something is being executed.
func (e *Engine) enforce(ctx context.Context) {
	for {
		if e.executing() {
			if !sleep(ctx, glance) {
				return
			}
		} else {
			select {
			case <-ctx.Done():
				return
			case <-e.busy:
			}
		}
		e.glance(ctx)
	}
}

func (e *Engine) executing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running) > 0
}

// glance ends what may not go on.
func (e *Engine) glance(ctx context.Context) {
	docs, version, err := e.o.Store.Documents(ctx, KindSwitch)
	if err != nil {
		return
	}
	held := readStops(docs, version)
	x, err := e.committed(ctx)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for run := range e.running {
		if r := x.find(run.id); r != nil && r.Killed != "" {
			run.stop(stoppedBy{r.Killed})
		}
		for _, name := range []string{everything, run.remedy} {
			if s := held[name]; s.Stopped {
				run.stop(stoppedBy{s.By})
			}
		}
	}
}

// heldBack is why nothing may be executed: who holds it.
type heldBack string

func (h heldBack) Error() string { return string(h) }

// held is a heldBack while the kill switch holds a remedy.
func (e *Engine) held(ctx context.Context, remedy string) error {
	docs, version, err := e.o.Store.Documents(ctx, KindSwitch)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	if who := readStops(docs, version).held(remedy); who != "" {
		return heldBack(who)
	}
	return nil
}

// renew says again and again which remediations are at work here.
func (e *Engine) renew(ctx context.Context) {
	for sleep(ctx, renew) {
		e.mu.Lock()
		owners := make(map[string]string, len(e.carried))
		for id, c := range e.carried {
			owners[id] = c.owner
		}
		e.mu.Unlock()
		if len(owners) == 0 {
			continue
		}
		if err := e.renewAll(ctx, owners); err != nil && ctx.Err() == nil {
			e.o.Logger.Warn("leases could not be renewed; tried again soon", "error", err)
		}
	}
}

func (e *Engine) renewAll(ctx context.Context, owners map[string]string) error {
	var lost []string
	err := e.write(ctx, func(l *ledger) error {
		lost = nil
		for id, owner := range owners {
			r := l.all().find(id)
			switch {
			case r == nil:
			case r.State == tocsin.RemediationApproved, r.active() && r.Owner == owner:
				r = r.clone()
				r.Until = l.now.Add(lease)
				if err := l.put(r); err != nil {
					return err
				}
			default:
				lost = append(lost, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for run := range e.running {
		if slices.Contains(lost, run.id) && run.owner == owners[run.id] {
			run.stop(errLost)
		}
	}
	return nil
}

// sweepAll finds what no call announces, until ctx ends.
func (e *Engine) sweepAll(ctx context.Context) {
	for {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.o.Logger.Warn("remediations could not be looked through; tried again soon", "error", err)
		}
		if !sleep(ctx, look) {
			return
		}
	}
}

// chunk bounds one transaction, so that intake never waits long behind it.
const chunk = 100

func (e *Engine) sweep(ctx context.Context) error {
	now := e.o.Now()
	changed, live := e.changedSince(ctx, now)
	x, err := e.committed(ctx)
	if err != nil {
		e.all.Store(true)
		return err
	}
	var due, owed []string
	x.each(func(r *record) bool {
		free := r.loose(now) && !e.carries(r.ID)
		switch r.State {
		case tocsin.RemediationProposed:
			if _, known := changed[r.Incident]; known || !live[r.Incident] || r.expired(now) {
				due = append(due, r.ID)
			}
		case tocsin.RemediationApproved:
			if free {
				e.carry.push(r.ID)
			}
		case tocsin.RemediationStarted, tocsin.RemediationRollingBack:
			if free {
				due = append(due, r.ID)
			}
		case tocsin.RemediationVerifying:
			if free {
				e.carry.push(r.ID)
			}
		}
		if r.Page != nil && now.Sub(r.EndedAt) >= look {
			owed = append(owed, r.ID)
		}
		return true
	})
	var errs []error
	for ids := range slices.Chunk(due, chunk) {
		errs = append(errs, e.settle(ctx, ids))
	}
	for _, id := range owed {
		e.sendPage(ctx, id)
	}
	return errors.Join(append(errs, e.tidy(ctx, live, now))...)
}

// changedSince offers the incidents that have changed since the last sweep, and
// returns them, and all that are live.
func (e *Engine) changedSince(ctx context.Context, now time.Time) (changed map[string]struct{}, live map[string]bool) {
	all := e.all.Swap(false) || now.Before(e.swept)
	since := e.swept.Add(-look)
	e.swept = now
	changed, live = map[string]struct{}{}, map[string]bool{}
	e.o.Store.Live(func(inc *tocsin.Incident) bool {
		live[inc.ID] = true
		if all || !inc.ChangedAt.Before(since) {
			changed[inc.ID] = struct{}{}
		}
		return true
	})
	for id := range changed {
		e.Offer(ctx, id)
	}
	return changed, live
}

// settle ends what has expired, and decides about what was lost.
func (e *Engine) settle(ctx context.Context, ids []string) error {
	var again, told []string
	err := e.write(ctx, func(l *ledger) error {
		again, told = nil, nil
		for _, id := range ids {
			r, err := l.find(id)
			if err != nil || r == nil {
				continue
			}
			if err := e.settleOne(l, r); err != nil {
				return err
			}
			switch {
			case r.State == tocsin.RemediationApproved:
				again = append(again, id)
			case r.Page != nil:
				told = append(told, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range again {
		e.carry.push(id)
	}
	for _, id := range told {
		e.sendPage(ctx, id)
	}
	return nil
}

func (e *Engine) settleOne(l *ledger, r *record) error {
	m := e.rules.Load().byName[r.Remedy]
	lost := r.loose(l.now)
	switch {
	case r.State == tocsin.RemediationProposed:
		why := l.gone(r)
		switch {
		case why != "":
		case r.expired(l.now):
			why = "nobody approved it in time"
		case m.changed(r):
			why = "the remedy was changed since it was proposed"
		default:
			return nil
		}
		return l.end(r, tocsin.RemediationExpired, "", why)
	case r.State == tocsin.RemediationRollingBack && lost:
		return l.lose(r, "Tocsin was lost while it was rolled back")
	case r.State != tocsin.RemediationStarted || !lost:
		return nil
	case m != nil && m.spec.Idempotent && m.digest == r.Digest && len(r.Starts) < 2 && r.Killed == "":
		r.State, r.ExpiresAt, r.Until = tocsin.RemediationApproved, l.now.Add(m.spec.ApprovalExpiry), l.now.Add(lease)
		r.Owner = ""
		r.Round++
		return l.say(r, "", "Tocsin was lost in the middle; running it twice does no harm, so it is run once more")
	default:
		return l.lose(r, "Tocsin was lost in the middle: it may have run, and nobody saw the end")
	}
}
