package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/notifiertest"
	"github.com/tocsin-oncall/tocsin/notifiers/webhook"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint is a receiver that keeps what it got, and knows its incidents by
// groupKey.
type endpoint struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
	groups   map[string]string
}

func newEndpoint() *endpoint { return &endpoint{groups: make(map[string]string)} }

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var m alertmanagerMessage
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.requests, e.bodies = append(e.requests, r), append(e.bodies, body)
	e.groups[m.GroupKey] = m.Status
}

func (e *endpoint) things() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.groups)
}

// RoundTrip implements http.RoundTripper, without a socket.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w.Result(), nil
}

// alertmanagerMessage is Alertmanager's own type, as in its
// notify/webhook/webhook.go.
type alertmanagerMessage struct {
	*template.Data
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

const (
	canaryPath     = "CANARYpathCANARY"
	canaryQuery    = "CANARY/query+CANARY"
	canaryBearer   = "CANARYbearerCANARY"
	canaryPassword = "CANARYpasswordCANARY"
	canaryHeader   = "CANARYheaderCANARY"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]webhook.Config{
		"Bearer": {BearerToken: canaryBearer, Headers: map[string]string{"X-Api-Key": canaryHeader}},
		"Basic":  {Username: "tocsin", Password: canaryPassword},
	} {
		t.Run(name, func(t *testing.T) {
			notifiertest.Conformance(t, notifiertest.Provider{
				New: func(t testing.TB, url string, rt http.RoundTripper) notifiertest.Notifier {
					if rt == nil {
						own := &http.Transport{}
						t.Cleanup(own.CloseIdleConnections)
						rt = own
					}
					c := c
					c.URL, c.Transport = url+"/services/"+canaryPath+"?token=CANARY%2Fquery%2BCANARY", rt
					return webhook.New(c)
				},
				Emulator: func(testing.TB) (http.Handler, func() int) {
					e := newEndpoint()
					return e, e.things
				},
				Secrets: []string{
					canaryPath, canaryQuery, "CANARY%2Fquery%2BCANARY", canaryBearer, canaryPassword, canaryHeader,
					"dG9jc2luOkNBTkFSWXBhc3N3b3JkQ0FOQVJZ",
				},
				AnyBody: true,
			})
		})
	}
}

// send delivers a notice and returns the body that was sent.
func send(t require.TestingT, c webhook.Config, n tocsin.Notice) []byte {
	e := newEndpoint()
	c.URL, c.Transport = "https://hooks.example.com/in", e
	_, err := webhook.New(c).Deliver(context.Background(), n)
	require.NoError(t, err)
	require.Len(t, e.bodies, 1)
	return e.bodies[0]
}

func decode(t require.TestingT, body []byte) alertmanagerMessage {
	var m alertmanagerMessage
	require.NoError(t, json.Unmarshal(body, &m))
	return m
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tocsin.Notice){
		"firing":       func(*tocsin.Notice) {},
		"acknowledged": func(n *tocsin.Notice) { n.Incident.Acknowledge("ana", n.Now); n.Delivery.State = tocsin.Triggered },
		"resolved":     func(n *tocsin.Notice) { n.Incident.Resolve("ana", "fixed", n.Now); n.Delivery.State = tocsin.Triggered },
		"bare": func(n *tocsin.Notice) {
			*n = tocsin.Notice{Incident: &tocsin.Incident{ID: "b2c3d4", State: tocsin.Triggered}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notifiertest.Sample()
			change(&n)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, send(t, webhook.Config{ExternalURL: "https://tocsin.example.com"}, n), "", "  "))
			got.WriteByte('\n')
			file := filepath.Join("testdata", name+".golden.json")
			if *update {
				require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
		})
	}
}

