package callback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/callback"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const formType = "application/x-www-form-urlencoded"

// request is one that would be taken, for tests to spoil.
type request struct {
	method, path string
	contentType  string
	header       http.Header
	body         []byte
	length       int64
}

func (w *world) request(payload []byte, at time.Time) *request {
	body := []byte("payload=" + url.QueryEscape(string(payload)))
	return &request{
		method: http.MethodPost, path: "/slack/interactions", contentType: formType,
		header: slacktest.Sign(secret, at, body), body: body, length: int64(len(body)),
	}
}

func (w *world) serve(r *request) int {
	w.Helper()
	req := httptest.NewRequest(r.method, r.path, io.NopCloser(bytes.NewReader(r.body)))
	req.ContentLength = r.length
	req.Header = r.header.Clone()
	req.Header.Set("Content-Type", r.contentType)
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, req)
	return rec.Code
}

func (w *world) ack() []byte {
	w.Helper()
	m := w.message("k7f3q9")
	payload, err := w.slack.ClickPayload(m.Channel, m.TS, ana, slack.ActionAcknowledge)
	require.NoError(w, err)
	return payload
}

// changed is the payload with something in it replaced.
func changed(t testing.TB, payload []byte, old, with string) []byte {
	t.Helper()
	require.Contains(t, string(payload), old)
	return []byte(strings.ReplaceAll(string(payload), old, with))
}

