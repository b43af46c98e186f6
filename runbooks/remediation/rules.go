package remediation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

var (
	placeholder   = regexp.MustCompile(`\{\{(.*?)\}\}`)
	leading       = regexp.MustCompile(`^\{\{(.*?)\}\}`)
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	sha256Hex     = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	variable      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// everything is the name of all remedies, for the kill switch.
const everything = "all"

// checkTimeout is how long an answer to a check may take.
const checkTimeout = 10 * time.Second

// Rules are the remedies that are declared. They are immutable, and safe for
// concurrent use.
type Rules struct {
	remedies []*remedy
	byName   map[string]*remedy
}

// remedy is a Spec that was compiled.
type remedy struct {
	spec       Spec
	matchers   labels.Matchers
	parameters []parameter
	// acts is the index of the parameter that names the target; -1: none does.
	acts     int
	program  *program
	rollback *program // nil: nothing can be undone
	precheck check
	verify   check
	// digest changes with what would be executed, and with its contract; fit with
	// the alerts that it is for.
	digest, fit string
}

// check is a Check that was compiled; one of its parts, or none, is set.
type check struct {
	query   query
	program *program
}

func (c *check) asked() bool { return c.query != nil || c.program != nil }

// NewRules compiles the remedies. The error names the remedy and what is wrong
// with it.
func NewRules(specs []Spec) (*Rules, error) {
	r := &Rules{byName: map[string]*remedy{}}
	for i := range specs {
		m, err := compile(specs[i])
		switch {
		case err != nil:
			return nil, fmt.Errorf("remedy %s: %w", specs[i].Name, err)
		case r.byName[m.spec.Name] != nil:
			return nil, fmt.Errorf("remedy %s is declared twice", m.spec.Name)
		}
		r.remedies = append(r.remedies, m)
		r.byName[m.spec.Name] = m
	}
	return r, nil
}

func compile(s Spec) (*remedy, error) {
	m := &remedy{spec: withDefaults(s), acts: -1}
	if m.spec.Name == "" || m.spec.Name == everything || len(m.spec.Name) > 100 {
		return nil, fmt.Errorf("%q cannot be a remedy's name", m.spec.Name)
	}
	known := map[string]bool{}
	for _, p := range m.spec.Parameters {
		c, err := newParameter(p)
		if err != nil {
			return nil, err
		}
		if known[p.Name] {
			return nil, fmt.Errorf("parameter %s is given twice", p.Name)
		}
		known[p.Name] = true
		if m.parameters = append(m.parameters, c); m.acts < 0 && (p.Name == m.spec.Target || m.spec.Target == "") {
			m.acts = len(m.parameters) - 1
		}
	}
	if m.spec.Target != "" && m.acts < 0 {
		return nil, fmt.Errorf("target: %s is no parameter", m.spec.Target)
	}
	err := errors.Join(m.compilePrograms(known), m.compileMatchers(), m.checkRest())
	if err != nil {
		return nil, err
	}
	m.fit = tocsin.NewKey(m.spec.Matchers...).String()
	m.digest, err = digest(m.spec)
	return m, err
}

func withDefaults(s Spec) Spec {
	s.Mode = cmp.Or(s.Mode, tocsin.ModeSuggest)
	s.Stdin = cmp.Or(s.Stdin, StdinNone)
	s.Timeout = cmp.Or(s.Timeout, 30*time.Second)
	s.ApprovalExpiry = cmp.Or(s.ApprovalExpiry, 15*time.Minute)
	c := &s.Contract
	c.Verify.Within = cmp.Or(c.Verify.Within, time.Minute)
	c.Verify.Every = cmp.Or(c.Verify.Every, 5*time.Second)
	c.Rollback.Timeout = cmp.Or(c.Rollback.Timeout, 30*time.Second)
	c.Budget.PerTarget.In = cmp.Or(c.Budget.PerTarget.In, time.Hour)
	c.Budget.Fleet.In = cmp.Or(c.Budget.Fleet.In, time.Hour)
	c.Breaker.In = cmp.Or(c.Breaker.In, 7*24*time.Hour)
	return s
}

func (m *remedy) compilePrograms(known map[string]bool) error {
	s := &m.spec
	var errs [4]error
	if m.program, errs[0] = newProgram(s.Command, s.SHA256, s.Timeout, known); errs[0] != nil {
		errs[0] = fmt.Errorf("command: %w", errs[0])
	}
	if m.precheck, errs[1] = compileCheck(s.Contract.Precheck, known); errs[1] != nil {
		errs[1] = fmt.Errorf("precheck: %w", errs[1])
	}
	if m.verify, errs[2] = compileCheck(s.Contract.Verify.Check, known); errs[2] != nil {
		errs[2] = fmt.Errorf("verify: %w", errs[2])
	}
	if back := s.Contract.Rollback; len(back.Command) > 0 {
		if m.rollback, errs[3] = newProgram(back.Command, back.SHA256, back.Timeout, known); errs[3] != nil {
			errs[3] = fmt.Errorf("rollback: %w", errs[3])
		}
	}
	return errors.Join(errs[:]...)
}

func compileCheck(c Check, known map[string]bool) (out check, err error) {
	switch {
	case c.PromQL != "" && len(c.Command) > 0:
		return out, errors.New("promql and command are both set; keep one")
	case c.PromQL != "":
		out.query, err = parseQuery(c.PromQL, known)
	case len(c.Command) > 0:
		out.program, err = newProgram(c.Command, c.SHA256, checkTimeout, known)
	}
	return out, err
}

func (m *remedy) compileMatchers() error {
	for _, text := range m.spec.Matchers {
		parsed, err := parse.Matchers(text)
		if err != nil {
			return fmt.Errorf("matcher %q: %w", text, err)
		}
		m.matchers = append(m.matchers, parsed...)
	}
	if len(m.matchers) == 0 {
		return errors.New("matchers are missing: it would be for every alert")
	}
	return nil
}

func (m *remedy) checkRest() error {
	s := &m.spec
	seen := map[string]bool{}
	for _, v := range s.Environment {
		name := variable.FindString(v)
		if name == "" || placeholder.MatchString(v) || strings.ContainsRune(v, 0) || seen[name] {
			return fmt.Errorf("environment: %q is not NAME=value, once, without placeholders", strings.TrimSuffix(name, "="))
		}
		seen[name] = true
	}
	fleet := &s.Contract.Budget.Fleet
	switch {
	case s.Mode != tocsin.ModeSuggest && s.Mode != tocsin.ModeApprove && s.Mode != tocsin.ModeAuto:
		return fmt.Errorf("mode: %q; want suggest, approve or auto", s.Mode)
	case s.Stdin != StdinNone && s.Stdin != StdinJSON:
		return fmt.Errorf("stdin: %q; want none or json", s.Stdin)
	case s.TwoPerson && len(s.Approvers) == 1:
		return errors.New("two_person: one approver cannot be two people")
	case !(fleet.Percent >= 0 && fleet.Percent <= 100):
		return errors.New("fleet: percent: want 0 to 100")
	case fleet.Percent > 0 && fleet.Of == "":
		return errors.New("fleet: percent: of how many? Set of")
	case placeholder.MatchString(fleet.Of):
		return errors.New("fleet: of: alerts fill in nothing of the fleet's size")
	case min(s.Timeout, s.ApprovalExpiry, s.Contract.Verify.Within, s.Contract.Verify.Every, s.Contract.Rollback.Timeout) < 0,
		min(s.Contract.Budget.PerTarget.In, fleet.In, s.Contract.Breaker.In, s.Contract.Cooldown) < 0,
		min(s.Contract.Budget.PerTarget.Runs, fleet.Runs, s.Contract.Breaker.Runs) < 0:
		return errors.New("durations and numbers of runs must not be negative")
	}
	return nil
}

// digest names what would be executed: an approval of one thing is none of
// another.
func digest(s Spec) (string, error) {
	s.Summary, s.Approvers, s.Matchers = "", nil, nil
	value, err := json.Marshal(s)
	return tocsin.NewKey(string(value)).String(), err
}

// changed reports whether the remedy is another one than was proposed, or is for
// other alerts; one that is not declared any more has changed.
func (m *remedy) changed(r *record) bool {
	return m == nil || m.digest != r.Digest || r.Fit != "" && m.fit != r.Fit
}

// fits reports whether the remedy is for an alert with these labels. A label that
// is absent is empty, as it is to Alertmanager.
func (m *remedy) fits(ls tocsin.Labels) bool {
	for _, x := range m.matchers {
		if !x.Matches(ls[x.Name]) {
			return false
		}
	}
	return true
}

// Remedies returns what is told of each, in the order of their declaration.
func (r *Rules) Remedies() []tocsin.Remedy {
	out := make([]tocsin.Remedy, 0, len(r.remedies))
	for _, m := range r.remedies {
		out = append(out, tocsin.Remedy{
			Name: m.spec.Name, Mode: m.spec.Mode, Summary: m.spec.Summary, Matchers: slices.Clone(m.spec.Matchers),
		})
	}
	return out
}

// memory is how long runs count for any budget, cooldown or breaker.
func (r *Rules) memory() time.Duration {
	var longest time.Duration
	for _, m := range r.remedies {
		c := &m.spec.Contract
		longest = max(longest, c.Cooldown, c.Budget.PerTarget.In, c.Budget.Fleet.In, c.Breaker.In)
	}
	return longest
}

// fleetLimit is how many targets of a fleet a share allows: at least one.
func fleetLimit(percent, size float64) int {
	// 29 % of 100 is 28.999999999999996 to a computer.
	return max(1, int(math.Floor(percent*size/100+1e-9)))
}
