package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// The cookies. Over TLS their names begin with __Host-, so that no other host and
// no plain connection can set them (RFC 6265bis, 4.1.3.2).
const (
	cookieSession = "tocsin_session"
	cookieLogin   = "tocsin_login"
	hostPrefix    = "__Host-"
)

func (g *gate) cookieName(name string) string {
	if g.secure {
		return hostPrefix + name
	}
	return name
}

// cookie is one of ours. Lax, not Strict: a link to an incident in a chat must
// not ask for a log-in. A zero life drops the cookie.
func (g *gate) cookie(name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name: g.cookieName(name), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: g.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if life == 0 {
		c.MaxAge = -1
	}
	return c
}

// session returns the session that the browser proves, or nil. Who sends two
// cookies of the name proves nothing: one of them is somebody else's.
func (s *Server) session(c echo.Context) (*tocsin.Session, error) {
	if s.deps.Sessions == nil {
		return nil, nil
	}
	cookies := c.Request().CookiesNamed(s.gate.Load().cookieName(cookieSession))
	if len(cookies) != 1 {
		return nil, nil
	}
	session, err := s.deps.Sessions.Session(c.Request().Context(), cookies[0].Value)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, unavailable(err, "sessions cannot be looked up now; try again")
	}
	return &session, nil
}

// logout ends the browser's session, or with everywhere=1 all of the person's.
func (s *Server) logout(c echo.Context) error {
	session, err := s.session(c)
	if err != nil {
		return err
	}
	if session != nil {
		name := session.Identity.Name
		if s.deps.Who != nil {
			if known, err := s.deps.Who(session.Identity); err == nil {
				name = known.Name
			}
		}
		ctx := tocsin.WithOrigin(c.Request().Context(), s.principal(c, tocsin.Principal{Name: name}).Origin())
		if c.QueryParam("everywhere") == "1" {
			err = s.deps.Sessions.EndSessions(ctx, session.Identity, name)
		} else {
			err = s.deps.Sessions.EndSession(ctx, session.ID, name)
		}
		if err != nil && !errors.Is(err, tocsin.ErrNotFound) {
			return err
		}
	}
	c.SetCookie(s.gate.Load().cookie(cookieSession, "", 0))
	return c.Redirect(http.StatusSeeOther, pathLogin)
}

func (s *Server) listSessions(c echo.Context, _ *tocsin.Principal) error {
	list, err := s.deps.Sessions.Sessions(c.Request().Context())
	if err != nil {
		return err
	}
	part, next, err := paged(c, list, func(t *tocsin.Session) string { return byName(t.Identity.Name, t.CreatedAt, t.ID) })
	if err != nil {
		return err
	}
	return s.listed(c, "sessions", part, next)
}

func (s *Server) endSession(c echo.Context, who *tocsin.Principal) error {
	by, err := s.actor(who, "by", "")
	if err != nil {
		return err
	}
	id := param(c, "id")
	if err := s.deps.Sessions.EndSession(c.Request().Context(), id, by); err != nil {
		return missing(err, "session", id)
	}
	return s.json(c, map[string]string{"status": "ok"})
}
