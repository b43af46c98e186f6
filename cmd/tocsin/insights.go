package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/insights"
)

type insightsCmd struct {
	Weeks int `default:"4" help:"How far back, up to 53."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (insightsCmd) Help() string {
	return "How long it took, who was called, at night too, and what was for nothing.\n\n" +
		"Example: tocsin insights --weeks 4"
}

// Run prints what paging costs, and what it brings.
func (c *insightsCmd) Run(ctx context.Context, e *env) error {
	if c.Weeks < 1 || c.Weeks > 53 {
		return wrongUse("--weeks: want 1 to 53")
	}
	in, err := c.client().Insights(ctx, c.Weeks)
	if err != nil {
		return err
	}
	return c.print(e.out, in, func(w io.Writer) { printInsights(w, &in) })
}

func printInsights(w io.Writer, in *tocsin.Insights) {
	fmt.Fprintf(w, "incidents:     %d, from %s to %s\n", in.Incidents, stamp(in.From), stamp(in.To))
	if in.Cut {
		fmt.Fprintln(w, "               there was not the time to read more: older ones are not counted")
	}
	for _, s := range []struct {
		name string
		of   tocsin.Spread
	}{{"acknowledged:", in.Acknowledge}, {"resolved:", in.Resolve}} {
		fmt.Fprintf(w, "%-14s %d, median %s, 90 %% within %s\n", s.name, s.of.Count, seconds(s.of.Median), seconds(s.of.P90))
	}
	fmt.Fprintf(w, "idle:          %d acknowledged, and nothing done\n", in.Idle.Count)
	fmt.Fprintf(w, "brief:         %d ended by themselves within 5 minutes\n", in.Brief.Count)
	for _, l := range []struct {
		name string
		of   []tocsin.Tally
	}{{"pages:", in.Pages}, {"night pages:", in.Nights}, {"rules:", in.Rules}} {
		for _, t := range l.of {
			fmt.Fprintf(w, "%-14s %d %s\n", l.name, t.Count, printable(t.Name))
		}
	}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

// insightRows is how many incidents are listed at a time.
const insightRows = 500

// insights counts the incidents that were opened in [from, to), the newest first,
// until ctx is nearly over.
func (a *App) insights(ctx context.Context, from, to time.Time) (tocsin.Insights, error) {
	var cases []insights.Case
	f := tocsin.Filter{Archived: true, Limit: insightRows}
	for {
		list, err := a.store.List(ctx, f)
		for _, inc := range list {
			var c insights.Case
			if err == nil && !inc.OpenedAt.Before(from) {
				c, err = a.insightCase(ctx, inc)
			}
			switch {
			case err != nil: // handled below
			case inc.OpenedAt.Before(from):
				return insights.Of(cases, from, to, a.zoneOf), nil
			default:
				cases = append(cases, c)
			}
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return a.cutInsights(cases, to), nil
		case err != nil:
			return tocsin.Insights{}, err
		case len(list) < insightRows:
			return insights.Of(cases, from, to, a.zoneOf), nil
		}
		last := list[len(list)-1]
		f.OpenedBefore, f.BeforeID = last.OpenedAt, last.ID
	}
}

// cutInsights counts what was read before the time was over.
func (a *App) cutInsights(cases []insights.Case, to time.Time) tocsin.Insights {
	from := to
	if len(cases) > 0 {
		from = cases[len(cases)-1].Incident.OpenedAt
	}
	in := insights.Of(cases, from, to, a.zoneOf)
	in.Cut = true
	return in
}

// insightEvents is how much of a timeline is counted, the newest.
const insightEvents = 1000

func (a *App) insightCase(ctx context.Context, inc *tocsin.Incident) (insights.Case, error) {
	c := insights.Case{Incident: inc}
	if err := ctx.Err(); err != nil {
		return c, err
	}
	alerts, err := a.store.AlertsOf(ctx, inc.ID, 1)
	if err != nil && !errors.Is(err, tocsin.ErrNotFound) {
		return c, err
	}
	if len(alerts) > 0 {
		c.Rule = alerts[0].Name()
	}
	c.Timeline, err = a.store.Timeline(ctx, inc.ID, 0, insightEvents)
	if errors.Is(err, tocsin.ErrNotFound) {
		err = nil // the retention has just taken it
	}
	return c, err
}
