package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// maxFindings bounds what Check reports.
const maxFindings = 20

// Check reports what is wrong with the store: bbolt's pages, the records, and
// the memory against what opening the file would load. Updates wait meanwhile,
// so it is for tests and for repair, not for every day.
func (s *Store) Check(ctx context.Context) error {
	return s.exclusively(ctx, s.check)
}

func (s *Store) check() error {
	fresh, err := load(s.db, time.Time{})
	if err != nil {
		return err
	}
	f := &findings{}
	s.mem.compare(fresh, f)
	fresh.judge(f)
	err = s.view(func(tx *bbolt.Tx) error {
		if report, _ := verifyAudit(context.Background(), tx, tocsin.AuditHash{}); !report.OK {
			f.add("audit log: record %d does not fit: %s", report.At, report.Problem)
		}
		for _, err := range pageErrors(tx) {
			f.add("%w", err)
		}
		return checkRecords(tx, fresh, f)
	})
	return errors.Join(append(f.errs, err)...)
}

// findings collects what is wrong.
type findings struct{ errs []error }

func (f *findings) add(format string, args ...any) {
	if len(f.errs) < maxFindings {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

// pageErrors runs bbolt's own check. It must not run beside a writer.
func pageErrors(tx *bbolt.Tx) []error {
	var errs []error
	for err := range tx.Check() {
		if len(errs) < maxFindings {
			errs = append(errs, err)
		}
	}
	return errs
}

// compare reports where m differs from what was loaded from its file.
func (m *memory) compare(fresh *memory, f *findings) {
	enc := newEncoder()
	same(f, "incidents", m.incidentsText(enc), fresh.incidentsText(enc))
	same(f, "alerts", m.alertsText(enc, m), fresh.alertsText(enc, m))
	same(f, "groups", m.groupsText(), fresh.groupsText())
	same(f, "index", m.indexText(), fresh.indexText())
	same(f, "archived", m.archived, fresh.archived)
	same(f, "silences", silencesText(enc, m.silences), silencesText(enc, fresh.silences))
	same(f, "documents", m.documentsText(), fresh.documentsText())
	same(f, "counters", m.counters(), fresh.counters())
	if order := m.orderText(); !slices.Equal(order, fresh.orderText()) {
		f.add("order: memory %v, file %v", order, fresh.orderText())
	}
}

// same reports the entries in which two maps differ.
func same[K comparable, V comparable](f *findings, what string, memory, file map[K]V) {
	for k, v := range memory {
		if w, ok := file[k]; !ok {
			f.add("%s: %v is in memory, not in the file: %v", what, k, v)
		} else if v != w {
			f.add("%s: %v differs: memory %v, file %v", what, k, v, w)
		}
	}
	for k, v := range file {
		if _, ok := memory[k]; !ok {
			f.add("%s: %v is in the file, not in memory: %v", what, k, v)
		}
	}
}

// text is what is written of a record.
func text(b []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (m *memory) incidentsText(enc *encoder) map[string]string {
	t := make(map[string]string, len(m.live))
	for id, e := range m.live {
		placed := e.lag == 0 || m.lagging[e.lag-1] == e
		t[id] = fmt.Sprint(text(enc.incident(e.last, e.inc)), e.opened, e.count, e.firing, e.lag > 0, placed, e.due > 0, m.awaited(e))
	}
	return t
}

// awaited reports whether e is where it should be among the deadlines.
func (m *memory) awaited(e *entry) bool {
	at := e.inc.Deadline()
	if e.due == 0 {
		return at.IsZero()
	}
	d := m.deadlines.items[e.due-1]
	return d.entry == e && d.at.Equal(at) && (e.due == 1 || !sooner(d, m.deadlines.items[e.due/2-1]))
}

// alertsText leaves out SeenAt, which opening a file moves in memory alone, and
// of the alerts that are pending in of, Repeats, which is not written yet.
func (m *memory) alertsText(enc *encoder, of *memory) map[tocsin.Key]string {
	t := make(map[tocsin.Key]string, len(m.alerts))
	for id, a := range m.alerts {
		if a.dead() {
			continue
		}
		s := a.state
		s.SeenAt = time.Time{}
		if known := of.alert(id); known != nil && known.pending {
			s.Repeats = 0
		}
		placed := a.entry == nil || a.entry.alerts[s.Seq-1] == a && a.entry.fires.has(int(s.Seq-1)) == s.Firing
		t[id] = fmt.Sprint(text(enc.state(&s)), " in its place: ", placed)
	}
	return t
}

func (m *memory) groupsText() map[tocsin.Key]string {
	t := make(map[tocsin.Key]string, len(m.groups))
	for g, e := range m.groups {
		t[g] = e.inc.ID
	}
	return t
}

func (m *memory) indexText() map[string]bool {
	t := make(map[string]bool)
	for k := range m.index {
		for a := range m.index.all(k) {
			if !a.dead() {
				t[k.String()+" "+a.state.ID.String()] = m.alert(a.state.ID) == a
			}
		}
	}
	return t
}

func silencesText(enc *encoder, silences []tocsin.Silence) map[string]string {
	t := make(map[string]string, len(silences))
	for n := range silences {
		t[silences[n].ID] = text(enc.silence(&silences[n]))
	}
	return t
}

func (m *memory) documentsText() map[string]string {
	t := make(map[string]string)
	for kind, s := range m.documents {
		for n, d := range s.docs {
			ordered := n == 0 || s.docs[n-1].ID < d.ID
			t[kind+" "+d.ID] = fmt.Sprint(string(d.Value), " in its place: ", ordered)
		}
	}
	return t
}

func (m *memory) counters() map[string]int {
	return map[string]int{
		"head": int(binary.BigEndian.Uint64(m.head[:8])), "open": m.open, "notices": m.notices, "alerts": m.known, "firing": m.firing, "seq": int(m.seq),
		"lagging": len(m.lagging), "deadlines": len(m.deadlines.items),
	}
}

func (m *memory) orderText() []string {
	var ids []string
	for _, e := range m.order {
		if !e.dead {
			ids = append(ids, e.inc.ID)
		}
	}
	return ids
}

// judge reports what is wrong among live incidents.
func (m *memory) judge(f *findings) {
	grouped := 0
	for id, e := range m.live {
		grouped += b2i(!e.inc.Group.IsZero())
		var suppressed uint32
		for _, a := range e.alerts {
			if a != nil && a.state.Firing && a.state.Suppression != nil {
				suppressed++
			}
		}
		if e.inc.Firing != e.firing || e.inc.Suppressed != suppressed {
			f.add("incident %s counts %d alerts firing and %d suppressed, it has %d and %d", id, e.inc.Firing, e.inc.Suppressed, e.firing, suppressed)
		}
		judgeIncident(e.inc, e.last, m.seq, f)
	}
	if grouped != len(m.groups) {
		f.add("%d live incidents share %d groups", grouped, len(m.groups))
	}
}

func judgeIncident(i *tocsin.Incident, last, seq uint64, f *findings) {
	if i.StateRevision > i.Revision {
		f.add("incident %s is at revision %d, its state at %d", i.ID, i.Revision, i.StateRevision)
	}
	if last > seq {
		f.add("incident %s has event %d, the last one is %d", i.ID, last, seq)
	}
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		if d.Revision > i.Revision || d.FailedRevision > i.Revision || d.Told > seq {
			f.add("incident %s is at revision %d and event %d, its delivery to %s at %d, %d and %d", i.ID, i.Revision, seq, d.Target, d.Revision, d.FailedRevision, d.Told)
		}
	}
}

// checkRecords reports what is wrong among the records that are not kept in
// memory.
func checkRecords(tx *bbolt.Tx, fresh *memory, f *findings) error {
	last := make(map[string]uint64, len(fresh.live)+len(fresh.archived))
	kept := make(map[string]bool, cap(fresh.order))
	for id, e := range fresh.live {
		last[id] = e.last
		kept[string(appendIncidentKey(nil, e.opened, id))] = true
	}
	for _, r := range recordsOf(tx, bucketArchive) {
		rec, err := decodeIncident(r.key, r.value)
		if err != nil {
			return err
		}
		if rec.Open() || fresh.live[rec.ID] != nil {
			f.add("incident %s is archived, and %s", rec.ID, rec.State)
		}
		last[rec.ID], kept[string(r.key)] = rec.Last, true
		judgeIncident(rec.Incident, rec.Last, fresh.seq, f)
	}
	partly := make(map[string]bool)
	for _, r := range recordsOf(tx, bucketPurging) {
		partly[string(r.key)] = true
	}
	checkAlerts(tx, kept, partly, f)
	return checkEvents(tx, last, f)
}

// checkAlerts reports alerts without a text, texts without an alert, and both
// without an incident.
func checkAlerts(tx *bbolt.Tx, kept, partly map[string]bool, f *findings) {
	states, bodies := keySet(tx, bucketStates, partly), keySet(tx, bucketBodies, partly)
	same(f, "alerts and texts", states, bodies)
	for k := range states {
		if !kept[k[:len(k)-seqLength]] {
			f.add("alert %x belongs to no incident", k)
		}
	}
	orphans := keySet(tx, bucketOrphans, nil)
	for k := range keySet(tx, bucketOrphanBodies, nil) {
		if !orphans[k] {
			f.add("text %x belongs to no alert", k)
		}
	}
}

func keySet(tx *bbolt.Tx, b bucketID, without map[string]bool) map[string]bool {
	keys := make(map[string]bool)
	for _, r := range recordsOf(tx, b) {
		if len(without) == 0 || !without[string(r.key[:len(r.key)-seqLength])] {
			keys[string(r.key)] = true
		}
	}
	return keys
}

// checkEvents walks the chain of every incident, and looks for events that
// should be in one and are not.
func checkEvents(tx *bbolt.Tx, last map[string]uint64, f *findings) error {
	events := bucketEvents.of(tx)
	first, chained := make(map[string]uint64, len(last)), make(map[string]int, len(last))
	for id, seq := range last {
		for seq != 0 {
			r, err := readEvent(events, seq)
			if err != nil {
				f.add("chain of incident %s: %w", id, err)
				break
			}
			if r.Incident != id || r.Seq != seq {
				f.add("chain of incident %s: event %d says that it is %d of %s", id, seq, r.Seq, r.Incident)
			}
			first[id], seq = seq, r.Prev
			chained[id]++
		}
	}
	logged := make(map[string]int, len(last))
	for _, r := range recordsOf(tx, bucketEvents) {
		if isLink(r.key) {
			continue
		}
		var e eventRecord
		if err := decode("event", r.key, r.value, &e); err != nil {
			return err
		}
		// Events from before the incident existed are in no chain.
		if seq := binary.BigEndian.Uint64(r.key); first[e.Incident] != 0 && seq >= first[e.Incident] {
			logged[e.Incident]++
		}
	}
	maps.DeleteFunc(chained, func(_ string, n int) bool { return n == 0 })
	same(f, "events of incidents", chained, logged)
	return nil
}
