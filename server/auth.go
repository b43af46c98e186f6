package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"unicode"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// headerUser says who acts, where nobody is asked for a token.
const headerUser = "X-Tocsin-User"

// apiUser is who acts when nobody said so.
const apiUser = "api"

// digest is what secrets of the configuration are compared as: it makes them the
// same length and keeps them out of memory dumps of this package.
type digest [sha256.Size]byte

func digestOf(s string) digest { return sha256.Sum256([]byte(s)) }

func (d digest) is(e digest) int { return subtle.ConstantTimeCompare(d[:], e[:]) }

// gate is what the configuration says of who may come in. It is immutable.
type gate struct {
	tokens []digest
	users  [][2]digest
	api    []apiToken
	// calendar is nil while no address may carry a token.
	calendar *digest
	// external is the host of the external URL, or "".
	external string
	// secure: browsers come over TLS, to us or to what stands in front of us.
	secure bool
	// ownsHost: browsers come by https:// without a port, so that the whole host may
	// be told never to be asked without TLS. With a port, other programs' pages on
	// the host would go with it.
	ownsHost bool
	// local: this machine is let in where nobody else can be.
	local bool
	// open: anybody may send alerts.
	open  bool
	proxy Proxy
	// certificates: who shows a certificate may send alerts.
	certificates bool
	crossOrigin  *http.CrossOriginProtection
	// unasked is for saying once that a stranger sends the proxy's header.
	unasked sync.Once
}

type apiToken struct {
	name string
	sum  digest
	role tocsin.Role
}

func newGate(c *Config) (*gate, error) {
	g := &gate{
		local: !c.NoLocal && len(c.API) == 0 && c.Proxy.UserHeader == "", proxy: c.Proxy,
		open:         !c.NoLocal && len(c.Intake.Tokens)+len(c.Intake.Users) == 0 && c.TLS.ClientCAFile == "",
		certificates: c.TLS.ClientCAFile != "", secure: c.TLS.CertFile != "", crossOrigin: http.NewCrossOriginProtection(),
	}
	if c.CalendarToken != "" {
		sum := digestOf(c.CalendarToken)
		g.calendar = &sum
	}
	for _, t := range c.Intake.Tokens {
		g.tokens = append(g.tokens, digestOf(t))
	}
	for _, u := range c.Intake.Users {
		g.users = append(g.users, [2]digest{digestOf(u.Name), digestOf(u.Password)})
	}
	for _, t := range c.API {
		role := t.Role
		if role == "" {
			role = tocsin.RoleAdmin
		}
		g.api = append(g.api, apiToken{t.Name, digestOf(t.Token), role})
	}
	if u, err := url.Parse(c.ExternalURL); err == nil && u.Host != "" {
		g.external, g.secure = u.Hostname(), g.secure || u.Scheme == "https"
		g.ownsHost = u.Scheme == "https" && u.Port() == ""
		if err := g.crossOrigin.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("external_url: %w", err)
		}
	}
	return g, nil
}

// bearer returns the token of "Authorization: Bearer token".
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// secretOf returns the token that a request bears, as such or as the password of
// basic authentication; "" for none.
func secretOf(r *http.Request) string {
	if token, ok := bearer(r); ok {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}

// sends reports whether the credentials are those of a sender.
func (g *gate) sends(r *http.Request) bool {
	ok := 0
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
	return ok == 1
}

// token returns the configuration's API token of that text, or nil.
func (g *gate) token(secret string) *apiToken {
	sum, found := digestOf(secret), -1
	for i, t := range g.api {
		found = subtle.ConstantTimeSelect(t.sum.is(sum), i, found)
	}
	if found < 0 {
		return nil
	}
	return &g.api[found]
}

// sender refuses those who may not send alerts. How often they were refused does
// not matter: a sender must never be told to come back later for it.
func (s *Server) sender(c echo.Context) error {
	g, r := s.gate.Load(), c.Request()
	if g.open {
		return g.fromProgram(r)
	}
	if g.sends(r) {
		return nil
	}
	shown := g.certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if shown && s.certificates != nil && s.certificates.trusts(r.TLS) {
		return nil
	}
	if t, err := s.storedToken(r.Context(), secretOf(r)); err != nil {
		return err
	} else if t != nil && t.Role.May(tocsin.RightIntake) {
		return nil
	}
	if shown { // the sender may have a new one, and shows it on the next connection
		c.Response().Header().Set(echo.HeaderConnection, "close")
		return unavailable(nil, "the certificate of this connection is good no more; try again on another one")
	}
	return unauthorized(c, true, len(g.users) > 0,
		"set authorization.credentials, or basic_auth, in the http_config of Alertmanager's webhook")
}

// fromProgram refuses, where anybody may send alerts, a page whose host name was made
// to lead to this machine: to its browser it is of the same origin as we are.
func (g *gate) fromProgram(r *http.Request) error {
	if (r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get(echo.HeaderOrigin) == "") || g.ours(r.Host) {
		return nil
	}
	return refuse(http.StatusForbidden, codeForbidden, "Host", "%s is not a name of this server; set external_url, or use localhost", clip(r.Host))
}

func unauthorized(c echo.Context, withBearer, withBasic bool, hint string) error {
	h := c.Response().Header()
	if withBearer {
		h.Add(echo.HeaderWWWAuthenticate, `Bearer realm="tocsin"`)
	}
	if withBasic {
		h.Add(echo.HeaderWWWAuthenticate, `Basic realm="tocsin", charset="UTF-8"`)
	}
	return refuse(http.StatusUnauthorized, codeUnknownUser, "", "no valid credentials; %s", hint)
}

// fromHere reports why the request is not from this machine, or nil. A browser on
// this machine may act for a stranger whose host name resolves to 127.0.0.1, so
// the Host must be ours; and a proxy on this machine speaks for strangers.
func (g *gate) fromHere(r *http.Request) error {
	if addr, ok := peer(r); !ok || !addr.IsLoopback() || g.proxy.trusts(addr) {
		return refuse(http.StatusForbidden, codeForbidden, "", "without API tokens the API and the pages are for this machine alone; configure API tokens, or auth")
	}
	for _, name := range []string{"Forwarded", echo.HeaderXForwardedFor, echo.HeaderXRealIP, "X-Forwarded-Host"} {
		if r.Header.Get(name) != "" {
			return refuse(http.StatusForbidden, codeForbidden, name, "this came through a proxy, and nobody has said who may come in that way; configure API tokens, or auth")
		}
	}
	if !g.ours(r.Host) {
		return refuse(http.StatusForbidden, codeForbidden, "Host", "%s is not a name of this server; set external_url, or use localhost", clip(r.Host))
	}
	return nil
}

// peer is the address at the other end of the connection. What has none, such as
// a test's request, is from this machine.
func peer(r *http.Request) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Loopback(), true
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap(), err == nil
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

// address is where a request came from: what the proxies that are trusted say, or
// the other end of the connection.
func (s *Server) address(r *http.Request) string {
	g := s.gate.Load()
	addr, ok := peer(r)
	if !ok || !g.proxy.trusts(addr) {
		return echo.ExtractIPDirect()(r)
	}
	// From the right: what a proxy has added is to be trusted, what is left of the
	// first stranger is the stranger's own invention.
	hops := strings.Split(strings.Join(r.Header.Values(echo.HeaderXForwardedFor), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(hops[i]), "[]"))
		if err != nil {
			break
		}
		if addr = hop.Unmap(); !g.proxy.trusts(addr) {
			break
		}
	}
	return addr.String()
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
