package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// webhookBody is what Alertmanager sends for n alerts: compact, HTML-escaped.
func webhookBody(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"receiver":"tocsin","status":"firing","alerts":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"status":"firing","labels":{"alertname":"NodeDown","cluster":"bitcell-production","component":"node",`+
			`"instance":"node-us-east-%d:9090","job":"bitcell-us-east","monitor":"bitcell-monitor","region":"us-east","severity":"critical","zone":"us-east-1"},`+
			`"annotations":{"description":"Node node-us-east-%d:9090 in region us-east has been down for more than 2 minutes.","summary":"BitCell node node-us-east-%d:9090 is down"},`+
			`"startsAt":"2026-11-22T04:41:09.396523Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph?g0.expr=up\u0026g0.tab=1","fingerprint":"99c529076c14e99b"}`, i, i, i)
	}
	b.WriteString(`],"notification_reason":"first notification","groupLabels":{"alertname":"NodeDown","region":"us-east","severity":"critical"},` +
		`"commonLabels":{"alertname":"NodeDown","cluster":"bitcell-production","component":"node","job":"bitcell-us-east","monitor":"bitcell-monitor","region":"us-east","severity":"critical","zone":"us-east-1"},` +
		`"commonAnnotations":{},"routeLabels":{},"externalURL":"http://alertmanager:9093","version":"4","groupKey":"{}:{alertname=\"NodeDown\", region=\"us-east\", severity=\"critical\"}","truncatedAlerts":0}`)
	return []byte(b.String())
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			body := webhookBody(n)
			d := newDecoder(Config{}.withDefaults().Limits)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				p, err := d.decode(body, "alertmanager", time.Time{})
				if err != nil || len(p.alerts) != n {
					b.Fatal(err)
				}
			}
		})
	}
}

// nothing is everything behind the server, doing nothing.
type nothing struct{}

func (nothing) Receive(context.Context, tocsin.Batch) (tocsin.Outcome, error) {
	return tocsin.Outcome{}, nil
}
func (nothing) Act(context.Context, string, tocsin.Action) error    { return nil }
func (nothing) ExpireSilence(context.Context, string, string) error { return nil }
func (nothing) PutSilence(_ context.Context, s tocsin.Silence) (tocsin.Silence, error) {
	return s, nil
}
func (nothing) Silences(context.Context) ([]tocsin.Silence, error) { return nil, nil }
func (nothing) Get(string) *tocsin.Runbook                         { return nil }
func (nothing) List() []*tocsin.Runbook                            { return nil }
func (nothing) Ready() error                                       { return nil }

// reads has nothing to read.
type reads struct{ tocsin.Reader }

// BenchmarkIntake is a request from end to end, without the network: what
// exceeds BenchmarkDecode is echo, the middleware and httptest.
func BenchmarkIntake(b *testing.B) {
	for name, auth := range map[string]Auth{"open": {}, "token": {Tokens: []string{"secret"}}} {
		b.Run(name, func(b *testing.B) {
			s, err := New(Config{Intake: auth}, Deps{
				Receiver: nothing{}, Reader: reads{}, Actions: nothing{}, Silencer: nothing{}, Runbooks: nothing{}, Health: nothing{},
			})
			if err != nil {
				b.Fatal(err)
			}
			body := webhookBody(1)
			h := s.Handler()
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, pathIntake, bytes.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer secret")
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Body)
				}
			}
		})
	}
	b.Run("httptest alone", func(b *testing.B) {
		body := webhookBody(1)
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, pathIntake, bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer secret")
			rec := httptest.NewRecorder()
			rec.Header()["Content-Type"] = jsonType
			rec.WriteHeader(http.StatusOK)
			_, _ = rec.Write(statusOK)
		}
	})
}