func TestAlertmanagersTypeReadsIt(t *testing.T) {
	t.Parallel()
	n := notifiertest.Sample()
	d := json.NewDecoder(bytes.NewReader(send(t, webhook.Config{Receiver: "team-x"}, n)))
	d.DisallowUnknownFields()
	var m struct {
		alertmanagerMessage
		Tocsin map[string]any `json:"tocsin"`
	}
	require.NoError(t, d.Decode(&m), "nothing but Alertmanager's fields and \"tocsin\"")
	assert.Equal(t, "team-x", m.Receiver)
	assert.Equal(t, "4", m.Version)
	assert.Equal(t, "firing", m.Status)
	assert.Len(t, m.Alerts.Firing(), 1)
	assert.Len(t, m.Alerts.Resolved(), 1)
	assert.True(t, m.Alerts.Firing()[0].EndsAt.IsZero())
	assert.Regexp(t, "^[0-9a-f]{16}$", m.Alerts[0].Fingerprint)
	assert.Equal(t, "first notification", m.NotificationReason)
	assert.Equal(t, template.KV{"alertname": "NodeDown", "region": "us-east"}, m.GroupLabels)
	assert.NotContains(t, m.CommonLabels, "instance")
	assert.Contains(t, m.CommonLabels, "cluster")
	assert.Equal(t, template.KV{}, m.RouteLabels)
	assert.Equal(t, `{incident="k7f3q9"}:{alertname="NodeDown", region="us-east"}`, m.GroupKey)
	assert.Equal(t, "k7f3q9", m.Tocsin["incident"])
}

// TestShapeIsAlertmanagers compares with what a real Alertmanager 0.34 sent:
// the same keys and kinds, the same fingerprints and common labels.
func TestShapeIsAlertmanagers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/data/webhooks/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no captured webhooks in ../shared/data/webhooks")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		theirs := decode(t, raw)
		mine := decode(t, send(t, webhook.Config{Receiver: theirs.Receiver, ExternalURL: theirs.ExternalURL}, asNotice(theirs)))
		assert.Equal(t, theirs.Alerts, mine.Alerts, file)
		assert.Equal(t, theirs.CommonLabels, mine.CommonLabels, file)
		assert.Equal(t, theirs.CommonAnnotations, mine.CommonAnnotations, file)
		assert.Equal(t, theirs.GroupLabels, mine.GroupLabels, file)
		assert.Equal(t, theirs.Status, mine.Status, file)
		assert.Equal(t, theirs.TruncatedAlerts, mine.TruncatedAlerts, file)
		var want, got map[string]any
		require.NoError(t, json.Unmarshal(raw, &want))
		require.NoError(t, json.Unmarshal(send(t, webhook.Config{}, asNotice(theirs)), &got))
		delete(got, "tocsin")
		assert.Equal(t, kinds("", want), kinds("", got), file)
	}
}

// asNotice is the notice that would send the message again.
func asNotice(m alertmanagerMessage) tocsin.Notice {
	i := &tocsin.Incident{ID: "k7f3q9", State: tocsin.Triggered, Truncated: m.TruncatedAlerts, Alerts: uint32(len(m.Alerts))}
	n := tocsin.Notice{Incident: i, GroupLabels: tocsin.Labels(m.GroupLabels), MayBePosted: true}
	if m.Status == "resolved" {
		i.State = tocsin.Resolved
	}
	for _, a := range m.Alerts {
		n.Alerts = append(n.Alerts, tocsin.AlertRecord{
			Alert: tocsin.Alert{
				Labels: tocsin.Labels(a.Labels), Annotations: tocsin.Labels(a.Annotations), GeneratorURL: a.GeneratorURL,
			},
			State: tocsin.AlertState{Firing: a.Status == "firing", StartsAt: a.StartsAt, EndsAt: a.EndsAt},
		})
	}
	return n
}

// kinds lists the fixed keys of a message, with the JSON kind of their values.
func kinds(path string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		switch filepath.Base(path) {
		case "labels", "annotations", "groupLabels", "commonLabels", "commonAnnotations", "routeLabels":
			return []string{path + " set"}
		}
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, kinds(path+"/"+k, v[k])...)
		}
		return out
	case []any:
		out := []string{path + " list"}
		for _, e := range v[:min(len(v), 1)] {
			out = append(out, kinds(path+"/*", e)...)
		}
		return out
	default:
		return []string{fmt.Sprintf("%s %T", path, v)}
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	n := notifiertest.Sample()
	n.Alerts = nil
	for k := range 10 {
		a := notifiertest.SampleAlert(fmt.Sprint("node-", k), n.Now)
		if k >= 7 {
			a.State.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced}
		}
		n.Alerts = append(n.Alerts, a)
	}
	n.Incident.Alerts, n.Incident.Firing, n.Incident.Suppressed, n.Incident.Truncated = 100, 90, 20, 5

	m := decode(t, send(t, webhook.Config{}, n))
	assert.Len(t, m.Alerts, 7, "suppressed alerts are not told")
	assert.Equal(t, uint64(100-20-7+5), m.TruncatedAlerts)

	m = decode(t, send(t, webhook.Config{MaxAlerts: 2}, n))
	assert.Len(t, m.Alerts, 2)
	assert.Equal(t, uint64(100-20-2+5), m.TruncatedAlerts)

	n.Alerts = n.Alerts[7:]
	m = decode(t, send(t, webhook.Config{}, n))
	assert.Len(t, m.Alerts, 3, "nothing but suppressed ones: told all the same")
	assert.Equal(t, uint64(100-3+5), m.TruncatedAlerts)

	n.Incident.Resolve("ana", "closed by hand", n.Now)
	n.Delivery.State = tocsin.Triggered
	m = decode(t, send(t, webhook.Config{}, n))
	assert.Equal(t, "resolved", m.Status)
	assert.Empty(t, m.Alerts.Firing(), "a closed incident fires nothing")
	assert.Equal(t, n.Now, m.Alerts[0].EndsAt)
}