// TestRefused: what Slack has not just sent about this message does nothing, and is
// logged once however often it comes.
func TestRefused(t *testing.T) {
	t.Parallel()
	now := time.Now() // the cases run within a few seconds of it
	for name, c := range map[string]struct {
		spoil  func(w *world, r *request)
		status int
	}{
		"wrong secret": {func(_ *world, r *request) { r.header = slacktest.Sign("another secret", now, r.body) }, 401},
		"no signature": {func(_ *world, r *request) { r.header.Del("X-Slack-Signature") }, 401},
		"two signatures": {func(_ *world, r *request) {
			r.header.Add("X-Slack-Signature", "v0="+strings.Repeat("0", 64))
		}, 401},
		"short signature": {func(_ *world, r *request) { r.header.Set("X-Slack-Signature", "v0=00") }, 401},
		"unknown version": {func(_ *world, r *request) {
			r.header["X-Slack-Signature"][0] = "v1" + r.header["X-Slack-Signature"][0][2:]
		}, 401},
		"no time":           {func(_ *world, r *request) { r.header.Del("X-Slack-Request-Timestamp") }, 401},
		"another time":      {func(_ *world, r *request) { r.header.Set("X-Slack-Request-Timestamp", fmt.Sprint(now.Unix()-7)) }, 401},
		"time that is none": {func(_ *world, r *request) { r.header.Set("X-Slack-Request-Timestamp", "now") }, 401},
		"time that overflows": {func(_ *world, r *request) {
			r.header.Set("X-Slack-Request-Timestamp", "9223372036854775807")
		}, 401},
		"stale":            {func(_ *world, r *request) { r.header = slacktest.Sign(secret, now.Add(-301*time.Second), r.body) }, 401},
		"future":           {func(_ *world, r *request) { r.header = slacktest.Sign(secret, time.Now().Add(10*time.Minute), r.body) }, 401},
		"changed body":     {func(_ *world, r *request) { r.body[len(r.body)-1]++ }, 401},
		"truncated":        {func(_ *world, r *request) { r.body, r.length = r.body[:len(r.body)/2], r.length/2 }, 401},
		"oversized":        {func(_ *world, r *request) { sized(r, 1<<20+1) }, 413},
		"wrong type":       {func(_ *world, r *request) { r.contentType = "application/json" }, 415},
		"no type":          {func(_ *world, r *request) { r.contentType = "" }, 415},
		"GET":              {func(_ *world, r *request) { r.method = http.MethodGet }, 405},
		"payload in query": {func(_ *world, r *request) { r.path += "?" + string(r.body) }, 400},
		"payload in query alone": {func(_ *world, r *request) {
			r.path += "?" + string(r.body)
			r.body, r.length, r.header = nil, 0, slacktest.Sign(secret, now, nil)
		}, 400},
		"two payloads": {func(_ *world, r *request) {
			r.body = append(append(r.body, '&'), r.body...)
			r.length, r.header = int64(len(r.body)), slacktest.Sign(secret, now, r.body)
		}, 400},
		"no payload":     {func(w *world, r *request) { *r = *w.request(nil, now) }, 400},
		"half a payload": {func(w *world, r *request) { p := w.ack(); *r = *w.request(p[:len(p)/2], now) }, 400},
		"unknown action": {func(w *world, r *request) {
			*r = *w.request(changed(w, w.ack(), `"action_id":"tocsin_acknowledge"`, `"action_id":"tocsin_drop"`), now)
		}, 400},
		"unknown kind": {func(w *world, r *request) { *r = *w.request(changed(w, w.ack(), "block_actions", "shortcut"), now) }, 400},
		"another incident": {func(w *world, r *request) {
			*r = *w.request(changed(w, w.ack(), `"value":"k7f3q9"`, `"value":"m2m2m2"`), now)
		}, 400},
		"another incident in the block too": {func(w *world, r *request) {
			p := changed(w, w.ack(), `"value":"k7f3q9"`, `"value":"m2m2m2"`)
			*r = *w.request(changed(w, p, `"block_id":"tocsin:k7f3q9`, `"block_id":"tocsin:m2m2m2`), now)
		}, 400},
		"another incident everywhere but in what we know": {func(w *world, r *request) {
			p := changed(w, w.ack(), "k7f3q9", "m2m2m2")
			var fields map[string]any
			require.NoError(w, json.Unmarshal(p, &fields))
			delete(fields["message"].(map[string]any), "metadata")
			p, err := json.Marshal(fields)
			require.NoError(w, err)
			*r = *w.request(p, now)
		}, 400},
		"another workspace": {func(w *world, r *request) {
			*r = *w.request(changed(w, w.ack(), `"team":{"domain":"tocsin-test","id":"T0TOCSIN01"}`, `"team":{"id":"T0EVIL"}`), now)
		}, 403},
		"two actions": {func(w *world, r *request) {
			*r = *w.request(changed(w, w.ack(), `"actions":[`, `"actions":[{"action_id":"tocsin_resolve"},`), now)
		}, 400},
		"unknown window": {func(w *world, r *request) {
			p := fmt.Sprintf(`{"type":"view_submission","team":{"id":%q},"user":{"id":%q},"view":{"id":"V1","callback_id":"x","private_metadata":"k7f3q9 C1"}}`, slacktest.TeamID, ana)
			*r = *w.request([]byte(p), now)
		}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.open("k7f3q9")
			w.open("m2m2m2")
			r := w.request(w.ack(), now)
			c.spoil(w, r)
			for range 5 {
				got := w.serve(r)
				if got != c.status {
					assert.Equal(t, http.StatusUnauthorized, got, "the same once more is a replay")
				} else {
					assert.Equal(t, c.status, got)
				}
			}
			assert.Empty(t, w.desk.actions())
			assert.LessOrEqual(t, w.logs.lines("refused"), 2, "once a cause; a replay is another cause")
			assert.GreaterOrEqual(t, w.logs.lines("refused"), 1)
			assert.InDelta(t, 5, refusals(t, w), 0)
			assert.Equal(t, 200, w.serve(w.request(w.ack(), now)), "what is right still works")
			assert.Len(t, w.desk.actions(), 1)
		})
	}
}

func sized(r *request, n int) {
	r.body = append(r.body, bytes.Repeat([]byte("x"), n-len(r.body))...)
	r.length, r.header = int64(n), slacktest.Sign(secret, time.Now(), r.body)
}

// refusals is what the metric says.
func refusals(t testing.TB, w *world) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	require.NoError(t, err)
	total := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "tocsin_slack_callbacks_total" && l.GetName() == "outcome" && l.GetValue() == "refused" {
					total += m.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}

// TestTruncatedBody ends the body before its announced length.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	server := httptest.NewServer(w.mux)
	t.Cleanup(server.Close)
	r := w.request(w.ack(), time.Now())
	req, err := http.NewRequest(http.MethodPost, server.URL+r.path, io.MultiReader(bytes.NewReader(r.body[:100]), failing{}))
	require.NoError(t, err)
	req.ContentLength = r.length
	req.Header = r.header
	req.Header.Set("Content-Type", formType)
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		assert.NotEqual(t, http.StatusOK, resp.StatusCode)
		_ = resp.Body.Close()
	}
	assert.Empty(t, w.desk.actions())
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestReplay: the same request counts once, at the same time and for as long as its
// time would pass; in whatever case its signature is written.
func TestReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open("k7f3q9")
		payload := w.ack()
		// The time may lie ahead: it is valid for nearly ten minutes then.
		r := w.request(payload, time.Now().Add(299*time.Second))
		var mu sync.Mutex
		var wg sync.WaitGroup
		codes := map[int]int{}
		for range 50 {
			wg.Go(func() {
				code := w.serve(r)
				mu.Lock()
				defer mu.Unlock()
				codes[code]++
			})
		}
		wg.Wait()
		assert.Equal(t, map[int]int{200: 1, 401: 49}, codes)
		r.header.Set("X-Slack-Signature", "v0="+strings.ToUpper(r.header.Get("X-Slack-Signature")[3:]))
		for range 11 {
			time.Sleep(time.Minute)
			assert.Equal(t, 401, w.serve(r))
		}
		assert.Len(t, w.desk.actions(), 1)
		w.settle()
	})
}

