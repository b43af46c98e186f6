package server

import (
	"context"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// accessRoutes are those that say who may come in.
func (s *Server) accessRoutes(e *echo.Echo, api *echo.Group) {
	tokens := func(h personal) personal { return needs(s.deps.Tokens != nil, "tokens", h) }
	sessions := func(h personal) personal { return needs(s.deps.Sessions != nil, "sessions", h) }
	api.GET("/me", s.someViewer(s.me))
	api.GET("/tokens", s.admin(tokens(s.listTokens)))
	api.POST("/tokens", s.admin(tokens(s.createToken)))
	api.DELETE("/tokens/:id", s.admin(tokens(s.revokeToken)))
	api.GET("/sessions", s.admin(sessions(s.listSessions)))
	api.DELETE("/sessions/:id", s.admin(sessions(s.endSession)))
	e.GET(pathLogin, s.loginPage)
	e.GET(pathLoginStart, s.startLogin)
	e.GET(pathLoginEnd, s.finishLogin)
	e.POST(pathLogout, s.logout)
}

// meView is what somebody is told about themselves.
type meView struct {
	Name   string         `json:"name"`
	Role   tocsin.Role    `json:"role"`
	Rights []tocsin.Right `json:"rights"`
	Via    string         `json:"via"`
	// Teams are the roles in teams.
	Teams map[string]tocsin.Role `json:"teams,omitempty"`
}

func (s *Server) me(c echo.Context, who *tocsin.Principal) error {
	v := meView{Name: who.Name, Role: who.Role, Via: who.Via, Teams: who.Teams, Rights: []tocsin.Right{}}
	for _, right := range []tocsin.Right{tocsin.RightView, tocsin.RightRespond, tocsin.RightManage, tocsin.RightAdmin} {
		if who.May(right) {
			v.Rights = append(v.Rights, right)
		}
	}
	return s.json(c, v)
}

func (s *Server) listTokens(c echo.Context, _ *tocsin.Principal) error {
	list, err := s.deps.Tokens.Tokens(c.Request().Context())
	if err != nil {
		return err
	}
	part, next, err := paged(c, list, func(t *tocsin.Token) string { return byName(t.Name, t.CreatedAt, t.ID) })
	if err != nil {
		return err
	}
	return s.listed(c, "tokens", part, next)
}

// createToken answers with the token's text, which is not to be had again.
func (s *Server) createToken(c echo.Context, who *tocsin.Principal) error {
	var in struct {
		Name      string      `json:"name"`
		Role      tocsin.Role `json:"role"`
		Team      string      `json:"team"`
		ExpiresAt time.Time   `json:"expiresAt"`
	}
	if err := s.bind(c, &in, false); err != nil {
		return err
	}
	by, err := s.actor(who, "createdBy", "")
	if err != nil {
		return err
	}
	made, secret, err := s.makeToken(c.Request().Context(), tocsin.Token{Name: in.Name, Role: in.Role, Team: in.Team, ExpiresAt: in.ExpiresAt, CreatedBy: by})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return s.json(c, map[string]any{"token": made, "secret": secret})
}

// makeToken makes a token, for the API and for the page.
func (s *Server) makeToken(ctx context.Context, t tocsin.Token) (made tocsin.Token, secret string, err error) {
	if err := validName("name", t.Name); err != nil {
		return made, "", err
	}
	if t.Team != "" && (s.deps.Teams == nil || !slices.Contains(s.deps.Teams(), t.Team)) {
		return made, "", invalid("team", "there is no team %q; teams are those of the configuration", clip(t.Team))
	}
	if !t.ExpiresAt.IsZero() {
		if err := checkYear("expiresAt", t.ExpiresAt); err != nil {
			return made, "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.Wait)
	defer cancel()
	return s.deps.Tokens.CreateToken(ctx, t)
}

func (s *Server) revokeToken(c echo.Context, who *tocsin.Principal) error {
	by, err := s.actor(who, "by", "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.Limits.Wait)
	defer cancel()
	id := param(c, "id")
	if err := s.deps.Tokens.RevokeToken(ctx, id, by); err != nil {
		return missing(err, "token", id)
	}
	return s.json(c, map[string]string{"status": "ok"})
}
