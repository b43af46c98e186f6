package config

// Prometheus is where the values behind the alerts, and the rules that are loaded,
// can be asked for.
type Prometheus struct {
	// The base URL of Prometheus, or of what answers like it.
	URL string `yaml:"url" defaultdoc:"none" example:"http://prometheus:9090"`
	// A bearer token for it.
	BearerToken Secret `yaml:"bearer_token" example:"${PROMETHEUS_TOKEN}"`
	// File with the bearer token.
	BearerTokenFile string `yaml:"bearer_token_file" path:"true" example:"prometheus.token"`
	// How long one query may take.
	Timeout Duration `yaml:"timeout" default:"2s" example:"1s"`
}

// Modes of a remedy.
const (
	ModeSuggest = "suggest"
	ModeApprove = "approve"
	ModeAuto    = "auto"
)

// Remediation is a remedy: a script that the operators have declared, for which
// alerts, and under which contract. Alerts choose it and fill its parameters;
// they never say what is run.
type Remediation struct {
	// What it is called in Slack, on the command line and in runbooks.
	Name string `yaml:"name" example:"restart-node" jsonschema:"required"`
	// What it does, in a sentence.
	Summary string `yaml:"summary" example:"Restarts the node's process."`
	// The command and its arguments. The first is the absolute path of a file, as
	// it is; in the others {{name}} stands for a parameter. There is no shell.
	Command []string `yaml:"command" example:"[/usr/local/lib/tocsin/restart-node, '{{node}}']" jsonschema:"required"`
	// The SHA-256 of that file, in hex, as sha256sum prints it. Another file is not
	// run.
	SHA256 string `yaml:"sha256" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" jsonschema:"required"`
	// What the alert's labels may fill in.
	Parameters []Parameter `yaml:"parameters"`
	// The parameter that names what is acted on: one remediation runs for each.
	Target string `yaml:"target" defaultdoc:"the first parameter" example:"node"`
	// What the command reads: none, or json with the alert and the parameters.
	Stdin string `yaml:"stdin" default:"none" example:"json" jsonschema:"enum=none,enum=json"`
	// The whole environment, as NAME=value: nothing is inherited.
	Environment []string `yaml:"environment" example:"['KUBECONFIG=/etc/tocsin/kubeconfig']"`
	// How long it may run.
	Timeout Duration `yaml:"timeout" default:"30s" example:"2m"`
	// The alerts that it is for, as in a route.
	Matchers []string `yaml:"matchers" example:"['alertname=\"NodeDown\"']" jsonschema:"required"`
	// How far it goes by itself: suggest (somebody may run it), approve (it asks
	// first), auto (it runs when the contract allows it).
	Mode string `yaml:"mode" default:"suggest" example:"approve" jsonschema:"enum=suggest,enum=approve,enum=auto"`
	// Who may approve it. None: whoever may respond.
	Approvers []string `yaml:"approvers" example:"[ana, bo]"`
	// Two people have to approve; whoever asked for it is none of them.
	TwoPerson bool `yaml:"two_person" default:"false" example:"true"`
	// How long it may wait for an approval.
	ApprovalExpiry Duration `yaml:"approval_expiry" default:"15m" example:"1h"`
	// Running it twice does no harm: after a crash in the middle it may run again.
	Idempotent bool `yaml:"idempotent" default:"false" example:"true"`
	// What has to hold before, after, and over all its runs.
	Contract Contract `yaml:"contract"`
	// What it is held in.
	Sandbox Sandbox `yaml:"sandbox"`
	// Pos is where it stands: "tocsin.yml:12".
	Pos string `yaml:"-" json:"-"`
}

// Parameter is a value that a label of the alert fills in.
type Parameter struct {
	// The name, as in {{name}}.
	Name string `yaml:"name" example:"node" jsonschema:"required"`
	// The label that it is taken from.
	Label string `yaml:"label" defaultdoc:"the name" example:"instance"`
	// What the whole value has to match (RE2). It never begins with a dash.
	Pattern string `yaml:"pattern" default:"[A-Za-z0-9._:/@-]{1,253}" example:"node-[0-9]{1,4}"`
}

