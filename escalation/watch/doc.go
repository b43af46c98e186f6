// Package watch follows the schedules as time passes: it tells people of their
// shifts, has a change of shift acknowledged, writes the handoff brief, keeps
// Slack user groups in step, and proves every day, and after every change, that
// somebody can be called at every minute of the weeks to come.
//
// What it has to say is an incident of kind notice, so that it is delivered like
// every page: written first, sent at least once, seen once. What it has told is
// in the store, so that a restart tells nothing twice and misses nothing that
// fell into the pause.
package watch

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Schedule is a schedule to follow.
type Schedule struct {
	*oncall.Schedule
	// Channel is told of changes of shift, with the brief; no Key: none is.
	Channel escalation.Target
	// Group follows who is on call; nil: none does.
	Group Group
	// Notify tells people of their own shifts.
	Notify bool
	// AcknowledgeWithin is how long the one who comes on call has to say so; 0:
	// nobody is asked.
	AcknowledgeWithin time.Duration
	// OutgoingStays keeps the one who leaves on call until the other has said so,
	// or AcknowledgeWithin has passed.
	OutgoingStays bool
}

// Group is a Slack user group.
type Group interface {
	// Members returns who is in it.
	Members(ctx context.Context) ([]string, error)
	// Set makes these its members. There is at least one.
	Set(ctx context.Context, members []string) error
}

// Plan is the configuration of a Watch. It is not changed once it is given.
type Plan struct {
	Schedules []Schedule
	// Users by name; Slack gives their IDs in Slack.
	Users map[string]escalation.User
	Slack map[string]string
	// Policies whose coverage is proven. A gap opens an incident, which Targets
	// show. When it is less than a day away the incident has Receivers, whose
	// policies call people.
	Policies  []escalation.Policy
	Targets   []escalation.Target
	Receivers []string
	// Fed schedules take people from feeds, which get a minute to answer before
	// coverage is proven for the first time.
	Fed bool
	// Ahead is how far coverage is proven, and how far changes of shifts are
	// told; 0: 8 weeks.
	Ahead time.Duration
}

// Store is what a Watch needs of the store.
type Store interface {
	tocsin.Updater
	tocsin.Reader
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
}

// Roster knows the overrides, and makes them.
type Roster interface {
	// InForce returns the overrides that change the schedules.
	InForce(ctx context.Context) ([]tocsin.Override, error)
	// PutOverride makes one.
	PutOverride(ctx context.Context, o tocsin.Override) (tocsin.Override, error)
	// AnswerOverride ends one.
	AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error)
}
