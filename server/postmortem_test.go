package server_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
	"github.com/tocsin-oncall/tocsin/server/postmortem"
)

func TestThePostmortemOfAnIncident(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{ExternalURL: "https://tocsin.example.com"}, func(d *server.Deps) {
		d.ChangesBefore = func(_ context.Context, inc *tocsin.Incident) ([]tocsin.Event, error) {
			return []tocsin.Event{{Kind: tocsin.EventChange, At: inc.OpenedAt, Text: "deployed"}}, nil
		}
	})
	w.router.silences = []tocsin.Silence{
		{ID: "held11", Matchers: []string{`alertname="NodeDown"`}, StartsAt: now.Add(-3 * time.Hour), EndsAt: now, Comment: "c"},
		{ID: "early1", Matchers: []string{`alertname="NodeDown"`}, StartsAt: now.Add(-3 * time.Hour), EndsAt: now.Add(-2 * time.Hour)},
		{ID: "other1", Matchers: []string{`alertname="Other"`}, StartsAt: now.Add(-3 * time.Hour), EndsAt: now},
	}
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9/postmortem", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	got := decode[struct {
		Report   postmortem.Report
		Markdown string
	}](t, rec.Body.Bytes())
	assert.Equal(t, "https://tocsin.example.com/incidents/k7f3q9", got.Report.URL)
	require.Len(t, got.Report.Silences, 1)
	assert.Equal(t, "held11", got.Report.Silences[0].ID)
	assert.Len(t, got.Report.Steps, 2)
	assert.Equal(t, "deployed", got.Report.Changes[0].Text)
	assert.Contains(t, got.Markdown, "# Postmortem: ")
	assert.Contains(t, got.Markdown, `Down\<script\>alert\(1\)\</script\>`)

	rec = w.ask("GET", "/incidents/k7f3q9/postmortem.md", "")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, got.Markdown, rec.Body.String())
	assert.Equal(t, "text/markdown; charset=utf-8", rec.Header().Get("Content-Type"))
	assert.Equal(t, `attachment; filename="postmortem-k7f3q9.md"`, rec.Header().Get("Content-Disposition"))
	assert.Contains(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String(), `href="/incidents/k7f3q9/postmortem.md"`)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/incidents/nobody/postmortem", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/incidents/nobody/postmortem.md", "").Code)
}

// What stands beside an incident does not keep its own story from being told.
func TestAPostmortemSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.ChangesBefore = func(context.Context, *tocsin.Incident) ([]tocsin.Event, error) {
			return nil, tocsin.Unavailable(errors.New("not all was read"))
		}
	})
	w.router.err = tocsin.Unavailable(errors.New("busy"))
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9/postmortem", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	got := decode[struct{ Report postmortem.Report }](t, rec.Body.Bytes())
	assert.Equal(t, []string{"changes: unavailable: not all was read", "silences: unavailable: busy"}, got.Report.Missing)
}

func TestOpenAPIMatchesThePostmortem(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	for schema, v := range map[string]any{"Postmortem": postmortem.Report{}, "PostmortemRemedy": postmortem.Remedy{}, "PostmortemAlert": postmortem.Alert{}} {
		properties, _ := dig(s.doc, "components", "schemas", schema, "properties").(map[string]any)
		assert.ElementsMatch(t, fields(reflect.TypeOf(v)), slices.Collect(maps.Keys(properties)), schema)
	}
}
