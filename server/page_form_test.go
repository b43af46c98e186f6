package server_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// send sends a form, as a browser without script does.
func (w *world) send(path string, fields url.Values, header ...string) *httptest.ResponseRecorder {
	return w.ask("POST", path, fields.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, header...)...)
}

// nonceOf is the nonce of a page's forms.
func nonceOf(t testing.TB, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="nonce" value="(\w+)"`).FindStringSubmatch(page)
	require.NotNil(t, m)
	return m[1]
}

func formOf(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// asking has actions asked whether they still hold, as the engine does.
type asking struct {
	*router
	reader *reader
}

func (a asking) Act(ctx context.Context, id string, action tocsin.Action) error {
	inc, err := a.reader.Get(ctx, id)
	if err == nil && action.If != nil {
		err = action.If(inc)
	}
	if err == nil {
		err = a.router.Act(ctx, id, action)
	}
	if err == nil {
		inc.Do(action.ID)
	}
	return err
}

func withAsking(t testing.TB) *world {
	t.Helper()
	return withIncident(t, server.Config{}, func(d *server.Deps) { d.Actions = asking{d.Actions.(*router), d.Reader.(*reader)} })
}

// Each form does one thing, under the path of the API, and leads back to the page.
func TestFormsAct(t *testing.T) {
	t.Parallel()
	for path, tc := range map[string]struct {
		fields url.Values
		want   tocsin.Action
		told   string
	}{
		"acknowledge":   {formOf("shown", "acknowledged"), tocsin.Action{Kind: tocsin.ActAcknowledge}, "it is yours"},
		"resolve":       {formOf("text", " fixed "), tocsin.Action{Kind: tocsin.ActResolve, Text: "fixed"}, "Resolved."},
		"snooze":        {formOf("for", "2h"), tocsin.Action{Kind: tocsin.ActSnooze, Until: now.Add(2 * time.Hour)}, "Snoozed."},
		"escalate":      {formOf(), tocsin.Action{Kind: tocsin.ActEscalate}, "Escalated."},
		"reassign":      {formOf("whom", "bo"), tocsin.Action{Kind: tocsin.ActReassign, User: "bo"}, "Reassigned."},
		"add-responder": {formOf("whom", "schedule:platform"), tocsin.Action{Kind: tocsin.ActAddResponder, Schedule: "platform"}, "Asked to help."},
		"note":          {formOf("text", "looks bad"), tocsin.Action{Kind: tocsin.ActNote, Text: "looks bad"}, "Noted."},
		"merge":         {formOf("into", " ABC123"), tocsin.Action{Kind: tocsin.ActMerge, Into: "abc123"}, "Merged."},
		"unmerge":       {formOf(), tocsin.Action{Kind: tocsin.ActUnmerge}, "pages for itself"},
		"severity":      {formOf("severity", "info"), tocsin.Action{Kind: tocsin.ActSeverity, Severity: tocsin.Info}, "severity is changed"},
		"step": {
			formOf("step", "s1", "status", "skipped", "text", "not needed"),
			tocsin.Action{Kind: tocsin.ActStep, RunbookStep: "s1", Status: tocsin.StepSkipped, Text: "not needed"},
			"The step is marked.",
		},
		"channel": {formOf(), tocsin.Action{Kind: tocsin.ActChannel}, "Slack channel"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := withAsking(t)
			tc.fields.Set("nonce", nonceOf(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String()))
			rec := w.send("/incidents/k7f3q9/"+path, tc.fields)
			require.Equal(t, 303, rec.Code, rec.Body.String())
			require.Len(t, w.router.acted, 1)
			got := w.router.acted[0]
			assert.NotEmpty(t, got.ID)
			require.NotNil(t, got.If)
			got.ID, got.If = "", nil
			tc.want.By, tc.want.Via = "page", "page"
			assert.Equal(t, tc.want, got)

			back := rec.Header().Get("Location")
			assert.True(t, strings.HasPrefix(back, "/incidents/k7f3q9?done="+path), back)
			back, _, _ = strings.Cut(back, "#")
			assert.Contains(t, safe(t, w.ask("GET", back, "")), tc.told)

			// The same form of the same page again: nothing more happens, and it is told the same.
			assert.Equal(t, 303, w.send("/incidents/k7f3q9/"+path, tc.fields).Code)
			assert.Len(t, w.router.acted, 1)
			// Another text in it, or another page, is another wish.
			tc.fields.Set("nonce", nonceOf(t, w.ask("GET", "/incidents/k7f3q9", "").Body.String()))
			assert.Equal(t, 303, w.send("/incidents/k7f3q9/"+path, tc.fields).Code)
			assert.Len(t, w.router.acted, 2)
		})
	}
}

func TestFormsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := withAsking(t)
	for name, tc := range map[string]struct {
		path   string
		fields url.Values
		status int
		want   string
	}{
		"an empty note":     {"note", formOf("text", "  "), 400, "text: missing; a note says something"},
		"a long note":       {"note", formOf("text", strings.Repeat("é", 3000)), 400, "text: longer than 4096 bytes"},
		"no duration":       {"snooze", formOf("for", "soon"), 400, "want a duration"},
		"the past":          {"snooze", formOf("for", "-1h"), 400, "want a time in the future"},
		"nobody":            {"reassign", formOf(), 400, "name one user"},
		"an odd somebody":   {"reassign", formOf("whom", "cat:tom"), 400, "name a user, or schedule:name"},
		"into itself":       {"merge", formOf("into", "K7F3Q9"), 400, "cannot be merged into itself"},
		"no such severity":  {"severity", formOf("severity", "<b>"), 400, "want critical, error, warning or info"},
		"no such status":    {"step", formOf("step", "s1", "status", "x"), 400, "want open, started, done or skipped"},
		"too much":          {"note", formOf("text", strings.Repeat("x", 70<<10)), 413, "longer than 65536 bytes"},
		"a name of control": {"reassign", formOf("whom", "a\x07"), 400, "printable"},
	} {
		rec := w.send("/incidents/k7f3q9/"+tc.path, tc.fields)
		assert.Equal(t, tc.status, rec.Code, name)
		assert.Contains(t, safe(t, rec), tc.want, name)
		assert.Contains(t, rec.Body.String(), `role="alert"`, name)
	}
	assert.Empty(t, w.router.acted)

	typed := safe(t, w.send("/incidents/k7f3q9/note", formOf("text", strings.Repeat("x", 4097)+`</textarea><b>"`)))
	assert.Contains(t, typed, `x&lt;/textarea&gt;&lt;b&gt;&#34;</textarea>`, "what was typed is not lost")

	assert.Equal(t, 404, w.send("/incidents/nobody/note", formOf("text", "x")).Code)
	assert.Equal(t, 415, w.ask("POST", "/incidents/k7f3q9/note", `{"text":"x"}`).Code)
	rec := w.send("/incidents/k7f3q9/note", formOf("text", "x"), "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, 403, rec.Code, "another site's form does nothing")
	assert.Empty(t, w.router.acted)
}

// A page that was looked at for an hour does not undo what others did meanwhile.
func TestStaleForms(t *testing.T) {
	t.Parallel()
	w := withAsking(t)
	inc := w.reader.detail.incident
	inc.State, inc.AcknowledgedBy, inc.AcknowledgedAt = tocsin.Triggered, "", time.Time{}
	page := w.ask("GET", "/incidents/k7f3q9", "").Body.String()
	form := formOf("nonce", nonceOf(t, page), "shown", "triggered")

	inc.Acknowledge("bo", now)
	rec := w.send("/incidents/k7f3q9/acknowledge", form)
	assert.Equal(t, 409, rec.Code)
	page = safe(t, rec)
	assert.Contains(t, page, "bo acknowledged it at 2026-11-22 05:00:00 UTC, while you were looking")
	assert.Contains(t, page, "Take over")
	assert.Equal(t, 303, w.send("/incidents/k7f3q9/acknowledge", formOf("nonce", "n2", "shown", "acknowledged")).Code)

	inc.Resolve("cy", "", now)
	w.router.acted = nil
	for _, path := range []string{"acknowledge", "resolve", "escalate", "severity"} {
		rec = w.send("/incidents/k7f3q9/"+path, formOf("nonce", "n3", "severity", "info", "shown", "triggered"))
		assert.Equal(t, 409, rec.Code, path)
		page = safe(t, rec)
		assert.Contains(t, page, "it was resolved by cy at 2026-11-22 05:00:00 UTC; nothing was done")
		assert.NotContains(t, page, "do-acknowledge", "there is nothing to acknowledge any more")
	}
	assert.Empty(t, w.router.acted)
	inc.State = tocsin.Acknowledged
	again := formOf("nonce", "n5", "shown", "acknowledged")
	assert.Equal(t, 303, w.send("/incidents/k7f3q9/resolve", again).Code)
	inc.Resolve("page", "", now)
	assert.Equal(t, 303, w.send("/incidents/k7f3q9/resolve", again).Code, "the second click is no news")
	assert.Len(t, w.router.acted, 1)
	assert.Equal(t, 303, w.send("/incidents/k7f3q9/note", formOf("nonce", "n4", "text", "for later")).Code, "notes are for afterwards too")
}

// What still fires is resolved in a second step only.
func TestResolvingAsksAgain(t *testing.T) {
	t.Parallel()
	w := withAsking(t)
	w.router.conflict = "2 alerts still fire"
	form := formOf("nonce", "n1", "shown", "acknowledged", "text", "tired <b>")
	rec := w.send("/incidents/k7f3q9/resolve", form)
	require.Equal(t, 409, rec.Code)
	page := safe(t, rec)
	for _, want := range []string{"Resolve anyway?", "2 alerts still fire", `name="force" value="yes"`, `value="tired &lt;b&gt;"`} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "conflict:", "the word for programs")
	assert.Empty(t, w.router.acted)

	form.Set("nonce", nonceOf(t, page))
	form.Set("force", "yes")
	assert.Equal(t, 303, w.send("/incidents/k7f3q9/resolve", form).Code)
	require.Len(t, w.router.acted, 1)
	assert.True(t, w.router.acted[0].Force)
}

