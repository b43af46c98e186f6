package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// manyIncidents are those of a store, each with one alert.
type manyIncidents struct {
	reader
	mu    sync.Mutex
	list  []*tocsin.Incident
	of    map[string][]tocsin.AlertRecord
	reads int
	fails error
}

func (r *manyIncidents) List(context.Context, tocsin.Filter) ([]*tocsin.Incident, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*tocsin.Incident(nil), r.list...), r.fails
}

func (r *manyIncidents) AlertsOf(_ context.Context, id string, _ int) ([]tocsin.AlertRecord, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	return r.of[id], r.fails
}

func (r *manyIncidents) put(id, service string, alert, incident tocsin.Severity, at time.Time, by *tocsin.Suppression) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, &tocsin.Incident{ID: id, Revision: 1, State: tocsin.Triggered, Severity: incident, Firing: 1, Title: "zebra-title " + id})
	if r.of == nil {
		r.of = map[string][]tocsin.AlertRecord{}
	}
	r.of[id] = []tocsin.AlertRecord{{
		Alert: tocsin.Alert{Labels: tocsin.Labels{"service": service, "host": "zebra-label"}},
		State: tocsin.AlertState{Firing: true, Severity: alert, ChangedAt: at, Suppression: by},
	}}
}

type publicStatus struct {
	Title, Status string
	Components    []struct {
		Name, Description, Status string
		Since                     *time.Time
	}
	UpdatedAt time.Time
}

// statusWorld has a page of two components, and a clock to turn.
func statusWorld(t *testing.T, page *server.StatusPage) (*world, *manyIncidents, *time.Time) {
	r, clock := &manyIncidents{}, now
	w := newWorld(t, server.Config{API: []server.Token{{Name: "ana", Token: "secret-of-ana-0001"}}}, func(d *server.Deps) {
		d.Reader, d.Now = r, func() time.Time { return clock }
		d.StatusPage = func() *server.StatusPage { return page }
	})
	return w, r, &clock
}

func examplePage() *server.StatusPage {
	return &server.StatusPage{Title: "Us & <you>", Components: []server.StatusComponent{
		{Name: "Payments", Description: "Paying", Matchers: []string{`service="payments"`}},
		{Name: "Search", Matchers: []string{`service=~"search|index"`}, Degraded: tocsin.Info, Down: tocsin.Error},
	}}
}

func (w *world) publicStatus(t *testing.T) publicStatus {
	t.Helper()
	rec := w.ask("GET", "/status.json", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	return decode[publicStatus](t, rec.Body.Bytes())
}

func TestThePublicStatusIsOffByDefault(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*server.Deps){
		func(*server.Deps) {},
		func(d *server.Deps) { d.StatusPage = func() *server.StatusPage { return nil } },
	} {
		w := newWorld(t, server.Config{}, change)
		assert.Equal(t, 404, w.ask("GET", "/status.json", "").Code)
		assert.Equal(t, 404, w.ask("GET", "/status", "").Code)
	}
}

func TestThePublicStatus(t *testing.T) {
	t.Parallel()
	w, r, clock := statusWorld(t, examplePage())
	v := w.publicStatus(t)
	assert.Equal(t, "operational", v.Status)
	assert.Equal(t, "Us & <you>", v.Title)
	require.Len(t, v.Components, 2)
	assert.Nil(t, v.Components[0].Since)
	assert.Equal(t, "Paying", v.Components[0].Description)

	r.put("a", "payments", tocsin.Warning, tocsin.Warning, now.Add(-3*time.Hour), nil)
	assert.Equal(t, "operational", w.publicStatus(t).Status, "it may be 15 seconds old")
	*clock = clock.Add(15 * time.Second)
	v = w.publicStatus(t)
	assert.Equal(t, "degraded", v.Status)
	assert.Equal(t, "degraded", v.Components[0].Status)
	assert.Equal(t, now.Add(-3*time.Hour), *v.Components[0].Since)

	r.put("b", "payments", tocsin.Critical, tocsin.Critical, now.Add(-time.Hour), nil)
	r.put("c", "payments", tocsin.Critical, tocsin.Critical, now.Add(-2*time.Hour), &tocsin.Suppression{Reason: tocsin.Inhibited})
	r.put("d", "payments", tocsin.Critical, tocsin.Critical, now.Add(-4*time.Hour), &tocsin.Suppression{Reason: tocsin.Silenced})
	r.put("e", "index", tocsin.Critical, tocsin.Info, now.Add(-time.Minute), nil)
	r.put("f", "other", tocsin.Critical, tocsin.Critical, now, nil)
	*clock = clock.Add(15 * time.Second)
	v = w.publicStatus(t)
	assert.Equal(t, "down", v.Status)
	assert.Equal(t, "down", v.Components[0].Status)
	assert.Equal(t, now.Add(-2*time.Hour), *v.Components[0].Since, "since it is down: what is inhibited counts, what is silenced does not")
	assert.Equal(t, "degraded", v.Components[1].Status, "somebody has lowered the incident's severity")
}

