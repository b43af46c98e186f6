package trace

import (
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// policy says which steps were taken, and which were not.
func (m *Material) policy() (out []tocsin.Reason) {
	e := m.Incident.Escalation
	if e == nil || len(e.Runs) == 0 {
		out = append(out, tocsin.Reason{Stage: tocsin.StagePolicy, Text: "it follows no escalation policy"})
	} else {
		for n := range e.Runs {
			out = append(out, run(&e.Runs[n]))
		}
	}
	for n := range m.Timeline {
		ev := &m.Timeline[n]
		r := tocsin.Reason{Stage: tocsin.StagePolicy, At: ev.At, Text: ev.Text, By: ev.Actor}
		switch ev.Kind {
		case tocsin.EventEscalated, tocsin.EventLastResort, tocsin.EventReturned, tocsin.EventReopened:
		case tocsin.EventNobody:
			r.End = tocsin.EndFailed
		case tocsin.EventSkipped:
			r.End = tocsin.EndHeld
		default:
			continue
		}
		out = append(out, r)
	}
	return out
}

func run(r *tocsin.Run) tocsin.Reason {
	text := fmt.Sprintf("policy %s: %s of its steps taken", r.Policy, count(r.Step))
	if r.Round > 0 {
		text += fmt.Sprintf(", in round %d", r.Round+1)
	}
	if r.Due.IsZero() {
		return tocsin.Reason{Stage: tocsin.StagePolicy, Where: r.Policy, Text: text + "; it stands still"}
	}
	return tocsin.Reason{Stage: tocsin.StagePolicy, Where: r.Policy, End: tocsin.EndWaiting, Text: text + "; the next is due at " + clock(r.Due)}
}

func count(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// people says by which layer or override it was somebody's turn.
func (m *Material) people() (out []tocsin.Reason) {
	if m.Incident.Escalation == nil {
		return nil
	}
	for _, r := range m.Incident.Escalation.Responders {
		one := reason(tocsin.StagePerson, "", r.At, "%s was called %s", r.User, times(uint32(max(r.Calls, 0))))
		if r.Asked {
			one.Text += ", by name"
		}
		if r.Unreachable {
			one.End, one.Text = tocsin.EndFailed, one.Text+", and every way to them has failed"
		}
		if !r.Acknowledged.IsZero() {
			one.Text += ", and answered at " + clock(r.Acknowledged)
		}
		out = append(out, one)
		for _, s := range m.Shifts[r.User] {
			out = append(out, tocsin.Reason{
				Stage: tocsin.StagePerson, At: r.At, Where: s.Schedule,
				Text: fmt.Sprintf("%s was on call on %s from %s to %s: %s", r.User, s.Schedule, clock(s.From), clock(s.To), s.Source),
			})
		}
	}
	return out
}

// contacts says which were used, which wait, and which were stopped.
func (m *Material) contacts() (out []tocsin.Reason) {
	for n := range m.Timeline {
		ev := &m.Timeline[n]
		r := tocsin.Reason{Stage: tocsin.StageContact, At: ev.At, Text: ev.Text, Where: ev.Target, By: ev.Actor}
		switch ev.Kind {
		case tocsin.EventCalled, tocsin.EventReminded, tocsin.EventResponder, tocsin.EventReassigned:
		case tocsin.EventStopped:
			r.End = tocsin.EndHeld
		default:
			continue
		}
		out = append(out, r)
	}
	if e := m.Incident.Escalation; e != nil {
		for _, c := range e.Calls {
			out = append(out, tocsin.Reason{Stage: tocsin.StageContact, End: tocsin.EndWaiting, Where: c.Target, Text: c.User + " is called there at " + clock(c.Due) + ", unless somebody answers before"})
		}
	}
	if m.Incident.State == tocsin.Triggered {
		for _, a := range m.Ahead {
			out = append(out, tocsin.Reason{Stage: tocsin.StageContact, End: tocsin.EndWaiting, Text: "if nobody answers, at " + clock(a.At) + ": " + a.Text})
		}
	}
	return out
}

// providers says what each target shows, and what the provider said.
func (m *Material) providers() (out []tocsin.Reason) {
	for n := range m.Incident.Deliveries {
		out = append(out, provider(m.Incident, &m.Incident.Deliveries[n]))
	}
	if len(out) == 0 {
		out = append(out, tocsin.Reason{Stage: tocsin.StageProvider, End: tocsin.EndHeld, Text: "no target is to be told"})
	}
	return out
}

func provider(inc *tocsin.Incident, d *tocsin.Delivery) tocsin.Reason {
	r := tocsin.Reason{Stage: tocsin.StageProvider, Where: d.Target}
	switch {
	case d.Failed:
		r.End, r.At, r.Text = tocsin.EndFailed, d.Since, "it failed, and is not tried again until the state changes: "+d.Error
	case d.Stopped && d.Ref == "":
		r.End, r.Text = tocsin.EndHeld, "stopped before it was sent: somebody had answered"
	case d.Lags(inc) && d.Attempts > 0:
		r.End, r.At, r.Text = tocsin.EndWaiting, d.Since, fmt.Sprintf("%d tries have failed, the next is at %s: %s", d.Attempts, clock(d.Next), d.Error)
	case d.Lags(inc):
		r.End, r.At, r.Text = tocsin.EndWaiting, d.Since, "it is being sent"
	case d.Ref == "" && d.DeliveredAt.IsZero():
		r.End, r.At, r.Text = tocsin.EndHeld, time.Time{}, "nothing was sent: the incident pages nobody"
	default:
		r.End, r.At, r.Text = tocsin.EndSent, d.DeliveredAt, "the provider has it"
		if d.Ref != "" {
			r.Text += " as " + d.Ref
		}
	}
	if d.User != "" {
		r.Text = "for " + d.User + ": " + r.Text
	}
	return r
}
