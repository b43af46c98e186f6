package server

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Fact is one line that stands beside an incident's steps, with what it tells of.
type Fact struct {
	// Heading it belongs under: "Fired", "Last time", "Similar", "Changed".
	Heading string `json:"heading"`
	Text    string `json:"text"`
	// Incident that it is about; empty: none.
	Incident string `json:"incident,omitempty"`
}

// besidePage shows what stands beside an incident's steps, as a page of its own: the
// incident's page never waits for it.
func (s *Server) besidePage(c echo.Context, _ *tocsin.Principal) error {
	facts, err := s.factsOf(c)
	if err != nil {
		return s.errorPage(c, err)
	}
	id := param(c, "id")
	return s.page(c, http.StatusOK, "beside", struct {
		page
		ID    string
		Facts []Fact
		Graph bool
	}{s.top(c, "Beside "+id, 0), id, facts, s.deps.Graph != nil})
}

// getBeside is besidePage as JSON.
func (s *Server) getBeside(c echo.Context, _ *tocsin.Principal) error {
	facts, err := s.factsOf(c)
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"facts": orEmpty(facts)})
}

func (s *Server) factsOf(c echo.Context) ([]Fact, error) {
	id := param(c, "id")
	if _, err := s.deps.Reader.Get(c.Request().Context(), id); err != nil {
		return nil, missing(err, "incident", id)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	return s.deps.Beside(ctx, id)
}

// getGraph is a drawing of what an incident's rule asks for.
func (s *Server) getGraph(c echo.Context, _ *tocsin.Principal) error {
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	svg, err := s.deps.Graph(ctx, id)
	if err != nil {
		return missing(err, "graph of incident", id)
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=30")
	return c.Blob(http.StatusOK, "image/svg+xml", svg)
}
