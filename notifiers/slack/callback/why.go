package callback

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

const (
	// whyEvents is how much of the timeline is looked at, whyLines how many calls
	// are told.
	whyEvents = 500
	whyLines  = 20
	whyAhead  = 5
)

// Trace explains why an incident called somebody, or did not.
type Trace struct {
	// Reader is required.
	Reader tocsin.Reader
	// Ahead and Shifts are those of Deps. Nil: they are left out.
	Ahead  func(*tocsin.Incident) []tocsin.Ahead
	Shifts func(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error)
}

func (h *Handler) trace() *Trace {
	return &Trace{Reader: h.d.Reader, Ahead: h.d.Ahead, Shifts: h.d.Shifts}
}

// Lines traces the decisions that led to the person: which route took the alert, who
// is told by its receivers, where the policy stands, why it was this person's turn,
// and every call so far. They are lines of a slack.Reply. What cannot be read is
// said to be missing.
func (t *Trace) Lines(ctx context.Context, inc *tocsin.Incident, who string) []string {
	lines := []string{"*Why me?* " + slack.State(inc), whyRoute(inc)}
	lines = append(lines, whyPolicy(inc)...)
	lines = append(lines, t.person(ctx, inc, who)...)
	events, err := t.Reader.Timeline(ctx, inc.ID, 0, whyEvents)
	if err != nil {
		lines = append(lines, "The timeline could not be read.")
	}
	lines = append(lines, whyCalls(events)...)
	if inc.State == tocsin.Triggered && t.Ahead != nil {
		for n, a := range t.Ahead(inc) {
			if n == whyAhead {
				break
			}
			lines = append(lines, "Next, if nobody answers: "+slack.Escape(a.Text, 120)+" at "+slack.Time(a.At))
		}
	}
	return lines
}

func whyRoute(inc *tocsin.Incident) string {
	to := "no receiver"
	if len(inc.Receivers) > 0 {
		names := make([]string, 0, len(inc.Receivers))
		for _, r := range inc.Receivers {
			names = append(names, slack.Code(r, 60))
		}
		to = plural(len(names), "receiver") + " " + strings.Join(names, ", ")
	}
	switch {
	case inc.Kind == tocsin.KindManual:
		return "1. It was opened without an alert, for " + to + "."
	case inc.Route == "":
		return "1. It is told to " + to + "."
	default:
		return "1. The route at " + slack.Code(inc.Route, 120) + " took its first alert: " + to + "."
	}
}

func whyPolicy(inc *tocsin.Incident) []string {
	if inc.Escalation == nil || len(inc.Escalation.Runs) == 0 {
		return []string{"2. It follows no escalation policy."}
	}
	var lines []string
	for n := range inc.Escalation.Runs {
		r := &inc.Escalation.Runs[n]
		line := fmt.Sprintf("2. Escalation policy %s: %s taken", slack.Code(r.Policy, 60), count(r.Step, "step"))
		if r.Round > 0 {
			line += fmt.Sprintf(" in round %d", r.Round+1)
		}
		if r.Due.IsZero() {
			line += "; it stands still"
		} else {
			line += "; the next is due at " + slack.Time(r.Due)
		}
		lines = append(lines, line+".")
	}
	return lines
}

// person says since when it is the person's turn, and by what.
func (t *Trace) person(ctx context.Context, inc *tocsin.Incident, who string) []string {
	var r *tocsin.Responder
	if inc.Escalation != nil {
		r = inc.Escalation.Responder(who)
	}
	if r == nil {
		return []string{"3. You (" + slack.Escape(who, 60) + ") were not called; you see it because its message is where you can see it."}
	}
	how := "once"
	if r.Calls > 1 {
		how = fmt.Sprintf("%d times", r.Calls)
	}
	line := "3. You (" + slack.Escape(who, 60) + ") were called " + how + ", last at " + slack.Time(r.At)
	if r.Asked {
		line += ", by name"
	}
	lines := []string{line + "."}
	if t.Shifts == nil {
		return lines
	}
	shifts, err := t.Shifts(ctx, tocsin.ShiftQuery{User: who, From: r.At, To: r.At})
	if err != nil {
		return append(lines, "Who was on call then could not be read.")
	}
	for n := range shifts {
		s := &shifts[n]
		lines = append(lines, "You were on call on "+slack.Code(s.Schedule, 60)+" from "+slack.Time(s.From)+" to "+slack.Time(s.To)+
			": "+slack.Escape(s.Source, 120))
	}
	return lines
}

// whyCalls are the decisions on the timeline, the newest of them.
func whyCalls(events []tocsin.Event) []string {
	var lines []string
	for n := range events {
		e := &events[n]
		switch e.Kind {
		case tocsin.EventCalled, tocsin.EventEscalated, tocsin.EventNobody, tocsin.EventSkipped, tocsin.EventLastResort, tocsin.EventStopped,
			tocsin.EventResponder, tocsin.EventReassigned, tocsin.EventReturned, tocsin.EventReopened, tocsin.EventSuppressed, tocsin.EventUnsuppressed:
			lines = append(lines, "• "+slack.Time(e.At)+" "+slack.Escape(e.Text, 200))
		default:
		}
	}
	if more := len(lines) - whyLines; more > 0 {
		lines = append([]string{fmt.Sprintf("• %d earlier ones", more)}, lines[more:]...)
	}
	return lines
}
