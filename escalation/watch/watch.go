package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

const (
	// every is the longest time between two looks: what no shift announces, and a
	// step of the machine's clock, is seen then.
	every = time.Minute
	// lead is how long before a change of shift the outgoing one is kept on call,
	// so that there is no moment between.
	lead = 2 * time.Minute
	// settling is how long feeds get to answer for the first time before coverage
	// is proven.
	settling = time.Minute
	// daily is how often coverage is proven without a change.
	daily = 24 * time.Hour
)

// Options are a Watch's parts. Store and Roster are required.
type Options struct {
	Store  Store
	Roster Roster
	// Runbook returns the runbook of an ID as it is now, or nil; nil: briefs tell
	// of the runbooks that incidents opened with.
	Runbook func(id string) *tocsin.Runbook
	// Person returns what a user may do: nobody is told at a change of shift what
	// they may not view. Nil: everybody may view everything.
	Person func(name string) tocsin.Principal
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Watch follows the schedules. It is safe for concurrent use.
type Watch struct {
	o       Options
	plan    atomic.Pointer[Plan]
	poke    chan struct{}
	metrics *metrics
	groups  map[string][]string // what user groups were last set to, by schedule
	// first is the schedule whose group is looked at first.
	first int
	// provable is when coverage is proven next.
	provable time.Time
	// compared is the day for which the shifts to come were last compared; zero:
	// they may have changed.
	compared time.Time
	// held is when the first of the changes that were held back may be told; zero:
	// none was.
	held  time.Time
	began time.Time
	// kept is what was told, as of version.
	kept    map[string]told
	version uint64
}

// New returns a watch over a plan. It does nothing until Run.
func New(p Plan, o Options) (*Watch, error) {
	if o.Store == nil || o.Roster == nil {
		return nil, errors.New("watch: a store and a roster are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watch{o: o, began: o.Now(), poke: make(chan struct{}, 1), metrics: newMetrics(o.Registerer), groups: map[string][]string{}}
	w.plan.Store(&p)
	return w, nil
}

// SetPlan changes what is followed.
func (w *Watch) SetPlan(p Plan) {
	w.plan.Store(&p)
	w.Changed()
}

// Changed has everything looked at anew: overrides or schedules are others.
func (w *Watch) Changed() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Run follows the schedules until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.poke:
			w.provable, w.compared = time.Time{}, time.Time{}
			clear(w.groups)
		case <-timer.C:
		}
		next, err := w.look(ctx)
		if err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("the schedules could not be followed; tried again soon", "error", err)
		}
		timer.Reset(next)
	}
}

// look follows every schedule once, and returns when to look again.
func (w *Watch) look(ctx context.Context) (time.Duration, error) {
	plan, now := w.plan.Load(), w.o.Now()
	overrides, err := w.o.Roster.InForce(ctx)
	if err != nil {
		return every, err
	}
	errs := []error{w.forget(ctx, plan, now)}
	next := now.Add(every)
	compare := !w.compared.Equal(now.Truncate(daily)) || !w.held.IsZero() && !now.Before(w.held)
	if compare {
		w.held = time.Time{}
	}
	for i := range plan.Schedules {
		s := &plan.Schedules[i]
		end, err := w.follow(ctx, plan, s, overrides, compare, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("schedule %s: %w", s.Name(), err))
		}
		if end.After(now) && end.Before(next) {
			next = end
		}
	}
	if errors.Join(errs...) == nil {
		w.compared = now.Truncate(daily)
	}
	if soon := w.began.Add(settling); plan.Fed && now.Before(soon) && !now.Before(w.began) {
		next = earlier(next, soon)
	} else if !now.Before(w.provable) || w.provable.Sub(now) > daily {
		again, err := w.prove(ctx, plan, overrides, now)
		if errs = append(errs, err); err == nil {
			w.provable = now.Add(again)
		}
	}
	w.syncGroups(ctx, plan, overrides, now) // last, since Slack may be slow
	return max(next.Sub(w.o.Now()), 0), errors.Join(errs...)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// follow tells what has changed on one schedule, remembers having told it in the
// same transaction, and returns when the shift ends.
func (w *Watch) follow(ctx context.Context, plan *Plan, s *Schedule, overrides []tocsin.Override, compare bool, now time.Time) (time.Time, error) {
	was, err := w.last(ctx, s.Name())
	if err != nil {
		return time.Time{}, err
	}
	kept := w.keepOutgoing(ctx, s, &was, overrides, now) // where it is not, the rest is told all the same
	sh := current(s, overrides, now)
	is := was
	is.User, is.Since = sh.User, now
	notices, err := w.turned(ctx, s, &was, &is, sh, now)
	if err != nil {
		return sh.To, errors.Join(kept, err)
	}
	if compare {
		notices = append(notices, w.future(plan, s, &is, overrides, now)...)
	}
	ended, over, err := w.handoffs(ctx, &is, now)
	if err != nil {
		return sh.To, errors.Join(kept, err)
	}
	notices = append(notices, ended...)
	if len(notices) == 0 && !compare && was.User == is.User && was.waits() == is.waits() && !was.Since.IsZero() || len(notices) == 0 && same(&was, &is) {
		return sh.To, kept
	}
	return sh.To, errors.Join(kept, w.tell(ctx, plan, s, &is, notices, over, now))
}

