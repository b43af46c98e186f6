package bolt

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

func TestHeap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		places := map[*int]int{}
		h := heap[*int]{less: func(a, b *int) bool { return *a < *b }, placed: func(n *int, at int) { places[n] = at }}
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			value := rapid.IntRange(0, 9).Draw(rt, "value")
			switch n := rapid.IntRange(-2, max(-1, len(h.items)-1)).Draw(rt, "place"); {
			case n < 0:
				h.push(&value)
			case value < 3:
				gone := h.items[n]
				h.remove(n)
				require.Zero(rt, places[gone])
				delete(places, gone)
			default:
				*h.items[n] = value
				h.fix(n)
			}
			require.Len(rt, places, len(h.items))
			for n, item := range h.items {
				require.Equal(rt, n+1, places[item])
				require.LessOrEqual(rt, *h.items[max(0, n-1)/2], *item)
			}
		}
	})
}

// scan is what Store.Deadlines promises, from a look at every incident.
func scan(m *memory, now time.Time, limit int) (due []string, next time.Time) {
	var all []*tocsin.Incident
	for _, e := range m.live {
		if !e.inc.Deadline().IsZero() {
			all = append(all, e.inc)
		}
	}
	slices.SortFunc(all, func(a, b *tocsin.Incident) int {
		return cmp.Or(a.Deadline().Compare(b.Deadline()), cmp.Compare(a.ID, b.ID))
	})
	for _, i := range all {
		if i.Deadline().After(now) || limit > 0 && len(due) == limit {
			return due, i.Deadline()
		}
		due = append(due, i.ID)
	}
	return due, time.Time{}
}

// TestDeadlines compares the deadlines with a scan after every change.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Unix(0, 0).UTC().Add(time.Duration(minute) * time.Minute) }
	rapid.Check(t, func(rt *rapid.T) {
		s := &Store{mem: newMemory(0)}
		m := s.mem
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			id := fmt.Sprint("i", rapid.IntRange(0, 12).Draw(rt, "incident"))
			minute := rapid.IntRange(0, 20).Draw(rt, "minute")
			i := &tocsin.Incident{ID: id, State: tocsin.Triggered}
			switch kind := rapid.IntRange(0, 9).Draw(rt, "kind"); {
			case kind == 0 && m.live[id] != nil:
				m.archive(id)
			case kind == 1: // no deadline
				m.setIncident(i, 1, 0)
			case kind == 2: // resolved, with one or none
				i.State = tocsin.Resolved
				if minute%2 == 0 {
					i.Escalation = &tocsin.Escalation{ReturnAt: at(minute)}
				}
				m.setIncident(i, 1, 0)
			default:
				i.Escalation = &tocsin.Escalation{Runs: []tocsin.Run{{Due: at(minute)}}, Calls: []tocsin.Call{{Due: at(30)}}}
				m.setIncident(i, 1, 0)
			}
			now, limit := at(rapid.IntRange(-1, 31).Draw(rt, "now")), rapid.IntRange(0, 5).Draw(rt, "limit")
			wantDue, wantNext := scan(m, now, limit)
			due, next := s.Deadlines(now, limit)
			require.Equal(rt, wantDue, due)
			require.Equal(rt, wantNext, next)
			_, first := scan(m, at(-1), 0)
			require.Equal(rt, first, s.NextDeadline())
		}
		for id := range m.live {
			m.archive(id)
		}
		require.Empty(rt, m.deadlines.items)
	})
}

// BenchmarkDeadlines moves one of 100,000 deadlines, and asks which are due.
func BenchmarkDeadlines(b *testing.B) {
	const incidents = 100_000
	s := &Store{mem: newMemory(incidents)}
	e := &tocsin.Escalation{Runs: []tocsin.Run{{}}}
	set := func(n, minute int) {
		e.Runs[0].Due = time.Unix(int64(60*minute), 0).UTC()
		entry := s.mem.live[fmt.Sprint("i", n)]
		s.mem.setDeadline(entry, e.Runs[0].Due)
	}
	for n := range incidents {
		s.mem.setIncident(&tocsin.Incident{ID: fmt.Sprint("i", n)}, uint64(n), 0)
		set(n, 1+n*7919%incidents)
	}
	n := 0
	for b.Loop() {
		n++
		set(n*104729%incidents, 1+n%incidents)
		s.Deadlines(time.Unix(600, 0), 10)
	}
}
