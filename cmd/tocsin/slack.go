package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/socket"
)

// clicks is Slack's way in: what people click and type. The zero value takes
// nothing.
type clicks struct {
	handler *callback.Handler
	// signed is true where Slack calls us, and socket is what we call it with; nil:
	// we do not.
	signed   bool
	socket   *socket.Client
	channels *slack.IncidentChannels
	// graphs is nil where there is no Prometheus.
	graphs *slack.Graphs
	client atomic.Pointer[slack.Client]
	team   atomic.Pointer[string]
}

// Respond answers by a callback's response_url.
func (c *clicks) Respond(ctx context.Context, responseURL string, r slack.Reply) error {
	return c.client.Load().Respond(ctx, responseURL, r)
}

// Tell posts what only the user sees.
func (c *clicks) Tell(ctx context.Context, channel, user string, r slack.Reply) error {
	return c.client.Load().Tell(ctx, channel, user, r)
}

// Post says something to everybody in a conversation.
func (c *clicks) Post(ctx context.Context, channel string, r slack.Reply) error {
	return c.client.Load().Post(ctx, channel, r)
}

// Open shows a modal.
func (c *clicks) Open(ctx context.Context, trigger string, m slack.Modal) error {
	return c.client.Load().Open(ctx, trigger, m)
}

// openClicks takes callbacks where the signing secret, or the token for Socket
// Mode, is known.
func (a *App) openClicks(cfg *config.Config, p parts) {
	a.clicks.client.Store(p.slack)
	a.clicks.signed = !cfg.Slack.SigningSecret.IsZero()
	if !clickable(cfg) {
		return
	}
	log := a.log.With("component", "slack")
	a.clicks.handler = callback.New(callback.Config{
		SigningSecret: cfg.Slack.SigningSecret.Reveal(),
		Team: func() string {
			if id := a.clicks.team.Load(); id != nil {
				return *id
			}
			return ""
		},
		Logger: log, Registerer: a.registry,
	}, a.callbackDeps())
	if !cfg.Slack.AppToken.IsZero() {
		a.clicks.socket = socket.New(socket.Config{
			AppToken: cfg.Slack.AppToken.Reveal(), APIURL: cfg.Slack.APIURL, Logger: log, Registerer: a.registry,
		}, a.clicks.handler)
	}
}

func (a *App) callbackDeps() callback.Deps {
	words := command.New(command.Deps{
		Actions: a.engine, Reader: a.store, OnCall: a.engine, Overrides: a.engine, Silencer: a.router,
		Runbooks: a.shelf, Runbook: a.filledRunbook, Ahead: a.engine.Ahead, Why: a.whyLines,
		Handoff: a.watch.Brief, Status: a.statusLines, People: a.userNames, Policies: a.policyNames,
		Who: a.whoInSlack, Person: a.rightsOf, Zone: a.zoneOf,
	})
	return callback.Deps{
		Actions: a.engine, Reader: a.store, Slack: a.clicks, Who: a.whoInSlack, Person: a.rightsOf, Zone: a.zoneOf,
		Silencer: a.router, Runbook: a.filledRunbook, Why: a.whyLines, Shifts: a.engine.Shifts,
		Commander: words, Remedies: a.remedies, Post: a.clicks.Post, Message: a.clicks.message, Publish: a.clicks.publish,
	}
}

func (c *clicks) message(ctx context.Context, channel, ts string) (slack.Found, error) {
	return c.client.Load().Message(ctx, channel, ts)
}

func (c *clicks) publish(ctx context.Context, slackID, hash string, v slack.Home) error {
	return c.client.Load().Publish(ctx, slackID, hash, v)
}

// clickable reports whether what people click reaches us.
func clickable(cfg *config.Config) bool {
	return !cfg.Slack.SigningSecret.IsZero() || !cfg.Slack.AppToken.IsZero()
}

// untilRestart leaves out the buttons of a configuration whose clicks are taken
// only after the next start.
func (c *clicks) untilRestart(cfg *config.Config) *config.Config {
	if c.handler != nil {
		return cfg
	}
	out := *cfg
	out.Slack.SigningSecret, out.Slack.AppToken = config.Secret{}, config.Secret{}
	return &out
}

// serve adds the paths that Slack calls.
func (c *clicks) serve(callbacks map[string]http.Handler) {
	if !c.signed {
		return
	}
	callbacks["/slack/interactions"] = c.handler.Interactions()
	callbacks["/slack/commands"] = c.handler.Commands()
	callbacks["/slack/events"] = c.handler.Events()
}

