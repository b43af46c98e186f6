package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// keeper keeps tokens and sessions by what proves them.
type keeper struct {
	mu       sync.Mutex
	tokens   map[string]tocsin.Token
	sessions map[string]tocsin.Session
	origins  []string
	frozen   bool // sessions do not end
	once     papers
	err      error
}

// papers are documents, of each kind in the order in which they came.
type papers struct{ of map[string][]tocsin.Document }

func (p *papers) Documents(kind string) ([]tocsin.Document, uint64) { return p.of[kind], 0 }

func (p *papers) Document(string, string) []byte { return nil }

func (p *papers) DeleteDocument(string, string) {}

func (p *papers) PutDocument(kind, id string, value []byte) {
	if p.of == nil {
		p.of = map[string][]tocsin.Document{}
	}
	p.of[kind] = append(p.of[kind], tocsin.Document{ID: id, Value: value})
}

func (k *keeper) Token(_ context.Context, secret string) (tocsin.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.tokens[secret]
	if !ok && k.err == nil {
		return t, tocsin.ErrNotFound
	}
	return t, k.err
}

func (k *keeper) Tokens(context.Context) (list []tocsin.Token, err error) {
	for _, t := range k.tokens {
		list = append(list, t)
	}
	return list, k.err
}

func (k *keeper) CreateToken(ctx context.Context, t tocsin.Token) (tocsin.Token, string, error) {
	t.ID, t.CreatedAt = "t00001", now
	if err := tocsin.Again(ctx, &k.once, tocsin.MadeToken, now); err != nil {
		return t, "", err
	}
	if err := tocsin.Done(ctx, &k.once, tocsin.MadeToken, t.ID, now); err != nil {
		return t, "", err
	}
	k.origins = append(k.origins, tocsin.OriginOf(ctx))
	return t, "tocsin_SHOWNONCE", k.err
}

func (k *keeper) RevokeToken(_ context.Context, id, _ string) error {
	if id == "nobody" {
		return tocsin.ErrNotFound
	}
	return k.err
}

func (k *keeper) Sessions(context.Context) (list []tocsin.Session, err error) {
	for _, s := range k.sessions {
		list = append(list, s)
	}
	return list, k.err
}

func (k *keeper) Session(_ context.Context, secret string) (tocsin.Session, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.sessions[secret]
	if !ok && k.err == nil {
		return s, tocsin.ErrNotFound
	}
	return s, k.err
}

func (k *keeper) BeginSession(ctx context.Context, s tocsin.Session, name string) (string, error) {
	secret := fmt.Sprintf("secret-%d", len(k.origins)+1)
	s.ID, s.CreatedAt, s.SeenAt, s.ExpiresAt = "s-"+secret, now, now, now.Add(time.Hour)
	k.sessions[secret] = s
	k.origins = append(k.origins, name+" "+tocsin.OriginOf(ctx))
	return secret, k.err
}

func (k *keeper) EndSession(_ context.Context, id, _ string) error {
	for secret, s := range k.sessions {
		if s.ID == id {
			if !k.frozen {
				delete(k.sessions, secret)
			}
			return k.err
		}
	}
	return tocsin.ErrNotFound
}

func (k *keeper) EndSessions(_ context.Context, who tocsin.Identity, _ string) error {
	for secret, s := range k.sessions {
		if s.Identity.Subject == who.Subject {
			delete(k.sessions, secret)
		}
	}
	return k.err
}

// provider lets in whom the code names.
type provider struct {
	err     error
	started url.Values
}

func (p *provider) Start(_ context.Context, state, nonce, verifier string) (string, error) {
	if p.err == nil {
		p.started = url.Values{"state": {state}, "nonce": {nonce}, "verifier": {verifier}}
	}
	return "https://login.example.com/auth?state=" + state, p.err
}

func (p *provider) Finish(_ context.Context, query url.Values, nonce, verifier string) (tocsin.Identity, error) {
	if nonce != p.started.Get("nonce") || verifier != p.started.Get("verifier") {
		return tocsin.Identity{}, errors.New("the log-in failed: nonce")
	}
	name := query.Get("code")
	return tocsin.Identity{Issuer: "https://login.example.com", Subject: name, Name: name}, p.err
}

