package remediation

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin/runbooks/promql"
)

// A query's placeholders stand inside of string literals and become part of their
// contents. PromQL's literals are Go's, with single quotes too, and with `…` raw:
// https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals

// query is a PromQL template.
type query []queryPart

// queryPart is text as it is, or a parameter inside of a string literal.
type queryPart struct {
	text      string
	parameter string
	quote     byte
	// place is how the literal is read.
	place promql.Place
}

// fill puts the values in.
func (q query) fill(values map[string]string) string {
	var b strings.Builder
	for _, p := range q {
		if p.parameter == "" {
			b.WriteString(p.text)
			continue
		}
		value := values[p.parameter]
		switch p.place {
		case promql.Regexp:
			value = regexp.QuoteMeta(value)
		case promql.Replacement:
			value = strings.ReplaceAll(value, "$", "$$")
		case promql.Value:
		}
		quoteInto(&b, value, p.quote)
	}
	return b.String()
}

// quoteInto writes a value as the contents of a literal in quote.
func quoteInto(b *strings.Builder, value string, quote byte) {
	for _, r := range value {
		switch {
		case r == '\\' || r == rune(quote):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
}

// parseQuery reads a template, whose placeholders may name known parameters. Those
// outside of quotes, and in raw literals, where nothing can be escaped, are
// refused.
func parseQuery(text string, known map[string]bool) (query, error) {
	var q query
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "\"'`#{")
		if at < 0 {
			return append(q, queryPart{text: rest}), nil
		}
		before := rest[:at]
		switch c := rest[at]; c {
		case '{':
			if found := leading.FindString(rest[at:]); found != "" {
				return nil, fmt.Errorf("%s stands outside of quotes; write label=\"%[1]s\"", found)
			}
			q, rest = append(q, queryPart{text: rest[:at+1]}), rest[at+1:]
		case '#', '`':
			end := endOf(rest[at:], c)
			if end < 0 {
				return nil, fmt.Errorf("the string that begins at %.20q does not end", rest[at:])
			}
			if found := placeholder.FindString(rest[at : at+end]); found != "" {
				return nil, fmt.Errorf(`%s stands in a comment or in backquotes, where nothing can be escaped; write it in "…"`, found)
			}
			q, rest = append(q, queryPart{text: rest[:at+end]}), rest[at+end:]
		default:
			parts, n, err := literal(rest[at:], known, promql.PlaceOf(text[:len(text)-len(rest)+at]))
			if err != nil {
				return nil, err
			}
			q, rest = append(append(q, queryPart{text: before}), parts...), rest[at+n:]
		}
	}
	return q, nil
}

// endOf is the length of a comment, or of a raw literal; -1: it does not end.
func endOf(s string, c byte) int {
	if c == '#' {
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n
		}
		return len(s)
	}
	if n := strings.IndexByte(s[1:], '`'); n >= 0 {
		return n + 2
	}
	return -1
}

// literal reads the string literal that s begins with, and how long it is.
func literal(s string, known map[string]bool, place promql.Place) (parts []queryPart, n int, err error) {
	quote := s[0]
	start := 0
	for at := 1; at < len(s); {
		switch {
		case s[at] == quote:
			return append(parts, queryPart{text: s[start : at+1]}), at + 1, nil
		case strings.HasPrefix(s[at:], "{{"):
			name := leading.FindStringSubmatch(s[at:])
			if name == nil {
				return nil, 0, fmt.Errorf("{{ is not closed in %.40q", s[at:])
			}
			if !known[name[1]] {
				return nil, 0, fmt.Errorf("%s is no parameter", name[0])
			}
			parts = append(parts, queryPart{text: s[start:at]}, queryPart{parameter: name[1], quote: quote, place: place})
			at += len(name[0])
			start = at
		default:
			_, _, tail, err := strconv.UnquoteChar(s[at:], quote)
			if err != nil || s[at] == '\n' {
				return nil, 0, fmt.Errorf("the string %.40q cannot be read; escape it as PromQL does", s)
			}
			at = len(s) - len(tail)
		}
	}
	return nil, 0, fmt.Errorf("the string that begins at %.20q does not end", s)
}

// sound reports why a value cannot be passed on exactly; nil: it can.
func sound(value string) error {
	switch {
	case value == "":
		return fmt.Errorf("is missing")
	case len(value) > maxValue:
		return fmt.Errorf("is longer than %d bytes", maxValue)
	case !utf8.ValidString(value):
		return fmt.Errorf("is not UTF-8: %.60q", value)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("holds a zero byte: %.60q", value)
	case value[0] == '-':
		return fmt.Errorf("begins with a dash, and would be read as an option: %.60q", value)
	}
	return nil
}
