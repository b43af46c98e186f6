package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGCPercentLeavesRoomAndBounds(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 10_000, 1 << 10: 10_000, 4 << 20: 700, 28 << 20: 100, 56 << 20: 50, 1 << 30: 50,
	} {
		assert.Equal(t, want, gcPercent(live), "%d bytes live", live)
	}
}
