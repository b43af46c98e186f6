package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
)

const (
	// rulesFor is how long Prometheus is not asked for its rules again, whoever looks,
	// and whether or not it has answered.
	rulesFor = time.Minute
	// rulesWithin is how long it may take, where prometheus.timeout is longer.
	rulesWithin = 5 * time.Second
)

// asksRules tells the rules that are loaded; a *live.Client does.
type asksRules interface {
	Rules(ctx context.Context) (live.Rules, error)
}

// ruleDesk remembers what Prometheus said of its rules. The zero ruleDesk has never asked.
type ruleDesk struct {
	mu    sync.Mutex
	asked time.Time
	rules []runbooks.Rule
	// at is when rules were told, and problem why they may not be all.
	at      time.Time
	problem string
	// known is what was said last, of a library.
	of    *runbooks.Library
	known tocsin.LoadedRules
}

// loadedRules holds the rules that Prometheus has loaded against the runbooks. Who
// asks at the same time waits for the same answer.
func (a *App) loadedRules(ctx context.Context) tocsin.LoadedRules {
	return a.usage.rules.hold(ctx, a.prometheus, a.shelf.Library(), time.Now())
}

// hold asks Prometheus, where that was long enough ago, and holds what it said against
// the library. Where it does not answer, what it said last holds.
func (l *ruleDesk) hold(ctx context.Context, prometheus asksRules, lib *runbooks.Library, now time.Time) tocsin.LoadedRules {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := !l.asked.IsZero() && now.Sub(l.asked) < rulesFor
	if fresh && l.of == lib {
		return l.known
	}
	if !fresh {
		l.ask(ctx, prometheus, now)
	}
	l.of, l.known = lib, tocsin.LoadedRules{
		Coverage: tocsin.Coverage{Rules: []tocsin.RuleCoverage{}, Unmatched: []tocsin.Unmatched{}}, At: l.at, Problem: l.problem,
	}
	if !l.at.IsZero() {
		l.known.Coverage = lib.Cover(l.rules)
	}
	return l.known
}

// ask asks, for all who wait: it goes on when the first of them leaves.
func (l *ruleDesk) ask(ctx context.Context, prometheus asksRules, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rulesWithin)
	defer cancel()
	told, err := prometheus.Rules(ctx)
	l.asked = now
	if err != nil {
		l.problem = err.Error()
		return
	}
	l.at, l.problem = now.UTC(), incomplete(&told)
	l.rules = make([]runbooks.Rule, len(told.Rules))
	for n, r := range told.Rules {
		l.rules[n] = runbooks.Rule{
			File: r.File, Group: r.Group, Name: r.Name, Labels: r.Labels,
			Annotations: tocsin.Labels{tocsin.AnnotationRunbookURL: r.RunbookURL},
		}
	}
}

// incomplete says why an answer may lack rules; empty: it does not.
func incomplete(told *live.Rules) string {
	var why []string
	if n := len(told.Rules); told.Total > n {
		why = append(why, fmt.Sprintf("it has %d alert rules, of which the first %d were read", told.Total, n))
	}
	if len(told.Warnings) > 0 {
		why = append(why, "Prometheus warns: "+strings.Join(told.Warnings, "; "))
	}
	return strings.Join(why, "; ")
}
