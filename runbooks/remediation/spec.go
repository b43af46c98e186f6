package remediation

import (
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Spec is a remedy as the operators have declared it. Durations that are zero
// have the defaults that their fields name.
type Spec struct {
	// Name is what it is called; "all" is taken: it names every remedy.
	Name string
	// Summary says what it does, in a sentence.
	Summary string
	// Command is the argv. The first is an absolute path, as it is; in the others
	// {{name}} stands for a parameter.
	Command []string
	// SHA256 of the command's file, in hex.
	SHA256 string
	// Parameters are what an alert's labels may fill in.
	Parameters []Parameter
	// Target names the parameter that says what is acted on; empty: the first.
	Target string
	// Stdin is what the command reads: StdinNone (or empty) or StdinJSON.
	Stdin string
	// Environment is the whole one, as NAME=value. Nothing is filled in.
	Environment []string
	// Timeout is how long the command may run; 0: 30 s.
	Timeout time.Duration
	// Matchers say for which alerts it is, as in a route. All must match.
	Matchers []string
	// Mode is how far it goes by itself; empty: tocsin.ModeSuggest.
	Mode tocsin.Mode
	// Approvers may approve it; none: whoever may respond.
	Approvers []string
	// TwoPerson asks for two approvals, of two people, neither of whom asked for
	// the run.
	TwoPerson bool
	// ApprovalExpiry is how long a proposal waits for an approval, and an approval
	// for the start; 0: 15 m.
	ApprovalExpiry time.Duration
	// Idempotent says that running it twice does no harm.
	Idempotent bool
	Contract   Contract
	Sandbox    Sandbox
}

// What a command reads.
const (
	StdinNone = "none"
	StdinJSON = "json"
)

// Parameter is a value that a label of the alert fills in.
type Parameter struct {
	Name string
	// Label that it is taken from; empty: the name.
	Label string
	// Pattern is what the whole value has to match (RE2); empty: DefaultPattern.
	Pattern string
}

// DefaultPattern is what a value has to match where its parameter names no
// pattern: host names, ports, paths without .., Kubernetes names; no blanks,
// nothing that a shell or a language would read.
const DefaultPattern = `[A-Za-z0-9._:/@-]{1,253}`

// Contract is what has to hold for a remedy to run, and to have helped.
type Contract struct {
	// Precheck is asked before the start; without a yes it is not started.
	Precheck Check
	// Verify is asked after the end, until it says yes or Within is over. Where it
	// asks nothing, a remedy has helped when it exits with 0.
	Verify Verify
	// Rollback is run, once, when it has not helped.
	Rollback Rollback
	Budget   Budget
	// Cooldown is how long after a run has ended the same target is left alone.
	Cooldown time.Duration
	Breaker  Breaker
}

// Check is a question with yes or no for an answer, asked by PromQL (a result
// that is not empty means yes) or by Command (exit code 0 means yes); by neither:
// it is not asked.
type Check struct {
	// PromQL may have placeholders inside of "…" or '…' only.
	PromQL string
	// Command is an argv like that of a Spec; SHA256 pins its file.
	Command []string
	SHA256  string
}

// Verify is a Check that may take a while to say yes.
type Verify struct {
	Check
	// Within is how long; 0: 1 m. Every is how often it is asked; 0: 5 s.
	Within, Every time.Duration
}

// Rollback undoes what did not help; no Command: nothing can be undone.
type Rollback struct {
	Command []string
	SHA256  string
	// Timeout is how long it may run; 0: 30 s.
	Timeout time.Duration
}

// Budget bounds how often a remedy runs.
type Budget struct {
	// PerTarget counts the runs for one target.
	PerTarget Allowance
	// Fleet counts over all targets.
	Fleet FleetAllowance
}

// Allowance is a number of runs in a time.
type Allowance struct {
	// Runs that are allowed; 0: any number.
	Runs int
	// In is how long; 0: 1 h.
	In time.Duration
}

// FleetAllowance is a number of runs, or of targets as a share of the fleet, in a
// time.
type FleetAllowance struct {
	// Runs that are allowed; 0: any number.
	Runs int
	// Percent of the fleet that may be acted on, at least one target; 0: any.
	Percent float64
	// Of asks Prometheus for the size of the fleet: one value.
	Of string
	// In is how long; 0: 1 h.
	In time.Duration
}

// Breaker is when a remedy is given up.
type Breaker struct {
	// Runs that have not helped; 0: it is never given up.
	Runs int
	// In is how long they count; 0: 7 days.
	In time.Duration
}

// Sandbox is what a command is held in. The zero value of a limit leaves it to
// the Runner.
type Sandbox struct {
	// Require is what the machine has to offer, or nothing is run: "landlock" or
	// "none".
	Require string
	// User to run as; empty: that of Tocsin.
	User string
	// Read and Write are paths that it may read, and folders that it may write to.
	Read, Write []string
	// Connect are the TCP ports that it may connect to.
	Connect []int
	// Memory of a process in bytes, and the processor time of one.
	Memory int64
	CPU    time.Duration
	// Processes at once.
	Processes int
	// FileSize is the largest file that it may write, in bytes.
	FileSize int64
}
