package bolt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// writeTo writes the layer's changes in the order of the keys: bbolt appends to
// a page cheaply and inserts into it dearly. Of two changes of one key the later
// one counts.
func (l *layer) writeTo(tx *bbolt.Tx) error {
	slices.SortStableFunc(l.writes, func(a, b write) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), bytes.Compare(a.key, b.key))
	})
	var bucket *bbolt.Bucket
	of := bucketCount
	for n := range l.writes {
		w := &l.writes[n]
		if n+1 < len(l.writes) && l.writes[n+1].bucket == w.bucket && bytes.Equal(l.writes[n+1].key, w.key) {
			continue
		}
		if w.bucket != of {
			of, bucket = w.bucket, w.bucket.of(tx)
		}
		if err := w.to(bucket); err != nil {
			return fmt.Errorf("%s %x: %w", w.bucket, w.key, err)
		}
	}
	if l.events == 0 {
		return nil
	}
	// The bucket's own counter outlives the events that are purged.
	return bucketEvents.of(tx).SetSequence(l.seq)
}

func (w *write) to(b *bbolt.Bucket) error {
	if w.value == nil {
		return b.Delete(w.key)
	}
	return b.Put(w.key, w.value)
}

// transact runs fn in a bbolt write transaction and makes it durable. Only the
// committer calls it. After an error nothing of it is in the file, or the store
// is fenced.
func (s *Store) transact(fn func(*bbolt.Tx) error) error {
	txid, err := s.commit(fn)
	switch {
	case err == nil:
		s.clear()
		return nil
	case errors.As(err, new(*cleanError)):
		return err
	case passing(err) && !s.advanced(txid):
		if s.trouble.Swap(&err) == nil {
			s.opts.Logger.Error("the store has no room: updates are refused while that lasts", "path", s.db.Path(), "err", err)
		}
		return err
	default:
		s.raise(err)
		return err
	}
}

// clear notes that a commit succeeded.
func (s *Store) clear() {
	if s.trouble.Load() != nil {
		s.trouble.Store(nil)
		s.opts.Logger.Info("the store has room again", "path", s.db.Path())
	}
}

// commit returns the number of the transaction that it tried.
func (s *Store) commit(fn func(*bbolt.Tx) error) (txid int, err error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return 0, err
	}
	txid = tx.ID()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt panicked: %v", p)
		}
		if err != nil {
			rollback(tx)
		}
	}()
	if err := fn(tx); err != nil {
		return txid, &cleanError{err}
	}
	size := tx.Size()
	if err := tx.Commit(); err != nil {
		return txid, err
	}
	s.size.Store(size)
	return txid, nil
}

// rollback releases bbolt's write lock after a failure, so that Close does not
// wait for it for ever. bbolt has done it already in most cases.
func rollback(tx *bbolt.Tx) {
	defer func() { _ = recover() }()
	_ = tx.Rollback()
}

// advanced reports whether bbolt took a transaction for committed although its
// commit failed: the failure came after the meta page was written.
func (s *Store) advanced(txid int) bool {
	advanced := true
	_ = s.view(func(tx *bbolt.Tx) error {
		advanced = tx.ID() >= txid
		return nil
	})
	return advanced
}

// cleanError is a failure before anything was written.
type cleanError struct{ err error }

func (e *cleanError) Error() string { return e.err.Error() }
func (e *cleanError) Unwrap() error { return e.err }
