package runbooks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// How an alert finds its runbook, in the order in which Library.Find asks.
const (
	ByMatchers = "matchers"
	ByURL      = tocsin.AnnotationRunbookURL
	ByName     = "name"
)

// RuleCoverage says which runbook the alerts of a rule find.
type RuleCoverage struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Alert string `json:"alert"`
	// Severity is the rule's label; it may be a template.
	Severity string `json:"severity,omitempty"`
	// Runbook is the ID of the runbook, and By how it is found; empty: there is none.
	Runbook string `json:"runbook,omitempty"`
	By      string `json:"by,omitempty"`
	// Fallback says why that is not the runbook that was meant for the alert, or not
	// for all of its series; empty: it is.
	Fallback string `json:"fallback,omitempty"`
}

// Severe reports whether the rule's severity is critical or page. Of a template it is
// what it may come to.
func (r *RuleCoverage) Severe() bool {
	s := strings.ToLower(strings.TrimSpace(r.Severity))
	if strings.Contains(s, "{{") {
		return strings.Contains(s, "critical") || strings.Contains(s, "page")
	}
	return s == "critical" || s == "page"
}

// Unmatched is a runbook for alerts to which no rule leads.
type Unmatched struct {
	ID       string   `json:"id"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Alerts   []string `json:"alerts,omitempty"`
	Matchers []string `json:"matchers,omitempty"`
}

// Coverage says which alerts have runbooks, and which runbooks have alerts. Its JSON
// is stable.
type Coverage struct {
	// Rules are the alerting rules, by file and line; never nil.
	Rules []RuleCoverage `json:"rules"`
	// Unmatched are the runbooks for alerts to which no rule leads, in the order of
	// the library; never nil. Runbooks for no alert are not among them.
	Unmatched []Unmatched `json:"unmatched"`
	// Findings are about rule files that cannot be read; never nil.
	Findings []Finding `json:"findings"`
}

// Uncovered are the rules without a runbook.
func (c *Coverage) Uncovered() []RuleCoverage {
	return c.those(func(r *RuleCoverage) bool { return r.Runbook == "" })
}

// Fallbacks are the rules that have a runbook only by fallback.
func (c *Coverage) Fallbacks() []RuleCoverage {
	return c.those(func(r *RuleCoverage) bool { return r.Fallback != "" })
}

func (c *Coverage) those(want func(*RuleCoverage) bool) []RuleCoverage {
	var out []RuleCoverage
	for i := range c.Rules {
		if want(&c.Rules[i]) {
			out = append(out, c.Rules[i])
		}
	}
	return out
}

// Coverage holds Prometheus rules against the library. rules are files, folders and
// patterns of files (path.Match); recording rules are passed over. It never fails:
// what cannot be read is a finding.
func (l *Library) Coverage(rules []string) Coverage {
	found, bad := readRules(rules)
	out := Coverage{Rules: []RuleCoverage{}, Unmatched: []Unmatched{}, Findings: append([]Finding{}, bad...)}
	used := map[string]bool{}
	for i := range found {
		r, possible := l.find(&found[i])
		out.Rules = append(out.Rules, r)
		used[r.Runbook] = true
		for _, id := range possible {
			used[id] = true
		}
	}
	for _, rb := range l.List() {
		if used[rb.ID] || len(rb.Alerts) == 0 && len(rb.Matchers) == 0 {
			continue
		}
		out.Unmatched = append(out.Unmatched, Unmatched{rb.ID, rb.File, rb.Line, rb.Alerts, rb.Matchers})
	}
	return out
}

// find finds the runbook of a rule's alerts as Library.Find does, as far as the
// rule tells: which labels its series bring is not known. possible are the runbooks
// that those labels may lead to.
func (l *Library) find(r *rule) (c RuleCoverage, possible []string) {
	c = RuleCoverage{File: r.file, Line: r.line, Alert: r.name, Severity: r.labels[tocsin.LabelSeverity]}
	if l == nil {
		return c, nil
	}
	var maybe *matched
	for i := range l.matchers {
		m := &l.matchers[i]
		fits, sure := m.fits(r)
		if fits && sure {
			c.Runbook, c.By = m.runbook.ID, ByMatchers
			if !m.namesAlert() {
				c.Fallback = "its matchers name no alert: it is for every alert with these labels"
			}
			return c, possible
		}
		if fits {
			possible = append(possible, m.runbook.ID)
			if maybe == nil {
				maybe = m
			}
		}
	}
	url := r.annotations[tocsin.AnnotationRunbookURL]
	if rb := l.byAddressOf(url); rb != nil {
		c.Runbook, c.By = rb.ID, ByURL
		if strings.Contains(url, "#") && !strings.Contains(rb.ID, "#") && l.byURL[address(url)] != rb {
			c.Fallback = "its runbook_url names a heading that no runbook has; this is the page"
		}
		return c, possible
	}
	if rb := l.named(r.name); rb != nil {
		c.Runbook, c.By = rb.ID, ByName
		switch {
		case url != "":
			c.Fallback = fmt.Sprintf("its runbook_url (%s) leads to no runbook", url)
		case !slices.Contains(rb.Alerts, r.name):
			c.Fallback = "the runbook writes the alert's name in other letters: " + strings.Join(rb.Alerts, ", ")
		}
		return c, possible
	}
	if maybe != nil {
		c.Runbook, c.By = maybe.runbook.ID, ByMatchers
		c.Fallback = "only for series with labels that match " + strings.Join(maybe.runbook.Matchers, ", ")
	}
	return c, possible
}

func (l *Library) byAddressOf(url string) *tocsin.Runbook {
	if url == "" || len(url) > maxURL {
		return nil
	}
	return l.byAddress(url)
}

// fits reports whether alerts of a rule may match, and whether they surely do: a
// label that the rule does not set, or sets by a template, may be anything.
func (m *matched) fits(r *rule) (fits, sure bool) {
	sure = true
	for _, k := range m.matchers {
		v, set := r.labels[k.Name]
		if k.Name == tocsin.LabelAlertName {
			v, set = r.name, true
		}
		switch {
		case !set || strings.Contains(v, "{{"):
			sure = false
		case !k.Matches(v):
			return false, false
		}
	}
	return true, sure
}

// namesAlert reports whether it is for alerts of a certain name.
func (m *matched) namesAlert() bool {
	for _, k := range m.matchers {
		if k.Name == tocsin.LabelAlertName && !k.Matches("") && !k.Matches("Any0ther_Alert") {
			return true
		}
	}
	return false
}
