package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// most is how many people an answer names.
const most = 3

// answer says in a few words why it called who asks, or did not.
func (m *Material) answer(who string) string {
	var parts []string
	if e := m.Incident.Escalation; e != nil {
		if r := e.Responder(who); r != nil && who != "" {
			return m.you(r) + m.nowHeld() + " " + m.cause()
		}
	}
	if to := m.summoned(); to != "" {
		parts = append(parts, to+m.nowHeld())
	} else {
		parts = append(parts, "It has called nobody: "+m.silent()+".")
	}
	if _, known := m.People[who]; known && who != "" {
		parts = append(parts, m.notYou(who))
	}
	return strings.Join(append(parts, m.cause()), " ")
}

// nowHeld says why an incident that has called somebody calls nobody now.
func (m *Material) nowHeld() string {
	if held := m.held(); held != "" && m.Incident.Open() {
		return " It calls nobody now: " + held + "."
	}
	return ""
}

// you answers somebody who was called.
func (m *Material) you(r *tocsin.Responder) string {
	text := fmt.Sprintf("You (%s) were called at %s", r.User, clock(r.At))
	if r.Calls > 1 {
		text = fmt.Sprintf("You (%s) were called %s, last at %s", r.User, times(uint32(r.Calls)), clock(r.At))
	}
	if by := m.ways(r.User); by != "" {
		text += ", by " + by
	}
	switch {
	case r.Because != "":
		text += ": " + r.Because
	case r.Asked:
		text += ": by name"
	}
	if r.Unreachable {
		text += "; every way to you has failed"
	}
	return text + "."
}

// notYou answers somebody who was not called.
func (m *Material) notYou(who string) string {
	if e := m.Incident.Escalation; e != nil {
		for _, c := range e.Calls {
			if c.User == who {
				return fmt.Sprintf("You (%s) were not called yet: your turn is at %s, unless somebody answers before.", who, clock(c.Due))
			}
		}
	}
	for _, a := range m.Ahead {
		if slices.Contains(strings.FieldsFunc(a.Text, func(r rune) bool { return r == ' ' || r == ',' }), who) {
			return fmt.Sprintf("You (%s) were not called: your turn is at %s, unless somebody answers before.", who, clock(a.At))
		}
	}
	return fmt.Sprintf("You (%s) were not called.", who)
}

// ways are the providers by which somebody was called.
func (m *Material) ways(user string) string {
	var out []string
	for n := range m.Incident.Deliveries {
		d := &m.Incident.Deliveries[n]
		if name := way(d.Target); d.User == user && !d.DeliveredAt.IsZero() && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, " and ")
}

// summoned says whom it called; "": nobody.
func (m *Material) summoned() string {
	e := m.Incident.Escalation
	if e == nil || len(e.Responders) == 0 {
		return ""
	}
	var out []string
	for n := range e.Responders[:min(len(e.Responders), most)] {
		r := &e.Responders[n]
		one := r.User
		if r.Because != "" {
			one += ": " + r.Because
		}
		out = append(out, one)
	}
	text := "It called " + strings.Join(out, "; ")
	if more := len(e.Responders) - len(out); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + "."
}

// silent says why nobody was called.
func (m *Material) silent() string {
	inc := m.Incident
	if held := m.held(); held != "" {
		return held
	}
	for n := len(m.Timeline) - 1; n >= 0; n-- {
		if m.Timeline[n].Kind == tocsin.EventNobody {
			return m.Timeline[n].Text
		}
	}
	switch e := inc.Escalation; {
	case inc.Kind == tocsin.KindNotice:
		return "it is a notice, which pages nobody"
	case e == nil || len(e.Runs) == 0:
		return "it follows no escalation policy, and is told to " + receivers(inc.Receivers)
	case !inc.Open():
		return "it was resolved before"
	case inc.State == tocsin.Acknowledged:
		return inc.AcknowledgedBy + " answered before"
	default:
		return "no step of its policy has called a person so far"
	}
}

// cause says what happened that it is about.
func (m *Material) cause() string {
	for n := range m.Alerts {
		if a := &m.Alerts[n]; a.State.Firing {
			text := fmt.Sprintf("%s (%s) fires since %s", name(&a.Alert), m.Incident.Severity, clock(a.State.ChangedAt))
			if more := int(m.Incident.Firing) - 1; more > 0 {
				text += fmt.Sprintf(", and %d more", more)
			}
			return text + "."
		}
	}
	if !m.Incident.ResolvedAt.IsZero() {
		return fmt.Sprintf("%s: resolved at %s.", m.Incident.Title, clock(m.Incident.ResolvedAt))
	}
	return fmt.Sprintf("%s (%s), since %s.", m.Incident.Title, m.Incident.Severity, clock(m.Incident.OpenedAt))
}
