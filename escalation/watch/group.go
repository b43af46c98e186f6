package watch

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// patience is how long one user group may take to be brought in step.
const patience = 20 * time.Second

// syncGroups brings the user groups in step with their schedules. Where one
// cannot be, the next look begins behind it, so that it holds up no shift and no
// other group.
func (w *Watch) syncGroups(ctx context.Context, plan *Plan, overrides []tocsin.Override, now time.Time) {
	n := len(plan.Schedules)
	for i := range n {
		at := (w.first + i) % n
		if !w.syncGroup(ctx, plan, &plan.Schedules[at], overrides, now) {
			w.first = (at + 1) % n
			return
		}
	}
}

// syncGroup makes the user group those who are on call, and reports whether it
// is. It is never emptied: in a gap, those of before stay.
func (w *Watch) syncGroup(ctx context.Context, plan *Plan, s *Schedule, overrides []tocsin.Override, now time.Time) bool {
	if s.Group == nil {
		return true
	}
	var want []string
	for _, sh := range s.At(overrides, now) {
		if id := plan.Slack[sh.User]; id != "" && !sh.Shadow && !slices.Contains(want, id) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if len(want) == 0 || slices.Equal(want, w.groups[s.Name()]) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	members, err := s.Group.Members(ctx)
	if err == nil {
		slices.Sort(members)
		if !slices.Equal(members, want) {
			err = s.Group.Set(ctx, want)
		}
	}
	if err != nil {
		w.metrics.groupErrors.Inc()
		w.o.Logger.Warn("a Slack user group does not follow its schedule; tried again soon", "schedule", s.Name(), "error", err)
		return false
	}
	w.groups[s.Name()] = want
	return true
}
