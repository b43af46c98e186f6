package bolt

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// entry is a live incident in memory, or one that was live and whose alerts
// have not been cleared away yet.
type entry struct {
	// inc is never changed, only replaced: readers share it.
	inc    *tocsin.Incident
	opened uint64
	// last is the Seq of the incident's last event.
	last uint64
	// alerts holds the incident's alerts by Seq-1; nil where one was moved away.
	alerts []*alert
	// fires has a bit for each of alerts.
	fires bitmap
	// count and firing count the alerts.
	count, firing uint32
	// lag is the entry's place in memory.lagging, counted from 1.
	lag int
	// due is its place in memory.deadlines, counted from 1.
	due  int
	dead bool
}

// alert is the state of an alert in memory.
type alert struct {
	state tocsin.AlertState
	// entry is nil for an orphan.
	entry *entry
	// pending is true when state is newer than the disk: see Tx.Observed.
	pending bool
}

func (a *alert) dead() bool { return a.entry != nil && a.entry.dead }

// memory is the committed state. The committer alone changes it, with mu held;
// it reads without. Others read with mu held for reading.
type memory struct {
	mu     sync.RWMutex
	live   map[string]*entry
	groups map[tocsin.Key]*entry
	// alerts may hold dead ones: see alert.dead.
	alerts map[tocsin.Key]*alert
	index  index
	// order holds the live entries by disk key, with dead ones in between.
	order []*entry
	// lagging holds the live entries with a delivery that lags, in no order.
	lagging []*entry
	// deadlines holds the live entries with a deadline, the soonest first.
	deadlines heap[deadline]
	// archived holds the opened part of the disk key of every archived incident.
	archived map[string]uint64
	silences []tocsin.Silence
	// documents holds them by their kind; version is the highest that was given
	// when they were loaded.
	documents map[string]shelf
	version   uint64
	// seq is the last event's, and head where the chain stands after it. unchained:
	// the chain did not reach to the last event when the file was opened.
	seq       uint64
	head      tocsin.AuditHash
	unchained bool
	// open counts live incidents that are not resolved, without notices; notices
	// counts the live ones; known and firing count alerts that are not dead.
	open, notices, known, firing int
	// graves holds what reap has left to clear away.
	graves []grave
	buried int
}

// grave is a dead entry of which the alerts before next are cleared away.
type grave struct {
	entry *entry
	next  int
}

func newMemory(incidents int) *memory {
	return &memory{
		live:      make(map[string]*entry, incidents),
		groups:    make(map[tocsin.Key]*entry, incidents),
		alerts:    make(map[tocsin.Key]*alert, incidents),
		index:     make(index),
		order:     make([]*entry, 0, incidents),
		archived:  make(map[string]uint64),
		documents: make(map[string]shelf),
		deadlines: newDeadlines(),
	}
}

// alert returns the alert's node unless its incident was archived.
func (m *memory) alert(id tocsin.Key) *alert {
	if a := m.alerts[id]; a != nil && !a.dead() {
		return a
	}
	return nil
}

// setIncident makes i the live incident's value; the incident is added when it
// is new.
func (m *memory) setIncident(i *tocsin.Incident, opened, last uint64) *entry {
	e := m.live[i.ID]
	if e == nil {
		e = &entry{opened: opened}
		m.live[i.ID] = e
		m.insertOrder(e, i.ID)
	} else {
		m.tally(e.inc, -1)
		if e.inc.Group != i.Group {
			m.releaseGroup(e)
		}
	}
	e.inc, e.last = i, last
	m.tally(i, 1)
	if !i.Group.IsZero() {
		m.groups[i.Group] = e
	}
	m.setLagging(e, lags(i))
	m.setDeadline(e, i.Deadline())
	return e
}

// tally counts a live incident, or with by -1 takes it from the numbers.
func (m *memory) tally(i *tocsin.Incident, by int) {
	switch {
	case isNotice(i):
		m.notices += by
	case i.Open():
		m.open += by
	}
}

func (m *memory) releaseGroup(e *entry) {
	if m.groups[e.inc.Group] == e {
		delete(m.groups, e.inc.Group)
	}
}

// setLagging puts e among those that lag, or takes it out.
func (m *memory) setLagging(e *entry, lagging bool) {
	switch {
	case lagging && e.lag == 0:
		m.lagging = append(m.lagging, e)
		e.lag = len(m.lagging)
	case !lagging && e.lag > 0:
		last := len(m.lagging) - 1
		m.lagging[e.lag-1] = m.lagging[last]
		m.lagging[e.lag-1].lag = e.lag
		m.lagging[last] = nil
		m.lagging, e.lag = m.lagging[:last], 0
	}
}

