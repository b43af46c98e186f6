package remediation

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// ErrNotStarted marks an error of a Runner that says for certain that nothing was
// executed: the file is another one, the machine cannot hold it as is required.
var ErrNotStarted = errors.New("not started")

// Command is what a Runner executes. No shell reads any of it.
type Command struct {
	// Argv; the first is the absolute path of the file, whose SHA-256 has to be
	// SHA256 (hex).
	Argv   []string
	SHA256 string
	// Environment is the whole one.
	Environment []string
	// Stdin is what it reads; nil: nothing.
	Stdin []byte
	// Timeout is how long it may run.
	Timeout time.Duration
	Sandbox Sandbox
}

// Result is how a command ended.
type Result struct {
	// Exit code; -1: it did not exit by itself.
	Exit int
	// Killed says in words why the command was ended before it had exited by itself:
	// its time was over, it was too large, the context was done. Empty: it was not.
	Killed string
	// Sandbox says what held it.
	Sandbox string
}

// Runner executes commands. It is used by many goroutines at once.
type Runner interface {
	// Run executes a command and returns when it and all its children have ended.
	// What it writes goes to output, both streams as they come. When ctx ends the
	// command is ended. An error that is not ErrNotStarted means that nobody knows
	// how it ended.
	Run(ctx context.Context, c Command, output io.Writer) (Result, error)
	// Holds says what would hold the command, without executing it; the error says
	// why it would not be run.
	Holds(ctx context.Context, c Command) (sandbox string, err error)
}

// Prober asks Prometheus.
type Prober interface {
	// Query returns the values of an instant query's result: none when it is empty.
	// The error says that there was no answer.
	Query(ctx context.Context, expr string) ([]float64, error)
}

// Pager pages a person; escalation.Engine is one.
type Pager interface {
	// OpenManual opens an incident that pages somebody, and returns its ID: that of
	// the open one where there is one with the same key.
	OpenManual(ctx context.Context, m tocsin.Manual) (id string, err error)
}

// Incidents reads incidents and their alerts; see tocsin.Reader.
type Incidents interface {
	// Get returns an incident, live or archived, or ErrNotFound.
	Get(ctx context.Context, id string) (*tocsin.Incident, error)
	// AlertsOf returns up to limit alerts, firing ones first.
	AlertsOf(ctx context.Context, id string, limit int) ([]tocsin.AlertRecord, error)
}

// Store is what the engine needs of the store.
type Store interface {
	tocsin.Updater
	Incidents
	// Documents returns what is committed of a kind.
	Documents(ctx context.Context, kind string) ([]tocsin.Document, uint64, error)
	// Live yields the live incidents, to read only.
	Live(yield func(*tocsin.Incident) bool)
}
