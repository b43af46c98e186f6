package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// safe checks what every page must have, and that nothing from outside got
// through as it was.
func safe(t testing.TB, rec *httptest.ResponseRecorder) string {
	t.Helper()
	page := rec.Body.String()
	assert.Equal(t, "text/html; charset=UTF-8", rec.Header().Get("Content-Type"))
	assert.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	assert.Equal(t, "DENY", rec.Header().Get("X-Frame-Options"))
	policy := rec.Header().Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.Contains(t, policy, "frame-ancestors 'none'")
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	require.NotNil(t, style)
	sum := sha256.Sum256([]byte(style[1]))
	assert.Contains(t, policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "the browser would drop the style")
	for _, bad := range []string{"<script", "javascript:", "\u202e", "\x07", "ZgotmplZ", "<no value>"} {
		assert.NotContains(t, page, bad)
	}
	assert.True(t, strings.HasSuffix(strings.TrimSpace(page), "</html>"))
	return page
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	rec := w.ask("GET", "/", "")
	require.Equal(t, 200, rec.Code)
	page := safe(t, rec)
	assert.Contains(t, page, `href="/incidents/k7f3q9"`)
	assert.Contains(t, page, "Down&lt;script&gt;alert(1)&lt;/script&gt;⟨U&#43;202E⟩⟨U&#43;0007⟩")
	assert.Contains(t, page, "1h 30m")
	assert.Equal(t, []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, w.reader.filter.States)

	rec = w.ask("GET", "/incidents/k7f3q9", "")
	require.Equal(t, 200, rec.Code)
	page = safe(t, rec)
	for _, want := range []string{
		"Runbook: ", "ssh $NODE", "Not filled in: <code>$NODE</code>", `href="https://docs.example.com/?a=1&amp;b=2"`,
		"alertname=NodeDown", "channel_not_found", "up to date", "on its way, 3 failed attempts", "failed</span>",
		"2 firing of 120", "silenced", "Only the first 1 are shown", "opened&lt;script",
	} {
		assert.Contains(t, page, want)
	}

	rec = w.ask("GET", "/incidents/%3Cscript%3E", "")
	require.Equal(t, 404, rec.Code)
	safe(t, rec)

	empty := newWorld(t, server.Config{})
	assert.Contains(t, safe(t, empty.ask("GET", "/", "")), "Nothing is on fire")
	empty.reader.err = tocsin.ErrUnavailable
	rec = empty.ask("GET", "/", "")
	assert.Equal(t, 503, rec.Code)
	safe(t, rec)
}

func TestPagesOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "mine: "+r.URL.Path) })
	})
	assert.Equal(t, "mine: /", w.ask("GET", "/", "").Body.String())
	assert.Equal(t, "mine: /oncall/x", w.ask("GET", "/oncall/x", "").Body.String())
	assert.Equal(t, 403, w.ask("GET", "/oncall/x", "", "Remote", "203.0.113.9:1").Code)
	assert.Equal(t, 200, w.ask("GET", "/-/healthy", "").Code)
	assert.JSONEq(t, `{"incidents":[]}`, w.ask("GET", "/api/v1/incidents", "").Body.String())
}

// Every route is described, and every description is a route.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	rec := w.ask("GET", "/api/v1/openapi.json", "")
	require.Equal(t, 200, rec.Code)
	var doc struct {
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct {
			Schemas         map[string]any
			Responses       map[string]any
			SecuritySchemes map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &doc))

	described, ids := map[string]bool{}, map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			described[strings.ToUpper(method)+" "+path] = true
			assert.False(t, ids[op.OperationID], op.OperationID)
			ids[op.OperationID] = true
		}
	}
	for _, r := range w.Routes() {
		path := strings.Replace(r.Path, "/runbooks/*", "/runbooks/{id}", 1)
		path = regexp.MustCompile(`:(\w+)`).ReplaceAllString(path, "{$1}")
		key := r.Method + " " + path
		assert.True(t, described[key], "openapi.json lacks %s", key)
		delete(described, key)
	}
	assert.Empty(t, described, "openapi.json describes what is no route")

	for _, m := range regexp.MustCompile(`#/components/(\w+)/(\w+)`).FindAllStringSubmatch(rec.Body.String(), -1) {
		known := map[string]map[string]any{"schemas": doc.Components.Schemas, "responses": doc.Components.Responses}
		assert.Contains(t, known[m[1]], m[2])
	}
}

// What the types say is what the description says.
func TestOpenAPIMatchesTheTypes(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	inc := w.reader.detail.incident
	inc.GroupBy, inc.Suppression = []string{"a"}, &tocsin.Suppression{}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal(w.ask("GET", "/api/v1/openapi.json", "").Body.Bytes(), &doc))
	for schema, v := range map[string]any{
		"Incident": inc, "Delivery": inc.Deliveries[2], "Event": w.reader.detail.events[0], "AlertRecord": w.reader.detail.alerts[0],
		"AlertState": w.reader.detail.alerts[0].State, "Silence": tocsin.Silence{},
	} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(b, &fields))
		for f := range fields {
			assert.Contains(t, doc.Components.Schemas[schema].Properties, f, schema)
		}
	}
}