// who gives the role that the name is, and knows ana.
func who(id tocsin.Identity) (tocsin.Principal, error) {
	switch id.Name {
	case "ana@example.com":
		return tocsin.Principal{Name: "ana", Role: tocsin.RoleResponder}, nil
	case "viewer", "responder", "manager", "admin":
		return tocsin.Principal{Name: id.Name, Role: tocsin.Role(id.Name)}, nil
	}
	for _, g := range id.Groups {
		if g == "sre" {
			return tocsin.Principal{Name: id.Name, Role: tocsin.RoleManager}, nil
		}
	}
	return tocsin.Principal{}, errors.New("nobody has given this log-in a role here")
}

// guarded is a world with tokens of each role, named like it.
func guarded(t *testing.T, c server.Config, change ...func(*server.Deps)) (*world, *keeper, *provider) {
	t.Helper()
	k := &keeper{tokens: map[string]tocsin.Token{}, sessions: map[string]tocsin.Session{}}
	for _, role := range append(tocsin.Roles(), tocsin.RoleIntake) {
		k.tokens["tocsin_"+string(role)] = tocsin.Token{ID: "t-" + string(role), Name: string(role), Role: role, CreatedAt: now}
		k.sessions["session-"+string(role)] = tocsin.Session{ID: "s-" + string(role), Identity: tocsin.Identity{Name: string(role), Subject: string(role)}}
	}
	p := &provider{}
	change = append([]func(*server.Deps){func(d *server.Deps) { d.Tokens, d.Sessions, d.Login, d.Who = k, k, p, who }}, change...)
	return newWorld(t, c, change...), k, p
}

const html = "text/html,application/xhtml+xml"

func TestMe(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{Proxy: server.Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	rec := w.ask("GET", "/api/v1/me", "", "Authorization", "Bearer tocsin_responder")
	assert.JSONEq(t, `{"name":"responder","role":"responder","rights":["view","respond"],"via":"API"}`, rec.Body.String())
	rec = w.ask("GET", "/api/v1/me", "", "Authorization", "Bearer tocsin_viewer", "User-Agent", "tocsin/1.0")
	assert.JSONEq(t, `{"name":"viewer","role":"viewer","rights":["view"],"via":"terminal"}`, rec.Body.String())
	rec = w.ask("POST", "/api/v1/tokens", `{"name":"ci","role":"viewer"}`, "Authorization", "Bearer tocsin_admin",
		"Remote", "10.0.0.1:1", "X-Forwarded-For", "198.51.100.1, 203.0.113.7, 10.0.0.2")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, []string{"API from 203.0.113.7"}, k.origins, "what is left of the first stranger is the stranger's invention")
	assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
}

func TestTokenRoutes(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{})
	admin := []string{"Authorization", "Bearer tocsin_admin"}
	for body, field := range map[string]string{
		`{"name":"a\u0007","role":"viewer"}`:                               "name",
		`{"name":"ci","role":"viewer","expiresAt":"9999-01-01T00:00:00Z"}`: "expiresAt",
	} {
		rec := w.ask("POST", "/api/v1/tokens", body, admin...)
		require.Equal(t, 400, rec.Code, body)
		assert.Equal(t, field, refusal(t, rec).Error.Field)
	}
	rec := w.ask("GET", "/api/v1/tokens", "", admin...)
	require.Equal(t, 200, rec.Code)
	assert.NotContains(t, rec.Body.String(), "tocsin_")
	require.Equal(t, 200, w.ask("DELETE", "/api/v1/tokens/t-viewer", "", admin...).Code)
	require.Equal(t, 404, w.ask("DELETE", "/api/v1/tokens/nobody", "", admin...).Code)
	require.Equal(t, 200, w.ask("GET", "/api/v1/sessions", "", admin...).Code)
	require.Equal(t, 200, w.ask("DELETE", "/api/v1/sessions/s-viewer", "", admin...).Code)
	require.Equal(t, 404, w.ask("DELETE", "/api/v1/sessions/s-viewer", "", admin...).Code)
	k.err = errors.New("the disk is on fire")
	rec = w.ask("GET", "/api/v1/tokens", "", admin...)
	require.Equal(t, 503, rec.Code, "nobody is let in, and nobody is told that a token is wrong")
	assert.NotContains(t, rec.Body.String(), "fire")
}

