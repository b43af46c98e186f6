package escalation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

const (
	// maxOverride is the longest override; what is for longer belongs into the
	// configuration.
	maxOverride = 366 * 24 * time.Hour
	// maxOverrides bounds those that are kept.
	maxOverrides = 10_000
	// keepOverrides is how long one that is over stays, to explain the past, and
	// keepHandoffs one that a handoff made.
	keepOverrides = 2 * 366 * 24 * time.Hour
	keepHandoffs  = 90 * 24 * time.Hour
	// byHandoff is who makes those.
	byHandoff = "tocsin"
)

// Overrides returns all that are kept, those that are over too, the earliest
// first.
func (e *Engine) Overrides(ctx context.Context) ([]tocsin.Override, error) {
	docs, version, err := e.o.Store.Documents(ctx, kindOverride)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(e.lib.decodeOverrides(docs, version))
	slices.SortStableFunc(list, func(a, b tocsin.Override) int { return a.From.Compare(b.From) })
	return list, nil
}

// InForce returns the overrides that change the schedules, what people's own
// calendars say among them.
func (e *Engine) InForce(ctx context.Context) ([]tocsin.Override, error) {
	docs, version, err := e.o.Store.Documents(ctx, kindOverride)
	if err != nil {
		return nil, err
	}
	return e.rules.Load().withTimeOff(e.lib.decodeOverrides(docs, version)), nil
}

// PutOverride makes an override and returns it as it was kept. The same one
// twice is one. The error names the field that is wrong.
func (e *Engine) PutOverride(ctx context.Context, o tocsin.Override) (tocsin.Override, error) {
	now, seed := e.o.Now().UTC(), tocsin.NewSeed()
	rules := e.rules.Load()
	o.Kind = cmp.Or(o.Kind, tocsin.OverrideReplace)
	if err := rules.checkOverride(&o, now); err != nil {
		return o, err
	}
	o.ID, o.CreatedAt, o.State, o.EndedBy = "", now, tocsin.OverrideActive, ""
	if o.Kind == tocsin.OverrideSwap {
		o.State = tocsin.OverrideRequested
	}
	o.From, o.To = o.From.UTC(), o.To.UTC()
	made := o
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		made = o
		if err := tocsin.Again(ctx, tx, tocsin.MadeOverride, now); err != nil {
			return err
		}
		all := e.lib.overridesIn(tx)
		for i := range all {
			if sameOverride(&all[i], &made) {
				made = all[i]
				return tocsin.Done(ctx, tx, tocsin.MadeOverride, made.ID, now)
			}
		}
		gone := retired(all, now)
		for i := range gone {
			tx.Append(overridden(&gone[i], nil, "", now))
			tx.DeleteDocument(kindOverride, gone[i].ID)
		}
		if len(all)-len(gone) >= maxOverrides {
			return tocsin.Invalid("override", "%d are in force or to come, and no more can be; cancel some", maxOverrides)
		}
		for n := 0; made.ID == "" || tx.Document(kindOverride, made.ID) != nil; n++ {
			made.ID = seed.ID(n)
		}
		rules.tellOfSwap(tx, &made, seed, now)
		tx.Append(overridden(nil, &made, made.CreatedBy, now))
		if err := putOverride(tx, &made); err != nil {
			return err
		}
		return tocsin.Done(ctx, tx, tocsin.MadeOverride, made.ID, now)
	})
	if err == nil {
		e.changed()
	}
	return made, err
}

// retired are the overrides that are not kept any longer: those that were over
// long ago, sooner where a handoff made them; and where there is no room for
// another one, the one that has been over for longest.
func retired(all []tocsin.Override, now time.Time) []tocsin.Override {
	var out []tocsin.Override
	first := -1
	for i := range all {
		o, keep := &all[i], keepOverrides
		if o.CreatedBy == byHandoff {
			keep = keepHandoffs
		}
		if now.Sub(o.To) > keep {
			out = append(out, *o)
		} else if !o.To.After(now) && (first < 0 || o.To.Before(all[first].To)) {
			first = i
		}
	}
	if first >= 0 && len(all)-len(out) >= maxOverrides {
		out = append(out, all[first])
	}
	return out
}

func putOverride(tx tocsin.Tx, o *tocsin.Override) error {
	value, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("override %s: %w", o.ID, err)
	}
	tx.PutDocument(kindOverride, o.ID, value)
	return nil
}

func sameOverride(a, b *tocsin.Override) bool {
	return (a.State == tocsin.OverrideActive || a.State == tocsin.OverrideRequested) && a.Kind == b.Kind && a.Schedule == b.Schedule && a.User == b.User &&
		a.Replaces == b.Replaces && a.From.Equal(b.From) && a.To.Equal(b.To) && a.CreatedBy == b.CreatedBy
}