func TestReasons(t *testing.T) {
	t.Parallel()
	fired := []tocsin.Event{{Kind: tocsin.EventAlertFired}, {Kind: tocsin.EventNote}}
	ended := []tocsin.Event{{Kind: tocsin.EventAlertFired}, {Kind: tocsin.EventAlertResolved}}
	for _, c := range []struct {
		told, is tocsin.State
		events   []tocsin.Event
		want     string
	}{
		{"", tocsin.Triggered, fired, "first notification"},
		{tocsin.Resolved, tocsin.Triggered, fired, "first notification"},
		{tocsin.Triggered, tocsin.Triggered, fired, "new alerts added"},
		{tocsin.Triggered, tocsin.Triggered, ended, "some alerts resolved"},
		{tocsin.Triggered, tocsin.Acknowledged, nil, "unknown"},
		{tocsin.Acknowledged, tocsin.Resolved, ended, "all alerts resolved"},
	} {
		n := notifiertest.Sample()
		n.Delivery.State, n.Incident.State, n.Events = c.told, c.is, c.events
		assert.Equal(t, c.want, decode(t, send(t, webhook.Config{}, n)).NotificationReason, "%+v", c)
	}
}

func TestAnIncidentWithoutAlertsHasOneThatStandsForIt(t *testing.T) {
	t.Parallel()
	n := notifiertest.Sample()
	n.Alerts, n.GroupLabels, n.Incident.Alerts, n.Incident.Firing = nil, nil, 0, 0
	n.Incident.Kind, n.Incident.Title, n.Incident.Text = tocsin.KindManual, "Help", "first\nsecond"
	m := decode(t, send(t, webhook.Config{}, n))
	require.Len(t, m.Alerts, 1)
	a := m.Alerts[0]
	assert.Equal(t, "firing", a.Status)
	assert.Equal(t, template.KV{"alertname": "Help", "severity": "critical", "incident": "k7f3q9"}, a.Labels)
	assert.Equal(t, template.KV{"summary": "Help", "description": "first\nsecond"}, a.Annotations)
	assert.Equal(t, n.Incident.OpenedAt, a.StartsAt)
	assert.Zero(t, m.TruncatedAlerts)

	n.Delivery.State, n.Call = tocsin.Triggered, true
	assert.Equal(t, "repeat interval elapsed", decode(t, send(t, webhook.Config{}, n)).NotificationReason)

	n.Incident.Resolve("ana", "done", n.Now)
	m = decode(t, send(t, webhook.Config{}, n))
	assert.Equal(t, "resolved", m.Status)
	assert.Equal(t, n.Now, m.Alerts[0].EndsAt)
}

// A notice that is over before it could be told is told all the same.
func TestANoticeIsToldBeforeItsEnd(t *testing.T) {
	t.Parallel()
	e := newEndpoint()
	w := webhook.New(webhook.Config{URL: "https://hooks.example.com/in", Transport: e})
	n := notifiertest.Sample()
	n.Incident.Kind, n.Alerts = tocsin.KindNotice, nil
	n.Incident.Resolve("", "told", n.Now)
	r, err := w.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.True(t, r.More)
	assert.Equal(t, "firing", decode(t, e.bodies[0]).Status)
	n.Delivery.Record(r, n.Now)
	r, err = w.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.False(t, r.More)
	assert.Equal(t, "resolved", decode(t, e.bodies[1]).Status)
}

