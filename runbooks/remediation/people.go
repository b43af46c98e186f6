package remediation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Start has a remedy run for an incident because somebody asks for it, or
// proposes it where others have to approve it too; see tocsin.Remediation.State.
// A target is needed where several alerts of the incident fit; empty: the only
// one. One that has been proposed already is approved. The error is
// tocsin.ErrNotFound, tocsin.ErrInvalid with the field, or tocsin.ErrConflict
// with what forbids it.
func (e *Engine) Start(ctx context.Context, incident, remedy, target, by string) (tocsin.Remediation, error) {
	if by = strings.TrimSpace(by); by == "" {
		return tocsin.Remediation{}, tocsin.Invalid("by", "missing; say who starts it")
	}
	c, err := e.choose(ctx, incident, remedy, target)
	if err != nil {
		return tocsin.Remediation{}, err
	}
	return e.change(ctx, once(ctx, func(l *ledger) (*record, error) {
		inc := l.tx.Incident(incident)
		if inc == nil {
			return nil, tocsin.ErrNotFound
		}
		key := identity(incident, inc.Reopened, remedy, c.raw)
		id, r, err := locate(l.find, incident, key)
		if err != nil {
			return nil, err
		}
		if r == nil {
			if len(l.all().records) >= 2*maxRecords {
				return nil, fmt.Errorf("%w: too many remediations are kept; wait for the old ones to be dropped", tocsin.ErrConflict)
			}
			r = &record{Key: key, Reopened: inc.Reopened}
			r.ID, r.Remedy, r.Incident = id, remedy, incident
			return r, l.ask(r, c, by)
		}
		switch {
		case !r.State.Final() && (r.ProposedBy == by || approvedBy(r, by)):
			return r, nil // a double click
		case r.State == tocsin.RemediationProposed:
			return r, l.approve(r, c.remedy, by)
		case r.State.Ran() || !r.State.Final():
			return nil, fmt.Errorf("%w: %s is %s already, and runs once for an incident (%s)", tocsin.ErrConflict, r.title(), r.State, r.ID)
		}
		r.Round++
		return r, l.ask(r, c, by)
	}))
}

// once is fn where the request of ctx has not done it before.
func once(ctx context.Context, fn func(*ledger) (*record, error)) func(*ledger) (*record, error) {
	return func(l *ledger) (*record, error) {
		if err := tocsin.Again(ctx, l.tx, tocsin.MadeRemediation, l.now); err != nil {
			return nil, err
		}
		r, err := fn(l)
		if err == nil {
			err = tocsin.Done(ctx, l.tx, tocsin.MadeRemediation, r.ID, l.now)
		}
		return r, err
	}
}

// ask proposes a run that somebody asks for, and takes that for their approval
// where they may give one.
func (l *ledger) ask(r *record, c *candidate, by string) error {
	if err := r.fill(c); err != nil {
		return tocsin.Invalid("parameters", "%v", err)
	}
	if why := l.gone(r); why != "" {
		return fmt.Errorf("%w: %s", tocsin.ErrConflict, why)
	}
	if why, refused := l.forbidden(c.remedy, r, fleet{}); refused {
		return fmt.Errorf("%w: %s", tocsin.ErrConflict, why.text)
	}
	text := c.remedy.propose(r, by, l.now)
	if r.State == tocsin.RemediationProposed && c.remedy.mayApprove(r, by) == nil {
		approved, _, err := c.remedy.approve(r, by, l.now)
		if err != nil {
			return err
		}
		text = "asked for and " + approved
	}
	r.Until = l.now.Add(lease)
	return l.say(r, by, text)
}

