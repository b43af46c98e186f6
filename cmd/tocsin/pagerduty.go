package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
)

type pagerdutyCmd struct {
	Check pagerdutyCheckCmd `cmd:"" help:"Prove routing keys, the API token and the webhook subscription against PagerDuty; exit 1 when something does not work."`
}

type pagerdutyCheckCmd struct {
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
	Send   bool   `help:"Send a test event with each routing key: it is triggered and resolved at once, and may page for a moment."`
	outputFlag
}

// Help is shown by --help.
func (pagerdutyCheckCmd) Help() string { return "Example: tocsin pagerduty check --send" }

// pagerdutyPath is where PagerDuty's webhooks come in.
const pagerdutyPath = "/webhook/pagerduty"

// Run checks.
func (c *pagerdutyCheckCmd) Run(ctx context.Context, e *env) error {
	cfg, _, err := config.Load(c.Config)
	if err != nil {
		return exitError{1, err.Error()}
	}
	r := report{}
	c.routingKeys(ctx, cfg, &r)
	if cfg.PagerDuty.APIToken.IsZero() {
		r.skip("API token", "none is set: notes are not written into PagerDuty, and the webhook subscription cannot be looked at")
	} else {
		account(ctx, cfg, &r)
	}
	if err := c.print(e.out, map[string]any{"checks": r.checks}, r.write); err != nil {
		return err
	}
	if r.failed > 0 {
		return exitError{1, fmt.Sprintf("%d of %d do not work", r.failed, r.lines)}
	}
	return nil
}

// report has a line for each thing that was checked.
type report struct {
	checks        []checked
	lines, failed int
}

type checked struct {
	// Outcome is ok, failed or skipped.
	Outcome string `json:"outcome"`
	What    string `json:"what"`
	Text    string `json:"text"`
}

func (r *report) line(what string, err error, good string) {
	r.lines++
	if err != nil {
		r.failed++
		r.checks = append(r.checks, checked{"failed", what, err.Error()})
		return
	}
	r.checks = append(r.checks, checked{"ok", what, good})
}

func (r *report) skip(what, why string) { r.checks = append(r.checks, checked{"skipped", what, why}) }

func (r *report) write(w io.Writer) {
	marks := map[string]string{"ok": "ok  ", "failed": "FAIL", "skipped": "-   "}
	for _, c := range r.checks {
		fmt.Fprintf(w, "%s  %s: %s\n", marks[c.Outcome], c.What, printable(c.Text))
	}
}

// keyUse is a routing key and who has it.
type keyUse struct {
	key  config.Secret
	uses []string
}

func routingKeys(cfg *config.Config) []keyUse {
	var out []keyUse
	add := func(key config.Secret, use string) {
		if key.IsZero() {
			return
		}
		if n := slices.IndexFunc(out, func(k keyUse) bool { return k.key == key }); n >= 0 {
			out[n].uses = append(out[n].uses, use)
			return
		}
		out = append(out, keyUse{key, []string{use}})
	}
	for i := range cfg.Receivers {
		for n, p := range cfg.Receivers[i].PagerDutyConfigs {
			add(p.RoutingKey, fmt.Sprintf("receiver %s, service %d", cfg.Receivers[i].Name, n+1))
		}
	}
	for i := range cfg.Users {
		add(cfg.Users[i].PagerDutyRoutingKey, "user "+cfg.Users[i].Name)
	}
	return out
}

func (c *pagerdutyCheckCmd) routingKeys(ctx context.Context, cfg *config.Config, r *report) {
	keys := routingKeys(cfg)
	if len(keys) == 0 {
		r.skip("routing keys", "no receiver and no user has one")
	}
	for _, k := range keys {
		what := "routing key of " + strings.Join(k.uses, "; ")
		if !c.Send {
			r.skip(what, "not tried; --send triggers and resolves a test event with it")
			continue
		}
		n := pagerduty.New(pagerduty.Config{
			RoutingKey: k.key.Reveal(), EventsURL: cfg.PagerDuty.EventsURL, Timeout: time.Duration(cfg.PagerDuty.Timeout),
		})
		r.line(what, n.Test(ctx, time.Now()), "PagerDuty took a test event and its end")
	}
}

// account checks what the REST API tells.
func account(ctx context.Context, cfg *config.Config, r *report) {
	rest := pagerduty.NewREST(pagerduty.RESTConfig{
		Token: cfg.PagerDuty.APIToken.Reveal(), APIURL: cfg.PagerDuty.APIURL, Timeout: time.Duration(cfg.PagerDuty.Timeout),
	})
	err := rest.Ping(ctx)
	r.line("API token", err, "PagerDuty takes it")
	if err != nil {
		return
	}
	url := strings.TrimRight(cfg.Server.ExternalURL, "/") + pagerdutyPath
	list, err := rest.Subscriptions(ctx)
	if err != nil {
		r.line("webhook subscription", err, "")
		return
	}
	found := false
	for i := range list {
		if strings.TrimRight(list[i].URL, "/") == url {
			found = true
			what := "webhook subscription " + list[i].ID
			r.line(what, subscription(&list[i], len(cfg.PagerDuty.WebhookSecrets)), "active, for "+cmp.Or(list[i].Filter, "everything"))
		}
	}
	if !found && len(cfg.PagerDuty.WebhookSecrets) > 0 {
		r.line("webhook subscription", fmt.Errorf("none of %d leads to %s; make one in PagerDuty: Integrations, Generic Webhooks (v3)", len(list), url), "")
	} else if !found {
		r.skip("webhook subscription", "none leads to "+url+", so what is done in PagerDuty is not done here")
	}
}

// subscription says what is wrong with one that leads here.
func subscription(s *pagerduty.Subscription, secrets int) error {
	var missing []string
	for _, e := range pagerduty.WebhookEvents() {
		if len(s.Events) > 0 && !slices.Contains(s.Events, e) {
			missing = append(missing, e)
		}
	}
	switch {
	case secrets == 0:
		return fmt.Errorf("it leads here, and pagerduty.webhook_secrets_file is not set: every webhook is answered with 503")
	case s.Disabled:
		return fmt.Errorf("PagerDuty has switched it off for a day, since three webhooks in a row were refused: check its secret, and switch it on in PagerDuty")
	case !s.Active:
		return fmt.Errorf("it is switched off; switch it on in PagerDuty")
	case len(missing) > 0:
		return fmt.Errorf("it does not send %s; add them in PagerDuty", strings.Join(missing, ", "))
	}
	return nil
}
