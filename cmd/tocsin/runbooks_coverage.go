package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type runbooksCoverageCmd struct {
	Rules     []string `placeholder:"FILE" help:"Prometheus rule files, folders, or patterns such as 'rules/*.yml': which alerts have a runbook."`
	Strict    bool     `help:"Exit 1 when an alert of severity critical or page has no runbook, or rules cannot be read."`
	Config    string   `name:"config.file" default:"tocsin.yml" help:"The configuration file; it says where the runbooks are." type:"path"`
	Dirs      []string `name:"dir" help:"Folders of runbooks to read instead." type:"existingdir"`
	Server    string   `name:"server.url" placeholder:"URL" env:"TOCSIN_URL" help:"A running server, to say which rules that its Prometheus has loaded have no runbook, and how the runbooks were used."`
	TokenFile string   `name:"server.token-file" env:"TOCSIN_TOKEN_FILE" help:"File with an API token." type:"path"`
	Output    string   `name:"output" short:"o" default:"table" enum:"table,json" help:"How to print: ${enum}."`
}

// Help is shown by --help.
func (runbooksCoverageCmd) Help() string {
	return "With --rules: which alerts have no runbook or only by fallback, and which runbooks no rule leads to. " +
		"With --server.url: the same of the rules that the server's Prometheus has loaded (prometheus.url), which runbooks were never used, " +
		"and which steps are always skipped or never done.\n\n" +
		"Example: tocsin runbooks coverage --dir runbooks --rules 'rules/*.yml' --strict\n\n" +
		"Example: tocsin runbooks coverage --server.url http://127.0.0.1:9911"
}

// coverageAnswer is the command's JSON: what was asked for.
type coverageAnswer struct {
	Coverage *runbooks.Coverage   `json:"coverage,omitempty"`
	Usage    *tocsin.RunbookUsage `json:"usage,omitempty"`
}

// Run tells the coverage.
func (c *runbooksCoverageCmd) Run(ctx context.Context, e *env) error {
	if len(c.Rules) == 0 && c.Server == "" {
		return wrongUse("say what to hold the runbooks against: --rules FILE, --server.url URL, or both")
	}
	var a coverageAnswer
	if len(c.Rules) > 0 {
		shelf, err := runbookFlags{Config: c.Config, Dirs: c.Dirs}.shelf()
		if err != nil {
			return err
		}
		covered := shelf.Library().Coverage(c.Rules)
		a.Coverage = &covered
	}
	if c.Server != "" {
		a.Usage = &tocsin.RunbookUsage{}
		if err := (clientFlags{Server: c.Server, TokenFile: c.TokenFile}).client().Get(ctx, "/api/v1/runbooks-coverage", a.Usage); err != nil {
			return err
		}
	}
	if err := c.print(e.out, a); err != nil {
		return err
	}
	return c.verdict(&a)
}

