package escalation

import (
	"encoding/json"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// overridden is what the audit log has of an override that was made, answered or
// dropped: before or after is nil where there was none, or is none any more.
func overridden(before, after *tocsin.Override, by string, now time.Time) tocsin.Event {
	o, what := after, "made"
	switch {
	case after == nil:
		o, what = before, "dropped: it was over long ago"
	case before != nil && after.State == before.State:
		what = "ended" // one that was in force
	case before != nil && after.State == tocsin.OverrideActive:
		what = "accepted"
	case before != nil:
		what = string(after.State)
	}
	text := wordOf(o) + " " + o.ID + " " + what
	if by != "" {
		text += " by " + by
	}
	return tocsin.Event{Kind: tocsin.EventOverride, At: now, Actor: by, Text: text, Before: overrideText(before), After: overrideText(after)}
}

// wordOf is what people call an override of its kind.
func wordOf(o *tocsin.Override) string {
	switch o.Kind {
	case tocsin.OverrideSwap:
		return "swap"
	case tocsin.OverrideTimeOff:
		return "time off"
	default:
		return "override"
	}
}

func overrideText(o *tocsin.Override) string {
	if o == nil {
		return ""
	}
	b, err := json.Marshal(o)
	if err != nil { // a time beyond the year 9999
		return o.ID
	}
	return string(b)
}
