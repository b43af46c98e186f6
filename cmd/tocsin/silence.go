package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

type silenceCmd struct {
	List   silenceListCmd   `cmd:"" help:"List silences."`
	Add    silenceAddCmd    `cmd:"" help:"Silence alerts that match."`
	Expire silenceExpireCmd `cmd:"" help:"End a silence now."`
}

type silenceAddCmd struct {
	Matchers []string      `arg:"" help:"Matchers, all of which must match: alertname=NodeDown region=~us-.*"`
	For      time.Duration `required:"" help:"For how long: 2h."`
	Comment  string        `required:"" help:"Why."`
	By       string        `help:"Who silences, where the server has no token to tell it by. Default: your login."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (silenceAddCmd) Help() string {
	return "Example: tocsin silence add alertname=NodeDown region=~us-.* --for 2h --comment \"the provider works on it\""
}

// Run makes a silence.
func (c *silenceAddCmd) Run(ctx context.Context, e *env) error {
	in := tocsin.Silence{
		Matchers: c.Matchers, StartsAt: time.Now(), EndsAt: time.Now().Add(c.For),
		CreatedBy: cmp.Or(c.By, whoami()), Comment: c.Comment,
	}
	out, err := c.client().PutSilence(ctx, in)
	if err != nil {
		return err
	}
	return c.print(e.out, out, func(w io.Writer) { fmt.Fprintf(w, "silence %s until %s\n", out.ID, stamp(out.EndsAt)) })
}

type silenceListCmd struct {
	Expired bool `help:"List the expired ones too."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (silenceListCmd) Help() string { return "Example: tocsin silence list --expired" }

// Run lists silences.
func (c *silenceListCmd) Run(ctx context.Context, e *env) error {
	list, err := c.client().Silences(ctx)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(e.out, map[string]any{"silences": list})
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tUNTIL\tBY\tMATCHERS\tCOMMENT")
	for _, s := range list {
		if s.State != "expired" || c.Expired {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.State, stamp(s.EndsAt), printable(s.CreatedBy),
				printable(strings.Join(s.Matchers, " ")), printable(s.Comment))
		}
	}
	return w.Flush()
}

type silenceExpireCmd struct {
	ID string `arg:"" help:"The silence."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (silenceExpireCmd) Help() string { return "Example: tocsin silence expire s4k9w2" }

// Run ends a silence.
func (c *silenceExpireCmd) Run(ctx context.Context, e *env) error {
	if err := c.client().ExpireSilence(ctx, c.ID); err != nil {
		return err
	}
	return c.print(e.out, map[string]string{"id": c.ID, "state": "expired"}, func(w io.Writer) { fmt.Fprintf(w, "silence %s is over\n", c.ID) })
}
