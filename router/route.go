package router

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// groupByAll is Alertmanager's name for "all labels".
const groupByAll = "..."

type route struct {
	key      string
	pos      string
	receiver string
	// receivers is the one-element list of receiver, shared by all incidents.
	receivers    []string
	keys         []string
	groupBy      []string
	matchers     labels.Matchers
	cont         bool
	mute, active []string
	children     []*route
}

func (r *Rules) compileRoute(s RouteSpec, parent *route, path string) (*route, error) {
	ms, err := compileMatchers(s.Matchers, s.Pos)
	if err != nil {
		return nil, err
	}
	n := &route{
		key: path, pos: s.Pos, receiver: s.Receiver, groupBy: s.GroupBy, matchers: ms,
		cont: s.Continue, mute: s.Mute, active: s.Active,
	}
	if parent != nil {
		n.key = path + "/" + ms.String()
		if n.receiver == "" {
			n.receiver = parent.receiver
		}
		if n.groupBy == nil {
			n.groupBy = parent.groupBy
		}
	}
	for base, i := n.key, 2; r.routes[n.key] != nil; i++ {
		n.key = fmt.Sprintf("%s#%d", base, i)
	}
	n.receivers, n.keys = []string{n.receiver}, []string{n.key}
	if _, ok := r.targets[n.receiver]; !ok {
		return nil, fmt.Errorf("%s: receiver %q is not defined", s.Pos, n.receiver)
	}
	for _, name := range slices.Concat(s.Mute, s.Active) {
		if _, ok := r.intervals[name]; !ok {
			return nil, fmt.Errorf("%s: time interval %q is not defined", s.Pos, name)
		}
	}
	r.routes[n.key] = n
	for _, c := range s.Routes {
		child, err := r.compileRoute(c, n, n.key)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, child)
	}
	return n, nil
}

// match appends the routes that take the labels, depth first, as Alertmanager
// does: a node stands for itself only when none of its children matches.
func (n *route) match(l tocsin.Labels, out []*route) []*route {
	if !matches(n.matchers, l) {
		return out
	}
	before := len(out)
	for _, c := range n.children {
		had := len(out)
		out = c.match(l, out)
		if len(out) > had && !c.cont {
			break
		}
	}
	if len(out) == before {
		out = append(out, n)
	}
	return out
}

// placement is where an alert that is not attached yet belongs.
type placement struct {
	group     tocsin.Key
	groupBy   []string
	routes    []*route
	keys      []string
	receivers []string
}

// place routes an alert. The first route that matches names the group.
func (r *Rules) place(a *tocsin.Alert) placement {
	var buf [4]*route
	rs := r.root.match(a.Labels, buf[:0])
	first := rs[0]
	p := placement{routes: slices.Clone(rs), groupBy: first.groupBy, keys: first.keys, receivers: first.receivers}
	if len(first.groupBy) == 1 && first.groupBy[0] == groupByAll {
		p.groupBy = a.Labels.Names()
	}
	parts := make([]string, 0, 2+2*len(p.groupBy))
	parts = append(parts, a.Source, first.key)
	for _, n := range p.groupBy {
		parts = append(parts, n, a.Labels[n])
	}
	p.group = tocsin.NewKey(parts...)
	if len(rs) > 1 {
		p.keys, p.receivers = nil, nil
		for _, x := range rs {
			p.keys = append(p.keys, x.key)
			if !slices.Contains(p.receivers, x.receiver) {
				p.receivers = append(p.receivers, x.receiver)
			}
		}
	}
	return p
}

// mutedBy names the time interval that mutes a route at now, or is empty.
func (r *Rules) mutedBy(n *route, now time.Time) string {
	for _, name := range n.mute {
		if r.within(name, now) {
			return name
		}
	}
	if len(n.active) == 0 {
		return ""
	}
	for _, name := range n.active {
		if r.within(name, now) {
			return ""
		}
	}
	return "outside " + n.active[0]
}

func (r *Rules) within(interval string, now time.Time) bool {
	for _, ti := range r.intervals[interval] {
		if ti.ContainsTime(now.UTC()) {
			return true
		}
	}
	return false
}

// aim says which targets an incident notifies at now, and which interval mutes
// it when all of its routes are muted. Routes that a reload has removed fall
// back to the receivers that the incident was opened with, and those to the
// root's: somebody is always told.
func (r *Rules) aim(inc *tocsin.Incident, now time.Time) (targets []Target, muted string) {
	found := false
	for _, key := range inc.Routes {
		n := r.routes[key]
		if n == nil {
			continue
		}
		found = true
		if by := r.mutedBy(n, now); by != "" {
			muted = by
			continue
		}
		targets = append(targets, r.targets[n.receiver]...)
	}
	if found {
		if len(targets) > 0 {
			muted = ""
		}
		return targets, muted
	}
	for _, name := range inc.Receivers {
		targets = append(targets, r.targets[name]...)
	}
	if len(targets) == 0 {
		targets = r.targets[r.root.receiver]
	}
	return targets, ""
}
