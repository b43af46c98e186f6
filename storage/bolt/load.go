package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
)

// record is a key and a value of a bucket, in bbolt's memory.
type record struct{ key, value []byte }

// load reads what is kept in memory. It decodes incidents and alerts on all
// cores. Alerts that were last seen before now count as seen now.
func load(db *bbolt.DB, now time.Time) (m *memory, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverDamage(&err)
	err = db.View(func(tx *bbolt.Tx) error {
		records := recordsOf(tx, bucketIncidents)
		chunks := split(records, max(1, min(4*runtime.GOMAXPROCS(0), len(records)/64)))
		loaded := make([][]*entry, len(chunks))
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for n, c := range chunks {
			g.Go(func() (err error) {
				loaded[n], err = loadEntries(db, c, now.UTC())
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		m = newMemory(len(records))
		for _, entries := range loaded {
			m.adopt(entries)
		}
		return m.loadRest(tx, now.UTC())
	})
	return m, err
}

func recordsOf(tx *bbolt.Tx, b bucketID) []record {
	var records []record
	c := b.of(tx).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		records = append(records, record{k, v})
	}
	return records
}

func split(records []record, n int) [][]record {
	var chunks [][]record
	for i := range n {
		chunks = append(chunks, records[i*len(records)/n:(i+1)*len(records)/n])
	}
	return chunks
}

// loadEntries decodes incidents, in the order of their keys, and their alerts.
// It reads in a transaction of its own, since bbolt's are not for many
// goroutines.
func loadEntries(db *bbolt.DB, records []record, now time.Time) (entries []*entry, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recoverDamage(&err)
	err = db.View(func(tx *bbolt.Tx) error {
		states := bucketStates.of(tx).Cursor()
		known := make(interner)
		var k, v []byte
		for n, r := range records {
			e, err := loadEntry(r, known)
			if err != nil {
				return err
			}
			entries = append(entries, e)
			if n == 0 || k != nil && bytes.Compare(k, r.key) < 0 {
				k, v = states.Seek(r.key)
			}
			for ; belongs(k, r.key); k, v = states.Next() {
				if err := e.loadAlert(k, v, known, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return entries, err
}

// belongs reports whether k is the key of an alert of the incident with key
// incident.
func belongs(k, incident []byte) bool {
	return len(k) == len(incident)+seqLength && bytes.HasPrefix(k, incident)
}

func loadEntry(r record, known interner) (*entry, error) {
	rec, err := decodeIncident(r.key, r.value)
	if err != nil {
		return nil, err
	}
	known.incident(rec.Incident)
	return &entry{inc: canonIncident(rec.Incident), opened: binary.BigEndian.Uint64(r.key), last: rec.Last}, nil
}

func (e *entry) loadAlert(k, v []byte, known interner, now time.Time) error {
	a := &alert{entry: e}
	if err := decode("alert state", k, v, &a.state); err != nil {
		return err
	}
	seq := binary.BigEndian.Uint32(k[len(k)-seqLength:])
	if a.state.Seq != seq || a.state.Incident != e.inc.ID || seq == 0 || seq > e.inc.Alerts {
		return fmt.Errorf("alert state %x is damaged: it says that it is alert %d of incident %s", k, a.state.Seq, a.state.Incident)
	}
	a.state.Incident = e.inc.ID
	known.state(&a.state, now)
	if e.alerts == nil {
		e.alerts = make([]*alert, 0, e.inc.Alerts)
	}
	e.attach(a, seq)
	e.fires.set(int(seq-1), a.state.Firing)
	e.firing += uint32(b2i(a.state.Firing))
	return nil
}

// adopt adds loaded entries, which are in order, to an empty memory.
func (m *memory) adopt(entries []*entry) {
	for _, e := range entries {
		m.live[e.inc.ID] = e
		m.order = append(m.order, e)
		m.tally(e.inc, 1)
		if !e.inc.Group.IsZero() {
			m.groups[e.inc.Group] = e
		}
		m.setLagging(e, lags(e.inc))
		m.setDeadline(e, e.inc.Deadline())
		m.known += int(e.count)
		m.firing += int(e.firing)
		for _, a := range e.alerts {
			if a != nil {
				m.alerts[a.state.ID] = a
				m.index.move(a, tocsin.AlertState{}, &a.state)
			}
		}
	}
}

// loadRest reads orphans, silences, the keys of archived incidents, the last
// event's number, where the chain stands and the documents.
func (m *memory) loadRest(tx *bbolt.Tx, now time.Time) error {
	known := make(interner)
	for _, r := range recordsOf(tx, bucketOrphans) {
		a := &alert{}
		if err := decode("alert state", r.key, r.value, &a.state); err != nil {
			return err
		}
		known.state(&a.state, now)
		m.alerts[a.state.ID] = a
		m.known++
		m.firing += b2i(a.state.Firing)
		m.index.move(a, tocsin.AlertState{}, &a.state)
	}
	for _, r := range recordsOf(tx, bucketSilences) {
		var s tocsin.Silence
		if err := decode("silence", r.key, r.value, &s); err != nil {
			return err
		}
		m.silences = append(m.silences, s)
	}
	c := bucketArchive.of(tx).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		opened, id, err := parseIncidentKey(k)
		if err != nil {
			return err
		}
		m.archived[id] = opened
	}
	m.loadChain(tx)
	// At random, so that a store that is opened again in the same process does
	// not give a version that the process has seen for something else.
	return m.loadDocuments(tx, rand.Uint64()>>1) //nolint:gosec // it need not be secret
}

// interner shares equal strings among what is loaded: most incidents have the
// same few receivers, targets and routes.
type interner map[string]string

// internMost bounds an interner: what differs everywhere need not be kept.
const internMost = 4096

func (in interner) string(s *string) {
	if known, ok := in[*s]; ok {
		*s = known
	} else if len(in) < internMost && *s != "" {
		*s = strings.Clone(*s)
		in[*s] = *s
	}
}

func (in interner) incident(i *tocsin.Incident) {
	in.string((*string)(&i.State))
	in.string((*string)(&i.Severity))
	in.string((*string)(&i.Kind))
	for _, s := range []*string{&i.Route, &i.Runbook, &i.AcknowledgedBy, &i.ResolvedBy} {
		in.string(s)
	}
	for n := range i.Receivers {
		in.string(&i.Receivers[n])
	}
	for n := range i.GroupBy {
		in.string(&i.GroupBy[n])
	}
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		for _, s := range []*string{&d.Target, &d.User, &d.Mention} {
			in.string(s)
		}
		in.string((*string)(&d.State))
		in.string((*string)(&d.Severity))
		in.string(&d.Error)
	}
	in.suppression(i.Suppression)
	in.escalation(i.Escalation)
	in.progress(i.Progress)
}

func (in interner) progress(p *tocsin.Progress) {
	if p == nil {
		return
	}
	in.string(&p.Version)
	for n := range p.Steps {
		s := &p.Steps[n]
		in.string((*string)(&s.Status))
		for _, text := range []*string{&s.Step, &s.Text, &s.By, &s.Via} {
			in.string(text)
		}
	}
}

func (in interner) escalation(e *tocsin.Escalation) {
	if e == nil {
		return
	}
	for n := range e.Runs {
		in.string(&e.Runs[n].Policy)
		in.string(&e.Runs[n].Plan)
	}
	for n := range e.Calls {
		in.string(&e.Calls[n].User)
		in.string(&e.Calls[n].Target)
	}
	for n := range e.Responders {
		in.string(&e.Responders[n].User)
	}
}

func (in interner) state(s *tocsin.AlertState, now time.Time) {
	canonState(s)
	in.string((*string)(&s.Severity))
	in.suppression(s.Suppression)
	if s.SeenAt.Before(now) {
		s.SeenAt = now
	}
}

func (in interner) suppression(s *tocsin.Suppression) {
	if s != nil {
		in.string(&s.Reason)
		in.string(&s.By)
		in.string(&s.Text)
	}
}
