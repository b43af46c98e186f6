// Package promql reads as much of PromQL as one has to know to put a value into an
// expression: how the text in quotes is read that the value becomes a part of.
package promql

import "strings"

// Place is how PromQL reads a text in quotes.
type Place int

const (
	// Value is read as it is.
	Value Place = iota
	// Regexp is a regular expression: that of =~ and !~, and of label_replace.
	Regexp
	// Replacement is text in which $1 stands for what was matched.
	Replacement
)

// Where label_replace(v, dst, replacement, src, regex) has them
// (https://prometheus.io/docs/prometheus/latest/querying/functions/#label_replace).
// label_join has neither.
const (
	argReplacement = 2
	argRegexp      = 4
)

// PlaceOf is how the text in quotes is read that begins where before, the expression
// up to it, ends.
func PlaceOf(before string) Place {
	if op := strings.TrimRight(before, " \t\r\n"); strings.HasSuffix(op, "=~") || strings.HasSuffix(op, "!~") {
		return Regexp
	}
	switch function, arg := callAt(before); {
	case !strings.EqualFold(function, "label_replace"):
		return Value
	case arg == argRegexp:
		return Regexp
	case arg == argReplacement:
		return Replacement
	}
	return Value
}

// callAt is the function in whose parentheses the end of a text stands, and at
// which of its arguments, from 0. The name is empty within other brackets, and
// where no function stands before them.
func callAt(before string) (function string, arg int) {
	type call struct {
		name string
		arg  int
	}
	stack := []call{{}}
	name, ended := "", false
	for i := 0; i < len(before); i++ {
		switch c := before[i]; {
		case c == '"' || c == '\'' || c == '`':
			i += textLength(before[i:]) - 1
		case c == '#':
			i += lineLength(before[i:]) - 1
			ended = true
			continue
		case c == '(':
			stack = append(stack, call{name: name})
		case c == '{' || c == '[':
			stack = append(stack, call{})
		case (c == ')' || c == '}' || c == ']') && len(stack) > 1:
			stack = stack[:len(stack)-1]
		case c == ',':
			stack[len(stack)-1].arg++
		case isName(c):
			if ended {
				name = ""
			}
			name, ended = name+string(c), false
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			ended = true
			continue
		}
		name, ended = "", false
	}
	top := stack[len(stack)-1]
	return top.name, top.arg
}

// textLength is the length of the text in quotes that s begins with; of one that
// does not end, all of it.
func textLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}

// lineLength is the length of the line that s begins with.
func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n + 1
	}
	return len(s)
}

func isName(c byte) bool {
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
