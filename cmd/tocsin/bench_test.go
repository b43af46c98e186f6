package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPipeline is one distinct incident from POST to Slack, emulator and
// sender in the same process. For the figures of the program alone see test/bench.
func BenchmarkPipeline(b *testing.B) {
	r := startApp(b)
	var n atomic.Int64
	b.SetParallelism(8)
	// Two idle connections, net/http's default, would measure handshakes.
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			labels := map[string]string{
				"alertname": "Slow", "instance": fmt.Sprintf("node-%d:9090", n.Add(1)), "severity": "warning", "region": "us-east",
				"cluster": "bench", "component": "node", "job": "bench-us-east", "monitor": "bench-monitor", "zone": "us-east-1",
			}
			code, _ := r.post(b, "/webhook/alertmanager", webhookBody(b, fires(labels, "it is slow")))
			require.Equal(b, 200, code)
		}
	})
	r.settled(b)
}
