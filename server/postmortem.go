package server

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server/postmortem"
)

// What a postmortem tells at the most.
const (
	postmortemEvents = 5000
	postmortemAlerts = 200
)

// getPostmortem returns an incident's postmortem, as data and as Markdown.
func (s *Server) getPostmortem(c echo.Context, _ *tocsin.Principal) error {
	r, err := s.postmortem(c)
	if err != nil {
		return err
	}
	return s.json(c, map[string]any{"report": r, "markdown": r.Markdown()})
}

// postmortemFile is the Markdown alone, to be saved.
func (s *Server) postmortemFile(c echo.Context, _ *tocsin.Principal) error {
	r, err := s.postmortem(c)
	if err != nil {
		return err
	}
	pageHeaders(c)
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="postmortem-`+anchor(r.Incident)+`.md"`)
	return c.Blob(http.StatusOK, "text/markdown; charset=utf-8", []byte(r.Markdown()))
}

func (s *Server) postmortem(c echo.Context) (*postmortem.Report, error) {
	id := param(c, "id")
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	d, err := s.detail(c, id, window{alerts: postmortemAlerts, events: postmortemEvents})
	if err != nil {
		return nil, missing(err, "incident", id)
	}
	m := &postmortem.Material{
		Incident: d.Incident, Alerts: d.Alerts, Timeline: d.Timeline, Cut: len(d.Timeline) == postmortemEvents, Steps: d.Progress,
	}
	if s.config.ExternalURL != "" {
		m.URL = s.config.ExternalURL + "/incidents/" + segment(id)
	}
	if d.Runbook != nil {
		m.Runbook = d.Runbook.Title
	}
	// What stands beside the incident must not keep its own story from being told.
	note := func(what string, err error) {
		if err != nil {
			m.Missing = append(m.Missing, what+": "+clip(refusalOf(err).message))
		}
	}
	if s.deps.Remedies != nil {
		m.Remediations, err = s.deps.Remedies.Remediations(ctx, id)
		note("remedies", err)
	}
	if s.deps.ChangesBefore != nil && whoOf(c).May(tocsin.RightView) { // what was changed is no team's
		m.Changes, err = s.deps.ChangesBefore(ctx, d.Incident)
		m.Changes = shownTo(whoOf(c), m.Changes)
		note("changes", err)
	}
	silences, err := s.deps.Silencer.Silences(ctx)
	note("silences", err)
	m.Silences = held(silences, d.Incident, d.Alerts)
	return postmortem.Of(m), nil
}

// held returns the silences that held for one of the alerts while the incident was
// open. They may have been changed since; what is kept is how they are now.
func held(all []tocsin.Silence, inc *tocsin.Incident, alerts []tocsin.AlertRecord) []tocsin.Silence {
	var out []tocsin.Silence
	for _, s := range all {
		if s.EndsAt.Before(inc.OpenedAt) || !inc.ResolvedAt.IsZero() && s.StartsAt.After(inc.ResolvedAt) {
			continue
		}
		var ms []*matcher
		var wrong error
		for _, text := range s.Matchers {
			m, err := parseQuestion(text)
			ms, wrong = append(ms, m...), errors.Join(wrong, err)
		}
		if wrong == nil && slices.ContainsFunc(alerts, func(a tocsin.AlertRecord) bool { return matchAll(ms, a.Labels) }) {
			out = append(out, s)
		}
	}
	return out
}
