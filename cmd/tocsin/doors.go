package main

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/router/doors/eventsv2"
	"github.com/tocsin-oncall/tocsin/router/doors/jsonmap"
	"github.com/tocsin-oncall/tocsin/router/doors/sns"
	"github.com/tocsin-oncall/tocsin/router/heartbeat"
	"github.com/tocsin-oncall/tocsin/router/reconcile"
	"github.com/tocsin-oncall/tocsin/server"
)

// doors are the ways in beside Alertmanager's webhook, and what listens for what
// does not come.
type doors struct {
	events    *eventsv2.Door
	json      *jsonmap.Door
	sns       *sns.Doors
	hearts    *heartbeat.Runner
	reconcile *reconcile.Reconciler
}

// openDoors opens them; the router and the engine are open.
func (a *App) openDoors(cfg *config.Config) (_ *doors, err error) {
	d, log := &doors{}, a.log.With("component", "doors")
	if d.events, err = eventsv2.New(wireEvents(cfg), eventsv2.Options{
		Receiver: a.router, Actions: a.engine, Store: a.store, Logger: log, Registerer: a.registry,
	}); err != nil {
		return nil, err
	}
	limits := jsonmap.Limits{Alerts: cfg.Server.Limits.Alerts, Value: int(cfg.Server.Limits.LabelValue)}
	if d.json, err = jsonmap.New(wireJSON(cfg), a.router, limits, nil); err != nil {
		return nil, err
	}
	if d.sns, err = sns.New(wireSNS(cfg), sns.Options{Receiver: a.router, Logger: log, Registerer: a.registry}); err != nil {
		return nil, err
	}
	if d.hearts, err = heartbeat.New(wireHeartbeats(cfg), heartbeat.Options{
		Receiver: a.router, Store: a.store, Logger: log, Registerer: a.registry,
	}); err != nil {
		return nil, err
	}
	d.reconcile, err = reconcile.New(wireReconcile(cfg, d.hearts.Hears), reconcile.Options{
		Receiver: a.router, Store: a.store, Logger: log, Registerer: a.registry,
	})
	return d, err
}

// set puts a new configuration into force.
func (d *doors) set(cfg *config.Config) {
	d.events.SetSources(wireEvents(cfg))
	d.json.SetMappings(wireJSON(cfg))
	d.sns.SetDoors(wireSNS(cfg))
	d.hearts.SetHeartbeats(wireHeartbeats(cfg))
	d.reconcile.SetConfig(wireReconcile(cfg, d.hearts.Hears))
}

// serve gives the doors to the server. Alerts that are heartbeats are heard
// before the router.
func (d *doors) serve(s *server.Deps) {
	s.Receiver, s.JSON, s.Heartbeat = d.hearts, d.json.Take, d.hearts.Beat
	if s.Callbacks == nil {
		s.Callbacks = map[string]http.Handler{}
	}
	s.Callbacks["/v2/enqueue"] = d.events.Events()
	s.Callbacks["/v2/change/enqueue"] = d.events.Changes()
	s.Callbacks["/webhook/sns/:name"] = d.sns
}

// run does what time asks for, until ctx ends.
func (d *doors) run(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return d.hearts.Run(ctx) })
	g.Go(func() error { return d.reconcile.Run(ctx) })
}

// fixedLabels are the labels of a configuration that was checked.
func fixedLabels(list []string) tocsin.Labels {
	l, err := config.ParseLabels(list)
	if err != nil { // checked by config
		return nil
	}
	return l
}

func wireEvents(cfg *config.Config) []eventsv2.Source {
	var out []eventsv2.Source
	for i := range cfg.Doors.PagerDuty {
		p := &cfg.Doors.PagerDuty[i]
		out = append(out, eventsv2.Source{RoutingKey: p.RoutingKey.Reveal(), Name: p.Source, Labels: fixedLabels(p.Labels)})
	}
	return out
}

func wireJSON(cfg *config.Config) []jsonmap.Mapping {
	var out []jsonmap.Mapping
	for i := range cfg.Doors.JSON {
		d := &cfg.Doors.JSON[i]
		out = append(out, jsonmap.Mapping{
			Name: d.Name, Source: d.Source, Alerts: d.Alerts, Status: d.Status.Path, Resolved: d.Status.Resolved,
			Labels: jsonFields(d.Labels), Annotations: jsonFields(d.Annotations),
			StartsAt: d.StartsAt, EndsAt: d.EndsAt, GeneratorURL: d.GeneratorURL,
		})
	}
	return out
}

func jsonFields(list []config.JSONField) []jsonmap.Field {
	var out []jsonmap.Field
	for _, f := range list {
		out = append(out, jsonmap.Field{Name: f.Name, Path: f.Path, Value: f.Value, Must: f.Must})
	}
	return out
}

func wireSNS(cfg *config.Config) []sns.Door {
	var out []sns.Door
	for i := range cfg.Doors.SNS {
		d := &cfg.Doors.SNS[i]
		out = append(out, sns.Door{Name: d.Name, Source: d.Source, Topics: d.Topics, Labels: fixedLabels(d.Labels)})
	}
	return out
}

func wireHeartbeats(cfg *config.Config) []heartbeat.Heartbeat {
	var out []heartbeat.Heartbeat
	for i := range cfg.Heartbeats {
		h := &cfg.Heartbeats[i]
		matchers, err := config.ParseMatchers(h.Matchers)
		if err != nil { // checked by config
			continue
		}
		out = append(out, heartbeat.Heartbeat{
			Name: h.Name, Every: time.Duration(h.Every), Grace: time.Duration(h.Grace), Severity: h.Severity,
			Labels: fixedLabels(h.Labels), Matchers: matchers,
		})
	}
	return out
}

func wireReconcile(cfg *config.Config, skip func(*tocsin.Alert) bool) reconcile.Config {
	a := &cfg.Alertmanager
	c := reconcile.Config{
		URLs: a.URLs, Source: a.Source, Receivers: a.Receivers, Token: a.Token.Reveal(),
		Every: time.Duration(a.Every), Timeout: time.Duration(a.Timeout), WriteSilences: a.WriteSilences, Skip: skip,
	}
	if a.BasicAuth != nil {
		c.Username, c.Password = a.BasicAuth.Username, a.BasicAuth.Password.Reveal()
	}
	return c
}
