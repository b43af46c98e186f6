package main

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/router"
)

// The keys of the targets that call a person.
func slackKey(user string) string     { return "slack:@" + user }
func pagerdutyKey(user string) string { return "pagerduty:@" + user }
func emailKey(user string) string     { return "email:@" + user }

// wireUsers makes everybody of the configuration, by name.
func wireUsers(cfg *config.Config) map[string]escalation.User {
	users := make(map[string]escalation.User, len(cfg.Users))
	for i := range cfg.Users {
		u := &cfg.Users[i]
		users[u.Name] = escalation.User{
			Name: u.Name, Zone: u.TimeZone, Quiet: wireWindows(u.QuietHours),
			High: wireContacts(u.Name, u.Contacts), Low: wireContacts(u.Name, u.LowUrgencyContacts),
		}
	}
	return users
}

func wireContacts(user string, list []config.Contact) []escalation.Contact {
	var out []escalation.Contact
	for _, c := range list {
		contact := escalation.Contact{After: time.Duration(c.After)}
		switch c.By {
		case config.BySlack:
			contact.By, contact.Target = "Slack", escalation.Target{Key: slackKey(user), Detail: true}
		case config.ByPagerDuty:
			contact.By, contact.Target = "PagerDuty", escalation.Target{Key: pagerdutyKey(user)}
		case config.ByEmail:
			contact.By, contact.Target = "email", escalation.Target{Key: emailKey(user)}
		default:
			continue // refused by config
		}
		out = append(out, contact)
	}
	return out
}

func wireWindows(list []config.Window) []oncall.Window {
	var out []oncall.Window
	for i := range list {
		out = append(out, wireWindow(&list[i]))
	}
	return out
}

func wireWindow(w *config.Window) oncall.Window {
	from, to := w.Minutes()
	return oncall.Window{Days: w.Days(), From: from, To: to}
}

// hours is a window as a list; none where it is all of the week.
func hours(w config.Window) []oncall.Window {
	if w.Always() {
		return nil
	}
	return []oncall.Window{wireWindow(&w)}
}

// wireEscalation makes the rules of escalation. The spans of layers that take
// their people from outside, and the holidays from files, are in out.
func wireEscalation(cfg *config.Config, byReceiver map[string][]router.Target, out outside) (*escalation.Rules, error) {
	s := escalation.Spec{
		Users: wireUsers(cfg), Teams: map[string][]string{}, Receivers: map[string]string{},
		Schedules: map[string]*oncall.Schedule{}, TimeOff: out.timeOff,
		Alarm: escalation.Alarm{After: time.Duration(cfg.Alarm.After), Targets: places(byReceiver[cfg.Alarm.Receiver])},
	}
	if !cfg.Slack.BotToken.IsZero() {
		s.Channels = escalation.Channels{Ready: true, Severities: cfg.Slack.IncidentChannels.Severities}
	}
	for _, t := range cfg.Teams {
		s.Teams[t.Name] = t.Users
	}
	s.Targets, s.Default = map[string][]escalation.Target{}, []string{cfg.Route.Receiver}
	for _, r := range cfg.Receivers {
		s.Targets[r.Name] = places(byReceiver[r.Name])
		if r.EscalationPolicy != "" {
			s.Receivers[r.Name] = r.EscalationPolicy
		}
	}
	for i := range cfg.Schedules {
		spec := wireSchedule(&cfg.Schedules[i], out)
		schedule, err := oncall.New(spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Schedules[i].Pos, err)
		}
		s.Schedules[spec.Name] = schedule
	}
	for i := range cfg.EscalationPolicies {
		s.Policies = append(s.Policies, wirePolicy(&cfg.EscalationPolicies[i], byReceiver))
	}
	return escalation.NewRules(s)
}