// choose finds the alert that a remedy is to be run for.
func (e *Engine) choose(ctx context.Context, incident, name, target string) (*candidate, error) {
	m := e.rules.Load().byName[name]
	if m == nil {
		return nil, fmt.Errorf("%w: remedy %s is not declared", tocsin.ErrNotFound, name)
	}
	alerts, err := e.o.Store.AlertsOf(ctx, incident, 0x7fff)
	if err != nil {
		return nil, err
	}
	fit := candidates([]*remedy{m}, alerts, true)
	if target != "" {
		fit = slices.DeleteFunc(fit, func(c candidate) bool { return c.raw != target && c.shown != target })
	}
	switch {
	case len(fit) == 1:
		return &fit[0], nil
	case len(fit) == 0 && target != "":
		return nil, tocsin.Invalid("target", "%q: no alert of the incident that fires is for %s and has that target", target, name)
	case len(fit) == 0:
		return nil, fmt.Errorf("%w: no alert of the incident that fires is for %s (%s)", tocsin.ErrConflict, name, strings.Join(m.spec.Matchers, ", "))
	}
	var names []string
	for _, c := range fit[:min(len(fit), 10)] {
		names = append(names, c.shown)
	}
	return nil, tocsin.Invalid("target", "there are %d; name one: %s", len(fit), strings.Join(names, ", "))
}

// Approve notes somebody's approval; with enough of them it is started. A second
// one of the same person changes nothing. The error is tocsin.ErrNotFound,
// tocsin.ErrInvalid where they may not, or tocsin.ErrConflict with what forbids
// it.
func (e *Engine) Approve(ctx context.Context, id, by string) (tocsin.Remediation, error) {
	by = strings.TrimSpace(by)
	return e.change(ctx, func(l *ledger) (*record, error) {
		r, err := l.mayChange(ctx, id)
		if err != nil {
			return nil, err
		}
		return r, l.approve(r, e.rules.Load().byName[r.Remedy], by)
	})
}

// tooLate is the conflict of a change that was written: that it is too late for
// another.
type tooLate struct{ why string }

func (t *tooLate) Error() string        { return "too late: " + t.why }
func (t *tooLate) Is(target error) bool { return target == tocsin.ErrConflict }

// approve notes an approval, or that it comes too late.
func (l *ledger) approve(r *record, m *remedy, by string) error {
	if r.State == tocsin.RemediationProposed {
		switch why := l.gone(r); {
		case why != "":
			return l.late(r, why)
		case r.expired(l.now):
			return l.late(r, "nobody approved it in time")
		case m.changed(r):
			return l.late(r, "the remedy was changed since it was proposed")
		}
		if why, refused := l.forbidden(m, r, fleet{}); refused {
			return fmt.Errorf("%w: %s", tocsin.ErrConflict, why.text)
		}
	} else if m == nil {
		return r.conflict()
	}
	text, changed, err := m.approve(r, by, l.now)
	if err != nil || !changed {
		return err
	}
	r.Until = l.now.Add(lease)
	return l.say(r, by, text)
}

func (l *ledger) late(r *record, why string) error {
	if err := l.end(r, tocsin.RemediationExpired, "", why); err != nil {
		return err
	}
	return &tooLate{why}
}

func approvedBy(r *record, by string) bool {
	return slices.ContainsFunc(r.Approvals, func(a tocsin.Approval) bool { return a.By == by })
}

// Deny says no to a proposal, or to what is approved and has not started. Doing
// it again changes nothing. The error is tocsin.ErrNotFound or
// tocsin.ErrConflict.
func (e *Engine) Deny(ctx context.Context, id, by string) (tocsin.Remediation, error) {
	by = strings.TrimSpace(by)
	return e.change(ctx, func(l *ledger) (*record, error) {
		r, err := l.mayChange(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case by == "":
			return nil, tocsin.Invalid("by", "missing; say who denies it")
		case r.State == tocsin.RemediationDenied:
			return r, nil
		case r.State == tocsin.RemediationProposed, r.State == tocsin.RemediationApproved && len(r.Starts) == 0:
			return r, l.end(r, tocsin.RemediationDenied, by, "denied by "+by)
		}
		return nil, r.conflict()
	})
}

