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

// canonTime makes t what it will be when it is read back: UTC, without the
// monotonic clock, and without a *Location of its own in memory.
func canonTime(t *time.Time) { *t = t.UTC() }

// canonIncident does that for an incident that nobody else holds.
func canonIncident(i *tocsin.Incident) *tocsin.Incident {
	canonTime(&i.OpenedAt)
	canonTime(&i.ChangedAt)
	canonTime(&i.AcknowledgedAt)
	canonTime(&i.ResolvedAt)
	for n := range i.Flips {
		canonTime(&i.Flips[n])
	}
	for n := range i.Deliveries {
		d := &i.Deliveries[n]
		canonTime(&d.Since)
		canonTime(&d.DeliveredAt)
		canonTime(&d.Next)
	}
	return i
}

func canonState(s *tocsin.AlertState) {
	canonTime(&s.StartsAt)
	canonTime(&s.EndsAt)
	canonTime(&s.ChangedAt)
	canonTime(&s.SeenAt)
	s.Index = slices.Clip(s.Index)
}
