package stream_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func BenchmarkRaw(b *testing.B) {
	for _, mode := range []string{"pull", "push", "pubonly"} {
		for _, rate := range []int{0, 3000} {
			b.Run(fmt.Sprintf("%s-%d", mode, rate), func(b *testing.B) { raw(b, mode, rate) })
		}
	}
}

func raw(b *testing.B, mode string, rate int) {
	srv, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: b.TempDir(), NoSublistCache: os.Getenv("NSC") != ""})
	require.NoError(b, err)
	go srv.Start()
	require.True(b, srv.ReadyForConnections(5*time.Second))
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.SkipSubjectValidation())
	require.NoError(b, err)
	defer nc.Close()
	nc2 := nc
	if os.Getenv("TWO") != "" {
		nc2, err = nats.Connect("", nats.InProcessServer(srv), nats.SkipSubjectValidation())
		require.NoError(b, err)
	}
	js, _ := jetstream.New(nc2)
	ctx := b.Context()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "W", Subjects: []string{"w.>"}, Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, Storage: jetstream.MemoryStorage})
	require.NoError(b, err)
	var n atomic.Int64
	cfg := jetstream.ConsumerConfig{Durable: "d", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1, FilterSubject: "w.slack.>"}
	switch mode {
	case "core":
		nc2.Subscribe("w.>", func(m *nats.Msg) { n.Add(1) })
	case "pull", "pullsmall":
		c, err := js.CreateConsumer(ctx, "W", cfg)
		require.NoError(b, err)
		m := 1000
		if mode == "pullsmall" { m = 100 }
		cc, err := c.Consume(func(m jetstream.Msg) { m.Ack(); n.Add(1) }, jetstream.PullMaxMessages(m))
		require.NoError(b, err)
		defer cc.Stop()
	case "pullnone":
		cfg.AckPolicy = jetstream.AckNonePolicy
		cfg.MaxAckPending = 0
		c, err := js.CreateConsumer(ctx, "W", cfg)
		require.NoError(b, err)
		cc, err := c.Consume(func(m jetstream.Msg) { n.Add(1) })
		require.NoError(b, err)
		defer cc.Stop()
	case "push":
		cfg.DeliverSubject = "deliver.x"
		nc2.Subscribe("deliver.x", func(m *nats.Msg) { nc2.Publish(m.Reply, nil); n.Add(1) })
		_, err := js.CreatePushConsumer(ctx, "W", cfg)
		require.NoError(b, err)
	case "pubonly":
	}
	data := []byte(`{"incident":"abcdef","target":"slack:#incidents","severity":"critical"}`)
	base := time.Now()
	used := cpu()
	b.ResetTimer()
	for i := range b.N {
		if rate > 0 && i%30 == 0 {
			<-time.After(time.Until(base.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		nc.Publish(fmt.Sprintf("w.slack.%06d.slackincidents", i), data)
	}
	if mode == "pubonly" {
		n.Store(int64(b.N))
		_, err := js.Publish(ctx, "w.last.x", data)
		require.NoError(b, err)
	}
	require.Eventually(b, func() bool { return n.Load() >= int64(b.N) }, patience, 10*time.Millisecond)
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/msg")
}
