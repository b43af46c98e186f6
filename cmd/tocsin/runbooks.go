package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type runbooksCmd struct {
	List     runbooksListCmd     `cmd:"" help:"List runbooks and the alerts they are for."`
	Show     runbooksShowCmd     `cmd:"" help:"Show the runbook for an alert."`
	Step     runbooksStepCmd     `cmd:"" help:"Say where a step of an incident's runbook stands."`
	Coverage runbooksCoverageCmd `cmd:"" help:"Say which alerts have no runbook, and which runbooks and steps are not used."`
	Lint     runbooksLintCmd     `cmd:"" help:"Find what is wrong with runbooks; exit 1 on an error."`
}

// runbookFlags say where the runbooks are.
type runbookFlags struct {
	Config string   `name:"config.file" default:"tocsin.yml" help:"The configuration file; it says where the runbooks are." type:"path"`
	Dirs   []string `name:"dir" help:"Folders to read instead." type:"existingdir"`
	Output string   `name:"output" short:"o" default:"table" enum:"table,json" help:"How to print: ${enum}."`
}

func (f runbookFlags) shelf() (*runbooks.Shelf, error) {
	dirs := f.Dirs
	if len(dirs) == 0 {
		cfg, _, err := config.Load(f.Config)
		if err != nil {
			return nil, fmt.Errorf("%w (or name folders with --dir)", err)
		}
		dirs = cfg.Runbooks.Dirs
	}
	shelf, _, err := runbooks.NewShelf(dirs)
	return shelf, err
}

type runbooksListCmd struct{ runbookFlags }

// Help is shown by --help.
func (runbooksListCmd) Help() string { return "Example: tocsin runbooks list --dir runbooks" }

// Run lists all runbooks.
func (c *runbooksListCmd) Run(e *env) error {
	shelf, err := c.shelf()
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(e.out, shelf.List())
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTEPS\tALERTS\tTITLE")
	for _, rb := range shelf.List() {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", rb.ID, len(rb.Steps), cmp.Or(strings.Join(rb.Alerts, ", "), "-"), rb.Title)
	}
	return w.Flush()
}

type runbooksShowCmd struct {
	Alert  string   `arg:"" help:"The alert's name, or a runbook's ID."`
	Labels []string `arg:"" optional:"" help:"Labels that fill in the commands: instance=node-1:9090"`
	runbookFlags
}

// Help is shown by --help.
func (runbooksShowCmd) Help() string {
	return "Example: tocsin runbooks show NodeDown instance=node-1:9090"
}

// Run shows a runbook as the responder gets it.
func (c *runbooksShowCmd) Run(e *env) error {
	shelf, err := c.shelf()
	if err != nil {
		return err
	}
	a, err := alertOf(append(c.Labels, tocsin.LabelAlertName+"="+c.Alert))
	if err != nil {
		return err
	}
	rb := shelf.Get(c.Alert)
	if rb == nil {
		rb = shelf.Find(a)
	}
	if rb == nil {
		return exitError{1, fmt.Sprintf("no runbook for %s; `tocsin runbooks list` shows what there is", c.Alert)}
	}
	rb = runbooks.Fill(rb, a.Labels)
	if c.Output == "json" {
		return printJSON(e.out, rb)
	}
	printRunbook(e.out, rb)
	return nil
}

func printRunbook(w io.Writer, rb *tocsin.Runbook) {
	fmt.Fprintf(w, "Runbook: %s (%s:%d)\n", printable(rb.Title), rb.File, rb.Line)
	printStale(w, rb)
	var section tocsin.SectionKind
	var condition string
	for i, s := range rb.Steps {
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(w, "\n  %s\n", strings.ToUpper(string(section)))
		}
		if s.Condition != condition {
			condition = s.Condition
			if condition != "" {
				fmt.Fprintf(w, "  %s:\n", printable(condition))
			}
		}
		fmt.Fprintf(w, "  %s%2d. %s\n", strings.Repeat("   ", s.Depth), i+1, printable(s.Text))
		printCommands(w, s.Commands)
	}
}

// printStale says that a runbook is not what its file says now.
func printStale(w io.Writer, rb *tocsin.Runbook) {
	if rb.Stale != "" {
		fmt.Fprintf(w, "  This is its last good version: %s\n", printable(rb.Stale))
	}
}

func printCommands(w io.Writer, commands []tocsin.Command) {
	for _, cmd := range commands {
		for line := range strings.Lines(cmd.Text) {
			fmt.Fprintf(w, "        %s\n", printable(strings.TrimRight(line, "\n")))
		}
		if cmd.Remediation != "" {
			fmt.Fprintf(w, "        (the remedy %s does this: tocsin remediate)\n", printable(cmd.Remediation))
		}
		if len(cmd.Unfilled) > 0 {
			fmt.Fprintf(w, "        (fill in: %s)\n", printable(strings.Join(cmd.Unfilled, ", ")))
		}
	}
}
