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

// Rule is an alerting rule as it is written, or an alert that has fired.
type Rule struct {
	// File, Line and Group say where it is; empty and 0: not known.
	File  string
	Line  int
	Group string
	// Name is the alert's.
	Name                string
	Labels, Annotations tocsin.Labels
	// Fired: these are the labels of an alert, and there are no others. Those of a rule
	// may be templates, and its series bring more.
	Fired bool
}

// Coverage is a tocsin.Coverage of rule files. Its JSON is stable.
type Coverage struct {
	tocsin.Coverage
	// Findings are about rule files that cannot be read; never nil.
	Findings []Finding `json:"findings"`
}

// Coverage holds Prometheus rules against the library. rules are files, folders and
// patterns of files (path.Match); recording rules are passed over. It never fails:
// what cannot be read is a finding.
func (l *Library) Coverage(rules []string) Coverage {
	found, bad := readRules(rules)
	return Coverage{l.Cover(found), append([]Finding{}, bad...)}
}

// Cover holds rules, wherever they come from, against the library. What it says of
// an alert that has fired is what Find does with it; of a rule, what Find would do
// with its alerts, as far as the rule tells.
func (l *Library) Cover(rules []Rule) tocsin.Coverage {
	out := tocsin.Coverage{Rules: make([]tocsin.RuleCoverage, 0, len(rules)), Unmatched: []tocsin.Unmatched{}}
	used := map[string]bool{}
	for i := range rules {
		r, possible := l.find(&rules[i])
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
		out.Unmatched = append(out.Unmatched, tocsin.Unmatched{ID: rb.ID, File: rb.File, Line: rb.Line, Alerts: rb.Alerts, Matchers: rb.Matchers})
	}
	return out
}

// find finds the runbook of a rule's alerts as Library.Find does, as far as the
// rule tells: which labels its series bring is not known. possible are the runbooks
// that those labels may lead to.
func (l *Library) find(r *Rule) (c tocsin.RuleCoverage, possible []string) {
	c = tocsin.RuleCoverage{File: r.File, Line: r.Line, Group: r.Group, Alert: r.Name, Severity: r.Labels[tocsin.LabelSeverity]}
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
	url := r.Annotations[tocsin.AnnotationRunbookURL]
	if rb := l.byAddressOf(url); rb != nil {
		c.Runbook, c.By = rb.ID, ByURL
		if strings.Contains(url, "#") && !strings.Contains(rb.ID, "#") && l.byURL[address(url)] != rb {
			c.Fallback = "its runbook_url names a heading that no runbook has; this is the page"
		}
		return c, possible
	}
	if rb := l.named(r.Name); rb != nil {
		c.Runbook, c.By = rb.ID, ByName
		switch {
		case url != "":
			c.Fallback = fmt.Sprintf("its runbook_url (%s) leads to no runbook", url)
		case !slices.Contains(rb.Alerts, r.Name):
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
func (m *matched) fits(r *Rule) (fits, sure bool) {
	sure = true
	for _, k := range m.matchers {
		v, set := r.Labels[k.Name]
		if k.Name == tocsin.LabelAlertName {
			v, set = r.Name, true
		}
		switch {
		case !r.Fired && (!set || strings.Contains(v, "{{")):
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
