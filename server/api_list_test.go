package server_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// many is a reader of incidents, the newest first, each with one alert.
type many struct {
	tocsin.Reader
	list []*tocsin.Incident
}

func (m *many) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	from := 0
	if f.BeforeID != "" {
		from = 1 + slices.IndexFunc(m.list, func(i *tocsin.Incident) bool { return i.ID == f.BeforeID && i.OpenedAt.Equal(f.OpenedBefore) })
	}
	return m.list[from:min(from+f.Limit, len(m.list))], nil
}

func (m *many) AlertsOf(_ context.Context, id string, _ int) ([]tocsin.AlertRecord, error) {
	return []tocsin.AlertRecord{{Alert: tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown", "n": id[3:]}}}}, nil
}

func TestIncidentsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	m := &many{}
	for n := range 2500 {
		m.list = append(m.list, &tocsin.Incident{
			ID: fmt.Sprintf("inc%04d", n), State: tocsin.Triggered, Severity: tocsin.Critical, OpenedAt: now.Add(-time.Duration(n) * time.Minute), Alerts: 1, Receivers: []string{},
		})
	}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Reader = m })
	walk := func(q url.Values) (all []string) {
		for pages := 0; ; pages++ {
			require.Less(t, pages, 100)
			rec := w.ask("GET", "/api/v1/incidents?"+q.Encode(), "")
			require.Equal(t, 200, rec.Code, rec.Body)
			got := decoded[struct {
				Incidents []struct{ ID string }
				Next      string
			}](t, rec.Body)
			for _, i := range got.Incidents {
				all = append(all, i.ID)
			}
			if got.Next == "" {
				return all
			}
			q.Set("after", got.Next)
		}
	}
	all := walk(url.Values{"limit": {"100"}})
	require.Len(t, all, 2500)
	assert.True(t, slices.IsSorted(all), "each once, in order")

	assert.Len(t, walk(url.Values{"limit": {"100"}, "filter": {`n=~"..[05]0"`}}), 50)
	assert.Equal(t, []string{"inc1999"}, walk(url.Values{"limit": {"1"}, "filter": {`alertname="NodeDown"`, `{n="1999"}`}}))
	assert.Empty(t, walk(url.Values{"filter": {`alertname="Other"`}}))

	for q, field := range map[string]string{"after=x": "after", "after=1-": "after", "after=x-k7f3q9": "after", "filter=%3D": "filter"} {
		rec := w.ask("GET", "/api/v1/incidents?"+q, "")
		require.Equal(t, 400, rec.Code, q)
		assert.Equal(t, field, refusal(t, rec).Error.Field, q)
	}
}
