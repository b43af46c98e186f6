package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

type pageCmd struct {
	Title    []string `arg:"" help:"What is wrong."`
	To       string   `xor:"whom" placeholder:"USER" help:"Call this person."`
	Schedule string   `xor:"whom" placeholder:"NAME" help:"Call whoever is on call on a schedule."`
	Policy   string   `xor:"whom" placeholder:"NAME" help:"Follow this escalation policy. Default: that of the root route's receiver."`
	Severity string   `default:"critical" enum:"critical,error,warning,info" help:"How bad it is: ${enum}."`
	Text     string   `help:"What the title does not say."`
	actFlags
}

// Help is shown by --help.
func (pageCmd) Help() string {
	return "Opens an incident without an alert. Where whom you name does not answer within 5 minutes, the policy of the root route's receiver is followed too.\n\n" +
		"Example: tocsin page --schedule primary \"payments hang\""
}

// Run opens an incident.
func (c *pageCmd) Run(ctx context.Context, e *env) error {
	m := tocsin.Manual{
		Key: rand.Text(), Title: strings.Join(c.Title, " "), Text: c.Text, Severity: tocsin.Severity(c.Severity),
		By: cmp.Or(c.By, whoami()), User: c.To, Schedule: c.Schedule, Policy: c.Policy,
	}
	inc, err := c.client().Open(ctx, m)
	if err != nil {
		return err
	}
	if inc == nil {
		return errors.New("the server's answer names no incident; is it a Tocsin of this version? ask it with tocsin incidents")
	}
	return c.print(e.out, incidentAnswer{inc}, func(w io.Writer) { fmt.Fprintln(w, standing(inc)) })
}

type channelCmd struct {
	ID string `arg:"" help:"The incident."`
	actFlags
}

// Help is shown by --help.
func (channelCmd) Help() string { return "Example: tocsin channel k7f3q9" }

// Run opens a channel.
func (c *channelCmd) Run(ctx context.Context, e *env) error {
	return c.act(ctx, e, c.ID, tocsin.Action{Kind: tocsin.ActChannel})
}
