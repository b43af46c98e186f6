package remediation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// The kinds of documents. Their contents are the engine's own.
const (
	// KindRecord holds one document for each remediation.
	KindRecord = "remediation"
	// KindOutput holds what their commands wrote.
	KindOutput = "remediation-output"
	// KindSwitch holds the kill switch: of a remedy by its name, of all by "all".
	KindSwitch = "remediation-switch"
)

// record is a remediation as it is kept.
type record struct {
	tocsin.Remediation
	// Key tells what it is for: incident, times reopened, remedy, target.
	Key      tocsin.Key `json:"key"`
	Reopened uint32     `json:"reopened,omitempty"`
	// Alert filled the parameters: while it does not fire, nothing is started.
	Alert tocsin.Key `json:"alert"`
	// Digest of the remedy as it was when it was proposed.
	Digest string `json:"digest,omitempty"`
	// Fit of the remedy then: the alerts that it was for.
	Fit string `json:"fit,omitempty"`
	// Input is what the command reads, until it has ended.
	Input string `json:"input,omitempty"`
	// Round counts how often it was asked for anew, or set to run once more.
	Round int `json:"round,omitempty"`
	// Starts are when it was executed: once, or twice where that does no harm.
	Starts []time.Time `json:"starts,omitempty"`
	// Owner carries it, and will until Until unless it says so again.
	Owner string    `json:"owner,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// VerifyUntil is when the last question whether it has helped is asked.
	VerifyUntil time.Time `json:"verifyUntil,omitzero"`
	// Killed names who has stopped what runs.
	Killed string `json:"killed,omitempty"`
	// Page is a page that is owed; nil: none is.
	Page *page `json:"page,omitempty"`
}

// page is what a person is to be told.
type page struct {
	Key   string `json:"key"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// loose reports whether nobody carries it. A lease is never given for longer than
// lease: one that ends much later was written before a clock was put back.
func (r *record) loose(now time.Time) bool {
	return !now.Before(r.Until) || r.Until.Sub(now) > 2*lease
}

// maxLog bounds what is kept of a remediation's life.
const maxLog = 64

func (r *record) note(by, text string, now time.Time) {
	r.Log = append(slices.Clip(r.Log), tocsin.RemediationEntry{At: now, State: r.State, By: by, Text: text})
	if n := len(r.Log) - maxLog; n > 0 {
		r.Log = slices.Delete(slices.Clone(r.Log), 0, n)
	}
}

func (r *record) clone() *record {
	c := *r
	c.Approvals, c.Log, c.Starts = slices.Clone(r.Approvals), slices.Clone(r.Log), slices.Clone(r.Starts)
	return &c
}

// title is "restart-node on node-3".
func (r *record) title() string {
	if r.Target == "" {
		return r.Remedy
	}
	return r.Remedy + " on " + r.Target
}

// active reports whether something of it is being executed or looked at.
func (r *record) active() bool { return r.State.Ran() && !r.State.Final() }

// identity is what there is at most one remediation for.
func identity(incident string, reopened uint32, remedy, target string) tocsin.Key {
	return tocsin.NewKey("remediation", incident, strconv.FormatUint(uint64(reopened), 10), remedy, target)
}

// locate returns the remediation for an identity, or nil and the ID that it would
// have: short, for people to type.
func locate(find func(id string) (*record, error), incident string, key tocsin.Key) (string, *record, error) {
	for n := 0; ; n++ {
		id := incident + "-" + tocsin.Seed(key).ID(n)
		r, err := find(id)
		if err != nil || r == nil || r.Key == key {
			return id, r, err
		}
	}
}

// index is the remediations of a moment, by ID, decoded. It is never changed.
type index struct {
	docs    []tocsin.Document
	records []*record
	// bad is why one of them cannot be read; nil: all can.
	bad error
}

func (x *index) find(id string) *record {
	at, found := slices.BinarySearchFunc(x.docs, id, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
	if !found {
		return nil
	}
	return x.records[at]
}

// each yields those that can be read.
func (x *index) each(yield func(*record) bool) {
	for _, r := range x.records {
		if r != nil && !yield(r) {
			return
		}
	}
}

// decoder keeps what it has decoded: of five thousand remediations, one has
// changed since the last time.
type decoder struct {
	mu      sync.Mutex
	version uint64
	last    *index
}

func (d *decoder) index(docs []tocsin.Document, version uint64) *index {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil && d.version == version {
		return d.last
	}
	old := d.last
	if old == nil {
		old = &index{}
	}
	x := &index{docs: docs, records: make([]*record, len(docs))}
	at := 0
	for i := range docs {
		for at < len(old.docs) && old.docs[at].ID < docs[i].ID {
			at++
		}
		if at < len(old.docs) && old.docs[at].ID == docs[i].ID && same(old.docs[at].Value, docs[i].Value) {
			x.records[i] = old.records[at]
		} else {
			x.records[i] = new(record)
			if err := json.Unmarshal(docs[i].Value, x.records[i]); err != nil {
				x.records[i] = nil
			}
		}
		if x.records[i] == nil && x.bad == nil {
			x.bad = fmt.Errorf("remediation %s cannot be read, so nothing can be counted; restore it, or upgrade", docs[i].ID)
		}
	}
	d.version, d.last = version, x
	return x
}

// same reports whether two documents are the same one; the store shares what has
// not changed.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
