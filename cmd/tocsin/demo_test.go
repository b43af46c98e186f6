package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The demo as a person plays it, with time between its scenes: it goes on until
// it is stopped. A pause is long enough here for the second step of the policy to
// fall due while the first incident is open.
func TestDemoWithPauses(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out := &journal{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"demo", "--pause", "1s", "--listen", "127.0.0.1:0", "--slack", "127.0.0.1:0", "--pagerduty", "127.0.0.1:0"}, out, out)
	}()
	require.Eventually(t, func() bool {
		return strings.Contains(out.String(), "The script is over") || len(code) > 0
	}, time.Minute, 10*time.Millisecond)
	stop()
	assert.Equal(t, 0, <-code, out.String())
	assert.Contains(t, out.String(), "everything arrived, once")
	assert.Equal(t, 2, strings.Count(out.String(), "calling bo by Slack"), out.String())
}