func (r *Rules) checkOverride(o *tocsin.Override, now time.Time) error {
	known := func(field, name string) error {
		if _, ok := r.spec.Users[name]; !ok {
			return tocsin.Invalid(field, "user %q is not defined", name)
		}
		return nil
	}
	switch {
	case !slices.Contains([]tocsin.OverrideKind{tocsin.OverrideReplace, tocsin.OverrideAdd, tocsin.OverrideTimeOff, tocsin.OverrideSwap}, o.Kind):
		return tocsin.Invalid("kind", "%q; want replace, add, time_off or swap", o.Kind)
	case o.From.IsZero() || o.To.IsZero() || !o.From.Before(o.To):
		return tocsin.Invalid("to", "want a time after from")
	case !o.To.After(now):
		return tocsin.Invalid("to", "the end is over already")
	case o.To.Sub(o.From) > maxOverride:
		return tocsin.Invalid("to", "an override cannot be longer than a year; change the configuration instead")
	case o.Schedule == "" && o.Kind != tocsin.OverrideTimeOff:
		return tocsin.Invalid("schedule", "missing")
	case o.Schedule != "" && r.spec.Schedules[o.Schedule] == nil:
		return tocsin.Invalid("schedule", "schedule %q is not defined", o.Schedule)
	case o.Kind == tocsin.OverrideSwap && o.Replaces == "":
		return tocsin.Invalid("replaces", "missing; whose shifts are to be swapped")
	case o.User == "" && o.Kind != tocsin.OverrideSwap:
		return tocsin.Invalid("user", "missing")
	case o.User != "" && o.User == o.Replaces:
		return tocsin.Invalid("replaces", "nobody can replace themselves")
	case o.CreatedBy == "":
		return tocsin.Invalid("createdBy", "missing; say who makes it")
	}
	for field, name := range map[string]string{"user": o.User, "replaces": o.Replaces} {
		if name != "" {
			if err := known(field, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// AnswerOverride accepts or declines a swap, or cancels any override. The same
// answer twice is one.
func (e *Engine) AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error) {
	rules, now, seed := e.rules.Load(), e.o.Now().UTC(), tocsin.NewSeed()
	var o tocsin.Override
	err := e.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		value := tx.Document(kindOverride, id)
		if value == nil {
			return tocsin.ErrNotFound
		}
		o = tocsin.Override{}
		if err := json.Unmarshal(value, &o); err != nil {
			return fmt.Errorf("override %s: %w", id, err)
		}
		if err := tocsin.Allowed(ctx, &o); err != nil {
			return err
		}
		was := o
		changed, err := rules.answer(&o, by, answer, now)
		if err != nil || !changed {
			return err
		}
		tx.Append(overridden(&was, &o, by, now))
		rules.tellOfSwap(tx, &o, seed, now)
		return putOverride(tx, &o)
	})
	if err == nil {
		e.changed()
	}
	return o, err
}

// answer changes an override as somebody answers, and reports whether it did.
func (r *Rules) answer(o *tocsin.Override, by string, answer tocsin.OverrideAnswer, now time.Time) (bool, error) {
	switch answer {
	case tocsin.OverrideCancel:
		if o.State != tocsin.OverrideActive && o.State != tocsin.OverrideRequested {
			return false, nil
		}
		if o.State == tocsin.OverrideActive && now.After(o.From) {
			if now.Before(o.To) {
				o.To, o.EndedBy = now, by // what has been stays explained
				return true, nil
			}
			return false, fmt.Errorf("%w: override %s is over", tocsin.ErrConflict, o.ID)
		}
		o.State, o.EndedBy = tocsin.OverrideCancelled, by
		return true, nil
	case tocsin.OverrideAccept, tocsin.OverrideDecline:
		if o.Kind != tocsin.OverrideSwap {
			return false, tocsin.Invalid("answer", "override %s is no swap; it can only be cancelled", o.ID)
		}
		return r.answerSwap(o, by, answer == tocsin.OverrideAccept, now)
	default:
		return false, tocsin.Invalid("answer", "%q; want accept, decline or cancel", answer)
	}
}

func (r *Rules) answerSwap(o *tocsin.Override, by string, accept bool, now time.Time) (bool, error) {
	if o.State != tocsin.OverrideRequested {
		if accept && o.State == tocsin.OverrideActive && o.EndedBy == by || !accept && o.State == tocsin.OverrideDeclined {
			return false, nil
		}
		return false, fmt.Errorf("%w: swap %s is %s already", tocsin.ErrConflict, o.ID, o.State)
	}
	if _, ok := r.spec.Users[by]; !ok && o.User == "" {
		return false, tocsin.Invalid("by", "%q is not a user who can take shifts", by)
	}
	if o.User != "" && o.User != by {
		return false, fmt.Errorf("%w: swap %s was asked of %s, and you are %s: only they can answer it", tocsin.ErrConflict, o.ID, o.User, by)
	}
	if accept && by == o.Replaces {
		return false, tocsin.Invalid("by", "%s cannot take over from herself or himself", by)
	}
	if !accept {
		o.State, o.EndedBy = tocsin.OverrideDeclined, by
		return true, nil
	}
	o.State, o.EndedBy, o.User, o.CreatedAt = tocsin.OverrideActive, by, by, now
	return true, nil
}

// changed has everything that follows the schedules look again.
func (e *Engine) changed() {
	if e.o.Changed != nil {
		e.o.Changed()
	}
}

// Schedules describes the schedules, by name.
func (e *Engine) Schedules() []tocsin.ScheduleInfo {
	var out []tocsin.ScheduleInfo
	for _, s := range e.rules.Load().sorted() {
		out = append(out, s.Info())
	}
	return out
}

func (r *Rules) sorted() []*oncall.Schedule {
	var out []*oncall.Schedule
	for _, s := range r.spec.Schedules {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *oncall.Schedule) int { return cmp.Compare(a.Info().Name, b.Info().Name) })
	return out
}

