package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
)

// outputFlag says how a command prints what it has to say.
type outputFlag struct {
	Output string `name:"output" short:"o" default:"table" enum:"table,json" help:"How to print: ${enum}."`
}

// print writes v as JSON, or as text does.
func (f outputFlag) print(w io.Writer, v any, text func(io.Writer)) error {
	if f.Output == "json" {
		return printJSON(w, v)
	}
	text(w)
	return nil
}

// actFlags belong to all commands that act on incidents.
type actFlags struct {
	By string `help:"Who acts, where the server has no token to tell it by. Default: your login."`
	outputFlag
	clientFlags
}

// incidentAnswer is what the API says to an action.
type incidentAnswer struct {
	Incident *tocsin.Incident `json:"incident"`
}

// send carries an action out, once however often it has to be sent.
func (f *actFlags) send(ctx context.Context, id string, a tocsin.Action) (*tocsin.Incident, error) {
	a.By = cmp.Or(f.By, whoami())
	inc, err := f.client().Act(ctx, id, a)
	if err == nil && inc == nil {
		err = errors.New("the server's answer names no incident; is it a Tocsin of this version? ask it with tocsin incidents " + id)
	}
	return inc, err
}

// act acts on one incident and says how it stands then.
func (f *actFlags) act(ctx context.Context, e *env, id string, a tocsin.Action) error {
	inc, err := f.send(ctx, id, a)
	if err != nil {
		return err
	}
	return f.print(e.out, incidentAnswer{inc}, func(w io.Writer) { fmt.Fprintln(w, standing(inc)) })
}

// each acts on several incidents. One that fails does not keep the others from
// it.
func (f *actFlags) each(ctx context.Context, e *env, ids []string, a tocsin.Action) error {
	var errs []error
	done := []*tocsin.Incident{}
	for _, id := range ids {
		inc, err := f.send(ctx, id, a)
		switch {
		case err != nil && len(ids) > 1:
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		case err != nil:
			return err
		default:
			done = append(done, inc)
			if f.Output == "table" {
				fmt.Fprintln(e.out, standing(inc))
			}
		}
	}
	if f.Output == "json" {
		errs = append(errs, printJSON(e.out, map[string]any{"incidents": done}))
	}
	return errors.Join(errs...)
}

// standing says in a line how an incident stands.
func standing(inc *tocsin.Incident) string {
	s := inc.ID + " is " + stateOf(inc)
	switch {
	case inc.State == tocsin.Acknowledged && inc.AcknowledgedBy != "":
		s += " by " + printable(inc.AcknowledgedBy)
	case inc.State == tocsin.Resolved && inc.ResolvedBy != "":
		s += " by " + printable(inc.ResolvedBy)
	}
	s += ", " + string(inc.Severity)
	if e := inc.Escalation; e != nil && !e.SnoozedUntil.IsZero() {
		s += ", snoozed until " + at(e.SnoozedUntil, time.Local)
	}
	if inc.MergedInto != "" {
		s += ", merged into " + inc.MergedInto
	}
	if called, musts := unanswered(inc); inc.State == tocsin.Triggered && len(musts) > 0 {
		s += ", until " + strings.Join(musts, ", ") + " answers too (or --force)"
	} else if inc.State == tocsin.Triggered && len(called) > 0 {
		s += ", called: " + strings.Join(called, ", ")
	}
	return s
}

// unanswered are those who were called and have not answered; and, where
// somebody has answered a step that all must, those it still waits for.
func unanswered(inc *tocsin.Incident) (called, musts []string) {
	if inc.Escalation == nil {
		return nil, nil
	}
	answered := false
	for _, r := range inc.Escalation.Responders {
		switch {
		case !r.Acknowledged.IsZero():
			answered = true
		case r.Must:
			musts = append(musts, printable(r.User))
			fallthrough
		default:
			called = append(called, printable(r.User))
		}
	}
	if !answered {
		musts = nil
	}
	return called, musts
}

type ackCmd struct {
	IDs   []string `arg:"" name:"id" help:"The incidents."`
	Force bool     `help:"Acknowledge for all where a step wants everybody to answer."`
	Note  string   `help:"What to write beside it on the timeline."`
	actFlags
}

