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

// What to add is named where a silence could hide what is not the team's, and however
// the team's matcher is written it counts.
func TestSilencesThatATeamMakes(t *testing.T) {
	t.Parallel()
	w, all := teamWorld(t)
	put := func(role, body string) *httptest.ResponseRecorder {
		all.did = nil
		return askIn(w, role, "token", http.MethodPost, "/api/v1/silences", strings.Replace(body, "}", `,"endsAt":"2026-11-22T06:00:00Z","comment":"x"}`, 1))
	}
	for _, matchers := range []string{`["team=\"db\""]`, `["a=b","team=db"]`, `["\"team\"=db"]`} {
		require.Equal(t, 200, put("responder", `{"matchers":`+matchers+`}`).Code, matchers)
		assert.Len(t, all.did, 1)
	}
	for _, matchers := range []string{`["a=b"]`, `["team=web"]`, `["team=~db"]`, `["team=dbs"]`, `["team!=db","a=b"]`, `["Team=db"]`, `["alertname=\"team=\\\"db\\\"\""]`} {
		rec := put("manager", `{"matchers":`+matchers+`}`)
		require.Equal(t, 403, rec.Code, matchers)
		assert.Equal(t, "matchers", refusal(t, rec).Error.Field)
		assert.Equal(t, `add team="db"; your team's silences include it`, refusal(t, rec).Error.Message)
		assert.Empty(t, all.did)
	}
	rec := put("viewer", `{"matchers":["team=db"]}`)
	require.Equal(t, 403, rec.Code)
	assert.Contains(t, refusal(t, rec).Error.Message, "viewer in db")
	assert.Equal(t, 400, put("responder", `{"matchers":["team"]}`).Code, "what cannot be read is told first")

	assert.Equal(t, 200, put("responder", `{"id":"sildbs","matchers":["team=db","b=c"]}`).Code)
	assert.Equal(t, []string{"silence [team=db b=c] sildbs"}, all.did)
	assert.Equal(t, 403, put("responder", `{"id":"sildbs","matchers":["b=c"]}`).Code, "it stays the team's")
	assert.Empty(t, all.did)
	change := func(id string) string {
		rec := put("responder", `{"id":"`+id+`","matchers":["team=db"]}`)
		assert.Equal(t, 404, rec.Code)
		assert.Empty(t, all.did)
		return whole(rec, id)
	}
	assert.Equal(t, change("silnot"), change("silweb"), "nobody takes another's")

	v2 := func(method, path, body string) *httptest.ResponseRecorder {
		all.did = nil
		return askIn(w, "responder", "token", method, "/api/v2"+path, body)
	}
	times := `"startsAt":"2026-11-22T05:00:00Z","endsAt":"2026-11-22T06:00:00Z","comment":"x"`
	rec = v2(http.MethodPost, "/silences", `{"matchers":[{"name":"team","value":"db","isRegex":true}],`+times+`}`)
	assert.Equal(t, 403, rec.Code)
	assert.JSONEq(t, `{"code":403,"message":"matchers: add team=\"db\"; your team's silences include it"}`, rec.Body.String())
	assert.Empty(t, all.did)
	again := func(id string) string {
		rec := v2(http.MethodPost, "/silences", `{"id":"`+id+`","matchers":[{"name":"team","value":"db"}],`+times+`}`)
		assert.Equal(t, 404, rec.Code)
		assert.Empty(t, all.did)
		return whole(rec, id)
	}
	assert.Equal(t, again("silnot"), again("silweb"))
	assert.Equal(t, 200, v2(http.MethodPost, "/silences", `{"id":"sildbs","matchers":[{"name":"team","value":"db"}],`+times+`}`).Code)
	for _, path := range []string{"/api/v1/silences", "/api/v2/silences"} {
		body := askIn(w, "viewer", "token", http.MethodGet, path, "").Body.String()
		assert.Contains(t, body, "sildbs", path)
		assert.NotContains(t, body, "silweb", path)
	}
}

// If-Match and an Idempotency-Key tell nothing of other teams' silences.
func TestHeadersTellNothingOfSilences(t *testing.T) {
	t.Parallel()
	w, all := teamWorld(t)
	ask := func(id, header, value string) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/api/v1/silences/"+id, nil)
		r.RemoteAddr, r.Host = "[2001:db8::1]:1", "tocsin.example.com"
		r.Header.Set("Authorization", "Bearer tocsin_db_manager")
		r.Header.Set(header, value)
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		return whole(rec, id)
	}
	for _, h := range [][2]string{{"If-Match", `"x"`}, {"If-Match", "*"}, {"Idempotency-Key", "k"}} {
		assert.Equal(t, ask("silnot", h[0], h[1]), ask("silweb", h[0], h[1]), h)
		assert.Contains(t, ask("silweb", h[0], h[1]), "404")
	}
	assert.Empty(t, all.did)
	assert.Contains(t, ask("sildbs", "If-Match", `"x"`), "412")
	assert.Contains(t, ask("sildbs", "If-Match", "*"), "200")
}

