package pagerduty

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleanLine returns s as one line of harmless text: valid UTF-8, without
// controls, and without the invisible characters that reorder or hide text.
func cleanLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return visible(r)
	}, s))
}

// cleanText is cleanLine for text of several lines.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u2028' || r == '\u2029':
			return '\n'
		case unicode.IsControl(r):
			return -1
		}
		return visible(r)
	}, s)
}

// visible drops bidirectional controls, byte order marks and tag characters.
// Joiners stay: scripts and emoji need them.
func visible(r rune) rune {
	switch {
	case unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r >= 0xE0000 && r <= 0xE007F:
		return -1
	}
	return r
}

// line is a name or a title: one clean line of at most maxField runes.
func line(s string) string { return clip(cleanLine(head(s, maxField)), maxField) }

// paragraph is clean text of at most n runes, line breaks kept.
func paragraph(s string, n int) string { return clip(cleanText(head(s, n)), n) }

// head cuts what lies far behind the n-th rune, before anything looks at it.
func head(s string, n int) string {
	if end := 16 * (n + 1); len(s) > end {
		return strings.ToValidUTF8(s[:end], "\ufffd")
	}
	return s
}

// clip cuts s to at most n runes, the last of which is then an ellipsis.
func clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := 0
	for at := range s {
		if runes == n-1 {
			return s[:at] + "…"
		}
		runes++
	}
	return s
}

// webURL returns s when it is a web address that is safe to show as a link:
// http or https, of sensible length, without a user name that could pose as the
// host. Otherwise it returns "".
func webURL(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxURL || s != cleanLine(s) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}
