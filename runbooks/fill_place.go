package runbooks

import (
	"strings"
)

// interprets matches programs that read their arguments as code, so that quoting
// for one shell is not enough; options whose text is code; and words after which
// bash evaluates arithmetic.
var interprets = lazy(`(?:^|[\s;&|(/"'` + "`" + `])(?:sh|bash|dash|zsh|ksh|ash|fish|csh|tcsh|su|runuser|sudo\s+-[is]|doas\s+-s|` +
	`ssh|mosh|pdsh|pssh|parallel-ssh|clush|dsh|scp|sftp|rsync|eval|source|\.|watch|xargs|parallel|` +
	`g?awk|nawk|mawk|sed|ed|perl|python[\d.]*|ruby|node|deno|php|lua|tclsh|Rscript|psql|mysql|mariadb|sqlite3?|sqlcmd|sqlplus|duckdb|` +
	`mongo|mongosh|redis-cli|valkey-cli|cqlsh|clickhouse-client|bq|trino|presto|cypher-shell|influx|jq|yq|find|fd|env|nsenter|chroot|script|expect|` +
	`tmux|screen|trap|let|declare|typeset|local|readonly|unset|read|mapfile|test|\[|\[\[|crontab|at|batch|ansible|salt|knife|` +
	`gdb|lldb|vim?|nvim|emacs|gnuplot|m4|(?:docker|podman|kubectl|oc)(?:\s+-\S+)*\s+(?:compose\s+)?(?:exec|rsh)|send-command|powershell|pwsh|cmd)(?:$|[\s;&|)"'])` +
	`|\s--?(?:[a-z]*c|e|command|eval|exec|execute)[ =]["']`)

// ownVariables matches programs in whose text $name is theirs.
var ownVariables = lazy(`(?:^|[\s;&|(/])(?:g?awk|nawk|mawk|perl|jq|yq|php|tclsh|expect)(?:$|\s)`)

// beyond matches where this package's reading of the shell's grammar ends.
var beyond = lazy(`\bcase\b|\(\(|^#!`)

// spot is where in a command something stands.
type spot struct {
	// word is the word up to there, without its quotes; command is the command up
	// to there, as written, and array whether it stands in an array's parentheses.
	word, command string
	array         bool
}

// maxBefore bounds how far back a command is looked at, in bytes.
const maxBefore = 4096

// wordAt finds the word and the command that a byte stands in.
func (l lexed) wordAt(text string, at int) spot {
	level := l.depth[at]
	if l.modes[at] == modeDouble && level > 0 {
		level--
	}
	first := max(0, at-maxBefore)
	word, command := -1, first
	var s spot
	for j := at - 1; j >= first; j-- {
		inner := l.depth[j] < level
		here := l.depth[j] == level && l.modes[j] == modePlain
		if word < 0 && (inner || here && strings.IndexByte(" \t\n;|&()<>", text[j]) >= 0) {
			word = j + 1
		}
		if inner || here && strings.IndexByte("\n;&|()`", text[j]) >= 0 {
			command = j + 1
			s.array = text[j] == '(' && opensArray().MatchString(text[max(0, j-80):j])
			break
		}
	}
	s.command = text[command:at]
	s.word = l.literal(text, max(word, command), at, level)
	return s
}

// literal is what a part of a command says without its quotes and escapes, and
// without what is nested in it.
func (l lexed) literal(text string, from, to int, level uint16) string {
	var b strings.Builder
	for j := from; j < to; j++ {
		switch {
		case l.depth[j] > level+1,
			l.modes[j] == modeNone && (text[j] == '"' || text[j] == '\''),
			l.modes[j] == modeSkip && text[j] == '\\' && (j == 0 || l.modes[j-1] != modeSkip || text[j-1] != '\\'):
			continue
		}
		b.WriteByte(text[j])
	}
	return b.String()
}

var (
	opensArray = lazy(`(?:^|[\s;&|(])[A-Za-z_]\w*\+?=$`)
	variables  = lazy(`\$(?:\w+|\{\w*\}?|\(\)?)`)
	subscript  = lazy(`^(?:[A-Za-z_]\w*)?\[[^\]"'{]*$`)
	// assigns matches a command up to within a value that a variable keeps, or that
	// a loop goes through.
	assigns = lazy(`^\s*(?:(?:then|do|else|if|elif|while|until|time|!|\{|export|readonly|local|declare|typeset)(?:\s+-\S+)*\s+)*` +
		`(?:(?:for|select)\s+\w+\s+in\s|` +
		`(?:[A-Za-z_]\w*\+?=(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')*\s+)*[A-Za-z_]\w*\+?=(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"?|'[^']*'?)*$)`)
)

// begins reports whether what is put here begins a word, or may: a value that
// begins with a dash would be read as an option.
func (s spot) begins() bool {
	if strings.HasSuffix(s.word, "{") || strings.Contains(s.word, "{") && strings.HasSuffix(s.word, ",") {
		return true
	}
	return variables().ReplaceAllString(s.word, "") == ""
}

// subscript reports whether it stands in an array's subscript, which bash
// evaluates.
func (s spot) subscript() bool { return subscript().MatchString(s.word) }

// quoted reports whether it stands in quotes within the word: text that some
// program will read again, such as '{"node": "<node>"}'. An apostrophe is none.
func (s spot) quoted() bool {
	var quote byte
	for i := 0; i < len(s.word); i++ {
		switch c := s.word[i]; {
		case c == '\\':
			i++
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '"', c == '`', c == '\'' && (i == 0 || !isNameByte(s.word[i-1])):
			quote = c
		}
	}
	return quote != 0
}

// kept reports whether a variable is given the value: where it is used later, it
// may stand without quotes.
func (s spot) kept() bool {
	return s.array || len(s.command) >= maxBefore || assigns().MatchString(s.command)
}

// endsHere reports whether a value at this place could end the here-document that
// it stands in.
func (l lexed) endsHere(at int, value string) bool {
	for _, h := range l.heres {
		if at >= h.start && at < h.end {
			return strings.Contains(h.delimiter, value)
		}
	}
	return false
}
