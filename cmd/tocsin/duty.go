package main

import (
	"bytes"
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/feed"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
	"github.com/tocsin-oncall/tocsin/escalation/watch"
)

// openOnCall opens what follows the schedules: the feeds first, since the rules
// are made with what they last said.
func (a *App) openOnCall(_ context.Context, cfg *config.Config, p parts) (err error) {
	log := a.log.With("component", "escalation")
	a.feeds, err = feed.New(a.store, wireFeeds(cfg, log), feed.Options{Logger: log, Registerer: a.registry, Changed: a.feedsChanged})
	if err != nil {
		return err
	}
	d, err := a.newOnCall(cfg, p)
	if err != nil {
		return err
	}
	a.files = d.files
	if a.engine, err = escalation.NewEngine(d.rules, escalation.Options{
		Store: a.store, Incidents: a.store, Runbook: a.shelf.Get, Changed: a.rosterChanged, Logger: log, Registerer: a.registry,
	}); err != nil {
		return err
	}
	a.watch, err = watch.New(wirePlan(cfg, p, d.rules), watch.Options{
		Store: a.store, Roster: a.engine, Runbook: a.shelf.Get, Person: a.rightsOf, Logger: log, Registerer: a.registry,
	})
	return err
}

// onCall is what a configuration makes of the schedules and policies, with the
// calendar files as they were read.
type onCall struct {
	rules *escalation.Rules
	files outside
}

// newOnCall reads the calendar files and makes the rules, and changes nothing.
func (a *App) newOnCall(cfg *config.Config, p parts) (onCall, error) {
	files, err := readFiles(cfg, time.Now(), a.log)
	if err != nil {
		return onCall{}, err
	}
	rules, err := wireEscalation(cfg, p.byReceiver, files.withFeeds(cfg, a.feeds.Spans))
	return onCall{rules, files}, err
}

// follow puts the rules into force. The caller holds a.applying.
func (a *App) follow(cfg *config.Config, p parts, d onCall) {
	a.files = d.files
	a.engine.SetRules(d.rules)
	a.watch.SetPlan(wirePlan(cfg, p, d.rules))
}

// feedsChanged makes the rules anew with what the feeds say now. The calendar
// files are not read again: they are part of the configuration.
func (a *App) feedsChanged() {
	a.applying.Lock()
	defer a.applying.Unlock()
	a.mu.Lock()
	cfg := a.cfg
	a.mu.Unlock()
	p, err := wire(cfg)
	if err == nil {
		d := onCall{files: a.files}
		if d.rules, err = wireEscalation(cfg, p.byReceiver, d.files.withFeeds(cfg, a.feeds.Spans)); err == nil {
			a.follow(cfg, p, d)
		}
	}
	if err != nil {
		a.log.Error("what the calendars say cannot be used; what they said before stays", "error", err)
	}
}

// rosterChanged is told of overrides that were made or ended.
func (a *App) rosterChanged() {
	if a.watch != nil {
		a.watch.Changed()
	}
}

// wirePlan makes what the watch follows.
func wirePlan(cfg *config.Config, p parts, rules *escalation.Rules) watch.Plan {
	plan := watch.Plan{Users: rules.Users(), Slack: map[string]string{}, Policies: rules.Policies(), Receivers: []string{cfg.Route.Receiver}}
	if cfg.Alarm.Receiver != "" {
		plan.Receivers = []string{cfg.Alarm.Receiver}
	}
	for _, name := range plan.Receivers {
		plan.Targets = append(plan.Targets, places(p.byReceiver[name])...)
	}
	for i := range cfg.Users {
		plan.Slack[cfg.Users[i].Name] = cfg.Users[i].Slack
	}
	for i := range cfg.Schedules {
		c := &cfg.Schedules[i]
		s := watch.Schedule{
			Schedule: rules.Schedules()[c.Name], Notify: c.NotifyShifts,
			AcknowledgeWithin: time.Duration(c.Handoff.AcknowledgeWithin), OutgoingStays: c.Handoff.Otherwise == config.OutgoingStays,
		}
		if c.Channel != "" {
			s.Channel = escalation.Target{Key: "slack:" + c.Channel, Detail: true}
		}
		if c.UserGroup != "" {
			s.Group = p.slack.UserGroup(c.UserGroup)
		}
		for n := range c.Layers {
			plan.Fed = plan.Fed || c.Layers[n].Feed != nil || c.Layers[n].PagerDutySchedule != ""
		}
		plan.Schedules = append(plan.Schedules, s)
	}
	return plan
}

// calendar is the iCalendar feed of a schedule or of a person.
func (a *App) calendar(ctx context.Context, schedule, user string) ([]byte, error) {
	now := time.Now()
	from, to := ical.Window(now)
	shifts, err := a.engine.Shifts(ctx, tocsin.ShiftQuery{Schedule: schedule, User: user, From: from, To: to})
	if err != nil {
		return nil, err
	}
	name := "On call: " + schedule + user
	var b bytes.Buffer
	if err := ical.Write(&b, name, shifts, now); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