func TestAcknowledgeMany(t *testing.T) {
	t.Parallel()
	w := withAsking(t)
	inc := w.reader.detail.incident
	inc.State, inc.AcknowledgedBy = tocsin.Triggered, ""
	form := formOf("nonce", "n1", "id", "k7f3q9", "back", "q=a%3D%22b%22&sort=severity&evil=1&done=resolve")
	rec := w.send("/incidents/acknowledge", form)
	require.Equal(t, 303, rec.Code)
	assert.Equal(t, "/?done=acknowledged-many&q=a%3D%22b%22&sort=severity", rec.Header().Get("Location"))
	require.Equal(t, []string{"acknowledge k7f3q9 by page"}, w.router.did)
	w.send("/incidents/acknowledge", form)
	assert.Len(t, w.router.did, 1, "the same form again")

	form.Add("id", "gone")
	form.Add("id", "")
	assert.Equal(t, "acknowledged-some", doneOf(t, w.send("/incidents/acknowledge", form)))
	inc.Acknowledge("bo", now)
	assert.Equal(t, "acknowledged-none", doneOf(t, w.send("/incidents/acknowledge", formOf("id", "k7f3q9", "nonce", "n2"))))
	assert.Equal(t, "acknowledged-none", doneOf(t, w.send("/incidents/acknowledge", formOf("nonce", "n3"))))
	rec = w.send("/incidents/acknowledge", url.Values{"id": make([]string, 101)})
	assert.Equal(t, 400, rec.Code)
	assert.Len(t, w.router.did, 2)
}

func doneOf(t testing.TB, rec *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, 303, rec.Code, rec.Body.String())
	u, err := url.Parse(rec.Header().Get("Location"))
	require.NoError(t, err)
	return u.Query().Get("done")
}

// An address cannot put words on a page.
func TestToldIsOfATable(t *testing.T) {
	t.Parallel()
	w := withAsking(t)
	page := safe(t, w.ask("GET", "/incidents/k7f3q9?done=Call+%2B1-555-0100+now", ""))
	assert.NotContains(t, page, "555")
	assert.NotContains(t, page, `class="flash"`)
}
