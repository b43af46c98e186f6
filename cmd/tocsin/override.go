package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

type overrideCmd struct {
	List   overrideListCmd   `cmd:"" help:"List overrides, swaps and time off."`
	Add    overrideAddCmd    `cmd:"" help:"Put somebody on call for a while."`
	Cancel overrideCancelCmd `cmd:"" help:"End an override, a swap or time off."`
}

type swapCmd struct {
	Request swapRequestCmd `cmd:"" help:"Ask somebody to take a shift."`
	Accept  swapAcceptCmd  `cmd:"" help:"Take the shift that was asked for."`
	Decline swapDeclineCmd `cmd:"" help:"Say no."`
	List    swapListCmd    `cmd:"" help:"List the swaps."`
}

type timeOffCmd struct {
	List   timeOffListCmd   `cmd:"" help:"List who is away, and when."`
	Add    timeOffAddCmd    `cmd:"" help:"Take somebody out of all schedules, or one, for a while."`
	Cancel timeOffCancelCmd `cmd:"" help:"End time off."`
}

// personFlags belong to what is recorded with a name.
type personFlags struct {
	By      string `help:"Who does it, where the server has no token to tell it by. Default: your login."`
	Comment string `help:"Why."`
}

// putOverride makes an override and says what it does.
func putOverride(ctx context.Context, e *env, c *client.Client, f outputFlag, o tocsin.Override, loc *time.Location) error {
	made, err := c.PutOverride(ctx, o)
	if err != nil {
		return err
	}
	return f.print(e.out, made, func(w io.Writer) {
		fmt.Fprintln(w, describe(&made, loc))
		for _, note := range append(misses(&made, shiftsIn(ctx, c, &made), loc), absences(ctx, c, &made, loc)...) {
			fmt.Fprintln(w, "note: "+note)
		}
	})
}

