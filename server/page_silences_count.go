package server

import (
	"context"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What is counted for the list of silences is bounded.
const (
	holdTime      = 500 * time.Millisecond
	holdIncidents = 10_000
	holdAlerts    = 5000 // of one incident
)

// holds is what each silence holds back now, by its ID: how many alerts.
type holds struct {
	by map[string]int
	// least is true where not all that is suppressed could be looked at.
	least bool
}

// held counts what the silences hold back now of what somebody may view: what was decided of each alert, and
// not what would match. An alert that two silences hold counts for the one that was
// named when it was held.
func (s *Server) held(ctx context.Context, who *tocsin.Principal) holds {
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	h, reader := holds{by: map[string]int{}}, who.Reader(s.deps.Reader)
	list, err := reader.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: holdIncidents})
	h.least = err != nil || len(list) == holdIncidents
	for _, inc := range list {
		if inc.Suppressed == 0 {
			continue
		}
		most := min(int(inc.Firing), holdAlerts) // those that fire come first
		alerts, err := reader.AlertsOf(ctx, inc.ID, most)
		h.least = h.least || err != nil || int(inc.Firing) > most
		for i := range alerts {
			if p := alerts[i].State.Suppression; p != nil && alerts[i].State.Firing && p.Reason == tocsin.Silenced {
				h.by[p.By]++
			}
		}
		if ctx.Err() != nil {
			h.least = true
			break
		}
	}
	return h
}
