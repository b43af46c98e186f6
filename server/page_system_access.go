package server

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	pathAccessPage = "/system/access"
	// accessRows is how many tokens, and how many log-ins, the page shows.
	accessRows = 200
	// tokenDays is how long a token is good for where nobody says.
	tokenDays = "90"
)

// Codes of tellings.
const (
	doneVerified = "verified"
	doneRevoked  = "token-revoked"
	doneEnded    = "session-ended"
)

// accessView is who can come in.
type accessView struct {
	page
	// HasTokens and HasSessions are true where there can be any.
	HasTokens, HasSessions   bool
	Tokens                   []tocsin.Token
	Sessions                 []tocsin.Session
	MoreTokens, MoreSessions int
	Roles                    []tocsin.Role
	Teams                    []string
	Form                     tokenForm
	// Once names the form, each time another.
	Once string
	// Mine is the log-in of who looks at it.
	Mine string
}

// tokenForm is what somebody typed.
type tokenForm struct {
	Name, Role, Team, Days string
	Wrong                  string
}

// accessPage lists the tokens that Tocsin has made, and the log-ins.
func (s *Server) accessPage(c echo.Context, _ *tocsin.Principal) error {
	return s.showAccess(c, http.StatusOK, tokenForm{Role: string(tocsin.RoleResponder), Days: tokenDays})
}

func (s *Server) showAccess(c echo.Context, status int, f tokenForm) error {
	v := accessView{
		page: s.top(c, "Tokens and log-ins", 0), HasTokens: s.deps.Tokens != nil, HasSessions: s.deps.Sessions != nil,
		Roles: append(tocsin.Roles(), tocsin.RoleIntake), Form: f, Once: rand.Text(),
	}
	if s.deps.Teams != nil {
		v.Teams = s.deps.Teams()
	}
	ctx := c.Request().Context()
	var err error
	if v.HasTokens {
		if v.Tokens, err = s.deps.Tokens.Tokens(ctx); err != nil {
			return err
		}
		v.MoreTokens = max(0, len(v.Tokens)-accessRows)
		v.Tokens = v.Tokens[:min(len(v.Tokens), accessRows)]
	}
	if v.HasSessions {
		if v.Sessions, err = s.deps.Sessions.Sessions(ctx); err != nil {
			return err
		}
		v.Sessions = slices.Clone(v.Sessions)
		slices.SortStableFunc(v.Sessions, func(a, b tocsin.Session) int {
			return cmp.Or(b.SeenAt.Compare(a.SeenAt), strings.Compare(a.ID, b.ID))
		})
		v.MoreSessions = max(0, len(v.Sessions)-accessRows)
		v.Sessions = v.Sessions[:min(len(v.Sessions), accessRows)]
		if mine, err := s.session(c); err == nil && mine != nil {
			v.Mine = mine.ID
		}
	}
	return s.page(c, status, "access", &v)
}

// tokenMade makes a token, and answers with its text, which is not to be had again:
// it is in no address, and is not kept by the browser, which may send the form again.
func (s *Server) tokenMade(c echo.Context, who *tocsin.Principal) error {
	f, err := s.form(c)
	if err != nil {
		return err
	}
	typed := tokenForm{Name: strings.TrimSpace(f.Get("name")), Role: f.Get("role"), Team: f.Get("team"), Days: f.Get("days")}
	t, err := s.tokenOf(&typed, who)
	if err != nil {
		return s.tokenRefused(c, &typed, err)
	}
	made, secret, err := s.makeToken(onceForm(c, who, f, tocsin.MadeToken), t)
	var was *tocsin.RepeatError
	switch {
	case errors.As(err, &was):
		return s.page(c, http.StatusConflict, "tokenwas", struct {
			page
			ID string
		}{s.top(c, "Token made before", 0), was.ID})
	case err != nil:
		return s.tokenRefused(c, &typed, err)
	}
	return s.page(c, http.StatusOK, "tokenmade", struct {
		page
		Token  tocsin.Token
		Secret string
	}{s.top(c, "Token made", 0), made, secret})
}

func (s *Server) tokenOf(f *tokenForm, who *tocsin.Principal) (tocsin.Token, error) {
	t := tocsin.Token{Name: f.Name, Role: tocsin.Role(f.Role), Team: f.Team, CreatedBy: pageActor(who)}
	days := map[string]int{"7": 7, "30": 30, tokenDays: 90, "365": 365, "": 0}
	n, known := days[f.Days]
	if !known {
		return t, invalid("expires", "%q; choose one of the list", clip(f.Days))
	}
	if n > 0 {
		t.ExpiresAt = s.deps.Now().UTC().Truncate(time.Second).AddDate(0, 0, n)
	}
	if f.Team != "" && (s.deps.Teams == nil || !slices.Contains(s.deps.Teams(), f.Team)) {
		return t, invalid("team", "there is no team %q", clip(f.Team))
	}
	return t, nil
}

// tokenRefused shows the form again, with what is wrong.
func (s *Server) tokenRefused(c echo.Context, f *tokenForm, err error) error {
	r := refusalOf(err)
	if r.status >= http.StatusInternalServerError {
		return err
	}
	f.Wrong = clip(r.message)
	if r.field != "" {
		f.Wrong = clip(r.field) + ": " + f.Wrong
	}
	return s.showAccess(c, r.status, *f)
}

// tokenRevoked ends a token.
func (s *Server) tokenRevoked(c echo.Context, who *tocsin.Principal) error {
	return s.ended(c, "token", doneRevoked, func(ctx echo.Context, id string) error {
		return s.deps.Tokens.RevokeToken(ctx.Request().Context(), id, pageActor(who))
	})
}

// sessionEnded ends a log-in.
func (s *Server) sessionEnded(c echo.Context, who *tocsin.Principal) error {
	return s.ended(c, "session", doneEnded, func(ctx echo.Context, id string) error {
		return s.deps.Sessions.EndSession(ctx.Request().Context(), id, pageActor(who))
	})
}

func (s *Server) ended(c echo.Context, what, code string, end func(echo.Context, string) error) error {
	if _, err := s.form(c); err != nil {
		return err
	}
	id := param(c, "id")
	if err := end(c, id); err != nil {
		return missing(err, what, id)
	}
	return done(c, pathAccessPage, code, "")
}