// TestReplayOfWhatFailed: an answer that was not given may be asked for again.
func TestReplayOfWhatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open("k7f3q9")
	r := w.request(w.ack(), time.Now())
	w.desk.fail(tocsin.ErrUnavailable)
	assert.Equal(t, 503, w.serve(r))
	w.desk.fail(nil)
	assert.Equal(t, 200, w.serve(r))
	assert.Equal(t, 401, w.serve(r))
	assert.Len(t, w.desk.actions(), 1)
}

func TestWithoutASecretNothingIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *callback.Config, _ *callback.Deps, calls *slacktest.Callbacks) {
		c.SigningSecret, calls.Secret = "", ""
	})
	w.open("k7f3q9")
	assert.Equal(t, 401, w.click("k7f3q9", ana, slack.ActionAcknowledge).Status)
	assert.Empty(t, w.desk.actions())
}

// TestSlackGoAgrees: another implementation takes and refuses the same signatures.
func TestSlackGoAgrees(t *testing.T) {
	t.Parallel()
	h := callback.New(callback.Config{SigningSecret: secret}, callback.Deps{}).Events()
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(`{"type":"event_callback","n":"` + rapid.StringMatching(`[a-z0-9 ]{0,40}`).Draw(t, "body") + fmt.Sprint(rand.Uint64()) + `"}`)
		at := time.Now().Add(time.Duration(rapid.IntRange(-299, 299).Draw(t, "seconds")) * time.Second)
		if rapid.Bool().Draw(t, "off") {
			at = time.Now().Add(time.Duration(rapid.SampledFrom([]int{-1000, -303, 303, 1 << 30}).Draw(t, "far")) * time.Second)
		}
		header := slacktest.Sign(rapid.SampledFrom([]string{secret, "other"}).Draw(t, "secret"), at, body)
		v, err := slackgo.NewSecretsVerifier(header, secret)
		if err == nil {
			_, _ = v.Write(body)
			err = v.Ensure()
		}
		req := httptest.NewRequest(http.MethodPost, "/slack/events", bytes.NewReader(body))
		req.Header = header
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Equal(t, err == nil, rec.Code == http.StatusOK, "slack-go: %v, ours: %d", err, rec.Code)
	})
}

