package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

const intake = "/webhook/alertmanager"

func TestIntakeAnswersOnceDurable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	rec := w.ask("POST", intake, string(server.WebhookBody(2)))
	require.Equal(t, http.StatusOK, rec.Code)
	assert.JSONEq(t, `{"status":"ok"}`, rec.Body.String())
	assert.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.Len(t, w.router.received(), 1, "one request is one batch")
	b := w.router.received()[0]
	assert.Equal(t, "alertmanager", b.Source)
	assert.Len(t, b.Alerts, 2)
	assert.Equal(t, "alertmanager", b.Alerts[1].Source)

	rec = w.ask("POST", intake+"?source=eu-1", `{"version":"4","truncatedAlerts":7,"alerts":[{"status":"firing","labels":{"a":"b"}}]}`)
	require.Equal(t, http.StatusOK, rec.Code)
	b = w.router.received()[1]
	assert.Equal(t, "eu-1", b.Source)
	assert.Equal(t, "eu-1", b.Alerts[0].Source)
	assert.EqualValues(t, 7, b.Truncated)

	rec = w.ask("POST", intake, `{"version":"4","alerts":[]}`)
	require.Equal(t, http.StatusOK, rec.Code)
	assert.Len(t, w.router.received(), 2, "no alerts: nothing to receive")
	assert.Zero(t, w.Held())
	assert.EqualValues(t, 3, w.metric(t, `tocsin_intake_alerts_total`))
}

func TestIntakeTakesEveryCapturedBody(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../shared/data/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no captured webhooks at ../../shared/data/webhooks")
	}
	w := newWorld(t, server.Config{})
	for _, f := range files {
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		rec := w.ask("POST", intake, string(body), "User-Agent", "Alertmanager/0.34.2")
		assert.Equal(t, http.StatusOK, rec.Code, "%s: %s", f, rec.Body)
	}
	assert.Len(t, w.router.received(), len(files))
}

// Alertmanager retries 5xx only: every "not now" must be one, and never 429.
func TestIntakeAnswersByCause(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"stored":      {nil, 200},
		"invalid":     {tocsin.Invalid("alerts", "no"), 400},
		"wrapped":     {fmt.Errorf("decide: %w", tocsin.Invalid("alerts", "no")), 400},
		"unavailable": {tocsin.Unavailable(errors.New("disk full")), 503},
		"deadline":    {context.DeadlineExceeded, 503},
		"cancelled":   {context.Canceled, 503},
		"not found":   {tocsin.ErrNotFound, 503},
		"unknown":     {errors.New("boom"), 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, server.Config{})
			w.router.err = tc.err
			rec := w.ask("POST", intake, string(server.WebhookBody(1)))
			require.Equal(t, tc.want, rec.Code)
			if tc.want == 503 {
				assert.NotEmpty(t, rec.Header().Get("Retry-After"))
				assert.Equal(t, "unavailable", refusal(t, rec).Error.Code)
				assert.Contains(t, w.log.String(), "request failed")
			}
			assert.NotContains(t, rec.Body.String(), "boom", "causes are for the log")
			assert.Zero(t, w.Held())
		})
	}
}

func TestIntakeNamesTheField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	rec := w.ask("POST", intake, `{"version":"4","alerts":[{"status":"firing","labels":{"a":1}}]}`)
	require.Equal(t, 400, rec.Code)
	assert.Equal(t, "alerts[0].labels.a", refusal(t, rec).Error.Field)

	w.router.err = tocsin.Invalid("alerts[3].labels", "too odd")
	rec = w.ask("POST", intake, string(server.WebhookBody(1)))
	require.Equal(t, 400, rec.Code)
	assert.Equal(t, "alerts[3].labels", refusal(t, rec).Error.Field)
	assert.Equal(t, "too odd", refusal(t, rec).Error.Message)
}

func TestIntakeWaitIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Limits: server.Limits{Wait: 20 * time.Millisecond}})
	w.router.receive = func(ctx context.Context, _ tocsin.Batch) error {
		<-ctx.Done()
		return ctx.Err()
	}
	rec := w.ask("POST", intake, string(server.WebhookBody(1)))
	assert.Equal(t, 503, rec.Code)
}

func TestIntakeContentTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	for _, tc := range []struct {
		header, value string
		want          int
	}{
		{"Content-Type", "application/json; charset=utf-8", 200},
		{"Content-Type", "application/vnd.alerts+json", 200},
		{"Content-Type", "", 200},
		{"Content-Type", "text/plain", 415},
		{"Content-Type", "application/x-www-form-urlencoded", 415},
		{"Content-Type", ";", 415},
		{"Content-Encoding", "identity", 200},
		{"Content-Encoding", "gzip", 415},
		{"Content-Encoding", "br", 415},
		{"Origin", "https://evil.example", 403},
		{"Sec-Fetch-Site", "cross-site", 403},
	} {
		rec := w.ask("POST", intake, string(server.WebhookBody(1)), tc.header, tc.value)
		assert.Equal(t, tc.want, rec.Code, "%s: %s", tc.header, tc.value)
	}
}

func TestIntakeSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Source: "main"})
	for query, want := range map[string]int{
		"?source=":                                400,
		"?source=a%20b":                           400,
		"?source=" + strings.Repeat("x", 65):      400,
		"?source=a&source=b":                      400,
		"?source=%zz":                             200, // not a parameter at all
		"?other=1":                                200,
		"?source=" + strings.Repeat("x", 64):      200,
		"?source=Prod_eu.1-a&token=not-for-a-log": 200,
	} {
		rec := w.ask("POST", intake+query, string(server.WebhookBody(1)))
		assert.Equal(t, want, rec.Code, query)
	}
	assert.NotContains(t, w.log.String(), "not-for-a-log", "queries stay out of the log")
}

func TestIntakeAuth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Intake: server.Auth{
		Tokens: []string{"first-token", "second-token"},
		Users:  []server.User{{Name: "am", Password: "pass:word"}},
	}})
	basic := func(name, password string) string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	for header, want := range map[string]int{
		"Bearer first-token":       200,
		"bearer second-token":      200,
		basic("am", "pass:word"):   200,
		"":                         401,
		"Bearer":                   401,
		"Bearer ":                  401,
		"Bearer first-token2":      401,
		"Basic first-token":        401,
		basic("am", "first-token"): 401,
		basic("", ""):              401,
		basic("second-token", ""):  401,
	} {
		rec := w.ask("POST", intake, string(server.WebhookBody(1)), "Authorization", header)
		assert.Equal(t, want, rec.Code, header)
		if want == 401 {
			assert.Len(t, rec.Header().Values("WWW-Authenticate"), 2)
			assert.Equal(t, "unauthorized", refusal(t, rec).Error.Code)
		}
	}
	for _, secret := range []string{"first-token", "second-token", "pass:word"} {
		assert.NotContains(t, w.log.String(), secret)
	}

	require.Error(t, w.SetAuth(server.Config{Intake: server.Auth{Tokens: []string{""}}}))
	require.NoError(t, w.SetAuth(server.Config{Intake: server.Auth{Tokens: []string{"third-token"}}}))
	assert.Equal(t, 401, w.ask("POST", intake, "{}", "Authorization", "Bearer first-token").Code)
	assert.Equal(t, 200, w.ask("POST", intake, string(server.WebhookBody(1)), "Authorization", "Bearer third-token").Code)
}

func TestIntakePanicIsNotNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	w.router.receive = func(context.Context, tocsin.Batch) error { panic("a bug") }
	rec := w.ask("POST", intake, string(server.WebhookBody(1)))
	assert.Equal(t, 503, rec.Code)
	assert.Contains(t, w.log.String(), "a bug")
	assert.Contains(t, w.log.String(), "intake_test.go", "the log has the stack")
	assert.EqualValues(t, 1, w.metric(t, `tocsin_http_panics_total`))
	assert.Zero(t, w.Held())
}

func TestIntakeShedsWhenMemoryIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Limits: server.Limits{Body: 64 << 10, Buffered: 200 << 10}})
	inside, leave := make(chan struct{}), make(chan struct{})
	w.router.receive = func(_ context.Context, b tocsin.Batch) error {
		if len(b.Alerts) > 1 {
			close(inside)
			<-leave
		}
		return nil
	}
	big := make(chan int)
	go func() { big <- w.ask("POST", intake, string(server.WebhookBody(80))).Code }()
	<-inside
	assert.Greater(t, w.Held(), int64(40<<10), "the decoded alerts are counted")
	assert.Equal(t, 200, w.ask("POST", intake, string(server.WebhookBody(1))).Code, "small requests still fit")
	rec := w.ask("POST", intake, string(server.WebhookBody(90)))
	assert.Equal(t, 503, rec.Code)
	assert.NotEmpty(t, rec.Header().Get("Retry-After"))
	close(leave)
	assert.Equal(t, 200, <-big)
	assert.Zero(t, w.Held())
	assert.EqualValues(t, 0, w.metric(t, `tocsin_http_shed_total{reason="connections"}`))
	assert.EqualValues(t, 1, w.metric(t, `tocsin_http_shed_total{reason="overload"}`))
	assert.EqualValues(t, 0, w.metric(t, `tocsin_http_shed_total{reason="stopping"}`))
	assert.EqualValues(t, 0, w.metric(t, `tocsin_http_shed_total{reason="unavailable"}`))
}

func TestIntakeLimitOfTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{Limits: server.Limits{Body: 20 << 10}})
	pad := func(n int) string {
		body := `{"version":"4","alerts":[],"x":""}`
		return body[:len(body)-2] + strings.Repeat("x", n-len(body)) + `"}`
	}
	assert.Equal(t, 200, w.ask("POST", intake, pad(20<<10)).Code)
	rec := w.ask("POST", intake, pad(20<<10+1))
	assert.Equal(t, 413, rec.Code)
	assert.Equal(t, "close", rec.Header().Get("Connection"))
}
