package escalation

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

func (d *desk) merge(a tocsin.Action) error {
	inc := d.inc
	into := d.tx.Incident(a.Into)
	for hops := 0; into != nil && into.MergedInto != "" && hops < 100; hops++ {
		into = d.tx.Incident(into.MergedInto)
	}
	switch {
	case into == nil:
		return tocsin.Invalid("into", "incident %q does not exist", a.Into)
	case into.Kind == tocsin.KindNotice:
		return tocsin.Invalid("into", "%s is a notice, which pages nobody", into.ID)
	case into.ID == inc.ID:
		return tocsin.Invalid("into", "an incident cannot be merged into itself")
	case !into.Open():
		return fmt.Errorf("%w: incident %s is resolved; merge into one that is open", tocsin.ErrConflict, into.ID)
	case into.Quiet():
		return fmt.Errorf("%w: incident %s is silenced, inhibited or muted, and would page for neither", tocsin.ErrConflict, into.ID)
	}
	e, changed := inc.Merge(into.ID, a.By, fmt.Sprintf("merged into %s by %s: it pages for this one as long as it is open", into.ID, a.By), d.now)
	if !changed {
		return nil
	}
	d.add(e, true)
	d.beside(into, func(o *desk) {
		o.line(tocsin.EventMerged, a.By, "%s (%s) was merged into this one by %s", inc.ID, inc.Title, a.By)
		o.add(into.Raise(inc.Severity, o.now))
	})
	return nil
}

// unmerge takes a merge back. Whoever has answered for the other has not answered
// for this one.
func (d *desk) unmerge(a tocsin.Action) error {
	inc, was := d.inc, d.inc.MergedInto
	e, changed := inc.Merge("", a.By, fmt.Sprintf("no longer merged into %s, says %s: it pages for itself again%s", was, a.By, because(a.Text)), d.now)
	if !changed {
		return nil
	}
	d.add(e, true)
	if into := d.tx.Incident(was); into != nil && into.Open() {
		d.beside(into, func(o *desk) {
			o.line(tocsin.EventMerged, a.By, "%s (%s) is no longer merged into this one, says %s", inc.ID, inc.Title, a.By)
		})
	}
	return nil
}

// beside changes another incident in the same decision.
func (d *desk) beside(other *tocsin.Incident, do func(o *desk)) {
	o := &desk{rules: d.rules, lib: d.lib, tx: d.tx, inc: other, now: d.now, was: other.Deadline()}
	other.Touch(d.now)
	do(o)
	o.settle()
	d.tx.PutIncident(other)
	d.events = append(d.events, o.events...)
}

// unpassed reports whether an incident has become more severe than what pages for
// it knows.
func unpassed(inc *tocsin.Incident) bool {
	return inc.MergedInto != "" && inc.Open() && inc.Severity.Rank() > inc.MergedSeverity.Rank()
}

// passOn raises the incident that pages for this one, and what that one is merged
// into.
func (d *desk) passOn() {
	inc, known := d.inc, d.inc.MergedSeverity != ""
	inc.MergedSeverity = inc.Severity
	if !known {
		return // merged by a Tocsin that did not note it: nobody is woken because of that
	}
	into := d.tx.Incident(inc.MergedInto)
	if into == nil || !into.Open() || into.ID == inc.ID {
		return
	}
	d.beside(into, func(o *desk) {
		o.line(tocsin.EventMerged, "", "%s (%s), which was merged into this one, is %s now", inc.ID, inc.Title, inc.Severity)
		o.add(into.Raise(inc.Severity, o.now))
		if unpassed(into) {
			o.passOn()
		}
	})
}

// deserted says why an incident does not page through another any more, which
// may be nil; "": it does. One that is merged itself is judged by itself.
func deserted(inc, into *tocsin.Incident) string {
	switch {
	case into == nil || !into.Open():
		return inc.MergedInto + " is resolved and this one is not: it pages for itself again"
	case into.MergedInto == "" && into.Quiet():
		return inc.MergedInto + " pages nobody now: this one pages for itself again"
	default:
		return ""
	}
}

// unmerge has an incident page for itself again, since the one that paged for it
// does not.
func (e *Engine) unmerge(ctx context.Context, id string, now time.Time) error {
	return e.change(ctx, id, now, func(d *desk) bool {
		inc := d.inc
		if inc.MergedInto == "" {
			return false
		}
		why := deserted(inc, d.tx.Incident(inc.MergedInto))
		if why == "" {
			return false
		}
		d.add(inc.Merge("", "", why, now))
		d.settle()
		return true
	})
}

// passOn passes on the severity of an incident that another one pages for. That
// is not done where the severity is raised: the other one may be part of the same
// decision there.
func (e *Engine) passOn(ctx context.Context, id string, now time.Time) error {
	return e.change(ctx, id, now, func(d *desk) bool {
		if !unpassed(d.inc) {
			return false
		}
		d.passOn()
		return true
	})
}

// change decides about one incident in a transaction of its own, unless there is
// nothing to do.
func (e *Engine) change(ctx context.Context, id string, now time.Time, do func(*desk) bool) error {
	var events []tocsin.Event
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		events = nil
		inc := tx.Incident(id)
		if inc == nil {
			return nil
		}
		d := e.desk(tx, inc, now)
		if !do(d) {
			return nil
		}
		events = d.events
		tx.PutIncident(inc)
		tx.Append(events...)
		return nil
	})
	if err == nil {
		e.tell(events)
	}
	return err
}
