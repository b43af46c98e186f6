package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// keepOutgoing has the outgoing one stay on call from the change of shift until
// the incoming one has acknowledged, or the time for it has passed. The override
// is made before the change, so that there is neither a gap nor two.
func (w *Watch) keepOutgoing(ctx context.Context, s *Schedule, was *told, overrides []tocsin.Override, now time.Time) error {
	if !s.OutgoingStays || s.AcknowledgeWithin <= 0 || was.Override != "" {
		return nil
	}
	plain := withoutMine(overrides)
	sh := current(s, plain, now)
	next := current(s, plain, sh.To)
	if sh.Gap() || next.Gap() || next.User == sh.User || sh.To.Sub(now) > lead || was.Boundary.Equal(sh.To) {
		return nil
	}
	o, err := w.o.Roster.PutOverride(ctx, tocsin.Override{
		Kind: tocsin.OverrideReplace, Schedule: s.Name(), User: sh.User, Replaces: next.User,
		From: sh.To, To: sh.To.Add(s.AcknowledgeWithin), CreatedBy: me,
		Comment: fmt.Sprintf("stays on call until %s acknowledges the handoff", next.User),
	})
	if err != nil {
		return err
	}
	seed := tocsin.NewSeed()
	n := notice{
		to: next.User, ask: true, from: sh.User, title: fmt.Sprintf("Your shift on %s begins at %s", s.Name(), stamp(sh.To, s)),
		text: fmt.Sprintf("%s stays on call until you acknowledge, at most until %s.", sh.User, stamp(o.To, s)),
	}
	plan := w.plan.Load()
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := w.incident(plan, s, n, now)
		kept := *was
		kept.Override, kept.Incoming, kept.Outgoing, kept.Expires, kept.Boundary = o.ID, next.User, sh.User, o.To, sh.To
		if inc != nil {
			for try := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; try++ {
				inc.ID = seed.ID(try)
			}
			inc.Text = n.body(inc.ID)
			kept.Handoff = inc.ID
			tx.PutIncident(inc)
			tx.Append(inc.Event(tocsin.EventOpened, "", n.title, now))
		}
		*was = kept
		return putTold(tx, s.Name(), &kept)
	})
}

// handoffs ends a handoff that was acknowledged, or whose time has passed, and
// returns what is said of it, and the notice that is over. Nobody could be asked
// where there is no notice: then only the time ends it.
func (w *Watch) handoffs(ctx context.Context, is *told, now time.Time) (say []notice, over string, err error) {
	if is.waits() == " " {
		return nil, "", nil
	}
	who, err := w.taker(ctx, is.Handoff)
	switch {
	case err != nil:
		return nil, "", err
	case who != "" && who == is.Outgoing && now.Before(is.Expires):
		return nil, "", w.refuse(ctx, is, now)
	case who == "" && now.Before(is.Expires):
		return nil, "", nil
	case who != "" && is.Override != "":
		_, err := w.o.Roster.AnswerOverride(ctx, is.Override, me, tocsin.OverrideCancel)
		if err != nil && !errors.Is(err, tocsin.ErrConflict) && !errors.Is(err, tocsin.ErrNotFound) {
			return nil, "", err
		}
	}
	line := fmt.Sprintf("%s has NOT acknowledged the handoff, and is on call all the same", is.Incoming)
	if who != "" {
		line = who + " has acknowledged the handoff"
	}
	over = is.Handoff
	is.Handoff, is.Override, is.Incoming, is.Outgoing, is.Expires = "", "", "", "", time.Time{}
	return []notice{{title: line}}, over, nil
}

// refuse has a handoff wait on: who leaves cannot acknowledge it for who comes.
func (w *Watch) refuse(ctx context.Context, is *told, now time.Time) error {
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(is.Handoff)
		if inc == nil {
			return nil
		}
		if e, ok := inc.Return("", fmt.Sprintf("%s is to acknowledge this, not %s", is.Incoming, is.Outgoing), now); ok {
			tx.PutIncident(inc)
			tx.Append(e)
		}
		return nil
	})
}

// taker is who has acknowledged a notice, or resolved it; "": nobody.
func (w *Watch) taker(ctx context.Context, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	inc, err := w.o.Store.Get(ctx, id)
	if errors.Is(err, tocsin.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(inc.AcknowledgedBy, inc.ResolvedBy), nil
}

// finish resolves a notice that was waited for; "": there is none.
func finish(tx tocsin.Tx, id string, now time.Time) {
	if id == "" {
		return
	}
	inc := tx.Incident(id)
	if inc == nil {
		return
	}
	if e, ok := inc.Resolve("", "the handoff is over", now); ok {
		tx.PutIncident(inc)
		tx.Append(e)
	}
}
