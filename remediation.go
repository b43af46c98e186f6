package tocsin

import (
	"time"
)

// Mode is how far a remedy goes by itself.
type Mode string

// The modes of a remedy.
const (
	// ModeSuggest only says that there is a remedy; somebody may run it.
	ModeSuggest Mode = "suggest"
	// ModeApprove asks first, and runs when enough people have approved.
	ModeApprove Mode = "approve"
	// ModeAuto runs when its contract allows it.
	ModeAuto Mode = "auto"
)

// RemediationState is where one run of a remedy stands.
type RemediationState string

// The states of a remediation.
const (
	// RemediationProposed waits for somebody to approve or to run it.
	RemediationProposed RemediationState = "proposed"
	// RemediationApproved is to be prechecked and started.
	RemediationApproved RemediationState = "approved"
	// RemediationStarted was written before the command was executed.
	RemediationStarted RemediationState = "started"
	// RemediationVerifying has exited, and is looked at.
	RemediationVerifying RemediationState = "verifying"
	// RemediationRollingBack did not fix it, and is undone.
	RemediationRollingBack RemediationState = "rolling_back"
	// What follows is final. RemediationVerified has fixed it.
	RemediationVerified RemediationState = "verified"
	// RemediationNotFixed ran and did not fix it, and there is nothing to undo.
	RemediationNotFixed RemediationState = "not_fixed"
	// RemediationRolledBack did not fix it, and was undone.
	RemediationRolledBack RemediationState = "rolled_back"
	// RemediationUnknown may have run: nobody saw the end, or nobody could see
	// whether it has helped.
	RemediationUnknown RemediationState = "unknown"
	// RemediationRefused was not run; Why says which part of the contract forbade
	// it.
	RemediationRefused RemediationState = "refused"
	// RemediationDenied was not run: somebody said no.
	RemediationDenied RemediationState = "denied"
	// RemediationExpired was not run: nobody approved it in time, or the incident
	// was resolved before.
	RemediationExpired RemediationState = "expired"
)

// Final reports whether nothing more will happen.
func (s RemediationState) Final() bool {
	switch s {
	case RemediationProposed, RemediationApproved, RemediationStarted, RemediationVerifying, RemediationRollingBack:
		return false
	default:
		return true
	}
}

// Ran reports whether the command was, or may have been, executed.
func (s RemediationState) Ran() bool {
	switch s {
	case RemediationProposed, RemediationApproved, RemediationRefused, RemediationDenied, RemediationExpired:
		return false
	default:
		return true
	}
}

// Remediation is one run of a remedy for one target of an incident. There is at
// most one for each incident, remedy and target.
type Remediation struct {
	ID       string `json:"id"`
	Remedy   string `json:"remedy"`
	Incident string `json:"incident"`
	// Target is what the remedy acts on, as its parameters name it: "node-3".
	Target string `json:"target"`
	Mode   Mode   `json:"mode"`
	// Parameters as the alert's labels filled them.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Argv is what is executed, exactly: what is approved. Runs of before it was kept
	// have none.
	Argv  []string         `json:"argv,omitempty"`
	State RemediationState `json:"state"`
	// Why it stands there, in words.
	Why string `json:"why,omitempty"`

	ProposedAt time.Time  `json:"proposedAt"`
	ProposedBy string     `json:"proposedBy,omitempty"`
	ExpiresAt  time.Time  `json:"expiresAt,omitzero"`
	Approvals  []Approval `json:"approvals,omitempty"`
	// Needs is how many approvals it takes.
	Needs     int       `json:"needs,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Exit is the command's exit code; -1: it was killed, or never exited.
	Exit int `json:"exit"`
	// OutputBytes is how much the command wrote; what is kept of it is bounded.
	OutputBytes int64 `json:"outputBytes,omitempty"`
	// Sandbox says what held the command: "landlock 7, pid namespace, no_new_privs".
	Sandbox string `json:"sandbox,omitempty"`
	// Log is what happened to it, the oldest first.
	Log []RemediationEntry `json:"log,omitempty"`
}

// Approval is one person's yes.
type Approval struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// RemediationEntry is one line of a remediation's life.
type RemediationEntry struct {
	At    time.Time        `json:"at"`
	State RemediationState `json:"state"`
	By    string           `json:"by,omitempty"`
	Text  string           `json:"text"`
}

// Remedy is what is told of a remedy that the operators have declared.
type Remedy struct {
	Name string `json:"name"`
	Mode Mode   `json:"mode"`
	// Summary says what it does.
	Summary  string   `json:"summary,omitempty"`
	Matchers []string `json:"matchers"`
}

// RemedyPlan is what a remedy would do, were it run now: nothing of it has been
// done.
type RemedyPlan struct {
	Remedy   string `json:"remedy"`
	Incident string `json:"incident"`
	Target   string `json:"target"`
	// Argv, Environment and Stdin are exactly what the command would get.
	Argv        []string `json:"argv"`
	Environment []string `json:"environment"`
	Stdin       string   `json:"stdin,omitempty"`
	// Matched are the matchers and the parameters that made it fit.
	Matched []string `json:"matched"`
	// Precheck is what it says now.
	Precheck string `json:"precheck,omitempty"`
	// Budget is how much is left.
	Budget string `json:"budget,omitempty"`
	// Sandbox is what would hold the command.
	Sandbox string `json:"sandbox,omitempty"`
	// Refused are the reasons why it would not run; none: it would.
	Refused []string `json:"refused,omitempty"`
}
