package bolt

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

func newestFirst(a, b *tocsin.Incident) int {
	return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(b.ID, a.ID))
}

// Timeline returns the events of an incident with a Seq above after, at most the
// limit newest, oldest first.
func (s *Store) Timeline(ctx context.Context, id string, after uint64, limit int) ([]tocsin.Event, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	last, err := s.lastOf(id)
	if err != nil {
		return nil, err
	}
	var events []tocsin.Event
	err = s.view(func(tx *bbolt.Tx) error {
		bucket := bucketEvents.of(tx)
		for seq := last; seq > after && len(events) < limit; {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := readEvent(bucket, seq)
			if err != nil {
				return err
			}
			events = append(events, r.Event)
			seq = r.Prev
		}
		return nil
	})
	slices.Reverse(events)
	return events, err
}

// lastOf returns the number of the incident's last event.
func (s *Store) lastOf(id string) (uint64, error) {
	s.mem.mu.RLock()
	e := s.mem.live[id]
	var last uint64
	if e != nil {
		last = e.last
	}
	opened, archived := s.mem.archived[id]
	s.mem.mu.RUnlock()
	switch {
	case e != nil:
		return last, nil
	case archived:
		r, err := s.archivedRecord(opened, id)
		return r.Last, err
	default:
		return 0, notFound(id)
	}
}

func readEvent(events *bbolt.Bucket, seq uint64) (eventRecord, error) {
	return parseEvent(seq, events.Get(eventKey(seq)))
}

// parseEvent decodes an event's record; nil: there is none.
func parseEvent(seq uint64, value []byte) (r eventRecord, err error) {
	if value == nil {
		return r, fmt.Errorf("event %d: %w", seq, tocsin.ErrNotFound)
	}
	if err := decode("event", eventKey(seq), value, &r); err != nil {
		return r, err
	}
	if r.Prev >= seq {
		return r, fmt.Errorf("event %d is damaged: it says that it follows %d", seq, r.Prev)
	}
	return r, nil
}

// Log returns up to limit events of all incidents, those of none included, with
// a Seq above after, oldest first. limit 0: 100.
func (s *Store) Log(ctx context.Context, after uint64, limit int) ([]tocsin.Event, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	var events []tocsin.Event
	err := s.view(func(tx *bbolt.Tx) error {
		c := bucketEvents.of(tx).Cursor()
		for k, v := c.Seek(eventKey(after + 1)); k != nil && len(events) < limit; k, v = c.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if isLink(k) {
				continue
			}
			var r eventRecord
			if err := decode("event", k, v, &r); err != nil {
				return err
			}
			events = append(events, r.Event)
		}
		return nil
	})
	return events, err
}

// LastSeq returns the number of the last event; 0: there was none.
func (s *Store) LastSeq() uint64 {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	return s.mem.seq
}

// Alert returns what is kept of an alert of a live incident, or of one that no
// incident holds (its text may be missing then), or ErrNotFound.
func (s *Store) Alert(_ context.Context, id tocsin.Key) (tocsin.AlertRecord, error) {
	s.mem.mu.RLock()
	a := s.mem.alert(id)
	var r tocsin.AlertRecord
	var opened uint64
	if a != nil {
		r.State = a.state
		if a.entry != nil {
			opened = a.entry.opened
		}
	}
	s.mem.mu.RUnlock()
	if a == nil {
		return r, fmt.Errorf("alert %s: %w", id, tocsin.ErrNotFound)
	}
	err := s.view(func(tx *bbolt.Tx) error {
		if r.State.Incident == "" {
			return readBody(bucketOrphanBodies.of(tx), id[:], &r.Alert)
		}
		return readBody(bucketBodies.of(tx), appendAlertKey(nil, opened, r.State.Incident, r.State.Seq), &r.Alert)
	})
	return r, err
}
