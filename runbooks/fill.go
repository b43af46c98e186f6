package runbooks

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// Fill returns a copy of a runbook whose commands have the labels' values in
// place of placeholders: $NODE, ${NODE}, $NODE_NAME, <pod-name>, <instance label
// from alert>, {{ $labels.pod }}, {{ .Labels.pod }}, {{ pod }}, YOUR_POD. Names
// match in any case, with - or _, and with or without "name" or "id" at the end;
// where two labels with different values would do, none is taken.
//
// In shell commands (fences of a shell's language or of none, inline commands) a
// value always becomes part of exactly one word, with exactly its bytes less
// NUL, whether the placeholder stands bare or in quotes. A placeholder stays as
// written, and is listed in Command.Unfilled, when no label fills it or when no
// quoting would be safe:
//
//   - a value that begins with "-" or "+" where a word begins, which would be read
//     as an option;
//   - one that acts on the terminal it is pasted into (control characters, a tab,
//     a newline with the history's ! or ^), that turns around how the line is shown
//     (bidirectional controls), or that is not UTF-8;
//   - any value with special characters where it is read once more: in backticks and
//     here-documents; in quotes within the word ('{"node": "<node>"}'); where a
//     variable keeps it or a loop goes through it, since it may be used without
//     quotes later; and in commands that interpret their arguments (ssh, sh -c,
//     eval, awk, psql, scp, …);
//   - anything in arithmetic, an array's subscript, a parameter's expansion.
//
// A command without Unfilled can be pasted as it is. Variables that a command of
// the runbook assigns, the usual environment and the shell's own are not
// placeholders.
//
// In other languages only {{ … }}, <…> and YOUR_… are filled: in promql, logql and
// json inside of strings, escaped; elsewhere only values of letters, digits and
// @+:./_-.
//
// What Fill does not change it shares with rb; neither is ever modified. A nil
// rb yields nil.
func Fill(rb *tocsin.Runbook, labels tocsin.Labels) *tocsin.Runbook {
	if rb == nil {
		return nil
	}
	out := *rb
	out.Steps = slices.Clone(rb.Steps)
	f := filler{names: newNames(labels), assigned: assignedBy(rb)}
	for i := range out.Steps {
		s := &out.Steps[i]
		s.Commands = slices.Clone(s.Commands)
		for j := range s.Commands {
			s.Commands[j] = f.command(s.Commands[j])
		}
	}
	return &out
}

// placeholder matches all ways to write one. Which it is, its groups tell.
var placeholder = lazy(`\{\{-?\s*(?:\$labels|\$?\.(?:Labels|CommonLabels|GroupLabels))\.([A-Za-z_]\w*)\s*-?\}\}` +
	`|\$\{([A-Za-z_]\w*)\}` +
	`|\$([A-Za-z_]\w*)` +
	"|<([\\p{L}_](?:[\\p{L}\\p{N}_ ./-]{0,78}[\\p{L}\\p{N}_])?)>" +
	`|\{\{-?\s*([A-Za-z_][\w-]*)\s*-?\}\}` +
	`|\b(YOUR_[A-Z][A-Z0-9_]*)\b` +
	// What an alert's template could say and a label cannot.
	`|\{\{[^{}]{0,100}\$(?:labels|value|externalLabels|externalURL)\b[^{}]{0,100}\}\}`)

// templateWord matches what {{ … }} holds in Go's templates, which commands have in
// their own options (docker --format, kubectl -o go-template).
var templateWord = lazy(`^(?:end|else|break|continue|nil|true|false|println?|json)$`)

type filler struct {
	names    names
	assigned map[string]bool
}

