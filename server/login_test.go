package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// visitor keeps cookies as a browser does.
type visitor struct {
	w       *world
	t       *testing.T
	cookies map[string]string
}

func (b *visitor) get(target string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send("GET", target, header...)
}

func (b *visitor) send(method, target string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	var all []string
	for name, value := range b.cookies {
		all = append(all, name+"="+value)
	}
	rec := b.w.ask(method, target, "", append([]string{"Remote", "203.0.113.7:1", "Host", "tocsin.example.com", "Accept", html, "Cookie", strings.Join(all, "; ")}, header...)...)
	for _, c := range rec.Result().Cookies() {
		assert.True(b.t, c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "", c.String())
		assert.Equal(b.t, strings.HasPrefix(c.Name, "__Host-"), c.Secure)
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return rec
}

const secure = "https://tocsin.example.com"

func newVisitor(t *testing.T, external string) (*visitor, *keeper, *provider) {
	w, k, p := guarded(t, server.Config{ExternalURL: external})
	return &visitor{w, t, map[string]string{}}, k, p
}

// begin begins a log-in and returns the state.
func (b *visitor) begin(target string) string {
	b.t.Helper()
	rec := b.get(target)
	require.Equal(b.t, 303, rec.Code, rec.Body.String())
	to, err := url.Parse(rec.Header().Get("Location"))
	require.NoError(b.t, err)
	require.Equal(b.t, "login.example.com", to.Host)
	return to.Query().Get("state")
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for external, cookie := range map[string]string{secure: "__Host-tocsin_session", "http://tocsin.example.com": "tocsin_session"} {
		b, k, p := newVisitor(t, external)
		rec := b.get("/incidents/k7f3q9?tab=why")
		require.Equal(t, 303, rec.Code, "who is not logged in is sent there")
		assert.Equal(t, "/login/start?return=%2Fincidents%2Fk7f3q9%3Ftab%3Dwhy", rec.Header().Get("Location"))
		state := b.begin(rec.Header().Get("Location"))
		for _, name := range []string{"state", "nonce", "verifier"} {
			assert.Regexp(t, `^[A-Za-z0-9_-]{43}$`, p.started.Get(name), "RFC 7636, 4.1")
		}
		rec = b.get("/login/callback?code=ana@example.com&state=" + state)
		require.Equal(t, 303, rec.Code, rec.Body.String())
		assert.Equal(t, "/incidents/k7f3q9?tab=why", rec.Header().Get("Location"))
		require.Contains(t, b.cookies, cookie)
		assert.Len(t, b.cookies, 1, "the log-in's own cookie is gone")
		assert.Equal(t, []string{"ana page from 203.0.113.7"}, k.origins)

		rec = b.get("/api/v1/me")
		assert.JSONEq(t, `{"name":"ana","role":"responder","rights":["view","respond"],"via":"API"}`, rec.Body.String())
		assert.Equal(t, 403, b.get("/api/v1/tokens").Code)

		first := b.cookies[cookie]
		require.Equal(t, 303, b.get("/login/callback?code=ana@example.com&state="+b.begin("/login/start")).Code)
		assert.NotEqual(t, first, b.cookies[cookie], "another cookie for each log-in")
		assert.NotContains(t, k.sessions, first, "and the one before is worth nothing")

		rec = b.send("POST", "/logout")
		require.Equal(t, 303, rec.Code)
		assert.Equal(t, "/login", rec.Header().Get("Location"))
		assert.Empty(t, b.cookies)
		assert.Len(t, k.sessions, 5, "those of the others")
		assert.Equal(t, 303, b.get("/").Code)
		rec = b.get("/login?return=/oncall")
		assert.Equal(t, 200, rec.Code)
		assert.Contains(t, rec.Body.String(), `href="/login/start?return=%2Foncall"`)
	}
}

func TestLogoutEverywhere(t *testing.T) {
	t.Parallel()
	b, k, _ := newVisitor(t, secure)
	for range 3 {
		b.cookies = map[string]string{}
		require.Equal(t, 303, b.get("/login/callback?code=ana@example.com&state="+b.begin("/login/start")).Code)
	}
	assert.Len(t, k.sessions, 8)
	require.Equal(t, 303, b.send("POST", "/logout?everywhere=1").Code)
	assert.Len(t, k.sessions, 5)
	assert.Equal(t, 303, b.send("POST", "/logout").Code, "doing it again is fine")
}

func TestNobodyLogsIn(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		do   func(b *visitor, state string) *httptest.ResponseRecorder
		want int
	}{
		"without a cookie": {func(b *visitor, state string) *httptest.ResponseRecorder {
			b.cookies = map[string]string{}
			return b.get("/login/callback?code=admin&state=" + state)
		}, 403},
		"with another state": {func(b *visitor, state string) *httptest.ResponseRecorder {
			return b.get("/login/callback?code=admin&state=" + strings.ToUpper(state))
		}, 403},
		"without a state": {func(b *visitor, _ string) *httptest.ResponseRecorder { return b.get("/login/callback?code=admin") }, 403},
		"with somebody else's log-in": {func(b *visitor, _ string) *httptest.ResponseRecorder {
			other := &visitor{b.w, b.t, map[string]string{}}
			return b.get("/login/callback?code=admin&state=" + other.begin("/login/start"))
		}, 403},
		"with one begun before the last": {func(b *visitor, state string) *httptest.ResponseRecorder {
			b.begin("/login/start")
			return b.get("/login/callback?code=admin&state=" + state)
		}, 403},
		"twice": {func(b *visitor, state string) *httptest.ResponseRecorder {
			cookies := map[string]string{}
			for name, value := range b.cookies {
				cookies[name] = value
			}
			require.Equal(b.t, 303, b.get("/login/callback?code=admin&state="+state).Code)
			b.cookies = cookies
			return b.get("/login/callback?code=admin&state=" + state)
		}, 403},
		"with two cookies": {func(b *visitor, state string) *httptest.ResponseRecorder {
			name := "__Host-tocsin_login"
			return b.get("/login/callback?code=admin&state="+state, "Cookie", name+"="+b.cookies[name]+"; "+name+"=x.1.Lw")
		}, 403},
		"with a cookie of another time": {func(b *visitor, state string) *httptest.ResponseRecorder {
			parts := strings.Split(b.cookies["__Host-tocsin_login"], ".")
			b.cookies["__Host-tocsin_login"] = parts[0] + ".1700000000." + parts[2]
			return b.get("/login/callback?code=admin&state=" + state)
		}, 403},
		"without a role": {func(b *visitor, state string) *httptest.ResponseRecorder {
			return b.get("/login/callback?code=eve@example.com&state=" + state)
		}, 403},
	} {
		b, k, _ := newVisitor(t, secure)
		rec := c.do(b, b.begin("/login/start"))
		assert.Equal(t, c.want, rec.Code, title)
		assert.Contains(t, rec.Header().Get("Content-Type"), "text/html", title)
		assert.NotContains(t, b.cookies, "__Host-tocsin_session", title)
		if title != "twice" {
			assert.Len(t, k.sessions, 5, title)
		}
	}
}

