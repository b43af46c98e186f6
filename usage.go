package tocsin

import "time"

// RunbookUsage is how the runbooks were used, by the incidents that are retained.
type RunbookUsage struct {
	// Incidents is how many were looked at, and Since when the first of them opened.
	Incidents int       `json:"incidents"`
	Since     time.Time `json:"since,omitzero"`
	// Whole is whether these are all that are retained: older ones are left out where
	// there are very many, or where time ran out.
	Whole bool `json:"whole"`
	// Runbooks are those that there are, in the order of the library, and behind them
	// those that were used and are gone, by ID.
	Runbooks []RunbookUse `json:"runbooks"`
	// Rules are those that Prometheus has loaded; nil: there is no Prometheus, or it is
	// not for who asks.
	Rules *LoadedRules `json:"rules,omitempty"`
}

// RunbookUse is how one runbook was used.
type RunbookUse struct {
	ID     string   `json:"id"`
	Title  string   `json:"title,omitempty"`
	Alerts []string `json:"alerts,omitempty"`
	// Gone: there is no such runbook any more.
	Gone bool `json:"gone,omitempty"`
	// Times is how many incidents opened with it, the last of them at Last.
	Times int       `json:"times"`
	Last  time.Time `json:"last,omitzero"`
	// Worked is in how many of those, that are over, somebody touched a step. The
	// steps are counted over these.
	Worked int `json:"worked"`
	// Steps are those that the runbook has now, in order.
	Steps []StepUse `json:"steps"`
}

// StepUse is how a step was used, over the incidents in which people worked through
// its runbook and whose runbook had it. Done, Skipped, Started and Open add up to
// Uses.
type StepUse struct {
	ID      string `json:"id"`
	Number  int    `json:"number"`
	Text    string `json:"text"`
	Uses    int    `json:"uses"`
	Done    int    `json:"done"`
	Skipped int    `json:"skipped"`
	Started int    `json:"started"`
	// Open counts the incidents that ended before anybody touched the step.
	Open int `json:"open"`
}

// Idle says why a step may be of no use: "always skipped", "never done"; "": it was
// done, or nobody had the chance to.
func (s *StepUse) Idle() string {
	switch {
	case s.Uses == 0 || s.Done > 0:
		return ""
	case s.Skipped == s.Uses:
		return "always skipped"
	default:
		return "never done"
	}
}
