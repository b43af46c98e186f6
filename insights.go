package tocsin

import "time"

// Spread is how long something took, over the incidents that it was measured on.
type Spread struct {
	Count int `json:"count"`
	// Median and P90, in seconds, are nearest ranks; 0 where nothing was measured.
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	// Incidents are those that were measured.
	Incidents []string `json:"incidents"`
}

// Tally is how often something happened, and in which incidents.
type Tally struct {
	Name  string `json:"name,omitempty"`
	Count int    `json:"count"`
	// Incidents are those that were counted, each once.
	Incidents []string `json:"incidents"`
}

// Insights are what a span of time says of paging. Its lists are never nil.
type Insights struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Incidents int       `json:"incidents"`
	// Cut is true where there was not the time to read all: From is how far the
	// reading came then.
	Cut bool `json:"cut"`
	// Acknowledge is from opening to the first acknowledgement, Resolve from opening
	// to the end, of incidents that have ended.
	Acknowledge Spread `json:"acknowledge"`
	Resolve     Spread `json:"resolve"`
	// Pages are the calls of each person, Nights those of them from 22:00 to 07:00
	// in the person's zone; the most first.
	Pages  []Tally `json:"pages"`
	Nights []Tally `json:"nights"`
	// Rules are the incidents of each rule, the most first.
	Rules []Tally `json:"rules"`
	// Idle were acknowledged, and resolved without a note, a step or a remedy.
	Idle Tally `json:"idle"`
	// Brief ended by themselves, unacknowledged, within 5 minutes.
	Brief Tally `json:"brief"`
}
