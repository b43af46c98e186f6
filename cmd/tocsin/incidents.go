package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

type incidentsCmd struct {
	ID    string `arg:"" optional:"" help:"The incident to show; without it, all live ones are listed."`
	All   bool   `help:"List the archived ones too."`
	State string `help:"List only these: triggered, acknowledged, resolved; several with commas."`
	// Filter is as the API calls it; what it holds are matchers.
	Filter   []string        `sep:"none" placeholder:"MATCHER" help:"List only those of which an alert matches: severity=\"critical\", or several with commas; may be repeated."`
	Team     string          `placeholder:"TEAM" help:"List only those that a team is told of."`
	Mine     bool            `help:"List only those that call you, or that are yours, as the API token names you."`
	Severity tocsin.Severity `placeholder:"SEVERITY" help:"List only those that are at least this severe: critical, error, warning, info."`
	Limit    int             `default:"100" help:"The most to list."`
	Watch    bool            `help:"List them again whenever something changes, until Ctrl-C."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (incidentsCmd) Help() string {
	return "Example: tocsin incidents --watch\n\nExample: tocsin incidents --team db --filter 'region=\"eu\"'\n\nExample: tocsin incidents k7f3q9"
}

// Validate refuses what would be left out silently.
func (c *incidentsCmd) Validate() error {
	if c.Watch && c.ID != "" {
		return errors.New("--watch follows the list: leave out the incident, or --watch")
	}
	return nil
}

// Run lists incidents or shows one.
func (c *incidentsCmd) Run(ctx context.Context, e *env) error {
	if c.ID != "" {
		return c.show(ctx, e)
	}
	q := client.IncidentQuery{Limit: c.Limit, Archived: c.All, Matchers: c.Filter, Team: c.Team, Mine: c.Mine, Severity: c.Severity}
	if c.State != "" {
		q.States = []tocsin.State{tocsin.State(c.State)} // several with commas are the server's to take apart
	}
	if c.Watch {
		return c.watch(ctx, e, q)
	}
	list, err := c.client().Incidents(ctx, q)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(e.out, list)
	}
	if len(list.Incidents) == 0 {
		_, err := fmt.Fprintln(e.out, "no incidents"+c.elsewhere())
		return err
	}
	writeIncidents(e.out, "", list.Incidents)
	return nil
}

// elsewhere says where there may be more than an empty list has.
func (c *incidentsCmd) elsewhere() string {
	if c.All {
		return ""
	}
	return "; --all looks among those that are over, too"
}

func (c *incidentsCmd) show(ctx context.Context, e *env) error {
	d, err := c.client().Incident(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(e.out, d)
	}
	printIncident(e.out, d, time.Now())
	return nil
}

func printIncident(w io.Writer, d client.Incident, now time.Time) {
	inc := d.Incident
	fmt.Fprintf(w, "%s  %s  %s  %s\n", inc.ID, stateOf(inc), inc.Severity, printable(inc.Title))
	fmt.Fprintf(w, "  opened %s (%s ago), %d of %d alerts fire\n", stamp(inc.OpenedAt), ago(inc.OpenedAt), inc.Firing, inc.Alerts)
	fmt.Fprintf(w, "  routed by %s to %s\n", inc.Route, strings.Join(inc.Receivers, ", "))
	printOwner(w, inc, now)
	if inc.Suppression != nil {
		fmt.Fprintf(w, "  pages nobody: %s\n", inc.Suppression.Text)
	}
	if inc.Muted != "" {
		fmt.Fprintf(w, "  pages nobody: muted by time interval %s\n", inc.Muted)
	}
	printResponders(w, inc)
	printAhead(w, d.Ahead, now)
	fmt.Fprintln(w, "\nAlerts")
	for _, a := range d.Alerts {
		status := "resolved"
		if a.State.Firing {
			status = "firing"
		}
		fmt.Fprintf(w, "  %-8s  %s\n", status, printable(a.Labels.String()))
		if a.State.Suppression != nil {
			fmt.Fprintf(w, "            %s\n", printable(a.State.Suppression.Text))
		}
	}
	fmt.Fprintln(w, "\nDeliveries")
	for i := range inc.Deliveries {
		fmt.Fprintf(w, "  %s\n", deliveryLine(inc, &inc.Deliveries[i]))
	}
	fmt.Fprintln(w, "\nTimeline")
	for _, ev := range d.Timeline {
		fmt.Fprintf(w, "  %s  %-16s %s\n", stamp(ev.At), cmp.Or(ev.Target, string(ev.Kind)), printable(said(&ev)))
	}
	if d.Runbook != nil {
		fmt.Fprintln(w)
		printWork(w, d.Runbook, d.Progress)
	}
}

// printOwner says who has the incident, and for how long.
func printOwner(w io.Writer, inc *tocsin.Incident, now time.Time) {
	if inc.AcknowledgedBy != "" {
		fmt.Fprintf(w, "  acknowledged by %s at %s\n", printable(inc.AcknowledgedBy), stamp(inc.AcknowledgedAt))
	}
	if inc.State == tocsin.Resolved && inc.ResolvedBy != "" {
		fmt.Fprintf(w, "  resolved by %s at %s\n", printable(inc.ResolvedBy), stamp(inc.ResolvedAt))
	}
	if inc.MergedInto != "" {
		fmt.Fprintf(w, "  pages nobody: merged into %s\n", inc.MergedInto)
	}
	if e := inc.Escalation; e != nil && !e.SnoozedUntil.IsZero() {
		fmt.Fprintf(w, "  snoozed until %s (%s)\n", stamp(e.SnoozedUntil), in(e.SnoozedUntil, now))
	}
}

// printResponders says who was called, when, and who has answered.
func printResponders(w io.Writer, inc *tocsin.Incident) {
	if inc.Escalation == nil || len(inc.Escalation.Responders) == 0 {
		return
	}
	fmt.Fprintln(w, "\nResponders")
	for _, r := range inc.Escalation.Responders {
		line := fmt.Sprintf("  %-12s called %s", printable(r.User), stamp(r.At))
		if r.Calls > 1 {
			line += fmt.Sprintf(" (the last of %d times)", r.Calls)
		}
		switch {
		case !r.Acknowledged.IsZero():
			line += ", answered " + stamp(r.Acknowledged)
		case r.Unreachable:
			line += ", cannot be reached"
		case r.Must:
			line += ", has not answered and must"
		default:
			line += ", has not answered"
		}
		fmt.Fprintln(w, line)
	}
}

// printAhead says what happens next, and when.
func printAhead(w io.Writer, ahead []tocsin.Ahead, now time.Time) {
	if len(ahead) == 0 {
		return
	}
	fmt.Fprintln(w, "\nAhead, if nobody answers")
	for _, a := range ahead {
		fmt.Fprintf(w, "  %s %s (%s)\n", clockTime(a.At, now), printable(a.Text), in(a.At, now))
	}
}

// clockTime is the time of day, with the date where it is not today's.
func clockTime(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("Mon 2006-01-02 15:04")
}

func deliveryLine(inc *tocsin.Incident, d *tocsin.Delivery) string {
	switch {
	case d.Failed:
		return fmt.Sprintf("%s  failed: %s", d.Target, printable(d.Error))
	case d.Lags(inc) && d.Error != "":
		return fmt.Sprintf("%s  queued since %s, tried %s: %s", d.Target, stamp(d.Since), plural(int(d.Attempts), "time"), printable(d.Error))
	case d.Lags(inc) && d.Ref == "":
		return fmt.Sprintf("%s  queued since %s", d.Target, stamp(d.Since))
	case d.Lags(inc):
		return fmt.Sprintf("%s  an update is queued since %s", d.Target, stamp(d.Since))
	case d.Stopped && d.Ref == "":
		return d.Target + "  stopped: somebody answered"
	case d.DeliveredAt.IsZero():
		return d.Target + "  nothing to tell"
	default:
		return fmt.Sprintf("%s  sent, up to date since %s; known there as %s", d.Target, stamp(d.DeliveredAt), cmp.Or(printable(d.Ref), "nothing"))
	}
}

func stateOf(inc *tocsin.Incident) string {
	s := string(inc.State)
	if inc.Open() && inc.Quiet() {
		s += " (suppressed)"
	}
	if inc.Flapping {
		s += " (flapping)"
	}
	return s
}

// printable keeps alert text from moving the cursor or forging lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// said is what an event says; of a note also who wrote it.
func said(e *tocsin.Event) string {
	if e.Kind == tocsin.EventNote && e.Actor != "" {
		return e.Actor + ": " + e.Text
	}
	return e.Text
}
