package server_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

var asAdmin = []string{"Authorization", "Bearer tocsin_admin"}

func TestAccessPage(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{}, func(d *server.Deps) {
		d.System = func(context.Context) (server.System, error) { return server.System{}, nil }
		d.Audit = newAuditLog(t, 3)
	})
	k.tokens["x"] = tocsin.Token{
		ID: "t-evil", Name: "ci" + evil, Role: tocsin.RoleViewer, CreatedBy: "bo" + evil, CreatedAt: now.Add(-90 * 24 * time.Hour), ExpiresAt: now.Add(-time.Hour), UsedAt: now.Add(-2 * time.Hour),
	}
	k.sessions["y"] = tocsin.Session{ID: "s-evil", Identity: tocsin.Identity{Name: "eve" + evil}, Address: "203.0.113.7", Agent: "curl" + evil, SeenAt: now}
	rec := w.ask("GET", "/system/access", "", "Cookie", "tocsin_session=session-admin")
	page := safe(t, rec)
	for _, want := range []string{
		"ci&lt;script&gt;", `<span class="tag bad">expired</span>`, `action="/tokens/t-evil/revoke"`, `action="/sessions/s-evil/end"`, "eve&lt;script&gt;", "203.0.113.7",
		"this is you, here", "Never used", "does not expire",
	} {
		assert.Contains(t, page, want)
	}
	assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	assert.NotContains(t, page, "tocsin_viewer", "the tokens themselves are not known")

	for role, want := range map[string][2]bool{"viewer": {}, "manager": {true, false}, "admin": {true, true}} {
		page := safe(t, w.ask("GET", "/system", "", "Authorization", "Bearer tocsin_"+role))
		assert.Equal(t, want, [2]bool{strings.Contains(page, `href="/system/audit"`), strings.Contains(page, `href="/system/access"`)}, role)
	}
	empty := newWorld(t, server.Config{}, func(d *server.Deps) { d.Tokens, d.Sessions = &keeper{}, &keeper{} })
	page = safe(t, empty.ask("GET", "/system/access", ""))
	assert.Contains(t, page, "tocsin token create")
	assert.Contains(t, page, "Nobody is logged in")
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/system/access", "").Code)
}

func TestTokenFromThePage(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{}, func(d *server.Deps) { d.Teams = func() []string { return []string{"db", evil} } })
	rec := w.send("/tokens", formOf("name", " ci ", "role", "viewer", "days", "30", "team", "db"), asAdmin...)
	require.Equal(t, 200, rec.Code, rec.Body.String())
	page := safe(t, rec)
	assert.Contains(t, page, "tocsin_SHOWNONCE")
	assert.Equal(t, 1, strings.Count(page, "SHOWNONCE"))
	assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	assert.Contains(t, page, "2026-12-22 05:00:00 UTC")
	assert.Equal(t, []string{"page from 127.0.0.1"}, k.origins)
	assert.NotContains(t, w.log.String(), "SHOWNONCE")

	for name, fields := range map[string][]string{
		"odd":     {"name", "a\a", "role", "viewer"},
		"no team": {"name", "a", "role", "viewer", "team", "other<b>"},
		"no days": {"name", "a", "role", "viewer", "days", "9999"},
	} {
		rec := w.send("/tokens", formOf(fields...), asAdmin...)
		assert.Equal(t, 400, rec.Code, name)
		assert.Contains(t, safe(t, rec), `id="new-token" open`, name)
	}
	assert.Equal(t, 303, w.send("/tokens/t-viewer/revoke", formOf(), asAdmin...).Code)
	assert.Equal(t, 404, w.send("/tokens/nobody/revoke", formOf(), asAdmin...).Code)
	assert.Equal(t, 303, w.send("/sessions/s-viewer/end", formOf(), asAdmin...).Code)
	assert.Equal(t, 404, w.send("/sessions/s-viewer/end", formOf(), asAdmin...).Code)
	assert.Equal(t, 415, w.ask("POST", "/tokens", "{}", asAdmin...).Code)
}

// A form that is sent again, as a browser does that is told to reload, makes nothing
// more, and shows no secret.
func TestATokenFormIsSentOnce(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{}, func(d *server.Deps) {
		d.System = func(context.Context) (server.System, error) { return server.System{}, nil }
	})
	drawn := func() string {
		m := regexp.MustCompile(`name="once" value="([A-Z2-7]{26})"`).FindStringSubmatch(w.ask("GET", "/system/access", "", asAdmin...).Body.String())
		require.Len(t, m, 2)
		return m[1]
	}
	once := drawn()
	assert.NotEqual(t, once, drawn(), "each time another")
	send := func(name, once string) (int, string) {
		rec := w.send("/tokens", formOf("name", name, "role", "viewer", "days", "30", "once", once), asAdmin...)
		assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
		return rec.Code, safe(t, rec)
	}
	code, page := send("ci", once)
	require.Equal(t, 200, code)
	require.Contains(t, page, "SHOWNONCE")
	code, page = send("ci", once)
	assert.Equal(t, 409, code)
	assert.Contains(t, page, `href="/system/access#t-t00001"`)
	assert.NotContains(t, page, "SHOWNONCE")
	assert.Len(t, k.origins, 1)
	code, _ = send("other", once)
	assert.Equal(t, 200, code, "what somebody has changed is another form")
	code, _ = send("ci", drawn())
	assert.Equal(t, 200, code)
	assert.Len(t, k.origins, 3)
}
