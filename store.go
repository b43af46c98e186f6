package tocsin

import (
	"context"
	"iter"
	"time"
)

// Tx is what a decision sees and changes. Reads see the decision's own earlier
// writes. Nothing is visible to others until the transaction has committed, and
// then all of it is.
//
// A Tx is used by one goroutine, inside the function that was given to Update.
// That function may run more than once (a conflict, in a store that compares and
// sets): it must depend on nothing but the Tx and values fixed before, and
// change nothing else.
type Tx interface {
	Incidents
	Alerts
	Silences
	Documents
}

// Incidents is the part of a Tx that holds incidents and their timelines.
type Incidents interface {
	// Incident returns a copy to change, or nil where there is none. Incidents
	// that were archived are found too.
	Incident(id string) *Incident
	// ByGroup returns a copy of the live incident of a group, or nil. An
	// incident is live from PutIncident until Archive.
	ByGroup(group Key) *Incident
	// PutIncident writes an incident.
	PutIncident(*Incident)
	// Append writes events to the timelines of the incidents they name, in
	// order, and gives them their Seq.
	Append(events ...Event)
	// Archive takes a resolved incident out of the live ones: its group and its
	// alerts start afresh; it stays readable until the retention ends.
	Archive(id string)
}

// Alerts is the part of a Tx that holds what is known of alerts.
type Alerts interface {
	// Alert returns what is known of an alert of a live incident, or of one
	// that was only heard of as resolved.
	Alert(id Key) (AlertState, bool)
	// PutAlert writes the state, and the text too where alert is not nil. The
	// first PutAlert of an alert of an incident must bring the text.
	PutAlert(state AlertState, alert *Alert)
	// Observed notes SeenAt and Repeats in memory alone; they are written with
	// the alert's next change.
	Observed(state AlertState)
	// Indexed yields the states of the firing alerts that bear key in their
	// Index, in no order.
	Indexed(key Key) iter.Seq[AlertState]
	// Forget drops what is known of an alert that no incident holds.
	Forget(id Key)
}

// Silences is the part of a Tx that holds silences.
type Silences interface {
	// Silences returns all that are kept, expired ones too, by ID. The slice is
	// shared: do not change it.
	Silences() []Silence
	// PutSilence writes one.
	PutSilence(Silence)
	// DeleteSilence drops one.
	DeleteSilence(id string)
}

// Document is something small that is kept whole, as JSON.
type Document struct {
	ID    string
	Value []byte
}

// Documents is the part of a Tx that holds what is small, read whole and rarely
// written: overrides, frozen policies, what feeds last said. The bytes and the
// slices are shared: do not change them.
type Documents interface {
	// Documents returns all of a kind, by ID, and a version: it is another one
	// after every change to the kind, and never the same for two different
	// contents while the process runs.
	Documents(kind string) (docs []Document, version uint64)
	// Document returns one, or nil.
	Document(kind, id string) []byte
	// PutDocument writes one. Kinds and IDs are up to 256 bytes, without a zero
	// byte, and not empty.
	PutDocument(kind, id string, value []byte)
	// DeleteDocument drops one.
	DeleteDocument(kind, id string)
}

// Updater runs decisions. It is the one write path.
type Updater interface {
	// Update runs fn in a transaction and returns once the outcome is durable.
	// When fn returns an error, nothing is changed and that error comes back as
	// it is. When the change could not be made durable the error satisfies
	// errors.Is(err, ErrUnavailable): the change may or may not be seen later,
	// and doing it again is safe. When ctx ends before fn has run, nothing is
	// changed. Update does not wait longer than ctx allows.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Filter selects incidents to list. Its zero value selects the live ones.
type Filter struct {
	// States to list; empty: all.
	States []State
	// Archived also lists the incidents that were archived.
	Archived bool
	// Notices lists the notices only; they are not listed otherwise.
	Notices bool
	// Limit is the most to return; 0: 100.
	Limit int
	// OpenedBefore and BeforeID go on behind an incident that a list ended with: its
	// OpenedAt and its ID. Zero: from the newest.
	OpenedBefore time.Time
	BeforeID     string
	// Only reports whether to list an incident; nil: all. It must be quick, and not
	// call the store.
	Only func(*Incident) bool
}

// Reader answers questions. What it returns is committed; it is shared: do not
// change it.
type Reader interface {
	// Get returns an incident, live or archived, or ErrNotFound.
	Get(ctx context.Context, id string) (*Incident, error)
	// List returns incidents, the newest first.
	List(ctx context.Context, f Filter) ([]*Incident, error)
	// AlertsOf returns up to limit alerts of an incident with their states,
	// firing ones first, then by Seq.
	AlertsOf(ctx context.Context, id string, limit int) ([]AlertRecord, error)
	// Timeline returns the events of an incident with a Seq above after, at
	// most the limit newest, oldest first.
	Timeline(ctx context.Context, id string, after uint64, limit int) ([]Event, error)
	// Documents returns what Tx.Documents does.
	Documents(ctx context.Context, kind string) (docs []Document, version uint64, err error)
}

// AlertRecord is an alert's text and state together.
type AlertRecord struct {
	Alert
	State AlertState `json:"state"`
}

// Stats is what the store knows of itself, for metrics and for readiness.
type Stats struct {
	// Live counts the incidents held, Open those of them not resolved.
	Live, Open int
	// Alerts counts the alert states held; Firing those that fire.
	Alerts, Firing int
	// Lagging counts deliveries that lag; OldestLag is when the first of them
	// began to (zero: none does).
	Lagging   int
	OldestLag time.Time
	// Queue is the number of updates that wait for the committer.
	Queue int
	// Size is the size of the store in bytes.
	Size int64
	// Err is why the store takes no updates now; nil: it does.
	Err error
}
