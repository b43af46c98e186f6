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
	rules, err := a.escalationRules(cfg, p)
	if err != nil {
		return err
	}
	if a.engine, err = escalation.NewEngine(rules, escalation.Options{
		Store: a.store, Incidents: a.store, Changed: a.rosterChanged, Logger: log, Registerer: a.registry,
	}); err != nil {
		return err
	}
	a.watch, err = watch.New(wirePlan(cfg, p, rules), watch.Options{Store: a.store, Roster: a.engine, Logger: log, Registerer: a.registry})
	return err
}

func (a *App) escalationRules(cfg *config.Config, p parts) (*escalation.Rules, error) {
	out, err := readOutside(cfg, a.feeds.Spans, time.Now(), a.log)
	if err != nil {
		return nil, err
	}
	return wireEscalation(cfg, p.byReceiver, out)
}

// reloadOnCall puts a new configuration into force.
func (a *App) reloadOnCall(cfg *config.Config, p parts) error {
	a.feeds.SetSources(wireFeeds(cfg, a.log.With("component", "escalation")))
	rules, err := a.escalationRules(cfg, p)
	if err != nil {
		return err
	}
	a.engine.SetRules(rules)
	a.watch.SetPlan(wirePlan(cfg, p, rules))
	return nil
}

// feedsChanged makes the rules anew with what the feeds say now.
func (a *App) feedsChanged() {
	a.mu.Lock()
	cfg := a.cfg
	a.mu.Unlock()
	p, err := wire(cfg)
	if err == nil && a.engine != nil && a.watch != nil {
		err = a.reloadRules(cfg, p)
	}
	if err != nil {
		a.log.Error("what the calendars say cannot be used; what they said before stays", "error", err)
	}
}

func (a *App) reloadRules(cfg *config.Config, p parts) error {
	rules, err := a.escalationRules(cfg, p)
	if err != nil {
		return err
	}
	a.engine.SetRules(rules)
	a.watch.SetPlan(wirePlan(cfg, p, rules))
	return nil
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
