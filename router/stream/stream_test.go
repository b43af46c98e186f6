package stream_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/router/stream"
	"github.com/tocsin-oncall/tocsin/router/stream/streamtest"
)

const patience = 20 * time.Second

// start starts a Stream that is closed with the test. Without a Dir or URL it is
// embedded in a folder of its own.
func start(t testing.TB, cfg stream.Config) *stream.Stream {
	t.Helper()
	if cfg.Dir == "" && cfg.URL == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := stream.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		assert.NoError(t, s.Close(ctx))
	})
	return s
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	streamtest.Conformance(t, func(t *testing.T, limit int, lease time.Duration) streamtest.Queue {
		return start(t, stream.Config{MaxAckPending: limit, AckWait: lease})
	})
}
