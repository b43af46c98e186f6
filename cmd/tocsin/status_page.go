package main

import (
	"sync"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/server"
)

// serveOthers fills in what programs that know Alertmanager, postmortems and
// everybody are told.
func (a *App) serveOthers(d *server.Deps) {
	d.Version, d.Receivers, d.ChangesBefore = version, a.receivers, a.changesBefore
	var mu sync.Mutex
	var of *config.Config
	var page *server.StatusPage
	d.StatusPage = func() *server.StatusPage {
		a.mu.Lock()
		cfg := a.cfg
		a.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if of != cfg { // after a reload
			of, page = cfg, wireStatusPage(&cfg.StatusPage)
		}
		return page
	}
}

// receivers are the names of those that are configured.
func (a *App) receivers() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := make([]string, len(a.cfg.Receivers))
	for i := range a.cfg.Receivers {
		names[i] = a.cfg.Receivers[i].Name
	}
	return names
}

// wireStatusPage returns nil where nothing is to be shown.
func wireStatusPage(c *config.StatusPage) *server.StatusPage {
	if len(c.Components) == 0 {
		return nil
	}
	p := &server.StatusPage{Title: c.Title}
	for _, s := range c.Components {
		p.Components = append(p.Components, server.StatusComponent{
			Name: s.Name, Description: s.Description, Matchers: s.Matchers, Degraded: s.Degraded, Down: s.Down,
		})
	}
	return p
}
