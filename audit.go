package tocsin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// AuditHash is the state of the audit log's chain after an event: SHA-256 of the
// state before it and of the SHA-256 of the event's bytes. Before the first event
// it is all zeros.
type AuditHash [sha256.Size]byte

// Next is the state after an event with these bytes.
func (h AuditHash) Next(event []byte) AuditHash { return h.Link(sha256.Sum256(event)) }

// Link is the state after an event whose bytes have this SHA-256.
func (h AuditHash) Link(digest [sha256.Size]byte) AuditHash {
	var both [2 * sha256.Size]byte
	copy(both[:], h[:])
	copy(both[sha256.Size:], digest[:])
	return sha256.Sum256(both[:])
}

// String writes the hash as 64 hexadecimal digits.
func (h AuditHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes what String does.
func (h AuditHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the reverse of MarshalText.
func (h *AuditHash) UnmarshalText(text []byte) error {
	if len(text) != 2*sha256.Size {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d", 2*sha256.Size, len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// AuditRecord is one line of the audit log: an event, or a mark. A mark says
// where the chain stood after an event that is not shown: one that the retention
// has dropped, or that an earlier file holds.
type AuditRecord struct {
	// Seq is the event's.
	Seq uint64
	// Hash is the state of the chain after the event.
	Hash AuditHash
	// Raw is the event as JSON, byte for byte as it was hashed; nil: a mark.
	Raw []byte
	// Digests, of a mark, are the SHA-256 of the events that are left out since the
	// record before it, one after the other: they lead from its hash to this one.
	// The first record of a log has none.
	Digests []byte
}

// IsMark reports whether the record is a mark.
func (r *AuditRecord) IsMark() bool { return r.Raw == nil }

// Event decodes the event; the zero Event for a mark.
func (r *AuditRecord) Event() (e Event, err error) {
	if r.IsMark() {
		return e, nil
	}
	if err := json.Unmarshal(r.Raw, &e); err != nil {
		return e, fmt.Errorf("audit record %d: %w", r.Seq, err)
	}
	return e, nil
}

// The forms of a line: {"hash":"…","event":{…}}, {"hash":"…","seq":12} and
// {"hash":"…","seq":12,"digests":"…"}.
var (
	lineHash  = []byte(`{"hash":"`)
	lineEvent = []byte(`","event":`)
	lineSeq   = []byte(`","seq":`)
	lineLost  = []byte(`,"digests":"`)
)

// errLine is why a line is not one of an audit log.
var errLine = errors.New(`it is no line of an audit log: want {"hash":"…","event":{…}} or {"hash":"…","seq":…}`)

// AppendLine appends the record as a line of JSON, with its line feed.
func (r *AuditRecord) AppendLine(b []byte) []byte {
	b = hex.AppendEncode(append(b, lineHash...), r.Hash[:])
	if r.IsMark() {
		b = strconv.AppendUint(append(b, lineSeq...), r.Seq, 10)
		if len(r.Digests) > 0 {
			b = append(hex.AppendEncode(append(b, lineLost...), r.Digests), '"')
		}
	} else {
		b = append(append(b, lineEvent...), r.Raw...)
	}
	return append(b, '}', '\n')
}

// ParseAuditLine is the reverse of AppendLine. The line may lack its line feed;
// the record shares its memory.
func ParseAuditLine(line []byte) (r AuditRecord, err error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, lineHash)
	body, closed := bytes.CutSuffix(rest, []byte("}"))
	if !ok || !closed || len(body) < 2*sha256.Size {
		return r, errLine
	}
	if err := r.Hash.UnmarshalText(body[:2*sha256.Size]); err != nil {
		return r, fmt.Errorf("%w: %w", errLine, err)
	}
	body = body[2*sha256.Size:]
	if rest, is := bytes.CutPrefix(body, lineSeq); is {
		return r, r.parseMark(rest)
	}
	raw, is := bytes.CutPrefix(body, lineEvent)
	var e struct {
		Seq uint64 `json:"seq"`
	}
	if !is || json.Unmarshal(raw, &e) != nil || e.Seq == 0 {
		return r, errLine
	}
	r.Seq, r.Raw = e.Seq, raw
	return r, nil
}

// parseMark reads what follows on "seq": in the line of a mark.
func (r *AuditRecord) parseMark(rest []byte) (err error) {
	seq, digests, has := bytes.Cut(rest, lineLost)
	if r.Seq, err = strconv.ParseUint(string(seq), 10, 64); err != nil || r.Seq == 0 {
		return errLine
	}
	if !has {
		return nil
	}
	digests, closed := bytes.CutSuffix(digests, []byte(`"`))
	r.Digests, err = hex.AppendDecode(nil, digests)
	if err != nil || !closed || len(r.Digests) == 0 || len(r.Digests)%sha256.Size != 0 {
		return errLine
	}
	return nil
}

// AuditFilter selects from the audit log. Its zero value selects everything.
type AuditFilter struct {
	// Actor and Kind: equal to the event's; empty: any.
	Actor string
	Kind  EventKind
	// Since and Until bound Event.At: not before, before; zero: no bound.
	Since, Until time.Time
}

// IsZero reports whether the filter selects everything. What another one selects
// cannot be verified: records are missing in it.
func (f AuditFilter) IsZero() bool { return f == AuditFilter{} }

// Selects reports whether the filter selects the event.
func (f AuditFilter) Selects(e *Event) bool {
	return (f.Actor == "" || f.Actor == e.Actor) && (f.Kind == "" || f.Kind == e.Kind) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) && (f.Until.IsZero() || e.At.Before(f.Until))
}
