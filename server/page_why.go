package server

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// getWhy returns the decisions on an incident's way.
func (s *Server) getWhy(c echo.Context, who *tocsin.Principal) error {
	why, err := s.why(c, who)
	if err != nil {
		return err
	}
	return s.json(c, why)
}

func (s *Server) why(c echo.Context, who *tocsin.Principal) (*tocsin.Why, error) {
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	why, err := s.deps.Why(ctx, who, id)
	if err != nil {
		return nil, missing(err, "incident", id)
	}
	why.Reasons = orEmpty(why.Reasons)
	return why, nil
}

// whyView is what the page of the decisions shows.
type whyView struct {
	page
	Incident *tocsin.Incident
	// Answer is for the person who asks.
	Answer string
	Stages []whyStage
}

// whyStage is the reasons of one stage.
type whyStage struct {
	Stage   tocsin.ReasonStage
	Reasons []tocsin.Reason
}

// Heading says the stage as a question that a person has.
func (w whyStage) Heading() string { return w.Stage.Question() }

// whyPage shows why an incident told whom it told, and nobody else.
func (s *Server) whyPage(c echo.Context, who *tocsin.Principal) error {
	id := param(c, "id")
	v := whyView{page: s.top(c, "Why", 0)}
	var err error
	if v.Incident, err = s.reader(c).Get(c.Request().Context(), id); err != nil {
		return missing(err, "incident", id)
	}
	v.page = s.follow(v.page, v.Incident.ID)
	v.Title = "Why: " + short(rowTitle, v.Incident.Title)
	why, err := s.why(c, who)
	if err != nil {
		return err
	}
	v.Answer = why.Answer
	for _, r := range why.Reasons {
		if n := len(v.Stages); n == 0 || v.Stages[n-1].Stage != r.Stage {
			v.Stages = append(v.Stages, whyStage{Stage: r.Stage})
		}
		last := &v.Stages[len(v.Stages)-1]
		last.Reasons = append(last.Reasons, r)
	}
	return s.page(c, http.StatusOK, "why", &v)
}
