package worker

import (
	"math/rand/v2"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Bounds of the delay before a wake-up comes again.
const (
	// MinDelay keeps a handler that asks for no delay from a hot loop.
	MinDelay = 50 * time.Millisecond
	// MaxDelay is the most that a handler can ask for.
	MaxDelay = time.Hour
	// FirstBackoff and MaxBackoff bound the delay after an error that names
	// none.
	FirstBackoff = 500 * time.Millisecond
	MaxBackoff   = time.Minute
)

// Delay says after what time a message whose handler failed with err comes
// again: what tocsin.RetryDelay says, between MinDelay and MaxDelay, or else a
// backoff that doubles with each delivery and is jittered by half, so that what
// failed together does not come back together.
func Delay(err error, delivered uint64) time.Duration {
	if d, ok := tocsin.RetryDelay(err); ok {
		return min(max(d, MinDelay), MaxDelay)
	}
	d := MaxBackoff
	if n := max(delivered, 1) - 1; n < 16 {
		d = min(FirstBackoff<<n, MaxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}
