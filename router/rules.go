package router

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/tocsin-oncall/tocsin"
)

// Spec is the configuration that Rules are made of.
type Spec struct {
	Route        RouteSpec
	InhibitRules []InhibitSpec
	// TimeIntervals by name.
	TimeIntervals map[string][]timeinterval.TimeInterval
	// Targets of each receiver, by the receiver's name.
	Targets map[string][]Target
	Timing  Timing
}

// RouteSpec is one node of the routing tree, as in Alertmanager.
type RouteSpec struct {
	Receiver string
	// GroupBy label names; nil inherits the parent's; the single name "..."
	// groups by all labels.
	GroupBy  []string
	Matchers []string
	Continue bool
	// Mute and Active name time intervals. They are not inherited.
	Mute, Active []string
	Routes       []RouteSpec
	// Pos is "file:line", for explanations.
	Pos string
}

// InhibitSpec mutes targets while a source fires that has equal values of the
// labels Equal.
type InhibitSpec struct {
	SourceMatchers, TargetMatchers []string
	Equal                          []string
	// Pos is "file:line", for explanations.
	Pos string
}

// Target is a place that a receiver notifies.
type Target struct {
	// Key is Delivery.Target.
	Key string
	// Detail targets show every change of an incident, not only its state.
	Detail bool
}

// Timing holds the windows of the decisions.
type Timing struct {
	// Reopen is how long after its resolution an incident fires again as the
	// same one.
	Reopen time.Duration
	// Late is how long after an end a "firing" that started before that end is
	// taken for a message that was overtaken.
	Late time.Duration
	// Stale is how long an alert may go unheard of before it is closed; 0:
	// for ever.
	Stale time.Duration
	// FlapChanges within FlapWindow make an incident flap; 0: never. It stays
	// open until nothing has fired for FlapSettle.
	FlapChanges int
	FlapWindow  time.Duration
	FlapSettle  time.Duration
}

// Rules is the compiled, immutable configuration of all decisions. It is safe
// for concurrent use.
type Rules struct {
	root    *route
	routes  map[string]*route
	inhibit []*inhibitRule
	// inhibitByID finds a rule from an index key.
	inhibitByID map[ruleID]*inhibitRule
	intervals   map[string][]timeinterval.TimeInterval
	targets     map[string][]Target
	timing      Timing
}

// NewRules compiles a configuration. The error names the rule's position.
func NewRules(s Spec) (*Rules, error) {
	r := &Rules{
		routes:      map[string]*route{},
		inhibitByID: map[ruleID]*inhibitRule{},
		intervals:   s.TimeIntervals,
		targets:     s.Targets,
		timing:      s.Timing,
	}
	if s.Route.Receiver == "" {
		return nil, errors.New("route: the root needs a receiver: alerts that match nothing else go there")
	}
	root, err := r.compileRoute(s.Route, nil, "{}")
	if err != nil {
		return nil, err
	}
	r.root = root
	for _, in := range s.InhibitRules {
		rule, err := compileInhibit(in)
		if err != nil {
			return nil, err
		}
		r.inhibit = append(r.inhibit, rule)
		r.inhibitByID[rule.id] = rule
	}
	return r, nil
}

// ParseMatchers compiles matchers in Alertmanager's syntax, UTF-8 names too.
// Each string may hold several, as in `{a="b", c=~"d"}`. The error satisfies
// errors.Is(err, tocsin.ErrInvalid).
func ParseMatchers(texts []string) (labels.Matchers, error) {
	var all labels.Matchers
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return nil, tocsin.Invalid("matchers", "%q is not UTF-8, and no alert's labels are anything else", text)
		}
		ms, err := parse.Matchers(text)
		if err != nil {
			return nil, tocsin.Invalid("matchers", "%q: %v; write name=\"value\", or !=, =~, !~", text, err)
		}
		for _, m := range ms {
			if m.Name == "" {
				return nil, tocsin.Invalid("matchers", "%q: the label name is empty; no label has that name", text)
			}
		}
		all = append(all, ms...)
	}
	return all, nil
}

// matches reports whether all matchers match; a label that is absent has the
// empty value.
func matches(ms labels.Matchers, l tocsin.Labels) bool {
	for _, m := range ms {
		if !m.Matches(l[m.Name]) {
			return false
		}
	}
	return true
}

func compileMatchers(texts []string, pos string) (labels.Matchers, error) {
	ms, err := ParseMatchers(texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pos, err)
	}
	return ms, nil
}
