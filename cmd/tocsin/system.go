package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
	"github.com/tocsin-oncall/tocsin/server"
)

// inForce is when the program started, and what it has loaded since.
type inForce struct {
	started, loaded time.Time
	hash            string
	warnings        []string
}

// load notes what was put into force. The caller holds a.mu, or nobody else has a.
func (a *App) load(cfg *config.Config, warnings config.Warnings) {
	now := time.Now()
	a.inForce = inForce{started: cmp.Or(a.inForce.started, now), loaded: now, hash: cfg.Hash(), warnings: []string{}}
	for _, w := range warnings {
		a.inForce.warnings = append(a.inForce.warnings, w.String())
	}
}

// system says how the program stands.
func (a *App) system(ctx context.Context) (server.System, error) {
	stats := a.store.Stats()
	open, err := a.store.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: max(stats.Open, 1)})
	if err != nil {
		return server.System{}, err
	}
	a.mu.Lock()
	f := a.inForce
	a.mu.Unlock()
	s := server.System{
		Version: version, StartedAt: f.started, Live: stats.Live, Open: stats.Open, Alerts: stats.Alerts, Firing: stats.Firing,
		Queue: stats.Queue, Size: stats.Size, Lagging: stats.Lagging, OldestLag: stats.OldestLag, Providers: standings(open),
		Configuration: server.ConfigurationInForce{File: a.path, Hash: f.hash, LoadedAt: f.loaded, Warnings: f.warnings},
		Runbooks:      len(a.shelf.List()), RunbookProblems: len(a.shelf.Library().Problems()), Sandbox: []server.SandboxOffer{}, Events: a.store.LastSeq(),
	}
	if stats.Err != nil {
		s.Problem = stats.Err.Error()
	}
	for _, rb := range a.shelf.List() {
		if rb.Stale != "" {
			s.Stale++
		}
	}
	for _, o := range sandbox.Probe().Findings() {
		s.Sandbox = append(s.Sandbox, server.SandboxOffer(o))
	}
	return s, nil
}

// standings counts how the deliveries of each kind stand.
func standings(open []*tocsin.Incident) []server.Provider {
	of := map[string]*server.Provider{}
	for _, inc := range open {
		for i := range inc.Deliveries {
			d := &inc.Deliveries[i]
			kind, _, _ := strings.Cut(d.Target, ":")
			p := of[kind]
			if p == nil {
				p = &server.Provider{Kind: kind}
				of[kind] = p
			}
			switch {
			case d.Failed:
				p.Failed++
				p.Error = d.Error
			case d.Lags(inc):
				p.Lagging++
				p.Error = cmp.Or(d.Error, p.Error)
			default:
				p.Current++
			}
			if d.DeliveredAt.After(p.DeliveredAt) {
				p.DeliveredAt = d.DeliveredAt
			}
		}
	}
	list := []server.Provider{}
	for _, p := range of {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b server.Provider) int { return cmp.Compare(a.Kind, b.Kind) })
	return list
}
