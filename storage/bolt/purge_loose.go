package bolt

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// purgeRanges bounds how many runs of events an event of the log claims to be
// gone because earlier ones, which are dropped with them, claimed it.
const purgeRanges = 1000

// purgeLoose deletes old events of no incident, or of one that is not kept.
func (s *Store) purgeLoose(ctx context.Context, now, cutoff time.Time) error {
	for from, more := uint64(0), true; more; {
		var l loss
		var err error
		l, from, more, err = s.looseEvents(ctx, from, cutoff)
		if err != nil {
			return err
		}
		if len(l.events) == 0 {
			continue
		}
		err = s.drop(ctx, now, func(tx *bbolt.Tx) (loss, error) {
			events := bucketEvents.of(tx)
			for _, seq := range l.events {
				if err := events.Delete(eventKey(seq)); err != nil {
					return loss{}, err
				}
			}
			return l, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// looseEvents returns the next loose events after from, until it meets one that
// is younger than cutoff, and where to go on. What events of the log claim must
// be claimed again once they are gone: one of them alone is not worth it.
func (s *Store) looseEvents(ctx context.Context, from uint64, cutoff time.Time) (l loss, next uint64, more bool, err error) {
	events, err := s.Log(ctx, from, purgeRecords)
	if err != nil || len(events) == 0 {
		return loss{}, 0, false, err
	}
	logs := 0
	for n := range events {
		e := &events[n]
		if !e.At.Before(cutoff) {
			return l.worth(logs), 0, false, nil
		}
		_, claimed, err := tocsin.ClaimOf(e)
		if err != nil {
			continue // it was changed: Verify finds it, and nothing is to hide that
		}
		if len(l.claimed)+len(claimed) > purgeRanges && len(l.events) > 1 {
			return l.worth(logs), e.Seq - 1, true, nil
		}
		if live, _, archived := s.find(e.Incident); live == nil && !archived {
			l.events, l.claimed = append(l.events, e.Seq), l.claimed.Union(claimed)
			logs += b2i(e.Kind == tocsin.EventLog)
		}
	}
	return l.worth(logs), events[len(events)-1].Seq, true, nil
}

// worth is l, or nothing where that is a single event of the log.
func (l loss) worth(logs int) loss {
	if logs == 1 && len(l.events) == 1 {
		return loss{}
	}
	return l
}
