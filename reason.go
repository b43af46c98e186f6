package tocsin

import (
	"strings"
	"time"
)

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
	StageRemedy      ReasonStage = "remedy"
)

// Question says the stage as a heading for a person who wonders: "Which route took it".
func (s ReasonStage) Question() string {
	switch s {
	case StagePayload:
		return "What came in"
	case StageIdentity:
		return "Which alert it is"
	case StageGroup:
		return "Why it is one incident"
	case StageSuppression:
		return "Whether it is held back"
	case StageRoute:
		return "Which route took it"
	case StagePolicy:
		return "What the policy did"
	case StagePerson:
		return "Whose turn it was"
	case StageContact:
		return "How they were called"
	case StageProvider:
		return "What the providers said"
	case StageRemedy:
		return "What was done about it"
	default:
		return string(s)
	}
}

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
	// User is the person whom it is about; empty: nobody in particular.
	User string `json:"user,omitempty"`
	// Now is true for what the configuration that is in force says; all else was
	// written down when it was decided.
	Now bool `json:"now,omitempty"`
}

// Signed is By, or "" where the text names them already.
func (r *Reason) Signed() string {
	if r.By != "" && strings.Contains(r.Text, r.By) {
		return ""
	}
	return r.By
}

// TraceTime is how the texts of a Why write a time, in UTC: a reader may be shown it in
// their own zone.
const TraceTime = "2006-01-02 15:04:05 UTC"

// When is At, or the zero time where the text says it already.
func (r *Reason) When() time.Time {
	if strings.Contains(r.Text, r.At.UTC().Format(TraceTime)) {
		return time.Time{}
	}
	return r.At
}

// Why is the trace of an incident: why it told whom it told, and nobody else.
type Why struct {
	Incident string `json:"incident"`
	// Answer says in a few words why it called who asks, or did not.
	Answer string `json:"answer"`
	// Reasons are in the order of their stages.
	Reasons []Reason `json:"reasons"`
}
