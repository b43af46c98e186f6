package router

import "context"

// Sweep is one sweep, as Run does it.
func (r *Router) Sweep(ctx context.Context) error {
	if err := r.sweepIncidents(ctx); err != nil {
		return err
	}
	return r.sweepSilences(ctx)
}

// SweepIncidents is that part of a sweep.
func (r *Router) SweepIncidents(ctx context.Context) error { return r.sweepIncidents(ctx) }

// SweepAlerts is that part of a sweep.
func (r *Router) SweepAlerts(ctx context.Context) error { return r.sweepAlerts(ctx) }

// Redecide is what a reload asks of the sweep.
func (r *Router) Redecide(ctx context.Context) error { return r.redecide(ctx) }

// MatchersHeld is how many silences' matchers are held.
func (r *Router) MatchersHeld() int {
	n := 0
	r.matchers.compiled.Range(func(any, any) bool {
		n++
		return true
	})
	return n
}
