package jsonmap

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Receiver takes alerts, durably.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// readers is how many bodies are read at a time: read, they take many times the
// memory that they take as text.
const readers = 4

// Door takes alerts by mappings. It is safe for concurrent use.
type Door struct {
	receiver Receiver
	limits   Limits
	now      func() time.Time
	mappings atomic.Pointer[map[string]*Mapping]
	slots    chan struct{}
}

// New returns a door. A nil now is time.Now.
func New(mappings []Mapping, r Receiver, l Limits, now func() time.Time) (*Door, error) {
	if r == nil {
		return nil, errors.New("jsonmap: a receiver is needed")
	}
	if now == nil {
		now = time.Now
	}
	d := &Door{receiver: r, limits: l, now: now, slots: make(chan struct{}, readers)}
	d.SetMappings(mappings)
	return d, nil
}

// SetMappings changes what is taken, for every later body.
func (d *Door) SetMappings(list []Mapping) {
	m := make(map[string]*Mapping, len(list))
	for i := range list {
		m[list[i].Name] = &list[i]
	}
	d.mappings.Store(&m)
}

// Take reads a body by the mapping of that name, and returns the number of its
// alerts once they are durable. It returns tocsin.ErrNotFound for a name that it
// does not know, and tocsin.Invalid for a body that can never be right.
func (d *Door) Take(ctx context.Context, name string, body []byte) (int, error) {
	m := (*d.mappings.Load())[name]
	if m == nil {
		return 0, fmt.Errorf("JSON door %q: %w", name, tocsin.ErrNotFound)
	}
	alerts, err := d.read(ctx, m, body)
	if err != nil || len(alerts) == 0 {
		return 0, err
	}
	if _, err := d.receiver.Receive(ctx, tocsin.Batch{Source: m.Source, Alerts: alerts}); err != nil {
		return 0, err
	}
	return len(alerts), nil
}

func (d *Door) read(ctx context.Context, m *Mapping, body []byte) ([]tocsin.Alert, error) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, tocsin.Unavailable(ctx.Err())
	}
	defer func() { <-d.slots }()
	return m.Read(body, d.limits, d.now().UTC())
}
