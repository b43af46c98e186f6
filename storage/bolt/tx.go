package bolt

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// tx is the tocsin.Tx of one update: a layer over the layer of its batch, over
// the memory. All of it belongs to the committer's goroutine.
type tx struct {
	mem   *memory
	batch *layer
	own   *layer
	enc   *encoder
	// fetch reads an archived incident.
	fetch func(opened uint64, id string) (incidentRecord, error)
	// puts are what was done with alerts, in order; events were appended.
	puts   []alertPut
	events []tocsin.Event
	// ctx is that of the update; it says where the events come from.
	ctx context.Context
	// version is the last that was given to documents.
	version uint64
	// err is the first thing that went wrong, and fails the update.
	err error
}

var _ tocsin.Tx = (*tx)(nil)

// alertPut is one write of an alert, or its removal from a place.
type alertPut struct {
	state tocsin.AlertState
	body  []byte
	drop  bool
	// first is true when the alert was not at its place before.
	first bool
	// void puts were overtaken by another in the same update.
	void bool
}

// begin readies t for the next update.
func (t *tx) begin(ctx context.Context) {
	t.ctx = ctx
	t.own.reset(t.batch.seq)
	clear(t.puts)
	clear(t.events)
	t.puts, t.events, t.err = t.puts[:0], t.events[:0], nil
}

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// held returns an incident as this update sees it.
func (t *tx) held(id string) (held, bool) {
	if h := t.own.incidents[id]; h != nil {
		return *h, true
	}
	if h := t.batch.incidents[id]; h != nil {
		return *h, true
	}
	if e := t.mem.live[id]; e != nil {
		return held{inc: e.inc, opened: e.opened, last: e.last, home: homeLive}, true
	}
	opened, ok := t.mem.archived[id]
	if !ok {
		return held{}, false
	}
	r, err := t.fetch(opened, id)
	if err != nil {
		t.fail(err)
		return held{}, false
	}
	return held{inc: r.Incident, opened: opened, last: r.Last, home: homeArchive, archived: true}, true
}

// live reports whether an incident exists and is not archived.
func (t *tx) live(id string) bool {
	if h := t.own.incidents[id]; h != nil {
		return !h.archived
	}
	if h := t.batch.incidents[id]; h != nil {
		return !h.archived
	}
	return t.mem.live[id] != nil
}

func (t *tx) Incident(id string) *tocsin.Incident {
	h, ok := t.held(id)
	if !ok {
		return nil
	}
	return h.inc.Clone()
}

func (t *tx) group(g tocsin.Key) string {
	if id, ok := t.own.groups[g]; ok {
		return id
	}
	if id, ok := t.batch.groups[g]; ok {
		return id
	}
	if e := t.mem.groups[g]; e != nil {
		return e.inc.ID
	}
	return ""
}

func (t *tx) ByGroup(group tocsin.Key) *tocsin.Incident {
	id := t.group(group)
	if id == "" {
		return nil
	}
	return t.Incident(id)
}

func (t *tx) PutIncident(i *tocsin.Incident) {
	if i.ID == "" || len(i.ID) > maxID {
		t.fail(tocsin.Invalid("id", "an incident's ID has 1 to %d bytes, %q has %d", maxID, i.ID, len(i.ID)))
		return
	}
	h, ok := t.held(i.ID)
	if !ok {
		h.opened = openedAt(i.OpenedAt)
	} else if !h.archived && h.inc.Group != i.Group {
		t.release(h.inc)
	}
	h.inc = canonIncident(i.Clone())
	t.own.incidents[i.ID] = &h
	if !h.archived && !i.Group.IsZero() {
		t.own.groups[i.Group] = i.ID
	}
}

// release frees the incident's group unless another holds it by now.
func (t *tx) release(i *tocsin.Incident) {
	if !i.Group.IsZero() && t.group(i.Group) == i.ID {
		t.own.groups[i.Group] = ""
	}
}

func (t *tx) Append(events ...tocsin.Event) { t.events = append(t.events, events...) }

func (t *tx) Archive(id string) {
	h, ok := t.held(id)
	if !ok || h.archived {
		return
	}
	t.release(h.inc)
	h.archived = true
	t.own.incidents[id] = &h
	t.own.archived++
}

func (t *tx) Silences() []tocsin.Silence {
	switch {
	case t.own.silenced:
		return t.own.silences
	case t.batch.silenced:
		return t.batch.silences
	default:
		return t.mem.silences
	}
}

func (t *tx) PutSilence(s tocsin.Silence) {
	if s.ID == "" || len(s.ID) > maxID {
		t.fail(tocsin.Invalid("id", "a silence's ID has 1 to %d bytes, %q has %d", maxID, s.ID, len(s.ID)))
		return
	}
	s.Matchers = slices.Clone(s.Matchers)
	canonTime(&s.StartsAt)
	canonTime(&s.EndsAt)
	canonTime(&s.UpdatedAt)
	value, err := t.enc.silence(&s)
	if err != nil {
		t.fail(fmt.Errorf("silence %s: %w", s.ID, err))
		return
	}
	kept := slices.Clone(t.Silences())
	at, found := findSilence(kept, s.ID)
	if found {
		kept[at] = s
	} else {
		kept = slices.Insert(kept, at, s)
	}
	t.setSilences(kept, write{bucketSilences, []byte(s.ID), value})
}

func (t *tx) DeleteSilence(id string) {
	kept := t.Silences()
	at, found := findSilence(kept, id)
	if !found {
		return
	}
	kept = slices.Delete(slices.Clone(kept), at, at+1)
	t.setSilences(kept, write{bucketSilences, []byte(id), nil})
}

func (t *tx) setSilences(kept []tocsin.Silence, w write) {
	t.own.silences, t.own.silenced = kept, true
	t.own.writes = append(t.own.writes, w)
}

func findSilence(kept []tocsin.Silence, id string) (int, bool) {
	return slices.BinarySearchFunc(kept, id, func(s tocsin.Silence, id string) int { return cmp.Compare(s.ID, id) })
}
