package server_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// askIn asks as somebody of the team db with a role. An empty body: what the route
// wants.
func askIn(w *world, role, how, method, path, body string) *httptest.ResponseRecorder {
	page := !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/-/")
	plain, _, _ := strings.Cut(path, "?")
	if method == http.MethodPost && body == "" {
		what := plain[strings.LastIndexByte(plain, '/')+1:]
		if strings.HasPrefix(plain, "/api/v2/") {
			what = "v2 " + what
		}
		body = asked[what][map[bool]int{true: 1}[page]]
		if body == "" && !page {
			body = "{}"
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // streams do not end by themselves
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "[2001:db8::1]:1", "tocsin.example.com"
	r.Header.Set("Content-Type", map[bool]string{true: "application/x-www-form-urlencoded", false: "application/json"}[page])
	if page {
		r.Header.Set("Accept", html)
	}
	if how == "session" {
		r.Header.Set("Cookie", "__Host-tocsin_session=session-db-"+role)
	} else {
		r.Header.Set("Authorization", "Bearer tocsin_db_"+role)
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

var (
	requestID = regexp.MustCompile(`"instance":"[^"]*"`)
	nonces    = regexp.MustCompile(`name="nonce" value="\w+"`)
)

// whole is an answer without what differs from one request to the next, and with
// an ID left out.
func whole(rec *httptest.ResponseRecorder, id string) string {
	h := rec.Header().Clone()
	h.Del("X-Request-Id")
	text := fmt.Sprint(rec.Code, " ", h, "\n", rec.Body)
	text = nonces.ReplaceAllString(requestID.ReplaceAllString(text, ""), "")
	return strings.ReplaceAll(strings.ReplaceAll(text, url.PathEscape(id), "ID"), id, "ID")
}

// routesInTeams is rightsInTeams the other way round.
func routesInTeams(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for kind, routes := range rightsInTeams {
		for line := range strings.Lines(routes) {
			if route := strings.TrimSpace(line); route != "" {
				assert.NotContains(t, out, route, "listed twice")
				out[route] = kind
			}
		}
	}
	return out
}

func pathOf(path, id string) string {
	path = strings.NewReplacer(":id", url.PathEscape(id), "*", "db.md%23down").Replace(path)
	if strings.HasSuffix(path, "/silences/preview") {
		path += "?matcher=team%3Ddb&comment=x&matchers=team%3Ddb"
	}
	if strings.Contains(path, "/remedies/") {
		id = "restart"
	}
	return strings.Replace(path, ":name", url.PathEscape(id), 1)
}

// TestTeamByEndpoint asks every route that wants a right as people whose roles are in
// one team alone, about what is theirs, what is another team's, and what is not.
func TestTeamByEndpoint(t *testing.T) {
	t.Parallel()
	w, _ := teamWorld(t)
	kinds, needs := routesInTeams(t), routesByRight(t)
	missing := maps.Clone(kinds)
	for _, r := range w.Routes() {
		route := r.Method + " " + r.Path
		right := needs[route]
		if strings.HasPrefix(r.Method, "echo_") || slices.Contains([]string{anybody, itself, "intake"}, right) {
			continue
		}
		kind, listed := kinds[route]
		assert.True(t, listed, "%s has no entry: say in rightsInTeams what it is to people of one team", route)
		delete(missing, route)
		for role, how := range map[string]string{"viewer": "token", "responder": "session", "manager": "token"} {
			may := slices.Contains(may[role], right)
			got := askIn(w, role, how, r.Method, pathOf(r.Path, ours), "").Code
			switch {
			case kind == closed || kind == open && !may:
				assert.Equal(t, 403, got, "%s as %s", route, role)
				continue
			case kind == open:
				assert.Less(t, got, 400, "%s as %s", route, role)
				continue
			}
			of := things[kind]
			own := askIn(w, role, how, r.Method, pathOf(r.Path, of.ours), "").Code
			other, none := askIn(w, role, how, r.Method, pathOf(r.Path, of.theirs), ""), askIn(w, role, how, r.Method, pathOf(r.Path, of.nowhere), "")
			if may && !(kind == "override" && strings.HasSuffix(route, "cancel") && role == "responder") { // somebody else's
				assert.Less(t, own, 400, "%s as %s", route, role)
			} else {
				assert.Equal(t, 403, own, "%s as %s", route, role)
			}
			if kind == "override" && !may {
				assert.Equal(t, 403, other.Code, "%s as %s", route, role)
			} else {
				assert.Equal(t, 404, other.Code, "%s as %s", route, role)
			}
			assert.Equal(t, whole(none, of.nowhere), whole(other, of.theirs), "%s as %s: another team's is as if it were not there", route, role)
		}
	}
	assert.Empty(t, missing, "these are not registered, or want no right")
}

// TestNothingOfOtherTeams asks everything that can be asked without a change, and
// looks for what is another team's.
func TestNothingOfOtherTeams(t *testing.T) {
	t.Parallel()
	w, _ := teamWorld(t)
	quiet := func(role, path, asked string) {
		rec := askIn(w, role, "token", http.MethodGet, path, "")
		text := strings.ReplaceAll(fmt.Sprint(rec.Header(), rec.Body), asked, "")
		assert.NotContains(t, text, canary, "%s as %s", path, role)
		assert.NotContains(t, text, theirs, "%s as %s", path, role)
	}
	for _, role := range []string{"viewer", "responder", "manager"} {
		for _, r := range w.Routes() {
			if r.Method != http.MethodGet {
				continue
			}
			for _, of := range things {
				quiet(role, pathOf(r.Path, of.ours), "no")
				quiet(role, pathOf(r.Path, of.theirs), of.theirs)
			}
			quiet(role, pathOf(r.Path, calling), "no")
		}
		for _, path := range []string{
			"/?part=list", "/?q=secret%3D~%22of.%2B%22", "/?state=all&sort=severity", "/?part=list&q=alertname%3DDown&mine=yes",
			"/api/v1/incidents?filter=alertname%3DDown&archived=true", "/api/v1/incidents?notices=true&limit=1", "/api/v1/remediations?incident=" + ours,
			"/api/v2/alerts?receiver=.*", "/api/v2/alerts/groups?receiver=web.*", "/oncall?weeks=8", "/api/v1/oncall?at=2026-11-22T05:00:00Z", "/api/v1/events?after=0",
			"/api/v1/shifts?user=dora", "/api/v1/shifts?schedule=db-primary", "/insights?weeks=26", "/incidents/" + ours + "/remedies/restart",
		} {
			quiet(role, path, "no")
		}
		quiet(role, "/api/v1/remediations?incident="+theirs, theirs)
		for _, path := range []string{"/api/v1/shifts?schedule=", "/api/v1/oncall?schedule=", "/oncall?schedule="} {
			other := askIn(w, role, "token", http.MethodGet, path+"web-"+canary, "")
			assert.Equal(t, 404, other.Code, path)
			assert.Equal(t, whole(askIn(w, role, "token", http.MethodGet, path+"web-nobody", ""), "web-nobody"), whole(other, "web-"+canary), path)
		}
	}
	rec := askIn(w, "responder", "token", http.MethodGet, "/api/v1/events?after=0", "")
	assert.Contains(t, rec.Body.String(), "event of "+ours)
	assert.Contains(t, rec.Body.String(), "event of "+calling)
	rec = askIn(w, "manager", "session", http.MethodGet, "/?part=list", "")
	assert.Contains(t, rec.Body.String(), "2 incidents")
	admin := w.ask("GET", "/?part=list", "", "Authorization", "Bearer tocsin_admin")
	assert.Contains(t, admin.Body.String(), "3 incidents", "and others see their own list, not that one")
	assert.Contains(t, askIn(w, "manager", "session", http.MethodGet, "/?part=list", "").Body.String(), "2 incidents")
}

// What somebody does keeps to their team, too: what they name beside the path's ID.
func TestWhatPeopleOfATeamDo(t *testing.T) {
	t.Parallel()
	w, all := teamWorld(t)
	post := func(path, body string) *httptest.ResponseRecorder {
		all.did = nil
		return askIn(w, "responder", "token", http.MethodPost, path, body)
	}
	say := func(rec *httptest.ResponseRecorder, code int, field string) {
		t.Helper()
		require.Equal(t, code, rec.Code, rec.Body)
		assert.Equal(t, field, refusal(t, rec).Error.Field)
		assert.Empty(t, all.did)
	}
	into := func(id string) string {
		return whole(post("/api/v1/incidents/"+ours+"/merge", `{"into":"`+id+`"}`), id)
	}
	assert.Equal(t, into(nowhere), into(theirs))
	say(post("/api/v1/incidents/"+ours+"/merge", `{"into":"`+theirs+`"}`), 400, "into")
	assert.Equal(t, 400, post("/incidents/"+ours+"/merge", "into="+theirs).Code)
	assert.Empty(t, all.did)
	assert.Equal(t, 200, post("/api/v1/incidents/"+ours+"/merge", `{"into":"`+calling+`"}`).Code)

	require.Equal(t, 200, post("/api/v1/incidents", `{"title":"x","key":"k"}`).Code)
	assert.Equal(t, []string{`open [db] k for ["db"]`}, all.did, "their only receiver; no other team's incident has the key")
	say(post("/api/v1/incidents", `{"title":"x","receivers":["db","web"]}`), 400, "receivers")
	other := func(name string) string {
		return whole(post("/api/v1/overrides", `{"schedule":"`+name+`","user":"dora","to":"2026-11-22T06:00:00Z"}`), name)
	}
	assert.Equal(t, other("web-nobody"), other("web-"+canary))
	say(post("/api/v1/overrides", `{"schedule":"web","user":"dora","to":"2026-11-22T06:00:00Z"}`), 400, "schedule")
	say(post("/api/v1/overrides", `{"schedule":"db-primary","user":"di","to":"2026-11-22T06:00:00Z"}`), 403, "user")
	assert.Equal(t, 200, askIn(w, "manager", "token", http.MethodPost, "/api/v1/overrides", `{"schedule":"db-primary","user":"di","to":"2026-11-22T06:00:00Z"}`).Code)
	assert.Equal(t, 200, post("/api/v1/overrides/ovdora/accept", "").Code, "it names them")
	assert.Equal(t, 200, askIn(w, "responder", "token", http.MethodGet, "/api/v1/overrides/ovdora", "").Code)

	rec := post("/incidents/acknowledge", "id="+theirs+"&id="+ours+"&id="+nowhere)
	assert.Equal(t, 303, rec.Code)
	assert.Equal(t, []string{"acknowledge " + ours}, all.did)
	rec = askIn(w, "viewer", "token", http.MethodPost, "/api/v1/incidents/"+calling+"/acknowledge", "")
	assert.Equal(t, 200, rec.Code, "it calls them: they can answer")
	rec = askIn(w, "viewer", "token", http.MethodPost, "/api/v1/incidents/"+ours+"/acknowledge", "")
	assert.Contains(t, refusal(t, rec).Error.Message, "viewer in db")

	rec = askIn(w, "manager", "token", http.MethodGet, "/api/v1/me", "")
	assert.JSONEq(t, `{"name":"dora","role":"none","rights":[],"via":"API","teams":{"db":"manager"}}`, rec.Body.String())
}

// The pages offer what somebody may do, and nothing else.
func TestPagesOfATeam(t *testing.T) {
	t.Parallel()
	w, _ := teamWorld(t)
	page := func(role, path string) string {
		rec := askIn(w, role, "session", http.MethodGet, path, "")
		require.Equal(t, 200, rec.Code, path)
		return rec.Body.String()
	}
	for path, want := range map[string]struct{ responder, viewer []string }{
		"/":                            {[]string{`id="bulk"`, `href="/oncall"`, `href="/remediations"`}, nil},
		"/incidents/" + ours:           {[]string{"do-acknowledge"}, nil},
		"/incidents/" + calling:        {[]string{"do-acknowledge"}, []string{"do-acknowledge"}},
		"/remediations/" + ours + "-r": {[]string{"approve-"}, nil},
		"/oncall":                      {[]string{`action="/overrides"`}, nil},
	} {
		as, look := page("responder", path), page("viewer", path)
		for _, text := range want.responder {
			assert.Contains(t, as, text, path)
			if text[0] != 'h' && !slices.Contains(want.viewer, text) {
				assert.NotContains(t, look, text, path)
			}
		}
		for _, text := range want.viewer {
			assert.Contains(t, look, text, path)
		}
		for _, text := range []string{`href="/system"`, `action="/remedies/stop"`} {
			assert.NotContains(t, as, text, path)
		}
	}
	assert.NotContains(t, page("manager", "/remediations"), `action="/remedies/stop"`)
}

// Who may look at everything, and is in a team that nothing is of, may do what they
// could before there were rights in teams; and answer what calls them.
func TestRolesStayWhatTheyWere(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{ExternalURL: secure, NoLocal: true}, newTwoTeams().everything, func(d *server.Deps) {
		d.Bearer = func(t tocsin.Token) tocsin.Principal {
			return tocsin.Principal{Name: "dora", Role: t.Role, Teams: map[string]tocsin.Role{"policy": tocsin.RoleResponder}}
		}
	})
	k.tokens["tocsin_db_look"] = tocsin.Token{ID: "t1", Name: "dora", Role: tocsin.RoleViewer}
	for _, path := range []string{
		"/api/v1/incidents", "/api/v1/incidents/" + ours + "/acknowledge", "/incidents/" + ours + "/note", "/incidents/acknowledge", "/api/v1/overrides",
		"/api/v1/overrides/ovdora/accept", "/remediations/" + ours + "-r/approve",
	} {
		assert.Equal(t, 403, askIn(w, "look", "token", http.MethodPost, path, "").Code, path)
	}
	assert.Equal(t, 200, askIn(w, "look", "token", http.MethodPost, "/api/v1/incidents/"+calling+"/acknowledge", "").Code)
	for id, does := range map[string]bool{ours: false, calling: true} {
		rec := askIn(w, "look", "token", http.MethodGet, "/incidents/"+id, "")
		require.Equal(t, 200, rec.Code)
		assert.Equal(t, does, strings.Contains(rec.Body.String(), "do-acknowledge"), id)
	}
	for _, path := range []string{"/", "/silences", "/system", "/oncall"} {
		rec := askIn(w, "look", "token", http.MethodGet, path, "")
		assert.Equal(t, 200, rec.Code, path)
		assert.Contains(t, rec.Body.String(), "may only look", path)
	}
}
