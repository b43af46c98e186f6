package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestInsightsPage(t *testing.T) {
	t.Parallel()
	var asked time.Time
	ids := make([]string, 60)
	for n := range ids {
		ids[n] = fmt.Sprint("i", n)
	}
	one := tocsin.Tally{Name: "<b>ana</b>", Count: 3, Incidents: []string{"k7f3q9"}}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Insights = func(_ context.Context, _ *tocsin.Principal, from, to time.Time) (tocsin.Insights, error) {
			asked = from
			return tocsin.Insights{
				From: from, To: to, Incidents: 60, Cut: true, Acknowledge: tocsin.Spread{Count: 60, Median: 90, P90: 7260, Incidents: ids},
				Resolve: tocsin.Spread{Incidents: []string{}}, Pages: []tocsin.Tally{one}, Nights: []tocsin.Tally{}, Rules: []tocsin.Tally{one},
				Idle: tocsin.Tally{Count: 1, Incidents: []string{"idle11"}}, Brief: tocsin.Tally{Incidents: []string{}},
			}, nil
		}
	})
	page := safe(t, w.ask("GET", "/insights?weeks=13", ""))
	assert.Equal(t, now.AddDate(0, 0, -91), asked)
	for _, want := range []string{
		"median 1m30s, 90 % within 2h 1m", `href="/incidents/idle11"`, `href="/incidents/i49"`, "and 10 more", "&lt;b&gt;ana&lt;/b&gt;</bdi>: <strong>3 pages</strong> in 1 incident<",
		"none yet", "older incidents are not counted", `<a href="/insights" aria-current="page">Insights</a>`,
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, `href="/incidents/i50"`)
	rec := w.ask("GET", "/api/v1/insights", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	assert.Len(t, decode[tocsin.Insights](t, rec.Body.Bytes()).Acknowledge.Incidents, 60, "the API leads to all")
	assert.Equal(t, now.AddDate(0, 0, -28), asked)
	assert.Equal(t, 400, w.ask("GET", "/api/v1/insights?weeks=x", "").Code)
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/insights", "").Code)
}
