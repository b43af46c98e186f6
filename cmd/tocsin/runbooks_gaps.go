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
	known, err := a.alertsWithout(ctx, lib)
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

// alertsWithout counts the alerts that opened incidents without a runbook and that
// would find none now either, the newest incidents first, until ctx is over.
func (a *App) alertsWithout(ctx context.Context, lib *runbooks.Library) (out server.RunbookGaps, err error) {
	list, err := a.store.List(ctx, tocsin.Filter{Archived: true, Limit: gapIncidents})
	if err != nil {
		return out, err
	}
	out.Whole = len(list) < gapIncidents
	var fired []runbooks.Rule
	var opened []time.Time
	for _, inc := range list {
		if lib.Get(inc.Runbook) != nil || inc.Alerts == 0 {
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
		one := &alerts[0].Alert
		fired = append(fired, runbooks.Rule{Name: one.Name(), Labels: one.Labels, Annotations: one.Annotations, Fired: true})
		opened = append(opened, inc.OpenedAt)
	}
	out.Alerts = without(lib, fired, opened)
	return out, nil
}

// without are the alerts that find no runbook, those that opened the most incidents
// first. The newest come first in fired.
func without(lib *runbooks.Library, fired []runbooks.Rule, opened []time.Time) (out []server.AlertWithout) {
	of := map[string]*server.AlertWithout{}
	for n, c := range lib.Cover(fired).Rules {
		if c.Runbook != "" {
			continue
		}
		if of[c.Alert] == nil {
			of[c.Alert] = &server.AlertWithout{Name: c.Alert, Last: opened[n]}
		}
		of[c.Alert].Times++
	}
	for _, one := range of {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(x, y server.AlertWithout) int {
		return cmp.Or(y.Times-x.Times, cmp.Compare(x.Name, y.Name))
	})
	return out
}
