package server

import (
	"context"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// hiddenView is tocsin.Hidden as the API shows it.
type hiddenView struct {
	Alerts      int      `json:"alerts"`
	Held        int      `json:"held"`
	Incidents   int      `json:"incidents"`
	First       []string `json:"first"`
	Least       bool     `json:"least"`
	Before      int      `json:"before"`
	Opened      int      `json:"opened"`
	Latest      []string `json:"latest"`
	BeforeLeast bool     `json:"beforeLeast"`
	Now         string   `json:"now"`
	Since       string   `json:"since"`
}

func viewHidden(h *tocsin.Hidden) hiddenView {
	return hiddenView{
		Alerts: h.Alerts, Held: h.Held, Incidents: h.Incidents, First: idsOf(h.First), Least: h.Least,
		Before: h.Before, Opened: h.Opened, Latest: idsOf(h.Latest), BeforeLeast: h.BeforeLeast || h.OpenedLeast,
		Now: h.Now(""), Since: h.Since(""),
	}
}

func idsOf(list []*tocsin.Incident) []string {
	ids := make([]string, len(list))
	for n, i := range list {
		ids[n] = i.ID
	}
	return ids
}

// hiddenBy says what a silence would hide of what who asks may view, and makes none.
func (s *Server) hiddenBy(c echo.Context, who *tocsin.Principal) error {
	matchers := c.QueryParams()["matcher"]
	if err := checkMatchers(matchers); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	h, err := s.deps.Hides(ctx, who, matchers)
	if err != nil {
		return err
	}
	return s.json(c, viewHidden(&h))
}
