package server

import (
	"fmt"
	"strings"
	"testing"
	"time"
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
