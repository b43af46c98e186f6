package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

type remediateCmd struct {
	List    remediateListCmd   `cmd:"" default:"withargs" help:"List the runs of remedies, the newest first."`
	Show    remediateShowCmd   `cmd:"" help:"Show one run, with its output."`
	Plan    remediatePlanCmd   `cmd:"" help:"Say what remedies would do for an incident, without doing it."`
	Run     remediateRunCmd    `cmd:"" help:"Run a remedy for an incident, or ask for its approval."`
	Approve approveCmd         `cmd:"" help:"Approve a run."`
	Deny    denyCmd            `cmd:"" help:"Deny a run."`
	Stop    remediateStopCmd   `cmd:"" help:"Hold a remedy, or all of them, at once."`
	Resume  remediateResumeCmd `cmd:"" help:"Let a remedy, or all of them, run again."`
	Sandbox sandboxReportCmd   `cmd:"" help:"Say what this machine offers to hold remedies with."`
}

// remedyFlags belong to all commands that do something with remedies.
type remedyFlags struct {
	By string `help:"Who acts, where the server has no token to tell it by. Default: your login."`
	outputFlag
	clientFlags
}

// runLine says in a line how a run stands.
func runLine(r *tocsin.Remediation) string {
	s := fmt.Sprintf("%s  %s of %s for incident %s: %s", r.ID, printable(r.Remedy), printable(r.Target), r.Incident, word(string(r.State)))
	if r.State == tocsin.RemediationProposed && r.Needs > 0 {
		s += fmt.Sprintf(", %d of %d approvals", len(r.Approvals), r.Needs)
	}
	if r.Why != "" {
		s += ": " + printable(r.Why)
	}
	return s
}

// word is a state as it is said: "rolled back".
func word(state string) string { return strings.ReplaceAll(state, "_", " ") }

