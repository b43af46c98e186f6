package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// headerUser says who acts, where nobody is asked for a token.
const headerUser = "X-Tocsin-User"

// apiUser is who acts when nobody said so.
const apiUser = "api"

// queryToken is the query parameter of a calendar's address.
const queryToken = "token"

// digest is what secrets are compared as: it makes them the same length and
// keeps them out of memory dumps of this package.
type digest [sha256.Size]byte

func digestOf(s string) digest { return sha256.Sum256([]byte(s)) }

func (d digest) is(e digest) int { return subtle.ConstantTimeCompare(d[:], e[:]) }

// gate knows who may do what. It is immutable.
type gate struct {
	tokens []digest
	users  [][2]digest
	api    []apiToken
	// calendar is nil while no address may carry a token.
	calendar *digest
	// external is the host of the external URL, or "".
	external string
}

type apiToken struct {
	name string
	sum  digest
}

func newGate(intake Auth, api []Token, calendar, externalURL string) *gate {
	g := &gate{}
	if calendar != "" {
		sum := digestOf(calendar)
		g.calendar = &sum
	}
	for _, t := range intake.Tokens {
		g.tokens = append(g.tokens, digestOf(t))
	}
	for _, u := range intake.Users {
		g.users = append(g.users, [2]digest{digestOf(u.Name), digestOf(u.Password)})
	}
	for _, t := range api {
		g.api = append(g.api, apiToken{t.Name, digestOf(t.Token)})
	}
	if u, err := url.Parse(externalURL); err == nil {
		g.external = u.Hostname()
	}
	return g
}

// bearer returns the token of "Authorization: Bearer token".
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// intake refuses senders who may not post alerts.
func (g *gate) intake(c echo.Context) error {
	if len(g.tokens)+len(g.users) == 0 {
		return nil
	}
	r, ok := c.Request(), 0
	if token, is := bearer(r); is {
		sum := digestOf(token)
		for _, t := range g.tokens {
			ok |= t.is(sum)
		}
	} else if name, password, is := r.BasicAuth(); is {
		n, p := digestOf(name), digestOf(password)
		for _, u := range g.users {
			ok |= u[0].is(n) & u[1].is(p)
		}
	}
	if ok == 1 {
		return nil
	}
	return g.unauthorized(c, len(g.tokens) > 0, len(g.users) > 0,
		"set authorization.credentials, or basic_auth, in the http_config of Alertmanager's webhook")
}

func (g *gate) unauthorized(c echo.Context, withBearer, withBasic bool, hint string) error {
	h := c.Response().Header()
	if withBearer {
		h.Add(echo.HeaderWWWAuthenticate, `Bearer realm="tocsin"`)
	}
	if withBasic {
		h.Add(echo.HeaderWWWAuthenticate, `Basic realm="tocsin", charset="UTF-8"`)
	}
	return refuse(http.StatusUnauthorized, codeUnknownUser, "", "no valid credentials; %s", hint)
}

// person returns who uses the API or sees a page, or refuses them. Without
// tokens, only this machine is let in.
func (g *gate) person(c echo.Context) (*tocsin.Principal, error) {
	if len(g.api) == 0 {
		return g.local(c)
	}
	token, ok := bearer(c.Request())
	if !ok {
		_, token, _ = c.Request().BasicAuth()
	}
	sum, found := digestOf(token), -1
	for i, t := range g.api {
		found = subtle.ConstantTimeSelect(t.sum.is(sum), i, found)
	}
	if found < 0 {
		return nil, g.unauthorized(c, true, true, "send an API token as Bearer token, or as the password of basic authentication")
	}
	return principal(c, g.api[found].name, tocsin.RoleAdmin), nil
}

// feed lets a calendar program in. Most of them know nothing but an address, so
// here, and nowhere else, it may carry a token: one that opens the calendars and
// nothing more, since addresses end up in logs and in histories. A token of the
// address that is wrong is never made up for by anything else.
func (g *gate) feed(c echo.Context) error {
	given, has := c.QueryParams()[queryToken]
	if !has {
		_, err := g.person(c)
		return err
	}
	if g.calendar != nil && len(given) == 1 && g.calendar.is(digestOf(given[0])) == 1 {
		return nil
	}
	return g.unauthorized(c, true, true, "the token of the address is not server.calendar_token; API tokens are not taken from an address")
}

// local lets in who is on this machine. A browser on this machine may act for
// a stranger whose host name resolves to 127.0.0.1, so the Host must be ours.
func (g *gate) local(c echo.Context) (*tocsin.Principal, error) {
	r := c.Request()
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
			return nil, refuse(http.StatusForbidden, codeForbidden, "", "without API tokens the API and the pages are for this machine alone; configure API tokens")
		}
	}
	if !g.ours(r.Host) {
		return nil, refuse(http.StatusForbidden, codeForbidden, "Host", "%s is not a name of this server; set external_url, or use localhost", clip(r.Host))
	}
	name := strings.TrimSpace(r.Header.Get(headerUser))
	return principal(c, name, tocsin.RoleAdmin), validName(headerUser, name)
}

func principal(c echo.Context, name string, role tocsin.Role) *tocsin.Principal {
	return &tocsin.Principal{Name: name, Role: role, Via: via(c), Address: c.RealIP()}
}

func (g *gate) ours(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || g.external != "" && strings.EqualFold(host, g.external)
}

// maxName is the longest name of a person, a schedule or an action, in bytes.
const maxName = 128

// validName accepts "": nobody said.
func validName(field, name string) error {
	if len(name) > maxName {
		return invalid(field, "longer than %d bytes", maxName)
	}
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return invalid(field, "want printable characters only")
		}
	}
	return nil
}
