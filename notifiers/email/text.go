package email

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxURL is the longest address that is shown as a link.
const maxURL = 2048

// line returns s as one line of at most n runes of harmless text: valid UTF-8,
// without controls, double spaces, and the invisible characters that reorder or
// hide text.
func line(s string, n int) string {
	return clip(strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return visible(r)
	}, head(s, n))), " "), n)
}

// lines is line for text of several lines: its breaks and its indentation stay.
// What is not seen is shown as U+FFFD, so that a command with a hidden part
// fails in sight.
func lines(s string, most int) string {
	s = strings.ReplaceAll(head(s, most), "\r\n", "\n")
	return clip(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case unicode.IsControl(r) || visible(r) < 0:
			return utf8.RuneError
		}
		return r
	}, s), most)
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

// head cuts what lies far behind the n-th rune, before anything looks at it,
// and makes the rest valid. It leaves room for what is dropped later.
func head(s string, n int) string {
	if end := 8 * (n + 1); len(s) > end {
		s = s[:end]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// clip cuts s to at most n runes, the last of which is then an ellipsis.
func clip(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := 0
	for at := range s {
		if runes >= n-1 {
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
	if s == "" || len(s) > maxURL || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || unicode.IsControl(r) || unicode.IsSpace(r) || visible(r) < 0 || strings.ContainsRune(`<>"`, r)
	}) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}

// plural writes "1 alert", "2 alerts".
func plural[N int | uint32 | uint64](n N, word string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// span writes a duration in one unit, as people say it.
func span(d time.Duration) string {
	switch d = max(d, -d); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// clock writes a time for a reader in the zone of now: the day only where it is
// another one.
func clock(t, now time.Time, seconds bool) string {
	t = t.In(now.Location())
	layout := "15:04"
	if seconds {
		layout = "15:04:05"
	}
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
	case t.Year() == now.Year():
		layout = "Mon 2 Jan " + layout
	default:
		layout = time.DateOnly + " " + layout
	}
	return t.Format(layout)
}
