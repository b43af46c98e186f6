package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage"
)

// Store is an open store. Its methods may be called by many goroutines at once.
type Store struct {
	opts Options
	db   *bbolt.DB
	mem  *memory
	disk *disk
	met  *metrics

	queue chan *request
	// quit is closed when Close begins, stopped when the committer has ended.
	quit, stopped chan struct{}
	requests      sync.Pool
	purging       sync.Mutex
	closing       sync.Once
	closeErr      error

	// fence is why no update is taken until the store is opened again.
	fence atomic.Pointer[error]
	// trouble is why the last commit failed, while that may pass.
	trouble atomic.Pointer[error]
	// size is that of the file's used part, as of the last commit.
	size atomic.Int64
}

var _ storage.Store = (*Store)(nil)

var (
	errClosed  = errors.New("the store is closed")
	errUnclear = errors.New("it is not known whether the change was made durable; it is safe to make it again")
)

// Open opens the store in the file path, or makes one there, and its folder;
// where path is a folder, the file is FileName in it. The ballast is beside the
// file. Open fails when another process has the store open, when the file is
// damaged, and when a newer tocsin made it; the error says what to do.
func Open(path string, o Options) (*Store, error) {
	o = o.withDefaults()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("make a store at %s: %w", path, err)
	}
	db, err := openLocked(path, o)
	if err != nil {
		return nil, err
	}
	s, err := start(filepath.Dir(path), db, o)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func start(dir string, db *bbolt.DB, o Options) (*Store, error) {
	if err := migrate(db, migrations()); err != nil {
		return nil, fmt.Errorf("%s: %w", db.Path(), err)
	}
	began := time.Now()
	mem, err := load(db, o.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore a backup", db.Path(), err)
	}
	s := &Store{
		opts: o, db: db, mem: mem, disk: newDisk(dir, o),
		queue: make(chan *request, o.Queue), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	s.requests.New = func() any { return newRequest() }
	s.measure()
	s.met, err = newMetrics(o.Registerer,
		func() float64 { return float64(len(s.queue)) },
		func() float64 { return float64(s.size.Load()) })
	if err != nil {
		return nil, err
	}
	if mem.unchained {
		o.Logger.Error("the audit log's chain does not reach to the last event: somebody changed the file; run tocsin audit --verify", "path", db.Path())
	}
	_ = s.disk.floor() // makes the ballast
	o.Logger.Info("store opened", "path", db.Path(), "incidents", len(mem.live), "alerts", mem.known,
		"archived", len(mem.archived), "seconds", time.Since(began).Seconds())
	go newCommitter(s).run()
	return s, nil
}

// measure notes the file's size.
func (s *Store) measure() {
	_ = s.view(func(tx *bbolt.Tx) error {
		s.size.Store(tx.Size())
		return nil
	})
}

// Close refuses further updates, finishes those that were accepted, writes what
// was only observed, and closes the file. It waits for reads that are under
// way. Calling it again returns the same.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		<-s.stopped
		s.disk.close()
		s.met.unregister()
		s.closeErr = errors.Join(s.closeErr, s.db.Close())
	})
	return s.closeErr
}

// refusal is why updates are refused now, or nil.
func (s *Store) refusal() error {
	if f := s.fence.Load(); f != nil {
		return *f
	}
	return s.disk.floor()
}

// raise fences the store.
func (s *Store) raise(cause error) {
	err := fmt.Errorf("the store is fenced since a write failed in a way that leaves the disk's state unknown: restart tocsin: %w", cause)
	if s.fence.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("store fenced: no update is taken until it is opened again", "path", s.db.Path(), "err", cause)
	}
}

// Stats returns what the store knows of itself. Notices are not among the live
// and open incidents; their deliveries may lag. Stats.Err is non-nil while
// updates are refused: fenced, below the disk floor, no room at the last
// commit, or closed.
func (s *Store) Stats() tocsin.Stats {
	m := s.mem
	m.mu.RLock()
	st := tocsin.Stats{
		Live: len(m.live) - m.notices, Open: m.open, Alerts: m.known, Firing: m.firing,
		Queue: len(s.queue), Size: s.size.Load(),
	}
	late := m.lateIncidents()
	m.mu.RUnlock()
	for _, i := range late {
		for n := range i.Deliveries {
			d := &i.Deliveries[n]
			if !d.Lags(i) {
				continue
			}
			st.Lagging++
			if st.OldestLag.IsZero() || d.Since.Before(st.OldestLag) {
				st.OldestLag = d.Since
			}
		}
	}
	st.Err = s.unfit()
	return st
}

func (s *Store) unfit() error {
	select {
	case <-s.quit:
		return errClosed
	default:
	}
	if err := s.refusal(); err != nil {
		return err
	}
	if t := s.trouble.Load(); t != nil {
		return *t
	}
	return nil
}

// Update runs fn in the committer's goroutine and returns once what it wrote is
// durable. See tocsin.Updater and package storage.
//
// When ctx ends while fn runs, Update returns when fn has; fn should take no
// longer than a decision does.
func (s *Store) Update(ctx context.Context, fn func(tocsin.Tx) error) error {
	return s.submit(ctx, fn, nil)
}

// exclusively runs op in the committer's goroutine, between two commits.
func (s *Store) exclusively(ctx context.Context, op func() error) error {
	return s.submit(ctx, nil, op)
}

// FreeBallast deletes the ballast, to make room in an emergency. It is made
// again when there is room for twice its size above the disk floor.
func (s *Store) FreeBallast() error { return s.disk.freeBallast() }

// exists reports whether there is a file at path.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
