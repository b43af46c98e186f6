package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	// daily is how often coverage is proven without a change.
	daily = 24 * time.Hour
)

// Options are a Watch's parts. Store and Roster are required.
type Options struct {
	Store  Store
	Roster Roster
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
	proven  time.Time
	// compared is the day for which the shifts to come were last compared; zero:
	// they may have changed.
	compared time.Time
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
	w := &Watch{o: o, poke: make(chan struct{}, 1), metrics: newMetrics(o.Registerer), groups: map[string][]string{}}
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
			w.proven, w.compared = time.Time{}, time.Time{}
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
	var errs []error
	next := now.Add(every)
	compare := !w.compared.Equal(now.Truncate(daily))
	for i := range plan.Schedules {
		s := &plan.Schedules[i]
		end, err := w.follow(ctx, plan, s, overrides, compare, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("schedule %s: %w", s.Name(), err))
		}
		if end.After(now) && end.Before(next) {
			next = end
		}
		w.syncGroup(ctx, plan, s, overrides, now)
	}
	if len(errs) == 0 {
		w.compared = now.Truncate(daily)
	}
	if since := now.Sub(w.proven); since >= daily || since < 0 || w.proven.IsZero() {
		w.proven = now
		errs = append(errs, w.prove(ctx, plan, overrides, now))
	}
	return next.Sub(now), errors.Join(errs...)
}

// follow tells what has changed on one schedule, remembers having told it in the
// same transaction, and returns when the shift ends.
func (w *Watch) follow(ctx context.Context, plan *Plan, s *Schedule, overrides []tocsin.Override, compare bool, now time.Time) (time.Time, error) {
	was, err := w.last(ctx, s.Name())
	if err != nil {
		return time.Time{}, err
	}
	if err := w.keepOutgoing(ctx, s, &was, overrides, now); err != nil {
		return time.Time{}, err
	}
	sh := current(s, overrides, now)
	is := was
	is.User, is.Since = sh.User, now
	var notices []notice
	if t, ok := changed(&was, sh); ok {
		var silences []tocsin.Silence
		if err := w.o.Store.Update(ctx, func(tx tocsin.Tx) error { silences = tx.Silences(); return nil }); err != nil {
			return sh.To, err
		}
		notices = t.notices(s, brief(openOf(w.o.Store), silences, now, sh.To))
	}
	if compare {
		notices = append(notices, w.future(plan, s, &is, overrides, now)...)
	}
	ended, err := w.handoffs(ctx, &is, now)
	if err != nil {
		return sh.To, err
	}
	notices = append(notices, ended...)
	if len(notices) == 0 && !compare && was.User == is.User && was.Handoff == is.Handoff && !was.Since.IsZero() || len(notices) == 0 && same(&was, &is) {
		return sh.To, nil
	}
	return sh.To, w.tell(ctx, plan, s, &is, notices, now)
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
	return moved(known, next, s, now, until)
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
				return told{}, fmt.Errorf("what was told of schedule %s: %w", d.ID, err)
			}
			kept[d.ID] = t
		}
		w.kept, w.version = kept, version
	}
	return w.kept[schedule], nil
}

// tell writes the notices, and that they were told.
func (w *Watch) tell(ctx context.Context, plan *Plan, s *Schedule, is *told, notices []notice, now time.Time) error {
	seed := tocsin.NewSeed()
	return w.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		kept := *is
		for i, n := range notices {
			inc := w.incident(plan, s, n, now)
			if inc == nil {
				continue
			}
			for try := 0; inc.ID == "" || tx.Incident(inc.ID) != nil; try++ {
				inc.ID = seed.ID(i*100 + try)
			}
			if n.ask {
				kept.Handoff, kept.Incoming, kept.Expires = inc.ID, n.to, now.Add(s.AcknowledgeWithin)
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
		contacts := slices.Concat(u.Low, u.High)
		if len(contacts) == 0 {
			return nil
		}
		target = contacts[0].Target
	}
	inc := &tocsin.Incident{
		Kind: tocsin.KindNotice, State: tocsin.Resolved, Severity: tocsin.Info, Title: n.title, Text: n.text,
		OpenedAt: now, ChangedAt: now, ResolvedAt: now, Revision: 1, StateRevision: 1, Receivers: []string{},
	}
	if n.ask {
		inc.State, inc.ResolvedAt = tocsin.Triggered, time.Time{}
	}
	inc.AddTarget(target.Key, target.Detail, now)
	return inc
}

// syncGroup makes the user group those who are on call. It is never emptied:
// in a gap, those of before stay.
func (w *Watch) syncGroup(ctx context.Context, plan *Plan, s *Schedule, overrides []tocsin.Override, now time.Time) {
	if s.Group == nil {
		return
	}
	var want []string
	for _, sh := range s.At(overrides, now) {
		if id := plan.Slack[sh.User]; id != "" && !sh.Shadow && !slices.Contains(want, id) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if len(want) == 0 || slices.Equal(want, w.groups[s.Name()]) {
		return
	}
	members, err := s.Group.Members(ctx)
	if err == nil {
		slices.Sort(members)
		if !slices.Equal(members, want) {
			err = s.Group.Set(ctx, want)
		}
	}
	if err != nil {
		w.metrics.groupErrors.Inc()
		w.o.Logger.Warn("a Slack user group does not follow its schedule; tried again soon", "schedule", s.Name(), "error", err)
		return
	}
	w.groups[s.Name()] = want
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
