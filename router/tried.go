package router

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Try is one route that an alert was held against.
type Try struct {
	// Key is the route's own, as Incident.Routes has it.
	Key string
	// Pos is the rule's file:line.
	Pos      string
	Matchers string
	Receiver string
	Continue bool
	// Takes is true for the routes that take the alert. Of the others Not says why
	// they do not.
	Takes bool
	Not   string
	// MutedBy names the time interval that mutes the route at the time asked about.
	MutedBy string
}

// Tried says of every route of the tree, in the order in which they are tried,
// whether it takes an alert, and why not. What lies below a route that does not match
// is left out: it is not even tried.
func (r *Rules) Tried(a *tocsin.Alert, at time.Time) []Try {
	t := trial{rules: r, labels: a.Labels, at: at}
	t.walk(r.root, "")
	return t.out
}

type trial struct {
	rules  *Rules
	labels tocsin.Labels
	at     time.Time
	out    []Try
}

// walk tries a route and what is below it, and reports whether any of them takes the
// alert. cut says why it is not tried at all.
func (t *trial) walk(n *route, cut string) (taken bool) {
	i := len(t.out)
	t.out = append(t.out, Try{
		Key: n.key, Pos: n.pos, Matchers: n.matchers.String(), Receiver: n.receiver, Continue: n.cont, MutedBy: t.rules.mutedBy(n, t.at),
	})
	switch {
	case cut != "":
		t.out[i].Not = cut
		return false
	case !matches(n.matchers, t.labels):
		t.out[i].Not = t.differs(n)
		return false
	}
	below := ""
	for _, c := range n.children {
		if t.walk(c, cut) {
			below = c.pos
			if !c.cont {
				cut = "not tried: the route at " + c.pos + " took it, and does not say continue: true"
			}
		}
	}
	if t.out[i].Takes = below == ""; !t.out[i].Takes {
		t.out[i].Not = "left to the route below it at " + below
	}
	return true
}

// differs names the labels that do not match.
func (t *trial) differs(n *route) string {
	var out []string
	for _, m := range n.matchers {
		if value, has := t.labels[m.Name]; !m.Matches(value) {
			is := fmt.Sprintf("%s is %q", m.Name, value)
			if !has {
				is = "it has no label " + m.Name
			}
			out = append(out, is+", not "+m.String())
		}
	}
	return strings.Join(out, "; ")
}
