package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// queryToken is the query parameter of a calendar's address.
const queryToken = "token"

// Whose feed a calendar is.
const (
	ofSchedule = "schedule"
	ofUser     = "user"
)

// calendar answers with the feed of a schedule or of a user. Most calendar
// programs know nothing but an address, so here, and nowhere else, it may carry a
// token: one that opens the calendars and nothing more, since addresses end up in
// logs and in histories. A token of the address that is wrong is never made up for
// by anything else.
func (s *Server) calendar(of string) echo.HandlerFunc {
	feed := s.feed(of)
	viewer := s.someViewer(func(c echo.Context, who *tocsin.Principal) error {
		if name := param(c, "name"); !who.May(tocsin.RightView) && (of == ofUser && name != who.Name || of == ofSchedule && !who.MayOn(tocsin.RightView, name)) {
			return notFound(fmt.Sprintf("%s %q", of, clip(name)))
		}
		return feed(c)
	})
	return func(c echo.Context) error {
		given, has := c.QueryParams()[queryToken]
		if !has {
			return viewer(c)
		}
		if g := s.gate.Load(); g.calendar != nil && len(given) == 1 && g.calendar.is(digestOf(given[0])) == 1 {
			return feed(c)
		}
		return unauthorized(c, true, true, "the token of the address is not server.calendar_token; API tokens are not taken from an address")
	}
}

func (s *Server) feed(of string) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.deps.Calendar == nil {
			return notFound("calendars")
		}
		name := param(c, "name")
		if err := validName("name", name); err != nil {
			return err
		}
		schedule, user := name, ""
		if of == ofUser {
			schedule, user = "", name
		}
		var feed []byte
		err := s.plan(c.Request().Context(), func(ctx context.Context) (err error) {
			feed, err = s.deps.Calendar(ctx, schedule, user)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", of, clip(name), err)
		}
		h := c.Response().Header()
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderCacheControl, "private, no-cache") // names and hours of people
		h.Set(echo.HeaderContentDisposition, `inline; filename="oncall.ics"`)
		return c.Blob(http.StatusOK, "text/calendar; charset=utf-8", feed)
	}
}
