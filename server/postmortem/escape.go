package postmortem

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// special are the characters that mean something to CommonMark, or to the
// dialects of GitHub and GitLab (tables, strike-through, mathematics).
const special = "\\`*_{}[]<>()#+!|~&$^="

// inline makes text from outside one line of Markdown that shows it as it is. Words
// that readers would make a link, a mention or a reference of are shown as code.
func inline(text string) string {
	var out []string
	for _, word := range strings.Fields(plain(text)) {
		if linkish(word) {
			out = append(out, code(word))
		} else {
			out = append(out, escape(word))
		}
	}
	return strings.Join(out, " ")
}

// linkish reports whether a word may become a link by itself: the dialects do so
// after the escapes have been taken away, so that no escape helps.
func linkish(word string) bool {
	lower := strings.ToLower(word)
	return strings.ContainsAny(word, "@#") || strings.Contains(word, "://") || strings.Contains(lower, "www.") || strings.Contains(lower, "mailto:")
}

// escape writes a backslash before what means something, and into words that would
// begin a list, a rule or a definition at the beginning of a line.
func escape(word string) string {
	var b strings.Builder
	if strings.Trim(word, "-:") == "" {
		b.WriteByte('\\')
	}
	number := strings.Trim(word, "0123456789") == "."
	for _, r := range word {
		if r < utf8.RuneSelf && strings.ContainsRune(special, r) || number && r == '.' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// code shows text from outside as code, in which nothing else means anything
// (CommonMark 6.1): between more backticks than it holds in a row.
func code(text string) string {
	text = strings.Join(strings.Fields(plain(text)), " ")
	if text == "" {
		return "(empty)"
	}
	longest, run := 0, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	pad := ""
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		pad = " "
	}
	return fence + pad + text + pad + fence
}

// plain takes away what moves the cursor, turns the direction of writing, or ends a
// line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
