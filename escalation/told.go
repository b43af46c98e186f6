package escalation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Plan returns the policy that a run of an incident follows, as it was when the
// incident opened, or nil where it was not kept. It is shared: do not change it.
func (e *Engine) Plan(r *tocsin.Run) *Policy {
	return e.lib.policy(reading{e.o.Store}, r.Plan)
}

// Reachable returns a person of a policy as calls find them: as they are in the
// configuration now, or, where they are gone from it, as they were when the incident
// opened.
func (e *Engine) Reachable(p *Policy, name string) (User, bool) { return e.rules.Load().user(p, name) }

// Standing returns what each layer of a schedule says at an instant, the one that
// wins first, by the configuration of now; nil: there is no such schedule.
func (e *Engine) Standing(schedule string, at time.Time) []oncall.Standing {
	s := e.rules.Load().spec.Schedules[schedule]
	if s == nil {
		return nil
	}
	return s.Standing(at)
}

// Recipients says in words whom the step tells.
func (s *Step) Recipients() string {
	var out []string
	for _, to := range s.To {
		switch {
		case to.User != "":
			out = append(out, to.User)
		case to.Schedule != "":
			out = append(out, "schedule "+to.Schedule)
		case to.Team != "":
			out = append(out, "team "+to.Team)
		default:
			out = append(out, to.Name)
		}
	}
	text := strings.Join(out, ", ")
	if s.RoundRobin {
		text = "one of " + text
	}
	return text
}

// Schedules returns the names of the schedules that the policy asks, each once.
func (p *Policy) Schedules() []string {
	var out []string
	for _, s := range append(slices.Clone(p.Steps), Step{To: p.LastResort}) {
		for _, to := range s.To {
			if to.Schedule != "" && !slices.Contains(out, to.Schedule) {
				out = append(out, to.Schedule)
			}
		}
	}
	return out
}

// Conditions says in words when the step applies; "": always.
func (s *Step) Conditions() string {
	var out []string
	if len(s.When.Severities) > 0 {
		names := make([]string, len(s.When.Severities))
		for i, v := range s.When.Severities {
			names[i] = string(v)
		}
		out = append(out, "for severity "+strings.Join(names, ", "))
	}
	if len(s.When.Hours) > 0 {
		out = append(out, "at certain hours in "+cmp.Or(s.When.Zone, "each person's own time zone"))
	}
	return strings.Join(out, ", ")
}

// Hours says in words when the person's quiet hours end that an instant lies in;
// "": it lies in none.
func (u *User) Hours(at time.Time) string {
	if end := u.from(false, at); end.After(at) {
		return fmt.Sprint("the quiet hours end at ", end.In(location(u.Zone)).Format("Mon 15:04 MST"))
	}
	return ""
}