func TestStoppedMakesNoCall(t *testing.T) {
	t.Parallel()
	e := newEndpoint()
	w := webhook.New(webhook.Config{URL: "https://hooks.example.com/in", Transport: e})
	n := notifiertest.Sample()
	n.Incident.Acknowledge("ana", n.Now)
	n.Delivery.Stopped = true
	for _, unsure := range []bool{false, true} {
		n.MayBePosted = unsure
		r, err := w.Deliver(t.Context(), n)
		require.NoError(t, err)
		assert.Equal(t, unsure, r.Ref != "", "what may have been told hears of the end")
	}
	assert.Empty(t, e.bodies)
}

func TestResolvedBeforeToldMakesNoCall(t *testing.T) {
	t.Parallel()
	e := newEndpoint()
	w := webhook.New(webhook.Config{URL: "https://hooks.example.com", Transport: e})
	n := notifiertest.Sample()
	n.Incident.Resolve("", "over", n.Now)
	r, err := w.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Empty(t, e.bodies)
	assert.Equal(t, tocsin.Receipt{
		Revision: n.Incident.Revision, State: tocsin.Resolved, Severity: tocsin.Critical,
		Text: "resolved before the webhook could be told: not sent",
	}, r)
	n.MayBePosted = true
	_, err = w.Deliver(t.Context(), n)
	require.NoError(t, err)
	assert.Len(t, e.bodies, 1)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	e := newEndpoint()
	w := webhook.New(webhook.Config{
		URL: " https://hooks.example.com/in?x=1\n", Username: "u", Password: "p", Transport: e,
		Headers: map[string]string{"X-Team": "platform", "user-agent": "own"},
	})
	r, err := w.Deliver(t.Context(), notifiertest.Sample())
	require.NoError(t, err)
	assert.Equal(t, "sent to the webhook at hooks.example.com", r.Text)
	req := e.requests[0]
	assert.Equal(t, http.MethodPost, req.Method)
	assert.Equal(t, "https://hooks.example.com/in?x=1", req.URL.String())
	assert.Equal(t, http.Header{
		"Authorization": {"Basic dTpw"}, "Content-Type": {"application/json"}, "User-Agent": {"own"}, "X-Team": {"platform"},
	}, req.Header)
}

func TestWrongURLIsPermanent(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "hooks.example.com", "ftp://CANARY.example", "http://", "http://a b", "https://h/%zzCANARY"} {
		_, err := webhook.New(webhook.Config{URL: u}).Deliver(t.Context(), notifiertest.Sample())
		require.ErrorContains(t, err, "url_file", u)
		assert.True(t, tocsin.IsPermanent(err))
		assert.NotContains(t, err.Error(), "CANARY")
	}
}

// TestFollowsRedirectsOnItsHost with the method and the body, a few times.
func TestFollowsRedirectsOnItsHost(t *testing.T) {
	t.Parallel()
	e := newEndpoint()
	mux := http.NewServeMux()
	mux.Handle("/in/", e)
	mux.Handle("/in", http.RedirectHandler("/in/", http.StatusPermanentRedirect))
	mux.Handle("/get", http.RedirectHandler("/in/", http.StatusMovedPermanently))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusTemporaryRedirect))
	s := httptest.NewServer(mux)
	defer s.Close()
	own := &http.Transport{}
	defer own.CloseIdleConnections()
	deliver := func(path string) error {
		_, err := webhook.New(webhook.Config{URL: s.URL + path, BearerToken: "t", Transport: own}).Deliver(t.Context(), notifiertest.Sample())
		return err
	}
	require.NoError(t, deliver("/in"))
	require.Len(t, e.requests, 1)
	assert.Equal(t, "Bearer t", e.requests[0].Header.Get("Authorization"))
	for _, path := range []string{"/get", "/loop"} {
		err := deliver(path)
		require.ErrorContains(t, err, "redirects", path)
		assert.True(t, tocsin.IsPermanent(err))
	}
	assert.Len(t, e.requests, 1, "a POST does not become a GET")
}

func TestHostileTextsAreSent(t *testing.T) {
	t.Parallel()
	n := notifiertest.Sample()
	n.Alerts[0].Labels["bad\xff"] = "a\x00\u202e<\xc3"
	n.Alerts[0].State.StartsAt = time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC)
	m := decode(t, send(t, webhook.Config{}, n))
	assert.Equal(t, "a\x00\u202e<\ufffd", m.Alerts[0].Labels["bad\ufffd"])
}

func BenchmarkDeliver(b *testing.B) {
	w := webhook.New(webhook.Config{URL: "https://hooks.example.com", Transport: discard{}})
	n := notifiertest.Sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Deliver(b.Context(), n); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}
