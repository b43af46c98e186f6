package escalation

import (
	"context"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// maxTitle is the longest title of an incident that a person opens, in bytes.
const maxTitle = 500

// OpenManual opens an incident without an alert, calls whom it names, and
// returns its ID. Where one with the same key is open already, that one's ID is
// returned and nothing is changed. The error names the field that is wrong.
func (e *Engine) OpenManual(ctx context.Context, m tocsin.Manual) (id string, err error) {
	m.Title = strings.TrimSpace(m.Title)
	switch {
	case m.Title == "":
		return "", tocsin.Invalid("title", "missing; say what is wrong")
	case len(m.Title) > maxTitle:
		return "", tocsin.Invalid("title", "longer than %d bytes", maxTitle)
	case m.Severity == "":
		m.Severity = tocsin.Critical
	case m.Severity.Rank() == 0:
		return "", tocsin.Invalid("severity", "%q; want critical, error, warning or info", m.Severity)
	}
	now, seed := e.o.Now(), tocsin.NewSeed()
	err = e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		var group tocsin.Key
		if m.Key != "" {
			group = tocsin.NewKey("manual", m.Key)
			if inc := tx.ByGroup(group); inc != nil && inc.Open() {
				id = inc.ID
				return nil
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
		opened := inc.Event(tocsin.EventOpened, m.By, inc.Title, now)
		d.add(opened, true)
		if m.User != "" || m.Schedule != "" || m.Policy != "" {
			if err := d.addressed(m); err != nil {
				return err
			}
		}
		d.settle()
		tx.PutIncident(inc)
		tx.Append(d.events...)
		return nil
	})
	return id, err
}

// addressed has the incident call whom it was opened for.
func (d *desk) addressed(m tocsin.Manual) error {
	a := tocsin.Action{By: m.By, User: m.User, Schedule: m.Schedule, Policy: m.Policy}
	if m.Policy != "" {
		return d.reassign(a)
	}
	return d.callByName(a, tocsin.EventEscalated, "addressed")
}
