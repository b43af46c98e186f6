package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/trace"
)

type whyCmd struct {
	ID string `arg:"" help:"The incident."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (whyCmd) Help() string {
	return "Every decision from what came in to what the providers said, and what was not sent.\n\n" +
		"Example: tocsin why k7f3q9"
}

// Run prints the decisions on an incident's way.
func (c *whyCmd) Run(ctx context.Context, e *env) error {
	reasons, err := c.client().Why(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(e.out, reasons, func(w io.Writer) {
		for _, r := range reasons {
			at := ""
			if !r.At.IsZero() {
				at = stamp(r.At)
			}
			fmt.Fprintf(w, "%-11s  %-20s  %-7s  %s%s\n", r.Stage, at, r.End, printable(r.Text), whyFoot(&r))
		}
	})
}

// whyFoot is by whom and by what it was decided.
func whyFoot(r *tocsin.Reason) string {
	foot := ""
	if r.By != "" {
		foot += " by " + printable(r.By)
	}
	if r.Where != "" {
		foot += " [" + printable(r.Where) + "]"
	}
	return foot
}

// why is every decision on an incident's way.
func (a *App) why(ctx context.Context, id string) ([]tocsin.Reason, error) {
	inc, err := a.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	m := trace.Material{Incident: inc, Ahead: a.engine.Ahead(inc), Shifts: map[string][]tocsin.Shift{}}
	if m.Alerts, err = a.store.AlertsOf(ctx, id, trace.Alerts); err != nil {
		return nil, err
	}
	if m.Timeline, err = a.store.Timeline(ctx, id, 0, trace.Events); err != nil {
		return nil, err
	}
	if len(m.Alerts) > 0 {
		for _, r := range a.router.Rules().Explain(&m.Alerts[0].Alert, inc.OpenedAt).Routes {
			m.Rules = append(m.Rules, trace.Rule{Pos: r.Pos, Matchers: r.Matchers, Receiver: r.Receiver})
		}
	}
	if inc.Escalation == nil {
		return trace.Of(&m), nil
	}
	for _, r := range inc.Escalation.Responders {
		shifts, err := a.engine.Shifts(ctx, tocsin.ShiftQuery{User: r.User, From: r.At, To: r.At})
		if errors.Is(err, tocsin.ErrNotFound) {
			continue // somebody who is not in the configuration any more was on call by one that is gone
		}
		if err != nil {
			return nil, err
		}
		m.Shifts[r.User] = shifts
	}
	return trace.Of(&m), nil
}
