package pagerdutytest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func event(key, action, dedup string) *pd.V2Event {
	return &pd.V2Event{
		RoutingKey: key, Action: action, DedupKey: dedup,
		Payload: &pd.V2Payload{Summary: "disk full", Source: "db1", Severity: "critical", Details: map[string]any{"a": 1}},
	}
}

// official is PagerDuty's own client, without a socket.
func official(s *pagerdutytest.Server, options ...pd.ClientOptions) *pd.Client {
	c := pd.NewClient("token", options...)
	c.HTTPClient = s.Client()
	return c
}

// TestOfficialFunction drives the client library's package function, whose URL
// and client are fixed, so it cannot run beside other tests.
func TestOfficialFunction(t *testing.T) {
	s := pagerdutytest.New(pagerdutytest.Config{Keys: []string{keyA}})
	http.DefaultClient.Transport = s.Transport()
	t.Cleanup(func() { http.DefaultClient.Transport = nil })

	resp, err := pd.ManageEventWithContext(t.Context(), *event(keyA, "trigger", "k"))
	require.NoError(t, err)
	assert.Equal(t, &pd.V2EventResponse{Status: "success", DedupKey: "k", Message: "Event processed"}, resp)

	_, err = pd.ManageEventWithContext(t.Context(), *event("tooshort", "trigger", "k"))
	var refused pd.EventsAPIV2Error
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.BadRequest())
	assert.Equal(t, []string{"Length of 'routing_key' is incorrect (should be 32 characters)"}, refused.APIError.ErrorObject.Errors)
	assert.False(t, refused.Temporary())

	s.Fail(pagerdutytest.Fault{Status: http.StatusServiceUnavailable, Times: 1})
	_, err = pd.ManageEventWithContext(t.Context(), *event(keyA, "trigger", "k"))
	require.ErrorAs(t, err, &refused)
	assert.True(t, refused.Temporary())
}

// TestOfficialMethod drives the client library's method over a socket, through
// an incident's life, and asks about it through the REST API.
func TestOfficialMethod(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{
		APIToken: "token",
		OnCalls: []pagerdutytest.OnCall{{
			User: pagerdutytest.Reference{ID: "PANA", Type: "user_reference", Summary: "Ana"}, EscalationLevel: 1,
		}},
	})
	web := httptest.NewServer(s)
	defer web.Close()
	c := pd.NewClient("token", pd.WithV2EventsAPIEndpoint(web.URL), pd.WithAPIEndpoint(web.URL))
	own := &http.Transport{}
	defer own.CloseIdleConnections()
	c.HTTPClient = &http.Client{Transport: own}
	for _, action := range []string{"trigger", "acknowledge", "trigger", "resolve", "trigger"} {
		resp, err := c.ManageEventWithContext(t.Context(), event(keyA, action, "k"))
		require.NoError(t, err)
		assert.Equal(t, "success", resp.Status)
	}
	got := s.Incidents(keyA)
	require.Len(t, got, 2)
	assert.Equal(t, pagerdutytest.Resolved, got[0].Status)
	assert.Equal(t, []string{"trigger", "acknowledge", "trigger", "resolve"}, logged(got[0]))
	assert.Equal(t, pagerdutytest.Triggered, got[1].Status)
	assert.JSONEq(t, `{"a":1}`, string(got[1].Details))

	list, err := c.ListIncidentsWithContext(t.Context(), pd.ListIncidentsOptions{Statuses: []string{"triggered"}})
	require.NoError(t, err)
	require.Len(t, list.Incidents, 1)
	assert.Equal(t, "k", list.Incidents[0].IncidentKey)
	one, err := c.GetIncidentWithContext(t.Context(), got[0].ID)
	require.NoError(t, err)
	assert.Equal(t, "resolved", one.Status)
	calls, err := c.ListOnCallsWithContext(t.Context(), pd.ListOnCallOptions{})
	require.NoError(t, err)
	require.Len(t, calls.OnCalls, 1)
	assert.Equal(t, "Ana", calls.OnCalls[0].User.Summary)

	_, err = c.CreateChangeEventWithContext(t.Context(), pd.ChangeEvent{RoutingKey: keyA, Payload: pd.ChangeEventPayload{Summary: "deployed"}})
	require.NoError(t, err)
	assert.Equal(t, 1, s.Stats().Changes)

	_, err = pd.NewClient("wrong", pd.WithAPIEndpoint(web.URL)).GetIncidentWithContext(t.Context(), got[0].ID)
	assert.ErrorContains(t, err, "401")
	_, err = c.GetIncidentWithContext(t.Context(), "Qnone")
	assert.ErrorContains(t, err, "404")
}

func logged(i pagerdutytest.Incident) []string {
	var out []string
	for _, e := range i.Log {
		out = append(out, e.Action)
	}
	return out
}

