package main

import (
	"errors"
	"fmt"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

type checkCmd struct {
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
}

// Run checks what serve would run on, with the same code, and starts nothing.
func (c *checkCmd) Run(e *env) error {
	cfg, warnings, err := config.Load(c.Config)
	for _, w := range warnings {
		fmt.Fprintln(e.out, "warning:", w)
	}
	if err != nil {
		return exitError{1, err.Error()}
	}
	if _, err := wire(cfg); err != nil {
		return exitError{1, err.Error()}
	}
	shelf, problems, err := runbooks.NewShelf(cfg.Runbooks.Dirs)
	if err != nil {
		return exitError{1, err.Error()}
	}
	for _, p := range problems {
		fmt.Fprintf(e.out, "%s:%d: %s\n", p.File, p.Line, p.Text)
	}
	if len(problems) > 0 {
		return exitError{1, fmt.Sprintf("%d problems in the runbooks", len(problems))}
	}
	_, err = fmt.Fprintf(e.out, "%s is good: %d receivers, %d inhibit rules, %d runbooks\n",
		c.Config, len(cfg.Receivers), len(cfg.InhibitRules), len(shelf.List()))
	return errors.Join(err)
}