type remediateListCmd struct {
	Incident string `arg:"" optional:"" help:"Of this incident alone."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (remediateListCmd) Help() string { return "Example: tocsin remediate list k7f3q9" }

// Run lists.
func (c *remediateListCmd) Run(ctx context.Context, e *env) error {
	list, err := c.client().Remediations(ctx, c.Incident)
	if err != nil {
		return err
	}
	return c.print(e.out, map[string]any{"remediations": list}, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "No remedy has been proposed or run. tocsin remediate plan ID says which there are for an incident.")
			return
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tREMEDY\tTARGET\tINCIDENT\tSTATE\tSINCE\tWHY")
		for i := range list {
			r := &list[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, printable(r.Remedy), printable(r.Target), r.Incident, word(string(r.State)),
				stamp(r.ProposedAt), printable(r.Why))
		}
		_ = t.Flush()
	})
}

type remediateShowCmd struct {
	ID string `arg:"" help:"The run."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (remediateShowCmd) Help() string { return "Example: tocsin remediate show r5t8n1" }

// Run shows one.
func (c *remediateShowCmd) Run(ctx context.Context, e *env) error {
	a, err := c.client().Remediation(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.print(e.out, a, func(w io.Writer) { showRun(w, &a) })
}

func showRun(w io.Writer, a *client.Run) {
	r := &a.Remediation
	fmt.Fprintln(w, runLine(r))
	for _, a := range r.Argv {
		fmt.Fprintf(w, "  argument     %q\n", a)
	}
	for _, l := range r.Log {
		by := ""
		if l.By != "" {
			by = " (" + printable(l.By) + ")"
		}
		fmt.Fprintf(w, "  %s  %-12s %s%s\n", stamp(l.At), word(string(l.State)), printable(l.Text), by)
	}
	if r.Sandbox != "" {
		fmt.Fprintln(w, "Held by", printable(r.Sandbox))
	}
	if a.Output == "" {
		return
	}
	fmt.Fprintf(w, "\nOutput (%d bytes, exit %d)\n", r.OutputBytes, r.Exit)
	for line := range strings.SplitSeq(strings.TrimRight(a.Output, "\n"), "\n") {
		fmt.Fprintln(w, "  "+printable(line))
	}
}

type remediatePlanCmd struct {
	ID     string `arg:"" help:"The incident."`
	Remedy string `arg:"" optional:"" help:"This remedy alone."`
	Target string `help:"What to act on, where there is more than one."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (remediatePlanCmd) Help() string { return "Example: tocsin remediate plan k7f3q9" }

// Run says what would be done.
func (c *remediatePlanCmd) Run(ctx context.Context, e *env) error {
	plans, err := c.client().Plan(ctx, c.ID, c.Remedy, c.Target)
	if err != nil {
		return err
	}
	return c.print(e.out, map[string]any{"plans": plans}, func(w io.Writer) {
		if len(plans) == 0 {
			fmt.Fprintln(w, "No remedy is for an alert of this incident.")
		}
		for i := range plans {
			showPlan(w, &plans[i])
		}
	})
}

func showPlan(w io.Writer, p *tocsin.RemedyPlan) {
	fmt.Fprintf(w, "%s of %s\n", printable(p.Remedy), printable(p.Target))
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-12s %s\n", what, printable(text))
		}
	}
	line("matched", strings.Join(p.Matched, ", "))
	for _, a := range p.Argv {
		line("argument", fmt.Sprintf("%q", a))
	}
	for _, v := range p.Environment {
		line("environment", v)
	}
	line("stdin", p.Stdin)
	line("precheck", p.Precheck)
	line("budget", p.Budget)
	line("sandbox", p.Sandbox)
	for _, why := range p.Refused {
		line("not run:", why)
	}
}

type remediateRunCmd struct {
	ID     string `arg:"" help:"The incident."`
	Remedy string `arg:"" help:"The remedy."`
	Target string `help:"What to act on, where there is more than one."`
	remedyFlags
}

// Help is shown by --help.
func (remediateRunCmd) Help() string { return "Example: tocsin remediate run k7f3q9 restart-node" }

// Run runs a remedy.
func (c *remediateRunCmd) Run(ctx context.Context, e *env) error {
	a, err := c.client().Remediate(ctx, c.ID, c.Remedy, c.Target, cmp.Or(c.By, whoami()))
	if err != nil {
		return err
	}
	return c.print(e.out, a, func(w io.Writer) { fmt.Fprintln(w, runLine(&a.Remediation)) })
}

type approveCmd struct {
	ID string `arg:"" help:"The run."`
	remedyFlags
}

// Help is shown by --help.
func (approveCmd) Help() string { return "Example: tocsin remediate approve r5t8n1" }

// Run approves.
func (c *approveCmd) Run(ctx context.Context, e *env) error {
	return c.answered(e)(c.client().Approve(ctx, c.ID, cmp.Or(c.By, whoami())))
}

type denyCmd struct {
	ID string `arg:"" help:"The run."`
	remedyFlags
}

// Help is shown by --help.
func (denyCmd) Help() string { return "Example: tocsin remediate deny r5t8n1" }

// Run denies.
func (c *denyCmd) Run(ctx context.Context, e *env) error {
	return c.answered(e)(c.client().Deny(ctx, c.ID, cmp.Or(c.By, whoami())))
}

func (f *remedyFlags) answered(e *env) func(client.Run, error) error {
	return func(a client.Run, err error) error {
		if err != nil {
			return err
		}
		return f.print(e.out, a, func(w io.Writer) { fmt.Fprintln(w, runLine(&a.Remediation)) })
	}
}

type remediateStopCmd struct {
	Remedy string `arg:"" optional:"" help:"This remedy alone. Default: all of them."`
	remedyFlags
}

// Help is shown by --help.
func (remediateResumeCmd) Help() string { return "Example: tocsin remediate resume restart-node" }

// Help is shown by --help.
func (remediateStopCmd) Help() string {
	return "What runs is ended, and nothing is started, until tocsin remediate resume.\n\nExample: tocsin remediate stop restart-node"
}

// Run holds.
func (c *remediateStopCmd) Run(ctx context.Context, e *env) error {
	return c.held(e)(c.client().Hold(ctx, c.Remedy, cmp.Or(c.By, whoami())))
}

type remediateResumeCmd struct {
	Remedy string `arg:"" optional:"" help:"This remedy alone. Default: all of them."`
	remedyFlags
}

// Run lets go.
func (c *remediateResumeCmd) Run(ctx context.Context, e *env) error {
	return c.held(e)(c.client().Resume(ctx, c.Remedy, cmp.Or(c.By, whoami())))
}

func (f *remedyFlags) held(e *env) func([]string, error) error {
	return func(stopped []string, err error) error {
		if err != nil {
			return err
		}
		return f.print(e.out, map[string]any{"stopped": stopped}, func(w io.Writer) {
			switch {
			case len(stopped) == 0:
				fmt.Fprintln(w, "Nothing is stopped.")
			case stopped[0] == "":
				fmt.Fprintln(w, "All remedies are stopped.")
			default:
				fmt.Fprintln(w, "Stopped:", printable(strings.Join(stopped, ", ")))
			}
		})
	}
}

type sandboxReportCmd struct{ outputFlag }

// Help is shown by --help.
func (sandboxReportCmd) Help() string {
	return "It is asked of this machine, not of a server: run it where Tocsin runs, as the user that it runs as.\n\nExample: tocsin remediate sandbox"
}

// Run reports.
func (c *sandboxReportCmd) Run(e *env) error {
	r := sandbox.Probe()
	return c.print(e.out, map[string]any{"report": r, "findings": r.Findings()}, func(w io.Writer) {
		if r.Kernel == "" {
			fmt.Fprintln(w, "Remedies run on Linux only.")
			return
		}
		fmt.Fprintln(w, "Linux", r.Kernel)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range r.Findings() {
			mark := "no"
			if f.Offered {
				mark = "yes"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", mark, f.What, f.Means)
		}
		_ = t.Flush()
	})
}
