package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/tocsin-oncall/tocsin"
)

// auditWalk goes through the events and their chain.
type auditWalk struct {
	after uint64
	emit  func(tocsin.AuditRecord) error
	// fault is told what does not fit together; the walk ends with its error, or
	// makes the best of it.
	fault func(seq uint64, problem string) error
	// The chain stands at hash after seq. told: that was emitted, or need not be;
	// gap has the digests of the events that were left out since.
	seq  uint64
	hash tocsin.AuditHash
	told bool
	gap  []byte
	// link is the present one; begun: there is one.
	link  link
	begun bool
}

// markDigests is how many digests a mark has at most.
const markDigests = 1000

const (
	problemStray = "it is not on the chain: somebody has put it in"
	problemBreak = "the chain goes on from another hash than the record before it ends with"
)

// run emits the records of the audit log with a Seq above w.after: the events, and
// a mark before each one that does not follow on another that was emitted; only
// the first event of all needs none. Where no event is left, it emits a mark.
func (w *auditWalk) run(events *bbolt.Bucket) error {
	w.told = true
	c := events.Cursor()
	k, v := linkBefore(c, w.after)
	if k == nil {
		k, v = c.First()
	}
	for ; k != nil; k, v = c.Next() {
		var err error
		if isLink(k) {
			err = w.enter(k, v)
		} else {
			err = w.event(k, v)
		}
		if err != nil {
			return err
		}
	}
	if err := w.advance(w.end()); err != nil {
		return err
	}
	return w.mark()
}

// mark emits where the chain stands, unless that is known.
func (w *auditWalk) mark() error {
	if w.told {
		return nil
	}
	r := tocsin.AuditRecord{Seq: w.seq, Hash: w.hash, Digests: w.gap}
	w.told, w.gap = true, nil
	return w.emit(r)
}

// end is the last event of the present link.
func (w *auditWalk) end() uint64 {
	if len(w.link.digests) == 0 {
		return 0
	}
	return w.link.last()
}

// advance goes over events of the present link that are not emitted.
func (w *auditWalk) advance(to uint64) error {
	for w.seq < to {
		if w.seq == w.after {
			if err := w.mark(); err != nil {
				return err
			}
		}
		digest := w.next()
		w.told = false
		if w.seq > w.after {
			w.gap = append(w.gap, digest...)
		}
		if len(w.gap) == markDigests*digestLength {
			if err := w.mark(); err != nil {
				return err
			}
		}
	}
	return nil
}

// next goes over the next event of the present link.
func (w *auditWalk) next() (digest []byte) {
	n := int(w.seq+1-w.link.first) * digestLength
	digest = w.link.digests[n : n+digestLength]
	w.hash = w.hash.Link([digestLength]byte(digest))
	w.seq++
	return digest
}

// enter begins with a link.
func (w *auditWalk) enter(k, v []byte) error {
	if err := w.advance(w.end()); err != nil {
		return err
	}
	l, err := parseLink(k, v)
	if err != nil {
		w.link.digests = nil
		return w.fault(w.seq+1, err.Error())
	}
	switch {
	case l.first <= w.seq:
		return w.fault(l.first, "two records of the chain speak of it")
	case !w.begun && l.first > 1 || l.first > w.seq+1:
		w.told = false
	}
	if l.before != w.hash && (w.begun || l.first == 1) {
		if err := w.fault(l.first, problemBreak); err != nil {
			return err
		}
	}
	w.link, w.seq, w.hash, w.begun = l, l.first-1, l.before, true
	return nil
}

// event emits an event of the present link.
func (w *auditWalk) event(k, v []byte) error {
	if len(k) != 8 {
		return w.fault(w.seq+1, fmt.Sprintf("there is a record %x before it, which is none of Tocsin's", k))
	}
	seq := binary.BigEndian.Uint64(k)
	if seq <= w.seq || seq > w.end() {
		return w.fault(seq, problemStray)
	}
	if seq <= w.after {
		return w.advance(seq)
	}
	if err := errors.Join(w.advance(seq-1), w.mark()); err != nil {
		return err
	}
	w.next()
	return w.emit(tocsin.AuditRecord{Seq: seq, Hash: w.hash, Raw: v})
}

// Audit returns up to limit records of the audit log with a Seq above after,
// oldest first. limit 0: 100. The first is a mark that says where the chain stands
// at after, or where it begins by now; there is none where after is 0 and it begins
// with the event 1. Other marks than the one at after count towards the limit.
func (s *Store) Audit(ctx context.Context, after uint64, limit int) ([]tocsin.AuditRecord, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	var records []tocsin.AuditRecord
	err := s.view(func(tx *bbolt.Tx) error {
		w := auditWalk{after: after, fault: func(uint64, string) error { return nil }, emit: func(r tocsin.AuditRecord) error {
			if len(records) == limit {
				return errEnough
			}
			if after > 0 && r.Seq == after {
				limit++
			}
			r.Raw = bytes.Clone(r.Raw)
			records = append(records, r)
			return ctx.Err()
		}}
		err := w.run(bucketEvents.of(tx))
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return records, err
}

// errEnough ends a walk.
var errEnough = errors.New("enough records")

// VerifyAudit verifies the whole audit log as it is at the moment. It reads all of
// it. sought, unless zero, is a head that was written down before. What does not
// fit is in the report; the error is for a log that could not be read.
func (s *Store) VerifyAudit(ctx context.Context, sought tocsin.AuditHash) (report tocsin.AuditReport, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		report, err = verifyAudit(ctx, tx, sought)
		return err
	})
	return report, err
}

// VerifyFile verifies the audit log in a store's file that no tocsin has open.
func VerifyFile(ctx context.Context, path string, sought tocsin.AuditHash) (report tocsin.AuditReport, err error) {
	err = readOnly(path, func(db *bbolt.DB) error {
		schema, err := schemaOf(db)
		if err != nil {
			return err
		}
		if schema != len(migrations())+1 {
			return fmt.Errorf("it is of schema %d, which has no audit log: tocsin serve makes one of it", schema)
		}
		return db.View(func(tx *bbolt.Tx) error {
			report, err = verifyAudit(ctx, tx, sought)
			return err
		})
	})
	return report, err
}

func verifyAudit(ctx context.Context, tx *bbolt.Tx, sought tocsin.AuditHash) (tocsin.AuditReport, error) {
	check := tocsin.AuditCheck{Whole: true, Sought: sought}
	w := auditWalk{
		fault: func(seq uint64, problem string) error { return &auditFault{seq, problem} },
		emit: func(r tocsin.AuditRecord) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return check.Add(r)
		},
	}
	err := w.run(bucketEvents.of(tx))
	report := check.Report()
	if ctx.Err() != nil {
		return report, ctx.Err()
	}
	var fault *auditFault
	switch {
	case errors.As(err, &fault):
		report.OK, report.At, report.Problem = false, fault.seq, fault.problem
	case report.OK && bucketEvents.of(tx).Sequence() > report.Last:
		report.OK, report.At = false, report.Last+1
		report.Problem = "it is missing: the log was cut off at its end"
	}
	return report, nil
}

// auditFault is what does not fit together.
type auditFault struct {
	seq     uint64
	problem string
}

func (f *auditFault) Error() string {
	return fmt.Sprintf("record %d does not fit: %s", f.seq, f.problem)
}
