package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	insightWeeks = 4
	// maxWeeks is more than is kept by default.
	maxWeeks = 53
	// insightTime is how long the reading may take; what was read is told then.
	insightTime = 5 * time.Second
	// insightLinks is how many incidents a figure leads to on the page; the API has all.
	insightLinks = 50
)

func (s *Server) getInsights(c echo.Context, _ *tocsin.Principal) error {
	_, in, err := s.insights(c)
	if err != nil {
		return err
	}
	return s.json(c, in)
}

func (s *Server) insights(c echo.Context) (int, tocsin.Insights, error) {
	weeks, err := number(c, "weeks", insightWeeks, maxWeeks)
	if err != nil {
		return 0, tocsin.Insights{}, err
	}
	weeks = max(weeks, 1)
	ctx, cancel := context.WithTimeout(c.Request().Context(), insightTime)
	defer cancel()
	to := s.deps.Now()
	var in tocsin.Insights
	err = s.turn(ctx, s.readings, func() (err error) {
		in, err = s.deps.Insights(ctx, whoOf(c), to.AddDate(0, 0, -7*weeks), to)
		return err
	})
	return weeks, in, err
}

// insightsView is what the page of the insights shows.
type insightsView struct {
	page
	Of      tocsin.Insights
	Weeks   int
	Choices []int
}

// Took says seconds to a person.
func (insightsView) Took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return d.String()
}

// counted is what a figure counts.
type counted struct {
	IDs      []string
	Of, More int
}

// Counted are the incidents that a figure leads to.
func (insightsView) Counted(ids []string) counted {
	shown := ids[:min(len(ids), insightLinks)]
	return counted{IDs: shown, Of: len(ids), More: len(ids) - len(shown)}
}

// tallied is a list of figures.
type tallied struct {
	insightsView
	Heading, Noun string
	List          []tocsin.Tally
}

// Tallied is a list with its heading.
func (insightsView) Tallied(heading, noun string, list []tocsin.Tally) tallied {
	return tallied{Heading: heading, Noun: noun, List: list}
}

// insightsPage says what paging costs, and what it brings.
func (s *Server) insightsPage(c echo.Context, _ *tocsin.Principal) error {
	v := insightsView{page: s.top(c, "Insights", 0), Choices: []int{1, 4, 13, 26}}
	var err error
	if v.Weeks, v.Of, err = s.insights(c); err != nil {
		return err
	}
	return s.page(c, http.StatusOK, "insights", &v)
}
