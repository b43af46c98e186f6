package bolt

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// FileName is the name of the bbolt file in the store's folder.
const FileName = "tocsin.db"

// bucketID numbers the buckets, in the order in which a commit writes them.
type bucketID uint8

const (
	bucketIncidents bucketID = iota
	bucketArchive
	bucketStates
	bucketBodies
	bucketOrphans
	bucketOrphanBodies
	bucketEvents
	bucketSilences
	bucketPurging
	bucketDocuments
	bucketMeta
	bucketCount
)

func (b bucketID) String() string {
	return [bucketCount]string{
		"incidents", "archive", "states", "bodies", "orphans", "orphanbodies",
		"events", "silences", "purging", "documents", "meta",
	}[b]
}

// fill is how full a page is left when it is split: append-only buckets have
// theirs full; incidents grow as they are delivered, and need room to.
func (b bucketID) fill() float64 {
	switch b {
	case bucketEvents, bucketBodies:
		return 1
	case bucketStates:
		return 0.9
	case bucketIncidents, bucketArchive:
		return 0.75
	default:
		return bbolt.DefaultFillPercent
	}
}

// of returns the bucket in tx. It exists in every file that was opened.
func (b bucketID) of(tx *bbolt.Tx) *bbolt.Bucket {
	bucket := tx.Bucket([]byte(b.String()))
	bucket.FillPercent = b.fill()
	return bucket
}

const (
	// maxID is the longest ID of an incident, a silence or a document, and the
	// longest kind of a document, in bytes.
	maxID = 256
	// openedLength is the length of the part of a key that orders incidents.
	openedLength = 8
	seqLength    = 4
)

// openedAt is an incident's time of opening as its disk key orders it. Times
// outside the years 1678 to 2262 wrap around; they still make a valid key.
func openedAt(t time.Time) uint64 { return uint64(t.UnixNano()) ^ 1<<63 }

// appendIncidentKey appends the disk key of an incident.
func appendIncidentKey(b []byte, opened uint64, id string) []byte {
	return append(binary.BigEndian.AppendUint64(b, opened), id...)
}

// parseIncidentKey is the reverse of appendIncidentKey.
func parseIncidentKey(k []byte) (opened uint64, id string, err error) {
	if len(k) <= openedLength {
		return 0, "", fmt.Errorf("incident key %x is too short", k)
	}
	return binary.BigEndian.Uint64(k), string(k[openedLength:]), nil
}

// appendAlertKey appends the disk key of an alert of an incident.
func appendAlertKey(b []byte, opened uint64, id string, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(appendIncidentKey(b, opened, id), seq)
}

// appendEventKey appends the disk key of an event.
func appendEventKey(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

func eventKey(seq uint64) []byte { return appendEventKey(nil, seq) }

// incidentRecord is an incident on disk.
type incidentRecord struct {
	// Last is the Seq of the incident's last event; 0: it has none.
	Last uint64 `json:"lastEvent"`
	*tocsin.Incident
}

// eventRecord is an event on disk.
type eventRecord struct {
	// Prev is the Seq of the event before it in the same incident; 0: none.
	Prev uint64 `json:"prev"`
	tocsin.Event
}

// purgeRecord is what remains to be dropped of a purged incident: its Last is
// that of the last event that is still there.
type purgeRecord struct {
	Last uint64 `json:"lastEvent"`
}
