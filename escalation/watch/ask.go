package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Brief returns the handoff brief as it would be told now: of one schedule, with
// who is on call there, or of all where schedule is empty. It returns
// tocsin.Invalid for a schedule that does not exist.
func (w *Watch) Brief(ctx context.Context, schedule string) (string, error) {
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
		if schedule != "" && s.Name() != schedule {
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
	var silences []tocsin.Silence
	if err := w.o.Store.Update(ctx, func(tx tocsin.Tx) error { silences = tx.Silences(); return nil }); err != nil {
		return "", err
	}
	return head.String() + brief(openOf(w.o.Store), silences, w.progress(ctx), now, to), nil
}
