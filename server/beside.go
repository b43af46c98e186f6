package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

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

// LiveValue is what an expression gives now: that of the alert's rule, or one in a
// step of the runbook. Texts in it are from outside.
type LiveValue struct {
	// Step counts the runbook's steps from 1; 0: the alert's own rule.
	Step int `json:"step"`
	// Query counts the expressions of the step from 1.
	Query int `json:"query"`
	// Text is what the step says, in one line.
	Text string `json:"text,omitempty"`
	// Expr is the expression, with its placeholders filled in.
	Expr string `json:"expr"`
	// Series with their newest values, and how many more there are.
	Series []LiveSeries `json:"series"`
	More   int          `json:"more,omitempty"`
	// Value is what an expression gives that has no series but a text.
	Value string `json:"value,omitempty"`
	// Warning: the answer may not be whole.
	Warning string `json:"warning,omitempty"`
	// Why there are no values; empty: there are.
	Why string `json:"why,omitempty"`
	// Graph is the path of the drawing of the last hour; empty: there is none.
	Graph string `json:"graph,omitempty"`
}

// LiveSeries is a series and its newest value.
type LiveSeries struct {
	// Labels, and the metric's name as __name__.
	Labels tocsin.Labels `json:"labels"`
	// Value as Prometheus writes it: "0.05", "NaN", "+Inf".
	Value string    `json:"value"`
	At    time.Time `json:"at"`
}

// besidePage shows what stands beside an incident's steps, as a page of its own: the
// incident's page never waits for it.
func (s *Server) besidePage(c echo.Context, _ *tocsin.Principal) error {
	var values []LiveValue
	var trouble error
	var asking sync.WaitGroup
	if s.deps.Values != nil {
		asking.Go(func() { values, trouble = s.valuesOf(c) })
	}
	facts, err := s.factsOf(c)
	asking.Wait()
	if err != nil {
		return s.errorPage(c, err)
	}
	if trouble != nil {
		facts = append(facts, Fact{Heading: "Not known", Text: "the values now: " + refusalOf(trouble).message})
	}
	id := param(c, "id")
	return s.page(c, http.StatusOK, "beside", struct {
		page
		ID     string
		Facts  []Fact
		Values []LiveValue
	}{s.top(c, "Beside "+id, 0), id, facts, values})
}

// getBeside is besidePage as JSON.
func (s *Server) getBeside(c echo.Context, _ *tocsin.Principal) error {
	facts, err := s.factsOf(c)
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"facts": orEmpty(facts)})
}

// getValues returns what the expressions of an incident give now.
func (s *Server) getValues(c echo.Context, _ *tocsin.Principal) error {
	values, err := s.valuesOf(c)
	if err != nil {
		return err
	}
	for n := range values {
		values[n].Series = orEmpty(values[n].Series)
	}
	return s.json(c, map[string]any{"values": orEmpty(values)})
}

func (s *Server) factsOf(c echo.Context) ([]Fact, error) {
	return about(s, c, func(ctx context.Context, id string) ([]Fact, error) { return s.deps.Beside(ctx, whoOf(c), id) })
}

func (s *Server) valuesOf(c echo.Context) ([]LiveValue, error) {
	return about(s, c, s.deps.Values)
}

// about asks what is known of an incident that there is.
func about[T any](s *Server, c echo.Context, ask func(context.Context, string) ([]T, error)) ([]T, error) {
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	if _, err := s.reader(c).Get(ctx, id); err != nil {
		return nil, missing(err, "incident", id)
	}
	return ask(ctx, id)
}

// getGraph is a drawing of what an incident's rule, or a step of its runbook, asks
// for.
func (s *Server) getGraph(c echo.Context, _ *tocsin.Principal) error {
	id := param(c, "id")
	step, err := smallNumber(c, "step", 0)
	if err != nil {
		return err
	}
	query, err := smallNumber(c, "query", 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	svg, err := s.deps.Graph(ctx, id, step, query)
	if err != nil {
		return missing(err, "graph of incident", id)
	}
	picture(c)
	c.Response().Header().Set(echo.HeaderCacheControl, "private, max-age=30")
	return c.Blob(http.StatusOK, "image/svg+xml", svg)
}

// picture sets what keeps a drawing from being anything else.
func picture(c echo.Context) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
}

// maxNumber is more than a runbook has steps, and a step expressions.
const maxNumber = 10_000

func smallNumber(c echo.Context, name string, unset int) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return unset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxNumber {
		return 0, tocsin.Invalid(name, "%s is not one of the numbers that the steps are counted with", clip(text))
	}
	return n, nil
}

// How many pictures are drawn for people who have not logged in, over all: each is
// a question to Prometheus.
const (
	picturesPerSecond = 5
	pictureBurst      = 20
)

// signedPicture draws for whoever has a link that Tocsin has signed; see Links.
func (s *Server) signedPicture(c echo.Context) error {
	id, signed := s.deps.Links.verify(param(c, "file"), c.QueryParam("expires"), c.QueryParam("sig"), s.deps.Now())
	switch {
	case s.deps.Picture == nil || !signed:
		return notFound("such a picture, or its link has expired")
	case !s.pictures.Allow():
		return unavailable(nil, "too many pictures are asked for; try again in a few seconds")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	png, err := s.deps.Picture(ctx, id)
	if err != nil {
		if errors.Is(err, tocsin.ErrNotFound) {
			return notFound("such a picture, or its link has expired")
		}
		return err
	}
	picture(c)
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "private, max-age=60")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // it is shown on PagerDuty's pages
	h.Set("X-Robots-Tag", "noindex")
	return c.Blob(http.StatusOK, "image/png", png)
}
