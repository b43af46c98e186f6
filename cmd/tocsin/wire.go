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
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/webhook"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/server"
)

// Wiring turns the configuration, which is plain data, into parts. This file is
// where the packages' words meet; it decides nothing.

// kinds are the kinds of targets, each with a consumer of its own.
var kinds = []string{"slack", "pagerduty", "webhook", "email"}

// parts are what a configuration makes, and a reload makes anew.
type parts struct {
	rules      *router.Rules
	targets    []notifiers.Target
	byReceiver map[string][]router.Target
	slack      *slack.Client
}

func wire(cfg *config.Config) (parts, error) {
	p := parts{slack: wireSlack(cfg)}
	p.targets, p.byReceiver = wireTargets(cfg, p.slack)
	rules, err := router.NewRules(wireSpec(cfg, p.byReceiver))
	if err != nil {
		return parts{}, err
	}
	p.rules = rules
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

// wireTargets makes every receiver's targets, the channels that policies and
// schedules name, and everybody's contacts. A channel that is named twice is one
// target: an incident is posted there once.
func wireTargets(cfg *config.Config, client *slack.Client) ([]notifiers.Target, map[string][]router.Target) {
	var all []notifiers.Target
	seen := map[string]bool{}
	byReceiver := map[string][]router.Target{}
	add := func(t notifiers.Target) {
		if !seen[t.Key] {
			seen[t.Key] = true
			all = append(all, t)
		}
	}
	of := func(receiver string, t notifiers.Target, detail bool) {
		byReceiver[receiver] = append(byReceiver[receiver], router.Target{Key: t.Key, Detail: detail})
		add(t)
	}
	for _, r := range cfg.Receivers {
		byReceiver[r.Name] = nil
		for _, s := range r.SlackConfigs {
			of(r.Name, slackTarget(cfg, client.Channel(s.Channel), "slack:"+s.Channel), true)
		}
		for i, p := range r.PagerDutyConfigs {
			of(r.Name, pagerdutyTarget(cfg, fmt.Sprintf("pagerduty:%s/%d", r.Name, i), p), false)
		}
		for i, w := range r.WebhookConfigs {
			of(r.Name, webhookTarget(cfg, fmt.Sprintf("webhook:%s/%d", r.Name, i), r.Name, w), true)
		}
		for i, e := range r.EmailConfigs {
			of(r.Name, emailTarget(cfg, fmt.Sprintf("email:%s/%d", r.Name, i), e.To, time.UTC), false)
		}
	}
	for _, channel := range namedChannels(cfg) {
		add(slackTarget(cfg, client.Channel(channel), "slack:"+channel))
	}
	for i := range cfg.Users {
		for _, t := range userTargets(cfg, client, &cfg.Users[i]) {
			add(t)
		}
	}
	return all, byReceiver
}

// namedChannels are the Slack channels that policies and schedules name.
func namedChannels(cfg *config.Config) []string {
	var out []string
	add := func(list []config.Recipient) {
		for _, r := range list {
			if r.SlackChannel != "" {
				out = append(out, r.SlackChannel)
			}
		}
	}
	for i := range cfg.EscalationPolicies {
		for n := range cfg.EscalationPolicies[i].Steps {
			add(cfg.EscalationPolicies[i].Steps[n].Notify)
		}
		add(cfg.EscalationPolicies[i].LastResort)
	}
	for i := range cfg.Schedules {
		if c := cfg.Schedules[i].Channel; c != "" {
			out = append(out, c)
		}
	}
	return out
}

// userTargets are the ways to a person. They have lanes of their own, so that a
// storm in a channel delays nobody's page.
func userTargets(cfg *config.Config, client *slack.Client, u *config.User) []notifiers.Target {
	var out []notifiers.Target
	if u.Slack != "" {
		out = append(out, slackTarget(cfg, client.Person(u.Slack), slackKey(u.Name)))
	}
	if u.PagerDutyRoutingKey.Reveal() != "" {
		out = append(out, pagerdutyTarget(cfg, pagerdutyKey(u.Name), config.PagerDutyConfig{RoutingKey: u.PagerDutyRoutingKey}))
	}
	if u.Email != "" && cfg.SMTP.Host != "" {
		out = append(out, emailTarget(cfg, emailKey(u.Name), u.Email, zone(u.TimeZone)))
	}
	return out
}

func emailTarget(cfg *config.Config, key, to string, loc *time.Location) notifiers.Target {
	n := email.New(email.Config{
		Host: cfg.SMTP.Host, Port: cfg.SMTP.Port, From: cfg.SMTP.From, To: to, TLS: email.TLS(cfg.SMTP.TLS),
		Username: cfg.SMTP.Username, Password: cfg.SMTP.Password.Reveal(),
		Timeout: time.Duration(cfg.SMTP.Timeout), Location: loc,
	})
	return notifiers.Target{Key: key, Notifier: n, PerSecond: cfg.SMTP.RateLimit, Burst: 5, Thread: true}
}

func wireSlack(cfg *config.Config) *slack.Client {
	return slack.New(slack.Config{
		Token: cfg.Slack.BotToken.Reveal(), APIURL: cfg.Slack.APIURL,
		Timeout: time.Duration(cfg.Slack.Timeout), Lookup: cfg.Slack.Lookup,
		Buttons: clickable(cfg),
	})
}

// slackSettles is how long a post that was under way at a crash gets to show in
// the channel's history.
const slackSettles = 2 * time.Second

func slackTarget(cfg *config.Config, c notifiers.Notifier, key string) notifiers.Target {
	t := notifiers.Target{
		Key: key, Notifier: c, Provider: "slack",
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
		Timeout: time.Duration(cfg.PagerDuty.Timeout), Notes: wirePagerDutyREST(cfg),
	})
	perMinute := cfg.PagerDuty.RateLimit
	if p.RateLimit != nil {
		perMinute = *p.RateLimit
	}
	sum := sha256.Sum256([]byte(p.RoutingKey.Reveal()))
	return notifiers.Target{
		Key: key, Notifier: n, Lane: "pagerduty:" + hex.EncodeToString(sum[:8]),
		PerSecond: perMinute / 60, Burst: 10, Thread: !cfg.PagerDuty.APIToken.IsZero(),
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
			Requests: cfg.Server.Limits.RequestsPerSecond,
			Wait:     time.Duration(cfg.Server.Limits.Wait), Buffered: max(64<<20, 4*int(cfg.Server.Limits.Body)),
		},
	}
	wireAccess(cfg, &c)
	for _, t := range cfg.Server.IntakeTokens {
		c.Intake.Tokens = append(c.Intake.Tokens, t.Reveal())
	}
	if b := cfg.Server.IntakeBasicAuth; b != nil {
		c.Intake.Users = []server.User{{Name: b.Username, Password: b.Password.Reveal()}}
	}
	for _, t := range cfg.Server.APITokens {
		c.API = append(c.API, server.Token{Name: t.Name, Token: t.Token.Reveal(), Role: t.Role})
	}
	c.CalendarToken = cfg.Server.CalendarToken.Reveal()
	return c
}
