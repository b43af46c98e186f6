package tocsin

import (
	"slices"
	"time"
)

// StepStatus is where a step of a runbook stands.
type StepStatus string

// The statuses of a step. A step that nobody has touched is open.
const (
	StepOpen    StepStatus = "open"
	StepStarted StepStatus = "started"
	StepDone    StepStatus = "done"
	StepSkipped StepStatus = "skipped"
)

// Known reports whether it is one of the statuses.
func (s StepStatus) Known() bool {
	return slices.Contains([]StepStatus{StepOpen, StepStarted, StepDone, StepSkipped}, s)
}

// Progress is how far people are with the incident's runbook.
type Progress struct {
	// Version of the runbook with which the incident opened: the ID of a document
	// of kind RunbookVersions. Empty: it was not kept.
	Version string `json:"version,omitempty"`
	// Steps that somebody has touched, in the order of the first touch.
	Steps []StepProgress `json:"steps,omitempty"`
}

// RunbookVersions is the kind of the documents that hold runbooks as they were
// when an incident opened, as JSON.
const RunbookVersions = "runbook"

// StepProgress is what was done about one step.
type StepProgress struct {
	// Step is Step.ID.
	Step string `json:"step"`
	// Number counts the runbook's steps from 1, and Text is what the step said,
	// both at the time of the first touch: they stay when the step vanishes.
	Number int        `json:"number"`
	Text   string     `json:"text"`
	Status StepStatus `json:"status"`
	By     string     `json:"by"`
	At     time.Time  `json:"at"`
	// Via is where it was said: "Slack", "page", "terminal", "API".
	Via string `json:"via,omitempty"`
	// Note is why the step was skipped, or what was found.
	Note string `json:"note,omitempty"`
}

// Clone returns a copy whose steps can be changed; of nil it is nil. One without
// steps is not copied, since incidents share it: With makes another one.
func (p *Progress) Clone() *Progress {
	if p == nil || len(p.Steps) == 0 {
		return p
	}
	return &Progress{Version: p.Version, Steps: slices.Clone(p.Steps)}
}

// With returns progress that has another step too, and leaves p, which may be nil, as
// it is.
func (p *Progress) With(s StepProgress) *Progress {
	if p == nil {
		return &Progress{Steps: []StepProgress{s}}
	}
	return &Progress{Version: p.Version, Steps: slices.Concat(p.Steps, []StepProgress{s})}
}

// Of returns the entry of a step, to read or to change, or nil.
func (p *Progress) Of(step string) *StepProgress {
	if p == nil {
		return nil
	}
	for n := range p.Steps {
		if p.Steps[n].Step == step {
			return &p.Steps[n]
		}
	}
	return nil
}

// Status is where a step stands.
func (p *Progress) Status(step string) StepStatus {
	if s := p.Of(step); s != nil {
		return s.Status
	}
	return StepOpen
}
