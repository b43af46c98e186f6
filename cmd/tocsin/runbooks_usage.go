package main

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// usageFor is how long an answer about the use of runbooks is good for.
const usageFor = 30 * time.Second

// usage remembers how the runbooks were used, since it takes reading many incidents
// to know. The zero usage knows nothing yet.
type usage struct {
	mu    sync.Mutex
	at    time.Time
	of    *runbooks.Library
	known tocsin.RunbookUsage
	gaps  gaps
	rules ruleDesk
}

// runbookUsage says how the runbooks were used. Who asks at the same time waits for
// the same answer.
func (a *App) runbookUsage(ctx context.Context) (tocsin.RunbookUsage, error) {
	u := &a.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	lib := a.shelf.Library()
	if now := time.Now(); u.of == lib && now.Sub(u.at) < usageFor {
		return u.known, nil
	}
	known, err := runbooks.Usage(ctx, a.store, lib)
	if err != nil {
		return known, err
	}
	u.at, u.of, u.known = time.Now(), lib, known
	return known, nil
}