// absences says when whoever an override puts on call has time off: the later of
// the two wins, and that is this one.
func absences(ctx context.Context, c *client.Client, o *tocsin.Override, loc *time.Location) []string {
	if o.Kind == tocsin.OverrideTimeOff {
		return nil
	}
	list, err := c.Overrides(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for i := range list {
		off := &list[i]
		if off.Kind == tocsin.OverrideTimeOff && off.State == tocsin.OverrideActive && off.User == o.User &&
			off.From.Before(o.To) && o.From.Before(off.To) && (off.Schedule == "" || off.Schedule == o.Schedule) {
			out = append(out, fmt.Sprintf("%s has time off from %s to %s (%s), and is called all the same", printable(o.User), at(off.From, loc), at(off.To, loc), off.ID))
		}
	}
	return out[:min(len(out), maxGaps)]
}

// shiftsIn are the shifts in an override's span, as they are with it; nil where
// they cannot be had, for the override is made all the same.
func shiftsIn(ctx context.Context, c *client.Client, o *tocsin.Override) []tocsin.Shift {
	answer, err := c.Shifts(ctx, o.From, o.To, o.Schedule, "")
	if err != nil {
		return nil
	}
	return answer.Shifts
}

// misses says what an override does that is hardly meant: nothing at all, or a
// gap in a schedule.
func misses(o *tocsin.Override, shifts []tocsin.Shift, loc *time.Location) []string {
	if len(shifts) == 0 {
		return nil
	}
	switch {
	case o.Kind == tocsin.OverrideTimeOff:
		return gapsOf(o, shifts, loc)
	case o.Kind == tocsin.OverrideAdd:
		return nil
	case o.Replaces != "" && !slices.ContainsFunc(shifts, func(s tocsin.Shift) bool {
		return !s.Shadow && (s.User == o.Replaces || strings.Contains(s.Source, o.ID))
	}):
		return []string{fmt.Sprintf("it changes nothing: %s is not on call on %s in that time", printable(o.Replaces), printable(o.Schedule))}
	}
	return nil
}

// maxGaps bounds how many gaps are named.
const maxGaps = 5

func gapsOf(o *tocsin.Override, shifts []tocsin.Shift, loc *time.Location) []string {
	var out []string
	for i := range shifts {
		if s := &shifts[i]; s.Gap() && strings.Contains(s.Source, o.ID) {
			out = append(out, fmt.Sprintf("NOBODY is on call on %s from %s to %s; fill it with tocsin override add",
				printable(s.Schedule), edge(s.From, loc), edge(s.To, loc)))
		}
	}
	if more := len(out) - maxGaps; more > 0 {
		out = append(out[:maxGaps], fmt.Sprintf("and %s more", plural(more, "gap")))
	}
	return out
}

// describe says in a line what an override does.
func describe(o *tocsin.Override, loc *time.Location) string {
	span := fmt.Sprintf("from %s to %s", at(o.From, loc), at(o.To, loc))
	user, on := printable(o.User), printable(cmp.Or(o.Schedule, "all schedules"))
	replaced := printable(cmp.Or(o.Replaces, "whoever is on call"))
	switch {
	case o.State == tocsin.OverrideCancelled || o.State == tocsin.OverrideDeclined:
		return fmt.Sprintf("%s %s is %s", kindName(o.Kind), o.ID, o.State)
	case o.State == tocsin.OverrideRequested:
		return fmt.Sprintf("swap %s: %s is asked to take over from %s on %s %s\nto accept: tocsin swap accept %s --by %s",
			o.ID, cmp.Or(user, "anybody"), replaced, on, span, o.ID, cmp.Or(user, "NAME"))
	case o.Kind == tocsin.OverrideTimeOff:
		return fmt.Sprintf("time off %s: %s is away from %s %s", o.ID, user, on, span)
	case o.Kind == tocsin.OverrideAdd:
		return fmt.Sprintf("override %s: %s is on call beside the others on %s %s", o.ID, user, on, span)
	default:
		return fmt.Sprintf("%s %s: %s replaces %s on %s %s", kindName(o.Kind), o.ID, user, replaced, on, span)
	}
}

func kindName(k tocsin.OverrideKind) string {
	switch k {
	case tocsin.OverrideSwap:
		return "swap"
	case tocsin.OverrideTimeOff:
		return "time off"
	default:
		return "override"
	}
}

type overrideAddCmd struct {
	Schedule string `required:"" placeholder:"NAME" help:"The schedule."`
	User     string `required:"" placeholder:"NAME" help:"Who is on call then."`
	Replaces string `xor:"how" placeholder:"NAME" help:"Whose shifts are taken over. Default: those of whoever is on call."`
	Add      bool   `xor:"how" help:"Put the person on call beside the others, in nobody's place."`
	spanFlags
	personFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (overrideAddCmd) Help() string {
	return "Example: tocsin override add --schedule primary --user bo --from 2026-01-10T09:00 --to 2026-01-12T09:00 --comment \"ana is at a wedding\"\n\n" +
		"Example: tocsin override add --schedule primary --user bo --add --for 2h"
}

// Run makes an override.
func (c *overrideAddCmd) Run(ctx context.Context, e *env) error {
	from, to, loc, err := c.span(time.Now())
	if err != nil {
		return err
	}
	o := tocsin.Override{
		Kind: tocsin.OverrideReplace, Schedule: c.Schedule, User: c.User, Replaces: c.Replaces,
		From: from, To: to, Comment: c.Comment, CreatedBy: cmp.Or(c.By, whoami()),
	}
	if c.Add {
		o.Kind = tocsin.OverrideAdd
	}
	return putOverride(ctx, e, c.client(), c.outputFlag, o, loc)
}

type swapRequestCmd struct {
	Schedule string `required:"" placeholder:"NAME" help:"The schedule."`
	Replaces string `required:"" placeholder:"NAME" help:"Whose shifts are to be taken over."`
	User     string `placeholder:"NAME" help:"Who is asked. Default: anybody may accept."`
	spanFlags
	personFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (swapRequestCmd) Help() string {
	return "Nothing changes until somebody has accepted.\n\n" +
		"Example: tocsin swap request --schedule primary --replaces ana --user bo --from 2026-01-10T09:00 --for 2d"
}

// Run asks for a swap.
func (c *swapRequestCmd) Run(ctx context.Context, e *env) error {
	from, to, loc, err := c.span(time.Now())
	if err != nil {
		return err
	}
	return putOverride(ctx, e, c.client(), c.outputFlag, tocsin.Override{
		Kind: tocsin.OverrideSwap, Schedule: c.Schedule, User: c.User, Replaces: c.Replaces,
		From: from, To: to, Comment: c.Comment, CreatedBy: cmp.Or(c.By, whoami()),
	}, loc)
}

type timeOffAddCmd struct {
	User     string `required:"" placeholder:"NAME" help:"Who is away."`
	Schedule string `placeholder:"NAME" help:"From this schedule only. Default: from all."`
	spanFlags
	personFlags
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (timeOffAddCmd) Help() string {
	return "A date is its midnight: --from 2026-08-03 --to 2026-08-17 is away up to and with the 16th.\n\n" +
		"Example: tocsin timeoff add --user ana --from 2026-08-03 --to 2026-08-17 --comment holidays"
}

// Run makes time off.
func (c *timeOffAddCmd) Run(ctx context.Context, e *env) error {
	from, to, loc, err := c.span(time.Now())
	if err != nil {
		return err
	}
	return putOverride(ctx, e, c.client(), c.outputFlag, tocsin.Override{
		Kind: tocsin.OverrideTimeOff, Schedule: c.Schedule, User: c.User,
		From: from, To: to, Comment: c.Comment, CreatedBy: cmp.Or(c.By, whoami()),
	}, loc)
}

// answerFlags belong to what answers an override that exists.
type answerFlags struct {
	ID string `arg:"" help:"Its ID, as the list shows it."`
	By string `help:"Who answers, where the server has no token to tell it by. Default: your login."`
	zoneFlags
	outputFlag
	clientFlags
}

func (c *answerFlags) answer(ctx context.Context, e *env, answer tocsin.OverrideAnswer) error {
	loc, err := c.location()
	if err != nil {
		return err
	}
	o, err := c.client().AnswerOverride(ctx, c.ID, cmp.Or(c.By, whoami()), answer)
	if err != nil {
		return err
	}
	return c.print(e.out, o, func(w io.Writer) { fmt.Fprintln(w, describe(&o, loc)) })
}

type overrideCancelCmd struct{ answerFlags }

// Help is shown by --help.
func (overrideCancelCmd) Help() string { return "Example: tocsin override cancel m2x8p4" }

// Run cancels.
func (c *overrideCancelCmd) Run(ctx context.Context, e *env) error {
	return c.answer(ctx, e, tocsin.OverrideCancel)
}

type timeOffCancelCmd struct{ overrideCancelCmd }

// Help is shown by --help.
func (timeOffCancelCmd) Help() string { return "Example: tocsin timeoff cancel m2x8p4" }

type swapAcceptCmd struct{ answerFlags }

// Help is shown by --help.
func (swapAcceptCmd) Help() string { return "Example: tocsin swap accept m2x8p4 --by bo" }

// Run accepts.
func (c *swapAcceptCmd) Run(ctx context.Context, e *env) error {
	return c.answer(ctx, e, tocsin.OverrideAccept)
}

type swapDeclineCmd struct{ answerFlags }

// Help is shown by --help.
func (swapDeclineCmd) Help() string { return "Example: tocsin swap decline m2x8p4 --by bo" }

// Run declines.
func (c *swapDeclineCmd) Run(ctx context.Context, e *env) error {
	return c.answer(ctx, e, tocsin.OverrideDecline)
}

// listFlags belong to the lists of overrides.
type listFlags struct {
	All bool `help:"List those too that are over, cancelled or declined."`
	zoneFlags
	outputFlag
	clientFlags
}

// overrideAnswer is how overrides are printed as JSON.
type overrideAnswer struct {
	Overrides []tocsin.Override `json:"overrides"`
}

func (c *listFlags) list(ctx context.Context, e *env, what string, kinds ...tocsin.OverrideKind) error {
	loc, err := c.location()
	if err != nil {
		return err
	}
	all, err := c.client().Overrides(ctx)
	if err != nil {
		return err
	}
	listed := overrideAnswer{Overrides: chosen(all, kinds, c.All, time.Now())}
	return c.print(e.out, listed, func(w io.Writer) {
		if len(listed.Overrides) == 0 {
			fmt.Fprintln(w, "no "+what)
			return
		}
		printOverrides(w, listed.Overrides, loc)
	})
}

// chosen are the overrides to list: of the kinds, or of any where there are
// none, and without all those that change something yet.
func chosen(list []tocsin.Override, kinds []tocsin.OverrideKind, all bool, now time.Time) []tocsin.Override {
	out := []tocsin.Override{}
	for i := range list {
		o := &list[i]
		live := (o.State == tocsin.OverrideActive || o.State == tocsin.OverrideRequested) && o.To.After(now)
		if (all || live) && (len(kinds) == 0 || slices.Contains(kinds, o.Kind)) {
			out = append(out, *o)
		}
	}
	return out
}

func printOverrides(w io.Writer, list []tocsin.Override, loc *time.Location) {
	rows := make([][]string, len(list))
	for i := range list {
		o := &list[i]
		rows[i] = []string{
			o.ID, string(o.Kind), string(o.State), cmp.Or(o.Schedule, "(all)"), cmp.Or(o.User, "(anybody)"), cmp.Or(o.Replaces, "-"),
			at(o.From, loc), at(o.To, loc), o.CreatedBy, o.Comment,
		}
	}
	header := []string{"ID", "KIND", "STATE", "SCHEDULE", "PERSON", "REPLACES", "FROM", "TO", "BY", "COMMENT"}
	table(w, header, rows, func(int) bool { return false })
}

type overrideListCmd struct{ listFlags }

// Help is shown by --help.
func (overrideListCmd) Help() string { return "Example: tocsin override list --all" }

// Run lists overrides of every kind.
func (c *overrideListCmd) Run(ctx context.Context, e *env) error { return c.list(ctx, e, "overrides") }

type swapListCmd struct{ listFlags }

// Help is shown by --help.
func (swapListCmd) Help() string { return "Example: tocsin swap list" }

// Run lists swaps.
func (c *swapListCmd) Run(ctx context.Context, e *env) error {
	return c.list(ctx, e, "swaps", tocsin.OverrideSwap)
}

type timeOffListCmd struct{ listFlags }

// Help is shown by --help.
func (timeOffListCmd) Help() string { return "Example: tocsin timeoff list" }

// Run lists time off.
func (c *timeOffListCmd) Run(ctx context.Context, e *env) error {
	return c.list(ctx, e, "time off", tocsin.OverrideTimeOff)
}
