package bolt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tocsin-oncall/tocsin"
)

// defaultLimit is how many are returned where the caller names no limit.
const defaultLimit = 100

// view runs fn in a read transaction. A fault of the mapped file (an I/O error,
// a file that was cut off) becomes an error.
func (s *Store) view(fn func(*bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverFault(&err)
	err = s.db.View(fn)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return tocsin.Unavailable(errClosed)
	}
	return err
}

// recoverFault turns a memory fault into *err; other panics go on.
func recoverFault(err *error) {
	switch p := recover().(type) {
	case nil:
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		*err = tocsin.Unavailable(fmt.Errorf("the store's file cannot be read: %w", p))
	default:
		panic(p)
	}
}

// recoverDamage turns any panic into *err: bbolt has more than one way of not
// bearing a damaged file.
func recoverDamage(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// Get returns an incident, live or archived, or ErrNotFound.
func (s *Store) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	e, opened, archived := s.find(id)
	switch {
	case e != nil:
		return e, nil
	case archived:
		r, err := s.archivedRecord(opened, id)
		return r.Incident, err
	default:
		return nil, notFound(id)
	}
}

func notFound(id string) error { return fmt.Errorf("incident %q: %w", id, tocsin.ErrNotFound) }

// find looks an incident up in memory. live is nil where it is not live.
func (s *Store) find(id string) (live *tocsin.Incident, opened uint64, archived bool) {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	if e := s.mem.live[id]; e != nil {
		return e.inc, e.opened, false
	}
	opened, archived = s.mem.archived[id]
	return nil, opened, archived
}

// archivedRecord reads an archived incident.
func (s *Store) archivedRecord(opened uint64, id string) (r incidentRecord, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		r, err = getArchived(tx, opened, id)
		return err
	})
	return r, err
}

func getArchived(tx *bbolt.Tx, opened uint64, id string) (incidentRecord, error) {
	key := appendIncidentKey(nil, opened, id)
	value := bucketArchive.of(tx).Get(key)
	if value == nil {
		return incidentRecord{}, notFound(id)
	}
	return decodeIncident(key, value)
}

// List returns incidents, the newest first.
func (s *Store) List(ctx context.Context, f tocsin.Filter) ([]*tocsin.Incident, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	found := s.listLive(f, limit)
	if !f.Archived || len(f.States) > 0 && !slices.Contains(f.States, tocsin.Resolved) {
		return found, nil
	}
	archived, err := s.listArchive(ctx, f, limit)
	if err != nil {
		return nil, err
	}
	return merge(found, archived, limit), nil
}

func (s *Store) listLive(f tocsin.Filter, limit int) []*tocsin.Incident {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	var found []*tocsin.Incident
	order := s.mem.order
	if !f.OpenedBefore.IsZero() {
		before := openedAt(f.OpenedBefore)
		end, _ := slices.BinarySearchFunc(order, f.BeforeID, func(e *entry, id string) int { return compareOrder(e, before, id) })
		order = order[:end]
	}
	for _, e := range slices.Backward(order) {
		if len(found) == limit {
			break
		}
		if !e.dead && isNotice(e.inc) == f.Notices && (len(f.States) == 0 || slices.Contains(f.States, e.inc.State)) && asked(f, e.inc) {
			found = append(found, e.inc)
		}
	}
	return found
}

func asked(f tocsin.Filter, i *tocsin.Incident) bool { return f.Only == nil || f.Only(i) }

func isNotice(i *tocsin.Incident) bool { return i.Kind == tocsin.KindNotice }

// listArchive reads the newest archived incidents, or the newest notices. All of them are resolved.
func (s *Store) listArchive(ctx context.Context, f tocsin.Filter, limit int) ([]*tocsin.Incident, error) {
	var found []*tocsin.Incident
	err := s.view(func(tx *bbolt.Tx) error {
		c := bucketArchive.of(tx).Cursor()
		k, v := c.Last()
		if !f.OpenedBefore.IsZero() {
			if k, _ = c.Seek(appendIncidentKey(nil, openedAt(f.OpenedBefore), f.BeforeID)); k != nil {
				k, v = c.Prev()
			} else {
				k, v = c.Last()
			}
		}
		for ; k != nil && len(found) < limit; k, v = c.Prev() {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := decodeIncident(k, v)
			if err != nil {
				return err
			}
			if isNotice(r.Incident) == f.Notices && asked(f, r.Incident) {
				found = append(found, r.Incident)
			}
		}
		return nil
	})
	return found, err
}

