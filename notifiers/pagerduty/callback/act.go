package callback

import (
	"cmp"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
)

// actions says what an event asks to be done about the incident; none: nothing.
// It is pure.
func (h *Handler) actions(ev *event, p place) []tocsin.Action {
	seen := tocsin.Seen{
		Target: p.target, Ref: p.ref, New: p.fresh, Follows: p.follows,
		Remote: ev.remote(), At: ev.at, State: ev.state(),
	}
	kind := strings.TrimPrefix(ev.Type, "incident.")
	if seen.State == "" {
		seen.At = time.Time{}
	}
	if ev.echo() || kind == "triggered" {
		return learn(kind, p, seen)
	}
	seen.Reopened = kind == "reopened"
	list := h.asked(kind, ev, p)
	if p.earlier {
		list = late(kind)
	}
	for n := range list {
		a := &list[n]
		s := seen
		if n < len(list)-1 && a.Kind != tocsin.ActUnacknowledge {
			s.State = "" // what it shows is noted with what changes it, the last
		}
		a.Seen = &s
		a.By = cmp.Or(a.By, h.who(ev.Agent))
		a.ID = "pagerduty:" + ev.ID
		if n > 0 {
			a.ID += "/" + string(a.Kind) + a.User
		}
	}
	return list
}

// learn is what is done about what was done here: PagerDuty's ID of the incident
// is noted once. Where it was another one, PagerDuty has opened a second incident
// with the same key, since somebody had resolved the first there.
func learn(kind string, p place, seen tocsin.Seen) []tocsin.Action {
	if p.remote == seen.Remote || p.target == "" || p.remote != "" && kind != "triggered" {
		return nil
	}
	if seen.Reopened = p.remote != ""; !seen.Reopened {
		seen.State = "" // we know what we did
	}
	return []tocsin.Action{{Kind: tocsin.ActSeen, Seen: &seen}}
}

// asked are the actions, without what is the same in all.
func (h *Handler) asked(kind string, ev *event, p place) []tocsin.Action {
	inc := p.incident
	switch kind {
	case "acknowledged":
		if !ev.person() && inc.State == tocsin.Acknowledged {
			return nil // an automatism takes nothing from a person
		}
		return []tocsin.Action{{Kind: tocsin.ActAcknowledge, Text: "in PagerDuty"}}
	case "unacknowledged":
		return []tocsin.Action{{Kind: tocsin.ActUnacknowledge, Force: ev.person(), Text: "the acknowledgement in PagerDuty has ended"}}
	case "resolved":
		return []tocsin.Action{{Kind: tocsin.ActResolve, Force: true, Text: "in PagerDuty"}}
	case "reopened":
		return []tocsin.Action{{Kind: tocsin.ActReopen, Text: "in PagerDuty"}}
	case "reassigned", "delegated", "escalated":
		return h.assigned(kind, ev)
	case "annotated":
		if content := text(ev.Data.Content); content != "" && !pagerduty.OwnNote(inc.ID, ev.Data.Content) {
			return []tocsin.Action{{Kind: tocsin.ActNote, Text: content}}
		}
	case "priority_updated":
		return h.priority(ev, inc)
	case "responder.added":
		return h.responder(ev, inc)
	case "responder.replied":
		if ev.Data.User != nil {
			return note(h.who(ev.Data.User) + " has " + cmp.Or(clean(ev.Data.State, maxName), "answered") + " the request in PagerDuty")
		}
	}
	return nil
}

// late is what is done about an incident that PagerDuty had before this one.
func late(kind string) []tocsin.Action {
	if kind != "reopened" {
		return nil
	}
	return note("an earlier incident of PagerDuty's about this was reopened there; it stays open until it is resolved there")
}

func note(text string) []tocsin.Action {
	return []tocsin.Action{{Kind: tocsin.ActNote, Text: text}}
}

// assigned says who has it now, and calls those who are known here. A new
// assignee has not answered.
func (h *Handler) assigned(kind string, ev *event) []tocsin.Action {
	var names []string
	var known []tocsin.Action
	for n := range ev.Data.Assignees[:min(len(ev.Data.Assignees), 20)] {
		a := &ev.Data.Assignees[n]
		names = append(names, h.who(a))
		if name, ok := h.user(a); ok {
			known = append(known, tocsin.Action{Kind: tocsin.ActAddResponder, User: name, Text: kind + " in PagerDuty"})
		}
	}
	said := kind + " in PagerDuty"
	if kind == "delegated" && ev.Data.Policy != nil {
		said += " to the escalation policy " + cmp.Or(clean(ev.Data.Policy.Summary, maxName), ev.Data.Policy.ID)
	}
	if len(names) > 0 {
		said += " to " + strings.Join(names, ", ")
	}
	list := append(note(said), known...)
	if ev.state() == tocsin.Triggered {
		list = append(list, tocsin.Action{Kind: tocsin.ActUnacknowledge, Force: true, Text: said})
	}
	return list
}

func (h *Handler) priority(ev *event, inc *tocsin.Incident) []tocsin.Action {
	name := "none"
	if ev.Data.Priority != nil {
		name = cmp.Or(clean(ev.Data.Priority.Summary, maxName), ev.Data.Priority.ID)
	}
	if severity := h.config.Load().Priorities[name]; severity != "" && inc.Open() {
		return []tocsin.Action{{Kind: tocsin.ActSeverity, Severity: severity, Text: "priority " + name + " in PagerDuty"}}
	}
	return note("the priority in PagerDuty is " + name)
}

func (h *Handler) responder(ev *event, inc *tocsin.Incident) []tocsin.Action {
	who := "somebody"
	if ev.Data.User != nil {
		who = h.who(ev.Data.User)
		if name, ok := h.user(ev.Data.User); ok && inc.Open() {
			return []tocsin.Action{{Kind: tocsin.ActAddResponder, User: name, Text: cmp.Or(clean(ev.Data.Message, maxText), "in PagerDuty")}}
		}
	} else if ev.Data.Policy != nil {
		who = "the escalation policy " + cmp.Or(clean(ev.Data.Policy.Summary, maxName), ev.Data.Policy.ID)
	}
	said := "PagerDuty asked " + who + " to help"
	if m := text(ev.Data.Message); m != "" {
		said += ": " + m
	}
	return note(said)
}

func (h *Handler) user(r *reference) (string, bool) {
	if r == nil || r.ID == "" || h.deps.Who == nil {
		return "", false
	}
	return h.deps.Who(r.ID)
}

// who is what somebody is called here, or else in PagerDuty.
func (h *Handler) who(r *reference) string {
	if name, ok := h.user(r); ok {
		return name
	}
	if r == nil || r.Type != "user_reference" {
		return "PagerDuty"
	}
	if name := cmp.Or(clean(r.Summary, maxName), clean(r.ID, maxName)); name != "" {
		return "PagerDuty: " + name
	}
	return "PagerDuty"
}
