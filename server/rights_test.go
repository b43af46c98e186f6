package server_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// Who may use a route, beside who has a right.
const (
	// anybody: it shows nothing that is worth hiding.
	anybody = "anybody"
	// itself: what is asked proves by itself that it may, by a signature or a state.
	itself = "itself"
)

// rights say who may use which route. Every route has an entry: one that is
// registered and is not here fails the test, and so does the reverse.
var rights = map[string]string{
	anybody: `
		GET /-/healthy
		HEAD /-/healthy
		GET /-/ready
		HEAD /-/ready
		GET /metrics
		GET /api/v1/openapi.yaml
		GET /assets/:name
		GET /status
		HEAD /status
		GET /status.json
		HEAD /status.json
		GET /login
		GET /login/start
		POST /logout`,
	itself: `
		POST /slack/events
		GET /graph/:file
		HEAD /graph/:file
		GET /login/callback`,
	string(tocsin.RightIntake): `
		POST /webhook/alertmanager
		POST /webhook/json/:name
		GET /heartbeat/:name
		POST /heartbeat/:name`,
	string(tocsin.RightView): `
		GET /api/v1/insights
		GET /api/v1/system
		GET /insights
		GET /system
		GET /api/v1/me
		GET /api/v1/events
		GET /api/v1/incidents
		GET /api/v1/incidents/:id
		GET /api/v1/incidents/:id/beside
		GET /api/v1/incidents/:id/postmortem
		GET /api/v1/incidents/:id/remedies
		GET /api/v1/incidents/:id/values
		GET /api/v1/incidents/:id/why
		GET /api/v1/oncall
		GET /api/v1/oncall/coverage
		GET /api/v1/oncall/fairness
		GET /api/v1/overrides
		GET /api/v1/overrides/:id
		GET /api/v1/remediations
		GET /api/v1/remediations/:id
		GET /api/v1/remedies
		GET /api/v1/runbooks
		GET /api/v1/runbooks-coverage
		GET /api/v1/runbooks/*
		GET /api/v1/schedules
		GET /api/v1/schedules/:name/calendar.ics
		GET /api/v1/shifts
		GET /api/v1/silences
		GET /api/v1/silences/:id
		GET /api/v1/silences/preview
		GET /api/v1/stats
		GET /api/v1/users/:name/calendar.ics
		GET /api/v2/alerts
		GET /api/v2/alerts/groups
		GET /api/v2/receivers
		GET /api/v2/silence/:id
		GET /api/v2/silences
		GET /api/v2/status
		GET /
		GET /events
		GET /incidents/:id
		GET /incidents/:id/beside
		GET /incidents/:id/graph.svg
		GET /incidents/:id/postmortem.md
		GET /incidents/:id/remedies/:name
		GET /incidents/:id/why
		GET /oncall
		GET /remediations
		GET /remediations/:id
		GET /runbooks
		GET /runbooks-coverage
		GET /runbooks/*
		GET /silences
		GET /silences/preview`,
	string(tocsin.RightRespond): `
		POST /api/v1/incidents
		POST /api/v1/incidents/:id/acknowledge
		POST /api/v1/incidents/:id/add-responder
		POST /api/v1/incidents/:id/channel
		POST /api/v1/incidents/:id/escalate
		POST /api/v1/incidents/:id/merge
		POST /api/v1/incidents/:id/note
		POST /api/v1/incidents/:id/reassign
		POST /api/v1/incidents/:id/remediate
		POST /api/v1/incidents/:id/resolve
		POST /api/v1/incidents/:id/severity
		POST /api/v1/incidents/:id/snooze
		POST /api/v1/incidents/:id/step
		POST /api/v1/incidents/:id/unmerge
		POST /api/v1/overrides
		POST /api/v1/overrides/:id/accept
		POST /api/v1/overrides/:id/cancel
		POST /api/v1/overrides/:id/decline
		POST /api/v1/remediations/:id/approve
		POST /api/v1/remediations/:id/deny
		POST /api/v1/remedies/resume
		POST /api/v1/remedies/stop
		POST /api/v1/silences
		DELETE /api/v1/silences/:id
		POST /api/v2/silences
		DELETE /api/v2/silence/:id
		POST /incidents/acknowledge
		POST /incidents/:id/acknowledge
		POST /incidents/:id/add-responder
		POST /incidents/:id/channel
		POST /incidents/:id/escalate
		POST /incidents/:id/merge
		POST /incidents/:id/note
		POST /incidents/:id/reassign
		POST /incidents/:id/remediate
		POST /incidents/:id/resolve
		POST /incidents/:id/severity
		POST /incidents/:id/snooze
		POST /incidents/:id/step
		POST /incidents/:id/unmerge
		POST /remediations/:id/approve
		POST /remediations/:id/deny
		POST /remedies/resume
		POST /remedies/stop
		POST /overrides
		POST /overrides/:id/accept
		POST /overrides/:id/cancel
		POST /overrides/:id/decline
		POST /silences
		POST /silences/:id/expire
		POST /silences/:id/extend`,
	string(tocsin.RightManage): `
		GET /api/v1/audit
		GET /api/v1/audit/verify
		GET /system/audit
		POST /audit/verify`,
	string(tocsin.RightAdmin): `
		POST /-/reload
		GET /api/v1/backup
		GET /api/v1/tokens
		POST /api/v1/tokens
		DELETE /api/v1/tokens/:id
		GET /api/v1/sessions
		DELETE /api/v1/sessions/:id
		GET /system/access
		POST /tokens
		POST /tokens/:id/revoke
		POST /sessions/:id/end`,
}

