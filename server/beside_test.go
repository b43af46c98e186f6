package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestBeside(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Beside = func(_ context.Context, id string) ([]server.Fact, error) {
			return []server.Fact{{Heading: "Fired", Text: "7 times in 30 days"}, {Heading: "Similar", Text: "<script>alert(1)</script>\u202e", Incident: "m2x8p4"}}, nil
		}
		d.Graph = func(_ context.Context, id string) ([]byte, error) { return []byte("<svg/>"), nil }
	})
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9/beside", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	assert.Contains(t, rec.Body.String(), "7 times in 30 days")
	rec = w.ask("GET", "/incidents/k7f3q9/beside", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	for _, want := range []string{"7 times", `href="/incidents/m2x8p4"`, `src="/incidents/k7f3q9/graph.svg"`, "&lt;script"} {
		assert.Contains(t, rec.Body.String(), want)
	}
	assert.NotContains(t, rec.Body.String(), "<script>")
	rec = w.ask("GET", "/incidents/k7f3q9/graph.svg", "")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, "image/svg+xml", rec.Header().Get("Content-Type"))
	assert.Contains(t, rec.Header().Get("Content-Security-Policy"), "sandbox", "a drawing runs nothing")
	assert.Contains(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String(), "/incidents/k7f3q9/beside")
	assert.Equal(t, 404, w.ask("GET", "/api/v1/incidents/nobody/beside", "").Code)

	none := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Graph = func(context.Context, string) ([]byte, error) { return nil, tocsin.ErrNotFound }
	})
	assert.Equal(t, 404, none.ask("GET", "/incidents/k7f3q9/graph.svg", "").Code)
	assert.Equal(t, 404, none.ask("GET", "/api/v1/incidents/k7f3q9/beside", "").Code)
	assert.NotContains(t, none.ask("GET", "/incidents/k7f3q9", "").Body.String(), "/beside")
}
