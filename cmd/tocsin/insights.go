package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
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

func printInsights(out io.Writer, in *tocsin.Insights) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Incidents\t%d\t%s to %s\n", in.Incidents, stamp(in.From), stamp(in.To))
	for _, s := range []struct {
		name string
		of   tocsin.Spread
	}{{"Acknowledged", in.Acknowledge}, {"Resolved", in.Resolve}} {
		fmt.Fprintf(w, "%s\t%d\tmedian %s, 90 %% within %s\n", s.name, s.of.Count, seconds(s.of.Median), seconds(s.of.P90))
	}
	fmt.Fprintf(w, "Acknowledged without action\t%d\n", in.Idle.Count)
	fmt.Fprintf(w, "Resolved by themselves under 5 minutes\t%d\n", in.Brief.Count)
	nights := map[string]int{}
	for _, t := range in.Nights {
		nights[t.Name] = t.Count
	}
	if len(in.Pages) > 0 {
		fmt.Fprintln(w, "\nPERSON\tPAGES\tAT NIGHT")
	}
	for _, t := range in.Pages {
		fmt.Fprintf(w, "%s\t%d\t%d\n", printable(t.Name), t.Count, nights[t.Name])
	}
	if len(in.Rules) > 0 {
		fmt.Fprintln(w, "\nRULE\tINCIDENTS")
	}
	for _, t := range in.Rules {
		fmt.Fprintf(w, "%s\t%d\n", printable(t.Name), t.Count)
	}
	_ = w.Flush() // of a terminal that has gone
	if in.Cut {
		fmt.Fprintln(out, "\nThere was not the time to read more, and older ones are not counted; ask again: what was read is remembered.")
	}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}
