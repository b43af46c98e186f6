package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Problem is one thing that is wrong, or worth a look, and where.
type Problem struct {
	// File as it was given to Load or Parse.
	File string `json:"file"`
	// Line and Column count from 1; 0: the file as a whole.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Text says what is wrong and what to do. It holds no secret.
	Text string `json:"text"`
}

// String is "file:line:column: text".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Error is everything that is wrong with a configuration, in the order of the
// file. Get at it with errors.As.
type Error struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *Error) Error() string { return joinProblems(e.Problems) }

// Warnings are what a configuration may have and probably should not, in the
// order of the file.
type Warnings []Problem

// String lists the warnings, one a line.
func (w Warnings) String() string { return joinProblems(w) }

func joinProblems(list []Problem) string {
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// spot is where a value stands in the file.
type spot struct{ line, column int }

// report collects problems and remembers where values came from. A value is
// known by the address of the field that holds it, which does not move once the
// configuration is bound.
type report struct {
	file     string
	spots    map[any]spot
	bad      map[any]bool
	errors   []Problem
	warnings []Problem
	// hide holds what no message may repeat: the values of environment
	// variables and what secret files hold.
	hide map[string]bool
	// fatal is set when what was read is not worth checking.
	fatal bool
}

func newReport(file string) *report {
	return &report{file: file, spots: map[any]spot{}, bad: map[any]bool{}, hide: map[string]bool{}}
}

func (r *report) place(field any, n *yaml.Node) { r.spots[field] = spot{n.Line, n.Column} }

// find returns where the first of the fields that stand in the file stands.
func (r *report) find(fields []any) spot {
	for _, f := range fields {
		if s, ok := r.spots[f]; ok {
			return s
		}
	}
	return spot{}
}

// given reports whether the field stands in the file.
func (r *report) given(field any) bool {
	_, ok := r.spots[field]
	return ok
}

// failNode tells of a value that could not be read, and keeps later checks from
// telling of it again.
func (r *report) failNode(field any, n *yaml.Node, format string, args ...any) {
	r.bad[field] = true
	r.errors = append(r.errors, r.problem(spot{n.Line, n.Column}, fmt.Sprintf(format, args...)))
}

// fail tells of a field that is wrong; the fields after the first are where to
// point to when it is absent. A field that could not be read is not told of
// twice, nor is one missed that may only be misspelt.
func (r *report) fail(fields []any, format string, args ...any) {
	for _, f := range fields {
		if r.bad[f] {
			return
		}
		if r.given(f) {
			break
		}
	}
	r.errors = append(r.errors, r.problem(r.find(fields), fmt.Sprintf(format, args...)))
}

func (r *report) warn(fields []any, format string, args ...any) {
	r.warnings = append(r.warnings, r.problem(r.find(fields), fmt.Sprintf(format, args...)))
}

func (r *report) problem(s spot, text string) Problem {
	return Problem{File: r.file, Line: s.line, Column: s.column, Text: text}
}

// hideValue keeps a value out of all messages. Very short ones would only make
// the messages unreadable.
func (r *report) hideValue(v string) {
	if len(v) >= 6 {
		r.hide[v] = true
	}
}

// pos is the short form that explanations name a rule by.
func (r *report) pos(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d", filepath.Base(r.file), n.Line)
}

func (r *report) result() (Warnings, error) {
	order := func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
	}
	hider := r.hider()
	for _, list := range [][]Problem{r.warnings, r.errors} {
		slices.SortStableFunc(list, order)
		for i := range list {
			list[i].Text = hider.Replace(list[i].Text)
		}
	}
	if len(r.errors) > 0 {
		return r.warnings, &Error{Problems: r.errors}
	}
	return r.warnings, nil
}

// hidden is what no message may repeat, the longest first, so that one value within
// another leaves no rest.
func (r *report) hidden() []string {
	return slices.SortedFunc(maps.Keys(r.hide), func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
}

// hider blanks what no message may repeat.
func (r *report) hider() *strings.Replacer {
	pairs := make([]string, 0, 2*len(r.hide))
	for _, v := range r.hidden() {
		pairs = append(pairs, v, "…")
	}
	return strings.NewReplacer(pairs...)
}

// at lists fields for fail and warn.
func at(fields ...any) []any { return fields }
