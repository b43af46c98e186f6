package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/trace"
)

// whySources is how many alerts of an incident are looked through for the one that
// inhibits others.
const whySources = 1000

// why is every decision on an incident's way, for somebody who asks: of incidents
// that they may not view it says no more than the timeline did.
func (a *App) why(ctx context.Context, who *tocsin.Principal, id string) (*tocsin.Why, error) {
	reader := who.Reader(a.store)
	inc, err := reader.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	m := trace.Material{Incident: inc, Ahead: a.engine.Ahead(inc)}
	if m.Alerts, err = reader.AlertsOf(ctx, id, trace.Alerts); err != nil {
		return nil, err
	}
	if m.Timeline, err = reader.Timeline(ctx, id, 0, trace.Events); err != nil {
		return nil, err
	}
	if err := a.whyHeld(ctx, reader, &m); err != nil {
		return nil, err
	}
	a.mu.Lock()
	m.Loaded, m.Places = a.inForce.loaded, whyPlaces(a.cfg)
	policies := whyPolicies(a.cfg, inc)
	a.mu.Unlock()
	m.Unbegun = a.whyUnbegun(policies)
	a.whyRoutes(&m)
	if m.Remediations, err = a.remedies.Remediations(ctx, id); err != nil {
		return nil, err
	}
	m.Remedies = len(a.remedies.engine.Remedies())
	if err := a.whyCalled(ctx, &m, who.Name); err != nil {
		return nil, err
	}
	return trace.Of(&m, who.Name), nil
}

