package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestAnIncidentIsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	tag := w.ask("GET", "/api/v1/incidents/k7f3q9", "").Header().Get("ETag")
	require.NotEmpty(t, tag)
	w.router.revision = w.reader.detail.incident.Revision

	assert.Equal(t, 200, w.ask("POST", acts+"acknowledge", "", "If-Match", tag).Code)
	assert.Equal(t, 200, w.ask("POST", acts+"acknowledge", "", "If-Match", `"other", W/`+tag).Code)
	assert.Equal(t, 200, w.ask("POST", acts+"acknowledge", "", "If-Match", "*").Code)
	require.Len(t, w.router.did, 3)

	w.router.revision++
	rec := w.ask("POST", acts+"resolve", "", "If-Match", tag)
	assert.Equal(t, 412, rec.Code)
	assert.Equal(t, "changed", refusal(t, rec).Error.Code)
	assert.Equal(t, "If-Match", refusal(t, rec).Error.Field)
	assert.Len(t, w.router.did, 3, "nothing was done")
}

func TestASilenceIsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	held := tocsin.Silence{ID: "s1s1s1", Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "ana", Comment: "c"}
	w.router.silences = []tocsin.Silence{held}
	const path = "/api/v1/silences/s1s1s1"
	rec := w.ask("GET", path, "")
	require.Equal(t, 200, rec.Code)
	tag := rec.Header().Get("ETag")
	assert.Equal(t, 304, w.ask("GET", path, "", "If-None-Match", tag).Code)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/silences/nobody", "").Code)

	w.router.silences[0].Comment = "changed by bo"
	assert.Equal(t, 200, w.ask("GET", path, "", "If-None-Match", tag).Code)
	again := `{"id":"s1s1s1","matchers":["a=\"b\""],"endsAt":"2026-11-22T09:00:00Z","createdBy":"ana","comment":"mine"}`
	assert.Equal(t, 412, w.ask("POST", "/api/v1/silences", again, "If-Match", tag).Code)
	assert.Equal(t, 412, w.ask("DELETE", path, "", "If-Match", tag).Code)
	assert.Empty(t, w.router.did)
	assert.Empty(t, w.router.put.Comment)
	now := w.ask("GET", path, "").Header().Get("ETag")
	assert.Equal(t, 200, w.ask("POST", "/api/v1/silences", again, "If-Match", now).Code)
	assert.Equal(t, "mine", w.router.put.Comment)
}
