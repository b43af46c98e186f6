package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// purgeIncidents is how many incidents one transaction takes out at most,
	// purgeRecords how many alerts and events it deletes.
	purgeIncidents = 100
	purgeRecords   = 2000
)

// Purge drops the archived incidents that were resolved longer than
// Options.Retention before now, with their alerts and events, and the events of
// that age that belong to no incident. It returns how many incidents it dropped.
// It works in small transactions between those of updates. Where there is no
// room even to delete, it frees the ballast. Below the disk floor it works on.
// Each transaction that drops events says so in the log, as of now.
func (s *Store) Purge(ctx context.Context, now time.Time) (int, error) {
	s.purging.Lock()
	defer s.purging.Unlock()
	if err := s.clearPurged(ctx, now); err != nil || s.opts.Retention == 0 {
		return 0, err
	}
	cutoff := now.Add(-s.opts.Retention)
	dropped := 0
	for from, more := []byte(nil), true; more; {
		var victims []record
		var err error
		victims, from, more, err = s.expired(ctx, from, cutoff)
		if err != nil {
			return dropped, err
		}
		if err := s.bury(ctx, victims); err != nil {
			return dropped, err
		}
		dropped += len(victims)
		if err := s.clearPurged(ctx, now); err != nil {
			return dropped, err
		}
	}
	return dropped, s.purgeLoose(ctx, now, cutoff)
}

// loss is what a transaction of Purge's has dropped.
type loss struct {
	// events are the Seq of those that it deleted; claimed are those that events
	// of kind EventLog among them said to be gone.
	events    []uint64
	claimed   tocsin.SeqRanges
	incidents int
}

// drop runs a write transaction in the committer and writes what it has dropped
// into the log, in the same transaction.
func (s *Store) drop(ctx context.Context, now time.Time, fn func(*bbolt.Tx) (loss, error)) error {
	var end logged
	return s.operate(ctx, func(tx *bbolt.Tx) error {
		end = logged{s.mem.seq, s.mem.head}
		l, err := fn(tx)
		if err != nil || len(l.events) == 0 {
			return err
		}
		gone := rangesOf(l.events)
		if err := dropLinks(bucketEvents.of(tx)); err != nil {
			return err
		}
		end, err = appendLog(tx, end, now, l.text(), gone.Union(l.claimed))
		return err
	}, func() { s.mem.seq, s.mem.head = end.seq, end.head })
}

func (l *loss) text() string {
	text := fmt.Sprintf("The retention dropped old events: %d", len(l.events))
	if l.incidents > 0 {
		text += fmt.Sprintf(", and all that was left of old incidents: %d", l.incidents)
	}
	return text
}

// operate runs a write transaction of Purge's in the committer.
func (s *Store) operate(ctx context.Context, fn func(*bbolt.Tx) error, after func()) error {
	return s.exclusively(ctx, func() error {
		if f := s.fence.Load(); f != nil {
			return tocsin.Unavailable(*f)
		}
		err := s.transact(fn)
		if err != nil && passing(err) && s.disk.freeBallast() == nil {
			err = s.transact(fn)
		}
		if err != nil {
			return tocsin.Unavailable(err)
		}
		s.mem.mu.Lock()
		defer s.mem.mu.Unlock()
		after()
		return nil
	})
}

// expired returns the keys and values of the next archived incidents to drop,
// from the key from on, and where to go on.
func (s *Store) expired(ctx context.Context, from []byte, cutoff time.Time) (victims []record, next []byte, more bool, err error) {
	newest := appendIncidentKey(nil, openedAt(cutoff), "")
	err = s.view(func(tx *bbolt.Tx) error {
		c := bucketArchive.of(tx).Cursor()
		for k, v := c.Seek(from); k != nil && bytes.Compare(k, newest) < 0; k, v = c.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(victims) == purgeIncidents {
				next, more = bytes.Clone(k), true
				return nil
			}
			r, err := decodeIncident(k, v)
			if err != nil {
				return err
			}
			if r.ResolvedAt.Before(cutoff) {
				victims = append(victims, record{key: bytes.Clone(k)})
			}
		}
		return nil
	})
	return victims, next, more, err
}

// bury takes incidents out of the archive; what belongs to them follows.
func (s *Store) bury(ctx context.Context, victims []record) error {
	if len(victims) == 0 {
		return nil
	}
	return s.operate(ctx, func(tx *bbolt.Tx) error {
		archive, purging := bucketArchive.of(tx), bucketPurging.of(tx)
		for _, v := range victims {
			r, err := decodeIncident(v.key, archive.Get(v.key))
			if err != nil {
				return err
			}
			if err := errors.Join(archive.Delete(v.key), putPurge(purging, v.key, purgeRecord{r.Last})); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		for _, v := range victims {
			delete(s.mem.archived, string(v.key[openedLength:]))
		}
	})
}

// clearPurged deletes what belongs to purged incidents, in small transactions.
func (s *Store) clearPurged(ctx context.Context, now time.Time) error {
	for {
		any := false
		err := s.view(func(tx *bbolt.Tx) error {
			k, _ := bucketPurging.of(tx).Cursor().First()
			any = k != nil
			return nil
		})
		if err != nil || !any {
			return err
		}
		if err := s.drop(ctx, now, clearSome); err != nil {
			return err
		}
	}
}

// clearSome deletes up to purgeRecords records of purged incidents.
func clearSome(tx *bbolt.Tx) (l loss, err error) {
	purging := bucketPurging.of(tx)
	for budget := purgeRecords; budget > 0; {
		k, v := purging.Cursor().First()
		if k == nil {
			return l, nil
		}
		key := bytes.Clone(k)
		var r purgeRecord
		if err := decode("purged incident", key, v, &r); err != nil {
			return l, err
		}
		if budget, err = clearIncident(tx, key, &r, budget, &l); err != nil {
			return l, err
		}
		if budget > 0 {
			l.incidents++
			err = purging.Delete(key)
		} else {
			err = putPurge(purging, key, r)
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

func putPurge(purging *bbolt.Bucket, key []byte, r purgeRecord) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return purging.Put(key, value)
}

// clearIncident deletes the alerts and events of an incident until budget is
// spent, and returns what is left of it: more than nothing when all are gone.
func clearIncident(tx *bbolt.Tx, key []byte, r *purgeRecord, budget int, l *loss) (int, error) {
	for _, b := range []bucketID{bucketStates, bucketBodies} {
		bucket := b.of(tx)
		keys := keysOf(bucket, key, budget)
		budget -= len(keys)
		if err := deleteAll(bucket, keys); err != nil {
			return 0, err
		}
	}
	events := bucketEvents.of(tx)
	for ; r.Last != 0 && budget > 0; budget-- {
		e, err := readEvent(events, r.Last)
		if err != nil && !errors.Is(err, tocsin.ErrNotFound) {
			return 0, err
		}
		if err == nil {
			l.events = append(l.events, r.Last)
		}
		if err := events.Delete(eventKey(r.Last)); err != nil {
			return 0, err
		}
		r.Last = e.Prev
	}
	return budget, nil
}

// keysOf returns up to limit keys of alerts of an incident. bbolt may skip keys
// when a cursor's bucket is changed under it, so they are collected first.
func keysOf(b *bbolt.Bucket, incident []byte, limit int) [][]byte {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(incident); belongs(k, incident) && len(keys) < limit; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func deleteAll(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
