package main

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
)

// hides counts what a silence would hide of what somebody may view, for its preview:
// as Slack's window does.
func (a *App) hides(ctx context.Context, who *tocsin.Principal, matchers []string) (tocsin.Hidden, error) {
	return callback.Hides(ctx, who.Reader(a.store), matchers, time.Now())
}
