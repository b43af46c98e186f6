package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type runbooksLintCmd struct {
	Dirs   []string `arg:"" optional:"" help:"Folders to read; none: those of the configuration." type:"existingdir"`
	Config string   `name:"config.file" placeholder:"FILE" help:"The configuration file, to check the remedies that runbooks name. Default: tocsin.yml where no folder is named, else they are not checked." type:"path"`
	Rules  []string `help:"Prometheus rule files: tells of alerts without a runbook, and of runbooks without a rule." type:"existingfile"`
	Output string   `name:"output" short:"o" default:"table" enum:"table,json" help:"How to print: ${enum}."`
}

// Help is shown by --help.
func (runbooksLintCmd) Help() string {
	return "Example: tocsin runbooks lint runbooks --rules alerts.yml\n\nExample: tocsin runbooks lint --config.file tocsin.yml"
}

// Run lints.
func (c *runbooksLintCmd) Run(e *env) error {
	dirs, remedies, err := c.sources()
	if err != nil {
		return err
	}
	report := runbooks.Lint(dirs, c.Rules, remedies)
	if c.Output == "json" {
		if err := printJSON(e.out, report); err != nil {
			return err
		}
	} else {
		printFindings(e.out, report.Findings)
	}
	if n := len(errorsOf(report.Findings)); n > 0 {
		return exitError{1, plural(n, "error")}
	}
	return nil
}

// sources are the folders, and the remedies that are declared; nil: it is not known.
func (c *runbooksLintCmd) sources() (dirs, remedies []string, err error) {
	file := c.Config
	if file == "" {
		if len(c.Dirs) > 0 {
			return c.Dirs, nil, nil
		}
		file = "tocsin.yml"
	}
	cfg, _, err := config.Load(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (or name folders of runbooks only)", err)
	}
	if dirs = c.Dirs; len(dirs) == 0 {
		dirs = cfg.Runbooks.Dirs
	}
	return dirs, remedyNames(cfg), nil
}

// remedyNames are the names of the remedies that are declared; never nil.
func remedyNames(cfg *config.Config) []string {
	names := make([]string, len(cfg.Remediations))
	for i := range cfg.Remediations {
		names[i] = cfg.Remediations[i].Name
	}
	return names
}

func printFindings(w io.Writer, findings []runbooks.Finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "%s:%d: %s: %s (%s)\n", f.File, f.Line, f.Severity, printable(f.Text), f.Code)
	}
}

func errorsOf(findings []runbooks.Finding) []runbooks.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f runbooks.Finding) bool { return f.Severity != runbooks.LevelError })
}
