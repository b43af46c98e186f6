package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Brief returns the handoff brief as it would be told now: of one schedule, with
// who is on call there, or of all where schedule is empty, and of those what asker
// may view. It returns tocsin.Invalid for a schedule that does not exist.
func (w *Watch) Brief(ctx context.Context, asker *tocsin.Principal, schedule string) (string, error) {
	now := w.o.Now()
	overrides, err := w.o.Roster.InForce(ctx)
	if err != nil {
		return "", err
	}
	var head strings.Builder
	to, found := now.Add(12*time.Hour), schedule == ""
	plan := w.plan.Load()
	for i := range plan.Schedules {
		s := &plan.Schedules[i]
		if schedule != "" && s.Name() != schedule || !asker.MayOn(tocsin.RightView, s.Name()) {
			continue
		}
		found = true
		sh := current(s, overrides, now)
		if schedule != "" {
			to = sh.To
		}
		who := sh.User
		if who == "" {
			who = "NOBODY"
		}
		fmt.Fprintf(&head, "%s is on call on %s until %s\n", who, s.Name(), stamp(sh.To, s))
	}
	if !found {
		return "", tocsin.Invalid("schedule", "schedule %q is not defined", schedule)
	}
	text, err := w.briefFor(ctx, asker, now, to)
	if err != nil {
		return "", err
	}
	return head.String() + text, nil
}

// briefFor is what somebody should know who is on call, of what they may view.
// Silences are no team's.
func (w *Watch) briefFor(ctx context.Context, who *tocsin.Principal, from, to time.Time) (string, error) {
	open := slices.DeleteFunc(openOf(w.o.Store), func(inc *tocsin.Incident) bool { return !who.MayIn(tocsin.RightView, inc) })
	if !who.May(tocsin.RightView) {
		if len(open) == 0 {
			return "Nothing of yours is open.", nil
		}
		return brief(open, nil, w.progress(ctx), from, to), nil
	}
	var silences []tocsin.Silence
	if err := w.o.Store.Update(ctx, func(tx tocsin.Tx) error { silences = tx.Silences(); return nil }); err != nil {
		return "", err
	}
	return brief(open, silences, w.progress(ctx), from, to), nil
}