func lags(i *tocsin.Incident) bool {
	for n := range i.Deliveries {
		if i.Deliveries[n].Lags(i) {
			return true
		}
	}
	return false
}

// archive takes a live incident out. Its alerts stay in the maps, dead, until
// reap.
func (m *memory) archive(id string) {
	e := m.live[id]
	m.releaseGroup(e)
	m.setLagging(e, false)
	m.setDeadline(e, time.Time{})
	m.tally(e.inc, -1)
	m.known -= int(e.count)
	m.firing -= int(e.firing)
	delete(m.live, id)
	e.dead = true
	m.buried++
	m.archived[id] = e.opened
	m.graves = append(m.graves, grave{entry: e})
	if m.buried > 64 && m.buried > len(m.order)/2 {
		m.order = slices.DeleteFunc(m.order, func(e *entry) bool { return e.dead })
		m.buried = 0
	}
}

// reap clears away up to n alerts of archived incidents and reports whether
// there are more.
func (m *memory) reap(n int) bool {
	for n > 0 && len(m.graves) > 0 {
		g := &m.graves[0]
		for ; n > 0 && g.next < len(g.entry.alerts); g.next, n = g.next+1, n-1 {
			a := g.entry.alerts[g.next]
			if a == nil {
				continue
			}
			m.index.remove(a, a.state)
			if m.alerts[a.state.ID] == a {
				delete(m.alerts, a.state.ID)
			}
		}
		if g.next < len(g.entry.alerts) {
			return true
		}
		g.entry.alerts, n = nil, n-1
		m.graves[0] = grave{}
		m.graves = m.graves[1:]
	}
	if len(m.graves) == 0 {
		m.graves = nil
	}
	return m.graves != nil
}

// insertOrder puts e in its place, which is at the end or, since updates race,
// a few places before it.
func (m *memory) insertOrder(e *entry, id string) {
	at := len(m.order)
	for steps := 0; at > 0 && compareOrder(m.order[at-1], e.opened, id) > 0; at-- {
		if steps++; steps > 64 {
			at, _ = slices.BinarySearchFunc(m.order[:at], id, func(o *entry, id string) int { return compareOrder(o, e.opened, id) })
			break
		}
	}
	m.order = slices.Insert(m.order, at, e)
}

func compareOrder(e *entry, opened uint64, id string) int {
	return cmp.Or(cmp.Compare(e.opened, opened), cmp.Compare(e.inc.ID, id))
}

// setAlert makes s the alert's state, wherever the alert was before. e is the
// incident it is attached to, or nil.
func (m *memory) setAlert(s *tocsin.AlertState, e *entry, pending bool) {
	a := m.alert(s.ID)
	if a == nil || a.entry != e || a.state.Seq != s.Seq {
		m.dropAlert(a)
		a = &alert{entry: e}
		m.alerts[s.ID] = a
		m.known++
		if e != nil {
			e.attach(a, s.Seq)
		}
	}
	m.count(a, s)
	m.index.move(a, a.state, s)
	a.state, a.pending = *s, pending
}

// count moves the numbers of firing alerts as a's state becomes s.
func (m *memory) count(a *alert, s *tocsin.AlertState) {
	d := b2i(s.Firing) - b2i(a.state.Firing)
	m.firing += d
	if a.entry != nil {
		a.entry.firing += uint32(d)
		a.entry.fires.set(int(s.Seq-1), s.Firing)
	}
}

// dropAlert forgets a node that is not dead; nil is none.
func (m *memory) dropAlert(a *alert) {
	if a == nil {
		return
	}
	m.known--
	m.firing -= b2i(a.state.Firing)
	m.index.remove(a, a.state)
	delete(m.alerts, a.state.ID)
	if e := a.entry; e != nil {
		e.count--
		e.firing -= uint32(b2i(a.state.Firing))
		if n := int(a.state.Seq - 1); e.alerts[n] == a {
			e.alerts[n] = nil
			e.fires.set(n, false)
		}
	}
}

func (e *entry) attach(a *alert, seq uint32) {
	for len(e.alerts) < int(seq) {
		e.alerts = append(e.alerts, nil)
	}
	e.alerts[seq-1] = a
	e.count++
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
