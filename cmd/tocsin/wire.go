package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/webhook"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/server"
)

// Wiring turns the configuration, which is plain data, into parts. This file is
// where the packages' words meet; it decides nothing.

// kinds are the kinds of targets, each with a consumer of its own.
var kinds = []string{"slack", "pagerduty", "webhook"}

// parts are what a configuration makes, and a reload makes anew.
type parts struct {
	rules   *router.Rules
	targets []notifiers.Target
	alarm   escalation.Alarm
}

func wire(cfg *config.Config) (parts, error) {
	targets, byReceiver := wireTargets(cfg)
	rules, err := router.NewRules(wireSpec(cfg, byReceiver))
	if err != nil {
		return parts{}, err
	}
	p := parts{rules: rules, targets: targets, alarm: escalation.Alarm{After: time.Duration(cfg.Alarm.After)}}
	for _, t := range byReceiver[cfg.Alarm.Receiver] {
		p.alarm.Targets = append(p.alarm.Targets, escalation.Target{Key: t.Key, Detail: t.Detail})
	}
	return p, nil
}

func wireSpec(cfg *config.Config, targets map[string][]router.Target) router.Spec {
	s := router.Spec{
		Route:         wireRoute(cfg.Route),
		TimeIntervals: map[string][]timeinterval.TimeInterval{},
		Targets:       targets,
		Timing: router.Timing{
			Reopen:      time.Duration(cfg.Incidents.ReopenWindow),
			Late:        time.Duration(cfg.Incidents.LateWindow),
			Stale:       time.Duration(cfg.Incidents.StaleAfter),
			FlapChanges: cfg.Incidents.Flapping.Changes,
			FlapWindow:  time.Duration(cfg.Incidents.Flapping.Window),
			FlapSettle:  time.Duration(cfg.Incidents.Flapping.Settle),
		},
	}
	for _, in := range cfg.InhibitRules {
		pos := in.Pos
		if in.Name != "" {
			pos = in.Name + " at " + in.Pos
		}
		s.InhibitRules = append(s.InhibitRules, router.InhibitSpec{
			SourceMatchers: in.SourceMatchers, TargetMatchers: in.TargetMatchers, Equal: in.Equal, Pos: pos,
		})
	}
	for _, ti := range cfg.TimeIntervals {
		for _, times := range ti.TimeIntervals {
			if parsed, err := times.Parse(); err == nil { // checked by config
				s.TimeIntervals[ti.Name] = append(s.TimeIntervals[ti.Name], parsed)
			}
		}
	}
	return s
}

func wireRoute(r config.Route) router.RouteSpec {
	s := router.RouteSpec{
		Receiver: r.Receiver, GroupBy: r.GroupBy, Matchers: r.Matchers, Continue: r.Continue,
		Mute: r.MuteTimeIntervals, Active: r.ActiveTimeIntervals, Pos: r.Pos,
	}
	for _, c := range r.Routes {
		s.Routes = append(s.Routes, wireRoute(c))
	}
	return s
}

// wireTargets makes every receiver's targets. A channel that two receivers name
// is one target: an incident that goes to both is posted there once.
func wireTargets(cfg *config.Config) ([]notifiers.Target, map[string][]router.Target) {
	slackClient := wireSlack(cfg)
	var all []notifiers.Target
	seen := map[string]bool{}
	byReceiver := map[string][]router.Target{}
	add := func(receiver string, t notifiers.Target, detail bool) {
		byReceiver[receiver] = append(byReceiver[receiver], router.Target{Key: t.Key, Detail: detail})
		if !seen[t.Key] {
			seen[t.Key] = true
			all = append(all, t)
		}
	}
	for _, r := range cfg.Receivers {
		byReceiver[r.Name] = nil
		for _, s := range r.SlackConfigs {
			add(r.Name, slackTarget(cfg, slackClient, s.Channel), true)
		}
		for i, p := range r.PagerDutyConfigs {
			add(r.Name, pagerdutyTarget(cfg, fmt.Sprintf("pagerduty:%s/%d", r.Name, i), p), false)
		}
		for i, w := range r.WebhookConfigs {
			add(r.Name, webhookTarget(cfg, fmt.Sprintf("webhook:%s/%d", r.Name, i), r.Name, w), true)
		}
	}
	return all, byReceiver
}

