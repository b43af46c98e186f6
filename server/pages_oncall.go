package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What the page shows at the most: shifts of a schedule, and of all of them drawn
// and told. A schedule that there is no room for has a page of its own.
const (
	pageShifts    = 200
	pageDrawn     = 280
	pageTold      = 120
	pageUncovered = 50
	pageShares    = 100
	pageUsers     = 100
	pageWhy       = 10
)

// pollOnCall is how often the script looks again, in milliseconds.
const pollOnCall = 60_000

// scheduleView is a schedule on the page, its times on its own wall clock.
type scheduleView struct {
	tocsin.ScheduleInfo
	// Now are the shifts that hold now; Gap tells that nobody is on call.
	Now    []shiftView
	Gap    bool
	Shifts []shiftView
	// More is true when there are more shifts than are shown.
	More bool
	// Timeline is nil, and Told false, where the page has no room for it.
	Timeline *timeline
	Told     bool
	// Link leads to the schedule's own page.
	Link string
}

type shiftView struct {
	*tocsin.Shift
	Begins, Ends wallTime
}

// uncoveredView is a counter-example to "somebody is always paged".
type uncoveredView struct {
	*tocsin.Uncovered
	Begins, Ends wallTime
}

// onCallView is everything that the page shows.
type onCallView struct {
	page
	Schedules []scheduleView
	// Only is the one schedule that is shown; empty: all. Names are all there are.
	Only  string
	Names []string
	// Weeks is how far ahead.
	Weeks     int
	Uncovered []uncoveredView
	// MoreUncovered is how many more there are.
	MoreUncovered int
	// Unknown says why it is not known whether somebody is always paged; empty:
	// it is.
	Unknown string
	// Shares is what people bore; nil and Uneven true: it is not known.
	Shares []tocsin.Share
	Uneven bool
	// Users may be on call; they have calendars where Calendars is true.
	Users     []string
	Calendars bool
	// Overrides change the schedules; nil where they cannot be made here.
	Overrides     []overrideView
	MoreOverrides int
	CanOverride   bool
	// Boxes are the forms; Typed is what somebody typed into one of them; nil: nothing.
	Boxes []overrideBox
	Typed *overrideForm
}

func (s *Server) onCallPage(c echo.Context, _ *tocsin.Principal) error {
	if s.deps.OnCall == nil {
		return s.errorPage(c, notFound("on-call schedules"))
	}
	if err := s.showOnCall(c, http.StatusOK, nil); err != nil {
		return s.errorPage(c, err)
	}
	return nil
}

// showOnCall shows the page, with what is wrong with a form where there is one.
func (s *Server) showOnCall(c echo.Context, status int, f *overrideForm) error {
	v := onCallView{page: s.top(c, "On call", 0), Calendars: s.deps.Calendar != nil, Weeks: 2, Only: c.QueryParam("schedule"), Typed: f}
	v.CanOverride = v.Can && s.deps.Overrides != nil
	if v.Poll = pollOnCall; !v.CanOverride {
		v.Refresh = 60 // where there is no form that it would empty
	}
	if n, err := strconv.Atoi(c.QueryParam("weeks")); err == nil && slices.Contains(v.Choices(), n) {
		v.Weeks = n
	}
	if err := s.plan(c.Request().Context(), func(ctx context.Context) error { return s.fillOnCall(ctx, &v) }); err != nil {
		return err
	}
	return s.page(c, status, "oncall", &v)
}

// Choices are how many weeks can be looked at.
func (v *onCallView) Choices() []int { return []int{2, 4, 8} }

// Feeds are the people whose calendars who looks at it may subscribe to.
func (v *onCallView) Feeds() []string {
	if v.Who.May(tocsin.RightView) {
		return v.Users
	}
	return slices.DeleteFunc(slices.Clone(v.Users), func(name string) bool { return name != v.Who.Name })
}

// Address is that of the page for so many weeks.
func (v *onCallView) Address(weeks int) string { return onCallAddress(v.Only, weeks) }

func onCallAddress(schedule string, weeks int) string {
	q := url.Values{"weeks": {strconv.Itoa(weeks)}}
	if schedule != "" {
		q.Set("schedule", schedule)
	}
	return "/oncall?" + q.Encode()
}

