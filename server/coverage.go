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

// runbookUsage says how often each runbook was used, how its steps fared, and which
// rules have none.
func (s *Server) runbookUsage(c echo.Context, who *tocsin.Principal) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	usage, err := s.deps.RunbookUsage(ctx)
	if err != nil {
		return err
	}
	usage.Rules = s.loadedRules(ctx, who)
	return s.json(c, usage)
}

// loadedRules are the rules that Prometheus has loaded, for those to whom everybody's
// alerts are open; nil: there is no Prometheus.
func (s *Server) loadedRules(ctx context.Context, who *tocsin.Principal) *tocsin.LoadedRules {
	if s.deps.LoadedRules == nil || !who.May(tocsin.RightView) {
		return nil
	}
	rules := s.deps.LoadedRules(ctx)
	return &rules
}
