package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestIncidentsByHand(t *testing.T) {
	t.Parallel()
	var got tocsin.Manual
	var fails error
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Manual = func(_ context.Context, m tocsin.Manual) (string, error) {
			got = m
			return "k7f3q9", fails
		}
	})
	const path = "/api/v1/incidents"
	rec := w.ask("POST", path, `{"title":"payments hang","schedule":"primary","severity":"error","by":"ana"}`, "Idempotency-Key", "x1")
	require.Equal(t, 200, rec.Code, rec.Body)
	assert.Equal(t, "k7f3q9", decoded[struct{ Incident tocsin.Incident }](t, rec.Body).Incident.ID)
	assert.Equal(t, tocsin.Manual{Key: "x1", Title: "payments hang", Schedule: "primary", Severity: tocsin.Error, By: "ana"}, got)

	got = tocsin.Manual{}
	for body, field := range map[string]string{
		`{"title":"x","user":"a","policy":"b"}`: "user",
		`{"title":"x","key":"a\u202e"}`:         "key",
		`{"title":1}`:                           "title",
		`{"title":"x","kind":"notice"}`:         "kind",
	} {
		rec := w.ask("POST", path, body)
		assert.Equal(t, 400, rec.Code, body)
		assert.Equal(t, field, refusal(t, rec).Error.Field, body)
	}
	assert.Empty(t, got, "what is refused reaches nobody")
	fails = tocsin.Invalid("user", "%q is not defined", "zoe")
	rec = w.ask("POST", path, `{"title":"x","user":"zoe"}`)
	assert.Equal(t, 400, rec.Code)
	assert.Equal(t, "user", refusal(t, rec).Error.Field)
	assert.Equal(t, 404, withIncident(t, server.Config{}).ask("POST", path, `{"title":"x"}`).Code)
}
