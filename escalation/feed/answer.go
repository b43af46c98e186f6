package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// answer is what a source said.
type answer struct {
	spans []oncall.Span
	// fetchedAt is when it said so; zero: never.
	fetchedAt time.Time
	// from and to are the span that it was asked for.
	from, to time.Time
}

// document is an answer as it is kept. fetchedAt may lie up to a day behind: an
// answer that says the same again is not written.
type document struct {
	FetchedAt time.Time  `json:"fetchedAt"`
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Spans     []spanJSON `json:"spans"`
}

type spanJSON struct {
	User string    `json:"user"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (a *answer) encode() ([]byte, error) {
	d := document{FetchedAt: a.fetchedAt.UTC(), From: a.from, To: a.to, Spans: make([]spanJSON, len(a.spans))}
	for i, s := range a.spans {
		d.Spans[i] = spanJSON(s)
	}
	return json.Marshal(d)
}

func decode(value []byte) (answer, error) {
	var d document
	if err := json.Unmarshal(value, &d); err != nil {
		return answer{}, err
	}
	a := answer{fetchedAt: d.FetchedAt, from: d.From, to: d.To, spans: make([]oncall.Span, len(d.Spans))}
	for i, s := range d.Spans {
		a.spans[i] = oncall.Span(s)
	}
	return a, nil
}

// window is the span that is asked for at now.
func window(now time.Time) (from, to time.Time) {
	day := now.UTC().Truncate(24 * time.Hour)
	return day.Add(-Back), day.Add(Ahead)
}

// tidy puts spans into one form, so that the same answer in another order is the
// same: in UTC, sorted, without empty ones.
func tidy(spans []oncall.Span) ([]oncall.Span, error) {
	if len(spans) > maxSpans {
		return nil, fmt.Errorf("its answer has %d shifts, more than %d", len(spans), maxSpans)
	}
	out := make([]oncall.Span, 0, len(spans))
	for _, s := range spans {
		if !s.From.Before(s.To) {
			continue
		}
		// What JSON can hold.
		if s.From.UTC().Year() < 0 || s.To.UTC().Year() > 9999 {
			return nil, errors.New("its answer has a shift beyond the year 9999")
		}
		out = append(out, oncall.Span{User: s.User, From: s.From.UTC().Round(0), To: s.To.UTC().Round(0)})
	}
	slices.SortFunc(out, func(a, b oncall.Span) int {
		return cmp.Or(strings.Compare(a.User, b.User), a.From.Compare(b.From), a.To.Compare(b.To))
	})
	return slices.CompactFunc(out, same), nil
}

func same(a, b oncall.Span) bool { return a.User == b.User && a.From.Equal(b.From) && a.To.Equal(b.To) }
