package tocsin

import "fmt"

// Hidden is what a silence would hide now, and would have hidden.
type Hidden struct {
	// Alerts fire now and match, in Incidents; Held of them page nobody already.
	// First are the newest of the incidents, which are shared: do not change them.
	Alerts, Held, Incidents int
	First                   []*Incident
	// Least is true where not all that is open could be looked at in time.
	Least bool
	// Before is how many of the Opened incidents of the last 30 days had an alert
	// that matches, of the Looked that could be looked at; of Gone the alerts are
	// not kept any more. Latest are the newest of them.
	Before, Opened, Looked, Gone int
	Latest                       []*Incident
	// BeforeLeast is true where not all of Opened could be looked at in time, and
	// OpenedLeast where there may be more than Opened.
	BeforeLeast, OpenedLeast bool
}

// More is how many of Incidents are not in First.
func (h *Hidden) More() int { return h.Incidents - len(h.First) }

// Now says in a sentence what it would hide now. mark is put around the figure that
// matters: "*" where that is bold, or "".
func (h *Hidden) Now(mark string) string {
	least := ""
	switch {
	case h.Least && h.Alerts == 0:
		return "Not all that fires now could be looked at in time; it hides none of what was."
	case h.Least:
		least = "at least "
	}
	text := fmt.Sprintf("Now it would hide %s%s%d%s firing %s of %d %s.", mark, least, h.Alerts, mark,
		several(h.Alerts, "alert", "alerts"), h.Incidents, several(h.Incidents, "incident", "incidents"))
	if h.Held > 0 {
		text += fmt.Sprintf(" %d of the alerts %s nobody already.", h.Held, several(h.Held, "pages", "page"))
	}
	return text
}

// Since says in a sentence or two what it would have hidden. mark is Now's.
func (h *Hidden) Since(mark string) string {
	least := ""
	switch {
	case h.Looked == 0 && h.BeforeLeast:
		return "What it would have hidden in the last 30 days could not be counted in time."
	case h.BeforeLeast:
		least = "at least "
	}
	text := fmt.Sprintf("In the last 30 days it would have hidden alerts of %s%s%d%s of %d %s.", mark, least, h.Before, mark,
		h.Opened, several(h.Opened, "incident", "incidents"))
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

func several(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
