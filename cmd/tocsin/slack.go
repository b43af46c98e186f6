package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
)

// clicks is Slack's way in: what people click on the incidents' messages. The
// zero value takes nothing.
type clicks struct {
	handler *callback.Handler
	client  atomic.Pointer[slack.Client]
	team    atomic.Pointer[string]
}

// Respond answers by a callback's response_url.
func (c *clicks) Respond(ctx context.Context, responseURL string, r slack.Reply) error {
	return c.client.Load().Respond(ctx, responseURL, r)
}

// Tell posts what only the user sees.
func (c *clicks) Tell(ctx context.Context, channel, user string, r slack.Reply) error {
	return c.client.Load().Tell(ctx, channel, user, r)
}

// Open shows a modal.
func (c *clicks) Open(ctx context.Context, trigger string, m slack.Modal) error {
	return c.client.Load().Open(ctx, trigger, m)
}

// openClicks takes callbacks where the signing secret is known.
func (a *App) openClicks(cfg *config.Config, p parts) {
	a.clicks = &clicks{}
	a.clicks.client.Store(p.slack)
	if cfg.Slack.SigningSecret.IsZero() {
		return
	}
	a.clicks.handler = callback.New(callback.Config{
		SigningSecret: cfg.Slack.SigningSecret.Reveal(),
		Team: func() string {
			if id := a.clicks.team.Load(); id != nil {
				return *id
			}
			return ""
		},
		Logger: a.log.With("component", "slack"), Registerer: a.registry,
	}, callback.Deps{
		Actions: a.engine, Reader: a.store, Slack: a.clicks, Who: a.whoInSlack, May: a.may, Zone: a.zoneOf,
		Silencer: a.router, Runbook: a.filledRunbook, Ahead: a.engine.Ahead, Shifts: a.engine.Shifts,
	})
}

// serve adds the paths that Slack calls.
func (c *clicks) serve(callbacks map[string]http.Handler) {
	if c.handler == nil {
		return
	}
	callbacks["/slack/interactions"] = c.handler.Interactions()
	callbacks["/slack/commands"] = c.handler.Commands()
	callbacks["/slack/events"] = c.handler.Events()
}

// learn asks Slack which workspace the token belongs to, until it says so: until
// then callbacks of every workspace that the secret signs for are taken.
func (c *clicks) learn(ctx context.Context) error {
	for c.handler != nil && ctx.Err() == nil {
		id, err := c.client.Load().Workspace(ctx)
		if err == nil {
			c.team.Store(&id)
			return nil
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

// may reports whether a user has a right.
func (a *App) may(name string, right tocsin.Right) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Users {
		if a.cfg.Users[i].Name == name {
			return tocsin.Role(a.cfg.Users[i].Role).May(right)
		}
	}
	return false
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