// Cancel is Deny for what has not started; what is being executed, or rolled
// back, is ended. The error is tocsin.ErrNotFound or tocsin.ErrConflict.
func (e *Engine) Cancel(ctx context.Context, id, by string) (tocsin.Remediation, error) {
	by = strings.TrimSpace(by)
	out, err := e.change(ctx, func(l *ledger) (*record, error) {
		r, err := l.mayChange(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case by == "":
			return nil, tocsin.Invalid("by", "missing; say who cancels it")
		case r.Killed != "" || r.State == tocsin.RemediationDenied:
			return r, nil
		case r.State == tocsin.RemediationProposed, r.State == tocsin.RemediationApproved && len(r.Starts) == 0:
			return r, l.end(r, tocsin.RemediationDenied, by, "withdrawn by "+by)
		case r.State == tocsin.RemediationStarted, r.State == tocsin.RemediationRollingBack:
			r.Killed = by
			return r, l.say(r, by, "to be ended: cancelled by "+by)
		}
		return nil, r.conflict()
	})
	e.glance(ctx)
	return out, err
}

// change writes what a person does, and has it carried on.
func (e *Engine) change(ctx context.Context, fn func(*ledger) (*record, error)) (tocsin.Remediation, error) {
	var out *record
	var late *tooLate
	err := e.write(ctx, func(l *ledger) error {
		var err error
		out, late = nil, nil
		out, err = fn(l)
		if errors.As(err, &late) {
			err = nil // that is written
		}
		return err
	})
	switch {
	case err != nil:
		return tocsin.Remediation{}, err
	case late != nil:
		return tocsin.Remediation{}, late
	}
	if out.State == tocsin.RemediationApproved {
		e.carry.push(out.ID)
	}
	return out.Remediation, nil
}

// Stop holds a remedy, or all where remedy is empty: nothing new is started, and
// what is being executed is ended within a second, here even when the store
// cannot be written. The error is tocsin.ErrNotFound for a remedy that is not
// declared.
func (e *Engine) Stop(ctx context.Context, remedy, by string) error {
	err := e.turn(ctx, remedy, by, true, func(s *stop, l *ledger) { s.Stopped, s.By, s.At = true, by, l.now })
	e.glance(ctx)
	return err
}

// halt ends what of a remedy is being executed here.
func (e *Engine) halt(remedy, by string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for run := range e.running {
		if remedy == everything || run.remedy == remedy {
			run.stop(stoppedBy{by})
		}
	}
}

// Resume lets a remedy go, or what holds all where remedy is empty, and begins
// its breaker anew. What was refused meanwhile does not start by itself.
func (e *Engine) Resume(ctx context.Context, remedy, by string) error {
	return e.turn(ctx, remedy, by, false, func(s *stop, l *ledger) { s.Stopped, s.By, s.At, s.Resumed = false, by, l.now, l.now })
}

// switched is what the audit log has of a turn of a kill switch.
func switched(remedy, by string, stopped bool, before, after []byte, now time.Time) tocsin.Event {
	what := "remedy " + remedy
	if remedy == everything {
		what = "all remedies"
	}
	text := what + " let go by " + by
	if stopped {
		text = what + " stopped by " + by
	}
	return tocsin.Event{Kind: tocsin.EventSwitch, At: now, Actor: by, Text: text, Before: string(before), After: string(after)}
}

func (e *Engine) turn(ctx context.Context, remedy, by string, hold bool, turn func(*stop, *ledger)) error {
	switch by = strings.TrimSpace(by); {
	case by == "":
		return tocsin.Invalid("by", "missing; say who does it")
	case remedy == "":
		remedy = everything
	case remedy != everything && e.rules.Load().byName[remedy] == nil:
		return fmt.Errorf("%w: remedy %s is not declared", tocsin.ErrNotFound, remedy)
	}
	if hold {
		e.halt(remedy, by)
	}
	err := e.write(ctx, func(l *ledger) error {
		s := l.stops()[remedy]
		turn(&s, l)
		value, err := json.Marshal(s)
		if err == nil {
			l.tx.Append(switched(remedy, by, s.Stopped, l.tx.Document(KindSwitch, remedy), value, l.now))
			l.tx.PutDocument(KindSwitch, remedy, value)
		}
		return err
	})
	if err == nil {
		e.o.Logger.Warn("the kill switch of remedies was turned", "remedy", remedy, "by", by)
	}
	return err
}
