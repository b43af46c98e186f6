package server_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// rota is a small on-call service: on the schedule "primary" ana and bo take
// turns, each for a week from Monday 09:00; on "nights" nobody is on call, ever.
// Overrides that replace hold at once, swaps once they are accepted.
type rota struct {
	mu        sync.Mutex
	overrides []tocsin.Override
	uncovered []tocsin.Uncovered
	beside    []tocsin.Shift // on primary, for ever
	spans     [][2]time.Time // that were asked about
	err       error
	inside    chan struct{} // is told of each question, unless it is nil
	wait      chan struct{} // a question waits for it, unless it is nil
}

const evil = "<script>alert(1)</script>\u202e\x07"

// monday is when ana's shift began.
var monday = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

func withRota(d *server.Deps) *rota {
	r := &rota{}
	d.OnCall, d.Overrides = r, r
	return r
}

func (r *rota) Schedules() []tocsin.ScheduleInfo {
	return []tocsin.ScheduleInfo{
		{Name: "primary", TimeZone: "Europe/Madrid", Layers: []string{"weekly"}, Users: []string{"ana", "bo"}},
		{Name: "nights" + evil, TimeZone: "Mars/Base"},
	}
}

func (r *rota) Shifts(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error) {
	if r.inside != nil {
		r.inside <- struct{}{}
	}
	if r.wait != nil {
		select {
		case <-r.wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, [2]time.Time{q.From, q.To})
	if q.Schedule != "" && q.Schedule != "primary" || q.User != "" && q.User != "ana" && q.User != "bo" && q.User != "cy" {
		return nil, fmt.Errorf("%s%s: %w", q.Schedule, q.User, tocsin.ErrNotFound)
	}
	list := slices.Clone(r.beside)
	for i := range list {
		list[i].Schedule, list[i].From, list[i].To = "primary", monday, q.To.AddDate(1, 0, 0)
	}
	for at := monday.AddDate(0, 0, -7*200); at.Before(q.To.Add(time.Second)); at = at.AddDate(0, 0, 7) {
		n := int(at.Sub(monday) / (7 * 24 * time.Hour))
		list = append(list, r.overridden(tocsin.Shift{
			Schedule: "primary", User: []string{"ana", "bo"}[(n+400)%2], From: at, To: at.AddDate(0, 0, 7), Source: "layer weekly" + evil,
		})...)
	}
	list = append(list, tocsin.Shift{Schedule: "nights" + evil, From: q.From, To: q.To.AddDate(1, 0, 0)})
	return slices.DeleteFunc(list, func(s tocsin.Shift) bool {
		outside := !s.To.After(q.From) || s.From.After(q.To) || s.From.Equal(q.To) && q.To.After(q.From)
		return outside || q.Schedule != "" && s.Schedule != q.Schedule || q.User != "" && s.User != q.User
	}), r.err
}

// overridden cuts a shift where an override takes its place.
func (r *rota) overridden(s tocsin.Shift) []tocsin.Shift {
	for _, o := range r.overrides {
		if !o.Holds() || o.Schedule != s.Schedule || !o.From.Before(s.To) || !s.From.Before(o.To) {
			continue
		}
		first, last, mid := s, s, s
		mid.User, mid.Source = o.User, "override "+o.ID
		mid.From = slices.MaxFunc([]time.Time{o.From, s.From}, time.Time.Compare)
		mid.To = slices.MinFunc([]time.Time{o.To, s.To}, time.Time.Compare)
		first.To, last.From = mid.From, mid.To
		return slices.DeleteFunc([]tocsin.Shift{first, mid, last}, func(s tocsin.Shift) bool { return !s.From.Before(s.To) })
	}
	return []tocsin.Shift{s}
}

func (r *rota) Coverage(_ context.Context, from, to time.Time) ([]tocsin.Uncovered, error) {
	r.spans = append(r.spans, [2]time.Time{from, to})
	return r.uncovered, r.err
}

func (r *rota) Fairness(_ context.Context, from, to time.Time) ([]tocsin.Share, error) {
	r.spans = append(r.spans, [2]time.Time{from, to})
	return []tocsin.Share{{User: "ana", Hours: 84.5, Shifts: 1}}, r.err
}

func (r *rota) Overrides(context.Context) ([]tocsin.Override, error) { return r.overrides, r.err }

func (r *rota) PutOverride(_ context.Context, o tocsin.Override) (tocsin.Override, error) {
	if o.User == "mallory" {
		return o, tocsin.Invalid("user", "%q is not defined", o.User)
	}
	o.ID, o.CreatedAt, o.State = fmt.Sprintf("o%d", len(r.overrides)+1), now, tocsin.OverrideActive
	if o.Kind == tocsin.OverrideSwap {
		o.State = tocsin.OverrideRequested
	}
	r.overrides = append(r.overrides, o)
	return o, r.err
}

func (r *rota) AnswerOverride(ctx context.Context, id, by string, answer tocsin.OverrideAnswer) (tocsin.Override, error) {
	i := slices.IndexFunc(r.overrides, func(o tocsin.Override) bool { return o.ID == id })
	if i < 0 {
		return tocsin.Override{}, tocsin.ErrNotFound
	}
	o := &r.overrides[i]
	if err := tocsin.Allowed(ctx, o); err != nil {
		return *o, err
	}
	want := map[tocsin.OverrideAnswer]tocsin.OverrideState{
		tocsin.OverrideAccept: tocsin.OverrideActive, tocsin.OverrideDecline: tocsin.OverrideDeclined, tocsin.OverrideCancel: tocsin.OverrideCancelled,
	}[answer]
	switch {
	case o.State == want:
	case answer != tocsin.OverrideCancel && o.State != tocsin.OverrideRequested:
		return *o, fmt.Errorf("%w: override %s is %s", tocsin.ErrConflict, id, o.State)
	default:
		o.State, o.EndedBy = want, by
		o.User = cmp.Or(o.User, by)
	}
	return *o, r.err
}

// calendar is Deps.Calendar.
func (r *rota) calendar(_ context.Context, schedule, user string) ([]byte, error) {
	switch schedule + "/" + user {
	case "primary/", "/ana", "/a b/c?d":
		return []byte("BEGIN:VCALENDAR\r\nX-OF:" + schedule + "/" + user + "\r\nEND:VCALENDAR\r\n"), nil
	case "broken/":
		return nil, errors.New("disk on fire")
	}
	return nil, tocsin.ErrNotFound
}

// brokenProof is a rota whose coverage cannot be computed.
type brokenProof struct{ *rota }

func (brokenProof) Coverage(context.Context, time.Time, time.Time) ([]tocsin.Uncovered, error) {
	return nil, errors.New("disk on fire")
}
