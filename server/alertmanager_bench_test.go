package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// fullStore has so many open incidents of so many alerts each.
func fullStore(tb testing.TB, incidents, alerts int) *bolt.Store {
	tb.Helper()
	store, err := bolt.Open(filepath.Join(tb.TempDir(), "tocsin.db"), bolt.Options{MinFree: -1, Ballast: -1})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	const batch = 500
	for from := 0; from < incidents; from += batch {
		require.NoError(tb, store.Update(context.Background(), func(tx tocsin.Tx) error {
			for n := from; n < min(from+batch, incidents); n++ {
				inc := &tocsin.Incident{
					ID: fmt.Sprintf("i%05d", n), Revision: 1, State: tocsin.Triggered, Severity: tocsin.Critical, Title: "NodeDown", Group: tocsin.NewKey(fmt.Sprint(n)),
					GroupBy: []string{"alertname", "region"}, Receivers: []string{"page"}, OpenedAt: time.Now(), Alerts: uint32(alerts), Firing: uint32(alerts),
				}
				tx.PutIncident(inc)
				for a := range alerts {
					alert := tocsin.Alert{
						Source: "am", Firing: true, StartsAt: time.Now(), GeneratorURL: "http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
						Labels: tocsin.Labels{
							"alertname": "NodeDown", "cluster": "bitcell-production", "instance": fmt.Sprintf("node-%d-%d:9090", n, a), "job": "bitcell-us-east",
							"region": "us-east", "severity": "critical", "zone": "us-east-1",
						},
						Annotations: tocsin.Labels{"summary": "BitCell node is down", "description": "Node node-us-east in region us-east has been down for more than 2 minutes."},
					}
					tx.PutAlert(tocsin.AlertState{ID: alert.ID(), Incident: inc.ID, Seq: uint32(a + 1), Firing: true, StartsAt: time.Now(), Severity: tocsin.Critical}, &alert)
				}
			}
			return nil
		}))
	}
	return store
}

// BenchmarkAlertmanager is what a dashboard costs with 10,000 open incidents, and
// with one incident of 50,000 alerts.
func BenchmarkAlertmanager(b *testing.B) {
	for _, size := range [][2]int{{10_000, 1}, {1, 50_000}} {
		store := fullStore(b, size[0], size[1])
		w := newWorld(b, server.Config{}, func(d *server.Deps) {
			d.Reader = store
			page := examplePage()
			d.StatusPage = func() *server.StatusPage { return page }
		})
		for _, path := range []string{"/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/alerts?filter=instance%3D%22node-0-0:9090%22", "/status.json"} {
			b.Run(fmt.Sprintf("%dx%d%s", size[0], size[1], strings.SplitN(path, "?", 2)[0]), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest("GET", path, nil)
					r.RemoteAddr, r.Host = "127.0.0.1:4711", "localhost"
					rec := httptest.NewRecorder()
					w.Handler().ServeHTTP(rec, r)
					if rec.Code != 200 {
						b.Fatal(rec.Code, rec.Body)
					}
					b.ReportMetric(float64(rec.Body.Len()), "bytes")
				}
			})
		}
	}
}

// What is too much for one answer is refused, and says what to do.
func TestAlertmanagersAnswerIsBounded(t *testing.T) {
	t.Parallel()
	r := &manyIncidents{}
	for n := range 40 {
		id := fmt.Sprint(n)
		r.put(id, "x", tocsin.Critical, tocsin.Critical, now, nil)
		r.of[id][0].Annotations = tocsin.Labels{"description": strings.Repeat("x", 1<<20)}
		r.of[id][0].Labels["n"] = id
	}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Reader = r })
	rec := w.ask("GET", "/api/v2/alerts", "")
	assert.Equal(t, 400, rec.Code)
	assert.Contains(t, decode[string](t, rec.Body.Bytes()), "narrow it down with filter=")
	rec = w.ask("GET", "/api/v2/alerts?filter=n%3D7", "")
	require.Equal(t, 200, rec.Code)
	assert.Len(t, decode[[]amAlert](t, rec.Body.Bytes()), 1)
}
