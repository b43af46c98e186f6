package stream_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream"
)

func TestLoss(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, stream.Config{Registerer: reg, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ctx, cancel := context.WithCancel(t.Context())
	var handled atomic.Int64
	const N = 200000
	seen := make([]atomic.Int32, N)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Consume(ctx, "slack", func(_ context.Context, w tocsin.Wake) error {
			n, _ := strconv.Atoi(w.Incident)
			seen[n].Add(1)
			handled.Add(1)
			return nil
		})
	}()
	for n := range N {
		for s.Wake([]tocsin.Wake{{Incident: strconv.Itoa(n), Target: "slack:#incidents", Severity: tocsin.Critical}}) != nil {
			<-time.After(time.Millisecond)
		}
	}
	last := int64(-1); _ = last
	for range 60 {
		<-time.After(200 * time.Millisecond)
		h := handled.Load()
		if h == N { break }
		if true {
			c, _ := s.JS().Consumer(ctx, "TOCSIN_WAKE", "tocsin-slack")
			i := c.CachedInfo()
			st, _ := s.JS().Stream(ctx, "TOCSIN_WAKE")
			t.Logf("%d delivered %+v ackfloor %+v ackpending %d waiting %d pending %d redel %d state %+v", h, i.Delivered, i.AckFloor, i.NumAckPending, i.NumWaiting, i.NumPending, i.NumRedelivered, st.CachedInfo().State)
		}
		last = h
	}
	missing, first, lastm := 0, -1, -1
	for n := range seen { if seen[n].Load() == 0 { missing++; if first < 0 { first = n }; lastm = n } }
	t.Log("handled", handled.Load(), "missing", missing, "first", first, "last", lastm)
	mfs, _ := reg.Gather()
	for _, mf := range mfs { t.Log(mf.String()) }
	cancel()
	require.NoError(t, <-ended)
}