func TestProviderAway(t *testing.T) {
	t.Parallel()
	b, _, p := newVisitor(t, secure)
	state := b.begin("/login/start")
	p.err = tocsin.Unavailable(http.ErrServerClosed)
	rec := b.get("/login/start")
	assert.Equal(t, 503, rec.Code)
	assert.Contains(t, rec.Header().Get("Content-Type"), "text/html")
	assert.Equal(t, 503, b.get("/login/callback?code=admin&state="+state).Code)
	assert.Equal(t, 200, b.get("/-/healthy").Code)
	assert.Equal(t, 200, b.get("/api/v1/me", "Authorization", "Bearer tocsin_viewer").Code, "tokens work")
}

// A link to the log-in leads to Tocsin, whatever it says.
func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"https://evil.example.com/", "//evil.example.com", "///evil.example.com", `/\evil.example.com`, `\/evil`, "/%2Fevil.example.com", "/%5Cevil",
		"javascript:alert(1)", "evil", "/\t/evil.example.com", "/\n/evil", " /x", "/x\r\nSet-Cookie: a=b", "http:///x", "/login", "/login/start", "/logout",
		"https:/evil", "/é", "@evil.example.com", "/" + strings.Repeat("x", 2000), "",
	} {
		b, _, _ := newVisitor(t, secure)
		state := b.begin("/login/start?return=" + url.QueryEscape(to))
		rec := b.get("/login/callback?code=admin&state=" + state)
		assert.Equal(t, 303, rec.Code)
		assert.Equal(t, "/", rec.Header().Get("Location"), "%q", to)
	}
	for _, to := range []string{"/incidents/k7f3q9", "/?q=severity%3D%22critical%22&page=2", "/runbooks/node%20down"} {
		b, _, _ := newVisitor(t, secure)
		rec := b.get("/login/callback?code=admin&state=" + b.begin("/login/start?return="+url.QueryEscape(to)))
		assert.Equal(t, to, rec.Header().Get("Location"))
	}
}

func TestTooManyLogins(t *testing.T) {
	t.Parallel()
	b, _, _ := newVisitor(t, secure)
	for range 30 {
		require.Equal(t, 303, b.get("/login/start").Code)
	}
	rec := b.get("/login/start")
	require.Equal(t, 429, rec.Code)
	assert.Equal(t, "2", rec.Header().Get("Retry-After"))
	assert.Equal(t, 303, b.get("/login/start", "Remote", "203.0.113.8:1").Code, "others may")
}

// Roles are asked for at each request: what the configuration takes away is away.
func TestRoleTakenAway(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{ExternalURL: secure})
	cookie := []string{"Cookie", "__Host-tocsin_session=session-viewer", "Accept", html, "Remote", "203.0.113.7:1"}
	require.Equal(t, 200, w.ask("GET", "/", "", cookie...).Code)
	s := k.sessions["session-viewer"]
	s.Identity.Name = "eve@example.com"
	k.sessions["session-viewer"] = s
	rec := w.ask("GET", "/", "", cookie...)
	assert.Equal(t, 403, rec.Code)
	assert.Contains(t, rec.Header().Get("Content-Type"), "text/html", "in a way that a person can read")

	for _, wrong := range []string{"tocsin_session=session-admin", "__Host-tocsin_session=session-admin; __Host-tocsin_session=x", "__Host-tocsin_session=", "session-admin"} {
		rec := w.ask("GET", "/api/v1/me", "", "Cookie", wrong)
		assert.Equal(t, 401, rec.Code, wrong)
		assert.Equal(t, []string{`Bearer realm="tocsin"`}, rec.Header().Values("WWW-Authenticate"), "no prompt stands in the way of the log-in")
	}
}
