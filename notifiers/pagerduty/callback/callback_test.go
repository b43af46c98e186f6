package callback_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const id = "k7f3q9"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatPeopleDoInPagerDuty(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do    func(s *pagerdutytest.Server, pd string)
		state tocsin.State
		by    string
		line  string
		calls int
	}{
		"acknowledge":          {func(s *pagerdutytest.Server, pd string) { s.Acknowledge(pd, ana) }, tocsin.Acknowledged, "ana", "acknowledged ana acknowledged by ana: in PagerDuty", 1},
		"by a stranger":        {func(s *pagerdutytest.Server, pd string) { s.Acknowledge(pd, eve) }, tocsin.Acknowledged, "PagerDuty: Eve E.", "acknowledged PagerDuty: Eve E.", 1},
		"unacknowledge":        {func(s *pagerdutytest.Server, pd string) { s.Acknowledge(pd, ana); s.Unacknowledge(pd) }, tocsin.Triggered, "", "returned PagerDuty", 1},
		"resolve":              {func(s *pagerdutytest.Server, pd string) { s.Resolve(pd, bo) }, tocsin.Resolved, "", "resolved bo resolved by bo: in PagerDuty", 1},
		"reopen":               {func(s *pagerdutytest.Server, pd string) { s.Resolve(pd, bo); s.Reopen(pd, bo) }, tocsin.Triggered, "", "reopened bo reopened by bo: in PagerDuty", 1},
		"reassign":             {func(s *pagerdutytest.Server, pd string) { s.Reassign(pd, bo, ana, eve) }, tocsin.Triggered, "", "note bo reassigned in PagerDuty to ana, PagerDuty: Eve E.", 1},
		"reassigned is called": {func(s *pagerdutytest.Server, pd string) { s.Acknowledge(pd, bo); s.Reassign(pd, bo, ana) }, tocsin.Triggered, "", "responder bo bo asked ana to help", 1},
		"escalate":             {func(s *pagerdutytest.Server, pd string) { s.Escalate(pd, bo) }, tocsin.Triggered, "", "note PagerDuty escalated in PagerDuty to bo", 1},
		"annotate":             {func(s *pagerdutytest.Server, pd string) { s.Annotate(pd, ana, "it was\nthe disk\u202e") }, tocsin.Triggered, "", "note ana it was\nthe disk", 1},
		"priority":             {func(s *pagerdutytest.Server, pd string) { s.SetPriority(pd, ana, "P1") }, tocsin.Triggered, "", "severity ana severity changed from error to critical by ana", 1},
		"no such priority":     {func(s *pagerdutytest.Server, pd string) { s.SetPriority(pd, ana, "P3") }, tocsin.Triggered, "", "note ana the priority in PagerDuty is P3", 1},
		"responder":            {func(s *pagerdutytest.Server, pd string) { s.AddResponder(pd, ana, bo, "please") }, tocsin.Triggered, "", "responder ana ana asked bo to help: please", 1},
		"a stranger helps":     {func(s *pagerdutytest.Server, pd string) { s.AddResponder(pd, ana, eve, "") }, tocsin.Triggered, "", "note ana PagerDuty asked PagerDuty: Eve E. to help", 1},
		"reply":                {func(s *pagerdutytest.Server, pd string) { s.Reply(pd, bo, "declined") }, tocsin.Triggered, "", "note bo bo has declined the request in PagerDuty", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := triggered(t)
			w.now = w.now.Add(time.Minute)
			c.do(w.pd, w.there().ID)
			w.settle(id)
			inc := w.inc(id)
			assert.Equal(t, c.state, inc.State)
			assert.Equal(t, c.by, inc.AcknowledgedBy)
			assert.Contains(t, strings.Join(w.timeline(id), "\n"), c.line)
			assert.Equal(t, c.calls, w.pd.Stats().Calls, "nothing is sent back: %v", story(w.pd))
			assert.Equal(t, string(inc.State), w.there().Status)
			assert.False(t, inc.Delivery(target).Lags(inc))
			for _, r := range w.pd.Results() {
				assert.Equal(t, "delivered", r.Outcome)
			}
			for _, h := range w.pd.Results() { // and again, as PagerDuty may
				w.pd.Duplicate(h.Hook)
			}
			before := w.timeline(id)
			w.settle(id)
			assert.Equal(t, before, w.timeline(id))
		})
	}
}

func TestWhatIsDoneHereIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	require.NoError(t, w.act(id, tocsin.Action{Kind: tocsin.ActAcknowledge, By: "ana"}))
	w.settle(id)
	assert.Equal(t, "ana", w.inc(id).AcknowledgedBy)
	require.NoError(t, w.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana"}))
	w.settle(id)
	assert.Equal(t, []string{"acknowledged ana acknowledged by ana", "resolved ana resolved by ana"}, w.timeline(id))
	assert.Equal(t, 3, w.pd.Stats().Calls)
	assert.Equal(t, 1, w.counting, "the incident's ID there is learnt, and no more")
	assert.Equal(t, w.there().ID, w.inc(id).Delivery(target).Heard().Remote)
}