// Contract is what has to hold for a remedy to run, and to have helped.
type Contract struct {
	// Asked before it starts: without a yes it does not.
	Precheck Check `yaml:"precheck"`
	// Asked after it has ended, until it says yes or the time is over: whether it
	// has helped. Without it a remedy has helped when it exits with 0.
	Verify Check `yaml:"verify"`
	// Run when it has not helped.
	Rollback Rollback `yaml:"rollback"`
	// How often it may run.
	Budget Budget `yaml:"budget"`
	// How long after a run has ended the same target is left alone.
	Cooldown Duration `yaml:"cooldown" default:"10m" example:"1h"`
	// When it is given up: a person is paged instead.
	Breaker Breaker `yaml:"breaker"`
}

// Check is a question with yes or no for an answer. One of promql and command
// asks it; neither: it is not asked.
type Check struct {
	// An expression for Prometheus: a result that is not empty means yes. {{name}}
	// stands for a parameter, inside of quotes.
	PromQL string `yaml:"promql" example:"up{instance=\"{{node}}\"} == 0"`
	// A command, as that of the remedy: exit code 0 means yes.
	Command []string `yaml:"command" or:"or" example:"[/usr/local/lib/tocsin/node-is-up, '{{node}}']"`
	// The SHA-256 of the command's file.
	SHA256 string `yaml:"sha256" or:"and" example:"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"`
	// How long the answer may take to become yes; for verify alone.
	Within Duration `yaml:"within" default:"1m" example:"2m"`
	// How often it is asked; for verify alone.
	Every Duration `yaml:"every" default:"5s" example:"10s"`
}

// Rollback undoes what did not help.
type Rollback struct {
	// The command, as that of the remedy.
	Command []string `yaml:"command" example:"[/usr/local/lib/tocsin/undo, '{{node}}']"`
	// The SHA-256 of the command's file.
	SHA256 string `yaml:"sha256" example:"fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13"`
	// How long it may run.
	Timeout Duration `yaml:"timeout" default:"30s" example:"1m"`
}

// Budget bounds how often a remedy runs.
type Budget struct {
	// For one target.
	PerTarget Allowance `yaml:"per_target"`
	// For all of them.
	Fleet FleetAllowance `yaml:"fleet"`
}

// Allowance is a number of runs in a time.
type Allowance struct {
	// How many; 0: any number.
	Runs int `yaml:"runs" default:"0" example:"2"`
	// In how long.
	In Duration `yaml:"in" default:"1h" example:"1d"`
}

// FleetAllowance is a number of runs in a time, or a share of the fleet.
type FleetAllowance struct {
	// How many; 0: any number.
	Runs int `yaml:"runs" default:"0" example:"3"`
	// Or how many of a hundred, at least one. 0: any number.
	Percent float64 `yaml:"percent" default:"0" or:"or" example:"10"`
	// How large the fleet is: an expression for Prometheus with one value.
	Of string `yaml:"of" or:"with" example:"count(up{job=\"node\"})"`
	// In how long.
	In Duration `yaml:"in" default:"1h" example:"6h"`
}

// Breaker is when a remedy is given up.
type Breaker struct {
	// After so many runs that have not helped; 0: never.
	Runs int `yaml:"runs" default:"3" example:"2"`
	// In how long.
	In Duration `yaml:"in" default:"7d" example:"1d"`
}

// Sandbox is what a command is held in.
type Sandbox struct {
	// What the machine has to offer, or nothing is run: landlock, or none. Where it
	// offers more, more is used.
	Require string `yaml:"require" default:"landlock" example:"none" jsonschema:"enum=landlock,enum=none"`
	// The user to run as; needs Tocsin to run as root.
	User string `yaml:"user" defaultdoc:"that of Tocsin" example:"nobody"`
	// Files and folders that it may read, besides the system's programs and
	// libraries.
	Read []string `yaml:"read" example:"[/etc/tocsin]"`
	// Folders that it may write to, besides a temporary one of its own.
	Write []string `yaml:"write" example:"[/var/lib/node]"`
	// TCP ports that it may connect to; none: no connections, where the kernel can
	// hold it to that.
	Connect []int `yaml:"connect" example:"[443]"`
	// The most memory of one process.
	Memory Size `yaml:"memory" default:"256MiB" example:"64MiB"`
	// The most processor time of one process.
	CPU Duration `yaml:"cpu" default:"10s" example:"1m"`
	// The most processes at once.
	Processes int `yaml:"processes" default:"64" example:"16"`
	// The largest file that it may write.
	FileSize Size `yaml:"file_size" default:"64MiB" example:"1MiB"`
}
