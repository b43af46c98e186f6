package escalation

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Spec is the configuration that Rules are made of.
type Spec struct {
	// Policies that receivers may name.
	Policies []Policy
	// Receivers gives the name of the policy of each receiver that has one.
	Receivers map[string]string
	// Targets gives the targets of each receiver, for incidents that no alert
	// opens; Default are the receivers of those that name none.
	Targets map[string][]Target
	Default []string
	// Schedules by name.
	Schedules map[string]*oncall.Schedule
	// Users is everybody, by name; Teams their members.
	Users map[string]User
	Teams map[string][]string
	// TimeOff holds what people's own calendars say, beside the overrides of the
	// store.
	TimeOff []tocsin.Override
	// Alarm says who is told when a page cannot be delivered.
	Alarm Alarm
	// Channels says which incidents get a Slack channel of their own.
	Channels Channels
}

// Channels is which incidents get a Slack channel of their own. The zero value:
// none does, and nobody can ask for one.
type Channels struct {
	// Ready is true where tocsin.IncidentChannel is a target that is delivered to.
	Ready bool
	// Severities whose incidents get one without being asked.
	Severities []tocsin.Severity
}

// Rules is the compiled, immutable configuration of all decisions. It is safe
// for concurrent use.
type Rules struct {
	spec     Spec
	policies map[string]*frozen
	order    []string
	// longest is the longest that any policy waits for anything.
	longest time.Duration
}

// frozen is a policy as it is kept with the incidents that it works for.
type frozen struct {
	policy *Policy
	id     string
	value  []byte
}

// NewRules compiles a configuration. What it refuses, package config has
// refused before with file and line.
func NewRules(s Spec) (*Rules, error) {
	r := &Rules{spec: s, policies: map[string]*frozen{}}
	for i := range s.Policies {
		p := s.Policies[i]
		if len(p.Steps) == 0 || len(p.LastResort) == 0 {
			return nil, fmt.Errorf("escalation policy %q: steps and a last resort are needed", p.Name)
		}
		p.Users, p.Teams = s.people(&p)
		value, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("escalation policy %q: %w", p.Name, err)
		}
		r.policies[p.Name] = &frozen{policy: &p, id: tocsin.NewKey(string(value)).String(), value: value}
		r.order = append(r.order, p.Name)
		r.longest = max(r.longest, p.longest())
	}
	for receiver, name := range s.Receivers {
		if r.policies[name] == nil {
			return nil, fmt.Errorf("receiver %q: escalation policy %q is not defined", receiver, name)
		}
	}
	return r, nil
}

// people are those whom the recipients of a policy may stand for, with
// everybody of the schedules that it names.
func (s *Spec) people(p *Policy) (map[string]User, map[string][]string) {
	users, teams := map[string]User{}, map[string][]string{}
	add := func(names ...string) {
		for _, n := range names {
			if u, ok := s.Users[n]; ok {
				users[n] = u
			}
		}
	}
	each := func(list []Recipient) {
		for _, to := range list {
			add(to.User)
			if to.Team != "" {
				teams[to.Team] = s.Teams[to.Team]
				add(s.Teams[to.Team]...)
			}
			if sched := s.Schedules[to.Schedule]; sched != nil {
				add(sched.Users()...)
			}
		}
	}
	for i := range p.Steps {
		each(p.Steps[i].To)
	}
	each(p.LastResort)
	return users, teams
}

// Policies returns the policies in the order of the configuration, each with
// everybody among its users: an override may put anybody on call.
func (r *Rules) Policies() []Policy {
	out := make([]Policy, 0, len(r.order))
	for _, name := range r.order {
		p := *r.policies[name].policy
		p.Users = r.spec.Users
		out = append(out, p)
	}
	return out
}

// Schedules returns the schedules by name. The map is shared.
func (r *Rules) Schedules() map[string]*oncall.Schedule { return r.spec.Schedules }

// Users returns everybody by name. The map is shared.
func (r *Rules) Users() map[string]User { return r.spec.Users }

// named returns a policy as it is configured, or nil.
func (r *Rules) named(policy string) *Policy {
	if f := r.policies[policy]; f != nil {
		return f.policy
	}
	return nil
}

// retry is how long a policy waits where it does not say.
const retry = 15 * time.Minute

// longest is the longest that a run of the policy waits for anything.
func (p *Policy) longest() time.Duration {
	wait := max(retry, p.RepeatAfter, p.LastResortEvery)
	for i := range p.Steps {
		wait = max(wait, p.Steps[i].After)
	}
	return wait
}

// user finds a person: as frozen in a policy, else as configured now.
func (r *Rules) user(p *Policy, name string) (User, bool) {
	if p != nil {
		if u, ok := p.Users[name]; ok {
			return u, true
		}
	}
	u, ok := r.spec.Users[name]
	return u, ok
}

// high tells whether an incident is urgent at now.
func (u *Urgency) high(s tocsin.Severity, now time.Time) bool {
	if slices.Contains(u.High, s) {
		return true
	}
	return slices.Contains(u.SupportHigh, s) && oncall.Within(u.SupportHours, now.In(location(u.Zone)))
}

// location is the IANA zone of a name that was checked before; UTC where the
// machine does not know it any more.
func location(zone string) *time.Location {
	if zone == "" {
		return time.UTC
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// contacts of a person for an urgency; those for high where there are no others.
func (u *User) contacts(high bool) []Contact {
	if high || len(u.Low) == 0 {
		return u.High
	}
	return u.Low
}

// ways are all contacts of a person, each once.
func (u *User) ways() []Contact {
	out := slices.Clone(u.High)
	for _, c := range u.Low {
		if !slices.ContainsFunc(out, func(x Contact) bool { return x.Target.Key == c.Target.Key }) {
			out = append(out, c)
		}
	}
	return out
}

// from is when a person may be called: at now, or at the end of quiet hours
// where it is not urgent.
func (u *User) from(high bool, now time.Time) time.Time {
	if high || len(u.Quiet) == 0 {
		return now
	}
	local := now.In(location(u.Zone))
	if !oncall.Within(u.Quiet, local) {
		return now
	}
	if end, ok := oncall.NextEnd(u.Quiet, local); ok {
		return end.UTC()
	}
	return now
}

// withTimeOff adds what people's own calendars say to overrides.
func (r *Rules) withTimeOff(overrides []tocsin.Override) []tocsin.Override {
	if len(r.spec.TimeOff) == 0 {
		return overrides
	}
	return slices.Concat(overrides, r.spec.TimeOff)
}
