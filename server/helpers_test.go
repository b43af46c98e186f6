package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

var now = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

// router stands for everything behind the server.
type router struct {
	revision uint64
	mu       sync.Mutex
	batches  []tocsin.Batch
	receive  func(context.Context, tocsin.Batch) error
	err      error
	notReady error
	did      []string
	acted    []tocsin.Action
	conflict string
	silences []tocsin.Silence
	put      tocsin.Silence
	puts     int
}

func (r *router) Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	r.mu.Lock()
	r.batches = append(r.batches, b)
	r.mu.Unlock()
	if r.receive != nil {
		return tocsin.Outcome{}, r.receive(ctx, b)
	}
	return tocsin.Outcome{}, r.err
}

func (r *router) received() []tocsin.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.batches
}

func (r *router) do(what, id, by string) error {
	if id == "nobody" {
		return tocsin.ErrNotFound
	}
	r.did = append(r.did, what+" "+id+" by "+by)
	return r.err
}

// Act does each action once. While there is a conflict, only force resolves.
func (r *router) Act(_ context.Context, id string, a tocsin.Action) error {
	if a.ID != "" && slices.ContainsFunc(r.acted, func(b tocsin.Action) bool { return b.ID == a.ID }) {
		return nil
	}
	if a.If != nil {
		if err := a.If(&tocsin.Incident{ID: id, Revision: r.revision}); err != nil {
			return err
		}
	}
	if a.Kind == tocsin.ActResolve && r.conflict != "" && !a.Force {
		return fmt.Errorf("%w: %s", tocsin.ErrConflict, r.conflict)
	}
	err := r.do(string(a.Kind), id, a.By)
	if err == nil {
		r.acted = append(r.acted, a)
	}
	return err
}

func (r *router) ExpireSilence(ctx context.Context, id, by string) error {
	if err := r.allowed(ctx, id); err != nil {
		return err
	}
	return r.do("expire", id, by)
}

// allowed holds what is asked of a silence that is changed, as the store's transaction
// does.
func (r *router) allowed(ctx context.Context, id string) error {
	for n := range r.silences {
		if r.silences[n].ID == id {
			return tocsin.Allowed(ctx, &r.silences[n])
		}
	}
	return nil
}

func (r *router) PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	if err := r.allowed(ctx, s.ID); err != nil {
		return s, err
	}
	r.put = s
	r.puts++
	s.ID = "s1s1s1"
	return s, r.err
}

func (r *router) Silences(context.Context) ([]tocsin.Silence, error) { return r.silences, r.err }
func (r *router) Ready() error                                       { return r.notReady }

// reader holds one incident.
type reader struct {
	detail struct {
		incident *tocsin.Incident
		alerts   []tocsin.AlertRecord
		events   []tocsin.Event
	}
	documents map[string][]tocsin.Document
	filter    tocsin.Filter
	limits    [2]int
	after     uint64
	err       error
}

func (r *reader) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.detail.incident == nil || id != r.detail.incident.ID {
		return nil, tocsin.ErrNotFound
	}
	return r.detail.incident, nil
}

func (r *reader) List(_ context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	r.filter = f
	if r.detail.incident == nil {
		return nil, r.err
	}
	return []*tocsin.Incident{r.detail.incident}, r.err
}

func (r *reader) AlertsOf(_ context.Context, _ string, limit int) ([]tocsin.AlertRecord, error) {
	r.limits[0] = limit
	return r.detail.alerts, r.err
}

func (r *reader) Timeline(_ context.Context, _ string, after uint64, limit int) ([]tocsin.Event, error) {
	r.after, r.limits[1] = after, limit
	return r.detail.events, r.err
}

func (r *reader) Documents(_ context.Context, kind string) ([]tocsin.Document, uint64, error) {
	return r.documents[kind], 0, r.err
}

// library is a map of runbooks.
type library map[string]*tocsin.Runbook

func (l library) Get(id string) *tocsin.Runbook { return l[id] }
func (l library) List() []*tocsin.Runbook {
	var list []*tocsin.Runbook
	for _, r := range l {
		list = append(list, r)
	}
	return list
}

// world is a server and what is behind it.
type world struct {
	*server.Server
	router   *router
	reader   *reader
	registry *prometheus.Registry
	log      *logBuffer
	spec     *spec
	t        testing.TB
	foreign  bool // the pages are not the server's own
	secrets  []string
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, c server.Config, change ...func(*server.Deps)) *world {
	t.Helper()
	w := &world{router: &router{}, reader: &reader{}, registry: prometheus.NewRegistry(), log: &logBuffer{}, spec: newSpec(t), t: t, secrets: secretsOf(c)}
	d := server.Deps{
		Receiver: w.router, Reader: w.reader, Actions: w.router, Silencer: w.router,
		Runbooks: library{}, Health: w.router, Registerer: w.registry,
		Now:    func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(leak.Log(t, w.log, w.secrets...), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&d)
	}
	s, err := server.New(c, d)
	require.NoError(t, err)
	w.Server, w.foreign = s, d.Pages != nil
	return w
}

// secretsOf are the secrets of a configuration that are long enough to be told from
// other words.
func secretsOf(c server.Config) []string {
	out := append(slices.Clone(c.Intake.Tokens), c.CalendarToken)
	for _, u := range c.Intake.Users {
		out = append(out, u.Password)
	}
	for _, t := range c.API {
		out = append(out, t.Token)
	}
	return slices.DeleteFunc(out, func(s string) bool { return len(s) < 8 })
}

// ask sends a request from this machine, as curl would. What comes back is held
// against openapi.yaml.
func (w *world) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost:9911"
	if body != "" || method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		switch {
		case header[i] == "Host":
			r.Host = header[i+1]
		case header[i] == "Remote":
			r.RemoteAddr = header[i+1]
		case header[i+1] == "":
			r.Header.Del(header[i])
		default:
			r.Header.Set(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	require.NoError(w.t, leak.Text(fmt.Sprint(rec.Header(), "\n", rec.Body), w.secrets...), "%s %s", method, r.URL.Path)
	if !w.foreign {
		w.spec.hold(w.t, method, r.URL.EscapedPath(), body, rec)
	}
	return rec
}

// refused is the body of every error.
type refused struct {
	Error struct{ Code, Message, Field string }
}

func refusal(t testing.TB, rec *httptest.ResponseRecorder) refused {
	t.Helper()
	var r refused
	require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
	var p struct {
		Status                     int
		Title, Code, Detail, Field string
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p), rec.Body.String())
	require.Equal(t, rec.Code, p.Status)
	require.NotEmpty(t, p.Title)
	r.Error.Code, r.Error.Message, r.Error.Field = p.Code, p.Detail, p.Field
	require.NotEmpty(t, r.Error.Code)
	require.NotEmpty(t, r.Error.Message)
	return r
}

// run starts the server on a free port and stops it with the test.
func (w *world) run(t testing.TB) (stop context.CancelFunc, done <-chan error) {
	t.Helper()
	_, err := w.Listen()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		finished <- w.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return cancel, finished
}

func (w *world) url(path string) string { return "http://" + w.Addr() + path }

func postAlerts(t testing.TB, w *world, body io.Reader) int {
	t.Helper()
	resp, err := http.Post(w.url("/webhook/alertmanager"), "application/json", body)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

// metric is the value of a counter or gauge, written as Prometheus does:
// name{label="value"}.
func (w *world) metric(t testing.TB, series string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			if name == series {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	require.Fail(t, "no such series", series)
	return 0
}
