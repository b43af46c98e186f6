package router

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// sweepChunk bounds one transaction of the sweep, so that intake never
	// waits long behind it.
	sweepChunk = 200
	// staleEvery is how often alerts are looked through for stale ones.
	staleEvery = time.Minute
	// keepSilences is how long an expired silence stays, to explain the past.
	keepSilences = 5 * 24 * time.Hour
)

// Run applies what time alone decides, until ctx ends: the end of flapping,
// time intervals and silences that begin or end, alerts gone stale, incidents
// whose reopen window has passed. Errors are logged and tried again at the next
// sweep.
func (r *Router) Run(ctx context.Context) error {
	tick := time.NewTicker(r.o.SweepEvery)
	defer tick.Stop()
	r.again() // the configuration may have changed while we were down
	var lastStale time.Time
	for {
		var redo bool
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.redo:
			redo = true
		}
		now := r.o.Now()
		steps := []func(context.Context) error{r.sweepIncidents, r.sweepSilences}
		if redo {
			steps = append(steps, r.redecide)
		}
		if now.Sub(lastStale) >= staleEvery || now.Before(lastStale) {
			lastStale = now
			steps = append(steps, r.sweepAlerts)
		}
		for _, step := range steps {
			if err := step(ctx); err != nil && ctx.Err() == nil {
				r.o.Logger.Warn("sweep failed; the next one tries again", "error", err)
			}
		}
	}
}

// due reports whether time has something to change about the incident.
func (r *Rules) due(inc *tocsin.Incident, now time.Time) bool {
	if !inc.Open() {
		return r.archivable(inc, now)
	}
	if inc.Kind == tocsin.KindNotice {
		return false // it has its one target, and whoever opened it ends it
	}
	if inc.Flapping {
		return now.Sub(inc.Flips[len(inc.Flips)-1]) >= r.timing.FlapSettle
	}
	targets, muted := r.aim(inc, now)
	if inc.Firing == 0 && inc.Kind == tocsin.KindAlerts || muted != inc.Muted {
		return true
	}
	if inc.Quiet() {
		return false
	}
	return slices.ContainsFunc(targets, func(t Target) bool {
		d := inc.Delivery(t.Key)
		return d == nil || d.Stopped && d.User == ""
	})
}

// archivable reports whether a resolved incident is over for good: it cannot
// reopen, and everybody has been told.
func (r *Rules) archivable(inc *tocsin.Incident, now time.Time) bool {
	if inc.Open() || inc.Firing > 0 || now.Sub(inc.ResolvedAt) < r.timing.Reopen {
		return false
	}
	return !slices.ContainsFunc(inc.Deliveries, func(d tocsin.Delivery) bool { return d.Lags(inc) })
}