// Help is shown by --help.
func (ackCmd) Help() string {
	return "What is queued for anybody else is not sent any more. Acknowledging what is acknowledged makes you its owner.\n\n" +
		"Example: tocsin ack k7f3q9 --note \"looking at it\""
}

// Run acknowledges.
func (c *ackCmd) Run(ctx context.Context, e *env) error {
	return confirm(c.each(ctx, e, c.IDs, tocsin.Action{Kind: tocsin.ActAcknowledge, Force: c.Force, Text: c.Note}), c.Force)
}

type resolveCmd struct {
	IDs   []string `arg:"" name:"id" help:"The incidents."`
	Force bool     `help:"Resolve what still fires, too; it reopens when it fires again."`
	Note  string   `help:"What to write beside it on the timeline."`
	actFlags
}

// Help is shown by --help.
func (resolveCmd) Help() string { return "Example: tocsin resolve k7f3q9 --note \"disk replaced\"" }

// Run resolves.
func (c *resolveCmd) Run(ctx context.Context, e *env) error {
	return confirm(c.each(ctx, e, c.IDs, tocsin.Action{Kind: tocsin.ActResolve, Force: c.Force, Text: c.Note}), c.Force)
}

// confirm says how to do all the same what the server wants to be confirmed.
func confirm(err error, forced bool) error {
	if errors.Is(err, tocsin.ErrConflict) && !forced {
		return fmt.Errorf("%w\nif that is meant, give --force", err)
	}
	return err
}

type snoozeCmd struct {
	ID    string          `arg:"" help:"The incident."`
	For   config.Duration `placeholder:"2h" xor:"end" help:"For how long: 90m, 2h, 1d."`
	Until string          `placeholder:"TIME" xor:"end" help:"Or until when: 2026-01-05T09:00, 09:00, or RFC 3339."`
	Note  string          `help:"What to write beside it on the timeline."`
	zoneFlags
	actFlags
}

// Help is shown by --help.
func (snoozeCmd) Help() string {
	return "The incident is acknowledged until then, and comes back to triggered if it is not resolved.\n\nExample: tocsin snooze k7f3q9 --for 2h"
}

// Run snoozes.
func (c *snoozeCmd) Run(ctx context.Context, e *env) error {
	loc, err := c.location()
	if err != nil {
		return err
	}
	if c.Until == "" && c.For == 0 {
		return wrongUse("say until when: --for 2h, or --until TIME")
	}
	now := time.Now()
	until, err := when("--until", c.Until, now, loc, now.Add(c.For.Std()))
	if err != nil {
		return err
	}
	if !until.After(now) {
		return wrongUse("%s is over; give a later --until, or --for 2h", at(until, loc))
	}
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActSnooze, Until: until.UTC(), Text: c.Note})
}

