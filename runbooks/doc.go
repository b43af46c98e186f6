// Package runbooks turns markdown into steps: it parses runbook files, finds the
// runbook of an alert, fills the alert's labels into the commands, and checks
// folders of runbooks against alert rules.
//
// Markdown is parsed at load and reload only, never while an alert waits. A
// file that is broken, too large or hostile is a Problem and never an obstacle
// to the others.
package runbooks

import (
	"errors"
	"fmt"
)

// Limits on what is read. The parser (goldmark 1.8) takes quadratic time on
// hostile input and cannot be cancelled, so its input is bounded instead: these
// limits keep every unit below about 100 ms.
const (
	// MaxFile is the size in bytes above which a file is refused.
	MaxFile = 1 << 20
	// MaxUnit is the size in bytes of what is parsed in one go. A larger file
	// is split at its headings; a single section that is larger is refused.
	MaxUnit = 32 << 10
	// MaxFiles is how many markdown files one Library holds.
	MaxFiles = 10_000
)

// Codes of problems, for machines.
const (
	CodeUnreadable  = "unreadable"
	CodeOversized   = "oversized"
	CodeHostile     = "hostile"
	CodeFrontMatter = "front-matter"
	CodeDuplicateID = "duplicate-id"
	CodeTooMany     = "too-many"
	CodeRemediation = "remediation"
)

// Problem is something about a runbook file that a person should mend. It never
// keeps the rest of the file, or other files, from being used.
type Problem struct {
	File string `json:"file"`
	// Line counts from 1; 0 means the file as a whole.
	Line int    `json:"line,omitempty"`
	Code string `json:"code"`
	Text string `json:"text"`
}

// Error writes "file:line: text".
func (p *Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// joinProblems makes one error of problems, each of which errors.As finds.
func joinProblems(problems []Problem) error {
	errs := make([]error, len(problems))
	for i := range problems {
		errs[i] = &problems[i]
	}
	return errors.Join(errs...)
}