// Shifts returns the shifts that a query asks for, by schedule and then by time.
// Where From is To, it returns those in force at that instant, whole. The error
// is tocsin.ErrNotFound for a schedule or a user that does not exist.
func (e *Engine) Shifts(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	rules := e.rules.Load()
	if _, ok := rules.spec.Users[q.User]; q.User != "" && !ok {
		return nil, fmt.Errorf("user %q: %w", q.User, tocsin.ErrNotFound)
	}
	if q.Schedule != "" && rules.spec.Schedules[q.Schedule] == nil {
		return nil, fmt.Errorf("schedule %q: %w", q.Schedule, tocsin.ErrNotFound)
	}
	overrides, err := e.InForce(ctx)
	if err != nil {
		return nil, err
	}
	schedules := slices.DeleteFunc(rules.sorted(), func(s *oncall.Schedule) bool { return q.Schedule != "" && s.Name() != q.Schedule })
	each := make([][]tocsin.Shift, len(schedules))
	var work sync.WaitGroup
	for i, s := range schedules {
		work.Go(func() {
			if q.From.Equal(q.To) {
				each[i] = s.At(overrides, q.From)
			} else {
				each[i] = s.Shifts(overrides, q.From, q.To)
			}
		})
	}
	work.Wait()
	out := slices.Concat(each...)
	if q.User != "" {
		out = slices.DeleteFunc(out, func(s tocsin.Shift) bool { return s.User != q.User })
	}
	return out, nil
}

// Coverage proves that somebody can be called at every instant from one to
// another, for every policy, or returns where not.
func (e *Engine) Coverage(ctx context.Context, from, to time.Time) ([]tocsin.Uncovered, error) {
	overrides, err := e.InForce(ctx)
	if err != nil {
		return nil, err
	}
	return e.rules.Load().Coverage(overrides, from, to), nil
}

// Coverage is the proof over all policies.
func (r *Rules) Coverage(overrides []tocsin.Override, from, to time.Time) []tocsin.Uncovered {
	var out []tocsin.Uncovered
	for _, p := range r.Policies() {
		out = append(out, Verify(p, r.spec.Schedules, overrides, from, to)...)
	}
	return out
}

// Fairness returns what each person bore of the on-call duty.
func (e *Engine) Fairness(ctx context.Context, from, to time.Time) ([]tocsin.Share, error) {
	overrides, err := e.InForce(ctx)
	if err != nil {
		return nil, err
	}
	pages, err := e.pages(ctx, from, to)
	if err != nil {
		return nil, err
	}
	rules := e.rules.Load()
	return Fairness(rules.sorted(), rules.spec.Users, overrides, pages, from, to), nil
}

// pages are the calls that incidents made, the archived ones too.
func (e *Engine) pages(ctx context.Context, from, to time.Time) ([]Page, error) {
	const most = 100_000
	if e.o.Incidents == nil {
		return nil, nil
	}
	list, err := e.o.Incidents.List(ctx, tocsin.Filter{Archived: true, Limit: most})
	if err != nil {
		return nil, err
	}
	var out []Page
	for _, inc := range list {
		if inc.Escalation == nil {
			continue
		}
		for _, r := range inc.Escalation.Responders {
			if !r.At.Before(from) && r.At.Before(to) {
				out = append(out, Page{User: r.User, At: r.At})
			}
		}
	}
	return out, nil
}