func (r *Router) sweepIncidents(ctx context.Context) error {
	rules, now := r.rules.Load(), r.o.Now()
	var ids []string
	r.o.Store.Live(func(inc *tocsin.Incident) bool {
		if rules.due(inc, now) {
			ids = append(ids, inc.ID)
		}
		return true
	})
	for chunk := range slices.Chunk(ids, sweepChunk) {
		err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			for _, id := range chunk {
				rules.sweepIncident(tx, id, input{now: now, escalator: r.o.Escalator})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) sweepIncident(tx tocsin.Tx, id string, in input) {
	inc := tx.Incident(id)
	if inc == nil || !r.due(inc, in.now) {
		return
	}
	if !inc.Open() {
		tx.Archive(id)
		return
	}
	l := log{inc: inc, now: in.now}
	r.finish(&l)
	l.events = append(l.events, in.escalate(tx, inc)...)
	tx.PutIncident(inc)
	tx.Append(l.events...)
}

// sweepSilences decides again when a silence has begun or ended, and drops
// those that ended long ago.
func (r *Router) sweepSilences(ctx context.Context) error {
	now := r.o.Now()
	all, err := r.Silences(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if now.Sub(s.EndsAt) > keepSilences {
			if err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
				if was := findSilence(tx, s.ID); was != nil {
					tx.Append(silenced(was, nil, "", "dropped: it ended long ago", now))
					tx.DeleteSilence(s.ID)
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	if was := r.silences.Load(); was != nil && *was == activeIDs(all, now) {
		return nil
	}
	return r.redecide(ctx)
}

func activeIDs(all []tocsin.Silence, now time.Time) string {
	var ids []string
	for _, s := range all {
		if s.Active(now) {
			ids = append(ids, s.ID+s.EndsAt.String()+strings.Join(s.Matchers, ","))
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// sweepAlerts closes alerts that were not heard of for too long, and forgets
// those that only ever were heard of as resolved.
func (r *Router) sweepAlerts(ctx context.Context) error {
	rules, now := r.rules.Load(), r.o.Now()
	var ids []tocsin.Key
	r.o.Store.AlertStates(func(s tocsin.AlertState) bool {
		if rules.stale(s, now) || rules.forgettable(s, now) {
			ids = append(ids, s.ID)
		}
		return true
	})
	for chunk := range slices.Chunk(ids, sweepChunk) {
		err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
			closeStale(tx, rules, chunk, input{now: now, escalator: r.o.Escalator})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) stale(s tocsin.AlertState, now time.Time) bool {
	return s.Firing && r.timing.Stale > 0 && now.Sub(s.SeenAt) >= r.timing.Stale
}

// forgettable alerts belong to no incident and are too old to make a message
// late.
func (r *Rules) forgettable(s tocsin.AlertState, now time.Time) bool {
	return s.Incident == "" && now.Sub(s.ChangedAt) >= r.timing.Late
}

// closeStale ends alerts as their sender would have, had it not gone away.
func closeStale(tx tocsin.Tx, rules *Rules, ids []tocsin.Key, in input) {
	now := in.now
	d := &decision{tx: tx, rules: rules, in: in}
	for _, id := range ids {
		old, ok := tx.Alert(id)
		if !ok {
			continue
		}
		if rules.forgettable(old, now) {
			tx.Forget(id)
			continue
		}
		if !rules.stale(old, now) {
			continue
		}
		state := old
		state.Firing, state.EndsAt, state.ChangedAt, state.Suppression = false, now, now, nil
		tx.PutAlert(state, nil)
		if w := d.load(old.Incident); w != nil {
			w.inc.Count(old, state, now)
			w.stale++
			d.changed = append(d.changed, changed{state: state, work: w})
		}
	}
	for _, c := range d.changed {
		d.suppress(c)
	}
	for _, w := range d.work {
		d.settle(w)
	}
}

// redecide looks at every firing alert anew: its index keys, and whether it is
// silenced or inhibited. It reads the alerts' texts outside the transactions
// that write what changed.
func (r *Router) redecide(ctx context.Context) error {
	rules, now := r.rules.Load(), r.o.Now()
	all, err := r.Silences(ctx)
	if err != nil {
		return err
	}
	var firing []tocsin.AlertState
	everything := len(all) > 0 || len(rules.inhibit) > 0
	r.o.Store.AlertStates(func(s tocsin.AlertState) bool {
		if s.Firing && (everything || s.Suppression != nil || len(s.Index) > 0) {
			firing = append(firing, s)
		}
		return true
	})
	for chunk := range slices.Chunk(firing, sweepChunk) {
		if err := r.redecideChunk(ctx, rules, chunk, now); err != nil {
			return err
		}
	}
	ids := activeIDs(all, now)
	r.silences.Store(&ids)
	return nil
}

func (r *Router) redecideChunk(ctx context.Context, rules *Rules, chunk []tocsin.AlertState, now time.Time) error {
	records := make([]tocsin.AlertRecord, 0, len(chunk))
	for _, s := range chunk {
		rec, err := r.o.Store.Alert(ctx, s.ID)
		if err != nil {
			continue // resolved and archived meanwhile
		}
		records = append(records, rec)
	}
	return r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		d := &decision{tx: tx, rules: rules, quiet: r.matchers.active(tx.Silences(), now), in: input{now: now, escalator: r.o.Escalator}}
		for i := range records {
			d.redecide(&records[i].Alert, records[i].State.ID)
		}
		for _, w := range d.work {
			d.settle(w)
		}
		return nil
	})
}

func (d *decision) redecide(a *tocsin.Alert, id tocsin.Key) {
	s, ok := d.tx.Alert(id)
	if !ok || !s.Firing {
		return
	}
	if keys := d.rules.indexKeys(a); !slices.Equal(keys, s.Index) {
		s.Index = keys
		d.tx.PutAlert(s, nil)
	}
	if why := d.suppression(a, s); !why.Same(s.Suppression) {
		d.mark(s, why)
	}
	d.suppress(changed{state: s})
}
