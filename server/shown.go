package server

import (
	"context"
	"slices"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// shownTo returns events as who may see them: where something was done from, and
// what was before and after, is the audit log's, and for those who may read that.
// The events are not changed.
func shownTo(who *tocsin.Principal, events []tocsin.Event) []tocsin.Event {
	if who.May(tocsin.RightManage) {
		return events
	}
	events = slices.Clone(events)
	for i := range events {
		events[i].Origin, events[i].Before, events[i].After = "", "", ""
	}
	return events
}

// heardBy returns the events of a stream that who may hear: of incidents that they
// may not view, none, and of what is no incident's only what is for those who may
// view everything, and what becomes of silences that they may view; who logs in, and
// the tokens that are made, is told to those who may read the audit log.
func heardBy(ctx context.Context, r tocsin.Reader, who *tocsin.Principal, events []tocsin.Event) []tocsin.Event {
	if who.May(tocsin.RightManage) {
		return events
	}
	bounded, sees := who.Reader(r), map[string]bool{"": who.May(tocsin.RightView)}
	out := make([]tocsin.Event, 0, len(events))
	for i := range events {
		e := &events[i]
		if _, known := sees[e.Incident]; !known && !who.May(tocsin.RightView) {
			_, err := bounded.Get(ctx, e.Incident)
			sees[e.Incident] = err == nil
		}
		if e.Kind != tocsin.EventAccess && (sees[e.Incident] || who.May(tocsin.RightView) || isTheirSilence(who, e)) {
			out = append(out, *e)
		}
	}
	return shownTo(who, out)
}