func (c *runbooksCoverageCmd) print(out io.Writer, a coverageAnswer) error {
	if c.Output == "json" {
		return printJSON(out, a)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if a.Coverage != nil {
		printFindings(w, a.Coverage.Findings)
		printRuleCoverage(w, &a.Coverage.Coverage)
	}
	if a.Usage != nil {
		if a.Usage.Rules != nil {
			printLoaded(w, a.Usage.Rules)
		}
		printUsage(w, a.Usage)
	}
	return w.Flush()
}

// verdict is what --strict says.
func (c *runbooksCoverageCmd) verdict(a *coverageAnswer) error {
	if !c.Strict {
		return nil
	}
	severe, unread := 0, ""
	count := func(rules []tocsin.RuleCoverage) {
		for _, r := range rules {
			if r.Severe() {
				severe++
			}
		}
	}
	if a.Coverage != nil {
		count(a.Coverage.Uncovered())
		if n := len(a.Coverage.Findings); n > 0 {
			unread = plural(n, "rule file") + " could not be read"
		}
	}
	if a.Usage != nil && a.Usage.Rules != nil {
		count(a.Usage.Rules.Uncovered())
		if a.Usage.Rules.Problem != "" {
			unread = cmp.Or(unread, "Prometheus did not tell all its rules")
		}
	}
	switch {
	case severe > 0:
		return exitError{1, plural(severe, "alert") + " of severity critical or page without a runbook"}
	case unread != "":
		return exitError{1, unread}
	}
	return nil
}

func printRuleCoverage(w io.Writer, c *tocsin.Coverage) {
	none, fallback := c.Uncovered(), c.Fallbacks()
	fmt.Fprintf(w, "%s: %d with a runbook of their own, %d only by fallback, %d without one\n",
		plural(len(c.Rules), "alert rule"), c.Own(), len(fallback), len(none))
	if len(none) > 0 {
		fmt.Fprintln(w, "\nWITHOUT A RUNBOOK\tSEVERITY\tRULE")
		for _, r := range none {
			fmt.Fprintf(w, "%s\t%s\t%s\n", printable(r.Alert), cmp.Or(printable(r.Severity), "-"), ruleAt(&r))
		}
	}
	if len(fallback) > 0 {
		fmt.Fprintln(w, "\nONLY BY FALLBACK\tSEVERITY\tRUNBOOK\tWHY")
		for _, r := range fallback {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(r.Alert), cmp.Or(printable(r.Severity), "-"), printable(r.Runbook), printable(r.Fallback))
		}
	}
	if len(c.Unmatched) > 0 {
		fmt.Fprintln(w, "\nNO RULE LEADS TO\tFILE\tFOR")
		for _, u := range c.Unmatched {
			fmt.Fprintf(w, "%s\t%s:%d\t%s\n", printable(u.ID), printable(u.File), u.Line, printable(strings.Join(slices.Concat(u.Alerts, u.Matchers), ", ")))
		}
	}
}

// ruleAt says where a rule is: in which line of a file, or in which group of one that
// Prometheus has loaded.
func ruleAt(r *tocsin.RuleCoverage) string {
	if r.Line > 0 {
		return fmt.Sprintf("%s:%d", printable(r.File), r.Line)
	}
	return fmt.Sprintf("%s, group %s", printable(r.File), printable(r.Group))
}

// printLoaded tells of the rules that Prometheus has loaded.
func printLoaded(w io.Writer, l *tocsin.LoadedRules) {
	if l.Problem != "" {
		fmt.Fprintf(w, "\nPrometheus did not tell all its rules: %s\n", printable(l.Problem))
	}
	if l.At.IsZero() {
		return
	}
	fmt.Fprintf(w, "\nLoaded by Prometheus (told at %s):\n", stamp(l.At))
	printRuleCoverage(w, &l.Coverage)
}

func printUsage(w io.Writer, u *tocsin.RunbookUsage) {
	over := "all that are kept"
	if !u.Whole {
		over = "the newest; there are more"
	}
	fmt.Fprintf(w, "\nUse by %s (%s):\n", plural(u.Incidents, "incident"), over)
	var never []string
	fmt.Fprintln(w, "\nRUNBOOK\tTIMES\tLAST\tWORKED THROUGH")
	for i := range u.Runbooks {
		r := &u.Runbooks[i]
		if r.Times == 0 {
			never = append(never, printable(r.ID))
			continue
		}
		gone := ""
		if r.Gone {
			gone = " (gone)"
		}
		fmt.Fprintf(w, "%s%s\t%d\t%s\t%d\n", printable(r.ID), gone, r.Times, stamp(r.Last), r.Worked)
	}
	if len(never) > 0 {
		fmt.Fprintf(w, "\nNEVER USED\n")
		for _, id := range never {
			fmt.Fprintln(w, id)
		}
	}
	title := "\nSTEP\tOF\tUSES\tIS\tSAYS\n"
	for i := range u.Runbooks {
		for n := range u.Runbooks[i].Steps {
			s := &u.Runbooks[i].Steps[n]
			if s.Idle() == "" {
				continue
			}
			fmt.Fprintf(w, "%s%d\t%s\t%d\t%s\t%s\n", title, s.Number, printable(u.Runbooks[i].ID), s.Uses, s.Idle(), printable(s.Text))
			title = ""
		}
	}
}
