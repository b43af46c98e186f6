package escalation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Readable is where a person reads what calls nobody: the first contact that is
// no pager, those for low urgency first. The zero Target: there is none.
func (u *User) Readable() Target {
	for _, c := range slices.Concat(u.Low, u.High) {
		if !strings.HasPrefix(c.Target.Key, "pagerduty:") {
			return c.Target
		}
	}
	return Target{}
}

// NewNotice returns a notice for a target, without an ID: an incident that is
// resolved from the first. user is whose target it is, who may then look at it and
// answer; empty: a place.
func NewNotice(t Target, user, title, text string, now time.Time) *tocsin.Incident {
	inc := &tocsin.Incident{
		Kind: tocsin.KindNotice, State: tocsin.Resolved, Severity: tocsin.Info, Title: title, Text: text,
		OpenedAt: now, ChangedAt: now, ResolvedAt: now, Revision: 1, StateRevision: 1, Receivers: []string{},
	}
	inc.AddTarget(t.Key, t.Detail, now)
	inc.Deliveries[0].User = user
	return inc
}

// tellOfSwap tells people of a swap, in the transaction that changed it: who is
// asked to take it, or, once there is an answer, whose shifts they are.
func (r *Rules) tellOfSwap(tx tocsin.Tx, o *tocsin.Override, seed tocsin.Seed, now time.Time) {
	if o.Kind != tocsin.OverrideSwap {
		return
	}
	const minute = "Mon 2 Jan 15:04 MST"
	loc := time.UTC
	if s := r.spec.Schedules[o.Schedule]; s != nil {
		loc = s.Location()
	}
	span := fmt.Sprintf("on %s from %s to %s", o.Schedule, o.From.In(loc).Format(minute), o.To.In(loc).Format(minute))
	to, title, text := []string{o.Replaces}, "", because(o.Comment)
	switch o.State {
	case tocsin.OverrideRequested:
		title = fmt.Sprintf("%s asks for somebody to take over %s", o.Replaces, span)
		text = strings.TrimSpace(fmt.Sprintf("To take it: tocsin swap accept %s\nElse: tocsin swap decline %s\n%s", o.ID, o.ID, o.Comment))
		to = r.asked(o)
	case tocsin.OverrideActive:
		title = fmt.Sprintf("%s takes your shifts %s", o.User, span)
	case tocsin.OverrideDeclined:
		title = fmt.Sprintf("%s does not take your shifts %s", o.EndedBy, span)
		text = "They are still yours."
	default:
		to, title = r.asked(o), fmt.Sprintf("the swap %s is called off", span)
	}
	n := 0
	for _, name := range to {
		u := r.spec.Users[name]
		target := u.Readable()
		if target.Key == "" {
			continue
		}
		inc := NewNotice(target, name, title, text, now)
		for ; inc.ID == "" || tx.Incident(inc.ID) != nil; n++ {
			inc.ID = seed.ID(1000 + n)
		}
		tx.PutIncident(inc)
		tx.Append(inc.Event(tocsin.EventOpened, "", title, now))
	}
}

// asked are those who may accept a swap: the one who was named, or everybody
// else of the schedule.
func (r *Rules) asked(o *tocsin.Override) []string {
	if o.User != "" {
		return []string{o.User}
	}
	s := r.spec.Schedules[o.Schedule]
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(s.Users(), func(name string) bool { return name == o.Replaces })
}
