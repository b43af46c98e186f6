package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type runbooksStepCmd struct {
	ID    string `arg:"" help:"The incident."`
	Step  string `arg:"" help:"The step's number, as tocsin incidents ID shows it, or its ID."`
	Done  bool   `xor:"status" required:"" help:"It is done."`
	Start bool   `xor:"status" required:"" help:"Somebody has begun."`
	Skip  string `xor:"status" required:"" placeholder:"WHY" help:"It is not done, and why."`
	Open  bool   `xor:"status" required:"" help:"It is to be done again: a tick is taken back."`
	Note  string `help:"What was found."`
	actFlags
}

// Help is shown by --help.
func (runbooksStepCmd) Help() string {
	return "Everybody who works on the incident sees the same: here, in Slack, on the incident's page and over the API.\n\n" +
		"Example: tocsin runbooks step k7f3q9 3 --done\n\nExample: tocsin runbooks step k7f3q9 4 --skip \"the node is spare\""
}

// Run ticks a step off.
func (c *runbooksStepCmd) Run(ctx context.Context, e *env) error {
	a := tocsin.Action{Kind: tocsin.ActStep, RunbookStep: c.Step, Via: "terminal", Text: c.Note}
	switch {
	case c.Done:
		a.Status = tocsin.StepDone
	case c.Start:
		a.Status = tocsin.StepStarted
	case c.Open:
		a.Status = tocsin.StepOpen
	case strings.TrimSpace(c.Skip) == "":
		return wrongUse("say why it is skipped: --skip \"the node is spare\"")
	default:
		a.Status, a.Text = tocsin.StepSkipped, c.Skip
		if c.Note != "" {
			a.Text += "; " + c.Note
		}
	}
	inc, err := c.send(ctx, c.ID, a)
	if err != nil {
		return err
	}
	return c.print(e.out, incidentAnswer{inc}, func(w io.Writer) { fmt.Fprintln(w, stepStanding(inc, c.Step)) })
}

// stepStanding says in a line how the step stands that was just acted on.
func stepStanding(inc *tocsin.Incident, step string) string {
	s := inc.Progress.Of(step)
	if n, err := strconv.Atoi(step); s == nil && err == nil && inc.Progress != nil {
		for i := range inc.Progress.Steps { // of several with this number the one that was touched last
			if t := &inc.Progress.Steps[i]; t.Number == n && (s == nil || !t.At.Before(s.At)) {
				s = t
			}
		}
	}
	if s == nil {
		return inc.ID + ": step " + step + " is open"
	}
	return fmt.Sprintf("%s: step %d is %s: %s", inc.ID, s.Number, stepDone(s.Status, s.By, s.At), printable(s.Text))
}

// stepDone says how a step stands, by whom and since when.
func stepDone(status tocsin.StepStatus, by string, since time.Time) string {
	if by == "" {
		return string(status)
	}
	return fmt.Sprintf("%s by %s, %s", status, printable(by), stamp(since))
}

// stepMark stands before a step.
func stepMark(s tocsin.StepStatus) string {
	switch s {
	case tocsin.StepDone:
		return "[x]"
	case tocsin.StepSkipped:
		return "[-]"
	case tocsin.StepStarted:
		return "[>]"
	default:
		return "[ ]"
	}
}

// printWork prints an incident's runbook with how its steps stand.
func printWork(w io.Writer, rb *tocsin.Runbook, progress []tocsin.StepView) {
	if len(progress) == 0 {
		printRunbook(w, rb)
		return
	}
	fmt.Fprintf(w, "Runbook: %s (%s:%d)\n", printable(rb.Title), rb.File, rb.Line)
	printStale(w, rb)
	if far := tocsin.SayProgress(progress); far != "" {
		fmt.Fprintf(w, "  %s\n", printable(far))
	}
	steps := map[string]*tocsin.Step{}
	for i := range rb.Steps {
		steps[rb.Steps[i].ID] = &rb.Steps[i]
	}
	var section tocsin.SectionKind
	var condition string
	for i := range progress {
		v := &progress[i]
		s := steps[v.ID]
		if s == nil { // it is gone, and its text is all that is left
			s = &tocsin.Step{Section: section, Condition: condition, Text: v.Text}
		}
		if s.Section != section {
			section, condition = s.Section, ""
			fmt.Fprintf(w, "\n  %s\n", strings.ToUpper(string(section)))
		}
		if s.Condition != condition {
			condition = s.Condition
			if condition != "" {
				fmt.Fprintf(w, "  %s:\n", printable(condition))
			}
		}
		fmt.Fprintf(w, "  %s%s %2d. %s%s\n", strings.Repeat("   ", s.Depth), stepMark(v.Status), v.Number, printable(s.Text), remarks(v))
		if v.By != "" {
			fmt.Fprintf(w, "        %s%s\n", stepDone(v.Status, v.By, v.At), about(v))
		}
		printCommands(w, s.Commands)
	}
}

// remarks says what was changed about a step since the incident opened.
func remarks(v *tocsin.StepView) string {
	switch {
	case v.Gone:
		return " (not in the runbook any more)"
	case v.Edited:
		return " (edited since)"
	default:
		return ""
	}
}

// about is where a step was ticked off, and what was noted.
func about(v *tocsin.StepView) string {
	text := ""
	if v.Via != "" {
		text += ", " + printable(v.Via)
	}
	if v.Note != "" {
		text += ": " + printable(v.Note)
	}
	return text
}

// dropOld drops what the retention no longer keeps.
func (a *App) dropOld(ctx context.Context, now time.Time) error {
	_, err := a.store.Purge(ctx, now)
	a.mu.Lock()
	retention := a.cfg.Storage.Retention.Std()
	a.mu.Unlock()
	return errors.Join(err, runbooks.Tidy(ctx, a.store, a.shelf, retention, now))
}
