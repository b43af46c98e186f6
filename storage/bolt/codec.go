package bolt

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-oncall/tocsin"
)

// decode reads a record. what names it in the error.
func decode(what string, key, data []byte, v any) error {
	if err := json.Unmarshal(data, v, jsontext.AllowInvalidUTF8(true)); err != nil {
		return fmt.Errorf("%s %x is damaged: %w", what, key, err)
	}
	return nil
}

// decodeIncident reads an incident's record, live or archived.
func decodeIncident(key, data []byte) (r incidentRecord, err error) {
	_, id, err := parseIncidentKey(key)
	if err != nil {
		return r, err
	}
	if err := decode("incident", key, data, &r); err != nil {
		return r, err
	}
	if r.Incident == nil || r.ID != id {
		return r, fmt.Errorf("incident %x is damaged: it does not say that it is %s", key, id)
	}
	return r, nil
}

// canonTime makes t what it will be when it is read back: UTC, without the
// monotonic clock, and without a *Location of its own in memory.
func canonTime(t *time.Time) { *t = t.UTC() }

// canonIncident does that for an incident that nobody else holds.
func canonIncident(i *tocsin.Incident) *tocsin.Incident {
	canonTime(&i.OpenedAt)
	canonTime(&i.ChangedAt)
	canonTime(&i.AcknowledgedAt)
	if i.ReturnedAt != nil { // shared: a new one
		t := i.ReturnedAt.UTC()
		i.ReturnedAt = &t
	}
	canonTime(&i.ResolvedAt)
	for n := range i.Flips {
		canonTime(&i.Flips[n])
	}
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		canonTime(&d.Since)
		canonTime(&d.DeliveredAt)
		if d.Back != nil { // shared: a new one
			b := *d.Back
			canonTime(&b.HeardAt)
			canonTime(&b.SentAt)
			d.Back = &b
		}
		canonTime(&d.Next)
	}
	canonEscalation(i.Escalation)
	if p := i.Progress; p != nil {
		for n := range p.Steps {
			canonTime(&p.Steps[n].At)
		}
	}
	return i
}

func canonEscalation(e *tocsin.Escalation) {
	if e == nil {
		return
	}
	canonTime(&e.Answered)
	canonTime(&e.SnoozedUntil)
	canonTime(&e.RemindAt)
	canonTime(&e.ReturnAt)
	for n := range e.Runs {
		canonTime(&e.Runs[n].Due)
	}
	for n := range e.Calls {
		canonTime(&e.Calls[n].Due)
	}
	for n := range e.Responders {
		canonTime(&e.Responders[n].At)
		canonTime(&e.Responders[n].Acknowledged)
	}
}

func canonState(s *tocsin.AlertState) {
	canonTime(&s.StartsAt)
	canonTime(&s.EndsAt)
	canonTime(&s.ChangedAt)
	canonTime(&s.SeenAt)
	s.Index = slices.Clip(s.Index)
}
