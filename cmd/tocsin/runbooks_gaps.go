package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/server"
)

// gapIncidents is how many incidents are looked at for alerts without a runbook.
const gapIncidents = 2000

// gaps remembers what the runbooks lack, since it takes reading their files and many
// incidents to know. The zero gaps knows nothing yet.
type gaps struct {
	mu    sync.Mutex
	at    time.Time
	of    *runbooks.Library
	known server.RunbookGaps
}

// runbookGaps says what the runbooks lack. Who asks at the same time waits for the
// same answer.
func (a *App) runbookGaps(ctx context.Context) (server.RunbookGaps, error) {
	g := &a.usage.gaps
	g.mu.Lock()
	defer g.mu.Unlock()
	lib := a.shelf.Library()
	if now := time.Now(); g.of == lib && now.Sub(g.at) < usageFor {
		return g.known, nil
	}
	known, err := a.alertsWithout(ctx)
	if err != nil {
		return known, err
	}
	a.mu.Lock()
	dirs, declared := a.cfg.Runbooks.Dirs, []string{}
	for i := range a.cfg.Remediations {
		declared = append(declared, a.cfg.Remediations[i].Name)
	}
	a.mu.Unlock()
	if len(dirs) > 0 {
		for _, f := range runbooks.Lint(dirs, nil, declared).Findings {
			known.Findings = append(known.Findings, server.RunbookFinding{File: f.File, Line: f.Line, Text: f.Text, Grave: f.Severity == runbooks.LevelError})
		}
	}
	g.at, g.of, g.known = time.Now(), lib, known
	return known, nil
}

// alertsWithout counts the alerts whose incidents found no runbook, the newest
// incidents first, until ctx is over.
func (a *App) alertsWithout(ctx context.Context) (out server.RunbookGaps, err error) {
	list, err := a.store.List(ctx, tocsin.Filter{Archived: true, Limit: gapIncidents})
	if err != nil {
		return out, err
	}
	out.Whole = len(list) < gapIncidents
	of := map[string]*server.AlertWithout{}
	for _, inc := range list {
		if inc.Runbook != "" || inc.Alerts == 0 {
			continue
		}
		alerts, err := a.store.AlertsOf(ctx, inc.ID, 1)
		if errors.Is(err, context.DeadlineExceeded) {
			out.Whole = false
			break
		}
		if err != nil || len(alerts) == 0 || alerts[0].Name() == "" {
			continue
		}
		name := alerts[0].Name()
		if of[name] == nil {
			of[name] = &server.AlertWithout{Name: name, Last: inc.OpenedAt}
		}
		of[name].Times++
	}
	for _, one := range of {
		out.Alerts = append(out.Alerts, *one)
	}
	slices.SortFunc(out.Alerts, func(x, y server.AlertWithout) int {
		return cmp.Or(y.Times-x.Times, cmp.Compare(x.Name, y.Name))
	})
	return out, nil
}
