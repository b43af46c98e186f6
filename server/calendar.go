package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Whose feed a calendar is.
const (
	ofSchedule = "schedule"
	ofUser     = "user"
)

// calendar answers with the feed of a schedule or of a user. Who may read it is
// the gate's feed to say.
func (s *Server) calendar(of string) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.gate.Load().feed(c); err != nil {
			return err
		}
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
