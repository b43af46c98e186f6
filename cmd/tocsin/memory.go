package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapRoom is how much garbage may pile up at least before it is collected.
	// With Go's default, a small heap under load is collected dozens of times a
	// second: a fifth of the processor time of a storm (docs/benchmarks.md).
	heapRoom = 28 << 20
	// heapGrowth is the percentage by which a large heap may grow, instead of
	// Go's 100: much of it lives long, and memory is worth more there than time.
	heapGrowth = 50
	// tuneEvery is how often the percentage follows the heap.
	tuneEvery = 500 * time.Millisecond
)

// gcPercent is Go's GOGC for a heap of which so many bytes live.
func gcPercent(live uint64) int {
	if live == 0 {
		live = 1
	}
	return int(max(heapGrowth, min(heapRoom*100/live, 10_000)))
}

// tuneMemory keeps the garbage collector's percentage fit for the heap until ctx
// ends. The environment variable GOGC, where it is set, is left alone.
func tuneMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(tuneEvery)
	defer tick.Stop()
	now := 0
	for {
		metrics.Read(sample)
		// A change costs a pause of the world: small ones are not worth it.
		if want := gcPercent(sample[0].Value.Uint64()); want > now*5/4 || want < now*4/5 {
			debug.SetGCPercent(want)
			now = want
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
