package server

import (
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// runbookEntry is a runbook in a list: everything but its text.
type runbookEntry struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Alerts    []string `json:"alerts,omitempty"`
	Matchers  []string `json:"matchers,omitempty"`
	Severity  string   `json:"severity,omitempty"`
	StepCount int      `json:"stepCount"`
	Stale     string   `json:"stale,omitempty"`
}

func (s *Server) listRunbooks(c echo.Context, _ *tocsin.Principal) error {
	list := s.deps.Runbooks.List()
	entries := make([]runbookEntry, len(list))
	for i, r := range list {
		entries[i] = runbookEntry{
			ID: r.ID, Title: r.Title, File: r.File, Line: r.Line,
			Alerts: r.Alerts, Matchers: r.Matchers, Severity: r.Severity, StepCount: len(r.Steps), Stale: r.Stale,
		}
	}
	return s.json(c, map[string]any{"runbooks": entries})
}

// getRunbook takes the ID from the decoded path: IDs hold slashes, and a # that
// is written %23.
func (s *Server) getRunbook(c echo.Context, _ *tocsin.Principal) error {
	id := strings.TrimPrefix(c.Request().URL.Path, pathRunbook)
	var r *tocsin.Runbook
	if id != "" {
		r = s.deps.Runbooks.Get(id)
	}
	if r == nil {
		return notFound("runbook " + clip(id) + " (write # as %23)")
	}
	return s.json(c, r)
}
