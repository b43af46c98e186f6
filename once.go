package tocsin

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// OnceLife is how long a request is remembered that is to change something once.
const OnceLife = 24 * time.Hour

const (
	// onceKinds is over how many kinds of documents the requests are spread, by their
	// names: a kind is copied when it changes.
	onceKinds = 64
	// maxOnce bounds those that are remembered of a kind, some 10,000 in all, and
	// maxOnceOf those of one who asks, some 2,000 in all.
	maxOnce   = 160
	maxOnceOf = 32
)

// Made is a kind of thing that a request makes once.
type Made string

// The kinds of what is made once.
const (
	MadeIncident    Made = "incident"
	MadeSilence     Made = "silence"
	MadeOverride    Made = "override"
	MadeToken       Made = "token"
	MadeRemediation Made = "remediation"
)

// Once is a request that makes something once, however often it is sent, and
// whichever process gets it.
type Once struct {
	// Name tells it from all others: who asks, for what, and under which key.
	Name [32]byte
	// Who asks; each has a share of what is remembered.
	Who string
	// Body stands for what it says: under the same Name, that does not change.
	Body string
	// Makes is what it makes; what else is made on the way is none of its.
	Makes Made
}

type onceKey struct{}

// WithOnce returns a context for what is done because of o.
func WithOnce(ctx context.Context, o *Once) context.Context {
	return context.WithValue(ctx, onceKey{}, o)
}

// RepeatError is the error of a request that was done before. It satisfies
// errors.Is(err, ErrConflict).
type RepeatError struct {
	// Made and ID are what it made then; it may be gone.
	Made Made
	ID   string
	// Reused is true where the request says something else than it did then.
	Reused bool
}

// Error says what it made.
func (r *RepeatError) Error() string {
	if r.Reused {
		return fmt.Sprintf("%s: this was asked for before in other words, and made %s %s", ErrConflict, r.Made, r.ID)
	}
	return fmt.Sprintf("%s: it was done before, and made %s %s", ErrConflict, r.Made, r.ID)
}

// Is reports whether target is ErrConflict.
func (r *RepeatError) Is(target error) bool { return target == ErrConflict }

// onceRecord is the value of a document.
type onceRecord struct {
	Body string `json:"body,omitempty"`
	Made Made   `json:"made"`
	ID   string `json:"id"`
}

// Kind is the kind of the document that remembers o. Such documents' IDs begin with
// the time, so that the oldest are the first, and hold whose a request is and its
// name: none has to be decoded to be looked for or dropped.
func (o *Once) Kind() string { return fmt.Sprintf("once-%02x", o.Name[0]%onceKinds) }

// Before returns a *RepeatError where o was done before, as docs, those of its Kind,
// remember. A nil o never was.
func (o *Once) Before(docs []Document, now time.Time) error {
	if o == nil {
		return nil
	}
	name := o.suffix()
	for i := range docs {
		if !strings.HasSuffix(docs[i].ID, name) || outlived(docs[i].ID, now) {
			continue
		}
		var r onceRecord
		if err := json.Unmarshal(docs[i].Value, &r); err != nil {
			return fmt.Errorf("%s %s: %w", o.Kind(), docs[i].ID, err)
		}
		return &RepeatError{Made: r.Made, ID: r.ID, Reused: r.Body != o.Body}
	}
	return nil
}

// Again returns a *RepeatError where the request of ctx, which makes a made, was done
// before. Whoever makes one asks within the transaction, before anything else.
func Again(ctx context.Context, tx Documents, made Made, now time.Time) error {
	o := onceOf(ctx, made)
	if o == nil {
		return nil
	}
	docs, _ := tx.Documents(o.Kind())
	return o.Before(docs, now)
}

// Done remembers, within the transaction that makes it, that the request of ctx has
// made the one of that ID, and drops some that are remembered no longer.
func Done(ctx context.Context, tx Documents, made Made, id string, now time.Time) error {
	o := onceOf(ctx, made)
	if o == nil {
		return nil
	}
	value, err := json.Marshal(onceRecord{Body: o.Body, Made: made, ID: id})
	if err != nil {
		return err
	}
	docs, _ := tx.Documents(o.Kind())
	for _, gone := range o.forgotten(docs, now) {
		tx.DeleteDocument(o.Kind(), gone)
	}
	tx.PutDocument(o.Kind(), fmt.Sprintf("%0*x%s", onceDigits, max(0, now.Unix()), o.suffix()), value)
	return nil
}

func onceOf(ctx context.Context, made Made) *Once {
	if o, _ := ctx.Value(onceKey{}).(*Once); o != nil && o.Makes == made {
		return o
	}
	return nil
}

// onceDigits are those of the time, in hexadecimal seconds, that an ID begins with.
const onceDigits = 9

// suffix is what the ID ends with: whose it is, which is part of no other name, and
// its name.
func (o *Once) suffix() string { return fmt.Sprintf("%s%x", o.owner(), o.Name) }

func (o *Once) owner() string {
	who := NewKey("once", o.Who)
	return fmt.Sprintf("-%x-", who[:8])
}

// outlived reports whether what has the ID is remembered no longer. What has the ID
// of none is not.
func outlived(id string, now time.Time) bool {
	if len(id) < onceDigits {
		return true
	}
	seconds, err := strconv.ParseInt(id[:onceDigits], 16, 64)
	return err != nil || now.Sub(time.Unix(seconds, 0)) >= OnceLife
}

// forgotten are those that make room for o among docs: what is too old, and what is
// too much, the oldest first; and the oldest of whoever asks, where theirs is.
func (o *Once) forgotten(docs []Document, now time.Time) []string {
	var out, own []string
	owner := o.owner()
	for i, d := range docs {
		switch {
		case len(docs)-i >= maxOnce, outlived(d.ID, now):
			out = append(out, d.ID)
		case strings.HasPrefix(d.ID[onceDigits:], owner):
			own = append(own, d.ID)
		}
	}
	if len(own) >= maxOnceOf {
		out = append(out, own[:len(own)-maxOnceOf+1]...)
	}
	return out
}