// command fills one command.
func (f *filler) command(c tocsin.Command) tocsin.Command {
	if !strings.ContainsAny(c.Text, "$<{") && !strings.Contains(c.Text, "YOUR_") {
		return c
	}
	var sub func(p found) (string, outcome)
	switch {
	case isShell(c.Lang):
		sub = f.shell(c.Text)
	case c.Lang == "promql" || c.Lang == "logql" || c.Lang == "json":
		sub = f.inString(c.Lang, c.Text)
	default:
		sub = f.plain
	}
	var b strings.Builder
	last := 0
	c.Unfilled = nil
	told := map[string]bool{}
	for n, p := range find(c.Text) {
		if !f.isPlaceholder(c, p) {
			continue
		}
		value, what := "", unfilled
		if n < maxPlaceholders {
			value, what = sub(p)
		}
		switch {
		case what == filled:
			b.WriteString(c.Text[last:p.start])
			b.WriteString(value)
			last = p.end
		case what == unfilled && !told[p.text]:
			told[p.text] = true
			c.Unfilled = append(c.Unfilled, p.text)
		}
	}
	b.WriteString(c.Text[last:])
	c.Text = b.String()
	return c
}

// found is a placeholder in a command.
type found struct {
	start, end int
	text, name string
	variable   bool // $NAME or ${NAME}
}

// maxPlaceholders bounds how many are filled in one command; the others are told to
// be unfilled.
const maxPlaceholders = 500

func find(text string) []found {
	var out []found
	for _, m := range placeholder().FindAllStringSubmatchIndex(text, -1) {
		p := found{start: m[0], end: m[1], text: text[m[0]:m[1]]}
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				p.name = text[m[g]:m[g+1]]
				p.variable = g == 4 || g == 6
			}
		}
		out = append(out, p)
	}
	return out
}

// isPlaceholder sorts out what only looks like one.
func (f *filler) isPlaceholder(c tocsin.Command, p found) bool {
	switch {
	case p.variable:
		return isShell(c.Lang) && !f.assigned[p.name] && !environment().MatchString(p.name)
	case p.text[0] == '<':
		if c.Lang == "xml" || c.Lang == "html" || p.start > 0 && c.Text[p.start-1] == '<' {
			return false
		}
		return !strings.Contains(p.name, " ") || isShell(c.Lang) || labelPhrase().MatchString(p.name)
	case templateWord().MatchString(p.name):
		return false
	}
	return true
}

// outcome is what became of a placeholder.
type outcome int

const (
	unfilled outcome = iota
	filled
	notOurs // no placeholder after all
)

// shell fills shell commands.
func (f *filler) shell(text string) func(found) (string, outcome) {
	lx := lexShell(text)
	strict := !lx.ok || lx.doubt || beyond().MatchString(text) || interprets().MatchString(text)
	foreign := ownVariables().MatchString(text)
	return func(p found) (string, outcome) {
		before, after := text[:p.start], text[p.end:]
		m := lx.modeOf(p.start, p.end)
		if !lx.ok {
			m = modeBare
		}
		value, ok := f.names.value(p.name, before)
		if m == modeSkip || m == modeSingle && p.variable && (!ok || foreign) {
			return "", notOurs
		}
		at := lx.wordAt(text, p.start)
		switch {
		case m == modeNone, !ok, !typable(value), at.subscript(), at.begins() && (value[0] == '-' || value[0] == '+'):
			return "", unfilled
		case m != modeSingle && (strings.HasSuffix(before, "$") || strings.HasSuffix(before, "!")), m == modePlain && strings.HasSuffix(before, "~"):
			return "", unfilled // it would name a variable, a line of the history, or a home
		case lx.endsHere(p.start, value), value[0] == '^' && strings.HasSuffix(before, "\n"):
			return "", unfilled
		}
		quoted := m == modeSingle || m == modeDouble
		if bareWord(value) && (quoted || !reserved(value)) && !touches(m, before, after) {
			return value, filled
		}
		if strict || at.quoted() || at.kept() || m == modeDouble && strings.Contains(value, "!") {
			return "", unfilled
		}
		return inMode(m, value)
	}
}

// modeOf is the mode of a range: modeNone where it is not of one kind.
func (l lexed) modeOf(start, end int) mode {
	m := l.modes[start]
	if m == modeSkip {
		return m
	}
	for _, k := range l.modes[start:end] {
		if k != m {
			return modeNone
		}
	}
	return m
}