func TestNotesGoBothWaysAndComeBackNever(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	require.NoError(t, w.act(id, tocsin.Action{Kind: tocsin.ActNote, By: "ana", Text: "from here"}))
	w.settle(id)
	w.pd.Annotate(w.there().ID, eve, "from there")
	w.pd.Annotate(w.there().ID, eve, "[Tocsin other#1] of another incident")
	w.settle(id)
	assert.Equal(t, []string{
		"note ana from here", "note PagerDuty: Eve E. from there", "note PagerDuty: Eve E. [Tocsin other#1] of another incident",
	}, w.timeline(id))
	notes := w.there().Notes
	require.Len(t, notes, 3)
	assert.Regexp(t, `^\[Tocsin k7f3q9#\d+\] ana: from here$`, notes[0].Content)
}

// A webhook of the incident that PagerDuty had before must not touch the one that
// it has now.
func TestALateWebhookOfTheTurnBefore(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	w.now = w.now.Add(time.Minute)
	w.pd.Acknowledge(w.there().ID, bo)
	late := w.pd.Hooks()
	require.Len(t, late, 1)
	require.NoError(t, w.act(id, tocsin.Action{Kind: tocsin.ActResolve, By: "ana"}))
	require.True(t, w.call(id))
	w.save(id)
	w.update(func(tx tocsin.Tx) {
		inc := tx.Incident(id)
		tx.Append(inc.Reopen("fires again", w.now))
		tx.PutIncident(inc)
	})
	require.True(t, w.call(id))
	w.save(id)
	w.settle(id)
	assert.Equal(t, tocsin.Triggered, w.inc(id).State)
	assert.Equal(t, pagerdutytest.Triggered, w.there().Status)
	assert.True(t, strings.HasSuffix(w.there().DedupKey, "-2"), w.there().DedupKey)
}

func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	w.now = w.now.Add(time.Minute)
	w.pd.Annotate(w.there().ID, bo, "once")
	hook := w.pd.Hooks()[0]
	w.settle(id)
	h, err := callback.New(callback.Config{Secrets: []string{secret}}, callback.Deps{
		Actions: w, Incidents: w.store, Live: w.store.Live, Now: func() time.Time { return w.now },
	})
	require.NoError(t, err)
	w.handler = h
	w.now = w.now.Add(time.Hour)
	sig := pagerdutytest.Sign(hook.Body, secret)
	assert.Equal(t, 200, w.hook(t, string(hook.Body), "another-id", sig), "with a webhook ID of the replayer's own")
	assert.Equal(t, []string{"note bo once"}, w.timeline(id))
}

func TestRefused(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	w.now = w.now.Add(time.Minute)
	key := w.there().DedupKey
	body := w.body("incident.resolved", key, "resolved")
	good := pagerdutytest.Sign([]byte(body), secret)
	old := strings.Replace(body, w.now.Format(time.RFC3339Nano), w.now.Add(-50*time.Hour).Format(time.RFC3339Nano), 1)
	big := `{"event":{"id":"` + strings.Repeat("x", callback.MaxBody) + `"}}`
	for name, c := range map[string]struct {
		body, signature string
		status          int
		outcome         string
	}{
		"no signature":     {body, "", 401, "forged"},
		"another secret":   {body, pagerdutytest.Sign([]byte(body), "guess"), 401, "forged"},
		"another body":     {body + " ", good, 401, "forged"},
		"truncated":        {body[:len(body)-2], good, 401, "forged"},
		"another version":  {body, strings.Replace(good, "v1=", "v2=", 1), 401, "forged"},
		"half a signature": {body, good[:40], 401, "forged"},
		"empty secret":     {body, pagerdutytest.Sign([]byte(body), ""), 401, "forged"},
		"many signatures":  {body, strings.Repeat("v1="+strings.Repeat("00", 32)+",", 20) + good, 401, "forged"},
		"oversized":        {big, pagerdutytest.Sign([]byte(big), secret), 413, "oversized"},
		"too old":          {old, pagerdutytest.Sign([]byte(old), secret), 200, "stale"},
		"no JSON":          {"<html>", pagerdutytest.Sign([]byte("<html>"), secret), 200, "malformed"},
		"no event":         {"{}", pagerdutytest.Sign([]byte("{}"), secret), 200, "malformed"},
		"empty":            {"", pagerdutytest.Sign(nil, secret), 200, "malformed"},
	} {
		before := w.count(c.outcome)
		assert.Equal(t, c.status, w.hook(t, c.body, "h-"+name, c.signature), name)
		assert.Equal(t, before+1, w.count(c.outcome), name)
	}
	assert.Equal(t, tocsin.Triggered, w.inc(id).State)
	resp, err := pagerdutytest.Through(w.handler).Get(hookURL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)

	rotated := pagerdutytest.Sign([]byte(body), "unknown-new", "canary-old-secret")
	assert.Equal(t, 200, w.hook(t, body, "h", strings.ReplaceAll(rotated, ",", ", ")), "one of two signatures, by the older secret")
	assert.Equal(t, tocsin.Resolved, w.inc(id).State)
	assert.Equal(t, 200, w.hook(t, body, "h", good))
	assert.Equal(t, 1, w.count("duplicate"))
	w.handler.Set(callback.Config{})
	assert.Equal(t, 503, w.hook(t, body, "h2", good), "without a secret nothing is believed, and nothing is lost")
}

