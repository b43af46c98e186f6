package tocsin

import (
	"strings"
	"time"
)

// RuleCoverage says which runbook the alerts of a rule find.
type RuleCoverage struct {
	// File, Line and Group say where the rule is; of what Prometheus has loaded there
	// is no Line.
	File  string `json:"file"`
	Line  int    `json:"line"`
	Group string `json:"group,omitempty"`
	Alert string `json:"alert"`
	// Severity is the rule's label; it may be a template.
	Severity string `json:"severity,omitempty"`
	// Runbook is the ID of the runbook, and By how it is found: "matchers",
	// "runbook_url" or "name". Empty: there is none.
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

// Coverage says which alerting rules have runbooks, and which runbooks have rules.
type Coverage struct {
	// Rules are in the order of those who told them; never nil.
	Rules []RuleCoverage `json:"rules"`
	// Unmatched are the runbooks for alerts to which no rule leads, in the order of
	// the library; never nil. Runbooks for no alert are not among them.
	Unmatched []Unmatched `json:"unmatched"`
}

// Uncovered are the rules without a runbook.
func (c *Coverage) Uncovered() []RuleCoverage {
	return c.those(func(r *RuleCoverage) bool { return r.Runbook == "" })
}

// Fallbacks are the rules that have a runbook only by fallback.
func (c *Coverage) Fallbacks() []RuleCoverage {
	return c.those(func(r *RuleCoverage) bool { return r.Fallback != "" })
}

// Own is how many rules have a runbook that was meant for them.
func (c *Coverage) Own() int {
	return len(c.those(func(r *RuleCoverage) bool { return r.Runbook != "" && r.Fallback == "" }))
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

// LoadedRules are the alerting rules that Prometheus has loaded, whether or not they
// have ever fired, held against the runbooks.
type LoadedRules struct {
	Coverage
	// At is when Prometheus told them; zero: it never has, and nothing is known.
	At time.Time `json:"at,omitzero"`
	// Problem says why these may not be all that Prometheus has now; empty: they are.
	Problem string `json:"problem,omitempty"`
}
