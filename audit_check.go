package tocsin

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// SeqRange is a run of events by their Seq, both ends included.
type SeqRange struct{ First, Last uint64 }

// SeqRanges are runs of events, in order, that neither touch nor overlap. Do not
// change one that others hold.
type SeqRanges []SeqRange

// Union returns the runs of both.
func (s SeqRanges) Union(other SeqRanges) SeqRanges {
	all := slices.Concat(s, other)
	slices.SortFunc(all, func(a, b SeqRange) int { return cmp.Compare(a.First, b.First) })
	var out SeqRanges
	for _, r := range all {
		if n := len(out); n > 0 && (out[n-1].Last == math.MaxUint64 || r.First <= out[n-1].Last+1) {
			out[n-1].Last = max(out[n-1].Last, r.Last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// Missing returns the first number of r that is in none of the runs; 0: all are.
func (s SeqRanges) Missing(r SeqRange) uint64 {
	at, _ := slices.BinarySearchFunc(s, r.First, func(have SeqRange, first uint64) int { return cmp.Compare(have.Last, first) })
	switch {
	case at == len(s) || s[at].First > r.First:
		return r.First
	case s[at].Last < r.Last:
		return s[at].Last + 1
	}
	return 0
}

// String writes them as in 1-17,21.
func (s SeqRanges) String() string {
	var b []byte
	for n, r := range s {
		if n > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, r.First, 10)
		if r.Last > r.First {
			b = strconv.AppendUint(append(b, '-'), r.Last, 10)
		}
	}
	return string(b)
}

// ParseSeqRanges is the reverse of SeqRanges.String.
func ParseSeqRanges(text string) (SeqRanges, error) {
	var out SeqRanges
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		first, last, isRun := strings.Cut(part, "-")
		if !isRun {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 64)
		b, errB := strconv.ParseUint(last, 10, 64)
		if errA != nil || errB != nil || a == 0 || b < a {
			return nil, fmt.Errorf("%q is no run of events", part)
		}
		out = append(out, SeqRange{a, b})
	}
	return out.Union(nil), nil
}

// AuditClaim is what an event of kind EventLog says in After, as JSON.
type AuditClaim struct {
	// Dropped are the events that are gone, as SeqRanges.String writes them: those
	// dropped now, and those that earlier claims named which are dropped with them.
	Dropped string `json:"dropped,omitempty"`
	// Head is the state of the chain before this event.
	Head AuditHash `json:"head"`
}

// ClaimOf returns what an event claims; nil for one of another kind.
func ClaimOf(e *Event) (*AuditClaim, SeqRanges, error) {
	if e.Kind != EventLog {
		return nil, nil, nil
	}
	var c AuditClaim
	if err := json.Unmarshal([]byte(e.After), &c); err != nil {
		return nil, nil, fmt.Errorf("event %d says nothing of the log that can be read: %w", e.Seq, err)
	}
	dropped, err := ParseSeqRanges(c.Dropped)
	return &c, dropped, err
}

// AuditReport is what verifying an audit log found. It is JSON for the API.
type AuditReport struct {
	// OK is true when everything fits.
	OK bool `json:"ok"`
	// Records counts the events, Dropped those that are gone and were said to be.
	Records uint64 `json:"records"`
	Dropped uint64 `json:"dropped"`
	// First and Last are the Seq of the first and of the last event; 0: none.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Head is the state of the chain at the end.
	Head AuditHash `json:"head"`
	// SoughtAt is the Seq of the record that AuditCheck.Sought was the head at.
	SoughtAt uint64 `json:"soughtAt,omitempty"`
	// At is the Seq of the first record that does not fit, Problem says why.
	At      uint64 `json:"at,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// AuditCheck verifies records in their order. Its zero value is for a log that
// may begin anywhere; it is used by one goroutine.
type AuditCheck struct {
	// Whole: what is missing at the beginning was dropped too, not left in another
	// file.
	Whole bool
	// Sought, unless zero, is a head that was written down before: a log that never
	// had it does not verify.
	Sought AuditHash

	report  AuditReport
	seq     uint64
	begun   bool
	gaps    []SeqRange
	claimed SeqRanges
}

// Add verifies the next record against those before it. After an error there is
// nothing to add.
func (c *AuditCheck) Add(r AuditRecord) error {
	if c.report.Problem == "" {
		c.add(&r)
	}
	if c.report.Problem != "" {
		return fmt.Errorf("record %d does not fit: %s", c.report.At, c.report.Problem)
	}
	return nil
}

func (c *AuditCheck) add(r *AuditRecord) {
	switch {
	case r.IsMark():
		c.mark(r)
	case c.begun && r.Seq != c.seq+1:
		c.fail(r.Seq, "it comes after record %d", c.seq)
	case !c.begun && r.Seq != 1:
		c.fail(r.Seq, "the log does not begin with record 1, and no mark says where the chain stood before it")
	case c.report.Head.Next(r.Raw) != r.Hash:
		c.fail(r.Seq, "its hash is not that of the record before it and of its own bytes: one of the two was changed")
	default:
		c.event(r)
	}
	c.begun = true
}

// mark goes on from where the chain stood.
func (c *AuditCheck) mark(r *AuditRecord) {
	switch left := uint64(len(r.Digests) / sha256.Size); {
	case c.begun && r.Seq < c.seq:
		c.fail(r.Seq, "the log goes back to it from record %d", c.seq)
		return
	case c.begun && (left > r.Seq-c.seq || r.follow(c.report.Head) != r.Hash):
		c.fail(r.Seq, "the log goes on from another hash than the record before it ends with")
		return
	case r.Seq > c.seq && (c.begun || c.Whole):
		c.gaps = append(c.gaps, SeqRange{c.seq + 1, r.Seq})
		c.report.Dropped += r.Seq - c.seq
	}
	c.seq = r.Seq
	c.stand(r.Hash)
}

// stand notes where the chain stands after record c.seq.
func (c *AuditCheck) stand(h AuditHash) {
	c.report.Head = h
	if c.Sought != (AuditHash{}) && h == c.Sought {
		c.report.SoughtAt = c.seq
	}
}

// follow returns where a mark leads from a state of the chain.
func (r *AuditRecord) follow(h AuditHash) AuditHash {
	for digest := range slices.Chunk(r.Digests, sha256.Size) {
		h = h.Link([sha256.Size]byte(digest))
	}
	return h
}

func (c *AuditCheck) event(r *AuditRecord) {
	e, err := r.Event()
	if err != nil || e.Seq != r.Seq {
		c.fail(r.Seq, "it is not the JSON of that event")
		return
	}
	claim, dropped, err := ClaimOf(&e)
	if err != nil {
		c.fail(r.Seq, "%s", err)
		return
	}
	if claim != nil {
		if claim.Head != c.report.Head {
			c.fail(r.Seq, "it says that the chain stood at %s before it, which is not so: what was dropped before it hides a change", claim.Head)
			return
		}
		c.claimed = c.claimed.Union(dropped)
	}
	if c.report.Records == 0 {
		c.report.First = r.Seq
	}
	c.report.Records++
	c.report.Last, c.seq = r.Seq, r.Seq
	c.stand(r.Hash)
}

func (c *AuditCheck) fail(seq uint64, format string, args ...any) {
	c.report.At, c.report.Problem = seq, fmt.Sprintf(format, args...)
}

// Report says what was found. It may be asked at any time; a gap that a later
// record would account for does not fit yet.
func (c *AuditCheck) Report() AuditReport {
	r := c.report
	for _, gap := range c.gaps {
		if r.Problem != "" {
			break
		}
		if missing := c.claimed.Missing(gap); missing != 0 {
			r.At, r.Problem = missing, "it is missing, and no record says that the retention dropped it"
		}
	}
	if r.Problem == "" && c.Sought != (AuditHash{}) && r.SoughtAt == 0 {
		r.At, r.Problem = r.First, "no record from here on ends with the hash that was asked for: the log was changed since, or begins after that by now"
	}
	r.OK = r.Problem == ""
	return r
}