// may is what each may do: who has no role, and each role.
var may = map[string][]string{
	"":          nil,
	"viewer":    {"view"},
	"responder": {"view", "respond"},
	"manager":   {"view", "respond", "manage"},
	"admin":     {"view", "respond", "manage", "admin", "intake"},
	"intake":    {"intake"},
}

// routesByRight is the table the other way round.
func routesByRight(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for right, routes := range rights {
		for line := range strings.Lines(routes) {
			if route := strings.TrimSpace(line); route != "" {
				assert.NotContains(t, out, route, "listed twice")
				out[route] = right
			}
		}
	}
	return out
}

// TestRoleByEndpoint asks every route that is registered as everybody.
func TestRoleByEndpoint(t *testing.T) {
	t.Parallel()
	w, k, _ := guarded(t, server.Config{
		ExternalURL: secure, NoLocal: true, Intake: server.Auth{Tokens: []string{"only-intake"}}, Limits: server.Limits{Requests: 1_000_000},
		API: []server.Token{{Name: "ops", Token: "admin-of-the-configuration"}, {Name: "wall", Token: "viewer-of-the-configuration", Role: tocsin.RoleViewer}},
	}, func(d *server.Deps) {
		d.JSON = func(context.Context, string, []byte) (int, error) { return 0, nil }
		d.Heartbeat = func(context.Context, string) error { return nil }
		d.Remedies, d.Remediator = &medicine{}, &medicine{}
		d.Callbacks = map[string]http.Handler{"/slack/events": http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) })}
	})
	k.frozen = true
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered}
	want := routesByRight(t)
	missing := maps.Clone(want)
	for _, r := range w.Routes() {
		route := r.Method + " " + r.Path
		right, listed := want[route]
		if strings.HasPrefix(r.Method, "echo_") { // echo's own answer for what is no route
			continue
		}
		assert.True(t, listed, "%s has no entry: say in rights who may use it", route)
		delete(missing, route)
		for role, has := range may {
			for how, header := range proofs(role) {
				got := answerTo(w, r.Method, r.Path, header)
				switch {
				case right == itself:
				case right == "intake" && how != "a token" && how != "a password": // a sender has a token of its own
					assert.Equal(t, 401, got, "%s as %q by %s", route, role, how)
				case right == anybody || slices.Contains(has, right):
					assert.NotContains(t, []int{401, 403, 429}, got, "%s as %q by %s", route, role, how)
				case role == "" || right == "intake":
					assert.Equal(t, 401, got, "%s as %q by %s", route, role, how)
				default:
					assert.Equal(t, 403, got, "%s as %q by %s", route, role, how)
				}
			}
		}
	}
	assert.Empty(t, missing, "these are not registered")
}

// proofs are the ways to show that one has a role.
func proofs(role string) map[string][]string {
	if role == "" {
		return map[string][]string{
			"nothing": nil, "a wrong token": {"Authorization", "Bearer tocsin_wrong"}, "a wrong cookie": {"Cookie", "__Host-tocsin_session=wrong"},
			"the proxy's header": {"X-Forwarded-User", "admin"}, "this machine's header": {"X-Tocsin-User", "admin"},
			"a token of the intake": {"Authorization", "Basic b25seS1pbnRha2U="},
		}
	}
	token := "tocsin_" + role
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("anybody", token)
	all := map[string][]string{"a token": {"Authorization", "Bearer " + token}}
	if role != "intake" {
		all["a password"] = []string{"Authorization", r.Header.Get("Authorization")}
		all["a session"] = []string{"Cookie", "__Host-tocsin_session=session-" + role}
	}
	if role == "viewer" || role == "admin" {
		all["a token of the configuration"] = []string{"Authorization", "Bearer " + role + "-of-the-configuration"}
	}
	return all
}

func answerTo(w *world, method, path string, header []string) int {
	path = strings.NewReplacer("/remediations/:id", "/remediations/r1", ":id", "k7f3q9", ":name", "x", ":file", "x.png", "*", "x").Replace(path)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // streams do not end by themselves
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader("{}"))
	r.RemoteAddr, r.Host = fmt.Sprintf("[2001:db8:%x::1]:1", rand.Uint32N(1<<16)), "tocsin.example.com" // who guesses from one network is soon refused
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec.Code
}
