package main

import (
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/server"
)

func (a *App) serverDeps() server.Deps {
	d := server.Deps{
		Receiver: a.router, Reader: a.store, Actions: a.engine, Manual: a.engine.OpenManual, Silencer: a.router,
		OnCall: a.engine, Overrides: a.engine, Ahead: a.engine.Ahead, Calendar: a.calendar, Beside: a.beside, Remedies: a.remedies, Remediator: a.remedies,
		Runbooks: a.shelf, Health: a, Reload: a.Reload, Backup: a.store.Backup, Stats: a.store.Stats,
		FillRunbook: runbooks.Fill,
		Metrics:     promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}),
		Logger:      a.log.With("component", "server"), Registerer: a.registry,
	}
	if a.prometheus != nil {
		d.Graph = a.drawGraph
	}
	a.doors.serve(&d)
	a.clicks.serve(d.Callbacks)
	a.servePagerDuty(d.Callbacks)
	return d
}
