package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func status(t testing.TB, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

// stop: readiness turns false first, what is in flight is finished, what comes
// meanwhile is told to try again.
func TestGracefulStop(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	w := newWorld(t, server.Config{})
	inside, leave := make(chan struct{}), make(chan struct{})
	w.router.receive = func(context.Context, tocsin.Batch) error {
		close(inside)
		<-leave
		return nil
	}
	stop, done := w.run(t)
	require.Equal(t, 200, status(t, w.url("/-/ready")))

	inFlight := make(chan int)
	go func() { inFlight <- postAlerts(t, w, bytes.NewReader(server.WebhookBody(1))) }() //nolint:testifylint // a failure shows below
	<-inside
	stop()
	require.Eventually(t, func() bool { return status(t, w.url("/-/ready")) == 503 }, 5*time.Second, 5*time.Millisecond)
	assert.Equal(t, 200, status(t, w.url("/-/healthy")))
	resp, err := http.Post(w.url(intake), "application/json", bytes.NewReader(server.WebhookBody(1)))
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 503, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))
	select {
	case err := <-done:
		require.Fail(t, "stopped with a request in flight", err)
	default:
	}
	close(leave)
	assert.Equal(t, 200, <-inFlight)
	require.NoError(t, <-done)
	_, err = net.Dial("tcp", w.Addr())
	require.Error(t, err)
}

func TestStopIsBounded(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	w := newWorld(t, server.Config{Timeouts: server.Timeouts{Stop: 50 * time.Millisecond}, Limits: server.Limits{Wait: time.Minute}})
	inside, gone := make(chan struct{}), make(chan struct{})
	w.router.receive = func(ctx context.Context, _ tocsin.Batch) error {
		close(inside)
		<-ctx.Done() // the connection is closed at last
		close(gone)
		return ctx.Err()
	}
	stop, done := w.run(t)
	sent := make(chan error, 1)
	go func() {
		resp, err := http.Post(w.url(intake), "application/json", bytes.NewReader(server.WebhookBody(1)))
		if err == nil {
			resp.Body.Close()
		}
		sent <- err
	}()
	<-inside
	stop()
	require.NoError(t, <-done)
	require.Error(t, <-sent, "cut off, so that the sender tries again")
	<-gone
	assert.Contains(t, w.log.String(), "cut off")
}

func TestDrainGoesOnAnswering(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	w := newWorld(t, server.Config{Timeouts: server.Timeouts{Drain: 300 * time.Millisecond}})
	stop, done := w.run(t)
	require.Equal(t, 200, status(t, w.url("/-/ready")))
	stop()
	require.Eventually(t, func() bool { return status(t, w.url("/-/ready")) == 503 }, 250*time.Millisecond, time.Millisecond)
	require.NoError(t, <-done)
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	first := newWorld(t, server.Config{})
	require.Empty(t, first.Addr())
	addr, err := first.Listen()
	require.NoError(t, err)
	again, err := first.Listen()
	require.NoError(t, err)
	assert.Equal(t, addr, again)
	second := newWorld(t, server.Config{Listen: addr.String()})
	require.Error(t, second.Run(context.Background()))
	require.NoError(t, second.Close())
	require.NoError(t, first.Close())
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	full := server.Deps{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { full = *d })
	require.NotNil(t, w.Handler())
	full.Registerer = nil
	for name, c := range map[string]server.Config{
		"source":       {Source: "a b"},
		"external_url": {ExternalURL: "tocsin.example.com"},
		"negative":     {Limits: server.Limits{Body: -1}},
		"buffered":     {Limits: server.Limits{Buffered: 1}},
		"empty token":  {Intake: server.Auth{Tokens: []string{""}}},
		"user":         {Intake: server.Auth{Users: []server.User{{Name: "a"}}}},
		"api":          {API: []server.Token{{Token: "t"}}},
		"calendar":     {API: []server.Token{{Name: "ana", Token: "t"}}, CalendarToken: "t"},
		"plans":        {Limits: server.Limits{Plans: -1}},
	} {
		_, err := server.New(c, full)
		require.Error(t, err, name)
		assert.Contains(t, err.Error(), name)
	}
	for part, without := range map[string]func(*server.Deps){
		"Receiver": func(d *server.Deps) { d.Receiver = nil },
		"Reader":   func(d *server.Deps) { d.Reader = nil },
		"Actions":  func(d *server.Deps) { d.Actions = nil },
		"Silencer": func(d *server.Deps) { d.Silencer = nil },
		"Runbooks": func(d *server.Deps) { d.Runbooks = nil },
		"Health":   func(d *server.Deps) { d.Health = nil },
	} {
		d := full
		without(&d)
		_, err := server.New(server.Config{}, d)
		require.ErrorContains(t, err, part)
	}
	_, err := server.New(server.Config{ExternalURL: "https://tocsin.example.com"}, full)
	require.NoError(t, err, "no Registerer: the metrics are private")
}

func TestOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
		d.Reload = func(context.Context, string) error { return errors.New("tocsin.yml:7: unknown key\nand more") }
	})
	assert.Equal(t, 200, w.ask("GET", "/-/healthy", "").Code)
	rec := w.ask("HEAD", "/-/ready", "")
	assert.Equal(t, 200, rec.Code)

	w.router.notReady = errors.Join(errors.New("store: disk full"), errors.New("nats: away"))
	rec = w.ask("GET", "/-/ready", "")
	assert.Equal(t, 503, rec.Code)
	assert.Equal(t, "store: disk full\nnats: away\n", rec.Body.String())
	assert.Equal(t, 200, w.ask("HEAD", "/-/healthy", "").Code, "a restart would mend nothing")

	rec = w.ask("GET", "/metrics", "", "Remote", "10.0.0.1:1")
	assert.Equal(t, "up 1\n", rec.Body.String())

	rec = w.ask("POST", "/-/reload", "")
	assert.Equal(t, 500, rec.Code)
	assert.Contains(t, rec.Body.String(), "tocsin.yml:7: unknown key\nand more")
	assert.Contains(t, rec.Body.String(), "old configuration stays")
	assert.Equal(t, 405, w.ask("GET", "/-/reload", "").Code)
	assert.Equal(t, 403, w.ask("POST", "/-/reload", "", "Sec-Fetch-Site", "cross-site").Code)

	fine := newWorld(t, server.Config{}, func(d *server.Deps) { d.Reload = func(context.Context, string) error { return nil } })
	assert.Equal(t, 200, fine.ask("POST", "/-/reload", "").Code)
	assert.Equal(t, 404, fine.ask("GET", "/metrics", "").Code)
}

func TestHTTPMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	for _, path := range []string{"/nowhere", "/api/v1/nothing", "/%00", "/incidents/../x", "/api/v1/incidents/a/b/c"} {
		assert.Equal(t, 404, w.ask("GET", path, "").Code, path)
	}
	w.ask("BREW", "/", "")
	w.ask("GET", intake, "")
	w.ask("POST", intake, string(server.WebhookBody(1)))
	assert.EqualValues(t, 1, w.metric(t, `tocsin_http_requests_total{code="200",route="/webhook/alertmanager"}`))
	assert.EqualValues(t, 1, w.metric(t, `tocsin_http_requests_total{code="405",route="/webhook/alertmanager"}`))
	known := map[string]bool{"other": true}
	for _, r := range w.Routes() {
		known[r.Path] = true
	}
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				assert.True(t, l.GetName() != "route" || known[l.GetValue()], "%s: %s", f.GetName(), l.GetValue())
			}
		}
	}
	assert.EqualValues(t, 2, w.metric(t, `tocsin_http_request_duration_seconds{route="/webhook/alertmanager"}`))
	assert.EqualValues(t, 0, w.metric(t, "tocsin_http_requests_in_flight"))
	assert.EqualValues(t, 1, w.metric(t, "tocsin_intake_request_bytes"))
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	assert.Equal(t, "abc-1", w.ask("GET", "/-/healthy", "", "X-Request-Id", "abc-1").Header().Get("X-Request-Id"))
	made := w.ask("GET", "/-/healthy", "", "X-Request-Id", "evil\r\nline").Header().Get("X-Request-Id")
	assert.Regexp(t, `^[A-Z2-7]{6}-[0-9a-z]+$`, made)
	assert.Contains(t, w.log.String(), "request="+made)
}