// merge merges two lists, the newest first, of which the second may have an
// incident of the first that was archived in between.
func merge(a, b []*tocsin.Incident, limit int) []*tocsin.Incident {
	seen := make(map[string]bool, len(a))
	all := make([]*tocsin.Incident, 0, len(a)+len(b))
	for _, i := range slices.Concat(a, b) {
		if !seen[i.ID] {
			seen[i.ID] = true
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, newestFirst)
	return all[:min(limit, len(all))]
}

// AlertsOf returns up to limit alerts of an incident, firing ones first, then by
// Seq. It picks them from memory and reads only their texts.
func (s *Store) AlertsOf(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	opened, records, live := s.pick(id, limit)
	if live {
		return records, s.view(func(tx *bbolt.Tx) error { return readBodies(ctx, tx, opened, records) })
	}
	return s.archivedAlerts(ctx, id, limit)
}

// pick copies the states of the first alerts of a live incident.
func (s *Store) pick(id string, limit int) (opened uint64, records []tocsin.AlertRecord, live bool) {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	e := s.mem.live[id]
	if e == nil {
		return 0, nil, false
	}
	records = make([]tocsin.AlertRecord, 0, min(limit, int(e.count)))
	for n := range e.inOrder() {
		if len(records) == limit {
			break
		}
		records = append(records, tocsin.AlertRecord{State: e.alerts[n].state})
	}
	return e.opened, records, true
}

// inOrder yields the positions of the alerts, firing ones first.
func (e *entry) inOrder() iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range e.fires.all() {
			if !yield(n) {
				return
			}
		}
		for n, a := range e.alerts {
			if a != nil && !e.fires.has(n) && !yield(n) {
				return
			}
		}
	}
}

func readBodies(ctx context.Context, tx *bbolt.Tx, opened uint64, records []tocsin.AlertRecord) error {
	bodies := bucketBodies.of(tx)
	var key []byte
	for n := range records {
		if err := ctx.Err(); err != nil {
			return err
		}
		r := &records[n]
		key = appendAlertKey(key[:0], opened, r.State.Incident, r.State.Seq)
		if err := readBody(bodies, key, &r.Alert); err != nil {
			return err
		}
	}
	return nil
}

// readBody reads an alert's text; where there is none, a is left as it is.
func readBody(bodies *bbolt.Bucket, key []byte, a *tocsin.Alert) error {
	value := bodies.Get(key)
	if value == nil {
		return nil
	}
	return decode("alert", key, value, a)
}

// archivedAlerts reads the alerts of an archived incident.
func (s *Store) archivedAlerts(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error) {
	_, opened, archived := s.find(id)
	if !archived {
		return nil, notFound(id)
	}
	var records []tocsin.AlertRecord
	err := s.view(func(tx *bbolt.Tx) error {
		rec, err := getArchived(tx, opened, id)
		if err != nil {
			return err
		}
		records, err = archivedStates(ctx, tx, opened, rec.Incident, limit)
		if err != nil {
			return err
		}
		return readBodies(ctx, tx, opened, records)
	})
	return records, err
}

// archivedStates reads the states of an archived incident, firing ones first:
// a person may resolve an incident whose alerts still fire.
func archivedStates(ctx context.Context, tx *bbolt.Tx, opened uint64, inc *tocsin.Incident, limit int) ([]tocsin.AlertRecord, error) {
	key := appendIncidentKey(nil, opened, inc.ID)
	var firing, rest []tocsin.AlertRecord
	c := bucketStates.of(tx).Cursor()
	for k, v := c.Seek(key); belongs(k, key); k, v = c.Next() {
		if len(firing) == limit || len(firing) == int(inc.Firing) && len(firing)+len(rest) >= limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var s tocsin.AlertState
		if err := decode("alert state", k, v, &s); err != nil {
			return nil, err
		}
		if s.Firing {
			firing = append(firing, tocsin.AlertRecord{State: s})
		} else if len(rest) < limit {
			rest = append(rest, tocsin.AlertRecord{State: s})
		}
	}
	all := append(firing, rest...)
	return all[:min(limit, len(all))], nil
}
