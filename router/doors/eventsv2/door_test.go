package eventsv2_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
	"github.com/tocsin-oncall/tocsin/router/doors/eventsv2"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

const (
	keyA = "canary0123456789abcdef0123456789"
	keyB = "canary9876543210fedcba9876543210"
)

// world is a door before a real router and a real store.
type world struct {
	*testing.T
	store  *bolt.Store
	router *router.Router
	door   *eventsv2.Door
	mu     sync.Mutex
	now    time.Time
	broken error
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

// Receive fails where the test says so.
func (w *world) Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	if w.broken != nil {
		return tocsin.Outcome{}, w.broken
	}
	return w.router.Receive(ctx, b)
}

func (w *world) Act(ctx context.Context, id string, a tocsin.Action) error {
	return w.store.Update(ctx, func(tx tocsin.Tx) error {
		inc := tx.Incident(id)
		var e tocsin.Event
		var ok bool
		if a.Kind == tocsin.ActAcknowledge {
			e, ok = inc.Acknowledge(a.By, w.Now())
		} else {
			e, ok = inc.Resolve(a.By, "by hand", w.Now())
		}
		if ok {
			tx.PutIncident(inc)
			tx.Append(e)
		}
		return nil
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	leak.After(t, dir)
	var err error
	w.store, err = bolt.Open(filepath.Join(dir, "tocsin.db"), bolt.Options{Now: w.Now, MinFree: -1, Ballast: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	rules, err := router.NewRules(router.Spec{
		Route:   router.RouteSpec{Receiver: "chat", GroupBy: []string{"alertname", "dedup_key"}, Pos: "t.yml:1"},
		Targets: map[string][]router.Target{"chat": {{Key: "slack:#chat"}}},
		Timing:  router.Timing{Reopen: time.Minute, Late: time.Minute},
	})
	require.NoError(t, err)
	w.router, err = router.New(rules, router.Options{Store: w.store, Now: w.Now})
	require.NoError(t, err)
	w.start()
	return w
}

// start is a restart of the door.
func (w *world) start() {
	w.Helper()
	var err error
	w.door, err = eventsv2.New([]eventsv2.Source{
		{RoutingKey: keyA, Name: "legacy", Labels: tocsin.Labels{"team": "db"}}, {RoutingKey: keyB, Name: "other"},
	}, eventsv2.Options{Receiver: w, Actions: w, Store: w.store, Now: w.Now})
	require.NoError(w, err)
}

type answer struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key"`
	Errors   []string `json:"errors"`
}

func (w *world) send(path, body string) (int, answer) {
	w.Helper()
	r, rec := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)), httptest.NewRecorder()
	if strings.Contains(path, "change") {
		w.door.Changes().ServeHTTP(rec, r)
	} else {
		w.door.Events().ServeHTTP(rec, r)
	}
	var a answer
	require.NoError(w, json.Unmarshal(rec.Body.Bytes(), &a))
	return rec.Code, a
}

func (w *world) trigger(key, dedup, severity string) {
	w.Helper()
	w.advance(time.Second)
	code, a := w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{
		"summary":"disk full","source":"db-1","severity":%q,"class":"DiskFull","component":"postgres","group":"prod",
		"custom_details":{"disk":{"free":3},"summary":"no","list":[1]}},
		"links":[{"href":"https://wiki/disk","text":"wiki"},{"href":"javascript:x"}],"client_url":"https://mon"}`, key, dedup, severity))
	require.Equal(w, http.StatusAccepted, code, a)
	require.Equal(w, answer{Status: "success", Message: "Event processed", DedupKey: dedup}, a)
}

func (w *world) tell(key, action, dedup string) {
	w.Helper()
	w.advance(time.Second)
	code, a := w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q}`, key, action, dedup))
	require.Equal(w, http.StatusAccepted, code, a)
}

func (w *world) incidents() []*tocsin.Incident {
	w.Helper()
	list, err := w.store.List(context.Background(), tocsin.Filter{Archived: true})
	require.NoError(w, err)
	return list
}

func (w *world) only() (*tocsin.Incident, []tocsin.AlertRecord) {
	w.Helper()
	list := w.incidents()
	require.Len(w, list, 1)
	alerts, err := w.store.AlertsOf(context.Background(), list[0].ID, 0)
	require.NoError(w, err)
	return list[0], alerts
}

func (w *world) remembered() int {
	docs, _, err := w.store.Documents(context.Background(), eventsv2.Kind)
	require.NoError(w, err)
	return len(docs)
}

