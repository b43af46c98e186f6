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
	doneCancel   = "override-cancelled"
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
	FromText, ToText string
	// MayCancel is true where who looks at it may.
	MayCancel bool
}

// viewOverrides are those that change something now or later, or wait for an answer.
func viewOverrides(all []tocsin.Override, zones map[string]*time.Location, who *tocsin.Principal, now time.Time) (list []overrideView, more int) {
	for i := range all {
		o := &all[i]
		if !o.To.After(now) || o.State != tocsin.OverrideActive && o.State != tocsin.OverrideRequested {
			continue
		}
		if len(list) == pageOverrides {
			more++
			continue
		}
		zone := cmp.Or(zones[o.Schedule], time.UTC)
		list = append(list, overrideView{o, wall(o.From, zone), wall(o.To, zone), who.May(tocsin.RightManage) || who.May(tocsin.RightRespond) && o.MayCancel(who.Name)})
	}
	return list, more
}

// override is what the form asks for. Its times are on the wall clock of the
// schedule. Without a beginning it begins when its page was made: sent twice, it is
// the same.
func (s *Server) override(f *overrideForm, shown string) (tocsin.Override, error) {
	o := tocsin.Override{Kind: tocsin.OverrideKind(f.Kind), Schedule: f.Schedule, User: f.User, Replaces: f.Replaces, Comment: f.Comment}
	if o.Kind == tocsin.OverrideSwap {
		return o, invalid("kind", "a swap is asked for in the terminal, or through the API")
	}
	all := s.deps.OnCall.Schedules()
	i := slices.IndexFunc(all, func(i tocsin.ScheduleInfo) bool { return i.Name == f.Schedule })
	if i < 0 {
		return o, invalid("schedule", "there is no schedule %q", clip(f.Schedule))
	}
	zone := zoneOf(&all[i])
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
	o, err := s.override(&typed, f.Get("shown"))
	if err == nil {
		_, err = s.keepOverride(c.Request().Context(), who, &o, pageActor(who))
	}
	if err == nil {
		return done(c, "/oncall", doneOverride, "overrides")
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

// overrideCancelled cancels an override.
func (s *Server) overrideCancelled(c echo.Context, who *tocsin.Principal) error {
	if _, err := s.form(c); err != nil {
		return err
	}
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	if !who.May(tocsin.RightManage) {
		if err := s.mayCancel(ctx, id, who.Name); err != nil {
			return err
		}
	}
	if _, err := s.deps.Overrides.AnswerOverride(ctx, id, pageActor(who), tocsin.OverrideCancel); err != nil {
		return missing(err, "override", id)
	}
	return done(c, "/oncall", doneCancel, "overrides")
}