// The page begins with the team's matchers, and counts what is theirs.
func TestSilencesPageOfATeam(t *testing.T) {
	t.Parallel()
	w, all := teamWorld(t)
	page := func(role, path string, code int) string {
		rec := askIn(w, role, "session", http.MethodGet, path, "")
		require.Equal(t, code, rec.Code, path)
		return rec.Body.String()
	}
	list := page("responder", "/silences", 200)
	for _, want := range []string{`href="/silences"`, ">team=&#34;db&#34;</textarea>", "sildbs", "/silences/sildbs/extend", "alerts</strong> of yours now", "your teams' silences"} {
		assert.Contains(t, list, want)
	}
	for _, no := range []string{"silweb", canary, "<details class=\"box\" id=\"new\" open"} {
		assert.NotContains(t, list, no)
	}
	look := page("viewer", "/silences", 200)
	assert.Contains(t, look, "sildbs")
	for _, no := range []string{`id="new"`, "/silences/sildbs/extend", "Again…", "team=&#34;db&#34;</textarea>"} {
		assert.NotContains(t, look, no)
	}
	preview := func(role, matchers string, code int) string {
		return page(role, "/silences/preview?comment=x&for=1h&matchers="+url.QueryEscape(matchers), code)
	}
	yes := preview("responder", "team=db, a=b", 200)
	assert.Contains(t, yes, "Now it would hide 2 firing alerts")
	assert.Contains(t, yes, "Counted is what is yours to look at")
	assert.Contains(t, yes, `<form method="post" action="/silences">`)
	assert.NotContains(t, yes, canary)
	assert.NotContains(t, yes, "4711", "how much fires elsewhere")
	no := preview("responder", "a=b", 403)
	assert.Contains(t, no, "<bdi>add team=&#34;db&#34;; your team&#39;s silences include it</bdi>")
	assert.Contains(t, no, "Nothing was silenced.")
	assert.NotContains(t, preview("viewer", "team=db", 200), `<form method="post" action="/silences">`)

	send := func(path, body string) int {
		all.did = nil
		return askIn(w, "responder", "session", http.MethodPost, path, body).Code
	}
	assert.Equal(t, 303, send("/silences", "matchers=team%3Ddb&comment=x&for=1h"))
	assert.Equal(t, []string{`silence [team="db"]`}, all.did)
	assert.Equal(t, 403, send("/silences", "matchers=a%3Db&comment=x&for=1h"))
	assert.Empty(t, all.did)
	assert.Equal(t, 303, send("/silences/sildbs/expire", "x=y"))
	assert.Equal(t, []string{"expire sildbs"}, all.did)

	admin := w.ask("GET", "/silences", "", "Authorization", "Bearer tocsin_admin").Body.String()
	assert.Contains(t, admin, "silweb")
	assert.NotContains(t, admin, "of yours")
	assert.NotContains(t, admin, "team=&#34;db&#34;</textarea>")
}

// A team that no silences are of has people who may do nothing with silences.
func TestATeamWithoutSilences(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{ExternalURL: secure, NoLocal: true}, newTwoTeams().everything, func(d *server.Deps) {
		d.Bearer = func(t tocsin.Token) tocsin.Principal {
			who := inTeam(t.Name, t.Role)
			who.Silences = nil
			return who
		}
	})
	k.tokens["tocsin_db_manager"] = tocsin.Token{ID: "t1", Name: "dora", Role: tocsin.RoleManager}
	for _, route := range []string{
		"GET /api/v1/silences", "GET /api/v1/silences/sildbs", "GET /api/v1/silences/preview", "POST /api/v1/silences", "DELETE /api/v1/silences/sildbs",
		"GET /api/v2/silences", "GET /api/v2/silence/sildbs", "POST /api/v2/silences", "DELETE /api/v2/silence/sildbs", "GET /silences", "GET /silences/preview",
		"POST /silences", "POST /silences/sildbs/expire", "POST /silences/sildbs/extend",
	} {
		method, path, _ := strings.Cut(route, " ")
		rec := askIn(w, "manager", "token", method, path, "")
		assert.Equal(t, 403, rec.Code, route)
		assert.Contains(t, rec.Body.String(), "in every team, or in one whose silence_matchers", route)
	}
	assert.NotContains(t, askIn(w, "manager", "token", http.MethodGet, "/", "").Body.String(), `href="/silences"`)
}