func wireSchedule(c *config.Schedule, out outside) oncall.Spec {
	s := oncall.Spec{Name: c.Name, Location: zone(c.TimeZone), Holidays: out.holidays[c.Name]}
	for _, d := range c.Holidays.Dates {
		s.Holidays = append(s.Holidays, oncall.Date(d))
	}
	for i := range c.Layers {
		l := &c.Layers[i]
		layer := oncall.Layer{
			Name: l.Name, Priority: l.Priority, Windows: wireWindows(l.Restrictions), Shadow: l.Shadow,
			Days: map[string]oncall.Days{config.OnHolidays: oncall.HolidaysOnly, config.OnWorkdays: oncall.NotHolidays}[l.On],
		}
		if l.TimeZone != "" {
			layer.Location = zone(l.TimeZone)
		}
		if l.Rotation == nil {
			layer.Spans = append([]oncall.Span{}, out.spans[layerID(c.Name, l.Name)]...)
		} else {
			layer.Rotation = &oncall.Rotation{
				Users: l.Users, Length: l.Rotation.Length, Start: oncall.Date(l.Rotation.Start), Handoff: int(l.Rotation.Handoff),
				Unit: map[string]oncall.Unit{
					config.UnitHours: oncall.Hours, config.UnitDays: oncall.DaysUnit,
					config.UnitWeeks: oncall.Weeks, config.UnitMonths: oncall.Months,
				}[l.Rotation.Unit],
			}
		}
		s.Layers = append(s.Layers, layer)
	}
	return s
}

// layerID names a layer whose people come from outside.
func layerID(schedule, layer string) string { return schedule + "/" + layer }

// zone is a time zone that config has checked.
func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return loc
}

func wirePolicy(c *config.EscalationPolicy, byReceiver map[string][]router.Target) escalation.Policy {
	p := escalation.Policy{
		Name: c.Name, Repeat: c.Repeat, RepeatAfter: time.Duration(c.RepeatAfter),
		LastResort: recipients(c.LastResort, byReceiver), LastResortEvery: time.Duration(c.LastResortEvery),
		RemindAfter: time.Duration(c.Acknowledgement.RemindAfter), ReturnAfter: time.Duration(c.Acknowledgement.ReturnAfter),
		Urgency: escalation.Urgency{High: c.Urgency.High}, Pos: c.Pos,
	}
	if h := c.Urgency.SupportHours; h != nil {
		p.Urgency.SupportHigh, p.Urgency.SupportHours, p.Urgency.Zone = h.Severities, hours(h.Window()), h.TimeZone
	}
	for i := range c.Steps {
		s := &c.Steps[i]
		p.Steps = append(p.Steps, escalation.Step{
			After: time.Duration(s.After), To: recipients(s.Notify, byReceiver), RoundRobin: s.RoundRobin,
			AllMustAcknowledge: s.AllMustAcknowledge, Pos: s.Pos,
			When: escalation.Condition{Severities: s.When.Severities, Hours: hours(s.When.Window()), Zone: s.When.TimeZone},
		})
	}
	return p
}

func recipients(list []config.Recipient, byReceiver map[string][]router.Target) []escalation.Recipient {
	var out []escalation.Recipient
	for _, r := range list {
		to := escalation.Recipient{User: r.User, Schedule: r.Schedule, Team: r.Team, Mention: r.UserGroup}
		switch {
		case r.SlackChannel != "":
			to.Name, to.Targets = r.SlackChannel, []escalation.Target{{Key: "slack:" + r.SlackChannel, Detail: true}}
		case r.Receiver != "":
			to.Name, to.Targets = "receiver "+r.Receiver, places(byReceiver[r.Receiver])
		}
		out = append(out, to)
	}
	return out
}

func places(targets []router.Target) []escalation.Target {
	var out []escalation.Target
	for _, t := range targets {
		out = append(out, escalation.Target{Key: t.Key, Detail: t.Detail})
	}
	return out
}

// outside is what a configuration takes from files and feeds: none of it is in
// the configuration itself, and feeds change while it stays.
type outside struct {
	// spans of the layers, by layerID.
	spans map[string][]oncall.Span
	// holidays of the schedules, by name.
	holidays map[string][]oncall.Date
	// timeOff of people whose calendars say so.
	timeOff []tocsin.Override
}