// Not even this machine is let in with a token that is wrong.
func TestLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{ExternalURL: "https://tocsin.example.com"})
	assert.Equal(t, 200, w.ask("GET", "/api/v1/me", "").Code)
	assert.Equal(t, 401, w.ask("GET", "/api/v1/me", "", "Authorization", "Bearer wrong").Code)
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"} {
		assert.Equal(t, 403, w.ask("GET", "/api/v1/me", "", header, "203.0.113.7").Code, "%s: a proxy speaks for strangers", header)
	}
	closed, _, _ := guarded(t, server.Config{NoLocal: true}, func(d *server.Deps) { d.Login = nil })
	assert.Equal(t, 401, closed.ask("GET", "/api/v1/me", "").Code)
	assert.Equal(t, 401, closed.ask("POST", "/webhook/alertmanager", "{}").Code)
	assert.Equal(t, 400, closed.ask("POST", "/webhook/alertmanager", "{}", "Authorization", "Bearer tocsin_intake").Code)
	assert.Equal(t, 401, closed.ask("POST", "/webhook/alertmanager", "{}", "Authorization", "Bearer tocsin_manager").Code)
	login, _, _ := guarded(t, server.Config{})
	assert.Equal(t, 401, login.ask("GET", "/api/v1/me", "").Code, "who can log in does")
}

func TestProxy(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{Proxy: server.Proxy{
		UserHeader: "X-Forwarded-User", GroupsHeader: "X-Forwarded-Groups", From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}}, func(d *server.Deps) { d.Login = nil })
	ask := func(remote string, header ...string) *httptest.ResponseRecorder {
		return w.ask("GET", "/api/v1/me", "", append([]string{"Remote", remote, "Host", "tocsin.example.com"}, header...)...)
	}
	for title, c := range map[string]struct {
		remote string
		header []string
		want   int
	}{
		"from the proxy":           {"10.1.2.3:1", []string{"X-Forwarded-User", "ana@example.com"}, 200},
		"over IPv6":                {"[fd00::1]:1", []string{"X-Forwarded-User", "ana@example.com"}, 200},
		"as IPv4 in IPv6":          {"[::ffff:10.1.2.3]:1", []string{"X-Forwarded-User", "ana@example.com"}, 200},
		"by a group":               {"10.1.2.3:1", []string{"X-Forwarded-User", "eve", "X-Forwarded-Groups", "x, sre"}, 200},
		"without a role":           {"10.1.2.3:1", []string{"X-Forwarded-User", "eve"}, 403},
		"without a name":           {"10.1.2.3:1", []string{"X-Forwarded-User", " "}, 403},
		"without the header":       {"10.1.2.3:1", nil, 401},
		"from elsewhere":           {"192.168.1.1:1", []string{"X-Forwarded-User", "admin"}, 401},
		"from this machine":        {"127.0.0.1:1", []string{"X-Forwarded-User", "admin"}, 401},
		"from nowhere":             {"x:1", []string{"X-Forwarded-User", "admin"}, 401},
		"with a token beside":      {"10.1.2.3:1", []string{"X-Forwarded-User", "ana@example.com", "Authorization", "Bearer tocsin_viewer"}, 200},
		"with the provider's own":  {"10.1.2.3:1", []string{"X-Forwarded-User", "ana@example.com", "Authorization", "Bearer eyJhbGciOi"}, 200},
		"by X-Forwarded-For alone": {"192.168.1.1:1", []string{"X-Forwarded-User", "admin", "X-Forwarded-For", "10.0.0.1"}, 401},
	} {
		assert.Equal(t, c.want, ask(c.remote, c.header...).Code, title)
	}
	assert.Contains(t, ask("10.1.2.3:1", "X-Forwarded-User", "ana@example.com").Body.String(), `"name":"ana"`)
	assert.Equal(t, 1, strings.Count(w.log.String(), "what it says is ignored"), "said once")

	r := httptest.NewRequest("GET", "/api/v1/me", nil)
	r.RemoteAddr = "10.1.2.3:1"
	r.Header["X-Forwarded-User"] = []string{"ana@example.com", "admin"}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	assert.Equal(t, 403, rec.Code, "two words are none")
}

