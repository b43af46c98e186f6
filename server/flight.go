package server

import (
	"context"
	"sync/atomic"
)

// flight counts the requests that are being answered, and tells when there are
// none.
type flight struct {
	count atomic.Int64
	empty chan struct{}
}

func newFlight() *flight { return &flight{empty: make(chan struct{}, 1)} }

func (f *flight) enter() { f.count.Add(1) }

func (f *flight) leave() {
	if f.count.Add(-1) == 0 {
		select {
		case f.empty <- struct{}{}:
		default:
		}
	}
}

// wait returns when there are none, or ctx has ended.
func (f *flight) wait(ctx context.Context) error {
	for f.count.Load() > 0 {
		select {
		case <-f.empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
