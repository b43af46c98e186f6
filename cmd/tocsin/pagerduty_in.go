package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/callback"
)

// openPagerDuty makes PagerDuty's way in, and what tells it of changes. Without a
// secret every webhook is answered with 503.
func (a *App) openPagerDuty(cfg *config.Config) error {
	a.changes = newChanges(a.log.With("component", "pagerduty"), a.registry)
	a.changes.set(cfg)
	deps := callback.Deps{
		Actions: responders{a.engine, a.store, a.person}, Incidents: a.store, Live: a.store.Live, Who: a.whoInPagerDuty,
		Logger: a.log.With("component", "pagerduty"), Registerer: a.registry,
	}
	if rest := wirePagerDutyREST(cfg); rest != nil {
		deps.Key = rest.IncidentKey
	}
	var err error
	a.webhooks, err = callback.New(wireWebhooks(cfg), deps)
	return err
}

// setPagerDuty puts what openPagerDuty made under another configuration.
func (a *App) setPagerDuty(cfg *config.Config) {
	a.webhooks.Set(wireWebhooks(cfg))
	a.changes.set(cfg)
}

func wireWebhooks(cfg *config.Config) callback.Config {
	c := callback.Config{Priorities: map[string]tocsin.Severity{}}
	for _, s := range cfg.PagerDuty.WebhookSecrets {
		c.Secrets = append(c.Secrets, s.Reveal())
	}
	for _, p := range cfg.PagerDuty.Priorities {
		c.Priorities[p.Name] = p.Severity
	}
	return c
}

// wirePagerDutyREST is PagerDuty's REST API; nil without a token.
func wirePagerDutyREST(cfg *config.Config) *pagerduty.REST {
	if cfg.PagerDuty.APIToken.IsZero() {
		return nil
	}
	return pagerduty.NewREST(pagerduty.RESTConfig{
		Token: cfg.PagerDuty.APIToken.Reveal(), From: cfg.PagerDuty.APIFrom, APIURL: cfg.PagerDuty.APIURL,
		Timeout: time.Duration(cfg.PagerDuty.Timeout),
	})
}

// servePagerDuty adds the path that PagerDuty calls.
func (a *App) servePagerDuty(callbacks map[string]http.Handler) {
	callbacks["/webhook/pagerduty"] = a.webhooks
}

// whoInPagerDuty is the user with an ID in PagerDuty.
func (a *App) whoInPagerDuty(id string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.cfg.Users {
		if a.cfg.Users[i].PagerDutyUser == id && id != "" {
			return a.cfg.Users[i].Name, true
		}
	}
	return "", false
}

// responders are what people do in PagerDuty who may respond here. PagerDuty lets
// in whom it likes: what a user does who may not do it here is written down, and
// calls go on. Whom Tocsin does not know is not held to a role.
type responders struct {
	callback.Actions
	incidents callback.Incidents
	person    func(name string) (who tocsin.Principal, known bool)
}

// Act does a, unless who does it may not.
func (r responders) Act(ctx context.Context, id string, a tocsin.Action) error {
	who, known := r.person(a.By)
	if !known || a.Kind == tocsin.ActNote || a.Kind == tocsin.ActSeen {
		return r.Actions.Act(ctx, id, a)
	}
	inc, err := r.incidents.Get(ctx, id)
	if err != nil {
		return err
	}
	if !who.MayIn(tocsin.RightRespond, inc) {
		return fmt.Errorf("%w: in Tocsin %s has no right to %s here", tocsin.ErrConflict, who.Name, tocsin.RightRespond)
	}
	return r.Actions.Act(ctx, id, a)
}
