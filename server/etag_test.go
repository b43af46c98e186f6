package server_test

import (
	"encoding/json"
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

func TestAnOverrideIsAnsweredOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	r := &rota{overrides: []tocsin.Override{
		{ID: "o1", Kind: tocsin.OverrideSwap, Schedule: "primary", Replaces: "ana", From: now, To: now.Add(time.Hour), State: tocsin.OverrideRequested, CreatedBy: "ana", CreatedAt: now},
	}}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Overrides = r })
	const path = "/api/v1/overrides/o1"
	rec := w.ask("GET", path, "")
	require.Equal(t, 200, rec.Code)
	tag := rec.Header().Get("ETag")
	assert.Equal(t, 304, w.ask("GET", path, "", "If-None-Match", tag).Code)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/overrides/nobody", "").Code)
	quoted, err := json.Marshal(tag)
	require.NoError(t, err)
	assert.Contains(t, w.ask("GET", "/api/v1/overrides", "").Body.String(), `"etag":`+string(quoted))

	r.overrides[0].To = now.Add(2 * time.Hour)
	for _, verb := range []string{"accept", "decline", "cancel"} {
		rec := w.ask("POST", path+"/"+verb, `{"by":"bo"}`, "If-Match", tag)
		assert.Equal(t, 412, rec.Code)
		assert.Contains(t, refusal(t, rec).Error.Message, "read it again")
		assert.Equal(t, 404, w.ask("POST", "/api/v1/overrides/nobody/"+verb, `{"by":"bo"}`, "If-Match", tag).Code)
	}
	assert.Equal(t, tocsin.OverrideRequested, r.overrides[0].State, "nothing was done")
	rec = w.ask("POST", path+"/accept", `{"by":"bo"}`, "If-Match", w.ask("GET", path, "").Header().Get("ETag"))
	assert.Equal(t, 200, rec.Code)
	assert.Equal(t, tocsin.OverrideActive, r.overrides[0].State)
	assert.Equal(t, rec.Header().Get("ETag"), w.ask("GET", path, "").Header().Get("ETag"), "what is done next needs no reading")
	assert.Equal(t, 200, w.ask("POST", path+"/cancel", `{"by":"bo"}`).Code, "If-Match is not demanded")
}

func TestARunIsApprovedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	m := &medicine{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Remedies, d.Remediator = m, m })
	const path = "/api/v1/remediations/r1"
	tag := w.ask("GET", path, "").Header().Get("ETag")
	require.NotEmpty(t, tag)
	for _, verb := range []string{"/approve", "/deny"} {
		assert.Equal(t, 412, w.ask("POST", path+verb, "", "If-Match", `"old"`).Code)
	}
	assert.Empty(t, m.did)
	assert.Equal(t, 404, w.ask("POST", "/api/v1/remediations/nobody/approve", "", "If-Match", tag).Code)
	assert.Equal(t, 200, w.ask("POST", path+"/approve", "", "If-Match", tag).Code)
	assert.Len(t, m.did, 1)
}
