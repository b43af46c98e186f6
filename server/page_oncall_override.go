package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// pageOverrides is the most overrides that the page lists.
const pageOverrides = 50

// Codes of tellings.
const (
	doneOverride = "override-made"
	doneTimeOff  = "time-off-made"
	doneSwap     = "swap-asked"
	doneCancel   = "override-cancelled"
	doneAccept   = "swap-accepted"
	doneDecline  = "swap-declined"
)

// overrideForm is what somebody typed.
type overrideForm struct {
	Schedule, Kind, User, Replaces, From, To, Comment string
	// Wrong is what is wrong with it.
	Wrong string
}

func typedOverride(f url.Values) overrideForm {
	field := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	return overrideForm{
		Schedule: f.Get("schedule"), Kind: field("kind"), User: field("user"), Replaces: field("replaces"), From: field("from"), To: field("to"), Comment: field("comment"),
	}
}

// overrideView is an override in the list, its times on the schedule's wall clock.
type overrideView struct {
	*tocsin.Override
	Begins, Ends wallTime
	// MayCancel, and MayAnswer where it is a swap, are true where who looks at it may.
	MayCancel, MayAnswer bool
}

// overrideBox is one of the page's forms: for an override, for time off from all
// schedules, or for a swap.
type overrideBox struct {
	ID, Title string
	Form      overrideForm
	// Schedules can be chosen, each with its clock, and Me is who looks at it, where
	// they may be on call.
	Schedules []scheduleClock
	Me        string
	// Zone is the clock of the times in it; empty: that of the schedule that is chosen.
	Zone string
	Now  time.Time
}

// scheduleClock is a schedule with its time zone.
type scheduleClock struct{ Name, Zone string }

// clocks are the zones of the schedules of these names, and the one that they share;
// empty: they have several.
func clocks(names []string, all []tocsin.ScheduleInfo) (list []scheduleClock, shared string) {
	for i := range all {
		if slices.Contains(names, all[i].Name) {
			list = append(list, scheduleClock{all[i].Name, zoneOf(&all[i]).String()})
		}
	}
	for _, one := range list {
		if one.Zone != list[0].Zone {
			return list, ""
		}
	}
	if len(list) > 0 {
		shared = list[0].Zone
	}
	return list, shared
}

// boxes are the forms of the page, one of them with what was typed.
func (v *onCallView) boxes(all []tocsin.ScheduleInfo) []overrideBox {
	me := ""
	if slices.Contains(v.Users, v.Who.Name) {
		me = v.Who.Name
	}
	list := []overrideBox{
		{ID: "override", Title: "Make an override", Form: overrideForm{Kind: string(tocsin.OverrideReplace)}},
		{ID: "timeoff", Title: "Time off", Form: overrideForm{Kind: string(tocsin.OverrideTimeOff), User: me}},
		{ID: "swap", Title: "Ask for a swap", Form: overrideForm{Kind: string(tocsin.OverrideSwap), Replaces: me}},
	}
	for i := range list {
		b := &list[i]
		b.Schedules, b.Zone = clocks(v.Names, all)
		if b.ID == "timeoff" {
			b.Zone = commonZone(all).String()
		}
		b.Me, b.Now = me, v.Now
		b.Form.Schedule = v.Only
		if v.Typed != nil && v.Typed.box() == b.ID {
			b.Form = *v.Typed
		}
	}
	return list
}

// box is the ID of the form that it was typed into.
func (f *overrideForm) box() string {
	switch {
	case f.Kind == string(tocsin.OverrideSwap):
		return "swap"
	case f.Kind == string(tocsin.OverrideTimeOff) && f.Schedule == "":
		return "timeoff"
	default:
		return "override"
	}
}

// commonZone is the time zone of all schedules, or UTC where they have several.
func commonZone(all []tocsin.ScheduleInfo) *time.Location {
	for i := range all {
		if all[i].TimeZone != all[0].TimeZone {
			return time.UTC
		}
	}
	if len(all) == 0 {
		return time.UTC
	}
	return zoneOf(&all[0])
}

// viewOverrides are those that change something now or later, or wait for an answer.
func viewOverrides(all []tocsin.Override, zones map[string]*time.Location, common *time.Location, who *tocsin.Principal, now time.Time) (list []overrideView, more int) {
	for i := range all {
		o := &all[i]
		if !o.To.After(now) || o.State != tocsin.OverrideActive && o.State != tocsin.OverrideRequested {
			continue
		}
		if len(list) == pageOverrides {
			more++
			continue
		}
		zone := cmp.Or(zones[o.Schedule], common)
		swap := o.Kind == tocsin.OverrideSwap && o.State == tocsin.OverrideRequested
		list = append(list, overrideView{
			Override: o, Begins: wall(o.From, zone), Ends: wall(o.To, zone),
			MayCancel: who.MayCancel(o),
			MayAnswer: swap && who.Name != "" && (o.User == who.Name || o.User == "" && o.Replaces != who.Name),
		})
	}
	return list, more
}

// override is what the form asks for. Its times are on the wall clock of the
// schedule, or of all that who may view, as the form says. Without a beginning it
// begins when its page was made: sent twice, it is the same.
func (s *Server) override(who *tocsin.Principal, f *overrideForm, shown string) (tocsin.Override, error) {
	o := tocsin.Override{Kind: tocsin.OverrideKind(f.Kind), Schedule: f.Schedule, User: f.User, Replaces: f.Replaces, Comment: f.Comment}
	all := s.schedulesFor(who)
	zone := commonZone(all)
	if i := slices.IndexFunc(all, func(i tocsin.ScheduleInfo) bool { return i.Name == f.Schedule }); i >= 0 {
		zone = zoneOf(&all[i])
	} else if f.box() != "timeoff" {
		return o, invalid("schedule", "there is no schedule %q", clip(f.Schedule))
	}
	var err error
	if f.From != "" {
		if o.From, err = fieldTime("from", f.From, zone); err != nil {
			return o, err
		}
	} else if at, err := time.Parse(time.RFC3339, shown); err == nil && !at.After(s.deps.Now()) && s.deps.Now().Sub(at) < time.Hour {
		o.From = at.UTC()
	}
	if f.To == "" {
		return o, nil
	}
	o.To, err = fieldTime("to", f.To, zone)
	return o, err
}

// overrideMade makes what the form asks for, and leads back to the page.
func (s *Server) overrideMade(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	typed := typedOverride(f)
	o, err := s.override(who, &typed, f.Get("shown"))
	if err == nil {
		_, err = s.keepOverride(c.Request().Context(), who, &o, pageActor(who))
	}
	if err == nil {
		code := map[string]string{"timeoff": doneTimeOff, "swap": doneSwap}[typed.box()]
		return done(c, "/oncall", cmp.Or(code, doneOverride), "overrides")
	}
	r := refusalOf(err)
	if r.status >= http.StatusInternalServerError {
		return err
	}
	typed.Wrong = clip(r.message)
	if r.field != "" {
		typed.Wrong = clip(r.field) + ": " + typed.Wrong
	}
	return s.showOnCall(c, r.status, &typed)
}

// overrideAnswered cancels an override, or answers a swap.
func (s *Server) overrideAnswered(answer tocsin.OverrideAnswer, code string) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		if _, err := s.form(c); err != nil {
			return err
		}
		id := param(c, "id")
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		if err := s.mayChange(ctx, who, id, answer); err != nil {
			return err
		}
		if _, err := s.deps.Overrides.AnswerOverride(ctx, id, pageActor(who), answer); err != nil {
			return missing(err, "override", id)
		}
		return done(c, "/oncall", code, "overrides")
	}
}
