package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestBeside(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Beside = func(_ context.Context, _ *tocsin.Principal, id string) ([]server.Fact, error) {
			return []server.Fact{{Heading: "Fired", Text: "7 times in 30 days"}, {Heading: "Similar", Text: "<script>alert(1)</script>\u202e", Incident: "m2x8p4"}}, nil
		}
		d.Graph = func(_ context.Context, _ string, step, query int) ([]byte, error) {
			return fmt.Appendf(nil, "<svg>%d/%d</svg>", step, query), nil
		}
		d.Values = func(context.Context, string) ([]server.LiveValue, error) {
			return []server.LiveValue{
				{Query: 1, Expr: "up == 0", Why: "it gives nothing now"},
				{
					Step: 2, Query: 1, Text: "<b>Look", Expr: "up", More: 3, Warning: "a store is away", Graph: "/incidents/k7f3q9/graph.svg?step=2",
					Series: []server.LiveSeries{{Labels: tocsin.Labels{"__name__": "up", "node": "<i>"}, Value: "NaN", At: time.Unix(1, 0)}},
				},
			}, nil
		}
	})
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9/beside", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	assert.Contains(t, rec.Body.String(), "7 times in 30 days")
	rec = w.ask("GET", "/incidents/k7f3q9/beside", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	for _, want := range []string{"7 times", `href="/incidents/m2x8p4"`, `src="/incidents/k7f3q9/graph.svg?step=2"`, "&lt;script", "&lt;b&gt;Look", "&lt;i&gt;", "and 3 more series", "a store is away", "nothing now"} {
		assert.Contains(t, rec.Body.String(), want)
	}
	assert.NotContains(t, rec.Body.String(), "<script>")
	for query, want := range map[string]string{"": "0/1", "?step=2": "2/1", "?step=3&query=2": "3/2"} {
		rec = w.ask("GET", "/incidents/k7f3q9/graph.svg"+query, "")
		require.Equal(t, 200, rec.Code)
		assert.Contains(t, rec.Body.String(), want)
	}
	for _, bad := range []string{"-1", "x", "1e9", "99999999999999999999"} {
		assert.Equal(t, 400, w.ask("GET", "/incidents/k7f3q9/graph.svg?step="+bad, "").Code, bad)
	}
	values := w.ask("GET", "/api/v1/incidents/k7f3q9/values", "")
	require.Equal(t, 200, values.Code, values.Body)
	assert.Contains(t, values.Body.String(), `"value":"NaN"`)
	assert.Contains(t, values.Body.String(), `"series":[]`)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/incidents/nobody/values", "").Code)
	assert.Equal(t, "image/svg+xml", rec.Header().Get("Content-Type"))
	assert.Contains(t, rec.Header().Get("Content-Security-Policy"), "sandbox", "a drawing runs nothing")
	assert.Contains(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String(), "/incidents/k7f3q9/beside")
	assert.Equal(t, 404, w.ask("GET", "/api/v1/incidents/nobody/beside", "").Code)

	none := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Graph = func(context.Context, string, int, int) ([]byte, error) { return nil, tocsin.ErrNotFound }
	})
	assert.Equal(t, 404, none.ask("GET", "/incidents/k7f3q9/graph.svg", "").Code)
	assert.Equal(t, 404, none.ask("GET", "/api/v1/incidents/k7f3q9/beside", "").Code)
	assert.Equal(t, 404, none.ask("GET", "/api/v1/incidents/k7f3q9/values", "").Code)
	assert.NotContains(t, none.ask("GET", "/incidents/k7f3q9", "").Body.String(), "/beside")
}

// The page shows what it has: a Prometheus that cannot be asked is said.
func TestBesideWithoutValues(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Beside = func(context.Context, *tocsin.Principal, string) ([]server.Fact, error) { return nil, nil }
		d.Values = func(context.Context, string) ([]server.LiveValue, error) { return nil, tocsin.ErrUnavailable }
	})
	rec := w.ask("GET", "/incidents/k7f3q9/beside", "")
	require.Equal(t, 200, rec.Code)
	assert.Contains(t, rec.Body.String(), "Not known")
	assert.Equal(t, 503, w.ask("GET", "/api/v1/incidents/k7f3q9/values", "").Code)
}

func TestSignedPictures(t *testing.T) {
	t.Parallel()
	links := server.NewLinks([]byte("secret"))
	var asked []string
	var now time.Time
	w := withIncident(t, server.Config{API: []server.Token{{Name: "ana", Token: strings.Repeat("t", 32)}}}, func(d *server.Deps) {
		now = d.Now()
		d.Links = links
		d.Picture = func(_ context.Context, id string) ([]byte, error) {
			if id == "gone" {
				return nil, tocsin.ErrNotFound
			}
			asked = append(asked, id)
			return []byte("\x89PNG"), nil
		}
	})
	good := links.Path("k7f3q9", now)
	assert.Equal(t, good, links.Path("k7f3q9", now.Truncate(24*time.Hour)), "the same all day")
	rec := w.ask("GET", good, "")
	require.Equal(t, 200, rec.Code, rec.Body)
	assert.Equal(t, "image/png", rec.Header().Get("Content-Type"))
	assert.Contains(t, rec.Header().Get("Content-Security-Policy"), "sandbox")
	assert.Equal(t, 200, w.ask("HEAD", good, "").Code)
	require.Equal(t, []string{"k7f3q9", "k7f3q9"}, asked)

	old := links.Path("k7f3q9", now.Add(-server.LinkLife-48*time.Hour))
	for _, bad := range []string{
		"/graph/k7f3q9.png", strings.Replace(good, "k7f3q9", "m2x8p4", 1), strings.Replace(good, ".png", ".svg", 1), good + "A", good[:len(good)-1],
		strings.Replace(good, "expires=1", "expires=2", 1), strings.Replace(good, "sig=", "sig=%00", 1), old,
		server.NewLinks([]byte("another")).Path("k7f3q9", now), links.Path("gone", now), "/graph/.png?expires=9999999999&sig=",
	} {
		assert.Equal(t, 404, w.ask("GET", bad, "").Code, bad)
	}
	assert.Len(t, asked, 2, "nothing is asked for what is not signed")
	busy := false
	for range 60 {
		busy = busy || w.ask("GET", good, "").Code == 503
	}
	assert.True(t, busy, "the rate is bounded")
	assert.Less(t, len(asked), 60)

	none := withIncident(t, server.Config{}, func(*server.Deps) {})
	assert.Equal(t, 404, none.ask("GET", good, "").Code)
}