func TestSemantics(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	c := official(s)
	for _, e := range []*pd.V2Event{
		event(keyA, "acknowledge", "k"), event(keyA, "resolve", "k"), // nothing is open
		event(keyA, "trigger", "k"),
		event(keyB, "resolve", "k"), // another routing key
		event(keyB, "trigger", "k"),
		event(keyA, "trigger", ""), event(keyA, "trigger", ""), // each opens its own
	} {
		_, err := c.ManageEventWithContext(t.Context(), e)
		require.NoError(t, err)
	}
	stats := s.Stats()
	assert.Equal(t, pagerdutytest.Stats{Calls: 7, Accepted: 7, Opened: 4, Dropped: 3}, stats)
	assert.Len(t, s.Incidents(keyA), 3)
	assert.Len(t, s.Incidents(keyB), 1)
	events := s.Events()
	assert.Equal(t, "dropped", events[0].Outcome)
	assert.NotEqual(t, events[5].DedupKey, events[6].DedupKey)
}

func TestChecks(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{Keys: []string{keyA}})
	good := `{"routing_key":"` + keyA + `","event_action":"trigger","dedup_key":"k","payload":{"summary":"s","source":"h","severity":"info"}}`
	status, _ := post(t, s, "/v2/enqueue", good)
	require.Equal(t, http.StatusAccepted, status)
	for name, c := range map[string]struct{ old, new, want string }{
		"length of the key":      {keyA, "abc", "Length of 'routing_key'"},
		"characters of the key":  {keyA, strings.Repeat("-", 32), "non-alphanumeric"},
		"unknown key":            {keyA, keyB, "Invalid routing key"},
		"severity":               {`"info"`, `"fatal"`, "'payload.severity' is invalid"},
		"no severity":            {`,"severity":"info"`, ``, "'payload.severity' is missing"},
		"no summary":             {`"summary":"s",`, ``, "'payload.summary' is missing"},
		"long summary":           {`"s"`, `"` + strings.Repeat("é", 1025) + `"`, "'payload.summary' is too long"},
		"no source":              {`"source":"h",`, ``, "'payload.source' is missing"},
		"details as string":      {`"s"`, `"s","custom_details":"text"`, "must be an object"},
		"details as list":        {`"s"`, `"s","custom_details":[1]`, "must be an object"},
		"time":                   {`"s"`, `"s","timestamp":"yesterday"`, "ISO 8601"},
		"long dedup key":         {`"k"`, `"` + strings.Repeat("k", 256) + `"`, "'dedup_key' is too long"},
		"resolve without a key":  {`"trigger","dedup_key":"k"`, `"resolve"`, "'dedup_key' is missing"},
		"no action":              {`"event_action":"trigger",`, ``, "'event_action' is missing"},
		"unknown action":         {`"trigger"`, `"page"`, "'event_action' is invalid"},
		"no payload":             {`"payload"`, `"load"`, "'payload' is missing"},
		"link without address":   {`"k",`, `"k","links":[{"text":"x"}],`, "'href'"},
		"image without https":    {`"k",`, `"k","images":[{"src":"http://x/y"}],`, "'src'"},
		"no JSON":                {`{"routing_key"`, `routing_key`, "not a valid JSON"},
		"number as key":          {`"` + keyA + `"`, `1`, "not a valid JSON"},
		"more than 512 KB":       {`"h"`, `"` + strings.Repeat("h", 512_000) + `"`, "too large"},
		"a string for the event": {good, `"trigger"`, "not a valid JSON"},
	} {
		status, body := post(t, s, "/v2/enqueue", strings.Replace(good, c.old, c.new, 1))
		assert.Equal(t, http.StatusBadRequest, status, name)
		assert.Contains(t, body, c.want, name)
		assert.Contains(t, body, `"status":"invalid event"`, name)
	}
	status, body := post(t, s, "/v2/change/enqueue", `{"routing_key":"`+keyA+`","payload":{}}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "'payload.summary' is missing")
	assert.Len(t, s.Violations(), 23)
	assert.Len(t, s.Incidents(""), 1)
}

func post(t *testing.T, s *pagerdutytest.Server, path, body string) (int, string) {
	t.Helper()
	resp, err := s.Client().Post("https://events.pagerduty.com"+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := pagerdutytest.New(pagerdutytest.Config{RateLimit: 120})
		c := s.Client()
		call := func(key string) *http.Response {
			body := `{"routing_key":"` + key + `","event_action":"resolve","dedup_key":"k"}`
			resp, err := c.Post("http://x/v2/enqueue", "application/json", strings.NewReader(body))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp
		}
		for range 120 {
			require.Equal(t, http.StatusAccepted, call(keyA).StatusCode)
			time.Sleep(100 * time.Millisecond)
		}
		resp := call(keyA)
		assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		assert.Equal(t, "48", resp.Header.Get("Retry-After"))
		assert.Equal(t, http.StatusAccepted, call(keyB).StatusCode, "each key has its own limit")
		assert.Empty(t, s.Violations(), "nobody had asked it to wait")
		call(keyA)
		assert.Len(t, s.Violations(), 1, "it was asked to wait")
		time.Sleep(48 * time.Second)
		assert.Equal(t, http.StatusAccepted, call(keyA).StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, call(keyA).StatusCode, "the window slides")
		time.Sleep(time.Second)
		assert.Equal(t, http.StatusAccepted, call(keyA).StatusCode)
	})
}

func TestFaultsWithoutSocket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		testFaults(t, func(s *pagerdutytest.Server) *http.Client { return s.Client() })
	})
}

func TestFaultsOnSocket(t *testing.T) {
	t.Parallel()
	var web *httptest.Server
	testFaults(t, func(s *pagerdutytest.Server) *http.Client {
		web = httptest.NewServer(s)
		t.Cleanup(web.Close)
		own := &http.Transport{}
		t.Cleanup(own.CloseIdleConnections)
		return &http.Client{Transport: toServer{web.Listener.Addr().String(), own}}
	})
}

// toServer sends every request to one address.
type toServer struct {
	addr string
	base http.RoundTripper
}

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", s.addr
	return s.base.RoundTrip(r)
}

func testFaults(t *testing.T, client func(*pagerdutytest.Server) *http.Client) {
	s := pagerdutytest.New(pagerdutytest.Config{})
	c := client(s)
	send := func(action string, d time.Duration) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		body := fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":"k","payload":{"summary":"s","source":"h","severity":"info"}}`, keyA, action)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x/v2/enqueue", bytes.NewBufferString(body))
		require.NoError(t, err)
		resp, err := c.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return resp, err
	}

	s.Fail(pagerdutytest.Fault{Drop: true, Times: 1})
	_, err := send("trigger", time.Minute)
	require.ErrorContains(t, err, "EOF")
	assert.Len(t, s.Incidents(keyA), 1, "it was taken all the same")

	s.Fail(pagerdutytest.Fault{BlackHole: true, Times: 1})
	_, err = send("resolve", 50*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, pagerdutytest.Triggered, s.Incidents(keyA)[0].Status, "it was not looked at")

	s.Fail(pagerdutytest.Fault{Status: 429, RetryAfter: 1500 * time.Millisecond, Action: "resolve", Times: 2})
	resp, err := send("acknowledge", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, http.StatusAccepted, resp.StatusCode)
	for range 2 {
		resp, err = send("resolve", time.Minute)
		require.NoError(t, err)
		assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
		assert.Equal(t, "2", resp.Header.Get("Retry-After"))
	}
	start := time.Now()
	s.Fail(pagerdutytest.Fault{Delay: 20 * time.Millisecond})
	resp, err = send("resolve", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, http.StatusAccepted, resp.StatusCode)
	assert.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
	s.Clear()
	assert.Equal(t, pagerdutytest.Stats{Calls: 6, Accepted: 3, Failed: 3, Opened: 1, Acknowledged: 1, Resolved: 1}, s.Stats())
}

