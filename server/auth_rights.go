package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// personal handles a request of somebody who may do it. who is never nil; its
// Name is "" where nobody said so.
type personal func(c echo.Context, who *tocsin.Principal) error

// viewer is for routes that show something, whatever it concerns. Like those below
// it lets in nobody whose roles are in teams alone: a route that is not marked with
// one of those of auth_teams.go is closed to them.
func (s *Server) viewer(h personal) echo.HandlerFunc { return s.may(tocsin.RightView, h) }

// responder is for routes that act, whatever it concerns.
func (s *Server) responder(h personal) echo.HandlerFunc { return s.may(tocsin.RightRespond, h) }

// manager is for routes that change what holds for others.
func (s *Server) manager(h personal) echo.HandlerFunc { return s.may(tocsin.RightManage, h) }

// admin is for routes that say who may do what, or that hand out everything.
func (s *Server) admin(h personal) echo.HandlerFunc { return s.may(tocsin.RightAdmin, h) }

func (s *Server) may(right tocsin.Right, h personal) echo.HandlerFunc {
	return s.letIn(right, (*tocsin.Principal).May, nil, h)
}

// letIn lets in only who has the right, as far as has says, and some of their share
// of requests left, and has written down with everything that the request changes
// where it was asked for. here, where it is not nil, refuses those who have not the
// right where the path leads: before anything is answered once more.
func (s *Server) letIn(right tocsin.Right, has func(*tocsin.Principal, tocsin.Right) bool, here, h personal) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := s.who(c)
		if err != nil {
			return s.turnAway(c, err)
		}
		if !has(who.Principal, right) {
			return s.turnAway(c, forbidden(who.Principal, right))
		}
		if who.share != "" && !s.requestsOf.take(who.share, s.deps.Now()) {
			return tooMany(c, time.Second, "more than %d requests a second; wait, or raise server.limits.requests_per_second", s.config.Limits.Requests)
		}
		r := c.Request()
		c.SetRequest(r.WithContext(tocsin.WithOrigin(r.Context(), who.Origin())))
		c.Set(keyWho, who.Principal)
		if here != nil {
			if err := here(c, who.Principal); err != nil {
				return err
			}
		}
		return s.once(c, who, h)
	}
}

// turnAway sends a browser that wants a page to the log-in, where there is one,
// and tells a person what is wrong in a way that they can read.
func (s *Server) turnAway(c echo.Context, err error) error {
	r := c.Request()
	status := refusalOf(err).status
	if via(c) != viaPage || r.Method != http.MethodGet || !strings.Contains(r.Header.Get(echo.HeaderAccept), "text/html") {
		return err
	}
	switch {
	case status == http.StatusUnauthorized && s.deps.Login != nil:
		return c.Redirect(http.StatusSeeOther, loginURL(pathLoginStart, r.URL.RequestURI()))
	case status == http.StatusForbidden:
		return s.errorPage(c, err)
	}
	return err
}

// keyWho is where may leaves the principal for those who are not told.
const keyWho = "who"

// whoOf returns who asks, or a principal who may do nothing before that is known.
func whoOf(c echo.Context) *tocsin.Principal {
	if who, ok := c.Get(keyWho).(*tocsin.Principal); ok {
		return who
	}
	return &tocsin.Principal{Role: "nobody"}
}

func forbidden(who *tocsin.Principal, right tocsin.Right) *refusal {
	if len(who.Teams) > 0 && !who.May(tocsin.RightView) {
		return refuse(http.StatusForbidden, codeForbidden, "", "this wants the right to %s in every team; yours are in teams: %s; ask an administrator of Tocsin", right, sayRoles(who))
	}
	return refuse(http.StatusForbidden, codeForbidden, "", "this wants the right to %s, which the role %s has not; ask an administrator of Tocsin", right, who.Role)
}

// agentTerminal begins the User-Agent of the command line.
const agentTerminal = "tocsin/"

// What a request was made with.
const (
	viaPage     = "page"
	viaAPI      = "API"
	viaTerminal = "terminal"
)

func via(c echo.Context) string {
	switch path := c.Path(); {
	case strings.HasPrefix(c.Request().UserAgent(), agentTerminal):
		return viaTerminal
	case strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/-/"):
		return viaAPI
	default:
		return viaPage
	}
}

// needs answers that there is nothing where the part that h stands on is
// missing.
func needs(have bool, what string, h personal) personal {
	if have {
		return h
	}
	return func(echo.Context, *tocsin.Principal) error { return notFound(what) }
}
