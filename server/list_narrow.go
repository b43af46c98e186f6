package server

import (
	"slices"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// teamsFor are the teams to which somebody may narrow a list: all of them, or their
// own where they have rights in teams alone.
func (s *Server) teamsFor(who *tocsin.Principal) []string {
	if s.deps.Teams == nil || s.deps.TeamReceivers == nil {
		return nil
	}
	all := s.deps.Teams()
	if who.May(tocsin.RightView) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { _, theirs := who.Teams[name]; return !theirs })
}

// ofTeam returns what reports whether a team is told of an incident. Another's team is
// refused like one that there is not.
func (s *Server) ofTeam(who *tocsin.Principal, team string) (func(*tocsin.Incident) bool, error) {
	if !slices.Contains(s.teamsFor(who), team) {
		return nil, invalid("team", "there is no team %q, or it is not yours", clip(team))
	}
	receivers := s.deps.TeamReceivers(team)
	return func(i *tocsin.Incident) bool {
		return slices.ContainsFunc(i.Receivers, func(name string) bool { return slices.Contains(receivers, name) })
	}, nil
}

// narrowed returns what reports whether an incident is one of those that ?team=,
// ?mine= and ?severity= ask the API for; nil: all are.
func (s *Server) narrowed(c echo.Context, who *tocsin.Principal) (func(*tocsin.Incident) bool, error) {
	var all []func(*tocsin.Incident) bool
	if team := c.QueryParam("team"); team != "" {
		is, err := s.ofTeam(who, team)
		if err != nil {
			return nil, err
		}
		all = append(all, is)
	}
	yours, err := truth(c, "mine")
	switch {
	case err != nil:
		return nil, err
	case yours && who.Name == "":
		return nil, invalid("mine", "nobody said who you are: use a token of your own")
	case yours:
		all = append(all, func(i *tocsin.Incident) bool { return mine(i, who.Name) })
	}
	if least := tocsin.Severity(c.QueryParam("severity")); least != "" {
		if !slices.Contains(severities(), least) {
			return nil, invalid("severity", "%q; want critical, error, warning or info", clip(string(least)))
		}
		all = append(all, func(i *tocsin.Incident) bool { return i.Severity.Rank() >= least.Rank() })
	}
	if len(all) == 0 {
		return nil, nil
	}
	return func(i *tocsin.Incident) bool {
		return !slices.ContainsFunc(all, func(is func(*tocsin.Incident) bool) bool { return !is(i) })
	}, nil
}
