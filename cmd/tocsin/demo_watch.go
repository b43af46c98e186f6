package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

// What Prometheus and Alertmanager do elsewhere: the nodes are looked at, questions
// about them are answered, and alerts fire and resolve by what was seen.

// watcher looks at the nodes.
type watcher struct {
	chain chain
	// post sends alerts as Alertmanager does.
	post   func(context.Context, ...demoAlert) error
	log    *slog.Logger
	client *http.Client

	mu     sync.Mutex
	active map[string]demoAlert // by rule and what it is about
}

// scrapeEvery is how often the nodes are looked at.
const scrapeEvery = 100 * time.Millisecond

// The demo's rules, as Prometheus would have them.
const (
	ruleNodeDown   = `up{job="chain"} == 0`
	ruleRegionDown = `sum(up{job="chain"}) by (region) == 0`
	rulePending    = waitingMetric + ` > 1000`
	ruleSlow       = `scrape_duration_seconds{job="chain"} > 1`
	// nodeDownFor is how long a node does not answer before its alert fires; a
	// region's fires at once.
	nodeDownFor = 2 * scrapeEvery
)

// demoRules are what Prometheus has loaded. The last of them never fires here, and
// nobody has written a runbook for it.
var demoRules = []livetest.Group{
	{Name: "nodes", File: "/etc/prometheus/rules/chain.yml", Rules: []livetest.Rule{
		{Name: "NodeDown", Query: ruleNodeDown, Labels: livetest.Labels{"severity": "error", "component": "node"}},
		{Name: "RegionDown", Query: ruleRegionDown, Labels: livetest.Labels{"severity": "critical", "component": "region"}},
	}},
	{Name: "load", File: "/etc/prometheus/rules/chain.yml", Rules: []livetest.Rule{
		{Name: "HighPendingTransactions", Query: rulePending, Labels: livetest.Labels{"severity": "warning", "component": "node"}},
		{Name: "NodeAnswersSlowly", Query: ruleSlow, Labels: livetest.Labels{"severity": "warning", "component": "node"}},
	}},
}

// run looks at the nodes until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	for {
		var all sync.WaitGroup
		for _, n := range w.chain {
			all.Go(func() { n.scrape(ctx, w.client) })
		}
		all.Wait()
		if ctx.Err() != nil {
			return nil
		}
		if err := w.tell(ctx, w.firing(time.Now())); err != nil {
			w.log.Warn("Tocsin did not take alerts; they are sent again", "error", err)
		}
		if sleep(ctx, scrapeEvery) != nil {
			return nil
		}
	}
}

// firing are the alerts whose rules hold.
func (w *watcher) firing(now time.Time) map[string]demoAlert {
	out := map[string]demoAlert{}
	up, all := map[string]int{}, map[string]int{}
	for _, n := range w.chain {
		s, ok := n.at(now)
		if !ok {
			continue
		}
		all[n.region]++
		labels := map[string]string{"region": n.region, "component": "node", "instance": n.instance(), "job": "chain"}
		switch {
		case s.up:
			up[n.region]++
		case now.Sub(s.at) >= nodeDownFor:
			labels["alertname"], labels["severity"], labels["host"] = "NodeDown", "error", n.name
			out["NodeDown "+n.name] = fires(labels, "Node "+n.name+" is down").by(ruleNodeDown)
		}
		if s.up && s.waiting > 1000 {
			labels["alertname"], labels["severity"] = "HighPendingTransactions", "warning"
			out["HighPendingTransactions "+n.name] = fires(labels, fmt.Sprintf("%.0f transactions wait", s.waiting)).by(rulePending)
		}
	}
	for region, n := range all {
		if n > 1 && up[region] == 0 { // of a region of one node its node's alert says it all
			out["RegionDown "+region] = fires(map[string]string{
				"alertname": "RegionDown", "severity": "critical", "region": region, "component": "region",
			}, "Region "+region+" is down").by(ruleRegionDown)
		}
	}
	return out
}

