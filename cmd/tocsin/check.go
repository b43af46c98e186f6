package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

type checkCmd struct {
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
	outputFlag
}

// Help is shown by --help.
func (checkCmd) Help() string { return "Example: tocsin check --config.file /etc/tocsin/tocsin.yml" }

// Run checks what serve would run on, with the same code, and starts nothing.
func (c *checkCmd) Run(e *env) error {
	if c.Output != "json" {
		return c.check(e.out)
	}
	var said strings.Builder
	err := c.check(&said)
	answer := struct {
		Good  bool     `json:"good"`
		Lines []string `json:"lines"`
		Error string   `json:"error,omitempty"`
	}{Good: err == nil, Lines: slices.Collect(strings.Lines(said.String()))}
	for i := range answer.Lines {
		answer.Lines[i] = strings.TrimSuffix(answer.Lines[i], "\n")
	}
	if err == nil {
		return printJSON(e.out, answer)
	}
	answer.Error = err.Error()
	return errors.Join(printJSON(e.out, answer), exitError{code: 1})
}

// check writes what it finds, a line each.
func (c *checkCmd) check(out io.Writer) error {
	cfg, warnings, err := config.Load(c.Config)
	for _, w := range warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	if err != nil {
		return exitError{1, err.Error()}
	}
	if err := checkOnCall(out, cfg, time.Now()); err != nil {
		return exitError{1, err.Error()}
	}
	shelf, problems, err := runbooks.NewShelf(cfg.Runbooks.Dirs)
	if err != nil {
		return exitError{1, err.Error()}
	}
	for _, p := range problems {
		fmt.Fprintf(out, "%s:%d: %s\n", p.File, p.Line, p.Text)
	}
	undeclared := shelf.Library().LintRemedies(remedyNames(cfg))
	printFindings(out, undeclared)
	if n := len(problems) + len(undeclared); n > 0 {
		return exitError{1, plural(n, "problem") + " in the runbooks"}
	}
	_, err = fmt.Fprintf(out, "%s is good: %s, %s, %s, %s, %s\n", c.Config,
		plural(len(cfg.Receivers), "receiver"), plural(len(cfg.InhibitRules), "inhibit rule"), plural(len(shelf.List()), "runbook"),
		plural(len(cfg.Schedules), "schedule"), policies(len(cfg.EscalationPolicies)))
	return errors.Join(err)
}

func policies(n int) string {
	if n == 1 {
		return "1 escalation policy"
	}
	return fmt.Sprintf("%d escalation policies", n)
}

// checkedAhead is how far schedules are looked at.
const checkedAhead = 8 * 7 * 24 * time.Hour

// checkOnCall makes everything that the configuration asks for, and warns of what
// only the calendar can tell: layers that cover nothing, and policies that will
// reach nobody at some time.
func checkOnCall(out io.Writer, cfg *config.Config, now time.Time) error {
	if _, err := remediation.NewRules(wireRemedies(cfg)); err != nil {
		return err
	}
	p, err := wire(cfg)
	if err != nil {
		return err
	}
	world, err := readFiles(cfg, now, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		return err
	}
	rules, err := wireEscalation(cfg, p.byReceiver, world)
	if err != nil {
		return err
	}
	fed := map[string]bool{} // what feeds say is not known here
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		idle := rules.Schedules()[s.Name].Idle(now, now.AddDate(2, 0, 0))
		for n := range s.Layers {
			l := &s.Layers[n]
			switch {
			case l.Feed != nil || l.PagerDutySchedule != "":
				fed[s.Name] = true
			case slices.Contains(idle, l.Name):
				fmt.Fprintf(out, "warning: %s: layer %q of schedule %q covers nothing in the next two years; look at its start, its restrictions and the holidays\n", l.Pos, l.Name, s.Name)
			}
		}
	}
	if len(fed) > 0 {
		return nil
	}
	told := map[string]bool{}
	for _, g := range rules.Coverage(world.timeOff, now, now.Add(checkedAhead)) {
		if !told[g.Policy] {
			told[g.Policy] = true
			fmt.Fprintf(out, "warning: policy %q reaches nobody for severity %s from %s to %s: %s; see all with tocsin oncall verify --config.file\n",
				g.Policy, g.Severity, g.From.UTC().Format("2006-01-02 15:04 MST"), g.To.UTC().Format("2006-01-02 15:04 MST"), strings.Join(g.Why, "; "))
		}
	}
	return nil
}
