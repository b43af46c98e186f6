package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

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
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"} {
		assert.Contains(t, policy, want)
	}
	assert.NotContains(t, policy, "unsafe")
	assert.Regexp(t, `<script src="/assets/app-[0-9a-f]{16}\.js" defer></script>`, page)
	assert.Regexp(t, `<link rel="stylesheet" href="/assets/style-[0-9a-f]{16}\.css">`, page)
	assert.Regexp(t, `<script src="/assets/times-[0-9a-f]{16}\.js" defer></script>`, page)
	assert.Equal(t, 2, strings.Count(page, "<script"), "the policy would not run another")
	assertTimesMarked(t, page)
	assert.NotRegexp(t, `(?i)<style|\sstyle=|<[^>]*\son\w+=`, page, "the policy would drop it")
	for _, bad := range []string{"javascript:", "\u202e", "\x07", "ZgotmplZ", "<no value>"} {
		assert.NotContains(t, page, bad)
	}
	assert.True(t, strings.HasSuffix(strings.TrimSpace(page), "</html>"))
	return regexp.MustCompile(`</?time[^>]*>`).ReplaceAllString(page, "")
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
		"alertname=NodeDown", "channel_not_found", "up to date", "sent</span>, up to date", "known there as <code>x</code>", "an update is queued, 3 failed attempts", "failed</span>",
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

func TestIncidentPageTellsWhoIsCalled(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Ahead = func(*tocsin.Incident) []tocsin.Ahead {
			return []tocsin.Ahead{{At: now.Add(time.Minute), Text: "bo by PagerDuty" + evil}}
		}
	})
	inc := w.reader.detail.incident
	inc.MergedInto, inc.Text = "abc123", "what a notice says"+evil
	inc.Escalation = &tocsin.Escalation{
		SnoozedUntil: now.Add(2 * time.Hour), RemindAt: now.Add(3 * time.Hour), ReturnAt: now.Add(4 * time.Hour),
		Responders: []tocsin.Responder{
			{User: "ana" + evil, At: now, Calls: 2, Acknowledged: now.Add(time.Second)},
			{User: "bo", At: now, Calls: 1, Must: true},
			{User: "cy", At: now, Calls: 1, Unreachable: true},
		},
	}
	inc.Deliveries = append(inc.Deliveries, tocsin.Delivery{Target: "email:@bo", User: "bo", Stopped: true})
	page := safe(t, w.ask("GET", "/incidents/k7f3q9", ""))
	for _, want := range []string{
		"If nobody answers", "2026-11-22 05:01:00 UTC <bdi>bo by PagerDuty&lt;script", "until 2026-11-22 07:00:00 UTC",
		"2026-11-22 08:00:00 UTC", "2026-11-22 09:00:00 UTC", `href="/incidents/abc123"`, "what a notice says&lt;script",
		"<bdi>ana&lt;script", "2026-11-22 05:00:01 UTC", "must answer", "not yet", "unreachable: every way failed", "stopped: somebody answered",
	} {
		assert.Contains(t, page, want)
	}
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

// Whoever types a wrong address into a browser reads a page, and programs read
// what programs do.
func TestErrorsAreForWhoReadsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	rec := w.ask("GET", "/nothing", "", "Accept", "text/html,application/xhtml+xml")
	assert.Equal(t, 404, rec.Code)
	safe(t, rec)
	rec = w.ask("GET", "/", "", "Accept", "text/html", "Remote", "203.0.113.9:1")
	assert.Equal(t, 403, rec.Code)
	assert.NotContains(t, safe(t, rec), "/runbooks", "who may not look is shown no way in")
	assert.Equal(t, "application/problem+json", w.ask("GET", "/nothing", "").Header().Get("Content-Type"))
	assert.Equal(t, "application/problem+json", w.ask("GET", "/api/v1/nothing", "", "Accept", "text/html").Header().Get("Content-Type"))
}

// Files of the pages never change under one address, and are for everybody: the
// page of the log-in needs them.
func TestAssets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	page := w.ask("GET", "/", "").Body.String()
	for _, ext := range []string{"css", "js", "svg"} {
		path := regexp.MustCompile(`/assets/\w+-[0-9a-f]{16}\.` + ext).FindString(page)
		require.NotEmpty(t, path)
		rec := w.ask("GET", path, "", "Remote", "203.0.113.9:1")
		require.Equal(t, 200, rec.Code, path)
		assert.Contains(t, rec.Header().Get("Cache-Control"), "immutable")
		assert.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
		assert.Less(t, rec.Body.Len(), 32<<10)
	}
	assert.Equal(t, 404, w.ask("GET", "/assets/app.js", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/assets/..%2fpages.go", "").Code)
}
