package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func withCallback(path string, h http.HandlerFunc) func(*server.Deps) {
	return func(d *server.Deps) { d.Callbacks = map[string]http.Handler{path: h} }
}

func TestCallbackGetsTheWholeBody(t *testing.T) {
	t.Parallel()
	var got, name string
	var until time.Duration
	w := newWorld(t, server.Config{API: []server.Token{{Name: "ana", Token: "secret"}}}, withCallback("/webhook/sns/:name", func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got, name = string(b), r.PathValue("name")
		assert.EqualValues(t, len(b), r.ContentLength)
		deadline, ok := r.Context().Deadline()
		assert.True(t, ok)
		until = time.Until(deadline)
		rw.WriteHeader(http.StatusOK)
	}))
	body := strings.Repeat("x", 1<<20)
	rec := w.ask("POST", "/webhook/sns/cloudwatch", body, "Remote", "203.0.113.9:1", "Content-Type", "text/plain")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, body, got)
	assert.Equal(t, "cloudwatch", name)
	assert.InDelta(t, 3, until.Seconds(), 1)
	assert.EqualValues(t, 1, w.metric(t, `tocsin_http_requests_total{code="200",route="/webhook/sns/:name"}`))
	assert.EqualValues(t, 0, w.metric(t, "tocsin_intake_buffered_bytes"))
}

func TestCallbackIsBounded(t *testing.T) {
	t.Parallel()
	asked := 0
	w := newWorld(t, server.Config{}, withCallback("/slack/events", func(http.ResponseWriter, *http.Request) { asked++ }))
	w.run(t)
	unannounced := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader("x"))
	resp, err := http.Post(w.url("/slack/events"), "application/json", unannounced)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 413, resp.StatusCode)
	rec := w.ask("POST", "/slack/events", strings.Repeat("x", 1<<20+1))
	assert.Equal(t, 413, rec.Code)
	assert.Contains(t, refusal(t, rec).Error.Message, "no provider sends as much")
	assert.Equal(t, 405, w.ask("GET", "/slack/events", "").Code)
	assert.Zero(t, asked)
	assert.Contains(t, w.log.String(), "request refused")
	assert.NotContains(t, w.log.String(), "what=", "it is said once")
	assert.NotContains(t, w.log.String(), "cause=<nil>")
}

func TestCallbackThatPanicsIsNotNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, withCallback("/webhook/pagerduty", func(http.ResponseWriter, *http.Request) { panic("oops") }))
	assert.Equal(t, 503, w.ask("POST", "/webhook/pagerduty", "{}").Code)
	assert.EqualValues(t, 1, w.metric(t, "tocsin_http_panics_total"))
	assert.EqualValues(t, 0, w.metric(t, "tocsin_intake_buffered_bytes"))
}

func TestCallbacksNeedAPathAndAHandler(t *testing.T) {
	t.Parallel()
	r := &router{}
	d := server.Deps{Receiver: r, Reader: &reader{}, Actions: r, Silencer: r, Runbooks: library{}, Health: r}
	for path, h := range map[string]http.Handler{"/x": nil, "x": http.NotFoundHandler(), "": http.NotFoundHandler()} {
		d.Callbacks = map[string]http.Handler{path: h}
		_, err := server.New(server.Config{}, d)
		assert.ErrorContains(t, err, "callback", path)
	}
}

func TestJSONDoor(t *testing.T) {
	t.Parallel()
	var answer error
	var got string
	w := newWorld(t, server.Config{Intake: server.Auth{Tokens: []string{"in"}}}, func(d *server.Deps) {
		d.JSON = func(_ context.Context, name string, body []byte) (int, error) {
			got = name + " " + string(body)
			return 2, answer
		}
	})
	token := []string{"Authorization", "Bearer in"}
	assert.Equal(t, 401, w.ask("POST", "/webhook/json/grafana", "{}").Code)
	assert.Empty(t, got, "nothing is read of who may not send")
	rec := w.ask("POST", "/webhook/json/grafana", `{"a":1}`, token...)
	assert.Equal(t, 200, rec.Code)
	assert.Equal(t, `grafana {"a":1}`, got)
	assert.EqualValues(t, 2, w.metric(t, "tocsin_intake_alerts_total"))
	assert.Equal(t, 415, w.ask("POST", "/webhook/json/grafana", "{}", append(token, "Content-Type", "text/plain")...).Code)

	for _, tc := range []struct {
		err    error
		status int
		field  string
	}{
		{tocsin.Invalid("alerts[0].labels.x", "missing"), 400, "alerts[0].labels.x"},
		{tocsin.ErrNotFound, 404, ""},
		{tocsin.Unavailable(errors.New("full")), 503, ""},
		{errors.New("odd"), 503, ""},
	} {
		answer = tc.err
		rec := w.ask("POST", "/webhook/json/grafana", "{}", token...)
		assert.Equal(t, tc.status, rec.Code, tc.err)
		assert.Equal(t, tc.field, refusal(t, rec).Error.Field)
	}
}

func TestHeartbeatDoor(t *testing.T) {
	t.Parallel()
	var beats []string
	w := newWorld(t, server.Config{Intake: server.Auth{Tokens: []string{"in"}}}, func(d *server.Deps) {
		d.Heartbeat = func(_ context.Context, name string) error {
			if name == "nobody" {
				return tocsin.ErrNotFound
			}
			beats = append(beats, name)
			return nil
		}
	})
	token := []string{"Authorization", "Bearer in"}
	assert.Equal(t, 401, w.ask("GET", "/heartbeat/backup", "").Code)
	assert.Equal(t, 200, w.ask("GET", "/heartbeat/backup", "", token...).Code)
	assert.Equal(t, 200, w.ask("POST", "/heartbeat/backup", "anything", append(token, "Content-Type", "text/plain")...).Code)
	assert.Equal(t, 404, w.ask("POST", "/heartbeat/nobody", "", token...).Code)
	assert.Equal(t, []string{"backup", "backup"}, beats)
}

func TestDoorsThatAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	assert.Equal(t, 404, w.ask("POST", "/webhook/json/x", "{}").Code)
	assert.Equal(t, 404, w.ask("GET", "/heartbeat/x", "").Code)
	assert.Equal(t, 404, w.ask("POST", "/v2/enqueue", "{}").Code)
}
