package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation/sandbox"
)

// remedies are the remedies as the API, the pages and Slack know them.
type remedies struct{ engine *remediation.Engine }

// openRemedies makes what runs remedies.
func (a *App) openRemedies(cfg *config.Config) error {
	rules, err := remediation.NewRules(wireRemedies(cfg))
	if err != nil {
		return err
	}
	o := remediation.Options{
		Store: a.store, Runner: runner{}, Pager: a.engine, Redact: a.redact,
		Logger: a.log.With("component", "remediation"), Registerer: a.registry, Owner: fmt.Sprint("tocsin ", os.Getpid()),
		Retention: time.Duration(cfg.Storage.Retention),
	}
	o.Ended = a.remediated
	if a.prometheus != nil {
		o.Prober = prober{a.prometheus}
	}
	a.setSecrets(cfg)
	if err := sandbox.CleanUp(); err != nil {
		a.log.Warn("what commands have left in the temporary folder could not be removed; remove it by hand", "error", err)
	}
	a.remedies.engine, err = remediation.New(rules, o)
	return err
}

// remediated tells of a remedy that has changed something: what has run is a change
// like any other, for whoever looks for the cause of the next alert.
func (a *App) remediated(r tocsin.Remediation) {
	if !r.State.Ran() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceWithin)
	defer cancel()
	var receivers []string
	if inc, err := a.store.Get(ctx, r.Incident); err == nil {
		receivers = inc.Receivers
	}
	a.changed(ctx, fmt.Sprintf("remedy %s on %s: %s", r.Remedy, r.Target, word(string(r.State))), map[string]string{
		"incident": r.Incident, "remediation": r.ID, "why": r.Why,
	}, receivers...)
}

// setRemedies puts the remedies of another configuration into force.
func (a *App) setRemedies(cfg *config.Config, rules *remediation.Rules) {
	a.setSecrets(cfg)
	a.remedies.engine.SetRules(rules)
}

// wireRemedies turns what is declared into what is run.
func wireRemedies(cfg *config.Config) []remediation.Spec {
	var out []remediation.Spec
	for i := range cfg.Remediations {
		c := &cfg.Remediations[i]
		s := remediation.Spec{
			Name: c.Name, Summary: c.Summary, Command: c.Command, SHA256: c.SHA256, Target: c.Target, Stdin: c.Stdin,
			Environment: c.Environment, Timeout: time.Duration(c.Timeout), Matchers: c.Matchers, Mode: tocsin.Mode(c.Mode),
			Approvers: c.Approvers, TwoPerson: c.TwoPerson, ApprovalExpiry: time.Duration(c.ApprovalExpiry), Idempotent: c.Idempotent,
			Contract: wireContract(&c.Contract), Sandbox: remediation.Sandbox{
				Require: c.Sandbox.Require, User: c.Sandbox.User, Read: c.Sandbox.Read, Write: c.Sandbox.Write, Connect: c.Sandbox.Connect,
				Memory: int64(c.Sandbox.Memory), CPU: time.Duration(c.Sandbox.CPU), Processes: c.Sandbox.Processes, FileSize: int64(c.Sandbox.FileSize),
			},
		}
		for _, p := range c.Parameters {
			s.Parameters = append(s.Parameters, remediation.Parameter{Name: p.Name, Label: p.Label, Pattern: p.Pattern})
		}
		out = append(out, s)
	}
	return out
}

func wireContract(c *config.Contract) remediation.Contract {
	check := func(k *config.Check) remediation.Check {
		return remediation.Check{PromQL: k.PromQL, Command: k.Command, SHA256: k.SHA256}
	}
	return remediation.Contract{
		Precheck: check(&c.Precheck),
		Verify:   remediation.Verify{Check: check(&c.Verify), Within: time.Duration(c.Verify.Within), Every: time.Duration(c.Verify.Every)},
		Rollback: remediation.Rollback{Command: c.Rollback.Command, SHA256: c.Rollback.SHA256, Timeout: time.Duration(c.Rollback.Timeout)},
		Budget: remediation.Budget{
			PerTarget: remediation.Allowance{Runs: c.Budget.PerTarget.Runs, In: time.Duration(c.Budget.PerTarget.In)},
			Fleet: remediation.FleetAllowance{
				Runs: c.Budget.Fleet.Runs, Percent: c.Budget.Fleet.Percent, Of: c.Budget.Fleet.Of, In: time.Duration(c.Budget.Fleet.In),
			},
		},
		Cooldown: time.Duration(c.Cooldown),
		Breaker:  remediation.Breaker{Runs: c.Breaker.Runs, In: time.Duration(c.Breaker.In)},
	}
}

// runner executes commands in the sandbox.
type runner struct{}

// Run executes.
func (runner) Run(ctx context.Context, c remediation.Command, output io.Writer) (remediation.Result, error) {
	s := boxed(&c)
	s.Output = func(chunk []byte) { _, _ = output.Write(chunk) }
	r, err := sandbox.Run(ctx, s)
	if errors.Is(err, sandbox.ErrNotRun) {
		err = fmt.Errorf("%w: %w", remediation.ErrNotStarted, err)
	}
	return remediation.Result{Exit: r.Exit, Killed: r.Killed, Sandbox: r.Held}, err
}

// Holds says what would hold a command, and refuses what would not be run.
func (runner) Holds(_ context.Context, c remediation.Command) (string, error) {
	return sandbox.Holds(boxed(&c))
}

