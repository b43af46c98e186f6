package bolt

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Lagging returns the targets of live incidents that lag and are due.
func (s *Store) Lagging(now time.Time) []tocsin.Wake {
	s.mem.mu.RLock()
	late := s.mem.lateIncidents()
	s.mem.mu.RUnlock()
	var wakes []tocsin.Wake
	for _, i := range late {
		wakes = append(wakes, i.Lagging(now)...)
	}
	return wakes
}

// lateIncidents lists the live incidents with a delivery that lags.
func (m *memory) lateIncidents() []*tocsin.Incident {
	late := make([]*tocsin.Incident, 0, len(m.lagging))
	for _, e := range m.lagging {
		late = append(late, e.inc)
	}
	return late
}

// Live calls fn with every live incident, oldest first, until fn returns false.
// The incidents are those of one moment; they are shared: do not change them.
func (s *Store) Live(fn func(*tocsin.Incident) bool) {
	s.mem.mu.RLock()
	live := make([]*tocsin.Incident, 0, len(s.mem.live))
	for _, e := range s.mem.order {
		if !e.dead {
			live = append(live, e.inc)
		}
	}
	s.mem.mu.RUnlock()
	for _, i := range live {
		if !fn(i) {
			return
		}
	}
}

// AlertStates calls fn with the state of every alert of a live incident and of
// every alert that no incident holds, in no order, until fn returns false. Each
// state is one that was committed while AlertStates ran; fn may call the store.
func (s *Store) AlertStates(fn func(tocsin.AlertState) bool) {
	for states := range s.copied() {
		for _, st := range states {
			if !fn(st) {
				return
			}
		}
	}
}

// copied yields all alert states in portions, so that the committer never waits
// for long.
func (s *Store) copied() iter.Seq[[]tocsin.AlertState] {
	return func(yield func([]tocsin.AlertState) bool) {
		s.mem.mu.RLock()
		ids := slices.Collect(maps.Keys(s.mem.alerts))
		s.mem.mu.RUnlock()
		states := make([]tocsin.AlertState, 0, 256)
		for portion := range slices.Chunk(ids, cap(states)) {
			states = states[:0]
			s.mem.mu.RLock()
			for _, id := range portion {
				if a := s.mem.alert(id); a != nil {
					states = append(states, a.state)
				}
			}
			s.mem.mu.RUnlock()
			if !yield(states) {
				return
			}
		}
	}
}
