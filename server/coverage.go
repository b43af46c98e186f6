package server

import (
	"context"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// runbookRoutes are those of the library.
func (s *Server) runbookRoutes(api *echo.Group) {
	api.GET("/runbooks", s.someViewer(s.listRunbooks))
	api.GET("/runbooks-coverage", s.someViewer(needs(s.deps.RunbookUsage != nil, "the use of runbooks", s.runbookUsage)))
	api.GET("/runbooks/*", s.someViewer(s.getRunbook))
}

// runbookUsage says how often each runbook was used, and how its steps fared.
func (s *Server) runbookUsage(c echo.Context, _ *tocsin.Principal) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	usage, err := s.deps.RunbookUsage(ctx)
	if err != nil {
		return err
	}
	return s.json(c, usage)
}