func wireSlack(cfg *config.Config) *slack.Client {
	return slack.New(slack.Config{
		Token: cfg.Slack.BotToken.Reveal(), APIURL: cfg.Slack.APIURL,
		Timeout: time.Duration(cfg.Slack.Timeout), Lookup: cfg.Slack.Lookup,
	})
}

// slackSettles is how long a post that was under way at a crash gets to show in
// the channel's history.
const slackSettles = 2 * time.Second

func slackTarget(cfg *config.Config, c *slack.Client, channel string) notifiers.Target {
	t := notifiers.Target{
		Key: "slack:" + channel, Notifier: c.Channel(channel), Provider: "slack",
		PerSecond: cfg.Slack.RateLimit, Thread: true,
	}
	if cfg.Slack.Lookup {
		t.LookAfter = slackSettles
	}
	return t
}

func pagerdutyTarget(cfg *config.Config, key string, p config.PagerDutyConfig) notifiers.Target {
	n := pagerduty.New(pagerduty.Config{
		RoutingKey: p.RoutingKey.Reveal(), EventsURL: cfg.PagerDuty.EventsURL,
		Timeout: time.Duration(cfg.PagerDuty.Timeout),
	})
	perMinute := cfg.PagerDuty.RateLimit
	if p.RateLimit != nil {
		perMinute = *p.RateLimit
	}
	sum := sha256.Sum256([]byte(p.RoutingKey.Reveal()))
	return notifiers.Target{
		Key: key, Notifier: n, Lane: "pagerduty:" + hex.EncodeToString(sum[:8]),
		PerSecond: perMinute / 60, Burst: 10,
	}
}

func webhookTarget(cfg *config.Config, key, receiver string, w config.WebhookConfig) notifiers.Target {
	c := webhook.Config{
		URL: w.URL.Reveal(), Receiver: receiver, BearerToken: w.BearerToken.Reveal(),
		ExternalURL: cfg.Server.ExternalURL,
		MaxAlerts:   w.MaxAlerts, Timeout: time.Duration(w.Timeout),
	}
	if w.BasicAuth != nil {
		c.Username, c.Password = w.BasicAuth.Username, w.BasicAuth.Password.Reveal()
	}
	n := webhook.New(c)
	t := notifiers.Target{Key: key, Notifier: n, Thread: true}
	if !w.SendResolved {
		t.Notifier = firingOnly{n}
	}
	return t
}

// firingOnly leaves a notifier untold of resolved incidents.
type firingOnly struct{ next notifiers.Notifier }

// Deliver passes on what still fires.
func (f firingOnly) Deliver(ctx context.Context, n tocsin.Notice) (tocsin.Receipt, error) {
	if n.Incident.Open() {
		return f.next.Deliver(ctx, n)
	}
	return tocsin.Receipt{Revision: n.Incident.Revision, State: n.Incident.State, Severity: n.Incident.Severity}, nil
}

func wireServer(cfg *config.Config) server.Config {
	c := server.Config{
		Listen: cfg.Server.Listen, ExternalURL: cfg.Server.ExternalURL, Connections: cfg.Server.Limits.Connections,
		Limits: server.Limits{
			Body: int(cfg.Server.Limits.Body), Alerts: cfg.Server.Limits.Alerts, Labels: cfg.Server.Limits.Labels,
			Name: int(cfg.Server.Limits.LabelName), Value: int(cfg.Server.Limits.LabelValue),
			Wait: time.Duration(cfg.Server.Limits.Wait), Buffered: max(64<<20, 4*int(cfg.Server.Limits.Body)),
		},
	}
	for _, t := range cfg.Server.IntakeTokens {
		c.Intake.Tokens = append(c.Intake.Tokens, t.Reveal())
	}
	if b := cfg.Server.IntakeBasicAuth; b != nil {
		c.Intake.Users = []server.User{{Name: b.Username, Password: b.Password.Reveal()}}
	}
	for _, t := range cfg.Server.APITokens {
		c.API = append(c.API, server.Token{Name: t.Name, Token: t.Token.Reveal()})
	}
	return c
}
