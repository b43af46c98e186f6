package escalation

import (
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Policy says who is told, how, and what happens when nobody answers. It is
// plain data, complete in itself but for the schedules: it is frozen into an
// incident as JSON when the incident opens, so that a change of the
// configuration does not change what has begun. Who is on call is asked when a
// step is taken.
type Policy struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
	// Repeat is how often the steps are gone through again before the last
	// resort.
	Repeat int `json:"repeat,omitempty"`
	// RepeatAfter is how long the last step gets before the steps are gone
	// through again, or the last resort is called.
	RepeatAfter time.Duration `json:"repeatAfter"`
	// LastResort is called when the steps have run out, by every contact at
	// once, and again every LastResortEvery until somebody answers.
	LastResort      []Recipient   `json:"lastResort"`
	LastResortEvery time.Duration `json:"lastResortEvery"`
	// RemindAfter an acknowledgement its owner is reminded, and ReturnAfter it
	// the incident comes back to triggered and goes on where it was; 0: never.
	RemindAfter time.Duration `json:"remindAfter,omitempty"`
	ReturnAfter time.Duration `json:"returnAfter,omitempty"`
	Urgency     Urgency       `json:"urgency"`
	// Users holds everybody whom a recipient may stand for, by name; Teams their
	// members.
	Users map[string]User     `json:"users"`
	Teams map[string][]string `json:"teams,omitempty"`
	// Pos is where the policy stands: "tocsin.yml:12".
	Pos string `json:"pos,omitempty"`
}

// Step is one step of a policy.
type Step struct {
	// After is the delay behind the step before it; of the first: behind the
	// opening of the incident, or the end of the round before.
	After time.Duration `json:"after,omitempty"`
	To    []Recipient   `json:"to"`
	// RoundRobin calls one of the people only, a different one each time.
	RoundRobin bool `json:"roundRobin,omitempty"`
	// AllMustAcknowledge goes on until everybody on the step has answered.
	AllMustAcknowledge bool      `json:"allMustAcknowledge,omitempty"`
	When               Condition `json:"when,omitzero"`
	// Pos is where the step stands.
	Pos string `json:"pos,omitempty"`
}

// Recipient is whom a step tells. One of the fields is set; Mention goes with
// Targets.
type Recipient struct {
	User     string `json:"user,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	Team     string `json:"team,omitempty"`
	// Targets are places: a Slack channel, a PagerDuty service, a webhook. Name
	// is what they are called in texts.
	Targets []Target `json:"targets,omitempty"`
	Name    string   `json:"name,omitempty"`
	// Mention is the ID of a Slack user group to mention there.
	Mention string `json:"mention,omitempty"`
}

// Target is a place that is told.
type Target struct {
	// Key is Delivery.Target.
	Key string `json:"key"`
	// Detail targets show every change.
	Detail bool `json:"detail,omitempty"`
}

// Condition says when a step applies. Its zero value always does.
type Condition struct {
	// Severities that the incident may have; empty: any.
	Severities []tocsin.Severity `json:"severities,omitempty"`
	// Hours in which it applies, of which one is enough; empty: always. Zone is
	// the IANA name of the zone they are in; empty: each person's own, so that
	// the step calls those for whom it is that time.
	Hours []oncall.Window `json:"hours,omitempty"`
	Zone  string          `json:"zone,omitempty"`
}

// Urgency says which incidents are urgent. High urgency calls people by their
// contacts for it, at any hour; low urgency by the others, and waits for the end
// of their quiet hours.
type Urgency struct {
	// High severities are always urgent.
	High []tocsin.Severity `json:"high,omitempty"`
	// SupportHigh severities are urgent in the support hours too, which are in
	// the time zone Zone.
	SupportHigh  []tocsin.Severity `json:"supportHigh,omitempty"`
	SupportHours []oncall.Window   `json:"supportHours,omitempty"`
	Zone         string            `json:"zone,omitempty"`
}

// User is a person who can be called.
type User struct {
	Name string `json:"name"`
	// Zone is the IANA name of the person's time zone; empty: UTC.
	Zone string `json:"zone,omitempty"`
	// High and Low are the contacts for high and low urgency, in order.
	High []Contact `json:"high"`
	Low  []Contact `json:"low,omitempty"`
	// Quiet are the hours in which low urgency waits.
	Quiet []oncall.Window `json:"quiet,omitempty"`
}

// Contact is one way to reach a person.
type Contact struct {
	// By names the way, for texts: "Slack", "PagerDuty", "email".
	By string `json:"by"`
	// After is the wait behind the call of the person.
	After  time.Duration `json:"after,omitempty"`
	Target Target        `json:"target"`
}