// tell sends what has changed. What is not taken is sent again the next time.
func (w *watcher) tell(ctx context.Context, firing map[string]demoAlert) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var changed []demoAlert
	now := time.Now()
	after := map[string]demoAlert{}
	for key, a := range firing {
		if was, on := w.active[key]; on {
			a.StartsAt = was.StartsAt
		} else {
			a.StartsAt = now
			changed = append(changed, a)
		}
		after[key] = a
	}
	for key, a := range w.active {
		if _, on := firing[key]; !on {
			a.Status, a.EndsAt = "resolved", now
			changed = append(changed, a)
		}
	}
	if len(changed) > 0 {
		if err := w.post(ctx, changed...); err != nil {
			return err
		}
	}
	w.active = after
	return nil
}

// repeat sends all that fires once more.
func (w *watcher) repeat(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []demoAlert
	for _, a := range w.active {
		all = append(all, a)
	}
	return w.post(ctx, all...)
}

// question is what can be asked of the demo's nodes: up{instance="node-1:9090"} == 0,
// count(up{job="chain"}), sum(up) by (region) == 0.
var question = regexp.MustCompile(`^(?:(count|sum)\()?(up|` + waitingMetric + `)(?:\{([^}]*)\})?(\))?(?: by \((region)\))?(?: (==|>|<) ([0-9]+))?$`)

// pair is one of a question's matchers.
var pair = regexp.MustCompile(`^\s*([a-z]+)\s*=\s*"([^"]*)"\s*$`)

// prometheus answers questions about the nodes. What it does not understand has an
// empty answer, as what Prometheus knows nothing of has.
func (c chain) prometheus() http.Handler {
	emulator := &livetest.Server{}
	emulator.SetRules(demoRules...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		expr := r.FormValue("query")
		emulator.Set(expr, c.series(expr)...)
		emulator.ServeHTTP(w, r)
	})
}

// series are those that an expression gives.
func (c chain) series(expr string) []livetest.Series {
	m := question.FindStringSubmatch(strings.TrimSpace(expr))
	if m == nil || (m[1] == "") != (m[4] == "") || m[5] != "" && m[1] == "" {
		return nil
	}
	aggregate, name, by, op := m[1], m[2], m[5], m[6]
	limit, _ := strconv.ParseFloat(m[7], 64) // digits, or nothing where there is no op
	var order []string
	groups := map[string]chain{}
	for _, n := range c {
		if !n.matches(m[3]) {
			continue
		}
		key := n.name
		switch {
		case by != "":
			key = n.region
		case aggregate != "":
			key = ""
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], n)
	}
	var out []livetest.Series
	for _, key := range order {
		group := groups[key]
		labels := livetest.Labels{}
		switch {
		case by != "":
			labels["region"] = key
		case aggregate == "":
			labels = livetest.Labels{"__name__": name, "instance": group[0].instance(), "job": "chain", "region": group[0].region}
		}
		out = append(out, livetest.Series{Labels: labels, Value: func(at time.Time) float64 {
			return compare(group.value(aggregate, name, at), op, limit)
		}})
	}
	return out
}

// matches reports whether a node has the labels of a selector.
func (n *chainNode) matches(selector string) bool {
	has := map[string]string{"instance": n.instance(), "job": "chain", "region": n.region}
	for one := range strings.SplitSeq(selector, ",") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		if m := pair.FindStringSubmatch(one); m == nil || has[m[1]] != m[2] {
			return false
		}
	}
	return true
}

// value is a metric of some nodes at a time; NaN: there is none.
func (c chain) value(aggregate, name string, at time.Time) float64 {
	total, seen := 0.0, 0
	for _, n := range c {
		s, ok := n.at(at)
		if !ok || name != "up" && !s.up {
			continue
		}
		seen++
		switch {
		case aggregate == "count":
			total++
		case name != "up":
			total += s.waiting
		case s.up:
			total++
		}
	}
	if seen == 0 {
		return math.NaN()
	}
	return total
}

// compare is a value that a comparison lets through; NaN: it does not.
func compare(v float64, op string, limit float64) float64 {
	if op == "==" && v != limit || op == ">" && !(v > limit) || op == "<" && !(v < limit) {
		return math.NaN()
	}
	return v
}