func boxed(c *remediation.Command) sandbox.Command {
	return sandbox.Command{
		Path: c.Argv[0], Args: c.Argv[1:], SHA256: c.SHA256, Env: c.Environment, Stdin: c.Stdin, Timeout: c.Timeout,
		Limits: sandbox.Limits{Memory: c.Sandbox.Memory, CPU: c.Sandbox.CPU, Processes: c.Sandbox.Processes, FileSize: c.Sandbox.FileSize},
		Read:   c.Sandbox.Read, Write: c.Sandbox.Write, Connect: c.Sandbox.Connect, User: c.Sandbox.User, Require: c.Sandbox.Require,
	}
}

// prober asks Prometheus for remedies. Half an answer is none.
type prober struct{ client *live.Client }

// Query returns the values of an instant query.
func (p prober) Query(ctx context.Context, expr string) ([]float64, error) {
	r, err := p.client.Query(ctx, expr, time.Time{})
	if err != nil {
		return nil, err
	}
	if len(r.Warnings) > 0 {
		return nil, errors.New("Prometheus answered only in part: " + strings.Join(r.Warnings, "; "))
	}
	var out []float64
	for _, s := range r.Series {
		if n := len(s.Points); n > 0 {
			out = append(out, s.Points[n-1].Value)
		}
	}
	return out, nil
}

// offering tells the remedies of each incident that the router has changed.
type offering struct {
	*escalation.Engine
	remedies *remedies
}

// Settle is the engine's; the incident is offered once it has committed.
func (o offering) Settle(tx tocsin.Tx, inc *tocsin.Incident, now time.Time) []tocsin.Event {
	o.remedies.engine.Note(inc.ID)
	return o.Engine.Settle(tx, inc, now)
}

// secrets are kept out of what commands write.
type secrets struct {
	replace atomic.Pointer[strings.Replacer]
}

func (a *App) setSecrets(cfg *config.Config) { a.secrets.replace.Store(hiding(cfg.Hidden)) }

// hiding replaces secrets, the longest first: one may begin with another. Of one
// that has several lines each is hidden by itself too: while a command writes,
// what there is may end in the middle of it.
func hiding(secrets []config.Secret) *strings.Replacer {
	const telling = 8 // a shorter line, such as "}", gives nothing away
	var all []string
	for _, s := range secrets {
		all = append(all, s.Reveal())
		for line := range strings.Lines(s.Reveal()) {
			if line = strings.TrimSpace(line); len(line) >= telling {
				all = append(all, line)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range all {
		if s != "" {
			pairs = append(pairs, s, "<secret>")
		}
	}
	return strings.NewReplacer(pairs...)
}

func (a *App) redact(b []byte) []byte { return []byte(a.secrets.hide(string(b))) }

// Remedies returns those that are declared, and what is stopped.
func (r *remedies) Remedies(ctx context.Context) ([]tocsin.Remedy, []string, error) {
	stopped, err := r.engine.Stopped(ctx)
	names := slices.Sorted(maps.Keys(stopped))
	for n := range names {
		if names[n] == "all" {
			names[n] = ""
		}
	}
	slices.Sort(names)
	return r.engine.Remedies(), names, err
}

// listedRuns is as many as are kept.
const listedRuns = 10_000

// Remediations returns runs.
func (r *remedies) Remediations(ctx context.Context, incident string) ([]tocsin.Remediation, error) {
	return r.engine.List(ctx, incident, listedRuns)
}

// Remediation returns one run.
func (r *remedies) Remediation(ctx context.Context, id string) (tocsin.Remediation, string, error) {
	return r.engine.Get(ctx, id)
}

// Plan says what remedies would do; of those that are not for the incident, nothing.
func (r *remedies) Plan(ctx context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error) {
	if remedy != "" {
		p, err := r.engine.Plan(ctx, incident, remedy, target)
		return []tocsin.RemedyPlan{p}, err
	}
	var out []tocsin.RemedyPlan
	for _, m := range r.engine.Remedies() {
		p, err := r.engine.Plan(ctx, incident, m.Name, target)
		switch {
		case err == nil:
			out = append(out, p)
		case errors.Is(err, tocsin.ErrInvalid):
			out = append(out, tocsin.RemedyPlan{Remedy: m.Name, Incident: incident, Refused: []string{err.Error()}})
		case !errors.Is(err, tocsin.ErrConflict):
			return nil, err
		}
	}
	return out, nil
}

// Remediate has a remedy run.
func (r *remedies) Remediate(ctx context.Context, incident, remedy, target, by string) (tocsin.Remediation, error) {
	return r.engine.Start(ctx, incident, remedy, target, by)
}

// Answer approves or denies.
func (r *remedies) Answer(ctx context.Context, id, by string, approve bool) (tocsin.Remediation, error) {
	if approve {
		return r.engine.Approve(ctx, id, by)
	}
	return r.engine.Deny(ctx, id, by)
}

// Stop holds.
func (r *remedies) Stop(ctx context.Context, remedy, by string) error {
	return r.engine.Stop(ctx, remedy, by)
}

// Resume lets go.
func (r *remedies) Resume(ctx context.Context, remedy, by string) error {
	return r.engine.Resume(ctx, remedy, by)
}

// shown are the runs that messages show of an incident.
func (r *remedies) shown(incident string) []tocsin.Remediation {
	if len(r.engine.Remedies()) == 0 {
		return nil
	}
	list, err := r.engine.List(context.Background(), incident, 10)
	if err != nil {
		return nil
	}
	return list
}