func TestGuessing(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{API: []server.Token{{Name: "ops", Token: "winter2026"}}})
	try := func(remote, token string) *httptest.ResponseRecorder {
		return w.ask("GET", "/api/v1/me", "", "Remote", remote, "Authorization", "Bearer "+token)
	}
	for i := range 20 {
		require.Equal(t, 401, try("203.0.113.9:1", fmt.Sprint("guess", i)).Code)
	}
	rec := try("203.0.113.9:1", "winter2026")
	require.Equal(t, 429, rec.Code, "who guesses is not told whether it was right")
	assert.NotEmpty(t, rec.Header().Get("Retry-After"))
	assert.Equal(t, 200, try("203.0.113.8:1", "winter2026").Code, "others are")
	assert.Equal(t, 200, try("203.0.113.9:1", "tocsin_viewer").Code, "what cannot be guessed is let in")
	for range 100 {
		rec := w.ask("POST", "/webhook/alertmanager", "{}", "Remote", "203.0.113.9:1", "Authorization", "Bearer x")
		require.NotEqual(t, 429, rec.Code, "a sender is never told to come back later")
	}
}

func TestRequestsOfOne(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{Limits: server.Limits{Requests: 5}})
	ask := func(token string) *httptest.ResponseRecorder {
		return w.ask("GET", "/api/v1/me", "", "Authorization", "Bearer tocsin_"+token)
	}
	for range 10 {
		require.Equal(t, 200, ask("viewer").Code)
	}
	rec := ask("viewer")
	require.Equal(t, 429, rec.Code)
	assert.Equal(t, "1", rec.Header().Get("Retry-After"))
	assert.Equal(t, "too_many_requests", refusal(t, rec).Error.Code)
	assert.Equal(t, 200, ask("responder").Code, "each has a share")
	local := newWorld(t, server.Config{Limits: server.Limits{Requests: 1}})
	for range 10 {
		require.Equal(t, 200, local.ask("GET", "/api/v1/me", "").Code, "this machine has no share")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{ExternalURL: "https://tocsin.example.com"})
	for _, path := range []string{"/-/healthy", "/api/v1/me", "/api/v1/openapi.yaml", "/nothing", "/metrics", "/login"} {
		h := w.ask("GET", path, "").Header()
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "same-origin", h.Get("Referrer-Policy"), path)
		assert.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		assert.Equal(t, "max-age=31536000", h.Get("Strict-Transport-Security"), path)
	}
	for _, external := range []string{"", "http://tocsin.example.com", "https://mon.example.com:9911"} {
		shared := newWorld(t, server.Config{ExternalURL: external})
		assert.Empty(t, shared.ask("GET", "/-/healthy", "").Header().Get("Strict-Transport-Security"), "the host's other ports are not ours: %s", external)
	}
}

// What a page of another site makes a browser send, with the person's cookie or
// from the person's machine, is refused at every door.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{ExternalURL: "https://tocsin.example.com"})
	for _, r := range w.Routes() {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || strings.Contains(r.Path, "*") {
			continue
		}
		path := strings.NewReplacer(":id", "k7f3q9", ":name", "x").Replace(r.Path)
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example.com"}, {"Origin", "null"}} {
			got := answerTo(w, r.Method, path, append(header, "Cookie", "__Host-tocsin_session=session-admin"))
			assert.Equal(t, 403, got, "%s %s with %v", r.Method, path, header)
		}
		got := answerTo(w, r.Method, path, []string{"Origin", "https://tocsin.example.com", "Cookie", "__Host-tocsin_session=session-admin"})
		assert.NotEqual(t, 403, got, "%s %s of our own page, through a proxy", r.Method, path)
	}
}
