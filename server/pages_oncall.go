package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What the page shows at the most.
const (
	pageSpan      = 14 * day
	pageShifts    = 200
	pageUncovered = 50
)

// scheduleView is a schedule on the page, its times on its own wall clock.
type scheduleView struct {
	tocsin.ScheduleInfo
	// Now are the shifts that hold now; Gap tells that nobody is on call.
	Now    []shiftView
	Gap    bool
	Shifts []shiftView
	// More is true when there are more shifts than are shown.
	More bool
}

type shiftView struct {
	*tocsin.Shift
	FromText, ToText string
}

// uncoveredView is a counter-example to "somebody is always paged".
type uncoveredView struct {
	*tocsin.Uncovered
	FromText, ToText string
}

// onCallView is everything that the page shows.
type onCallView struct {
	page
	Schedules []scheduleView
	Uncovered []uncoveredView
	// Unknown says why it is not known whether somebody is always paged; empty:
	// it is.
	Unknown string
	// Users may be on call; they have calendars where Calendars is true.
	Users     []string
	Calendars bool
}

func (s *Server) onCallPage(c echo.Context, _ *tocsin.Principal) error {
	if s.deps.OnCall == nil {
		return s.errorPage(c, notFound("on-call schedules"))
	}
	v := onCallView{page: s.top(c, "On call", 60), Calendars: s.deps.Calendar != nil}
	err := s.plan(c.Request().Context(), func(ctx context.Context) error { return s.fillOnCall(ctx, &v) })
	if err != nil {
		return s.errorPage(c, err)
	}
	return s.page(c, http.StatusOK, "oncall", v)
}

func (s *Server) fillOnCall(ctx context.Context, v *onCallView) error {
	from, to := v.Now.UTC(), v.Now.UTC().Add(pageSpan)
	current, err := s.deps.OnCall.Shifts(ctx, tocsin.ShiftQuery{From: from, To: from})
	if err != nil {
		return err
	}
	next, err := s.deps.OnCall.Shifts(ctx, tocsin.ShiftQuery{From: from, To: to})
	if err != nil {
		return err
	}
	uncovered, err := s.deps.OnCall.Coverage(ctx, from, to)
	if err != nil { // who is on call is worth showing all the same
		v.Unknown = clip(refusalOf(err).message)
		s.deps.Logger.Warn("coverage could not be computed for the page", "error", err)
	}
	v.Uncovered = viewUncovered(uncovered)
	for _, info := range s.deps.OnCall.Schedules() {
		v.Schedules = append(v.Schedules, viewSchedule(info, current, next))
		for _, user := range info.Users {
			if !slices.Contains(v.Users, user) {
				v.Users = append(v.Users, user)
			}
		}
	}
	return nil
}

func viewSchedule(info tocsin.ScheduleInfo, current, next []tocsin.Shift) scheduleView {
	zone, err := time.LoadLocation(info.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	v := scheduleView{ScheduleInfo: info, Now: viewShifts(current, info.Name, zone), Shifts: viewShifts(next, info.Name, zone)}
	v.Gap = !slices.ContainsFunc(v.Now, func(s shiftView) bool { return !s.Gap() && !s.Shadow })
	if len(v.Shifts) > pageShifts {
		v.Shifts, v.More = v.Shifts[:pageShifts], true
	}
	return v
}

func viewShifts(all []tocsin.Shift, schedule string, zone *time.Location) []shiftView {
	var views []shiftView
	for i := range all {
		if s := &all[i]; s.Schedule == schedule {
			views = append(views, shiftView{s, wall(s.From, zone), wall(s.To, zone)})
		}
	}
	return views
}

func viewUncovered(list []tocsin.Uncovered) []uncoveredView {
	var views []uncoveredView
	for i := range list[:min(len(list), pageUncovered)] {
		u := &list[i]
		views = append(views, uncoveredView{u, wall(u.From, time.UTC), wall(u.To, time.UTC)})
	}
	return views
}

// wall is a time on the wall clock of a zone, with its name: hours that occur
// twice are told apart by it.
func wall(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04 MST")
}

// segment is text as one part of a path.
func segment(text string) string { return url.PathEscape(text) }