// turned returns what is told of a change of shift, if there was one.
func (w *Watch) turned(ctx context.Context, s *Schedule, was, is *told, sh tocsin.Shift, now time.Time) ([]notice, error) {
	t, ok := changed(was, sh)
	if !ok {
		return nil, nil
	}
	if !is.mayTurn(now) {
		is.User = was.User
		return nil, nil
	}
	next := tocsin.Principal{Role: tocsin.RoleViewer}
	if w.o.Person != nil && sh.User != "" {
		next = w.o.Person(sh.User)
	}
	text, err := w.briefFor(ctx, &next, now, sh.To)
	if err != nil {
		return nil, err
	}
	return t.notices(s, text), nil
}

// same reports whether nothing is worth writing.
func same(a, b *told) bool {
	x, y := *a, *b
	x.Since, y.Since = time.Time{}, time.Time{}
	if a.Since.IsZero() {
		return false
	}
	xs, _ := json.Marshal(x)
	ys, _ := json.Marshal(y)
	return string(xs) == string(ys)
}

// future compares the shifts to come with those that people know of. The end of
// what they know moves on day by day, without anybody being told.
func (w *Watch) future(plan *Plan, s *Schedule, is *told, overrides []tocsin.Override, now time.Time) []notice {
	until := now.Add(ahead(plan)).Truncate(24 * time.Hour)
	next := s.Shifts(withoutMine(overrides), now.Truncate(24*time.Hour), until)
	known, knownUntil := is.Future, is.Until
	is.Future, is.Until = next, until
	if knownUntil.IsZero() || !s.Notify {
		return nil
	}
	if knownUntil.Before(until) {
		until = knownUntil
	}
	notices := moved(known, next, s, now, until)
	told, held, until := is.hold(notices, now)
	if len(held) > 0 {
		is.Future = mix(known, next, held, knownUntil)
		if w.held.IsZero() || until.Before(w.held) {
			w.held = until
		}
	}
	return told
}

// withoutMine leaves out what a handoff made: it changes nobody's plans.
func withoutMine(overrides []tocsin.Override) []tocsin.Override {
	return slices.DeleteFunc(slices.Clone(overrides), func(o tocsin.Override) bool { return o.CreatedBy == me })
}

func ahead(p *Plan) time.Duration {
	if p.Ahead <= 0 {
		return 8 * 7 * 24 * time.Hour
	}
	return p.Ahead
}

// last is what was told last; the zero value: nothing yet.
func (w *Watch) last(ctx context.Context, schedule string) (told, error) {
	docs, version, err := w.o.Store.Documents(ctx, kindWatch)
	if err != nil {
		return told{}, err
	}
	if w.kept == nil || version != w.version {
		kept := make(map[string]told, len(docs))
		for _, d := range docs {
			var t told
			if err := json.Unmarshal(d.Value, &t); err != nil {
				w.o.Logger.Error("what was told of a schedule cannot be read; it begins anew", "schedule", d.ID, "error", err)
				continue
			}
			kept[d.ID] = t
		}
		w.kept, w.version = kept, version
	}
	return w.kept[schedule], nil
}

// forget drops what was told of schedules that are no longer followed, and waits
// for no acknowledgement of theirs: when they come back, they begin anew.
func (w *Watch) forget(ctx context.Context, plan *Plan, now time.Time) error {
	if _, err := w.last(ctx, ""); err != nil {
		return err
	}
	gone := maps.Clone(w.kept)
	for i := range plan.Schedules {
		delete(gone, plan.Schedules[i].Name())
	}
	if len(gone) == 0 {
		return nil
	}
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		for _, name := range slices.Sorted(maps.Keys(gone)) {
			finish(tx, gone[name].Handoff, now)
			tx.DeleteDocument(kindWatch, name)
		}
		return nil
	})
}

// tell writes the notices, that they were told, and that a handoff is over, if
// one is.
func (w *Watch) tell(ctx context.Context, plan *Plan, s *Schedule, is *told, notices []notice, over string, now time.Time) error {
	seed := tocsin.NewSeed()
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		finish(tx, over, now)
		kept := *is
		for i, n := range notices {
			inc := w.incident(plan, s, n, now)
			if inc == nil {
				continue
			}
			for try := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; try++ {
				inc.ID = seed.ID(i*100 + try)
			}
			inc.Text = n.body(inc.ID)
			if n.ask {
				finish(tx, kept.Handoff, now) // one change of shift has overtaken another
				kept.Handoff, kept.Incoming, kept.Outgoing, kept.Expires = inc.ID, n.to, n.from, now.Add(s.AcknowledgeWithin)
			}
			tx.PutIncident(inc)
			tx.Append(inc.Event(tocsin.EventOpened, "", n.title, now))
		}
		return putTold(tx, s.Name(), &kept)
	})
}

func putTold(tx tocsin.Tx, schedule string, t *told) error {
	value, err := json.Marshal(t)
	if err != nil {
		return err
	}
	tx.PutDocument(kindWatch, schedule, value)
	return nil
}

// incident makes a notice an incident: resolved from the first, unless somebody
// is to acknowledge it. Nil: there is no way to tell it.
func (w *Watch) incident(plan *Plan, s *Schedule, n notice, now time.Time) *tocsin.Incident {
	target := s.Channel
	if n.to != "" {
		u := plan.Users[n.to]
		target = u.Readable()
	}
	if target.Key == "" {
		return nil
	}
	inc := escalation.NewNotice(target, n.to, n.title, n.text, now)
	if n.ask {
		inc.State, inc.ResolvedAt = tocsin.Triggered, time.Time{}
	}
	return inc
}

// Schedules makes schedules ready to follow from those of the rules, in order.
func Schedules(rules *escalation.Rules) []*oncall.Schedule {
	var out []*oncall.Schedule
	for _, s := range rules.Schedules() {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *oncall.Schedule) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	return out
}
