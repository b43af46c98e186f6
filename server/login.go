package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// CallbackPath is where the provider sends the browser back to.
const CallbackPath = "/login/callback"

// Paths of the log-in.
const (
	pathLogin      = "/login"
	pathLoginStart = "/login/start"
	pathLoginEnd   = CallbackPath
	pathLogout     = "/logout"
)

// queryReturn is where a log-in leads to.
const queryReturn = "return"

// loginWithin is how long a person may take at the provider.
const loginWithin = 10 * time.Minute

// sessionCookieLife only has to be longer than any session: the server knows when
// one ends.
const sessionCookieLife = 400 * 24 * time.Hour // the most that browsers keep

// attempt is one log-in under way. It travels in a cookie, so that any replica can
// finish what another has begun. All that the provider sees of it is derived from
// secret, which nobody but the browser has.
type attempt struct {
	secret string
	began  time.Time
	to     string
}

func (a *attempt) derive(what string) string {
	sum := sha256.Sum256([]byte(what + "\x00" + a.secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (a *attempt) state() string    { return a.derive("state") }
func (a *attempt) nonce() string    { return a.derive("nonce") }
func (a *attempt) verifier() string { return a.derive("verifier") }

// String is the value of the cookie.
func (a *attempt) String() string {
	return a.secret + "." + strconv.FormatInt(a.began.Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString([]byte(a.to))
}

func parseAttempt(value string) *attempt {
	parts := strings.Split(value, ".")
	if len(parts) != 3 || parts[0] == "" {
		return nil
	}
	began, err := strconv.ParseInt(parts[1], 10, 64)
	to, bad := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || bad != nil {
		return nil
	}
	return &attempt{secret: parts[0], began: time.Unix(began, 0), to: returnPath(string(to))}
}

// maxReturn is the longest path that a log-in leads back to.
const maxReturn = 1 << 10

// returnPath is a path of ours to go to, or "/" for anything else: who follows a
// link to the log-in must not end on another site.
func returnPath(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, len(text) > maxReturn, u.Scheme != "", u.Host != "", u.User != nil, u.Opaque != "":
	case !strings.HasPrefix(text, "/"), strings.HasPrefix(u.Path, "//"), strings.HasPrefix(u.Path, pathLogin), u.Path == pathLogout:
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }), strings.Contains(u.Path, `\`):
	default:
		return u.RequestURI()
	}
	return "/"
}

// loginURL is the log-in that leads to a path.
func loginURL(path, to string) string {
	if to = returnPath(to); to == "/" {
		return path
	}
	return path + "?" + url.Values{queryReturn: {to}}.Encode()
}

// loginPage is where people land who have logged out.
func (s *Server) loginPage(c echo.Context) error {
	if s.deps.Login == nil {
		return notFound("log-in")
	}
	start := loginURL(pathLoginStart, c.QueryParam(queryReturn))
	return s.page(c, http.StatusOK, "login", struct {
		page
		Start string
	}{s.top(c, "Log in", 0), start})
}

// startLogin sends the browser to the provider.
func (s *Server) startLogin(c echo.Context) error {
	if s.deps.Login == nil {
		return notFound("log-in")
	}
	if !s.logins.take(guesser(s.address(c.Request())), s.deps.Now()) {
		return tooMany(c, loginEvery, "too many log-ins from your address; wait a little")
	}
	a := &attempt{secret: rand.Text() + rand.Text(), began: s.deps.Now(), to: returnPath(c.QueryParam(queryReturn))}
	to, err := s.deps.Login.Start(c.Request().Context(), a.state(), a.nonce(), a.verifier())
	if err != nil {
		return s.errorPage(c, err)
	}
	c.SetCookie(s.gate.Load().cookie(cookieLogin, a.String(), loginWithin))
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Redirect(http.StatusSeeOther, to)
}

// finishLogin is where the provider sends the browser back to.
func (s *Server) finishLogin(c echo.Context) error {
	if s.deps.Login == nil || s.deps.Sessions == nil {
		return notFound("log-in")
	}
	g, r := s.gate.Load(), c.Request()
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	c.SetCookie(g.cookie(cookieLogin, "", 0))
	if !s.logins.take(guesser(s.address(r)), s.deps.Now()) {
		return tooMany(c, loginEvery, "too many log-ins from your address; wait a little")
	}
	a, err := s.attempted(c, g)
	if err != nil {
		return s.errorPage(c, err)
	}
	id, err := s.deps.Login.Finish(r.Context(), c.QueryParams(), a.nonce(), a.verifier())
	if err != nil {
		return s.errorPage(c, s.notLoggedIn(err))
	}
	if err := s.begin(c, g, id); err != nil {
		return s.errorPage(c, err)
	}
	return c.Redirect(http.StatusSeeOther, a.to)
}

// attempted returns the log-in that this browser has begun, once.
func (s *Server) attempted(c echo.Context, g *gate) (*attempt, error) {
	const again = "begin again at " + pathLogin
	cookies, now := c.Request().CookiesNamed(g.cookieName(cookieLogin)), s.deps.Now()
	if len(cookies) != 1 {
		return nil, refuse(http.StatusForbidden, codeForbidden, "", "this browser has not begun a log-in, or does not keep cookies; %s", again)
	}
	a := parseAttempt(cookies[0].Value)
	if a == nil || subtle.ConstantTimeCompare([]byte(a.state()), []byte(c.QueryParam("state"))) != 1 {
		return nil, refuse(http.StatusForbidden, codeForbidden, "state", "this is the end of another log-in than the one that was begun last; %s", again)
	}
	if age := now.Sub(a.began); age > loginWithin || age < -time.Minute {
		return nil, refuse(http.StatusForbidden, codeForbidden, "state", "the log-in took longer than %d minutes; %s", loginWithin/time.Minute, again)
	}
	if !s.attempts.first(a.state(), now) {
		return nil, refuse(http.StatusForbidden, codeForbidden, "state", "this log-in has been finished before; %s", again)
	}
	return a, nil
}

func (s *Server) notLoggedIn(err error) error {
	r := refusalOf(err)
	if r.status == http.StatusServiceUnavailable {
		return r
	}
	s.refusalLog.Do(func() { s.deps.Logger.Warn("a log-in failed", "error", clip(err.Error())) })
	return refuse(http.StatusForbidden, codeForbidden, "", "%s; begin again at %s", err, pathLogin)
}

// begin begins a session for somebody who has a role here. One that the browser
// had before ends: its cookie may be known to somebody who used it before.
func (s *Server) begin(c echo.Context, g *gate, id tocsin.Identity) error {
	r := c.Request()
	who, err := s.byIdentity(c, id, "")
	if err != nil {
		s.refusalLog.Do(func() { s.deps.Logger.Warn("somebody logged in who has no role here", "error", err) })
		return err
	}
	ctx := tocsin.WithOrigin(r.Context(), who.Origin())
	if old, err := s.session(c); err == nil && old != nil {
		_ = s.deps.Sessions.EndSession(ctx, old.ID, who.Name) // it ends by itself, too
	}
	secret, err := s.deps.Sessions.BeginSession(ctx, tocsin.Session{Identity: id, Address: who.Address, Agent: clip(r.UserAgent())}, who.Name)
	if err != nil {
		return err
	}
	c.SetCookie(g.cookie(cookieSession, secret, sessionCookieLife))
	return nil
}

// attempts remembers the log-ins that were finished, so that each is finished
// once.
type attempts struct {
	mu   sync.Mutex
	done map[string]time.Time
}

// first reports whether the log-in has not been finished before.
func (a *attempts) first(state string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.done[state]; again {
		return false
	}
	if len(a.done) >= maxShares {
		for state, at := range a.done {
			if now.Sub(at) > loginWithin {
				delete(a.done, state)
			}
		}
	}
	if len(a.done) >= maxShares { // the provider takes a code once, too
		clear(a.done)
	}
	a.done[state] = now
	return true
}