func TestTriggerAcknowledgeResolve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trigger(keyA, "d1", "critical")
	inc, alerts := w.only()
	require.Len(t, alerts, 1)
	assert.Equal(t, tocsin.Labels{
		"alertname": "DiskFull", "severity": "critical", "instance": "db-1", "class": "DiskFull", "component": "postgres", "group": "prod",
		"team": "db", "dedup_key": "d1",
	}, alerts[0].Labels)
	assert.Equal(t, tocsin.Labels{
		"summary": "disk full", "disk.free": "3", "details.summary": "no", "list": "[1]", "link_1": "wiki https://wiki/disk",
	}, alerts[0].Annotations)
	assert.Equal(t, "https://mon", alerts[0].GeneratorURL)
	assert.Equal(t, "disk full", inc.Title)
	assert.Equal(t, tocsin.Critical, inc.Severity)

	w.tell(keyA, "acknowledge", "d1")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Acknowledged, inc.State)
	assert.Equal(t, "legacy", inc.AcknowledgedBy)

	w.start()
	w.tell(keyA, "resolve", "d1")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
	assert.Zero(t, w.remembered())
	w.tell(keyA, "resolve", "d1")
	w.tell(keyA, "acknowledge", "d1")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)

	w.trigger(keyA, "d1", "critical")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Triggered, inc.State, "a trigger right after a resolve counts")
}

func TestWhatIsNotOpenIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell(keyA, "resolve", "nothing")
	w.tell(keyA, "acknowledge", "nothing")
	assert.Empty(t, w.incidents())
	w.trigger(keyA, "d1", "error")
	w.tell(keyB, "resolve", "d1")
	w.tell(keyB, "acknowledge", "d1")
	inc, _ := w.only()
	assert.Equal(t, tocsin.Triggered, inc.State, "another routing key's dedup_key is another alert")
}

func TestTheSeverityIsRaisedAndNeverLowered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, severity := range []string{"warning", "info", "critical", "warning"} {
		w.trigger(keyA, "d1", severity)
	}
	inc, alerts := w.only()
	assert.Equal(t, tocsin.Critical, inc.Severity)
	assert.Len(t, alerts, 2)
	assert.EqualValues(t, 1, inc.Firing)
	w.tell(keyA, "resolve", "d1")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
	assert.Zero(t, inc.Firing)
}

func TestTriggerAfterAManualResolutionReopens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trigger(keyA, "d1", "critical")
	inc, _ := w.only()
	require.NoError(t, w.Act(context.Background(), inc.ID, tocsin.Action{Kind: tocsin.ActResolve, By: "ana"}))
	w.trigger(keyA, "d1", "critical")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Triggered, inc.State)
	w.tell(keyA, "resolve", "d1")
	inc, _ = w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
}

func TestNotNowIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.broken = tocsin.Unavailable(errors.New("disk full"))
	body := fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"x","severity":"error"}}`, keyA)
	code, a := w.send("/v2/enqueue", body)
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.NotContains(t, fmt.Sprint(a), "disk")
	assert.Empty(t, w.incidents())
	w.broken = nil
	code, _ = w.send("/v2/enqueue", body)
	assert.Equal(t, http.StatusAccepted, code)
	_, alerts := w.only()
	assert.Equal(t, "legacy", alerts[0].Labels["alertname"], "without class, component and group")
	w.broken = errors.New("odd")
	code, _ = w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"resolve","dedup_key":"d"}`, keyA))
	assert.Equal(t, http.StatusServiceUnavailable, code)
	w.broken = nil
	w.tell(keyA, "resolve", "d")
	inc, _ := w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
}

func TestADedupKeyIsGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","payload":{"summary":"s","source":"x","severity":"error"}}`, keyA))
	assert.Len(t, a.DedupKey, 32)
	w.tell(keyA, "resolve", a.DedupKey)
	inc, _ := w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
}

func TestChangeEventsAreInTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, a := w.send("/v2/change/enqueue", fmt.Sprintf(`{"routing_key":%q,"payload":{"summary":"deployed 1.2"},"links":[{"href":"https://ci/1"}]}`, keyA))
	assert.Equal(t, http.StatusAccepted, code)
	assert.Equal(t, "Change event processed", a.Message)
	assert.Empty(t, w.incidents())
	events, err := w.store.Log(context.Background(), 0, 10)
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, tocsin.EventChange, events[0].Kind)
	assert.Equal(t, "deployed 1.2 https://ci/1", events[0].Text)
	assert.Empty(t, events[0].Incident)
}

func TestWhatCanNeverBeRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ok := `"payload":{"summary":"s","source":"x","severity":"error"}`
	for name, tc := range map[string]struct{ body, want string }{
		"no JSON":      {`{"routing_key"`, "Event is not a valid JSON object"},
		"a list":       {`[]`, "Event is not a valid JSON object"},
		"null":         {`null`, "Event is not a valid JSON object"},
		"not UTF-8":    {"{\"a\":\"\xff\"}", "not UTF-8"},
		"wrong type":   {`{"routing_key":1}`, "'routing_key' is a number"},
		"short key":    {`{"routing_key":"abc","event_action":"trigger",` + ok + `}`, "Length of 'routing_key'"},
		"unknown key":  {`{"routing_key":"` + strings.Repeat("a", 32) + `","event_action":"trigger",` + ok + `}`, "Invalid routing key"},
		"no action":    {`{"routing_key":"` + keyA + `",` + ok + `}`, "'event_action' is missing"},
		"odd action":   {`{"routing_key":"` + keyA + `","event_action":"explode",` + ok + `}`, "'event_action' is invalid"},
		"no payload":   {`{"routing_key":"` + keyA + `","event_action":"trigger"}`, "'payload' is missing"},
		"no summary":   {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"source":"x","severity":"error"}}`, "'payload.summary' is missing"},
		"long summary": {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"` + strings.Repeat("x", 1025) + `","source":"x","severity":"error"}}`, "too long"},
		"odd severity": {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"bad"}}`, "'payload.severity' is invalid"},
		"no source":    {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"s","severity":"error"}}`, "'payload.source' is missing"},
		"odd details":  {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"error","custom_details":"x"}}`, "must be an object"},
		"odd time":     {`{"routing_key":"` + keyA + `","event_action":"trigger","payload":{"summary":"s","source":"x","severity":"error","timestamp":"soon"}}`, "ISO 8601"},
		"http image":   {`{"routing_key":"` + keyA + `","event_action":"trigger",` + ok + `,"images":[{"src":"http://x/y.png"}]}`, "https URL"},
		"bare resolve": {`{"routing_key":"` + keyA + `","event_action":"resolve"}`, "'dedup_key' is missing"},
		"long key":     {`{"routing_key":"` + keyA + `","event_action":"resolve","dedup_key":"` + strings.Repeat("x", 256) + `"}`, "'dedup_key' is too long"},
		"too large":    {`{"x":"` + strings.Repeat("x", 512<<10) + `"}`, "too large"},
	} {
		code, a := w.send("/v2/enqueue", tc.body)
		assert.Equal(t, http.StatusBadRequest, code, name)
		assert.Equal(t, "invalid event", a.Status, name)
		assert.Contains(t, strings.Join(a.Errors, "; "), tc.want, name)
	}
	assert.Empty(t, w.incidents())
	assert.Zero(t, w.remembered())
}

func TestWhatNobodyResolvesIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trigger(keyA, "d1", "critical")
	inc, _ := w.only()
	require.NoError(t, w.store.Update(context.Background(), func(tx tocsin.Tx) error {
		inc := tx.Incident(inc.ID)
		inc.Resolve("", "stale", w.Now())
		tx.PutIncident(inc)
		tx.Archive(inc.ID)
		return nil
	}))
	w.advance(2 * time.Hour)
	w.trigger(keyA, "d2", "critical")
	assert.Equal(t, 1, w.remembered())
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"x","severity":"error"}}`, keyA))
				w.send("/v2/enqueue", fmt.Sprintf(`{"routing_key":%q,"event_action":"resolve","dedup_key":"d"}`, keyA))
			}
		})
	}
	wg.Wait()
	w.tell(keyA, "resolve", "d")
	inc, _ := w.only()
	assert.Equal(t, tocsin.Resolved, inc.State)
	assert.Zero(t, inc.Firing)
}

func FuzzEvent(f *testing.F) {
	f.Add(`{"routing_key":"` + keyA + `","event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"x","severity":"error","custom_details":{"a":{"b":[1,{"c":null}]}}}}`)
	f.Add(`{"routing_key":"` + keyA + `","event_action":"resolve","dedup_key":"d"}`)
	door, err := eventsv2.New([]eventsv2.Source{{RoutingKey: keyA, Name: "fuzz"}}, eventsv2.Options{Receiver: nowhere{}, Actions: nowhere{}, Store: nowhere{}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body string) {
		rec := httptest.NewRecorder()
		door.Events().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/v2/enqueue", strings.NewReader(body)))
		assert.Contains(t, []int{202, 400, 503}, rec.Code)
	})
}

// nowhere takes nothing.
type nowhere struct{}

func (nowhere) Receive(_ context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	for i := range b.Alerts {
		if len(b.Alerts[i].Annotations) > 100 {
			panic("unbounded")
		}
	}
	return tocsin.Outcome{}, nil
}
func (nowhere) Act(context.Context, string, tocsin.Action) error { return nil }
func (nowhere) Update(context.Context, func(tocsin.Tx) error) error {
	return tocsin.ErrUnavailable
}
