package router

import (
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// Explanation says where an alert would go and why, without receiving it.
type Explanation struct {
	Severity tocsin.Severity `json:"severity"`
	// Routes that take the alert, in order; the first names the group.
	Routes []RouteMatch `json:"routes"`
	// Receivers of all routes, each once.
	Receivers []string `json:"receivers"`
	// Group holds the labels whose values the incident's alerts share.
	Group tocsin.Labels `json:"group"`
	// Inhibit lists the rules that the alert is a source or a target of.
	Inhibit []InhibitMatch `json:"inhibit,omitempty"`
}

// RouteMatch is one route that takes an alert.
type RouteMatch struct {
	// Pos is the rule's file:line.
	Pos      string   `json:"pos"`
	Matchers string   `json:"matchers"`
	Receiver string   `json:"receiver"`
	Continue bool     `json:"continue,omitempty"`
	Targets  []string `json:"targets"`
	// MutedBy names the time interval that mutes the route at the time asked
	// about.
	MutedBy string `json:"mutedBy,omitempty"`
}

// InhibitMatch is one inhibit rule that concerns an alert.
type InhibitMatch struct {
	Pos string `json:"pos"`
	// Suppresses is true when the alert is a source of the rule; otherwise it
	// is a target, and would be suppressed while another alert fires that
	// matches Other with the same values of Equal.
	Suppresses bool          `json:"suppresses"`
	Other      string        `json:"other"`
	Equal      tocsin.Labels `json:"equal,omitempty"`
}

// Explain says where an alert would go at a time.
func (r *Rules) Explain(a *tocsin.Alert, at time.Time) Explanation {
	p := r.place(a)
	e := Explanation{Severity: a.Severity(), Receivers: p.receivers, Group: a.Labels.Pick(p.groupBy)}
	for _, n := range p.routes {
		m := RouteMatch{
			Pos: n.pos, Matchers: n.matchers.String(), Receiver: n.receiver, Continue: n.cont,
			MutedBy: r.mutedBy(n, at), Targets: []string{},
		}
		for _, t := range r.targets[n.receiver] {
			m.Targets = append(m.Targets, t.Key)
		}
		e.Routes = append(e.Routes, m)
	}
	for _, rule := range r.inhibit {
		add := func(is, other labels.Matchers, suppresses bool) {
			if matches(is, a.Labels) {
				e.Inhibit = append(e.Inhibit, InhibitMatch{
					Pos: rule.pos, Suppresses: suppresses, Other: other.String(), Equal: a.Labels.Pick(rule.equal),
				})
			}
		}
		add(rule.target, rule.source, false)
		add(rule.source, rule.target, true)
	}
	return e
}

// Silences reports which of the silences would hold the alert back at a time.
func (e Explanation) Silences(a *tocsin.Alert, all []tocsin.Silence, at time.Time) []string {
	var cache matcherCache
	var out []string
	for _, s := range cache.active(all, at) {
		if matches(s.matchers, a.Labels) {
			out = append(out, s.why.Text)
		}
	}
	return out
}
