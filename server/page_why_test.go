package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func TestWhyAnIncidentToldWhomItTold(t *testing.T) {
	t.Parallel()
	const evil = "<b>evil</b>\u202e"
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Why = func(_ context.Context, _ *tocsin.Principal, id string) (*tocsin.Why, error) {
			if id != "k7f3q9" {
				return nil, tocsin.ErrNotFound
			}
			return &tocsin.Why{Incident: id, Answer: "You were called" + evil + ".", Reasons: []tocsin.Reason{
				{Stage: tocsin.StagePayload, Text: "am sent it" + evil, At: now},
				{Stage: tocsin.StagePayload, Text: "twice"},
				{Stage: tocsin.StageRoute, Text: "took it", Where: "tocsin.yml:12"},
				{Stage: tocsin.StageProvider, End: tocsin.EndFailed, Text: "it failed" + evil, Where: "slack:#x" + evil, By: "ana" + evil},
				{Stage: tocsin.StagePerson, Text: "ana was on call", User: "ana", Now: true},
			}}, nil
		}
	})
	page := safe(t, w.ask("GET", "/incidents/k7f3q9/why", ""))
	for _, want := range []string{
		`<p class="answer"><bdi>You were called&lt;b&gt;evil&lt;/b&gt;⟨U&#43;202E⟩.</bdi></p>`, "configuration of now",
		"<h2>What came in</h2>", "<h2>Which route took it</h2>", "<code>tocsin.yml:12</code>", `<span class="tag bad">failed</span>`,
		"&lt;b&gt;evil&lt;/b&gt;⟨U&#43;202E⟩", `href="/incidents/k7f3q9"`,
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<b>evil")
	assert.Contains(t, safe(t, w.ask("GET", "/incidents/k7f3q9", "")), `href="/incidents/k7f3q9/why"`)

	rec := w.ask("GET", "/api/v1/incidents/k7f3q9/why", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	got := decode[struct {
		Incident, Answer string
		Reasons          []tocsin.Reason
	}](t, rec.Body.Bytes())
	assert.Equal(t, "k7f3q9", got.Incident)
	assert.Contains(t, got.Answer, "You were called")
	require.Len(t, got.Reasons, 5)
	assert.Equal(t, tocsin.EndFailed, got.Reasons[3].End)
	for _, path := range []string{"/api/v1/incidents/nobody/why", "/incidents/nobody/why"} {
		assert.Equal(t, 404, w.ask("GET", path, "").Code, path)
	}
}

func TestWithoutTracesThereIsNoWhy(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	assert.Equal(t, 404, w.ask("GET", "/incidents/k7f3q9/why", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/incidents/k7f3q9/why", "").Code)
	assert.NotContains(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String(), "/why")
}
