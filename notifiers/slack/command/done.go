package command

import (
	"context"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// did says what was done where the state does not show it.
func (d *Desk) did(ctx context.Context, c *call, a tocsin.Action, now *tocsin.Incident) string {
	switch a.Kind {
	case tocsin.ActNote:
		return "Noted."
	case tocsin.ActSeverity:
		return "Severity is now " + slack.Escape(string(now.Severity), 20) + "."
	case tocsin.ActStep:
		return "Step " + a.RunbookStep + " is " + string(a.Status) + "."
	case tocsin.ActMerge:
		return "Merged into " + name(or(now.MergedInto, a.Into)) + "."
	case tocsin.ActUnmerge:
		return "It pages for itself."
	case tocsin.ActChannel:
		if link := slack.OwnChannel(now); link != "" {
			return "Its own channel is " + link + "."
		}
		return "A channel of its own is opened; it shows in the incident's message."
	case tocsin.ActEscalate:
		return d.escalated(ctx, c, now)
	default:
		return ""
	}
}

// escalated is what the timeline says of the escalation: to which step, or to the
// last resort, it went.
func (d *Desk) escalated(ctx context.Context, c *call, inc *tocsin.Incident) string {
	events, err := d.d.Reader.Timeline(ctx, inc.ID, 0, pageSize)
	if err != nil {
		return ""
	}
	for _, e := range slices.Backward(events) {
		if e.Kind == tocsin.EventEscalated && e.Actor == c.Who {
			first, size := utf8.DecodeRuneInString(e.Text)
			return slack.Escape(string(unicode.ToUpper(first))+e.Text[size:], 300) + "."
		}
	}
	return ""
}
