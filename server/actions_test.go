package server_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

const acts = "/api/v1/incidents/k7f3q9/"

func TestActions(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	for range 2 { // idempotent
		rec := w.ask("POST", acts+"acknowledge", `{"by":"ana"}`)
		require.Equal(t, 200, rec.Code, rec.Body)
		assert.Equal(t, "k7f3q9", decoded[struct{ Incident tocsin.Incident }](t, rec.Body).Incident.ID)
	}
	assert.Equal(t, 200, w.ask("POST", acts+"resolve", "", "X-Tocsin-User", "ben").Code)
	assert.Equal(t, 200, w.ask("POST", acts+"resolve", "").Code)
	assert.Equal(t, []string{
		"acknowledge k7f3q9 by ana", "acknowledge k7f3q9 by ana", "resolve k7f3q9 by ben", "resolve k7f3q9 by api",
	}, w.router.did)

	assert.Equal(t, 404, w.ask("POST", "/api/v1/incidents/nobody/resolve", "").Code)
	assert.Equal(t, 404, w.ask("POST", acts+"explode", "").Code)
	for body, field := range map[string]string{
		`{"by":1}`: "by", `{"by":"a","by":"b"}`: "/by", `{"BY":"a"}`: "BY", `{"by":"a\u202e"}`: "by",
		`{"by":"` + strings.Repeat("x", 129) + `"}`: "by", `{`: "", `[]`: "", `{"kind":"resolve"}`: "kind", `{"Kind":"resolve"}`: "Kind",
	} {
		rec := w.ask("POST", acts+"acknowledge", body)
		assert.Equal(t, 400, rec.Code, body)
		assert.Equal(t, field, refusal(t, rec).Error.Field, body)
	}
	assert.Equal(t, 413, w.ask("POST", acts+"acknowledge", `{"by":"`+strings.Repeat("x", 1<<20)).Code)
	assert.Equal(t, 415, w.ask("POST", acts+"acknowledge", "", "Content-Type", "").Code)
	assert.Equal(t, 415, w.ask("POST", acts+"acknowledge", "{}", "Content-Type", "text/plain").Code)
	assert.Equal(t, 403, w.ask("POST", acts+"acknowledge", "{}", "Origin", "https://evil.example").Code)
	rec := w.ask("GET", acts+"acknowledge", "")
	assert.Equal(t, 405, rec.Code)
	assert.Contains(t, rec.Header().Get("Allow"), "POST")

	w.router.err = tocsin.Unavailable(errors.New("disk full"))
	rec = w.ask("POST", acts+"resolve", "")
	assert.Equal(t, 503, rec.Code)
	assert.NotEmpty(t, rec.Header().Get("Retry-After"))
	w.router.err = tocsin.Invalid("user", "%q is not defined", "zoe")
	rec = w.ask("POST", acts+"reassign", `{"user":"zoe"}`)
	assert.Equal(t, 400, rec.Code)
	assert.Equal(t, "user", refusal(t, rec).Error.Field)
}

// Every kind reaches the other side with what it needs, and nothing is made up.
func TestActionsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	until := now.Add(30 * 24 * time.Hour)
	for body, want := range map[string]tocsin.Action{
		`step {"runbookStep":"3","status":"done"}`:     {RunbookStep: "3", Status: tocsin.StepDone},
		`acknowledge {"text":"on it"}`:                 {Text: "on it"},
		`resolve {"force":true,"text":"rebooted"}`:     {Force: true, Text: "rebooted"},
		`snooze {"until":"2026-12-22T06:00:00+01:00"}`: {Until: until},
		`escalate {}`:                               {},
		`escalate {"step":100}`:                     {Step: 100},
		`escalate {"policy":"platform","step":2}`:   {Policy: "platform", Step: 2},
		`escalate {"user":"bo"}`:                    {User: "bo"},
		`reassign {"schedule":"primary"}`:           {Schedule: "primary"},
		`add-responder {"user":"bo","text":"help"}`: {User: "bo", Text: "help"},
		`note {"text":"line one\nline two"}`:        {Text: "line one\nline two"},
		`merge {"into":"abc123"}`:                   {Into: "abc123"},
		`unmerge`:                                   {},
		`severity {"severity":"info"}`:              {Severity: tocsin.Info},
		`channel {}`:                                {},
	} {
		kind, body, _ := strings.Cut(body, " ")
		require.Equal(t, 200, w.ask("POST", acts+kind, body).Code, "%s %s", kind, body)
		got := w.router.acted[len(w.router.acted)-1]
		want.Kind, want.By = tocsin.ActionKind(kind), "api"
		assert.True(t, want.Until.Equal(got.Until))
		got.Until = want.Until
		assert.Equal(t, want, got)
	}
}

