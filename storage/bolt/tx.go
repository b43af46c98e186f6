package bolt

import (
	"cmp"
	"fmt"
	"iter"
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
}

// begin readies t for the next update.
func (t *tx) begin() {
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

// alert returns what this update sees of an alert, or nil. The result is valid
// until the next change.
func (t *tx) alert(id tocsin.Key) *tocsin.AlertState {
	var s *tocsin.AlertState
	if a := t.own.alerts[id]; a != nil {
		s = a.visible()
	} else if a := t.batch.alerts[id]; a != nil {
		s = a.visible()
	} else if a := t.mem.alert(id); a != nil {
		s = &a.state
	}
	if s == nil || t.isArchived(s.Incident) {
		return nil
	}
	return s
}

func (a *stagedAlert) visible() *tocsin.AlertState {
	if a.gone {
		return nil
	}
	return &a.state
}

// isArchived reports whether an incident that alerts are attached to was
// archived by this update or one before it in the batch.
func (t *tx) isArchived(id string) bool {
	return id != "" && t.own.archived+t.batch.archived > 0 && !t.live(id) && t.staged(id)
}

func (t *tx) staged(id string) bool {
	return t.own.incidents[id] != nil || t.batch.incidents[id] != nil
}

func (t *tx) Alert(id tocsin.Key) (tocsin.AlertState, bool) {
	if s := t.alert(id); s != nil {
		return *s, true
	}
	return tocsin.AlertState{}, false
}

func (t *tx) PutAlert(state tocsin.AlertState, text *tocsin.Alert) {
	canonState(&state)
	put := alertPut{state: state, first: true}
	to := placeOf(&state)
	if old := t.alert(state.ID); old != nil {
		from := placeOf(old)
		put.first = from != to
		if put.first {
			t.puts = append(t.puts, alertPut{state: *old, drop: true})
			t.own.places[from] = tocsin.Key{}
		}
	}
	if text != nil {
		body, err := t.enc.alert(text)
		if err != nil {
			t.fail(fmt.Errorf("alert %s: %w", state.ID, err))
		}
		put.body = body
	}
	t.own.stageAlert(&stagedAlert{state: state})
	t.puts = append(t.puts, put)
	if put.first && to != (place{}) {
		t.occupy(to, state.ID)
	}
}

// occupy notes that an alert is at p from now on.
func (t *tx) occupy(p place, id tocsin.Key) {
	if other := t.at(p); !other.IsZero() && other != id {
		t.fail(tocsin.Invalid("seq", "alert %d of incident %s is %s already, it cannot be %s too", p.seq, p.incident, other, id))
	}
	t.own.places[p] = id
}

// at returns the alert at p, or the zero Key.
func (t *tx) at(p place) tocsin.Key {
	if id, ok := t.own.places[p]; ok {
		return id
	}
	if id, ok := t.batch.places[p]; ok {
		return id
	}
	if e := t.mem.live[p.incident]; e != nil && p.seq > 0 && int(p.seq) <= len(e.alerts) {
		if a := e.alerts[p.seq-1]; a != nil {
			return a.state.ID
		}
	}
	return tocsin.Key{}
}

func (t *tx) Observed(state tocsin.AlertState) {
	known := t.alert(state.ID)
	if known == nil {
		return
	}
	s := *known
	s.SeenAt, s.Repeats = state.SeenAt.UTC(), state.Repeats
	t.own.stageAlert(&stagedAlert{state: s, pending: true})
}

func (t *tx) Forget(id tocsin.Key) {
	s := t.alert(id)
	if s == nil || s.Incident != "" {
		return
	}
	t.puts = append(t.puts, alertPut{state: *s, drop: true})
	t.own.stageAlert(&stagedAlert{state: *s, gone: true})
}

// Indexed yields what is staged first, then what is in memory and not staged.
// An alert that the caller changes while it iterates is yielded once, as it was
// or as it is then.
func (t *tx) Indexed(key tocsin.Key) iter.Seq[tocsin.AlertState] {
	return func(yield func(tocsin.AlertState) bool) {
		before := t.own.order
		own, batch := t.own.index[key], t.batch.index[key]
		for _, id := range own {
			if s := t.alert(id); s != nil && slices.Contains(indexed(s), key) && !yield(*s) {
				return
			}
		}
		for _, id := range batch {
			if s := t.unseen(id, key, before); s != nil && !yield(*s) {
				return
			}
		}
		for a := range t.mem.index.all(key) {
			if a.dead() || t.batch.alerts[a.state.ID] != nil {
				continue
			}
			if s := t.unseen(a.state.ID, key, before); s != nil && !yield(*s) {
				return
			}
		}
	}
}

// unseen returns an alert if it bears key and was not in the update's own layer
// when that had before alerts.
func (t *tx) unseen(id, key tocsin.Key, before int) *tocsin.AlertState {
	if own := t.own.alerts[id]; own != nil && own.order < before {
		return nil
	}
	s := t.alert(id)
	if s == nil || !slices.Contains(indexed(s), key) {
		return nil
	}
	return s
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
