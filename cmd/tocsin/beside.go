package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
	"github.com/tocsin-oncall/tocsin/server"
)

// beside is what stands beside an incident's steps, in lines, for somebody. Changes
// are nobody's team's: who has roles in teams alone is not told of them.
func (a *App) beside(ctx context.Context, who *tocsin.Principal, id string) ([]server.Fact, error) {
	r := who.Reader(a.store)
	inc, err := r.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	n := &runbooks.Neighbours{Archive: r}
	if who.May(tocsin.RightView) {
		n.Log = a.store
	}
	b := n.Beside(ctx, inc, time.Now())
	return facts(&b), nil
}

// facts says it in lines.
func facts(b *runbooks.Beside) []server.Fact {
	times := b.Fired.String() + " times"
	switch {
	case b.Fired.N == 1 && b.Fired.AtLeast:
		times = "at least this once"
	case b.Fired.N == 1:
		times = "only this once"
	}
	out := []server.Fact{{Heading: "Fired", Text: times + " since " + inUTC(b.Since)}}
	for i := range b.Earlier {
		out = append(out, server.Fact{Heading: "Last time", Text: earlier(&b.Earlier[i]), Incident: b.Earlier[i].Incident})
	}
	for i := range b.Similar {
		s := &b.Similar[i]
		out = append(out, server.Fact{Heading: "Similar", Text: fmt.Sprintf("%s %s: %s", s.Severity, s.State, s.Title), Incident: s.Incident})
	}
	if more := b.SimilarTotal.N - len(b.Similar); more > 0 {
		out = append(out, server.Fact{Heading: "Similar", Text: fmt.Sprintf("and %d more", more)})
	}
	for i := range b.Changes {
		e := &b.Changes[i]
		out = append(out, server.Fact{Heading: "Changed", Text: inUTC(e.At) + " " + e.Text})
	}
	if more := b.ChangesTotal.N - len(b.Changes); more > 0 {
		out = append(out, server.Fact{Heading: "Changed", Text: fmt.Sprintf("and %d more", more)})
	}
	for _, m := range b.Missing {
		out = append(out, server.Fact{Heading: "Not known", Text: m})
	}
	return out
}

// earlier says what was done the last time.
func earlier(t *runbooks.Earlier) string {
	parts := []string{fmt.Sprintf("resolved %s after %s", inUTC(t.ResolvedAt), t.Took().Round(time.Minute))}
	if t.Resolution != "" {
		parts[0] += ": " + t.Resolution
	}
	for _, s := range t.Steps {
		parts = append(parts, fmt.Sprintf("step %d %s by %s: %s", s.Number, s.Status, s.By, s.Text))
	}
	for _, list := range [][]runbooks.Note{t.Remedies, t.Notes} {
		for _, n := range list {
			by := ""
			if n.By != "" {
				by = n.By + ": "
			}
			parts = append(parts, by+n.Text)
		}
	}
	if t.Cut {
		parts = append(parts, "and more")
	}
	return strings.Join(parts, "\n")
}

// inUTC is a time as pages have it: this machine's clock is nobody's who reads them.
func inUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
