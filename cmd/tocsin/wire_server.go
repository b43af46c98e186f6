package main

import (
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/server"
)

func (a *App) openServer(cfg *config.Config) (*server.Server, error) {
	deps, err := a.serverDeps()
	if err != nil {
		return nil, err
	}
	return server.New(wireServer(cfg), deps)
}

func (a *App) serverDeps() (server.Deps, error) {
	d := server.Deps{
		Receiver: a.router, Reader: a.store, Actions: a.engine, Manual: a.engine.OpenManual, Silencer: a.router,
		OnCall: a.engine, Overrides: a.engine, Ahead: a.engine.Ahead, Calendar: a.calendar, Beside: a.beside, Remedies: a.remedies, Remediator: a.remedies,
		Runbooks: a.shelf, RunbookUsage: a.runbookUsage, Health: a, Reload: a.reloadFor, Backup: a.backup, Audit: a.store, Stats: a.store.Stats,
		FillRunbook: runbooks.Fill, Log: a.store, Changed: a.seen, Hides: a.hides,
		Metrics: promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}),
		Logger:  a.log.With("component", "server"), Registerer: a.registry,
	}
	if a.prometheus != nil {
		d.Values, d.Graph, d.Picture, d.Links, d.LoadedRules = a.values, a.drawGraph, a.picture, a.links, a.loadedRules
	}
	d.Why, d.Insights, d.System, d.RunbookGaps = a.why, a.insights, a.system, a.runbookGaps
	a.serveOthers(&d)
	a.doors.serve(&d)
	a.clicks.serve(d.Callbacks)
	a.servePagerDuty(d.Callbacks)
	fromProviders(d.Callbacks)
	return d, a.serveAccess(&d)
}