func (s *Server) fillOnCall(ctx context.Context, v *onCallView) error {
	now := v.Now.UTC()
	current, err := s.deps.OnCall.Shifts(ctx, tocsin.ShiftQuery{From: now, To: now})
	if err != nil {
		return err
	}
	current = shiftsFor(v.Who, current)
	onDutyFirst(current)
	next, err := s.deps.OnCall.Shifts(ctx, tocsin.ShiftQuery{From: now.Add(-day), To: now.AddDate(0, 0, 7*v.Weeks)})
	if err != nil {
		return err
	}
	next = shiftsFor(v.Who, next)
	all := s.schedulesFor(v.Who)
	for i := range all {
		info := &all[i]
		if v.Who.MayOn(tocsin.RightRespond, info.Name) || v.Who.May(tocsin.RightView) {
			v.Names = append(v.Names, info.Name)
		}
		for _, user := range info.Users {
			if !slices.Contains(v.Users, user) && len(v.Users) < pageUsers {
				v.Users = append(v.Users, user)
			}
		}
		if v.Only == "" || v.Only == info.Name {
			v.Schedules = append(v.Schedules, viewSchedule(info, current, next, now, v.Weeks))
		}
	}
	if v.Only != "" && len(v.Schedules) == 0 {
		return noSchedule(v.Only)
	}
	v.drawAll(all, now)
	s.fillProof(ctx, v, now)
	return s.fillOverrides(ctx, v, all)
}

// fillProof says whether somebody is always paged, and what people bore. Who is on
// call is worth showing where that is not known.
func (s *Server) fillProof(ctx context.Context, v *onCallView, now time.Time) {
	uncovered, err := s.deps.OnCall.Coverage(ctx, now, now.Add(coverageSpan))
	if err != nil {
		v.Unknown = clip(refusalOf(err).message)
		s.deps.Logger.Warn("coverage could not be computed for the page", "error", err)
	}
	uncovered = uncoveredFor(v.Who, uncovered)
	v.Uncovered, v.MoreUncovered = viewUncovered(uncovered), max(0, len(uncovered)-pageUncovered)
	shares, err := s.deps.OnCall.Fairness(ctx, now.Add(-fairnessSpan), now)
	if v.Uneven = err != nil; v.Uneven {
		s.deps.Logger.Warn("fairness could not be computed for the page", "error", err)
	}
	shares = s.sharesFor(v.Who, shares)
	v.Shares = shares[:min(len(shares), pageShares)]
}

func (s *Server) fillOverrides(ctx context.Context, v *onCallView, all []tocsin.ScheduleInfo) error {
	if s.deps.Overrides == nil {
		return nil
	}
	list, err := s.overridesFor(ctx, v.Who)
	if err != nil {
		return err
	}
	zones := map[string]*time.Location{}
	for i := range all {
		zones[all[i].Name] = zoneOf(&all[i])
	}
	v.Overrides, v.MoreOverrides = viewOverrides(list, zones, commonZone(all), v.Who, v.Now)
	if v.CanOverride {
		v.Boxes = v.boxes(all)
	}
	return nil
}

// drawAll draws as many of the schedules as there is room for, each whole or not at
// all, and says them in words too where that is not too much. The first one is drawn.
func (v *onCallView) drawAll(all []tocsin.ScheduleInfo, now time.Time) {
	total := 0
	for i := range v.Schedules {
		total += len(v.Schedules[i].Shifts)
	}
	drawn, people := 0, map[string]string{}
	for i := range all {
		for _, user := range all[i].Users {
			colourOf(people, user)
		}
	}
	for i := range v.Schedules {
		one := &v.Schedules[i]
		if drawn += len(one.Shifts); drawn > pageDrawn && i > 0 {
			drawn -= len(one.Shifts)
			continue
		}
		one.Told = v.Only != "" || total <= pageTold || len(all) == 1
		from := midnight(now.In(zoneOf(&one.ScheduleInfo)))
		one.Timeline = draw(i, &one.ScheduleInfo, one.Shifts, from, from.AddDate(0, 0, 7*v.Weeks), now, people)
	}
}

// zoneOf is the schedule's time zone; UTC where this machine does not know it.
func zoneOf(info *tocsin.ScheduleInfo) *time.Location {
	zone, err := time.LoadLocation(info.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

func viewSchedule(info *tocsin.ScheduleInfo, current, next []tocsin.Shift, now time.Time, weeks int) scheduleView {
	zone := zoneOf(info)
	from := midnight(now.In(zone))
	to := from.AddDate(0, 0, 7*weeks)
	v := scheduleView{ScheduleInfo: *info, Now: viewShifts(current, info.Name, zone), Link: onCallAddress(info.Name, weeks)}
	v.Gap = !slices.ContainsFunc(v.Now, func(s shiftView) bool { return !s.Gap() && !s.Shadow })
	for _, one := range viewShifts(next, info.Name, zone) {
		if one.To.After(from) && one.From.Before(to) {
			v.Shifts = append(v.Shifts, one)
		}
	}
	slices.SortStableFunc(v.Shifts, func(a, b shiftView) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
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
		u := list[i]
		u.Why = u.Why[:min(len(u.Why), pageWhy)]
		views = append(views, uncoveredView{&u, wallUTC(u.From), wallUTC(u.To)})
	}
	return views
}
