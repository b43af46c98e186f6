package streamtest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/stream/streamtest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	streamtest.Conformance(t, func(_ *testing.T, limit int, _ time.Duration) streamtest.Queue {
		return &streamtest.Memory{Limit: limit}
	})
}

// A day of retries passes in no time, which is what Memory is for.
func TestMemoryInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m streamtest.Memory
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Duration
		began := time.Now()
		ended := make(chan error, 1)
		go func() {
			ended <- m.Consume(ctx, "slack", func(context.Context, tocsin.Wake) error {
				at = append(at, time.Since(began))
				return tocsin.RetryAfter(errors.New("busy"), time.Hour)
			})
		}()
		require.NoError(t, m.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}))
		<-time.After(24*time.Hour - time.Minute)
		synctest.Wait()
		assert.Len(t, at, 24)
		assert.Equal(t, 23*time.Hour, at[len(at)-1])
		assert.Equal(t, 1, m.Waiting())
		cancel()
		require.NoError(t, <-ended)
		<-time.After(time.Hour) // the last retry's timer
		synctest.Wait()
	})
}

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	var m streamtest.Memory
	down := tocsin.Unavailable(errors.New("down"))
	m.Fail(down)
	require.ErrorIs(t, m.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}), tocsin.ErrUnavailable)
	assert.False(t, m.Healthy())
	assert.Zero(t, m.Waiting())
	m.Fail(nil)
	require.NoError(t, m.Wake([]tocsin.Wake{{Incident: "a", Target: "slack:x"}}))
	assert.True(t, m.Healthy())
	assert.Equal(t, 1, m.Waiting())
}
