package server_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// withProgress is withIncident where the runbook had another step between the two,
// "s9", and another second one, "s2old".
func withProgress(t testing.TB, change ...func(*server.Deps)) *world {
	t.Helper()
	w := withIncident(t, server.Config{}, change...)
	pinned, err := json.Marshal(&tocsin.Runbook{ID: "dir/file#node-down", Title: "As it was", File: "dir/file.md", Line: 1, Steps: []tocsin.Step{
		{ID: "s1", Section: tocsin.SectionDiagnosis, Text: "Look at $NODE"},
		{ID: "s9", Section: tocsin.SectionDiagnosis, Text: "Tell " + evil},
		{ID: "s2old", Section: tocsin.SectionMitigation, Text: "Deep", Commands: []tocsin.Command{{Text: "dig"}}},
	}})
	require.NoError(t, err)
	w.reader.documents = map[string][]tocsin.Document{tocsin.RunbookVersions: {
		{ID: "aaa", Value: []byte(`{}`)}, {ID: "v1@1a2b3c4", Value: pinned}, {ID: "zzz", Value: []byte(`damaged`)},
	}}
	w.reader.detail.incident.Progress = &tocsin.Progress{Version: "v1@1a2b3c4", Steps: []tocsin.StepProgress{
		{Step: "s1", Number: 1, Text: "Look at $NODE", Status: tocsin.StepDone, By: "ana" + evil, At: now, Via: "Slack", Note: "it smokes" + evil},
		{Step: "s2old", Number: 3, Text: "Deep", Status: tocsin.StepSkipped, By: "bo", At: now.Add(time.Minute), Via: "terminal"},
	}}
	return w
}

type progressAnswer struct {
	Runbook  *tocsin.Runbook
	Progress []tocsin.StepView
}

func TestProgressInTheAPI(t *testing.T) {
	t.Parallel()
	w := withProgress(t)
	ask := func() progressAnswer {
		rec := w.ask("GET", "/api/v1/incidents/k7f3q9", "")
		require.Equal(t, 200, rec.Code, rec.Body)
		return decoded[progressAnswer](t, rec.Body)
	}
	got := ask()
	assert.Equal(t, []tocsin.StepView{
		{Number: 1, ID: "s1", Text: "Look at $NODE", Status: tocsin.StepDone, By: "ana" + evil, At: now, Via: "Slack", Note: "it smokes" + evil},
		{Number: 2, ID: "s9", Text: "Tell " + evil, Status: tocsin.StepOpen, Gone: true},
		{Number: 3, ID: "s2old", Text: "Deep", Status: tocsin.StepSkipped, By: "bo", At: now.Add(time.Minute), Via: "terminal", Gone: true},
		{Number: 2, ID: "s2", Text: "Deeper", Status: tocsin.StepOpen, Edited: true},
	}, got.Progress)
	assert.Equal(t, []string{"s1", "s2"}, []string{got.Runbook.Steps[0].ID, got.Runbook.Steps[1].ID}, "it is as it is now")

	for _, version := range []string{"", "zzz", "gone"} {
		w.reader.detail.incident.Progress.Version = version
		assert.Len(t, ask().Progress, 3, "what was pinned is not known: %q", version)
	}
	w.reader.detail.incident.Progress = nil
	assert.Len(t, ask().Progress, 2)
	w.reader.detail.incident.Runbook = ""
	assert.Equal(t, progressAnswer{Progress: []tocsin.StepView{}}, ask())
}

func TestProgressOfARunbookThatIsGone(t *testing.T) {
	t.Parallel()
	w := withProgress(t, func(d *server.Deps) {
		d.FillRunbook = func(r *tocsin.Runbook, l tocsin.Labels) *tocsin.Runbook {
			c := *r
			c.Title += " for " + l["alertname"]
			return &c
		}
	})
	w.reader.detail.incident.Runbook = "dir/file#gone"
	got := decoded[progressAnswer](t, w.ask("GET", "/api/v1/incidents/k7f3q9", "").Body)
	require.NotNil(t, got.Runbook)
	assert.Equal(t, "As it was for NodeDown", got.Runbook.Title)
	require.Len(t, got.Progress, 3)
	for _, v := range got.Progress {
		assert.True(t, v.Gone, v.ID)
	}
	page := safe(t, w.ask("GET", "/incidents/k7f3q9", ""))
	assert.Contains(t, page, "<code>dig</code></pre>")
}

func TestProgressOnThePage(t *testing.T) {
	t.Parallel()
	w := withProgress(t)
	rec := w.ask("GET", "/incidents/k7f3q9", "")
	require.Equal(t, 200, rec.Code)
	page := safe(t, rec)
	for _, want := range []string{
		"1 of 2 steps done, next: Deeper", "☑", "☒", "☐", "edited since", "not in the runbook any more",
		"done by <bdi>ana&lt;script", ", 2026-11-22 05:00:00 UTC, Slack: <bdi>it smokes&lt;script", "skipped by <bdi>bo</bdi>, 2026-11-22 05:01:00 UTC, terminal",
		"Tell &lt;script", `class="step-skipped gone"`, `class="step-open in1"`,
	} {
		assert.Contains(t, page, want)
	}
}
