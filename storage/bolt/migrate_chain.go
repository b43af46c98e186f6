package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// addChain makes the chain of a file from before there was one: its events are
// put on it as they are found, and an event of kind "log" says so, and which
// numbers are missing.
func addChain(tx *bbolt.Tx) error {
	events := tx.Bucket([]byte("events"))
	if events.Sequence() == 0 {
		return nil
	}
	m := chaining{next: 1}
	c := events.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		m.add(binary.BigEndian.Uint64(k), v)
	}
	seq := max(events.Sequence()+1, m.next)
	first, err := m.genesis(seq)
	if err != nil {
		return err
	}
	m.add(seq, first)
	if err := events.Put(binary.BigEndian.AppendUint64(nil, seq), first); err != nil {
		return err
	}
	for _, r := range m.records {
		if err := events.Put(append(binary.BigEndian.AppendUint64(nil, r.first-1), 1), r.value); err != nil {
			return err
		}
	}
	return events.SetSequence(seq)
}

// chainingRun is how many events a record of the chain gets.
const chainingRun = 256

// chaining puts events on a chain.
type chaining struct {
	head [sha256.Size]byte
	// next is the number of the next event, count how many there were.
	next, count uint64
	records     []chained
	missing     []string
}

// chained is a record of the chain.
type chained struct {
	first uint64
	value []byte
}

func (m *chaining) add(seq uint64, event []byte) {
	if seq > m.next {
		m.missing = append(m.missing, fmt.Sprintf("%d-%d", m.next, seq-1))
	}
	last := len(m.records) - 1
	if last < 0 || seq != m.next || len(m.records[last].value) > chainingRun*sha256.Size {
		m.records = append(m.records, chained{seq, bytes.Clone(m.head[:])})
		last++
	}
	digest := sha256.Sum256(event)
	m.head = sha256.Sum256(append(m.head[:], digest[:]...))
	m.records[last].value = append(m.records[last].value, digest[:]...)
	m.next, m.count = seq+1, m.count+1
}

// genesis is the event that says that the chain begins.
func (m *chaining) genesis(seq uint64) ([]byte, error) {
	missing := m.missing
	if seq > m.next {
		missing = append(missing, fmt.Sprintf("%d-%d", m.next, seq-1))
	}
	after, err := json.Marshal(map[string]string{"dropped": strings.Join(missing, ","), "head": fmt.Sprintf("%x", m.head)})
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Seq   uint64    `json:"seq"`
		Kind  string    `json:"kind"`
		At    time.Time `json:"at"`
		Text  string    `json:"text"`
		After string    `json:"after"`
	}{seq, "log", time.Now().UTC(), fmt.Sprintf(
		"The audit log begins: the %d events from before it were put on the chain as they were found", m.count), string(after)})
}