// FuzzInteraction: nothing that Slack could sign makes the handler fail, and only
// what names a message of ours acts.
func FuzzInteraction(f *testing.F) {
	w := newWorld(f)
	w.open("k7f3q9")
	f.Add(w.ack())
	f.Add([]byte(`{"type":"view_submission","view":{"id":"V","callback_id":"tocsin_note","private_metadata":"k7f3q9 C1","state":{"values":null}}}`))
	f.Add([]byte(`{"type":"block_actions","actions":[{"selected_option":null}],"message":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		w.TB = t
		before := len(w.desk.actions())
		code := w.serve(w.request(payload, time.Now()))
		require.Less(t, code, 500)
		if len(w.desk.actions()) > before {
			require.Contains(t, string(payload), slacktest.TeamID)
		}
	})
}

// TestSlackWaitsThreeSeconds: a store that hangs does not keep Slack waiting.
func TestSlackWaitsThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open("k7f3q9")
		w.desk.slow = time.Minute
		begun := time.Now()
		assert.Equal(t, http.StatusServiceUnavailable, w.click("k7f3q9", ana, slack.ActionAcknowledge).Status)
		assert.Less(t, time.Since(begun), 2600*time.Millisecond)
		w.settle()
		require.Len(t, w.slack.Ephemerals(ana), 1)
		assert.Contains(t, w.slack.Ephemerals(ana)[0].Text, "Not done")
	})
}

// TestSlowCommandsAnswerLater.
func TestSlowCommandsAnswerLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ *callback.Config, d *callback.Deps, _ *slacktest.Callbacks) {
			d.Commander = commander(func(context.Context, string, string) (string, bool) {
				time.Sleep(10 * time.Second) // it does not look at its context
				return "at last", false
			})
		})
		w.slack.AddChannel("incidents")
		_, err := w.slack.Command(ana, "incidents", "status")
		require.NoError(t, err)
		w.settle()
		said := w.slack.Ephemerals(ana)
		require.Len(t, said, 2)
		assert.Contains(t, said[0].Text, "Still at it")
		assert.Equal(t, "at last", said[1].Text)
	})
}

// TestRepliesAreTriedAgain within what Slack allows: 5 uses, then as an ephemeral
// message of our own.
func TestRepliesAreTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []slacktest.Fault
		said   int
		calls  int
	}{
		"once more": {[]slacktest.Fault{{Method: "response_url", Status: 503, Count: 2}}, 1, 3},
		"pause":     {[]slacktest.Fault{{Method: "response_url", Status: 429, RetryAfter: slacktest.Seconds(60), Count: 1}}, 1, 2},
		"by itself": {[]slacktest.Fault{{Method: "response_url", Status: 500}}, 1, 5},
		"expired":   {[]slacktest.Fault{{Method: "response_url", Status: 404, Error: "expired_url"}}, 1, 1},
		"not at all": {[]slacktest.Fault{
			{Method: "response_url", Status: 500}, {Method: "chat.postEphemeral", Error: "user_not_in_channel"},
		}, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.open("k7f3q9")
				for _, f := range c.faults {
					w.slack.Fault(f)
				}
				assert.Equal(t, 200, w.click("k7f3q9", guest, slack.ActionAcknowledge).Status)
				w.settle()
				assert.Len(t, w.slack.Ephemerals(guest), c.said)
				assert.Equal(t, c.calls, w.slack.Calls("response_url"))
			})
		})
	}
}

// TestAWindowThatOpensTooLate: the person is told to click again.
func TestAWindowThatOpensTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open("k7f3q9")
		w.slack.Fault(slacktest.Fault{Method: "views.open", Delay: 4 * time.Second})
		assert.Equal(t, 200, w.click("k7f3q9", ana, slack.ActionMore, slack.ChoiceNote).Status)
		w.settle()
		require.Len(t, w.slack.Ephemerals(ana), 1)
		assert.Contains(t, w.slack.Ephemerals(ana)[0].Text, "Click again")
	})
}

// TestTheQueueIsBounded: what cannot be said is dropped and counted; what was
// clicked is done.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open("k7f3q9")
		w.slack.Fault(slacktest.Fault{Method: "response_url", Delay: 5 * time.Second})
		for range 400 {
			assert.Equal(t, 200, w.serve(w.request(changed(t, w.ack(), ana, guest), time.Now())))
			time.Sleep(4 * time.Millisecond)
		}
		synctest.Wait()
		w.settle()
		said := len(w.slack.Ephemerals(""))
		assert.GreaterOrEqual(t, said, 1)
		assert.LessOrEqual(t, said, 257)
		assert.Equal(t, 1, w.logs.lines("was dropped"))
	})
}

// TestFiveMinutesBothWays, to the second.
func TestFiveMinutesBothWays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open("k7f3q9")
		payload := changed(t, w.ack(), ana, guest)
		for after, want := range map[time.Duration]int{-301 * time.Second: 401, -300 * time.Second: 200, 300 * time.Second: 200, 301 * time.Second: 401} {
			assert.Equal(t, want, w.serve(w.request(payload, time.Now().Add(after))), "%s", after)
		}
		w.settle()
	})
}

// TestTheReplayCacheIsBounded: when it is full nothing more is taken, rather than
// something twice.
func TestTheReplayCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := callback.New(callback.Config{SigningSecret: secret}, callback.Deps{}).Events()
		send := func(n int) int {
			body := fmt.Appendf(nil, `{"type":"event_callback","n":%d}`, n)
			req := httptest.NewRequest(http.MethodPost, "/slack/events", bytes.NewReader(body))
			req.Header = slacktest.Sign(secret, time.Now(), body)
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			return rec.Code
		}
		n := 0
		for ; n < 200_000 && send(n) == 200; n++ {
		}
		assert.Equal(t, 100_000, n)
		assert.Equal(t, 401, send(0))
		assert.Equal(t, 503, send(n))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 200, send(n))
	})
}
