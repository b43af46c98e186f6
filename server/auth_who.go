package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// caller is who asks, and what proved it: the key of their share of requests,
// empty for this machine, whose share has no end.
type caller struct {
	*tocsin.Principal
	share string
}

// ask returns who asks. The ways in are tried in turn: a token, the proxy's word,
// a session, and where there is no other way, being on this machine. A token that
// is wrong is not made up for by being on this machine.
func (s *Server) who(c echo.Context) (caller, error) {
	g, r := s.gate.Load(), c.Request()
	secret := secretOf(r)
	if secret != "" {
		if who, err := s.byToken(c, g, secret); who.Principal != nil || err != nil {
			return who, err
		}
	}
	if who, err := s.byProxy(c, g); who.Principal != nil || err != nil {
		return who, err
	}
	if secret == "" {
		if who, err := s.bySession(c); who.Principal != nil || err != nil {
			return who, err
		}
		if g.local && s.deps.Login == nil {
			return s.byPlace(c, g)
		}
	}
	basic := s.deps.Login == nil // a prompt for a password would stand in the way of the log-in
	return caller{}, unauthorized(c, true, basic, "send an API token as Bearer token, or as the password of basic authentication")
}

// storedToken returns the token that Tocsin has made, or nil.
func (s *Server) storedToken(ctx context.Context, secret string) (*tocsin.Token, error) {
	if s.deps.Tokens == nil || secret == "" {
		return nil, nil
	}
	t, err := s.deps.Tokens.Token(ctx, secret)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, unavailable(err, "tokens cannot be looked up now; try again")
	}
	return &t, nil
}

// byToken knows the tokens that Tocsin has made, which cannot be guessed, and
// those of the configuration, which somebody may have made up: who has tried too
// many is not told any more whether one was right.
func (s *Server) byToken(c echo.Context, g *gate, secret string) (caller, error) {
	stored, err := s.storedToken(c.Request().Context(), secret)
	if err != nil {
		return caller{}, err
	}
	if stored != nil {
		who := tocsin.Principal{Name: stored.Name, Role: stored.Role}
		switch {
		case s.deps.Bearer != nil:
			who = s.deps.Bearer(*stored)
		case stored.Team != "": // nobody says what is the team's
			who.Role = tocsin.RoleNone
		}
		return caller{s.principal(c, who), "token " + stored.ID}, nil
	}
	if len(g.api) == 0 {
		return caller{}, nil
	}
	address := s.address(c.Request())
	if !s.guesses.may(guesser(address), s.deps.Now()) {
		return caller{}, tooMany(c, guessEvery, "too many wrong tokens from %s; wait, or use a token made with tocsin token create", address)
	}
	t := g.token(secret)
	if t == nil {
		s.guesses.take(guesser(address), s.deps.Now())
		return caller{}, nil
	}
	return caller{s.principal(c, tocsin.Principal{Name: t.name, Role: t.role}), "api_tokens " + t.name}, nil
}

// byProxy takes the proxy's word for who it is. Two words are none.
func (s *Server) byProxy(c echo.Context, g *gate) (caller, error) {
	r := c.Request()
	if g.proxy.UserHeader == "" {
		return caller{}, nil
	}
	said := r.Header.Values(g.proxy.UserHeader)
	if len(said) == 0 {
		return caller{}, nil
	}
	if addr, ok := peer(r); !ok || !g.proxy.trusts(addr) {
		g.unasked.Do(func() {
			s.deps.Logger.Warn("a request says who it is from, and does not come from auth.proxy.from; what it says is ignored, and not told again",
				"header", g.proxy.UserHeader, "remote", r.RemoteAddr)
		})
		return caller{}, nil
	}
	if len(said) > 1 || strings.TrimSpace(said[0]) == "" {
		return caller{}, refuse(http.StatusForbidden, codeForbidden, g.proxy.UserHeader, "the proxy must say once who it is; have it replace the header, not add to it")
	}
	id := tocsin.Identity{Issuer: "proxy", Subject: strings.TrimSpace(said[0]), Name: strings.TrimSpace(said[0])}
	if g.proxy.GroupsHeader != "" {
		for _, group := range strings.Split(strings.Join(r.Header.Values(g.proxy.GroupsHeader), ","), ",") {
			if group = strings.TrimSpace(group); group != "" {
				id.Groups = append(id.Groups, group)
			}
		}
	}
	return s.byIdentity(c, id, "proxy "+id.Subject)
}

// byIdentity asks the configuration who that is, and what they may do.
func (s *Server) byIdentity(c echo.Context, id tocsin.Identity, share string) (caller, error) {
	if s.deps.Who == nil {
		return caller{}, refuse(http.StatusForbidden, codeForbidden, "", "nobody is let in that way")
	}
	who, err := s.deps.Who(id)
	if err != nil {
		return caller{}, refuse(http.StatusForbidden, codeForbidden, "", "%s", err)
	}
	return caller{s.principal(c, who), share}, nil
}

func (s *Server) bySession(c echo.Context) (caller, error) {
	session, err := s.session(c)
	if session == nil || err != nil {
		return caller{}, err
	}
	return s.byIdentity(c, session.Identity, "session "+session.ID)
}

// byPlace lets in who is on this machine.
func (s *Server) byPlace(c echo.Context, g *gate) (caller, error) {
	r := c.Request()
	if err := g.fromHere(r); err != nil {
		return caller{}, err
	}
	name := strings.TrimSpace(r.Header.Get(headerUser))
	return caller{s.principal(c, tocsin.Principal{Name: name, Role: tocsin.RoleAdmin}), ""}, validName(headerUser, name)
}

// principal adds where it is asked from.
func (s *Server) principal(c echo.Context, who tocsin.Principal) *tocsin.Principal {
	who.Via, who.Address = via(c), s.address(c.Request())
	return &who
}
