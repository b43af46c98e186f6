package bolt

import (
	"fmt"

	"github.com/tocsin-oncall/tocsin"
)

// finish judges what the decision did and encodes it. After an error the
// update's layer is not to be used.
func (t *tx) finish() error {
	if t.err != nil {
		return t.err
	}
	if err := t.finishAlerts(); err != nil {
		return err
	}
	if err := t.finishEvents(); err != nil {
		return err
	}
	if err := t.finishIncidents(); err != nil {
		return err
	}
	return t.err
}

func (t *tx) write(b bucketID, key, value []byte) {
	t.own.writes = append(t.own.writes, write{b, key, value})
}

// finishAlerts writes removals first, since what one alert leaves another may
// take.
func (t *tx) finishAlerts() error {
	for _, drop := range []bool{true, false} {
		for n := range t.puts {
			p := &t.puts[n]
			if p.drop != drop || p.void {
				continue
			}
			if err := t.finishPut(p); err != nil {
				return err
			}
		}
	}
	return t.judgePlaces()
}

func (t *tx) finishPut(p *alertPut) error {
	if p.state.Incident == "" {
		return t.finishOrphan(p)
	}
	return t.finishAlert(p)
}

// judgePlaces reports two alerts of one incident with the same number.
func (t *tx) judgePlaces() error {
	for n := range t.puts {
		p := &t.puts[n]
		if p.drop || p.void || !p.first || p.state.Incident == "" {
			continue
		}
		at := placeOf(&p.state)
		for _, other := range []tocsin.Key{t.own.places[at], t.before(at)} {
			if s := t.alert(other); s != nil && placeOf(s) == at && other != p.state.ID {
				return tocsin.Invalid("seq", "alert %d of incident %s is %s already, it cannot be %s too", at.seq, at.incident, other, p.state.ID)
			}
		}
		t.own.places[at] = p.state.ID
	}
	return nil
}

func (t *tx) finishOrphan(p *alertPut) error {
	key := t.enc.orphanKey(p.state.ID)
	if p.drop {
		t.write(bucketOrphans, key, nil)
		t.write(bucketOrphanBodies, key, nil)
		return nil
	}
	value, err := t.enc.state(&p.state)
	if err != nil {
		return fmt.Errorf("alert %s: %w", p.state.ID, err)
	}
	t.write(bucketOrphans, key, value)
	if p.body != nil {
		t.write(bucketOrphanBodies, key, p.body)
	}
	return nil
}

func (t *tx) finishAlert(p *alertPut) error {
	s := &p.state
	h, err := t.homeOf(s)
	if err != nil {
		return err
	}
	key := t.enc.alertKey(h.opened, s.Incident, s.Seq)
	if p.drop {
		t.write(bucketStates, key, nil)
		t.write(bucketBodies, key, nil)
		return nil
	}
	if s.Seq == 0 || s.Seq > h.inc.Alerts {
		return tocsin.Invalid("seq", "alert %s has number %d of incident %s, which counts %d alerts", s.ID, s.Seq, s.Incident, h.inc.Alerts)
	}
	if p.first && p.body == nil {
		return tocsin.Invalid("alert", "alert %s is new to incident %s and comes without its text", s.ID, s.Incident)
	}
	value, err := t.enc.state(s)
	if err != nil {
		return fmt.Errorf("alert %s: %w", s.ID, err)
	}
	t.write(bucketStates, key, value)
	if p.body != nil {
		t.write(bucketBodies, key, p.body)
	}
	return nil
}

// homeOf returns the incident that s is to be written under. It was live when
// the update began, or is new.
func (t *tx) homeOf(s *tocsin.AlertState) (held, error) {
	h, ok := t.held(s.Incident)
	if !ok {
		return held{}, tocsin.Invalid("incident", "alert %s is put into incident %s, which does not exist", s.ID, s.Incident)
	}
	before, batched := t.batch.incidents[s.Incident]
	if batched && before.archived || !batched && h.home == homeArchive {
		return held{}, tocsin.Invalid("incident", "alert %s is put into incident %s, which is archived", s.ID, s.Incident)
	}
	return h, nil
}

// finishEvents numbers the events and chains them to those before.
func (t *tx) finishEvents() error {
	if len(t.events) == 0 {
		return nil
	}
	origin := tocsin.OriginOf(t.ctx)
	for n := range t.events {
		t.own.seq++
		t.own.events++
		e := &t.events[n]
		e.Seq = t.own.seq
		canonTime(&e.At)
		if e.Kind == tocsin.EventLog {
			return tocsin.Invalid("kind", "events of kind %s are the store's own", e.Kind)
		}
		if e.Origin == "" {
			e.Origin = origin
		}
		value, err := t.enc.event(t.chain(e.Incident, e.Seq), e)
		if err != nil {
			return fmt.Errorf("event of incident %s: %w", e.Incident, err)
		}
		t.write(bucketEvents, t.enc.eventKey(t.own.seq), value)
	}
	return nil
}

// chain makes seq the last event of an incident and returns the one before it.
func (t *tx) chain(id string, seq uint64) uint64 {
	if id == "" {
		return 0
	}
	h := t.own.incidents[id]
	if h == nil {
		known, ok := t.held(id)
		if !ok {
			return 0
		}
		h = &known
		t.own.incidents[id] = h
	}
	prev := h.last
	h.last = seq
	return prev
}

func (t *tx) finishIncidents() error {
	for id, h := range t.own.incidents {
		if err := t.judge(h); err != nil {
			return err
		}
		value, err := t.enc.incident(h.last, h.inc)
		if err != nil {
			return fmt.Errorf("incident %s: %w", id, err)
		}
		key := t.enc.incidentKey(h.opened, id)
		if !h.archived {
			t.write(bucketIncidents, key, value)
			continue
		}
		t.write(bucketArchive, key, value)
		if h.home != homeArchive {
			t.write(bucketIncidents, key, nil)
		}
	}
	return nil
}

// judge reports what may not be about an incident that the update wrote.
func (t *tx) judge(h *held) error {
	i := h.inc
	if h.archived {
		if i.Open() {
			return tocsin.Invalid("state", "incident %s is %s: only a resolved one can be archived", i.ID, i.State)
		}
		return nil
	}
	if i.Group.IsZero() {
		return nil
	}
	if other := t.group(i.Group); other != i.ID {
		return groupTaken(i, other)
	}
	if other := t.groupBefore(i.Group); other != "" && other != i.ID {
		o, ok := t.held(other)
		if ok && !o.archived && o.inc.Group == i.Group {
			return groupTaken(i, other)
		}
	}
	return nil
}

func groupTaken(i *tocsin.Incident, other string) error {
	return tocsin.Invalid("group", "incidents %s and %s are both live and of group %s", i.ID, other, i.Group)
}

// groupBefore is the live incident of a group before the update.
func (t *tx) groupBefore(g tocsin.Key) string {
	if id, ok := t.batch.groups[g]; ok {
		return id
	}
	if e := t.mem.groups[g]; e != nil {
		return e.inc.ID
	}
	return ""
}
