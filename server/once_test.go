package server_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// TestAKeyIsOneRequest sends requests again: each happens once, and is answered the
// same; another body under the same key is refused, and so is nobody else.
func TestAKeyIsOneRequest(t *testing.T) {
	t.Parallel()
	clock := now
	r, m := &rota{}, &medicine{}
	w, _, _ := guarded(t, server.Config{NoLocal: true, ExternalURL: secure}, func(d *server.Deps) {
		d.Overrides, d.Remedies, d.Remediator = r, m, m
		d.Now = func() time.Time { return clock }
	})
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Severity: tocsin.Error, Receivers: []string{"page"}}
	ask := func(path, body, key, role string) (int, string, string) {
		rec := w.ask("POST", path, body, "Idempotency-Key", key, "Authorization", "Bearer tocsin_"+role)
		return rec.Code, rec.Body.String(), rec.Header().Get("Idempotency-Replayed")
	}
	count := func() int { return len(r.overrides) + len(m.did) + len(w.router.did) + w.router.puts }
	for path, body := range map[string]string{
		"/api/v1/silences":                     `{"matchers":["a=\"b\""],"endsAt":"2026-11-22T09:00:00Z","comment":"c"}`,
		"/api/v1/overrides":                    `{"schedule":"primary","user":"bo","to":"2026-11-23T09:00:00Z"}`,
		"/api/v1/incidents/k7f3q9/acknowledge": `{"text":"a"}`,
		"/api/v1/incidents/k7f3q9/remediate":   `{"remedy":"restart-node"}`,
		"/api/v1/remediations/r1/approve":      `{}`,
		"/api/v1/remedies/stop":                `{"remedy":"restart-node"}`,
	} {
		before := count()
		code, first, replayed := ask(path, body, "key-1", "manager")
		require.Equal(t, 200, code, "%s: %s", path, first)
		require.Empty(t, replayed)
		require.Equal(t, before+1, count(), path)
		code, again, replayed := ask(path, body, "key-1", "manager")
		assert.Equal(t, 200, code)
		assert.Equal(t, "true", replayed)
		assert.Equal(t, first, again, "%s: the same answer", path)
		assert.Equal(t, before+1, count(), "%s: once", path)

		other := strings.Replace(body, "{", `{ `, 1)
		code, text, _ := ask(path, other, "key-1", "manager")
		assert.Equal(t, 422, code, path)
		assert.Contains(t, text, "make a new key")
		assert.Equal(t, before+1, count(), path)
		code, _, _ = ask(path, body, "key-1", "admin")
		assert.Equal(t, 200, code, "somebody else's key is another one")
		code, _, _ = ask(path, body, "key-2", "manager")
		assert.Equal(t, 200, code)
		assert.Greater(t, count(), before+1, path)
	}

	code, text, _ := ask("/api/v1/tokens", `{"name":"ci","role":"viewer"}`, "key-1", "admin")
	require.Equal(t, 200, code, text)
	code, text, _ = ask("/api/v1/tokens", `{"name":"ci","role":"viewer"}`, "key-1", "admin")
	assert.Equal(t, 409, code, "a secret is shown once")
	assert.NotContains(t, text, "SHOWNONCE")

	code, _, _ = ask("/api/v1/silences", `{}`, "refused", "manager")
	assert.Equal(t, 400, code)
	code, _, replayed := ask("/api/v1/silences", `{"matchers":["a=\"b\""],"endsAt":"2026-11-22T09:00:00Z","comment":"c"}`, "refused", "manager")
	assert.Equal(t, 200, code, "what was refused has not happened")
	assert.Empty(t, replayed)
	clock = now.Add(25 * time.Hour)
	_, _, replayed = ask("/api/v1/remedies/stop", `{"remedy":"restart-node"}`, "key-1", "manager")
	assert.Empty(t, replayed, "a key is remembered for a day")
}

func TestWhatASilenceWouldHideIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Hides = func(_ context.Context, _ *tocsin.Principal, ms []string) (tocsin.Hidden, error) {
			assert.Equal(t, []string{`a="b"`, `c=~"d"`}, ms)
			return tocsin.Hidden{Alerts: 3, Incidents: 2, First: []*tocsin.Incident{{ID: "k7f3q9"}}, Opened: 9, Before: 4, Looked: 9}, nil
		}
	})
	rec := w.ask("GET", "/api/v1/silences/preview?matcher=a%3D%22b%22&matcher=c%3D~%22d%22", "")
	assert.Equal(t, 200, rec.Code)
	assert.Contains(t, rec.Body.String(), `"first":["k7f3q9"]`)
	assert.Contains(t, rec.Body.String(), `"now":"Now it would hide 3 firing alerts of 2 incidents."`)
	assert.Zero(t, w.router.puts, "nothing is made")
	assert.Equal(t, 400, w.ask("GET", "/api/v1/silences/preview", "").Code)
	assert.Equal(t, 400, w.ask("GET", "/api/v1/silences/preview?matcher=a%3D~%22.*%22", "").Code, "it would hide everything")
	assert.Equal(t, 404, newWorld(t, server.Config{}).ask("GET", "/api/v1/silences/preview?matcher=a%3Db", "").Code)
}

func TestBothAPIsSayWhenASilenceChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	w.router.silences = []tocsin.Silence{
		{ID: "s1s1s1", Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "ana", Comment: "c", UpdatedAt: now.Add(-5 * time.Minute)},
		{ID: "s2s2s2", Matchers: []string{`a="b"`}, StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), CreatedBy: "ana", Comment: "before it was kept"},
	}
	assert.Contains(t, w.ask("GET", "/api/v1/silences/s1s1s1", "").Body.String(), `"updatedAt":"2026-11-22T04:55:00Z"`)
	assert.NotContains(t, w.ask("GET", "/api/v1/silences/s2s2s2", "").Body.String(), "updatedAt")
	assert.Contains(t, w.ask("GET", "/api/v2/silence/s1s1s1", "").Body.String(), `"updatedAt":"2026-11-22T04:55:00Z"`)
	assert.Contains(t, w.ask("GET", "/api/v2/silence/s2s2s2", "").Body.String(), `"updatedAt":"2026-11-22T04:00:00Z"`, "when it began")
}

// What somebody was answered is not answered again when it is not theirs any more.
func TestAKeyOpensNothing(t *testing.T) {
	t.Parallel()
	theirs := map[string]tocsin.Role{"db": tocsin.RoleResponder}
	w, k, _ := guarded(t, server.Config{NoLocal: true, ExternalURL: secure}, func(d *server.Deps) {
		d.Bearer = func(tocsin.Token) tocsin.Principal {
			return tocsin.Principal{Name: "dora", Role: tocsin.RoleNone, Receivers: theirs}
		}
	})
	k.tokens["tocsin_dora"] = tocsin.Token{ID: "t1", Name: "dora", Role: tocsin.RoleResponder, Team: "db"}
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Severity: tocsin.Error, Receivers: []string{"db"}}
	ask := func() int {
		return w.ask("POST", "/api/v1/incidents/k7f3q9/note", `{"text":"a"}`, "Idempotency-Key", "key-1", "Authorization", "Bearer tocsin_dora").Code
	}
	require.Equal(t, 200, ask())
	require.Equal(t, 200, ask())
	theirs = map[string]tocsin.Role{"web": tocsin.RoleResponder}
	assert.Equal(t, 404, ask())
}

// What was made before, as far as the store knows, is shown as it is now, with the
// rights of now. How keys are named in the store does not change.
func TestARepeatIsAnsweredAsItIsNow(t *testing.T) {
	t.Parallel()
	m := &medicine{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		withRota(d).overrides = []tocsin.Override{{ID: "o00001", Kind: tocsin.OverrideReplace, State: tocsin.OverrideActive, Schedule: "primary", User: "bo", From: now, To: now.Add(time.Hour)}}
		d.Remedies, d.Remediator, d.Tokens = m, m, &keeper{}
		d.Manual = func(context.Context, tocsin.Manual) (string, error) { return "", errors.New("it would be made again") }
	})
	w.router.silences = []tocsin.Silence{{ID: "s00001", Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "ana", Comment: "c"}}
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", State: tocsin.Resolved, Severity: tocsin.Error, Receivers: []string{"page"}}
	ask := func(path string, made tocsin.Made, id, first, body string) (int, string, string) {
		docs := &papers{}
		name := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", "", "", "POST", path, "key-1"))
		o := &tocsin.Once{Name: name, Body: fmt.Sprintf("%x", sha256.Sum256([]byte(first))), Makes: made}
		require.NoError(t, tocsin.Done(tocsin.WithOnce(t.Context(), o), docs, made, id, now))
		w.reader.documents = docs.of
		rec := w.ask("POST", path, body, "Idempotency-Key", "key-1")
		return rec.Code, rec.Body.String(), rec.Header().Get("Idempotency-Replayed")
	}
	for _, tc := range []struct {
		path string
		made tocsin.Made
		id   string
		body string
	}{
		{"/api/v1/incidents", tocsin.MadeIncident, "k7f3q9", `{"title":"t"}`},
		{"/api/v1/silences", tocsin.MadeSilence, "s00001", `{"matchers":["a=\"b\""],"endsAt":"2026-11-22T05:00:00Z","comment":"it is over"}`},
		{"/api/v2/silences", tocsin.MadeSilence, "s00001", `{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2026-11-22T04:00:00Z","endsAt":"2026-11-22T05:00:00Z","createdBy":"ana","comment":"it is over"}`},
		{"/api/v1/overrides", tocsin.MadeOverride, "o00001", `{"schedule":"primary","user":"bo","to":"2026-11-22T05:00:00Z"}`},
		{"/api/v1/incidents/k7f3q9/remediate", tocsin.MadeRemediation, "r1", `{"remedy":"restart-node"}`},
	} {
		code, text, replayed := ask(tc.path, tc.made, tc.id, tc.body, tc.body)
		assert.Equal(t, 200, code, tc.path)
		assert.Contains(t, text, `"`+tc.id+`"`, tc.path)
		assert.Equal(t, "true", replayed, tc.path)
		code, text, replayed = ask(tc.path, tc.made, "gone00", tc.body, tc.body)
		assert.Equal(t, 409, code, tc.path)
		assert.Contains(t, text, "gone00, which is not there any more", tc.path)
		assert.Empty(t, replayed, tc.path)
		code, _, replayed = ask(tc.path, tc.made, tc.id, tc.body, tc.body+" ")
		assert.Equal(t, 422, code, tc.path)
		assert.Empty(t, replayed, tc.path)
	}
	assert.Empty(t, m.did)
	assert.Zero(t, w.router.puts)
	token := `{"name":"ci","role":"viewer"}`
	code, text, _ := ask("/api/v1/tokens", tocsin.MadeToken, "t00001", token, token)
	assert.Equal(t, 409, code)
	assert.Contains(t, text, "which is a secret, is not kept")
}
