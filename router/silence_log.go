package router

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// findSilence returns a silence, or nil.
func findSilence(tx tocsin.Tx, id string) *tocsin.Silence {
	all := tx.Silences()
	if n := slices.IndexFunc(all, func(s tocsin.Silence) bool { return s.ID == id }); n >= 0 {
		return &all[n]
	}
	return nil
}

// silenced is what the audit log has of a silence that was made, changed, ended
// or dropped: before or after is nil where there was none, or is none any more.
func silenced(before, after *tocsin.Silence, by, what string, now time.Time) tocsin.Event {
	s := after
	switch {
	case after == nil:
		s = before
	case before != nil && what == "made":
		what = "changed"
	}
	text := "silence " + s.ID + " of " + strings.Join(s.Matchers, ", ") + " " + what
	if by != "" {
		text += " by " + by
	}
	return tocsin.Event{Kind: tocsin.EventSilence, At: now, Actor: by, Text: text, Before: silenceText(before), After: silenceText(after)}
}

func silenceText(s *tocsin.Silence) string {
	if s == nil {
		return ""
	}
	b, err := json.Marshal(s)
	if err != nil { // a time beyond the year 9999
		return s.ID
	}
	return string(b)
}
