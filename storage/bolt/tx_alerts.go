package bolt

import (
	"fmt"
	"iter"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

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
	if state.ID.IsZero() {
		t.fail(tocsin.Invalid("id", "an alert of incident %q has no ID", state.Incident))
		return
	}
	canonState(&state)
	put := alertPut{state: state, first: true}
	if old := t.alert(state.ID); old != nil {
		before := t.overtake(state.ID)
		if placeOf(old) != placeOf(&state) {
			t.puts = append(t.puts, alertPut{state: *old, drop: true})
		} else {
			put.first = before != nil && before.first
			if before != nil {
				put.body = before.body
			}
		}
	}
	if text != nil {
		body, err := t.enc.alert(text)
		if err != nil {
			t.fail(fmt.Errorf("alert %s: %w", state.ID, err))
		}
		put.body = body
	}
	t.puts = append(t.puts, put)
	t.own.stageAlert(&stagedAlert{state: state, put: len(t.puts)})
}

// overtake voids and returns this update's earlier put of an alert, or returns
// nil.
func (t *tx) overtake(id tocsin.Key) *alertPut {
	s := t.own.alerts[id]
	if s == nil || s.put == 0 {
		return nil
	}
	p := &t.puts[s.put-1]
	p.void = true
	return p
}

// before returns the alert that was put at p last before the update, or the zero
// Key.
func (t *tx) before(p place) tocsin.Key {
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
	staged := &stagedAlert{state: s, pending: true}
	if own := t.own.alerts[s.ID]; own != nil {
		staged.put = own.put
	}
	t.own.stageAlert(staged)
}

func (t *tx) Forget(id tocsin.Key) {
	s := t.alert(id)
	if s == nil || s.Incident != "" {
		return
	}
	t.overtake(id)
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
