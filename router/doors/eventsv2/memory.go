package eventsv2

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Kind of the documents that say which labels a dedup_key stands for. Their ID is
// the hash of source and dedup_key.
const Kind = "eventsv2"

const (
	// pruneEvery is how often what is no longer needed is dropped, and keepFor how
	// long it is kept at the least.
	pruneEvery = time.Hour
	keepFor    = time.Hour
	// maxPruned bounds one transaction.
	maxPruned = 1000
)

// memory is what is kept of a dedup_key from its trigger to its resolve.
type memory struct {
	Source string        `json:"source"`
	Labels tocsin.Labels `json:"labels"`
	// Was are the labels that it had before its severity was raised.
	Was []tocsin.Labels `json:"was,omitempty"`
	At  time.Time       `json:"at"`
}

// all are the identities that the dedup_key has had, the present one first.
func (m *memory) all() []tocsin.Labels {
	return append([]tocsin.Labels{m.Labels}, m.Was...)
}

func alertID(source string, labels tocsin.Labels) tocsin.Key {
	a := tocsin.Alert{Source: source, Labels: labels}
	return a.ID()
}

// recall returns what is remembered, or nil. What cannot be read is as good as
// nothing: the next trigger writes it anew.
func recall(tx tocsin.Documents, id string) *memory {
	var m memory
	value := tx.Document(Kind, id)
	if value == nil || json.Unmarshal(value, &m) != nil || len(m.Labels) == 0 {
		return nil
	}
	return &m
}

// trigger remembers the labels first: a crash before the alert is committed
// leaves a memory that the sender's next try finds, never an alert that nothing
// can resolve.
func (d *Door) trigger(ctx context.Context, s *Source, e *event, id string) error {
	labels, now := labelsOf(s, e), d.tick()
	var m memory
	var over bool
	prune := d.pruneNow(now)
	err := d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		m, over = settle(tx, s.Name, labels, recall(tx, id), now)
		value, err := json.Marshal(m)
		if err != nil {
			return err
		}
		tx.PutDocument(Kind, id, value)
		if prune {
			forget(tx, now)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b := tocsin.Batch{Source: s.Name}
	if over {
		b.Alerts = append(b.Alerts, tocsin.Alert{Source: s.Name, Labels: m.Labels, StartsAt: now, EndsAt: now})
	}
	b.Alerts = append(b.Alerts, tocsin.Alert{
		Source: s.Name, Labels: m.Labels, Annotations: annotationsOf(e), Firing: true, StartsAt: d.tick(), GeneratorURL: generator(e),
	})
	for _, was := range m.Was {
		b.Alerts = append(b.Alerts, tocsin.Alert{Source: s.Name, Labels: was, StartsAt: now, EndsAt: d.tick()})
	}
	_, err = d.o.Receiver.Receive(ctx, b)
	return err
}

func generator(e *event) string {
	if len(e.ClientURL) <= maxLabel && isWeb(e.ClientURL) {
		return e.ClientURL
	}
	return ""
}

// settle says which labels a trigger stands for. While the alert fires they stay
// those of its first trigger, as PagerDuty keeps an alert as it was first told;
// but a higher severity is never lost: then the alert is replaced. over is true
// where somebody has resolved the incident while the alert still fires: PagerDuty
// opens a new one then.
func settle(tx tocsin.Tx, source string, labels tocsin.Labels, known *memory, now time.Time) (m memory, over bool) {
	fresh := memory{Source: source, Labels: labels, At: now}
	if known == nil {
		return fresh, false
	}
	state, heard := tx.Alert(alertID(source, known.Labels))
	switch {
	case !heard: // an episode that is over, or a trigger that was not committed
		return fresh, false
	case !state.Firing:
		fresh.Was = nil
		return fresh, false
	}
	inc := tx.Incident(state.Incident)
	over = inc != nil && !inc.Open()
	if rank(labels) <= rank(known.Labels) {
		return *known, over
	}
	fresh.Was = slices.DeleteFunc(known.all(), func(was tocsin.Labels) bool {
		return alertID(source, was) == alertID(source, labels)
	})
	return fresh, false
}

func rank(l tocsin.Labels) int {
	return tocsin.ParseSeverity(l[tocsin.LabelSeverity]).Rank()
}

// resolve ends the alert, and then forgets it: a crash between leaves a memory of
// something that is over, which the next trigger replaces.
func (d *Door) resolve(ctx context.Context, s *Source, id string) error {
	m, err := d.find(ctx, id)
	if err != nil || m == nil {
		return err
	}
	b := tocsin.Batch{Source: s.Name}
	for _, labels := range m.all() {
		b.Alerts = append(b.Alerts, tocsin.Alert{Source: s.Name, Labels: labels, StartsAt: m.At, EndsAt: d.tick()})
	}
	if _, err := d.o.Receiver.Receive(ctx, b); err != nil {
		return err
	}
	return d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		tx.DeleteDocument(Kind, id)
		return nil
	})
}

func (d *Door) acknowledge(ctx context.Context, s *Source, id string) error {
	var incident string
	err := d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		incident = ""
		if m := recall(tx, id); m != nil {
			if state, ok := tx.Alert(alertID(s.Name, m.Labels)); ok && state.Firing {
				incident = state.Incident
			}
		}
		return nil
	})
	if err != nil || incident == "" {
		return err
	}
	err = d.o.Actions.Act(ctx, incident, tocsin.Action{Kind: tocsin.ActAcknowledge, By: s.Name, Text: "acknowledged by its sender"})
	if errors.Is(err, tocsin.ErrNotFound) || errors.Is(err, tocsin.ErrConflict) {
		return nil // it is over by now
	}
	return err
}

func (d *Door) find(ctx context.Context, id string) (m *memory, err error) {
	err = d.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		m = recall(tx, id)
		return nil
	})
	return m, err
}

// pruneNow reports, now and then, that it is time to forget.
func (d *Door) pruneNow(now time.Time) bool {
	last := d.pruned.Load()
	return now.UnixNano()-last >= int64(pruneEvery) && d.pruned.CompareAndSwap(last, now.UnixNano())
}

// forget drops what is remembered of alerts that nobody resolved and that are
// over all the same: they went stale, and were archived.
func forget(tx tocsin.Tx, now time.Time) {
	docs, _ := tx.Documents(Kind)
	dropped := 0
	for _, doc := range docs {
		var m memory
		if json.Unmarshal(doc.Value, &m) == nil && now.Sub(m.At) < keepFor {
			continue
		}
		if stillKnown(tx, &m) {
			continue
		}
		if dropped++; dropped > maxPruned {
			return
		}
		tx.DeleteDocument(Kind, doc.ID)
	}
}

// stillKnown reports whether an alert that the memory is about is known yet.
func stillKnown(tx tocsin.Tx, m *memory) bool {
	for _, l := range m.all() {
		if _, ok := tx.Alert(alertID(m.Source, l)); ok {
			return true
		}
	}
	return false
}
