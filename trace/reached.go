package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// contacts says which were used, which wait, which were stopped, and which are not
// to be used.
func (m *Material) contacts() []tocsin.Reason {
	out := m.told(tocsin.StageContact, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventCalled: "", tocsin.EventReminded: "", tocsin.EventResponder: "", tocsin.EventReassigned: "", tocsin.EventStopped: tocsin.EndHeld,
	})
	e := m.Incident.Escalation
	if e == nil {
		return append(out, m.ahead(nil)...)
	}
	for _, c := range e.Calls {
		r := tocsin.Reason{Stage: tocsin.StageContact, End: tocsin.EndWaiting, Where: c.Target, User: c.User, Text: c.User + " is called by " + way(c.Target) + " at " + clock(c.Due) + ", unless somebody answers before"}
		if c.Copy {
			r.Text = c.User + " gets a copy by " + way(c.Target) + " at " + clock(c.Due)
		}
		out = append(out, r)
	}
	for n := range e.Responders {
		out = append(out, m.unused(&e.Responders[n])...)
	}
	return append(out, m.ahead(e.Calls)...)
}

// unused are the contacts of somebody who was called that were not used.
func (m *Material) unused(r *tocsin.Responder) (out []tocsin.Reason) {
	p, known := m.People[r.User]
	if !known {
		return nil
	}
	mine, others, urgency, other := p.High, p.Low, "high", "low"
	if high := m.Incident.Escalation.High || r.Asked; !high {
		mine, others, urgency, other = p.Low, p.High, "low", "high"
		if len(mine) == 0 {
			mine, others = p.High, nil
		}
	}
	add := func(end tocsin.ReasonEnd, target, format string, args ...any) {
		one := reason(tocsin.StageContact, end, time.Time{}, format, args...)
		one.Where, one.User = target, r.User
		out = append(out, one)
	}
	if urgency == "low" && p.Quiet != "" {
		add(tocsin.EndHeld, "", "%s is not woken: severity %s is of low urgency, and %s", r.User, m.Incident.Severity, p.Quiet)
	}
	for _, target := range mine {
		if !m.used(target) {
			add(tocsin.EndHeld, target, "%s was not called by %s: %s before its turn", r.User, way(target), m.answered())
		}
	}
	for _, target := range others {
		if !m.used(target) && !slices.Contains(mine, target) {
			add(tocsin.EndHeld, target, "%s is not called by %s: it is for %s urgency, and this is of %s (severity %s)", r.User, way(target), other, urgency, m.Incident.Severity)
		}
	}
	return out
}

func (m *Material) used(target string) bool {
	return m.Incident.Delivery(target) != nil || slices.ContainsFunc(m.Incident.Escalation.Calls, func(c tocsin.Call) bool { return c.Target == target })
}

func (m *Material) answered() string {
	switch inc := m.Incident; {
	case !inc.Open():
		return "it was resolved"
	case inc.State == tocsin.Acknowledged:
		return inc.AcknowledgedBy + " answered"
	default:
		return "it was held back, or answered,"
	}
}

// ahead is what happens if nobody answers, but for the calls that are told of.
func (m *Material) ahead(calls []tocsin.Call) (out []tocsin.Reason) {
	for _, a := range m.Ahead {
		same := func(c tocsin.Call) bool {
			return c.Due.Equal(a.At) && a.Text == c.User+" by "+way(c.Target)
		}
		if m.Incident.Open() && !slices.ContainsFunc(calls, same) {
			out = append(out, tocsin.Reason{Stage: tocsin.StageContact, End: tocsin.EndWaiting, At: a.At, Text: "if nobody answers, at " + clock(a.At) + ": " + a.Text})
		}
	}
	return out
}

// way names the provider of a target.
func way(target string) string {
	kind, _, _ := strings.Cut(target, ":")
	switch kind {
	case "slack":
		return "Slack"
	case "pagerduty":
		return "PagerDuty"
	default:
		return kind
	}
}

// providers says what each target was told, what it shows, and what the provider said.
func (m *Material) providers() []tocsin.Reason {
	out := m.told(tocsin.StageProvider, map[tocsin.EventKind]tocsin.ReasonEnd{
		tocsin.EventDelivered: tocsin.EndSent, tocsin.EventDeliveryFailed: tocsin.EndFailed, tocsin.EventAlarm: "",
	})
	for n := range m.Incident.Deliveries {
		out = append(out, m.provider(&m.Incident.Deliveries[n]))
	}
	if len(m.Incident.Deliveries) == 0 {
		text := "no target is to be told"
		if held := m.held(); held != "" {
			text = "nothing was sent: " + held
		}
		out = append(out, tocsin.Reason{Stage: tocsin.StageProvider, End: tocsin.EndHeld, Text: text})
	}
	return out
}

func (m *Material) provider(d *tocsin.Delivery) tocsin.Reason {
	r := tocsin.Reason{Stage: tocsin.StageProvider, Where: d.Target, User: d.User}
	switch inc := m.Incident; {
	case d.Failed:
		r.End, r.At, r.Text = tocsin.EndFailed, d.Since, "it failed, and is not tried again until the state changes: "+d.Error
	case d.Stopped && d.Ref == "":
		r.End, r.Text = tocsin.EndHeld, "stopped before it was sent: somebody had answered"
	case d.Lags(inc) && d.Attempts > 0 && d.Error != "":
		r.End, r.At, r.Text = tocsin.EndWaiting, d.Since, "it has failed, and is tried again: "+d.Error
	case d.Lags(inc):
		r.End, r.At, r.Text = tocsin.EndWaiting, d.Since, "it is being sent"
	case d.Ref == "" && d.DeliveredAt.IsZero() && inc.Quiet():
		r.End, r.Text = tocsin.EndHeld, "nothing was sent: "+m.held()
	case d.Ref == "" && d.DeliveredAt.IsZero():
		r.End, r.Text = tocsin.EndHeld, "nothing was sent"
	default:
		r.End, r.At, r.Text = tocsin.EndSent, d.DeliveredAt, "the provider has it"
		if d.Ref != "" {
			r.Text += " as " + d.Ref
		}
	}
	if d.Called > 1 {
		r.Text += fmt.Sprintf("; called %d times", d.Called)
	}
	if d.User != "" {
		r.Text = "for " + d.User + ": " + r.Text
	}
	return r
}
