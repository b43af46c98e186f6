package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/router/reconcile"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// peer plays an Alertmanager: its alerts, its silences, and its faults.
type peer struct {
	mu       sync.Mutex
	alerts   []map[string]any
	silences []map[string]any
	status   int
	body     string
	token    string
	asked    int
	url      string
}

func newPeer(t *testing.T) *peer {
	p := &peer{alerts: []map[string]any{}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	p.token = r.Header.Get("Authorization")
	switch {
	case p.status != 0:
		w.WriteHeader(p.status)
	case p.body != "":
		fmt.Fprint(w, p.body)
	case r.URL.Path == "/api/v2/alerts":
		_ = json.NewEncoder(w).Encode(p.alerts)
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(p.silences)
	case r.Method == http.MethodPost:
		p.put(w, r)
	default:
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		for _, s := range p.silences {
			if s["id"] == id {
				s["status"] = map[string]any{"state": "expired"}
			}
		}
	}
}

func (p *peer) put(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for i, s := range p.silences {
		if s["id"] == in["id"] {
			p.silences[i] = in
			fmt.Fprintf(w, `{"silenceID":%q}`, in["id"])
			return
		}
	}
	if id, _ := in["id"].(string); id != "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	in["id"], in["status"] = fmt.Sprintf("am-%d", len(p.silences)+1), map[string]any{"state": "active"}
	p.silences = append(p.silences, in)
	fmt.Fprintf(w, `{"silenceID":%q}`, in["id"])
}

func (p *peer) has(alerts ...map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alerts = append([]map[string]any{}, alerts...)
}

func (p *peer) fault(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.body = status, body
}

func firing(name, state string, since time.Time, receiver string) map[string]any {
	return map[string]any{
		"labels": map[string]string{"alertname": name}, "annotations": map[string]string{"summary": name + " it is"},
		"startsAt": since, "endsAt": since.Add(time.Hour), "updatedAt": since, "fingerprint": "x",
		"receivers": []map[string]string{{"name": receiver}},
		"status":    map[string]any{"state": state, "silencedBy": []string{}, "inhibitedBy": []string{}},
	}
}

// world is a reconciler before a real router and store.
type world struct {
	*testing.T
	mu     sync.Mutex
	now    time.Time
	store  *bolt.Store
	router *router.Router
	r      *reconcile.Reconciler
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T, now time.Time, c reconcile.Config) *world {
	t.Helper()
	w := &world{T: t, now: now}
	dir := t.TempDir()
	leak.After(t, dir)
	var err error
	w.store, err = bolt.Open(filepath.Join(dir, "tocsin.db"), bolt.Options{Now: w.Now, MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	rules, err := router.NewRules(router.Spec{
		Route:   router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname"}, Pos: "t.yml:1"},
		Targets: map[string][]router.Target{"chat": nil},
		Timing:  router.Timing{Reopen: time.Minute, Late: time.Minute},
	})
	require.NoError(t, err)
	w.router, err = router.New(rules, router.Options{Store: w.store, Now: w.Now})
	require.NoError(t, err)
	c.Source = "am"
	w.r, err = reconcile.New(c, reconcile.Options{Receiver: w.router, Store: w.store, Now: w.Now})
	require.NoError(t, err)
	return w
}

func (w *world) check(times int) {
	for range times {
		w.advance(time.Minute)
		w.r.Check(context.Background())
	}
}

func (w *world) webhook(source, name string, fires bool) {
	w.Helper()
	a := tocsin.Alert{Source: source, Labels: tocsin.Labels{"alertname": name}, Firing: fires, StartsAt: w.Now()}
	_, err := w.router.Receive(context.Background(), tocsin.Batch{Source: source, Alerts: []tocsin.Alert{a}})
	require.NoError(w, err)
}

func (w *world) open() []string {
	w.Helper()
	list, err := w.store.List(context.Background(), tocsin.Filter{States: []tocsin.State{tocsin.Triggered}})
	require.NoError(w, err)
	names := []string{}
	for _, i := range list {
		names = append(names, i.Title)
	}
	return names
}

func (w *world) timeline() string {
	w.Helper()
	events, err := w.store.Log(context.Background(), 0, 100)
	require.NoError(w, err)
	text := ""
	for _, e := range events {
		text += string(e.Kind) + ": " + e.Text + "\n"
	}
	return text
}

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func TestMissedWebhook(t *testing.T) {
	t.Parallel()
	a, b := newPeer(t), newPeer(t)
	w := newWorld(t, start, reconcile.Config{
		URLs: []string{a.url, b.url}, Receivers: []string{"tocsin"}, Token: "canary-secret",
		Skip: func(a *tocsin.Alert) bool { return a.Name() == "Watchdog" },
	})
	a.has(firing("Lost", "active", start.Add(-time.Hour), "tocsin"), firing("Young", "active", start.Add(time.Minute), "tocsin"),
		firing("Quiet", "suppressed", start.Add(-time.Hour), "tocsin"), firing("Other", "active", start.Add(-time.Hour), "mail"),
		firing("Watchdog", "active", start.Add(-time.Hour), "tocsin"))
	b.fault(500, "")
	w.check(1)
	assert.Equal(t, []string{"Lost it is"}, w.open())
	assert.Contains(t, w.timeline(), "note: missed webhook: Lost; Alertmanager says that it fires")
	assert.Equal(t, "Bearer canary-secret", a.token)
	w.check(1)
	assert.ElementsMatch(t, []string{"Lost it is", "Young it is"}, w.open())
	before := w.timeline()
	w.check(3)
	assert.Equal(t, before, w.timeline(), "what is known is not told again")
}

func TestMissedResolve(t *testing.T) {
	t.Parallel()
	a, b := newPeer(t), newPeer(t)
	w := newWorld(t, start, reconcile.Config{URLs: []string{a.url, b.url}})
	w.webhook("am", "Gone", true)
	w.webhook("am", "Quiet", true)
	w.webhook("other", "Foreign", true)
	quiet := firing("Quiet", "suppressed", start, "tocsin")
	gone := firing("Gone", "active", start, "tocsin")
	a.has(quiet)
	b.has(quiet, gone)
	w.check(5)
	assert.Len(t, w.open(), 3, "one peer has it")
	b.has(quiet)
	w.check(2)
	assert.Len(t, w.open(), 3, "three checks in a row")
	b.fault(500, "")
	w.check(5)
	assert.Len(t, w.open(), 3, "who does not answer does not say that it is gone")
	b.fault(0, "")
	w.check(1)
	assert.ElementsMatch(t, []string{"Quiet", "Foreign"}, w.open())
	assert.Contains(t, w.timeline(), "note: missed resolve: Gone; it is gone at every Alertmanager")
}

func TestWhatComesBackCountsAnew(t *testing.T) {
	t.Parallel()
	a := newPeer(t)
	w := newWorld(t, start, reconcile.Config{URLs: []string{a.url}})
	w.webhook("am", "Gone", true)
	for range 4 {
		a.has()
		w.check(2)
		a.has(firing("Gone", "active", start, "tocsin"))
		w.check(1)
	}
	assert.Len(t, w.open(), 1)
}

func TestAnswersThatAreNoAnswers(t *testing.T) {
	t.Parallel()
	a := newPeer(t)
	w := newWorld(t, start, reconcile.Config{URLs: []string{a.url, "http://127.0.0.1:1"}, Timeout: time.Second})
	w.webhook("am", "Here", true)
	for _, body := range []string{"null", "{}", "<html>", `[{"labels":1}]`, `[`} {
		a.fault(0, body)
		w.check(4)
		assert.Len(t, w.open(), 1, body)
	}
	for _, status := range []int{401, 404, 429, 503} {
		a.fault(status, "")
		w.check(4)
		assert.Len(t, w.open(), 1, status)
	}
}

func TestSilencesAreWritten(t *testing.T) {
	t.Parallel()
	a := newPeer(t)
	w := newWorld(t, start, reconcile.Config{URLs: []string{"http://127.0.0.1:1", a.url}, Timeout: time.Second, WriteSilences: true})
	ctx := context.Background()
	s, err := w.router.PutSilence(ctx, tocsin.Silence{
		Matchers: []string{`alertname="X"`, `instance!~"node-.*"`}, EndsAt: start.Add(time.Hour), CreatedBy: "ana", Comment: "maintenance",
	})
	require.NoError(t, err)
	w.check(2)
	require.Len(t, a.silences, 1)
	assert.Equal(t, []any{
		map[string]any{"name": "alertname", "value": "X", "isRegex": false, "isEqual": true},
		map[string]any{"name": "instance", "value": "node-.*", "isRegex": true, "isEqual": false},
	}, a.silences[0]["matchers"])
	assert.Equal(t, "maintenance [tocsin:"+s.ID+"]", a.silences[0]["comment"])
	assert.Equal(t, "ana", a.silences[0]["createdBy"])

	s.EndsAt = start.Add(2 * time.Hour)
	_, err = w.router.PutSilence(ctx, s)
	require.NoError(t, err)
	require.NoError(t, w.store.Update(ctx, func(tx tocsin.Tx) error {
		tx.DeleteDocument(reconcile.Kind, s.ID) // a crash lost it
		return nil
	}))
	w.check(1)
	require.Len(t, a.silences, 1, "it is found again by its mark")
	assert.Equal(t, "2026-03-02T11:00:00Z", a.silences[0]["endsAt"])

	a.silences = nil
	s.EndsAt = start.Add(3 * time.Hour)
	_, err = w.router.PutSilence(ctx, s)
	require.NoError(t, err)
	w.check(1)
	require.Len(t, a.silences, 1, "what Alertmanager lost is made anew")

	require.NoError(t, w.router.ExpireSilence(ctx, s.ID, "ana"))
	w.check(1)
	assert.Equal(t, map[string]any{"state": "expired"}, a.silences[0]["status"])
	docs, _, err := w.store.Documents(ctx, reconcile.Kind)
	require.NoError(t, err)
	assert.Empty(t, docs)
}

func TestRunAsksAtOnceAndAfterAChange(t *testing.T) {
	t.Parallel()
	a := newPeer(t)
	a.has(firing("Lost", "active", start.Add(-time.Hour), "tocsin"))
	w := newWorld(t, start, reconcile.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.r.Run(ctx) }()
	w.r.SetConfig(reconcile.Config{URLs: []string{a.url}, Source: "am"})
	require.Eventually(t, func() bool { return len(w.open()) == 1 }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// TestARealAlertmanager loses every webhook of a real Alertmanager, and writes
// silences to it.
func TestARealAlertmanager(t *testing.T) {
	t.Parallel()
	url := alertmanager(t)
	w := newWorld(t, time.Now(), reconcile.Config{URLs: []string{url}, WriteSilences: true, Settle: time.Nanosecond})
	began := time.Now().Add(-time.Minute)
	raise := func(ends time.Time) {
		b, err := json.Marshal([]map[string]any{{"labels": map[string]string{"alertname": "Lost"}, "startsAt": began, "endsAt": ends}})
		require.NoError(t, err)
		resp, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(b))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 200, resp.StatusCode)
	}
	raise(time.Now().Add(time.Hour))
	require.Eventually(t, func() bool {
		w.r.Check(context.Background())
		return len(w.open()) == 1
	}, 20*time.Second, 50*time.Millisecond)

	s, err := w.router.PutSilence(context.Background(), tocsin.Silence{Matchers: []string{`alertname=~"Lo.*"`}, EndsAt: time.Now().Add(time.Hour), CreatedBy: "ana", Comment: "c"})
	require.NoError(t, err)
	w.check(1)
	assert.Equal(t, []string{"active"}, silenceStates(t, url))
	s.EndsAt = time.Now().Add(2 * time.Hour)
	_, err = w.router.PutSilence(context.Background(), s)
	require.NoError(t, err)
	w.check(2)
	assert.Contains(t, silenceStates(t, url), "active")
	w.check(3)
	list, err := w.store.List(context.Background(), tocsin.Filter{States: []tocsin.State{tocsin.Triggered}})
	require.NoError(t, err)
	assert.Len(t, list, 1, "what is silenced there is there")
	require.NoError(t, w.router.ExpireSilence(context.Background(), s.ID, "ana"))
	w.check(1)
	assert.NotContains(t, silenceStates(t, url), "active")

	raise(time.Now())
	require.Eventually(t, func() bool {
		w.r.Check(context.Background())
		list, err := w.store.List(context.Background(), tocsin.Filter{States: []tocsin.State{tocsin.Resolved}})
		return err == nil && len(list) == 1
	}, 20*time.Second, 50*time.Millisecond)
}

func silenceStates(t *testing.T, url string) []string {
	t.Helper()
	resp, err := http.Get(url + "/api/v2/silences")
	require.NoError(t, err)
	defer resp.Body.Close()
	var list []struct{ Status struct{ State string } }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&list))
	var out []string
	for _, s := range list {
		out = append(out, s.Status.State)
	}
	return out
}

func alertmanager(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("alertmanager")
	if err != nil {
		home, _ := os.UserHomeDir()
		binary = filepath.Join(home, "go", "bin", "alertmanager")
		if _, err := os.Stat(binary); err != nil {
			t.Skip("no alertmanager in PATH; a real one is not asked")
		}
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	file := filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600))
	cmd := exec.Command(binary, "--config.file", file, "--storage.path", filepath.Join(dir, "data"), "--web.listen-address", addr, "--cluster.listen-address", "")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
	return "http://" + addr
}
