package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-oncall/tocsin"
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
		fmt.Fprintln(w, "               there was not the time to read more, and older ones are not counted; ask again: what was read is remembered")
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
