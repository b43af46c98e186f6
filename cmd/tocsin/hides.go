package main

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/server"
)

// hides counts what a silence would hide, for its preview: as Slack's window does.
func (a *App) hides(ctx context.Context, matchers []string) (server.Hidden, error) {
	h, err := callback.Hides(ctx, a.store, matchers, time.Now())
	return server.Hidden(h), err
}
