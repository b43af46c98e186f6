package server

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// personal handles a request of somebody who may do it. who is never nil; its
// Name is "" where nobody said so.
type personal func(c echo.Context, who *tocsin.Principal) error

// viewer is for routes that show something.
func (s *Server) viewer(h personal) echo.HandlerFunc { return s.may(tocsin.RightView, h) }

// responder is for routes that act on incidents, silences and one's own shifts.
func (s *Server) responder(h personal) echo.HandlerFunc { return s.may(tocsin.RightRespond, h) }

// manager is for routes that change what holds for others.
func (s *Server) manager(h personal) echo.HandlerFunc { return s.may(tocsin.RightManage, h) }

// admin is for routes that say who may do what, or that hand out everything.
func (s *Server) admin(h personal) echo.HandlerFunc { return s.may(tocsin.RightAdmin, h) }

// may lets in only who has the right, and has written down with everything that
// the request changes where it was asked for.
func (s *Server) may(right tocsin.Right, h personal) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := s.gate.Load().person(c)
		if err != nil {
			return err
		}
		if !who.May(right) {
			return forbidden(who, right)
		}
		r := c.Request()
		c.SetRequest(r.WithContext(tocsin.WithOrigin(r.Context(), who.Origin())))
		c.Set(keyWho, who)
		return h(c, who)
	}
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
	return refuse(http.StatusForbidden, codeForbidden, "", "this wants the right to %s, which the role %s has not; ask an administrator of Tocsin", right, who.Role)
}

// agentTerminal begins the User-Agent of the command line.
const agentTerminal = "tocsin/"

// via is what a request was made with.
func via(c echo.Context) string {
	switch path := c.Path(); {
	case strings.HasPrefix(c.Request().UserAgent(), agentTerminal):
		return "terminal"
	case strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/-/"):
		return "API"
	default:
		return "page"
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
