package runbooks

import "strings"

// mode says what a byte of a shell command stands in: what a value that takes
// its place must look like.
type mode byte

const (
	// modeNone: nothing may be put here (an arithmetic or parameter
	// expansion, an ANSI-C quoted string).
	modeNone mode = iota
	// modeSkip: what stands here is no placeholder (a comment, an escape).
	modeSkip
	modePlain
	modeSingle
	modeDouble
	// modeBare: only words without any special character may be put here,
	// since quotes mean something else (backticks, here-documents).
	modeBare
)

// lexed is the result of reading a command as a POSIX shell would.
type lexed struct {
	modes []mode
	// depth is how deep in quotes and substitutions each byte stands.
	depth []uint16
	// ok is false where quotes or substitutions do not close: then the modes
	// are not to be trusted.
	ok bool
	// doubt is true where shells, or this reading, may differ in where something
	// ends: then the modes are not to be trusted with special characters.
	doubt bool
	// heres are the bodies of here-documents, in order.
	heres []hereBody
}

// hereBody is where a here-document's lines stand, and the line that ends it.
type hereBody struct {
	start, end int
	delimiter  string
}

const maxShellDepth = 100

// lexer reads a shell command. It knows quotes, escapes, comments,
// substitutions and here-documents, and leaves the rest of the grammar alone.
type lexer struct {
	src   string
	i     int
	out   lexed
	stack []byte // '(' or '"'
	heres []here
}

type here struct {
	end  string
	tabs bool
}

func lexShell(src string) lexed {
	l := lexer{src: src, out: lexed{
		modes: make([]mode, len(src)), depth: make([]uint16, len(src)), ok: true,
	}}
	for l.i < len(src) && l.out.ok {
		if l.top() == '"' {
			l.double()
		} else {
			l.plain()
		}
	}
	if len(l.stack) > 0 || len(l.heres) > 0 {
		l.out.ok = false
	}
	return l.out
}

func (l *lexer) top() byte {
	if len(l.stack) == 0 {
		return 0
	}
	return l.stack[len(l.stack)-1]
}

func (l *lexer) push(c byte) {
	if len(l.stack) >= maxShellDepth {
		l.out.ok = false
		return
	}
	l.stack = append(l.stack, c)
}

func (l *lexer) pop() { l.stack = l.stack[:len(l.stack)-1] }

// eat marks the next n bytes and passes them.
func (l *lexer) eat(n int, m mode) {
	end := min(l.i+n, len(l.src))
	for ; l.i < end; l.i++ {
		l.out.modes[l.i] = m
		l.out.depth[l.i] = uint16(len(l.stack))
	}
}

func (l *lexer) has(p string) bool { return strings.HasPrefix(l.src[l.i:], p) }

func (l *lexer) plain() {
	switch c := l.src[l.i]; {
	case c == '\\':
		l.eat(2, modeSkip)
	case c == '\'':
		l.until('\'', modeSingle)
	case c == '"':
		l.eat(1, modeNone)
		l.push('"')
	case c == '`':
		l.backtick()
	case c == '$':
		l.dollar()
	case l.has("(("):
		l.arithmetic(2)
	case c == '(':
		l.eat(1, modePlain)
		l.push('(')
	case c == ')':
		if l.top() == '(' {
			l.pop()
		}
		l.eat(1, modePlain)
	case c == '#' && l.wordStart():
		end := strings.IndexByte(l.src[l.i:], '\n')
		if end < 0 {
			end = len(l.src) - l.i
		}
		l.eat(end, modeSkip)
	case l.has("<<<"):
		l.eat(3, modePlain)
	case l.has("<<"):
		l.hereStart()
	case c == '\n':
		l.eat(1, modePlain)
		l.hereBodies()
	default:
		l.eat(1, modePlain)
	}
}

func (l *lexer) double() {
	switch c := l.src[l.i]; c {
	case '\\':
		l.eat(2, modeSkip)
	case '"':
		l.pop()
		l.eat(1, modeNone)
	case '`':
		l.backtick()
	case '$':
		l.dollar()
	default:
		l.eat(1, modeDouble)
	}
}

// wordStart reports whether a word may begin at the current byte.
func (l *lexer) wordStart() bool {
	return l.i == 0 || strings.IndexByte(" \t\n;|&()", l.src[l.i-1]) >= 0 && l.out.modes[l.i-1] != modeSkip
}

// until passes a quoted string whose quotes it stands on.
func (l *lexer) until(quote byte, m mode) {
	end := strings.IndexByte(l.src[l.i+1:], quote)
	if end < 0 {
		l.out.ok = false
		return
	}
	l.eat(1, modeNone)
	l.eat(end, m)
	l.eat(1, modeNone)
}

// escaped passes what runs to an end mark that a backslash can hide.
func (l *lexer) escaped(open int, end string, m mode) {
	l.eat(open, modeNone)
	for l.i < len(l.src) && !l.has(end) {
		if l.src[l.i] == '\\' {
			l.eat(2, modeNone)
			continue
		}
		l.eat(1, m)
	}
	if l.i >= len(l.src) {
		l.out.ok = false
		return
	}
	l.eat(len(end), modeNone)
}

