package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// A link is a record of the chain: for a run of events that one commit wrote,
// where the chain stood before the first of them, and the SHA-256 of each. It is
// in the bucket of the events, right before them. At the beginning of the log, a
// link whose events were all dropped is dropped too: the next one says where the
// chain stands.
type link struct {
	first  uint64
	before tocsin.AuditHash
	// digests are those of the events, one after the other.
	digests []byte
}

const digestLength = sha256.Size

// linkMark ends the key of a link: it comes after the event before it, and before
// its own.
const linkMark = 1

// isLink tells the keys of links from those of events.
func isLink(k []byte) bool { return len(k) == 9 && k[8] == linkMark }

func appendLinkKey(b []byte, first uint64) []byte {
	return append(appendEventKey(b, first-1), linkMark)
}

// parseLink reads a record of the chain; it shares the memory.
func parseLink(k, v []byte) (l link, err error) {
	if len(v) < 2*digestLength || len(v)%digestLength != 0 {
		return l, fmt.Errorf("record %x of the chain is damaged: it has %d bytes", k, len(v))
	}
	l.first, l.digests = binary.BigEndian.Uint64(k)+1, v[digestLength:]
	copy(l.before[:], v)
	return l, nil
}

func (l *link) count() uint64 { return uint64(len(l.digests) / digestLength) }

// last is the Seq of the last event.
func (l *link) last() uint64 { return l.first + l.count() - 1 }

// digest is that of the n-th event, counted from 0.
func (l *link) digest(n uint64) (d [digestLength]byte) {
	copy(d[:], l.digests[n*digestLength:])
	return d
}

// after is where the chain stands after the last event.
func (l *link) after() tocsin.AuditHash {
	h := l.before
	for n := range l.count() {
		h = h.Link(l.digest(n))
	}
	return h
}

// chainEvents adds the batch's events to the chain. What an event's bytes are is
// settled by then: they are the value that is written.
func (c *committer) chainEvents() {
	c.batch.head = c.s.mem.head
	if c.batch.events == 0 {
		return
	}
	arena := append(c.enc.arena, c.batch.head[:]...)
	for n := range c.batch.writes {
		w := &c.batch.writes[n]
		if w.bucket != bucketEvents {
			continue
		}
		digest := sha256.Sum256(w.value)
		c.batch.head = c.batch.head.Link(digest)
		arena = append(arena, digest[:]...)
	}
	value := c.enc.keep(arena)
	c.batch.writes = append(c.batch.writes, write{bucketEvents, c.enc.keep(appendLinkKey(c.enc.arena, c.s.mem.seq+1)), value})
}

// loadChain reads where the chain stands. A chain that is damaged, or that does
// not reach to the last event, is no reason not to page: it is logged, and Verify
// finds it.
func (m *memory) loadChain(tx *bbolt.Tx) {
	events := bucketEvents.of(tx)
	m.seq = events.Sequence()
	k, v := linkBefore(events.Cursor(), math.MaxUint64)
	if k == nil {
		m.unchained = m.seq > 0
		return
	}
	l, err := parseLink(k, v)
	if err != nil {
		m.unchained = true
		return
	}
	m.head, m.unchained = l.after(), l.last() != m.seq
	m.seq = max(m.seq, l.last())
}

// logged is an event of kind EventLog that a transaction of the store's own
// appends.
type logged struct {
	seq  uint64
	head tocsin.AuditHash
}

// appendLog appends an event of kind EventLog that claims that events are gone,
// after the event seq at which the chain stands at head.
func appendLog(tx *bbolt.Tx, after logged, at time.Time, text string, dropped tocsin.SeqRanges) (logged, error) {
	claim, err := json.Marshal(tocsin.AuditClaim{Dropped: dropped.String(), Head: after.head})
	if err != nil {
		return after, err
	}
	seq := after.seq + 1
	e := tocsin.Event{Seq: seq, Kind: tocsin.EventLog, At: at.UTC(), Text: text, After: string(claim)}
	value, err := newEncoder().event(0, &e)
	if err != nil {
		return after, err
	}
	digest := sha256.Sum256(value)
	events := bucketEvents.of(tx)
	if err := events.Put(eventKey(seq), value); err != nil {
		return after, err
	}
	if err := events.Put(appendLinkKey(nil, seq), slices.Concat(after.head[:], digest[:])); err != nil {
		return after, err
	}
	return logged{seq, after.head.Link(digest)}, events.SetSequence(seq)
}

// rangesOf returns the runs of numbers, which are in any order.
func rangesOf(seqs []uint64) tocsin.SeqRanges {
	runs := make(tocsin.SeqRanges, 0, len(seqs))
	for _, seq := range seqs {
		runs = append(runs, tocsin.SeqRange{First: seq, Last: seq})
	}
	return runs.Union(nil)
}

// linkBefore moves c to the link of the event seq, or where there is none, to the
// last one before it; nil: there is none.
func linkBefore(c *bbolt.Cursor, seq uint64) (k, v []byte) {
	if k, v = c.Seek(eventKey(seq)); k == nil {
		k, v = c.Last()
	}
	for k != nil && (!isLink(k) || binary.BigEndian.Uint64(k) >= seq) {
		k, v = c.Prev()
	}
	return k, v
}

// dropLinks drops the links at the beginning of which all events are gone. Those
// behind an event that is kept are kept: without them, nothing would hold it.
func dropLinks(events *bbolt.Bucket) error {
	var gone [][]byte
	c := events.Cursor()
	for k, v := c.First(); isLink(k); k, v = c.Next() {
		l, err := parseLink(k, v)
		if err != nil || anyOf(events, &l) {
			break // one that was changed, Verify finds
		}
		gone = append(gone, bytes.Clone(k))
	}
	return deleteAll(events, gone)
}

// anyOf reports whether one of a link's events is there.
func anyOf(events *bbolt.Bucket, l *link) bool {
	k, _ := events.Cursor().Seek(eventKey(l.first))
	return len(k) == 8 && binary.BigEndian.Uint64(k) <= l.last()
}