type escalateCmd struct {
	ID       string `arg:"" help:"The incident."`
	Step     int    `placeholder:"N" help:"To this step of its policies, from 1; one more than there are is the last resort. Default: the next one."`
	To       string `xor:"whom" placeholder:"USER" help:"To a person."`
	Schedule string `xor:"whom" placeholder:"NAME" help:"To whoever is on call on a schedule."`
	Policy   string `xor:"whom" placeholder:"NAME" help:"Along this policy only, or along another one as well."`
	Note     string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (escalateCmd) Help() string {
	return "Calls at once whom the policy would have called later, or whom you name.\n\n" +
		"Example: tocsin escalate k7f3q9\n\nExample: tocsin escalate k7f3q9 --to bo --note \"needs a DBA\""
}

// Run escalates.
func (c *escalateCmd) Run(ctx context.Context, e *env) error {
	switch {
	case c.Step < 0:
		return wrongUse("--step %d: the first step is 1", c.Step)
	case c.Step > 0 && c.To+c.Schedule != "":
		return wrongUse("--step goes along a policy; leave it out, or leave out --to and --schedule")
	}
	a := tocsin.Action{Kind: tocsin.ActEscalate, Step: c.Step, User: c.To, Schedule: c.Schedule, Policy: c.Policy, Text: c.Note}
	inc, err := c.send(ctx, c.ID, a)
	if err != nil {
		return err
	}
	return c.print(e.out, incidentAnswer{inc}, func(w io.Writer) {
		if went := c.escalated(ctx, inc.ID); went != "" {
			fmt.Fprintln(w, went)
		}
		fmt.Fprintln(w, standing(inc))
	})
}

// escalated is what the timeline says of the escalation: to which step, or to the
// last resort, it went. Empty: it could not be asked.
func (c *escalateCmd) escalated(ctx context.Context, id string) string {
	d, err := c.client().Incident(ctx, id)
	if err != nil {
		return ""
	}
	for _, ev := range slices.Backward(d.Timeline) {
		if ev.Kind == tocsin.EventEscalated && ev.Actor != "" {
			return printable(ev.Text)
		}
	}
	return ""
}

type reassignCmd struct {
	ID       string `arg:"" help:"The incident."`
	To       string `xor:"whom" placeholder:"USER" help:"To a person."`
	Schedule string `xor:"whom" placeholder:"NAME" help:"To whoever is on call on a schedule."`
	Policy   string `xor:"whom" placeholder:"NAME" help:"To another policy, from its first step."`
	Note     string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (reassignCmd) Help() string {
	return "Those who were called before are not called any more.\n\nExample: tocsin reassign k7f3q9 --to bo"
}

// Run reassigns.
func (c *reassignCmd) Run(ctx context.Context, e *env) error {
	if c.To+c.Schedule+c.Policy == "" {
		return wrongUse("say to whom: --to USER, --schedule NAME or --policy NAME")
	}
	a := tocsin.Action{Kind: tocsin.ActReassign, User: c.To, Schedule: c.Schedule, Policy: c.Policy, Text: c.Note}
	return c.act(ctx, e, c.ID, a)
}

type addResponderCmd struct {
	ID       string `arg:"" help:"The incident."`
	User     string `arg:"" optional:"" help:"Who is called to help."`
	Schedule string `placeholder:"NAME" help:"Instead of USER: whoever is on call on a schedule."`
	Note     string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (addResponderCmd) Help() string {
	return "Calls somebody beside whoever has the incident; an acknowledgement by another does not stop the call.\n\n" +
		"Example: tocsin add-responder k7f3q9 bo"
}

// Run calls somebody to help.
func (c *addResponderCmd) Run(ctx context.Context, e *env) error {
	if (c.User == "") == (c.Schedule == "") {
		return wrongUse("name one: a user, as in tocsin add-responder %s bo, or --schedule", c.ID)
	}
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActAddResponder, User: c.User, Schedule: c.Schedule, Text: c.Note})
}

type noteCmd struct {
	ID   string   `arg:"" help:"The incident."`
	Text []string `arg:"" help:"What to write on its timeline."`
	actFlags
}

// Help is shown by --help.
func (noteCmd) Help() string { return "Example: tocsin note k7f3q9 \"the vendor is on the phone\"" }

// Run writes a note.
func (c *noteCmd) Run(ctx context.Context, e *env) error {
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActNote, Text: strings.Join(c.Text, " ")})
}

type mergeCmd struct {
	ID   string `arg:"" help:"The incident that pages no more by itself."`
	Into string `required:"" placeholder:"ID" help:"The incident that pages for it."`
	Note string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (mergeCmd) Help() string {
	return "It comes back when the other one is resolved before it.\n\nExample: tocsin merge k7f3q9 --into m2x8p4"
}

// Run merges.
func (c *mergeCmd) Run(ctx context.Context, e *env) error {
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActMerge, Into: c.Into, Text: c.Note})
}

type unmergeCmd struct {
	ID   string `arg:"" help:"The incident that was merged into another one."`
	Note string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (unmergeCmd) Help() string { return "Example: tocsin unmerge k7f3q9 --note \"another cause\"" }

// Run takes a merge back.
func (c *unmergeCmd) Run(ctx context.Context, e *env) error {
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActUnmerge, Text: c.Note})
}

type severityCmd struct {
	ID       string `arg:"" help:"The incident."`
	Severity string `arg:"" enum:"critical,error,warning,info" help:"What it is from now on: ${enum}."`
	Note     string `help:"Why; it is written on the timeline."`
	actFlags
}

// Help is shown by --help.
func (severityCmd) Help() string {
	return "Example: tocsin severity k7f3q9 critical"
}

// Run sets the severity.
func (c *severityCmd) Run(ctx context.Context, e *env) error {
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActSeverity, Severity: tocsin.Severity(c.Severity), Text: c.Note})
}
