package server

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// getWhy returns the decisions on an incident's way.
func (s *Server) getWhy(c echo.Context, _ *tocsin.Principal) error {
	reasons, err := s.why(c)
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"incident": param(c, "id"), "reasons": reasons})
}

func (s *Server) why(c echo.Context) ([]tocsin.Reason, error) {
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	reasons, err := s.deps.Why(ctx, id)
	return orEmpty(reasons), missing(err, "incident", id)
}

// whyView is what the page of the decisions shows.
type whyView struct {
	page
	Incident *tocsin.Incident
	Stages   []whyStage
}

// whyStage is the reasons of one stage.
type whyStage struct {
	Stage   tocsin.ReasonStage
	Reasons []tocsin.Reason
}

// Heading says the stage as a question that a person has.
func (w whyStage) Heading() string {
	switch w.Stage {
	case tocsin.StagePayload:
		return "What came in"
	case tocsin.StageIdentity:
		return "Which alert it is"
	case tocsin.StageGroup:
		return "Why it is one incident"
	case tocsin.StageSuppression:
		return "Whether it is held back"
	case tocsin.StageRoute:
		return "Which route took it"
	case tocsin.StagePolicy:
		return "What the policy did"
	case tocsin.StagePerson:
		return "Whose turn it was"
	case tocsin.StageContact:
		return "How they were called"
	case tocsin.StageProvider:
		return "What the providers said"
	default:
		return plain(w.Stage)
	}
}

// whyPage shows why an incident told whom it told, and nobody else.
func (s *Server) whyPage(c echo.Context, _ *tocsin.Principal) error {
	id := param(c, "id")
	v := whyView{page: s.top(c, "Why", 0)}
	var err error
	if v.Incident, err = s.deps.Reader.Get(c.Request().Context(), id); err != nil {
		return missing(err, "incident", id)
	}
	v.page = s.follow(v.page, v.Incident.ID)
	v.Title = "Why: " + short(rowTitle, v.Incident.Title)
	reasons, err := s.why(c)
	if err != nil {
		return err
	}
	for _, r := range reasons {
		if n := len(v.Stages); n == 0 || v.Stages[n-1].Stage != r.Stage {
			v.Stages = append(v.Stages, whyStage{Stage: r.Stage})
		}
		last := &v.Stages[len(v.Stages)-1]
		last.Reasons = append(last.Reasons, r)
	}
	return s.page(c, http.StatusOK, "why", &v)
}
