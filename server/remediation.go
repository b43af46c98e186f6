package server

import (
	"context"
	"fmt"
	"math"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Remedies knows the remedies and what was done with them.
type Remedies interface {
	// Remedies returns those that the operators have declared, and the names of
	// those that are stopped; "" among them: all are.
	Remedies(ctx context.Context) (remedies []tocsin.Remedy, stopped []string, err error)
	// Remediations returns the runs, the newest first; of one incident, where it is
	// not empty.
	Remediations(ctx context.Context, incident string) ([]tocsin.Remediation, error)
	// Remediation returns one, with what is kept of its output, or
	// tocsin.ErrNotFound.
	Remediation(ctx context.Context, id string) (r tocsin.Remediation, output string, err error)
	// Plan returns what a remedy would do for a target of an incident, and does
	// nothing of it. An empty remedy: each that is for one of the incident's alerts.
	// An empty target: the only one.
	Plan(ctx context.Context, incident, remedy, target string) ([]tocsin.RemedyPlan, error)
}

// Remediator is what people do with remedies. It returns tocsin.ErrNotFound,
// tocsin.ErrConflict with why not, or tocsin.Invalid with the field.
type Remediator interface {
	// Remediate has a remedy run for a target of an incident, or proposes it where
	// it has to be approved. Doing it again returns the one that there is.
	Remediate(ctx context.Context, incident, remedy, target, by string) (tocsin.Remediation, error)
	// Answer approves or denies one.
	Answer(ctx context.Context, id, by string, approve bool) (tocsin.Remediation, error)
	// Stop holds a remedy, or with an empty name all of them, until Resume.
	Stop(ctx context.Context, remedy, by string) error
	// Resume lets a remedy, or with an empty name all of them, run again.
	Resume(ctx context.Context, remedy, by string) error
}

// remediationRequest is what a body about remedies may say.
type remediationRequest struct {
	Remedy string `json:"remedy"`
	Target string `json:"target"`
	By     string `json:"by"`
}

// maxTarget is the longest target that is named.
const maxTarget = 1 << 10

func (s *Server) remediationRoutes(api *echo.Group) {
	ask := func(h personal) personal { return needs(s.deps.Remedies != nil, "remedies", h) }
	do := func(h personal) personal { return needs(s.deps.Remediator != nil, "remedies", h) }
	api.GET("/remedies", s.someViewer(ask(s.listRemedies)))
	api.POST("/remedies/stop", s.responder(do(s.holdRemedies(true))))
	api.POST("/remedies/resume", s.responder(do(s.holdRemedies(false))))
	api.GET("/remediations", s.someViewer(ask(s.listRemediations)))
	api.GET("/remediations/:id", s.viewerOfRun(ask(s.getRemediation)))
	api.POST("/remediations/:id/approve", s.responderOfRun(do(s.answerRemediation(true))))
	api.POST("/remediations/:id/deny", s.responderOfRun(do(s.answerRemediation(false))))
	api.GET("/incidents/:id/remedies", s.viewerIn(ask(s.planRemedies)))
	api.POST("/incidents/:id/remediate", s.responderIn(do(s.remediate)))
}

func (s *Server) listRemedies(c echo.Context, _ *tocsin.Principal) error {
	list, stopped, err := s.deps.Remedies.Remedies(c.Request().Context())
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"remedies": orEmpty(list), "stopped": orEmpty(stopped)})
}

func (s *Server) listRemediations(c echo.Context, who *tocsin.Principal) error {
	incident := c.QueryParam("incident")
	if err := validName("incident", incident); err != nil {
		return err
	}
	list, err := s.runsFor(c.Request().Context(), who, incident)
	if err != nil {
		return err
	}
	part, next, err := paged(c, list, newestRun)
	if err != nil {
		return err
	}
	return s.listed(c, "remediations", part, next)
}

// newestRun puts the newest run first.
func newestRun(r *tocsin.Remediation) string {
	return fmt.Sprintf("%019d-%s", math.MaxInt64-r.ProposedAt.UnixNano(), r.ID)
}

func (s *Server) getRemediation(c echo.Context, _ *tocsin.Principal) error {
	id := param(c, "id")
	r, output, err := s.deps.Remedies.Remediation(c.Request().Context(), id)
	if err != nil {
		return missing(err, "remediation", id)
	}
	tag, err := etagOf(r)
	if err != nil {
		return err
	}
	c.Response().Header().Set(headerETag, tag)
	return s.json(c, map[string]any{"remediation": r, "output": output})
}

func (s *Server) planRemedies(c echo.Context, _ *tocsin.Principal) error {
	id, remedy := param(c, "id"), c.QueryParam("remedy")
	if err := validName("remedy", remedy); err != nil {
		return err
	}
	target := c.QueryParam("target")
	if len(target) > maxTarget {
		return invalid("target", "longer than %d bytes", maxTarget)
	}
	plans, err := s.deps.Remedies.Plan(c.Request().Context(), id, remedy, target)
	if err != nil {
		return missing(err, "incident", id)
	}
	return s.json(c, map[string]any{"plans": orEmpty(plans)})
}

// asked reads a body about remedies.
func (s *Server) asked(c echo.Context, who *tocsin.Principal) (in remediationRequest, err error) {
	if err = s.bind(c, &in, true); err != nil {
		return in, err
	}
	if err = validName("remedy", in.Remedy); err != nil {
		return in, err
	}
	if len(in.Target) > maxTarget {
		return in, invalid("target", "longer than %d bytes", maxTarget)
	}
	in.By, err = s.actor(who, "by", in.By)
	return in, err
}

func (s *Server) remediate(c echo.Context, who *tocsin.Principal) error {
	in, err := s.asked(c, who)
	if err != nil {
		return err
	}
	if in.Remedy == "" {
		return invalid("remedy", "missing; name one, as GET /api/v1/remedies lists them")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	id := param(c, "id")
	r, err := s.deps.Remediator.Remediate(ctx, id, in.Remedy, in.Target, in.By)
	if err != nil {
		return missing(err, "incident", id)
	}
	return s.json(c, map[string]any{"remediation": r})
}

func (s *Server) answerRemediation(approve bool) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		in, err := s.asked(c, who)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		id := param(c, "id")
		r, err := s.deps.Remediator.Answer(asRead[tocsin.Remediation](ctx, c), id, in.By, approve)
		if err != nil {
			return missing(err, "remediation", id)
		}
		return s.json(c, map[string]any{"remediation": r})
	}
}

// holdRemedies stops remedies, or has them go on.
func (s *Server) holdRemedies(stop bool) personal {
	return func(c echo.Context, who *tocsin.Principal) error {
		in, err := s.asked(c, who)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
		defer cancel()
		if stop {
			err = s.deps.Remediator.Stop(ctx, in.Remedy, in.By)
		} else {
			err = s.deps.Remediator.Resume(ctx, in.Remedy, in.By)
		}
		if err != nil {
			return err
		}
		_, stopped, err := s.deps.Remedies.Remedies(ctx)
		if err != nil {
			return fmt.Errorf("it is done, but cannot be shown: %w", err)
		}
		return s.json(c, map[string]any{"stopped": orEmpty(stopped)})
	}
}