// whyHeld finds the silences and the alerts that hold others back.
func (a *App) whyHeld(ctx context.Context, reader tocsin.Reader, m *trace.Material) error {
	m.Silences, m.Sources = map[string]tocsin.Silence{}, map[tocsin.Key]tocsin.AlertRecord{}
	var sources []tocsin.Key
	held := false
	for i := range m.Alerts {
		if s := m.Alerts[i].State.Suppression; s != nil {
			held = true
			if s.Reason == tocsin.Inhibited {
				sources = append(sources, s.Source)
			}
		}
	}
	if !held {
		return nil
	}
	list, err := a.router.Silences(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		m.Silences[s.ID] = s
	}
	incidents := map[tocsin.Key]string{}
	err = a.store.Update(ctx, func(tx tocsin.Tx) error {
		for _, key := range sources {
			if s, known := tx.Alert(key); known {
				incidents[key] = s.Incident
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, id := range incidents {
		if err := whySource(ctx, reader, m, key, id); err != nil {
			return err
		}
	}
	return nil
}

func whySource(ctx context.Context, reader tocsin.Reader, m *trace.Material, key tocsin.Key, id string) error {
	alerts, err := reader.AlertsOf(ctx, id, whySources)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil // somebody else's
	}
	for i := range alerts {
		if alerts[i].State.ID == key {
			m.Sources[key] = alerts[i]
		}
	}
	return err
}

// whyRoutes holds the first alert against the routes as they are now.
func (a *App) whyRoutes(m *trace.Material) {
	if len(m.Alerts) == 0 {
		return
	}
	for _, t := range a.router.Rules().Tried(&m.Alerts[0].Alert, time.Now()) {
		m.Rules = append(m.Rules, trace.Rule(t))
	}
}

// whyPlaces is where things stand in the configuration.
func whyPlaces(cfg *config.Config) map[string]string {
	out := map[string]string{}
	for i := range cfg.TimeIntervals {
		out[trace.Place("time interval", cfg.TimeIntervals[i].Name)] = cfg.TimeIntervals[i].Pos
	}
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		out[trace.Place("schedule", s.Name)] = s.Pos
		for j := range s.Layers {
			out[trace.Place("layer", s.Name+"/"+s.Layers[j].Name)] = s.Layers[j].Pos
		}
	}
	return out
}

// whyPolicies are the policies that the receivers of an incident name which follows
// none.
func whyPolicies(cfg *config.Config, inc *tocsin.Incident) (out []string) {
	if inc.Kind == tocsin.KindNotice || inc.Escalation != nil && len(inc.Escalation.Runs) > 0 {
		return nil
	}
	for i := range cfg.Receivers {
		r := &cfg.Receivers[i]
		if slices.Contains(inc.Receivers, r.Name) && r.EscalationPolicy != "" && !slices.Contains(out, r.EscalationPolicy) {
			out = append(out, r.EscalationPolicy)
		}
	}
	return out
}

func (a *App) whyUnbegun(names []string) (out []trace.Plan) {
	all := a.engine.Rules().Policies()
	for i := range all {
		if slices.Contains(names, all[i].Name) {
			out = append(out, whyPlan(&all[i]))
		}
	}
	return out
}

// whyCalled finds whom the policies call, and whose turn it was.
func (a *App) whyCalled(ctx context.Context, m *trace.Material, who string) error {
	m.People, m.Overrides = map[string]trace.Person{}, map[string]tocsin.Override{}
	if _, known := a.person(who); known {
		m.People[who] = trace.Person{}
	}
	if m.Incident.Escalation == nil {
		return nil
	}
	at := m.Incident.OpenedAt
	for _, r := range m.Incident.Escalation.Responders {
		if r.At.After(at) {
			at = r.At
		}
	}
	told := map[string]bool{}
	for i := range m.Incident.Escalation.Runs {
		p := a.engine.Plan(&m.Incident.Escalation.Runs[i])
		if p == nil {
			m.Plans = append(m.Plans, trace.Plan{Name: m.Incident.Escalation.Runs[i].Policy})
			continue
		}
		m.Plans = append(m.Plans, whyPlan(p))
		a.whyPeople(m, p)
		for _, name := range p.Schedules() {
			if told[name] {
				continue
			}
			told[name] = true
			if err := a.whyTurn(ctx, m, name, at); err != nil {
				return err
			}
		}
	}
	list, err := a.engine.InForce(ctx)
	for i := range list {
		m.Overrides[list[i].ID] = list[i]
	}
	return err
}

func whyPlan(p *escalation.Policy) trace.Plan {
	out := trace.Plan{Name: p.Name, Pos: p.Pos}
	for i := range p.Steps {
		s := &p.Steps[i]
		out.Steps = append(out.Steps, trace.Step{Pos: s.Pos, To: s.Recipients(), When: s.Conditions(), After: s.After})
	}
	return out
}

func (a *App) whyPeople(m *trace.Material, p *escalation.Policy) {
	for name := range p.Users {
		u, ok := a.engine.Reachable(p, name)
		if !ok {
			continue
		}
		one := trace.Person{High: whyTargets(u.High), Low: whyTargets(u.Low)}
		if r := m.Incident.Escalation.Responder(name); r != nil {
			one.Quiet = u.Hours(r.At)
		}
		m.People[name] = one
	}
}

func whyTargets(contacts []escalation.Contact) []string {
	var out []string
	for i := range contacts {
		out = append(out, contacts[i].Target.Key)
	}
	return out
}

// whyTurn asks a schedule who was on call.
func (a *App) whyTurn(ctx context.Context, m *trace.Material, schedule string, at time.Time) error {
	t := trace.Turn{Schedule: schedule, At: at}
	var err error
	t.Shifts, err = a.engine.Shifts(ctx, tocsin.ShiftQuery{Schedule: schedule, From: at, To: at})
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil // it is not in the configuration any more; what was decided is told
	}
	for _, s := range a.engine.Standing(schedule, at) {
		if !s.Shadow {
			t.Layers = append(t.Layers, trace.Layer{Name: s.Layer, User: s.User, Held: s.Held})
		}
	}
	m.Turns = append(m.Turns, t)
	return err
}

// whyLines is the trace for a person in Slack.
func (a *App) whyLines(ctx context.Context, inc *tocsin.Incident, who string) []string {
	asks, known := a.person(who)
	if !known {
		asks = tocsin.Principal{Name: who, Role: tocsin.RoleNone}
	}
	why, err := a.why(ctx, &asks, inc.ID)
	if err != nil {
		a.log.Warn("why an incident called somebody could not be read", "incident", inc.ID, "error", err)
		return []string{"*Why me?* " + slack.State(inc), "The decisions could not be read now; try again."}
	}
	return slack.Why(inc, why, who, a.incidentURL(inc.ID)+"/why")
}