// run does what Slack's way in needs besides the server.
func (c *clicks) run(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return c.learn(ctx) })
	g.Go(func() error { return c.channels.Run(ctx) })
	g.Go(func() error { return c.graphs.Run(ctx) })
	if c.socket != nil {
		g.Go(func() error { return c.socket.Run(tocsin.WithOrigin(ctx, "Slack")) })
	}
}

// targets are those of the configuration, and the channels of single incidents.
func (a *App) targets(cfg *config.Config, p parts) []notifiers.Target {
	a.showGraphs(cfg, p)
	s := slack.IncidentChannelSettings{
		Prefix: cfg.Slack.IncidentChannels.Prefix, Private: cfg.Slack.IncidentChannels.Private,
		ArchiveAfter: time.Duration(cfg.Slack.IncidentChannels.ArchiveAfter),
	}
	if a.clicks.channels == nil {
		a.clicks.channels = slack.NewIncidentChannels(slack.IncidentChannelsConfig{
			Store: a.store, Slack: a.slackOf, Logger: a.log.With("component", "slack"),
		}, p.slack, s)
	} else {
		a.clicks.channels.Set(p.slack, s)
	}
	if cfg.Slack.BotToken.IsZero() {
		return p.targets
	}
	t := slackTarget(cfg, a.clicks.channels, tocsin.IncidentChannel)
	t.Provider = "" // making channels has a rate of its own: pages go on when it is used up
	return append(p.targets, t)
}

// use takes another client. Whose workspace its token is for is asked anew.
func (c *clicks) use(client *slack.Client, anotherToken bool) {
	c.client.Store(client)
	if anotherToken {
		c.team.Store(nil)
	}
}

// learn asks Slack which workspace the token belongs to, until it says so: until
// then callbacks of every workspace that the secret signs for are taken.
func (c *clicks) learn(ctx context.Context) error {
	for c.handler != nil && ctx.Err() == nil {
		if c.team.Load() == nil {
			if id, err := c.client.Load().Workspace(ctx); err == nil {
				c.team.Store(&id)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
	return nil
}

// close waits for the answers that are under way.
func (c *clicks) close(ctx context.Context) error {
	if c == nil || c.handler == nil {
		return nil
	}
	return c.handler.Close(ctx)
}

// whoInSlack is the user with an ID in Slack.
func (a *App) whoInSlack(id string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Users {
		if a.cfg.Users[i].Slack == id && id != "" {
			return a.cfg.Users[i].Name, true
		}
	}
	return "", false
}

// rightsOf is what a user may do; who is none of them may do nothing.
func (a *App) rightsOf(name string) tocsin.Principal {
	who, _ := a.person(name)
	return who
}

// slackOf is the Slack ID of a user, or "".
func (a *App) slackOf(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Users {
		if a.cfg.Users[i].Name == name {
			return a.cfg.Users[i].Slack
		}
	}
	return ""
}

func (a *App) userNames() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for i := range a.cfg.Users {
		out = append(out, a.cfg.Users[i].Name)
	}
	return out
}

func (a *App) policyNames() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for i := range a.cfg.EscalationPolicies {
		out = append(out, a.cfg.EscalationPolicies[i].Name)
	}
	return out
}

// statusLines say how Tocsin is, in plain text.
func (a *App) statusLines(context.Context) []string {
	s := a.store.Stats()
	lines := []string{
		fmt.Sprintf("Tocsin %s", version),
		fmt.Sprintf("%d incidents are open, %d alerts fire", s.Open, s.Firing),
	}
	if s.Err != nil {
		lines = append(lines, "alerts are not taken now: "+s.Err.Error())
	} else {
		lines = append(lines, "alerts are taken")
	}
	if s.Lagging > 0 {
		lines = append(lines, fmt.Sprintf("%d messages are still to be delivered, the oldest for %s", s.Lagging, time.Since(s.OldestLag).Round(time.Second)))
	} else {
		lines = append(lines, "every message is delivered")
	}
	return lines
}

// zoneOf is a user's time zone.
func (a *App) zoneOf(name string) *time.Location {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Users {
		if a.cfg.Users[i].Name == name {
			return zone(a.cfg.Users[i].TimeZone)
		}
	}
	return time.UTC
}
