package bolt

import (
	"maps"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// apply makes the changes of a committed batch. It is called with mu held.
func (m *memory) apply(b *layer) {
	for id, h := range b.incidents {
		switch {
		case !h.archived:
			m.setIncident(h.inc, h.opened, h.last)
		case h.home == homeLive:
			m.archive(id)
		default:
			m.archived[id] = h.opened
		}
	}
	for id, s := range b.alerts {
		m.applyAlert(id, s)
	}
	if b.silenced {
		m.silences = b.silences
	}
	maps.Copy(m.documents, b.documents)
	m.seq = b.seq
	if b.events > 0 {
		m.head = b.head
	}
}

func (m *memory) applyAlert(id tocsin.Key, s *stagedAlert) {
	if s.gone {
		m.dropAlert(m.alert(id))
		return
	}
	if s.state.Incident == "" {
		m.setAlert(&s.state, nil, s.pending)
		return
	}
	e := m.live[s.state.Incident]
	if e == nil { // archived later in the batch
		m.dropAlert(m.alert(id))
		return
	}
	s.state.Incident = e.inc.ID // shares the string
	m.setAlert(&s.state, e, s.pending)
}

// wakes returns the wake-ups that a committed batch calls for.
func (l *layer) wakes(now time.Time) []tocsin.Wake {
	var wakes []tocsin.Wake
	for _, h := range l.incidents {
		if !h.archived {
			wakes = append(wakes, h.inc.Lagging(now)...)
		}
	}
	return wakes
}
