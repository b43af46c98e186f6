package server

import (
	"context"
	"time"
)

// turns has room for a few who do what costs the machine much. Each place then rests
// for as long as it was taken: whoever asks for such things without end, and however
// many they are, leaves room for the alerts that come meanwhile.
type turns chan struct{}

// turnRest is the longest that a place rests.
const turnRest = time.Second

func newTurns(n int) turns { return make(turns, n) }

// take waits for a place, until ctx is over or gone is closed, which may be nil. done
// gives the place back.
func (t turns) take(ctx context.Context, gone <-chan struct{}) (done func(), err error) {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-gone:
		return nil, errGone
	}
	began := time.Now()
	return func() { time.AfterFunc(min(time.Since(began), turnRest), func() { <-t }) }, nil
}

// turn has something done that costs much, at its turn, or not at all where that
// would be too late.
func (s *Server) turn(ctx context.Context, places turns, do func() error) error {
	wait, cancel := context.WithTimeout(ctx, s.config.Limits.Wait)
	defer cancel()
	done, err := places.take(wait, nil)
	if err != nil {
		s.metrics.shed.WithLabelValues(shedOverload).Inc()
		return unavailable(err, "too many ask for this at a time; try again")
	}
	defer done()
	return do()
}
