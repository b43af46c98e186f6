package stream_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream"
)

// cpu is the time that the process has used so far, in user and kernel.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWakePaced makes 3,000 wake-ups a second, one a call, and reports the
// CPU that one costs from Wake to its acknowledgement, and how long it takes to
// reach the handler.
func BenchmarkWakePaced(b *testing.B) { benchmarkWake(b, 3000) }

// BenchmarkWakeStorm makes them as fast as they are taken.
func BenchmarkWakeStorm(b *testing.B) { benchmarkWake(b, 0) }

func benchmarkWake(b *testing.B, rate int) {
	s := start(b, stream.Config{})
	ctx, cancel := context.WithCancel(b.Context())
	var handled, latency atomic.Int64
	sent := make([]atomic.Int64, b.N)
	ended := make(chan error, 1)
	base := time.Now()
	go func() {
		ended <- s.Consume(ctx, "slack", func(_ context.Context, w tocsin.Wake) error {
			if n, err := strconv.Atoi(w.Incident); err == nil {
				latency.Add(int64(time.Since(base)) - sent[n].Load())
			}
			handled.Add(1)
			return nil
		})
	}()
	used := cpu()
	b.ResetTimer()
	for n := range b.N {
		if rate > 0 && n%(rate/100) == 0 {
			<-time.After(time.Until(base.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		}
		sent[n].Store(int64(time.Since(base)))
		for s.Wake([]tocsin.Wake{{Incident: strconv.Itoa(n), Target: "slack:#incidents", Severity: tocsin.Critical}}) != nil {
			<-time.After(time.Millisecond)
		}
	}
	require.Eventually(b, func() bool { return handled.Load() >= int64(b.N) }, patience, 10*time.Millisecond)
	b.StopTimer()
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/wake")
	b.ReportMetric(float64(latency.Load())/1e3/float64(b.N), "µs-to-handler")
	cancel()
	require.NoError(b, <-ended)
}