// What is signed and not understood, or not ours, must not have the subscription
// switched off.
func TestNotUnderstoodIsTaken(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	key := w.there().DedupKey
	for name, body := range map[string]string{
		"ping":           `{"event":{"id":"P1","event_type":"pagey.ping","data":{"message":"Hello from your friend Pagey!","type":"ping"}}}`,
		"service":        `{"event":{"id":"S1","event_type":"service.updated","agent":null,"data":{"id":"PF9","type":"service"}}}`,
		"new event":      `{"event":{"id":"N1","event_type":"incident.sung_to","agent":null,"data":{"id":"Q9","type":"incident","incident_key":"` + key + `"}}}`,
		"status update":  `{"event":{"id":"U1","event_type":"incident.status_update_published","data":{"incident":{"id":"QNONE"},"message":"x"}}}`,
		"not ours":       `{"event":{"id":"O1","event_type":"incident.resolved","data":{"id":"QX","type":"incident","status":"resolved","incident_key":"baf7cf21b1da41b4b0221008339ff357"}}}`,
		"of no incident": `{"event":{"id":"O2","event_type":"incident.resolved","data":{"id":"QX","type":"incident","status":"resolved","incident_key":"tocsin-zzzzzz-bbbb"}}}`,
		"of another key": `{"event":{"id":"O3","event_type":"incident.resolved","agent":{"id":"PANA001","type":"user_reference"},"data":{"id":"QX","type":"incident","status":"resolved","incident_key":"tocsin-k7f3q9-bbbb"}}}`,
		"no data":        `{"event":{"id":"D1","event_type":"incident.resolved"}}`,
	} {
		assert.Equal(t, 200, w.hook(t, body, "h"+name, pagerdutytest.Sign([]byte(body), secret)), name)
	}
	assert.Equal(t, tocsin.Triggered, w.inc(id).State)
	assert.Zero(t, w.count("done"))
}

// PagerDuty tries again what cannot be committed now, and does not switch the
// subscription off meanwhile.
func TestNotNow(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	w.now = w.now.Add(time.Minute)
	w.acts = func(context.Context, string, tocsin.Action) error { return tocsin.Unavailable(errors.New("disk full")) }
	w.pd.Acknowledge(w.there().ID, ana)
	w.pd.Annotate(w.there().ID, ana, "looking")
	w.pd.Send(t.Context())
	assert.Equal(t, tocsin.Triggered, w.inc(id).State)
	assert.Equal(t, 1, w.count("unavailable"), "the second waits behind the first")
	w.acts = func(ctx context.Context, _ string, _ tocsin.Action) error { <-ctx.Done(); return ctx.Err() }
	w.acts = nil
	w.settle(id)
	assert.Equal(t, tocsin.Acknowledged, w.inc(id).State)
	assert.Equal(t, []string{"acknowledged ana acknowledged by ana: in PagerDuty", "note ana looking"}, w.timeline(id))
}

// A wrong secret here costs three webhooks, as the documentation says.
func TestAWrongSecretHere(t *testing.T) {
	t.Parallel()
	w := triggered(t)
	w.handler.Set(callback.Config{Secrets: []string{"wrong"}})
	for range 4 {
		w.pd.Annotate(w.there().ID, ana, "looking")
	}
	w.pd.Send(t.Context())
	assert.Equal(t, 3, w.count("forged"))
	assert.Empty(t, w.pd.Hooks(), "PagerDuty has switched the subscription off")
}

// The signatures are those that PagerDuty's own library checks.
func TestOfficialLibraryVerifiesTheEmulator(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"event":{}}`))
	r.Header.Set("X-PagerDuty-Signature", pagerdutytest.Sign([]byte(`{"event":{}}`), "other", secret))
	require.NoError(t, webhookv3.VerifySignature(r, secret))
	require.Error(t, webhookv3.VerifySignature(r, "wrong"))
}

// FuzzWebhook: whatever is signed, the handler answers, and never with what has
// the subscription switched off.
func FuzzWebhook(f *testing.F) {
	f.Add(`{"event":{"id":"1","event_type":"incident.annotated","data":{"incident":{"id":"Q1"},"content":"x"}}}`)
	f.Add(`{"event":{"id":"1","event_type":"incident.resolved","data":{"id":"Q1","type":"incident","incident_key":"tocsin-k7f3q9-bbbb-3"}}}`)
	w := newWorld(f, f.TempDir())
	f.Cleanup(func() { _ = w.store.Close() })
	w.open(id)
	w.settle(id)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) <= callback.MaxBody {
			assert.Equal(t, 200, w.hook(t, body, "", pagerdutytest.Sign([]byte(body), secret)))
		}
	})
}