// touches reports whether a bare word would melt into its neighbours: into the
// variable's name before it, or into an assignment, a redirection's number or a
// function after it.
func touches(m mode, before, after string) bool {
	if m == modeSingle {
		return false
	}
	name := len(before)
	for name > 0 && isNameByte(before[name-1]) {
		name--
	}
	if name > 0 && before[name-1] == '$' {
		return true
	}
	return m == modePlain && after != "" && strings.IndexByte("<>=+[(", after[0]) >= 0
}

// inMode writes a value with special characters so that it stays part of the
// word it stands in.
func inMode(m mode, value string) (string, outcome) {
	escaped := strings.ReplaceAll(value, "'", `'\''`)
	switch m {
	case modePlain:
		return "'" + escaped + "'", filled
	case modeSingle:
		return escaped, filled
	case modeDouble:
		return `"'` + escaped + `'"`, filled
	}
	return "", unfilled
}

// typable reports whether a value may be pasted into a terminal: nothing that acts
// on it (a tab completes, a newline with a ! or ^ asks the history), nothing that
// turns around how the rest of the line is shown, and only what JSON can bring.
func typable(v string) bool {
	for _, r := range v {
		switch {
		case r < ' ' && r != '\n', r >= 0x7f && r < 0xa0:
			return false
		case r == '\u200e', r == '\u200f', r == '\u061c', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return false
		}
	}
	return v != "" && utf8.ValidString(v) && !(strings.Contains(v, "\n") && strings.ContainsAny(v, "!^"))
}

// plain fills a language that this package does not read: only with values that
// mean nothing special anywhere.
func (f *filler) plain(p found) (string, outcome) {
	value, ok := f.names.value(p.name, "")
	if !ok || !bareWord(value) || value[0] == '-' || strings.ContainsAny(value, "%") ||
		strings.Contains(value, "--") || strings.Contains(value, "//") {
		return "", unfilled
	}
	return value, filled
}

// assignment matches where a shell sets a variable.
var assignment = lazy(`(?m)(?:^|[;&|({]|\b(?:do|then|else|if|elif|while|until|time|export|local|readonly|declare|typeset)(?:\s+-\w+)*)\s*((?:[A-Za-z_]\w*\+?=(?:"[^"]*"|'[^']*'|[^\s"';&|]*)\s+)*)([A-Za-z_]\w*)\+?=|\b(?:for|select)\s+([A-Za-z_]\w*)\b|\bread\s+((?:-\w+\s+)*(?:[A-Za-z_]\w*[ \t]*)+)|--arg(?:json)?\s+([A-Za-z_]\w*)\b`)

var word = lazy(`[A-Za-z_]\w*`)

// environment matches variables that every shell has.
var environment = lazy(`^(?:HOME|PATH|USER|LOGNAME|PWD|OLDPWD|SHELL|TERM|LANG|LC_\w+|TZ|TMPDIR|EDITOR|PAGER|RANDOM|SECONDS|LINENO|UID|EUID|PPID|IFS|OPTARG|OPTIND|REPLY|BASH\w*|KUBECONFIG|SSH_\w+|DISPLAY|COLUMNS|LINES|PS[1-4]|PIPESTATUS|FUNCNAME|DEBUG|_)$`)

// assignedBy collects the variables that a runbook's own commands set. A
// responder runs the steps in one terminal, so that a step's variable is there
// for the next.
func assignedBy(rb *tocsin.Runbook) map[string]bool {
	out := map[string]bool{}
	for _, s := range rb.Steps {
		for _, c := range s.Commands {
			if !isShell(c.Lang) || !strings.ContainsRune(c.Text, '$') && !strings.ContainsRune(c.Text, '=') {
				continue
			}
			for _, m := range assignment().FindAllStringSubmatch(c.Text, -1) {
				for _, pair := range strings.Fields(m[1]) {
					if n, _, ok := strings.Cut(pair, "="); ok {
						out[strings.TrimSuffix(n, "+")] = true
					}
				}
				for _, n := range []string{m[2], m[3], m[5]} {
					out[n] = true
				}
				for _, n := range word().FindAllString(m[4], -1) {
					out[n] = true
				}
			}
		}
	}
	return out
}
