package tocsin

import "time"

// ReasonStage is the part of an incident's way that a Reason is about.
type ReasonStage string

// The stages, in the order in which an alert passes them.
const (
	StagePayload     ReasonStage = "payload"
	StageIdentity    ReasonStage = "identity"
	StageGroup       ReasonStage = "group"
	StageSuppression ReasonStage = "suppression"
	StageRoute       ReasonStage = "route"
	StagePolicy      ReasonStage = "policy"
	StagePerson      ReasonStage = "person"
	StageContact     ReasonStage = "contact"
	StageProvider    ReasonStage = "provider"
)

// ReasonEnd is what became of it there.
type ReasonEnd string

// What a decision led to; empty: on to the next stage.
const (
	// EndSent: the provider has taken it.
	EndSent ReasonEnd = "sent"
	// EndWaiting: it is still to come.
	EndWaiting ReasonEnd = "waiting"
	// EndHeld: it was not sent, and was not to be.
	EndHeld ReasonEnd = "held"
	// EndFailed: it was to be sent, and was not, or reached nobody.
	EndFailed ReasonEnd = "failed"
)

// Reason is one decision on an incident's way from the payload to the provider's
// answer: what was done, or was not, and why. It is plain data, without secrets.
type Reason struct {
	Stage ReasonStage `json:"stage"`
	End   ReasonEnd   `json:"end,omitempty"`
	// At is when it was decided; zero: it holds as long as the incident is there.
	At time.Time `json:"at,omitzero"`
	// Text says it to a person.
	Text string `json:"text"`
	// Where is the rule that decided, as "file:line", or the name of what did: a
	// silence's ID, a target. Empty: no single one did.
	Where string `json:"where,omitempty"`
	// By is the person who decided; empty: a rule did.
	By string `json:"by,omitempty"`
}
