package server

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What an incident's page shows at the most; the API tells the rest.
const (
	pageAlerts = 25
	pageEvents = 100
)

// snoozes are how long an incident can be snoozed for.
func snoozes() []string { return []string{"30m", "1h", "2h", "4h", "8h", "24h"} }

// incidentView is what an incident's page shows.
type incidentView struct {
	page
	detail
	Complaint          complaint
	MoreAlerts         bool
	HasBeside, HasDraw bool
	HasWhy             bool
	Snoozes            []string
	Severities         []tocsin.Severity
	// People and Schedules can be called.
	People, Schedules []string
	Remediations      []tocsin.Remediation
	Offers            []tocsin.Remedy
	// CanRemediate is true where remedies can be run.
	CanRemediate bool
	fits         map[string]bool
}

// Say is the incident in a sentence, for those who hear it.
func (v *incidentView) Say() string {
	i := v.Incident
	text := plain(i.State)
	if i.State == tocsin.Acknowledged && i.AcknowledgedBy != "" {
		text += " by " + i.AcknowledgedBy
	}
	if i.State == tocsin.Resolved && i.ResolvedBy != "" {
		text += " by " + i.ResolvedBy
	}
	return "Now " + text + ", " + plural(i.Firing, "alert") + " firing"
}

// Next is what happens first if nobody answers; nil: nothing is planned.
func (v *incidentView) Next() *tocsin.Ahead {
	if len(v.Ahead) == 0 {
		return nil
	}
	return &v.Ahead[0]
}

// Mine reports whether who looks at the page owns the incident.
func (v *incidentView) Mine() bool {
	return v.Incident.State == tocsin.Acknowledged && v.Incident.AcknowledgedBy == pageActor(v.Who)
}

// Runs reports whether a fence's remedy is for the incident, and can be run.
func (v *incidentView) Runs(remedy string) bool {
	return v.CanRemediate && v.Can && v.Incident.Open() && v.fits[remedy]
}

// Wrong is what is wrong with the form of a kind; "": nothing.
func (v *incidentView) Wrong(kind string) string {
	if string(v.Complaint.Kind) != kind {
		return ""
	}
	return v.Complaint.Text
}

func (s *Server) incidentPage(c echo.Context, _ *tocsin.Principal) error {
	return s.showIncident(c, param(c, "id"), http.StatusOK, complaint{})
}

// showIncident answers with an incident's page.
func (s *Server) showIncident(c echo.Context, id string, status int, why complaint) error {
	v := incidentView{page: s.top(c, "", 0), Complaint: why, Snoozes: snoozes(), Severities: severities()}
	var err error
	if v.detail, err = s.detail(c, id, window{alerts: pageAlerts, events: pageEvents}); err != nil {
		return missing(err, "incident", id)
	}
	v.Title = short(rowTitle, v.Incident.Title)
	v.Can = v.Who.MayIn(tocsin.RightRespond, v.Incident)
	v.page = s.follow(v.page, v.Incident.ID)
	v.MoreAlerts = int(v.Incident.Alerts) > len(v.Alerts)
	v.HasBeside, v.HasDraw, v.HasWhy = s.deps.Beside != nil, s.deps.Graph != nil, s.deps.Why != nil
	s.whom(&v)
	if err := s.offer(c, &v); err != nil {
		return err
	}
	return s.page(c, status, "incident", &v)
}

// whom fills in who can be called.
func (s *Server) whom(v *incidentView) {
	if s.deps.OnCall == nil || !v.Can {
		return
	}
	for _, info := range s.schedulesFor(v.Who) {
		v.Schedules = append(v.Schedules, info.Name)
		for _, user := range info.Users {
			if !slices.Contains(v.People, user) {
				v.People = append(v.People, user)
			}
		}
	}
	slices.Sort(v.People)
}

// offer fills in the remedies that are for the incident's alerts, and what was
// done with them. It asks nobody and runs nothing.
func (s *Server) offer(c echo.Context, v *incidentView) error {
	if s.deps.Remedies == nil {
		return nil
	}
	ctx := c.Request().Context()
	var err error
	if v.Remediations, err = s.deps.Remedies.Remediations(ctx, v.Incident.ID); err != nil {
		return err
	}
	all, _, err := s.deps.Remedies.Remedies(ctx)
	if err != nil {
		return err
	}
	v.CanRemediate, v.fits = s.deps.Remediator != nil, map[string]bool{}
	for _, r := range all {
		if remedyFits(r, v.Alerts) {
			v.Offers, v.fits[r.Name] = append(v.Offers, r), true
		}
	}
	return nil
}

// remedyFits reports whether a remedy is for one of the alerts that fire.
func remedyFits(r tocsin.Remedy, alerts []tocsin.AlertRecord) bool {
	var ms []*matcher
	for _, text := range r.Matchers {
		m, err := parseQuestion(text)
		if err != nil {
			return false
		}
		ms = append(ms, m...)
	}
	return slices.ContainsFunc(alerts, func(a tocsin.AlertRecord) bool { return a.State.Firing && matchAll(ms, a.Labels) })
}