// backtick passes a substitution in backticks. Shells differ where a quote within
// is left open.
func (l *lexer) backtick() {
	start := l.i
	l.escaped(1, "`", modeBare)
	for _, quote := range []string{"'", `"`} {
		if strings.Count(l.src[start:l.i], quote)%2 > 0 {
			l.out.doubt = true
		}
	}
}

// arithmetic passes "$((…))", or "((…))", whose parentheses are counted.
func (l *lexer) arithmetic(open int) {
	l.eat(open, modeNone)
	for depth := 2; l.i < len(l.src); {
		switch c := l.src[l.i]; c {
		case '\\':
			l.eat(1, modeNone)
		case '(':
			depth++
		case ')':
			depth--
		case '\'', '"', '`', '#':
			l.out.doubt = true
		}
		l.eat(1, modeNone)
		if depth == 0 {
			return
		}
	}
	l.out.ok = false
}

func (l *lexer) dollar() {
	m := modePlain
	if l.top() == '"' {
		m = modeDouble
	}
	switch {
	case l.has("$(("):
		l.arithmetic(3)
	case l.has("$["): // bash's old arithmetic
		l.escaped(2, "]", modeNone)
	case l.has("$("):
		l.eat(2, m)
		l.push('(')
	case l.has("$'") && m == modePlain:
		start := l.i
		l.escaped(2, "'", modeNone)
		if strings.Contains(l.src[start:l.i], `\'`) {
			l.out.doubt = true // dash does not know this quote
		}
	case l.has("$$"):
		l.eat(2, modeSkip)
	case l.has("${"):
		if n := simpleParam(l.src[l.i:]); n > 0 {
			l.eat(n, m)
			return
		}
		l.param()
	default:
		l.eat(1, m)
	}
}

// simpleParam is the length of "${NAME}" at the start of s, or 0.
func simpleParam(s string) int {
	end := strings.IndexByte(s, '}')
	if end < 3 || s[2] >= '0' && s[2] <= '9' {
		return 0
	}
	for _, c := range []byte(s[2:end]) {
		if !isNameByte(c) {
			return 0
		}
	}
	return end + 1
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// param passes "${NAME:-…}", braces counted. Quotes and substitutions within may
// hide a brace.
func (l *lexer) param() {
	depth := 0
	for l.i < len(l.src) {
		switch l.src[l.i] {
		case '\\':
			l.eat(1, modeNone)
		case '\'', '"', '`', '(':
			l.out.doubt = true
		case '{':
			depth++
		case '}':
			depth--
		}
		l.eat(1, modeNone)
		if depth == 0 && l.src[l.i-1] == '}' {
			return
		}
	}
	l.out.ok = false
}

// hereStart notes a here-document, whose body begins on the next line.
func (l *lexer) hereStart() {
	l.eat(2, modeNone)
	h := here{}
	if l.has("-") {
		h.tabs = true
		l.eat(1, modeNone)
	}
	for l.has(" ") || l.has("\t") {
		l.eat(1, modeNone)
	}
	from, quote := l.i, byte(0)
	for l.i < len(l.src) && (quote != 0 && l.src[l.i] != '\n' || strings.IndexByte(" \t\n;|&<>()", l.src[l.i]) < 0) {
		switch c := l.src[l.i]; {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		}
		l.eat(1, modeNone)
	}
	if strings.ContainsAny(l.src[from:l.i], "$`") {
		l.out.doubt = true
	}
	h.end = strings.NewReplacer(`'`, "", `"`, "", `\`, "").Replace(l.src[from:l.i])
	if h.end == "" {
		l.out.ok = false
		return
	}
	l.heres = append(l.heres, h)
}

func (l *lexer) hereBodies() {
	for len(l.heres) > 0 {
		h := l.heres[0]
		start := l.i
		for {
			if l.i >= len(l.src) {
				l.out.ok = false
				return
			}
			line := l.src[l.i:]
			if end := strings.IndexByte(line, '\n'); end >= 0 {
				line = line[:end]
			}
			word := line
			if h.tabs {
				word = strings.TrimLeft(word, "\t")
			}
			done := word == h.end
			if done {
				l.out.heres = append(l.out.heres, hereBody{start, l.i, h.end})
				l.eat(len(line), modeNone)
				l.eat(1, modePlain)
				break
			}
			l.eat(len(line)+1, modeBare)
		}
		l.heres = l.heres[1:]
	}
}

// bareWord reports whether a value means itself to every shell, unquoted or in
// quotes of either kind, and to what a shell passes it on to.
func bareWord(v string) bool {
	for i := range len(v) {
		if c := v[i]; !isNameByte(c) && strings.IndexByte("@%+:./-", c) < 0 {
			return false
		}
	}
	return v != "" && !strings.Contains(v, "..") // "{1..9}" is a list to bash
}

// reserved reports whether a word would change a command's shape where the
// command's first word is meant.
func reserved(v string) bool {
	switch v {
	case "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until",
		"for", "in", "function", "select", "time", "coproc":
		return true
	}
	return false
}
