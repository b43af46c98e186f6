package slack

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is what a text is escaped for.
type style uint8

const (
	// plain is for objects of type plain_text, where nothing is markup.
	plain style = iota
	// prose is for mrkdwn outside of code.
	prose
	// code is for the inside of `…`.
	code
	// fenced is for the inside of ```…```: it keeps line breaks and tabs.
	fenced
)

// The look-alikes that stand for characters which would format.
const (
	ellipsis   = "…"
	asterisk   = "∗"
	tilde      = "∼"
	backtick   = "ˋ"
	underscore = "＿"
	unseen     = "\uFFFD"
)

// appendText appends s for the given style in at most limit characters of
// output, cut between runes with an ellipsis. All but fenced text is brought
// on one line without leading, trailing or double spaces. Characters that are
// not seen (controls, bidi overrides, zero width) are dropped, or shown as
// U+FFFD in fenced text, so that a command with a hidden part fails in sight.
func appendText(dst []byte, s string, limit int, st style) []byte {
	if len(s) <= limit && harmless(s, st) {
		return append(dst, s...)
	}
	w := writer{dst: dst, start: len(dst), cut: len(dst), limit: limit, style: st}
	for i := 0; i < len(s) && !w.full; {
		if st == fenced && strings.HasPrefix(s[i:], "```") {
			run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
			for range run {
				w.put(backtick)
			}
			i += run
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		w.rune(s, i, r, size)
		i += size
	}
	return w.finish()
}

// escape is appendText into a string.
func escape(s string, limit int, st style) string {
	if len(s) <= limit && harmless(s, st) {
		return s
	}
	return string(appendText(nil, s, limit, st))
}

// harmless tells a text that needs no change in the style: printable ASCII
// without marks, and without spaces to fold.
func harmless(s string, st style) bool {
	space := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 0x7f || c < ' ':
			return false
		case c == ' ':
			if space && st != fenced {
				return false
			}
			space = true
			continue
		case st == plain && c != '<':
		case c == '&' || c == '<' || c == '>' || c == '`':
			return false
		case st == prose && (c == '*' || c == '~' || c == '_'):
			return false
		}
		space = false
	}
	return !space || s == ""
}

// writer appends runes until the limit is reached.
type writer struct {
	dst        []byte
	start, cut int // cut: where the text ends when an ellipsis must follow
	n, limit   int
	style      style
	space      bool // a space is owed before the next character
	full       bool
}

func (w *writer) rune(s string, i int, r rune, size int) {
	switch {
	case r == utf8.RuneError:
		w.put(unseen)
	case w.style == fenced && (r == '\n' || r == '\t'):
		w.put(string(r))
	case w.style == fenced && r == '\r':
	case unicode.IsSpace(r) || unicode.IsControl(r) && w.style != fenced:
		w.blank()
	case unicode.IsControl(r) || invisible(r):
		if w.style == fenced {
			w.put(unseen)
		}
	default:
		w.put(w.replace(s, i, r, size))
	}
}

// blank notes a space, which is written only between two characters.
func (w *writer) blank() {
	if w.style == fenced {
		w.put(" ")
		return
	}
	w.space = len(w.dst) > w.start
}

func (w *writer) put(s string) {
	if w.space {
		w.space = false
		w.put(" ")
	}
	n := utf8.RuneCountInString(s)
	if w.full || w.n+n > w.limit {
		w.full = true
		return
	}
	w.dst = append(w.dst, s...)
	if w.n += n; w.n < w.limit {
		w.cut = len(w.dst)
	}
}

func (w *writer) finish() []byte {
	if !w.full {
		return w.dst
	}
	if w.limit < 1 {
		return w.dst[:w.start]
	}
	return append(w.dst[:w.cut], ellipsis...)
}

// replace returns what stands for r.
func (w *writer) replace(s string, i int, r rune, size int) string {
	if r == '>' && w.style == prose && len(w.dst) == w.start {
		return "›" // at the start of a line it would make a quotation
	}
	if r == '<' && w.style == plain && opensToken(s[i+1:]) {
		return "‹" // harmless in plain text as documented; this does not rely on it
	}
	if w.style != plain {
		switch r {
		case '&':
			return "&amp;"
		case '<':
			return "&lt;"
		case '>':
			return "&gt;"
		}
	}
	switch {
	case r == '`' && (w.style == code || w.style == prose):
		return backtick
	case w.style != prose:
	case r == '*':
		return asterisk
	case r == '~':
		return tilde
	case r == '_' && !insideWord(s, i):
		return underscore
	}
	return s[i : i+size]
}

// opensToken tells what Slack would read as a mention or a link after a <.
func opensToken(rest string) bool {
	for _, prefix := range []string{"!", "@", "#", "http", "mailto:"} {
		if strings.HasPrefix(rest, prefix) {
			return true
		}
	}
	return false
}

// insideWord tells an underscore that formats nothing, as in node_cpu.
func insideWord(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+1:])
	return wordRune(before) && wordRune(after)
}

func wordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// invisible runes take no room or turn the text around. Variation selectors
// stay: emoji are made of them.
func invisible(r rune) bool {
	if r < 0x80 {
		return false
	}
	switch r {
	case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0:
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// maxURL is the longest link that is shown; a longer one would take the
// message's room (Slack's own limit for a button is 3,000).
const maxURL = 1500

// safeURL returns a link's target for use in <…|…>, or "" for anything but a
// plain http or https URL: no other schemes, no user names (they disguise the
// host, and may hold a password), no characters that end the link.
func safeURL(s string) string {
	if s == "" || len(s) > maxURL || !utf8.ValidString(s) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	out := u.String()
	if strings.ContainsFunc(out, func(r rune) bool { return r >= utf8.RuneSelf || r <= ' ' || r == 0x7f }) {
		return ""
	}
	out = urlMarks.Replace(out)
	if len(out) > 2*maxURL {
		return ""
	}
	return out
}

// urlMarks encodes what would end or format a link.
var urlMarks = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C", "`", "%60", `"`, "%22", "\\", "%5C")