func TestThePublicStatusTellsNothingElse(t *testing.T) {
	t.Parallel()
	w, r, _ := statusWorld(t, examplePage())
	r.put("zebra-id", "payments", tocsin.Critical, tocsin.Critical, now, nil)
	for path, kind := range map[string]string{"/status": "text/html; charset=utf-8", "/status.json": "application/json"} {
		rec := w.ask("GET", path, "", "Remote", "203.0.113.9:4711", "Host", "anybody.example.com", "X-Forwarded-For", "198.51.100.7")
		require.Equal(t, 200, rec.Code, "anybody, from anywhere")
		body := rec.Body.String()
		assert.NotContains(t, body, "zebra")
		assert.NotContains(t, body, "payments", "no matchers")
		assert.Contains(t, body, "Payments")
		assert.Empty(t, rec.Result().Cookies())
		assert.Equal(t, kind, rec.Header().Get("Content-Type"))
		assert.Equal(t, "public, max-age=15", rec.Header().Get("Cache-Control"))
		assert.Equal(t, path == "/status", rec.Header().Get("Refresh") == "60", "a page is shown anew by itself")
		assert.Contains(t, rec.Header().Get("Content-Security-Policy"), "default-src 'none'")
		assert.Equal(t, 200, w.ask("HEAD", path, "").Code)
	}
	page := w.ask("GET", "/status", "").Body.String()
	assert.Contains(t, page, "Us &amp; &lt;you&gt;")
	assert.Contains(t, page, "down")
	assert.Equal(t, 1, strings.Count(page, "<script"), "the one that shows times on the reader's clock")
	assertTimesMarked(t, page)
	assert.NotContains(t, page, `href="/"`, "nothing leads inside")
}

func TestThePublicStatusIsCheap(t *testing.T) {
	t.Parallel()
	w, r, clock := statusWorld(t, examplePage())
	r.put("a", "payments", tocsin.Critical, tocsin.Critical, now, nil)
	first := w.ask("GET", "/status.json", "")
	tag := first.Header().Get("ETag")
	require.True(t, strings.HasPrefix(tag, `W/"`), tag)
	for range 50 {
		assert.Equal(t, 304, w.ask("GET", "/status", "", "If-None-Match", tag).Code)
	}
	assert.Equal(t, 1, r.reads)
	*clock = clock.Add(time.Hour)
	assert.Equal(t, 304, w.ask("GET", "/status.json", "", "If-None-Match", tag).Code, "nothing has changed but the time")
	assert.Equal(t, 1, r.reads, "an incident is read again when it has changed")
	r.mu.Lock()
	r.list[0] = &tocsin.Incident{ID: "a", Revision: 2, State: tocsin.Triggered, Severity: tocsin.Critical}
	r.mu.Unlock()
	*clock = clock.Add(time.Hour)
	assert.Equal(t, 200, w.ask("GET", "/status.json", "", "If-None-Match", tag).Code)
	assert.Equal(t, "operational", w.publicStatus(t).Status, "nothing of it fires any more")
}

func TestThePublicStatusOutlivesTheStore(t *testing.T) {
	t.Parallel()
	w, r, clock := statusWorld(t, examplePage())
	r.fails = errors.New("zebra-reason")
	rec := w.ask("GET", "/status.json", "")
	assert.Equal(t, 503, rec.Code)
	assert.NotContains(t, rec.Body.String(), "zebra")
	r.fails = nil
	r.put("a", "payments", tocsin.Critical, tocsin.Critical, now, nil)
	assert.Equal(t, "down", w.publicStatus(t).Status)
	*clock = clock.Add(time.Minute)
	r.fails = errors.New("zebra-reason")
	v := w.publicStatus(t)
	assert.Equal(t, "down", v.Status)
	assert.Equal(t, now, v.UpdatedAt, "it says how old it is")
	assert.Contains(t, w.log.String(), "could not be brought up to date")
}

func TestThePublicStatusFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	page := examplePage()
	r := &manyIncidents{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Reader, d.StatusPage = r, func() *server.StatusPage { return page }
	})
	r.put("a", "mail", tocsin.Critical, tocsin.Critical, now, nil)
	assert.Equal(t, "operational", w.publicStatus(t).Status)
	page = &server.StatusPage{Title: "New", Components: []server.StatusComponent{{Name: "Mail", Matchers: []string{"service=mail"}}}}
	v := w.publicStatus(t)
	assert.Equal(t, "New", v.Title)
	assert.Equal(t, "down", v.Components[0].Status)
}
