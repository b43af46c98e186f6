package bolt

import "time"

// deadline is when time alone has something to do about a live incident.
type deadline struct {
	at    time.Time
	entry *entry
}

// sooner orders deadlines; of two at the same instant by the incidents' IDs.
func sooner(a, b deadline) bool {
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.entry.inc.ID < b.entry.inc.ID
}

// newDeadlines returns a heap whose entries know their place in it.
func newDeadlines() heap[deadline] {
	return heap[deadline]{less: sooner, placed: func(d deadline, at int) { d.entry.due = at }}
}

// setDeadline notes when time has something to do about e; the zero time: never.
func (m *memory) setDeadline(e *entry, at time.Time) {
	h := &m.deadlines
	switch {
	case at.IsZero() && e.due == 0:
	case at.IsZero():
		h.remove(e.due - 1)
	case e.due == 0:
		h.push(deadline{at, e})
	case !h.items[e.due-1].at.Equal(at):
		h.items[e.due-1].at = at
		h.fix(e.due - 1)
	}
}

// Deadlines returns the IDs of the live incidents whose Incident.Deadline is at
// or before now, soonest first, at most limit of them, and the soonest deadline
// of those that it did not return; zero: there is none. limit 0: all; it holds up
// the next commit while it lists them.
func (s *Store) Deadlines(now time.Time, limit int) (due []string, next time.Time) {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	h := &s.mem.deadlines
	// ahead holds the places in h of which all that is above has been returned:
	// the soonest of the rest is among them.
	ahead := heap[int]{less: func(a, b int) bool { return h.less(h.items[a], h.items[b]) }}
	reach := func(n int) {
		if n < len(h.items) {
			ahead.push(n)
		}
	}
	for reach(0); len(ahead.items) > 0; {
		n := ahead.items[0]
		d := h.items[n]
		if d.at.After(now) || limit > 0 && len(due) == limit {
			return due, d.at
		}
		due = append(due, d.entry.inc.ID)
		ahead.remove(0)
		reach(2*n + 1)
		reach(2*n + 2)
	}
	return due, time.Time{}
}

// NextDeadline returns the soonest Incident.Deadline of all live incidents; zero:
// there is none. It is quick, and may be called from Options.Committed.
func (s *Store) NextDeadline() time.Time {
	s.mem.mu.RLock()
	defer s.mem.mu.RUnlock()
	if h := &s.mem.deadlines; len(h.items) > 0 {
		return h.items[0].at
	}
	return time.Time{}
}
