package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// policy says which steps were taken, and which were not.
func (m *Material) policy() (out []tocsin.Reason) {
	e := m.Incident.Escalation
	if e == nil || len(e.Runs) == 0 {
		out = m.unbegun()
	} else {
		for n := range e.Runs {
			out = append(out, m.run(n))
		}
	}
	out = append(out, m.told(tocsin.StagePolicy, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventEscalated: "", tocsin.EventLastResort: "", tocsin.EventReturned: "", tocsin.EventReopened: "", tocsin.EventAcknowledged: "",
		tocsin.EventSnoozed: "", tocsin.EventResolved: "", tocsin.EventNobody: tocsin.EndFailed, tocsin.EventSkipped: tocsin.EndHeld,
	})...)
	for n := range m.Plans {
		out = append(out, m.untaken(n)...)
	}
	return out
}

// unbegun says which policies it would follow, and why it does not.
func (m *Material) unbegun() (out []tocsin.Reason) {
	held := m.held()
	for n := range m.Unbegun {
		p := &m.Unbegun[n]
		r := tocsin.Reason{Stage: tocsin.StagePolicy, End: tocsin.EndHeld, Where: p.Pos, Now: true, Text: "policy " + p.Name + " was not begun"}
		if held != "" {
			r.Text += ": " + held
		}
		if len(p.Steps) > 0 {
			r.Text += "; its first step would tell " + p.Steps[0].To
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		out = append(out, tocsin.Reason{Stage: tocsin.StagePolicy, Text: "it follows no escalation policy"})
	}
	return out
}

func (m *Material) run(n int) tocsin.Reason {
	r := &m.Incident.Escalation.Runs[n]
	out := tocsin.Reason{Stage: tocsin.StagePolicy, Where: r.Policy, Text: fmt.Sprintf("policy %s: %s of its steps taken", r.Policy, count(r.Step))}
	if n < len(m.Plans) && len(m.Plans[n].Steps) > 0 {
		if pos := m.Plans[n].Pos; pos != "" {
			out.Where = pos
		}
		out.Text = fmt.Sprintf("policy %s, as it was when the incident opened: %s of its %d steps taken", r.Policy, count(min(r.Step, len(m.Plans[n].Steps))), len(m.Plans[n].Steps))
	}
	if r.Round > 0 {
		out.Text += fmt.Sprintf(", in round %d", r.Round+1)
	}
	switch {
	case r.Due.IsZero() && m.Incident.Open() && m.Incident.Quiet():
		out.End, out.Text = tocsin.EndHeld, "policy "+r.Policy+" stands still: "+m.held()+fmt.Sprintf("; when that is over it goes on with step %d", r.Step+1)
		return out
	case r.Due.IsZero():
		out.Text += "; it stands still: " + m.stands()
		return out
	}
	out.End, out.Text = tocsin.EndWaiting, out.Text+"; the next is due at "+clock(r.Due)
	return out
}

// untaken are the steps that were not taken, and why.
func (m *Material) untaken(n int) (out []tocsin.Reason) {
	r, plan := &m.Incident.Escalation.Runs[n], &m.Plans[n]
	for i := max(r.Step, 0); i < len(plan.Steps); i++ {
		s := &plan.Steps[i]
		if r.Due.IsZero() && m.took(plan.Name, i+1) {
			continue // before it began anew
		}
		text := fmt.Sprintf("step %d of %s, which tells %s", i+1, plan.Name, s.To)
		if s.When != "" {
			text += " (" + s.When + ")"
		}
		one := tocsin.Reason{Stage: tocsin.StagePolicy, End: tocsin.EndHeld, Where: s.Pos}
		switch {
		case r.Due.IsZero():
			one.Text = text + ", was not taken: " + m.stands()
		case i == r.Step:
			one.End, one.Text = tocsin.EndWaiting, text+", is not due before "+clock(r.Due)
		default:
			one.End, one.Text = tocsin.EndWaiting, text+fmt.Sprintf(", waits for %s behind the one before it", s.After)
		}
		out = append(out, one)
	}
	return out
}

// took reports whether the timeline tells of a step of a policy.
func (m *Material) took(policy string, step int) bool {
	is := fmt.Sprintf("step %d of %s: ", step, policy)
	return slices.ContainsFunc(m.Timeline, func(e tocsin.Event) bool {
		return (e.Kind == tocsin.EventEscalated || e.Kind == tocsin.EventNobody) && strings.HasPrefix(e.Text, is)
	})
}

// stands says why a policy goes no further.
func (m *Material) stands() string {
	inc := m.Incident
	switch {
	case !inc.Open():
		return "the incident was resolved"
	case inc.State == tocsin.Acknowledged:
		return inc.AcknowledgedBy + " has answered"
	case inc.Quiet():
		return m.held()
	default:
		return "the policy stands still"
	}
}

func count(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// people says why it was somebody's turn: as it was decided, and by the schedules as
// they are now.
func (m *Material) people() (out []tocsin.Reason) {
	if m.Incident.Escalation != nil {
		for n := range m.Incident.Escalation.Responders {
			out = append(out, responder(&m.Incident.Escalation.Responders[n]))
		}
	}
	for n := range m.Turns {
		out = append(out, m.turn(&m.Turns[n])...)
	}
	return out
}

func responder(r *tocsin.Responder) tocsin.Reason {
	one := reason(tocsin.StagePerson, "", r.At, "%s was called %s", r.User, times(uint32(max(r.Calls, 0))))
	one.User = r.User
	switch {
	case r.Because != "":
		one.Text += ": " + r.Because
	case r.Asked:
		one.Text += ", by name"
	}
	if r.Unreachable {
		one.End, one.Text = tocsin.EndFailed, one.Text+"; every way to them has failed"
	}
	if !r.Acknowledged.IsZero() {
		one.Text += "; answered at " + clock(r.Acknowledged)
	}
	return one
}

func (m *Material) turn(t *Turn) (out []tocsin.Reason) {
	pos := m.Places[Place("schedule", t.Schedule)]
	for n := range t.Shifts {
		s := &t.Shifts[n]
		one := tocsin.Reason{Stage: tocsin.StagePerson, At: t.At, Where: pos, User: s.User, Now: true}
		switch {
		case s.Gap():
			one.End, one.Text = tocsin.EndFailed, fmt.Sprintf("nobody was on call on %s from %s to %s", t.Schedule, clock(s.From), clock(s.To))
		default:
			one.Text = fmt.Sprintf("%s was on call on %s from %s to %s", s.User, t.Schedule, clock(s.From), clock(s.To))
		}
		if s.Source != "" {
			one.Text += ": " + s.Source
		}
		if s.Shadow {
			one.Text += " (a shadow: gets copies)"
		}
		m.override(&one, s.Source)
		out = append(out, one)
	}
	for _, l := range t.Layers {
		one := tocsin.Reason{Stage: tocsin.StagePerson, End: tocsin.EndHeld, At: t.At, Where: m.Places[Place("layer", t.Schedule+"/"+l.Name)], Now: true}
		on := func(s tocsin.Shift) bool { return s.User == l.User && s.Source == "layer "+l.Name }
		switch {
		case l.User == "" && l.Held != "":
			one.User = l.Held
			one.Text = fmt.Sprintf("layer %s of %s did not hold then: it is restricted to other hours or days; %s would have stood on it", l.Name, t.Schedule, l.Held)
		case l.User == "":
			one.Text = fmt.Sprintf("nobody stood on layer %s of %s", l.Name, t.Schedule)
		case !slices.ContainsFunc(t.Shifts, on):
			one.User = l.User
			one.Text = fmt.Sprintf("%s stood on layer %s of %s, but a higher layer, or an override, came before it", l.User, l.Name, t.Schedule)
		default:
			continue
		}
		out = append(out, one)
	}
	return out
}

// override adds who made the override that a shift comes from, since when, and why.
func (m *Material) override(r *tocsin.Reason, source string) {
	i := strings.LastIndexByte(source, ' ')
	o, ok := m.Overrides[source[i+1:]]
	if !ok || i < 0 {
		return
	}
	r.By = o.CreatedBy
	text := "; made by " + o.CreatedBy + " at " + clock(o.CreatedAt.Truncate(time.Second)) + ", until " + clock(o.To)
	if o.Replaces != "" {
		text = ", in the place of " + o.Replaces + text
	}
	if o.Kind == tocsin.OverrideTimeOff {
		text = ", " + o.User + " is away" + text
	}
	if o.Comment != "" {
		text += ": " + o.Comment
	}
	r.Text += text
}
