package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type postmortemCmd struct {
	ID string `arg:"" help:"The incident."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (postmortemCmd) Help() string {
	return "It prints Markdown, to begin the postmortem with; with --output json, the data.\n\n" +
		"Example: tocsin postmortem k7f3q9 > postmortem.md"
}

// Run prints the postmortem of an incident.
func (c *postmortemCmd) Run(ctx context.Context, e *env) error {
	p, err := c.client().Postmortem(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(e.out, p.Report)
	}
	_, err = io.WriteString(e.out, p.Markdown)
	return err
}

// changesBefore is what was changed before an incident, for its postmortem.
func (a *App) changesBefore(ctx context.Context, inc *tocsin.Incident) ([]tocsin.Event, error) {
	n := &runbooks.Neighbours{Archive: a.store, Log: a.store}
	b := n.Beside(ctx, inc, time.Now())
	for _, text := range b.Missing {
		if strings.HasPrefix(text, "changes") {
			return b.Changes, tocsin.Unavailable(errors.New(text))
		}
	}
	return b.Changes, nil
}
