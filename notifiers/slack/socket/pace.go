package socket

import (
	"time"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// steady is how long a connection lives that was worth making.
	steady = 30 * time.Second
	// The wait before the next connection doubles from first to longest.
	first   = time.Second
	longest = time.Minute
	// slow is how often is tried what only a person can put right.
	slow = 5 * time.Minute
)

// pace says when to connect again. The zero value is ready.
type pace struct{ failures int }

// next is how long to wait after an ending. The jitter is from 0 to 1. The first
// connection after one that lived is made at once.
func (p *pace) next(e ending, jitter float64) time.Duration {
	if e.lived >= steady {
		p.failures = 0
	}
	doublings := p.failures
	p.failures = min(p.failures+1, 30)
	if tocsin.IsPermanent(e.err) {
		return slow + time.Duration(jitter*float64(slow)/5)
	}
	var wait time.Duration
	if e.lived > 0 {
		doublings--
	}
	if doublings >= 0 {
		wait = longest
		if doublings < 6 {
			wait = min(first<<doublings, longest)
		}
		wait = wait/2 + time.Duration(jitter*float64(wait)/2)
	}
	after, _ := tocsin.RetryDelay(e.err)
	return max(wait, after)
}
