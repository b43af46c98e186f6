package server

import (
	"context"
	"fmt"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Hidden is what a silence would hide now, and would have hidden.
type Hidden struct {
	// Alerts fire now and match, in Incidents; Held of them page nobody already.
	// First are some of the incidents, the newest first; they are not changed.
	Alerts, Held, Incidents int
	First                   []*tocsin.Incident
	// Least is true where not all that is open could be looked at in time.
	Least bool
	// Before is how many of the Opened incidents of the last 30 days had an alert
	// that matches, of the Looked that could be looked at; of Gone the alerts are
	// not kept any more. Latest are some of them, the newest first.
	Before, Opened, Looked, Gone int
	Latest                       []*tocsin.Incident
	// BeforeLeast is true where not all of Opened could be looked at in time, and
	// OpenedLeast where there may be more than Opened.
	BeforeLeast, OpenedLeast bool
}

// More is how many incidents are not named.
func (h *Hidden) More() int { return h.Incidents - len(h.First) }

// Now says in a sentence what it would hide now.
func (h *Hidden) Now() string {
	least := ""
	switch {
	case h.Least && h.Alerts == 0:
		return "Not all that fires now could be looked at in time; it hides none of what was."
	case h.Least:
		least = "at least "
	}
	text := fmt.Sprintf("Now it would hide %s%s of %s.", least, plural(h.Alerts, "firing alert"), plural(h.Incidents, "incident"))
	if h.Held > 0 {
		text += fmt.Sprintf(" %d of them page nobody already.", h.Held)
	}
	return text
}

// Since says in a sentence or two what it would have hidden.
func (h *Hidden) Since() string {
	least := ""
	switch {
	case h.Looked == 0 && h.BeforeLeast:
		return "What it would have hidden in the last 30 days could not be counted in time."
	case h.BeforeLeast:
		least = "at least "
	}
	text := fmt.Sprintf("In the last 30 days it would have hidden alerts of %s%d of %s.", least, h.Before, plural(h.Opened, "incident"))
	switch {
	case h.OpenedLeast:
		text += fmt.Sprintf(" There may be more than these: the newest %d could be looked at in time.", h.Looked)
	case h.BeforeLeast:
		text += fmt.Sprintf(" Only %d of these could be looked at in time.", h.Looked)
	}
	if h.Gone > 0 {
		text += fmt.Sprintf(" Of %d the alerts are not kept any more, and they are not counted.", h.Gone)
	}
	return text
}

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

// held counts what the silences hold back now: what was decided of each alert, and
// not what would match. An alert that two silences hold counts for the one that was
// named when it was held.
func (s *Server) held(ctx context.Context) holds {
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	h := holds{by: map[string]int{}}
	list, err := s.deps.Reader.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: holdIncidents})
	h.least = err != nil || len(list) == holdIncidents
	for _, inc := range list {
		if inc.Suppressed == 0 {
			continue
		}
		most := min(int(inc.Firing), holdAlerts) // those that fire come first
		alerts, err := s.deps.Reader.AlertsOf(ctx, inc.ID, most)
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
