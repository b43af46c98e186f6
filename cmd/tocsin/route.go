package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/router"
)

type routeCmd struct {
	Labels []string  `arg:"" help:"The alert's labels: alertname=NodeDown severity=critical."`
	Config string    `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
	Verify []string  `name:"verify.receivers" placeholder:"A,B" help:"The receivers that are expected; exit 1 when they differ."`
	At     time.Time `name:"at" help:"When the alert fires (RFC 3339); for time intervals. Default: now."`
	Live   bool      `name:"live" help:"Ask the running server for its silences as well."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (routeCmd) Help() string { return "Example: tocsin route alertname=NodeDown severity=critical" }

type routeAnswer struct {
	router.Explanation
	Silences []string `json:"silences,omitempty"`
}

// Run explains the way of an alert.
func (c *routeCmd) Run(ctx context.Context, e *env) error {
	a, err := alertOf(c.Labels)
	if err != nil {
		return err
	}
	cfg, _, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	p, err := wire(cfg)
	if err != nil {
		return err
	}
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	ans := routeAnswer{Explanation: p.rules.Explain(a, at)}
	if c.Live {
		list, err := c.client().Silences(ctx)
		if err != nil {
			return err
		}
		for _, s := range list {
			ans.Silences = append(ans.Silences, ans.Explanation.Silences(a, []tocsin.Silence{s.Silence}, at)...)
		}
	}
	if c.Output == "json" {
		if err := printJSON(e.out, ans); err != nil {
			return err
		}
	} else {
		printRoute(e.out, ans)
	}
	return c.verify(ans.Receivers)
}

func (c *routeCmd) verify(got []string) error {
	if c.Verify == nil {
		return nil
	}
	if !slices.Equal(c.Verify, got) {
		return exitError{1, fmt.Sprintf("expected receivers %s, got %s", strings.Join(c.Verify, ","), strings.Join(got, ","))}
	}
	return nil
}

// alertOf makes an alert of name=value arguments.
func alertOf(args []string) (*tocsin.Alert, error) {
	a := &tocsin.Alert{Source: "alertmanager", Labels: tocsin.Labels{}, Firing: true}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not a label; write name=value", arg)
		}
		a.Labels[name] = strings.Trim(value, `"`)
	}
	return a, nil
}

func printRoute(w io.Writer, a routeAnswer) {
	fmt.Fprintf(w, "receivers:  %s\n", strings.Join(a.Receivers, ", "))
	fmt.Fprintf(w, "group:      %s\n", a.Group)
	fmt.Fprintf(w, "severity:   %s\n", a.Severity)
	for i, r := range a.Routes {
		label := "rule:"
		if i > 0 {
			label = "also:"
		}
		fmt.Fprintf(w, "%-11s %s %s -> %s (%s)\n", label, r.Pos, r.Matchers, r.Receiver, strings.Join(r.Targets, ", "))
		if r.MutedBy != "" {
			fmt.Fprintf(w, "%-11s muted by time interval %s\n", "", r.MutedBy)
		}
	}
	for _, in := range a.Inhibit {
		if in.Suppresses {
			fmt.Fprintf(w, "inhibits:   %s alerts that match %s with %s\n", in.Pos, in.Other, in.Equal)
		} else {
			fmt.Fprintf(w, "suppressed: %s while an alert fires that matches %s with %s\n", in.Pos, in.Other, in.Equal)
		}
	}
	for _, s := range a.Silences {
		fmt.Fprintf(w, "suppressed: %s\n", s)
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