func TestFaultsEndAndComeAtRandom(t *testing.T) {
	t.Parallel()
	failures := func(seed uint64, f pagerdutytest.Fault) (n int) {
		s := pagerdutytest.New(pagerdutytest.Config{Seed: seed})
		s.Fail(f)
		for range 1000 {
			if status, _ := post(t, s, "/v2/enqueue", `{"routing_key":"`+keyA+`","event_action":"resolve","dedup_key":"k"}`); status == 500 {
				n++
			}
		}
		return n
	}
	fifth := pagerdutytest.Fault{Status: 500, Rate: 0.2}
	n := failures(1, fifth)
	assert.InDelta(t, 200, n, 60)
	assert.Equal(t, n, failures(1, fifth), "the same seed, the same faults")
	assert.Zero(t, failures(1, pagerdutytest.Fault{Status: 500, Until: time.Now()}))
	assert.Zero(t, failures(1, pagerdutytest.Fault{Status: 500, RoutingKey: keyB}))
}

func TestPageEscapes(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{})
	e := event(keyA, "trigger", "k")
	e.Payload.Summary = "<script>alert(1)</script>"
	e.Links = []any{map[string]string{"href": "javascript:alert(1)", "text": "x"}}
	_, err := official(s).ManageEventWithContext(t.Context(), e)
	require.NoError(t, err)
	resp, err := s.Client().Get("http://pagerduty.example/")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, string(page), "&lt;script&gt;")
	assert.NotContains(t, string(page), "<script>")
	assert.NotContains(t, string(page), "javascript:alert")
	assert.NotContains(t, string(page), keyA)
}

func TestRemembersTheLatestEvents(t *testing.T) {
	t.Parallel()
	s := pagerdutytest.New(pagerdutytest.Config{MaxEvents: 10})
	for n := range 100 {
		post(t, s, "/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"resolve","dedup_key":"k%d"}`, keyA, n))
	}
	events := s.Events()
	assert.GreaterOrEqual(t, len(events), 10)
	assert.LessOrEqual(t, len(events), 20)
	assert.Equal(t, "k99", events[len(events)-1].DedupKey)
	assert.Equal(t, 100, s.Stats().Calls)
}

func BenchmarkEnqueue(b *testing.B) {
	s := pagerdutytest.New(pagerdutytest.Config{})
	body := []byte(`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"disk full","source":"db1","severity":"critical","custom_details":{"firing":3}}}`)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/enqueue", bytes.NewReader(body)))
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Code)
		}
	}
}
