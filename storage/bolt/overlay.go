package bolt

import (
	"maps"
	"slices"

	"github.com/tocsin-oncall/tocsin"
)

// home is where an incident's record is on disk before the batch.
type home uint8

const (
	homeNone home = iota
	homeLive
	homeArchive
)

// held is an incident as a decision sees it.
type held struct {
	inc          *tocsin.Incident
	opened, last uint64
	home         home
	archived     bool
}

// place is where an alert is attached. The zero place is that of all orphans,
// and of none of them.
type place struct {
	incident string
	seq      uint32
}

func placeOf(s *tocsin.AlertState) place {
	if s.Incident == "" {
		return place{}
	}
	return place{s.Incident, s.Seq}
}

// stagedAlert is an alert's state in a layer.
type stagedAlert struct {
	state tocsin.AlertState
	// gone is true when the alert was forgotten.
	gone bool
	// pending is true when the state is newer than what is written.
	pending bool
	// order numbers the alerts of a layer by when they first came into it.
	order int
	// put is the place of its last put in tx.puts, counted from 1; 0: none.
	put int
	// keys are those that the layer's index has the alert under.
	keys []tocsin.Key
}

// write is a change of the file. A nil value deletes the key.
type write struct {
	bucket     bucketID
	key, value []byte
}

// layer is a set of changes above the memory, or above another layer.
type layer struct {
	incidents map[string]*held
	// groups maps to the ID of the live incident, or "".
	groups map[tocsin.Key]string
	alerts map[tocsin.Key]*stagedAlert
	// places maps to the alert that was put there last; it may have left.
	places map[place]tocsin.Key
	// index lists alerts that fire, or did, in this layer.
	index map[tocsin.Key][]tocsin.Key
	// silences replaces the whole list where silenced is true.
	silences []tocsin.Silence
	silenced bool
	// documents replaces all those of a kind.
	documents map[string]shelf
	// archived counts the incidents that were archived in this layer.
	archived int
	writes   []write
	// seq is the last event's; events counts those of this layer.
	seq    uint64
	events int
	// head is where the chain stands after the batch.
	head tocsin.AuditHash
	// order is the number of alerts in the layer.
	order int
}

func newLayer() *layer {
	l := &layer{}
	l.reset(0)
	return l
}

// reset empties the layer. Events are numbered on from seq.
func (l *layer) reset(seq uint64) {
	l.incidents = emptied(l.incidents)
	l.groups = emptied(l.groups)
	l.alerts = emptied(l.alerts)
	l.places = emptied(l.places)
	l.index = emptied(l.index)
	l.silences, l.silenced = nil, false
	l.documents = emptied(l.documents)
	clear(l.writes)
	if cap(l.writes) > maxKept {
		l.writes = nil
	}
	l.writes = l.writes[:0]
	l.archived, l.events, l.order, l.seq = 0, 0, 0, seq
}

// maxKept is how large a map or slice of a layer may be to be used again: one
// that was large once stays slow to clear.
const maxKept = 4096

func emptied[K comparable, V any](m map[K]V) map[K]V {
	if m == nil || len(m) > maxKept {
		return make(map[K]V)
	}
	clear(m)
	return m
}

// changed reports whether the layer holds anything to publish.
func (l *layer) changed() bool {
	return len(l.writes) > 0 || len(l.alerts) > 0
}

// stageAlert puts s into the layer, which owns it from then on.
func (l *layer) stageAlert(s *stagedAlert) {
	id := s.state.ID
	if known := l.alerts[id]; known != nil {
		s.order, s.keys = known.order, known.keys
	} else {
		s.order, s.keys = l.order, nil
		l.order++
	}
	l.alerts[id] = s
	if s.gone {
		return
	}
	for _, k := range indexed(&s.state) {
		if !slices.Contains(s.keys, k) {
			s.keys = append(slices.Clip(s.keys), k)
			l.index[k] = append(l.index[k], id)
		}
	}
}

// absorb puts the changes of an update into those of its batch.
func (l *layer) absorb(u *layer) {
	for id, h := range u.incidents {
		l.incidents[id] = h
	}
	for g, id := range u.groups {
		l.groups[g] = id
	}
	for _, s := range u.alerts {
		l.stageAlert(s)
	}
	for p, id := range u.places {
		l.places[p] = id
	}
	if u.silenced {
		l.silences, l.silenced = u.silences, true
	}
	maps.Copy(l.documents, u.documents)
	l.archived += u.archived
	l.writes = append(l.writes, u.writes...)
	l.events += u.events
	l.seq = u.seq
}
