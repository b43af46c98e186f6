package escalation

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Limits of an incident that a person opens, in bytes.
const (
	maxTitle = 500
	maxText  = 4 << 10
)

// grace is how long people who are paged by name have to answer before the
// policies of the receivers are followed too: a page by hand must not end with
// one person who sleeps on.
const grace = 5 * time.Minute

// OpenManual opens an incident without an alert, calls whom it names, and
// returns its ID. Its receivers show it. Where nobody answers whom it names, or
// where it names nobody, the receivers' policies are followed. Where one with the
// same key is open already, that one's ID is returned and nothing is changed. The
// error names the field that is wrong.
func (e *Engine) OpenManual(ctx context.Context, m tocsin.Manual) (id string, err error) {
	m.Title = strings.TrimSpace(m.Title)
	switch {
	case m.Title == "":
		return "", tocsin.Invalid("title", "missing; say what is wrong")
	case len(m.Title) > maxTitle:
		return "", tocsin.Invalid("title", "longer than %d bytes", maxTitle)
	case len(m.Text) > maxText:
		return "", tocsin.Invalid("text", "longer than %d bytes", maxText)
	case m.Severity == "":
		m.Severity = tocsin.Critical
	case m.Severity.Rank() == 0:
		return "", tocsin.Invalid("severity", "%q; want critical, error, warning or info", m.Severity)
	}
	now, seed := e.o.Now(), tocsin.NewSeed()
	var events []tocsin.Event
	err = e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		events = nil
		if err := tocsin.Again(ctx, tx, tocsin.MadeIncident, now); err != nil {
			return err
		}
		var group tocsin.Key
		if m.Key != "" {
			group = tocsin.NewKey("manual", m.Key)
			if inc := tx.ByGroup(group); inc != nil && inc.Open() {
				id = inc.ID
				return tocsin.Done(ctx, tx, tocsin.MadeIncident, id, now)
			}
		}
		inc := &tocsin.Incident{
			Kind: tocsin.KindManual, State: tocsin.Triggered, Severity: m.Severity, Title: m.Title, Text: m.Text, Group: group,
			OpenedAt: now, ChangedAt: now, Revision: 1, StateRevision: 1, Receivers: m.Receivers,
		}
		if old := tx.ByGroup(group); m.Key != "" && old != nil {
			tx.Archive(old.ID)
		}
		for n := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; n++ {
			inc.ID = seed.ID(n)
		}
		id = inc.ID
		d := e.desk(tx, inc, now)
		if err := d.openManual(m); err != nil {
			return err
		}
		events = d.events
		tx.PutIncident(inc)
		tx.Append(events...)
		return tocsin.Done(ctx, tx, tocsin.MadeIncident, id, now)
	})
	if err == nil {
		e.tell(events)
	}
	return id, err
}

// openManual opens the desk's incident as m says.
func (d *desk) openManual(m tocsin.Manual) error {
	for _, name := range m.Receivers {
		_, told := d.rules.spec.Targets[name]
		if _, paged := d.rules.spec.Receivers[name]; !told && !paged {
			return tocsin.Invalid("receivers", "%q is not defined", cut(name))
		}
	}
	if len(d.inc.Receivers) == 0 {
		d.inc.Receivers = slices.Clone(d.rules.spec.Default)
	}
	for _, receiver := range d.inc.Receivers {
		for _, t := range d.rules.spec.Targets[receiver] {
			d.inc.AddTarget(t.Key, t.Detail, d.now)
		}
	}
	title := d.inc.Title
	if m.By != "" {
		title += " (opened by " + m.By + ")"
	}
	d.add(d.inc.Event(tocsin.EventOpened, m.By, title, d.now), true)
	if m.User != "" || m.Schedule != "" || m.Policy != "" {
		if err := d.addressed(m); err != nil {
			return err
		}
	}
	d.settle()
	return nil
}

// addressed has the incident call whom it was opened for.
func (d *desk) addressed(m tocsin.Manual) error {
	a := tocsin.Action{By: m.By, User: m.User, Schedule: m.Schedule, Policy: m.Policy}
	if m.Policy != "" {
		return d.reassign(a)
	}
	d.begin()
	if esc := d.inc.Escalation; esc != nil {
		for n := range esc.Runs {
			esc.Runs[n].Due = d.now.Add(grace)
		}
	}
	return d.callByName(a, tocsin.EventEscalated, "addressed")
}
