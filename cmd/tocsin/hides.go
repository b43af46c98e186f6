package main

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
)

// hides counts what a silence would hide, for its preview: as Slack's window does.
func (a *App) hides(ctx context.Context, matchers []string) (tocsin.Hidden, error) {
	return callback.Hides(ctx, a.store, matchers, time.Now())
}