func TestActionsAreChecked(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	long := strings.Repeat("x", 129)
	for request, field := range map[string]string{
		`snooze`:                  "until",
		`snooze {}`:               "until",
		`snooze {"until":"soon"}`: "until",
		`snooze {"until":"2026-11-22T05:00:00Z"}`:                  "until",
		`snooze {"until":"2026-12-22T05:00:01Z"}`:                  "until",
		`snooze {"until":"9999-12-22T05:00:01Z"}`:                  "until",
		`escalate {"step":-1}`:                                     "step",
		`escalate {"step":101}`:                                    "step",
		`escalate {"step":1.5}`:                                    "step",
		`escalate {"step":2,"user":"bo"}`:                          "step",
		`escalate {"user":"bo","policy":"p"}`:                      "user",
		`reassign`:                                                 "user",
		`reassign {"user":"bo","schedule":"p"}`:                    "user",
		`reassign {"user":"bo\n"}`:                                 "user",
		`add-responder {}`:                                         "user",
		`add-responder {"schedule":"` + long + `"}`:                "schedule",
		`escalate {"policy":"` + long + `"}`:                       "policy",
		`note`:                                                     "text",
		`note {"text":" \n"}`:                                      "text",
		`note {"text":"` + strings.Repeat("x", 4097) + `"}`:        "text",
		`acknowledge {"text":"` + strings.Repeat("é", 2049) + `"}`: "text",
		`merge`:                             "into",
		`merge {"into":"k7f3q9"}`:           "into",
		`merge {"into":"\u0000"}`:           "into",
		`severity {}`:                       "severity",
		`severity {"severity":"P1"}`:        "severity",
		`severity {"severity":"CRITICAL"}`:  "severity",
		`acknowledge {"severity":"P1"}`:     "severity",
		`acknowledge {"id":"` + long + `"}`: "id",
		`acknowledge {"id":"a\tb"}`:         "id",
		`acknowledge {"force":"yes"}`:       "force",
		`note {"text":"x","txt":"y"}`:       "txt",
	} {
		kind, body, _ := strings.Cut(request, " ")
		rec := w.ask("POST", acts+kind, body)
		assert.Equal(t, 400, rec.Code, request)
		assert.Equal(t, field, refusal(t, rec).Error.Field, request)
	}
	assert.Empty(t, w.router.acted)
	assert.Equal(t, 200, w.ask("POST", acts+"note", `{"text":"`+strings.Repeat("x", 4096)+`"}`).Code)
	assert.Equal(t, 200, w.ask("POST", acts+"acknowledge", `{"id":"`+long[:128]+`"}`).Code)
}

func TestActionsHappenOnce(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	for range 3 {
		assert.Equal(t, 200, w.ask("POST", acts+"note", `{"text":"hello"}`, "Idempotency-Key", "key-1").Code)
	}
	assert.Equal(t, 200, w.ask("POST", acts+"note", `{"text":"hello","id":"key-2"}`, "Idempotency-Key", "key-3").Code)
	require.Len(t, w.router.acted, 2)
	assert.Equal(t, "key-1", w.router.acted[0].ID)
	assert.Equal(t, "key-2", w.router.acted[1].ID, "the body's own goes first")

	for _, key := range []string{strings.Repeat("k", 129), "a\u202eb", "\xff"} {
		rec := w.ask("POST", acts+"note", `{"text":"hello"}`, "Idempotency-Key", key)
		assert.Equal(t, 400, rec.Code)
		assert.Equal(t, "Idempotency-Key", refusal(t, rec).Error.Field)
	}
}

func TestActionsThatWantAConfirmation(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	w.router.conflict = "2 alerts still fire; force resolves it all the same"
	rec := w.ask("POST", acts+"resolve", "")
	assert.Equal(t, 409, rec.Code)
	r := refusal(t, rec)
	assert.Equal(t, "conflict", r.Error.Code)
	assert.Contains(t, r.Error.Message, "2 alerts still fire; force resolves it all the same")
	assert.Empty(t, w.router.did)
	assert.Equal(t, 200, w.ask("POST", acts+"resolve", `{"force":true}`).Code)
	assert.Equal(t, []string{"resolve k7f3q9 by api"}, w.router.did)
}

func TestAheadIsPartOfTheDetail(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{})
	rec := w.ask("GET", "/api/v1/incidents/k7f3q9", "")
	assert.Contains(t, rec.Body.String(), `"ahead":[]`)

	plan := []tocsin.Ahead{{At: now.Add(time.Minute), Text: "bo by PagerDuty"}, {At: now.Add(time.Hour), Text: "the last resort"}}
	w = withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Ahead = func(i *tocsin.Incident) []tocsin.Ahead {
			assert.Equal(t, "k7f3q9", i.ID)
			return plan
		}
	})
	rec = w.ask("GET", "/api/v1/incidents/k7f3q9", "")
	assert.Equal(t, plan, decoded[struct{ Ahead []tocsin.Ahead }](t, rec.Body).Ahead)
}

// Whatever is sent, what gets through is within bounds.
func FuzzActions(f *testing.F) {
	f.Add("note", `{"text":"x"}`, "key")
	f.Add("snooze", `{"until":"2026-12-22T05:00:00Z"}`, "")
	f.Add("escalate", `{"step":3,"policy":"p","by":"ana"}`, "\xff")
	f.Add("merge", `{"into":"abc123","severity":"info","force":true}`, "")
	w := withIncident(f, server.Config{})
	f.Fuzz(func(t *testing.T, kind, body, key string) {
		w.t, w.router.acted = t, nil
		rec := w.ask("POST", acts+url.PathEscape(kind), body, "Idempotency-Key", key)
		assert.Contains(t, []int{200, 400, 404, 405, 413}, rec.Code, "a panic would be 503")
		if rec.Code != 200 {
			assert.Empty(t, w.router.acted)
			return
		}
		a := w.router.acted[0]
		assert.Equal(t, kind, string(a.Kind))
		for _, name := range []string{a.ID, a.By, a.User, a.Schedule, a.Policy, a.Into} {
			assert.LessOrEqual(t, len(name), 128)
			assert.True(t, utf8.ValidString(name))
		}
		assert.LessOrEqual(t, len(a.Text), 4096)
		assert.NotEmpty(t, a.By)
	})
}
