package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// Extract is what a reading over many incidents takes of one.
type Extract struct {
	// First is its first alert, as AlertsOf orders them; nil: it has none.
	First *tocsin.Alert
	// Events of the kinds that were asked for, oldest first.
	Events []tocsin.Event
}

// Extracts calls yield with an extract of each of the incidents, which List has
// returned: of is their place. It reads in one transaction. kind reports which events
// to return of the newest limit of a timeline; the others are not decoded, and
// neither are the incidents again. What the retention has taken by now is missing in
// the extract.
//
// It ends when ctx does, with ctx's error. yield must not call the store.
func (s *Store) Extracts(ctx context.Context, incidents []*tocsin.Incident, limit int, kind func(tocsin.EventKind) bool, yield func(of int, e Extract)) error {
	spots := s.locate(incidents)
	return s.view(func(tx *bbolt.Tx) error {
		x := extractor{tx: tx, archive: bucketArchive.of(tx), events: bucketEvents.of(tx).Cursor(), limit: limit, kind: kind}
		for n := range spots {
			if err := ctx.Err(); err != nil {
				return err
			}
			e, err := x.extract(ctx, incidents[n], &spots[n])
			if err != nil {
				return err
			}
			yield(n, e)
		}
		return nil
	})
}

// spot is what the memory knows of an incident: for a live one its first alert, if
// any, and its last event.
type spot struct {
	opened         uint64
	live, archived bool
	first          []tocsin.AlertRecord
	last           uint64
}

// locate is called before a transaction begins, which then sees all of it.
func (s *Store) locate(incidents []*tocsin.Incident) []spot {
	spots := make([]spot, len(incidents))
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	for n, inc := range incidents {
		p := &spots[n]
		e := s.mem.live[inc.ID]
		if e == nil {
			p.opened, p.archived = s.mem.archived[inc.ID]
			continue
		}
		p.opened, p.live, p.last = e.opened, true, e.last
		for at := range e.inOrder() {
			p.first = []tocsin.AlertRecord{{State: e.alerts[at].state}}
			break
		}
	}
	return spots
}

type extractor struct {
	tx      *bbolt.Tx
	archive *bbolt.Bucket
	events  *bbolt.Cursor
	// at is the key that events stands at; nil: nowhere.
	at    []byte
	value []byte
	limit int
	kind  func(tocsin.EventKind) bool
}

func (x *extractor) extract(ctx context.Context, inc *tocsin.Incident, p *spot) (e Extract, err error) {
	if !p.live {
		if !p.archived {
			return e, nil
		}
		if p.last, err = x.archivedLast(p.opened, inc.ID); err == nil {
			p.first, err = archivedStates(ctx, x.tx, p.opened, inc, 1)
		}
	}
	if err == nil {
		err = readBodies(ctx, x.tx, p.opened, p.first)
	}
	if err == nil {
		e.Events, err = x.timeline(p.last)
	}
	if len(p.first) > 0 {
		e.First, p.first = &p.first[0].Alert, nil
	}
	if errors.Is(err, tocsin.ErrNotFound) {
		err = nil
	}
	return e, err
}

// archivedLast reads the number of an archived incident's last event.
func (x *extractor) archivedLast(opened uint64, id string) (uint64, error) {
	key := appendIncidentKey(nil, opened, id)
	value := x.archive.Get(key)
	if value == nil {
		return 0, notFound(id)
	}
	if last, _, ok := cutNumber(value, `{"lastEvent":`); ok {
		return last, nil
	}
	r, err := decodeIncident(key, value)
	return r.Last, err
}

// timeline returns the events that were asked for among the newest.
func (x *extractor) timeline(seq uint64) ([]tocsin.Event, error) {
	var events []tocsin.Event
	for n := 0; seq != 0 && n < x.limit; n++ {
		value := x.event(seq)
		prev, kind, ok := peekEvent(value)
		if !ok || prev >= seq || x.kind(kind) {
			r, err := parseEvent(seq, value)
			if err != nil {
				slices.Reverse(events)
				return events, err
			}
			if prev = r.Prev; x.kind(r.Kind) {
				events = append(events, r.Event)
			}
		}
		seq = prev
	}
	slices.Reverse(events)
	return events, nil
}

// event returns an event's record, or nil. Most of an incident's events are close to
// each other: a step back is cheaper than a search.
func (x *extractor) event(seq uint64) []byte {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], seq)
	for range 2 {
		if x.at == nil || bytes.Compare(x.at, key[:]) <= 0 {
			break
		}
		x.at, x.value = x.events.Prev()
	}
	if !bytes.Equal(x.at, key[:]) {
		if x.at, x.value = x.events.Seek(key[:]); !bytes.Equal(x.at, key[:]) {
			return nil
		}
	}
	return x.value
}

// peekEvent reads the beginning of an event's record, as encoder.event writes it. ok
// is false where it begins otherwise, and is to be decoded.
func peekEvent(value []byte) (prev uint64, kind tocsin.EventKind, ok bool) {
	prev, rest, ok := cutNumber(value, `{"prev":`)
	if ok { // the first event of an incident has none
		rest, ok = bytes.CutPrefix(rest, []byte(`,"seq":`))
	} else {
		rest, ok = bytes.CutPrefix(value, []byte(`{"seq":`))
	}
	if !ok {
		return 0, "", false
	}
	_, rest, ok = cutNumber(rest, "")
	if !ok {
		return 0, "", false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`,"kind":"`))
	name, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !closed || bytes.IndexByte(name, '\\') >= 0 {
		return 0, "", false
	}
	return prev, tocsin.EventKind(name), true
}

// cutNumber reads the number behind a prefix, and returns what comes after it.
func cutNumber(b []byte, prefix string) (n uint64, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(prefix))
	if !ok {
		return 0, nil, false
	}
	end := 0
	for end < len(b) && '0' <= b[end] && b[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(string(b[:end]), 10, 64)
	return n, b[end:], err == nil
}
