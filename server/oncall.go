package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// wantTime says how a time is written.
const wantTime = "want a time like 2026-11-22T09:00:00Z or 2026-11-22T10:00:00+01:00 (RFC 3339)"

// The spans of time that are asked about unless told otherwise, and the longest.
const (
	shiftSpan    = 14 * day
	coverageSpan = 8 * week
	fairnessSpan = 12 * week
	maxSpan      = 731 * day // two years, one of them with a 29th of February
	// planTime is how long computing with schedules may take. It is less than
	// the time that an answer may take to be written.
	planTime = 20 * time.Second
)

func (s *Server) listSchedules(c echo.Context, who *tocsin.Principal) error {
	return s.json(c, map[string]any{"schedules": orEmpty(s.schedulesFor(who))})
}

// plan runs what computes with schedules: a bounded number at a time, for a
// bounded time.
func (s *Server) plan(ctx context.Context, do func(context.Context) error) error {
	patience := time.NewTimer(s.config.Limits.Wait)
	defer patience.Stop()
	select {
	case s.plans <- struct{}{}:
		defer func() { <-s.plans }()
	case <-patience.C:
		s.metrics.shed.WithLabelValues(shedOverload).Inc()
		return unavailable(nil, "too many questions about schedules at a time; try again")
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	return do(ctx)
}

// onCall answers who is on call at an instant.
func (s *Server) onCall(c echo.Context, _ *tocsin.Principal) error {
	q, err := whose(c)
	if err != nil {
		return err
	}
	at, err := instant(c, "at", s.deps.Now())
	if err != nil {
		return err
	}
	q.From, q.To = at, at
	list, err := s.shifts(c, q)
	if err != nil {
		return err
	}
	onDutyFirst(list)
	return s.json(c, map[string]any{"at": at, "shifts": orEmpty(list)})
}

// onDutyFirst puts whoever is on call on a schedule before those beside them, and
// shadows last: the first name of a schedule is the one to call.
func onDutyFirst(list []tocsin.Shift) {
	rank := func(s *tocsin.Shift) int {
		switch {
		case s.Shadow:
			return 2
		case s.Extra:
			return 1
		default:
			return 0
		}
	}
	for i := 0; i < len(list); {
		n := i + 1
		for n < len(list) && list[n].Schedule == list[i].Schedule {
			n++
		}
		slices.SortStableFunc(list[i:n], func(a, b tocsin.Shift) int { return cmp.Compare(rank(&a), rank(&b)) })
		i = n
	}
}

func (s *Server) listShifts(c echo.Context, _ *tocsin.Principal) error {
	q, err := whose(c)
	if err != nil {
		return err
	}
	if q.From, q.To, err = s.span(c, shiftSpan); err != nil {
		return err
	}
	list, err := s.shifts(c, q)
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"from": q.From, "to": q.To, "shifts": orEmpty(list)})
}

func (s *Server) shifts(c echo.Context, q tocsin.ShiftQuery) (list []tocsin.Shift, err error) {
	who := whoOf(c)
	if q.Schedule != "" && !who.MayOn(tocsin.RightView, q.Schedule) {
		return nil, noSchedule(q.Schedule)
	}
	err = s.plan(c.Request().Context(), func(ctx context.Context) error {
		list, err = s.deps.OnCall.Shifts(ctx, q)
		return err
	})
	list = shiftsFor(who, list)
	if err == nil && len(list) > s.config.Limits.Shifts {
		err = invalid("to", "more than %d shifts; ask for a shorter time, or for one schedule", s.config.Limits.Shifts)
	}
	return list, err
}

func (s *Server) coverage(c echo.Context, who *tocsin.Principal) error {
	from, to, err := s.span(c, coverageSpan)
	if err != nil {
		return err
	}
	var list []tocsin.Uncovered
	err = s.plan(c.Request().Context(), func(ctx context.Context) error {
		list, err = s.deps.OnCall.Coverage(ctx, from, to)
		return err
	})
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"from": from, "to": to, "uncovered": orEmpty(uncoveredFor(who, list))})
}

// fairness looks back, unless told otherwise.
func (s *Server) fairness(c echo.Context, who *tocsin.Principal) error {
	to, err := instant(c, "to", s.deps.Now())
	if err != nil {
		return err
	}
	from, err := instant(c, "from", to.Add(-fairnessSpan))
	if err != nil {
		return err
	}
	if err := checkSpan(from, to, maxSpan); err != nil {
		return err
	}
	var list []tocsin.Share
	err = s.plan(c.Request().Context(), func(ctx context.Context) error {
		list, err = s.deps.OnCall.Fairness(ctx, from, to)
		return err
	})
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"from": from, "to": to, "shares": orEmpty(s.sharesFor(who, list))})
}

// whose reads whom and which schedule a question is about.
func whose(c echo.Context) (tocsin.ShiftQuery, error) {
	q := tocsin.ShiftQuery{Schedule: c.QueryParam("schedule"), User: c.QueryParam("user")}
	if err := validName("schedule", q.Schedule); err != nil {
		return q, err
	}
	return q, validName("user", q.User)
}

// span reads from and to. Unless told otherwise it begins now, and is as long
// as given.
func (s *Server) span(c echo.Context, length time.Duration) (from, to time.Time, err error) {
	if from, err = instant(c, "from", s.deps.Now()); err != nil {
		return from, to, err
	}
	if to, err = instant(c, "to", from.Add(length)); err != nil {
		return from, to, err
	}
	return from, to, checkSpan(from, to, maxSpan)
}

// checkSpan wants from before to, and not too far: what is computed grows with
// the span.
func checkSpan(from, to time.Time, most time.Duration) error {
	switch {
	case !from.Before(to):
		return invalid("to", "want a time after from (%s)", from.Format(time.RFC3339))
	case to.Sub(from) > most:
		return invalid("to", "want at most %d days after from", most/day)
	}
	return nil
}

// The years that are computed with: further off, nobody knows the time zones.
const (
	firstYear = 2000
	lastYear  = 2100
)

// instant reads a time of the query, in UTC.
func instant(c echo.Context, name string, otherwise time.Time) (time.Time, error) {
	text := c.QueryParam(name)
	if text == "" {
		return otherwise.UTC(), nil
	}
	// The + of an offset that was not escaped has become a space.
	t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	if err != nil {
		return t, invalid(name, wantTime)
	}
	return t.UTC(), checkYear(name, t)
}

func checkYear(field string, t time.Time) error {
	if y := t.UTC().Year(); y < firstYear || y > lastYear {
		return invalid(field, "want a year from %d to %d", firstYear, lastYear)
	}
	return nil
}
