package runbooks

import (
	"fmt"
	"slices"
	"strings"
)

// attrRemediation is the attribute of a fence that names a remedy.
const attrRemediation = "remediation"

// info is what a fence's info string says.
type info struct {
	lang        string
	remediation string
	// wrong is what is wrong with how it names a remedy; "": nothing.
	wrong string
}

var (
	// fenceName is what is looked for to tell that a remedy is meant.
	fenceName = lazy(`(?i)\bremed(?:iation|iate|y|ies)s?\b`)
	// remedyName is what the configuration takes for a remedy's name.
	remedyName = lazy(`^[^/@#\pC][^/\pC]{0,99}$`)
)

// readInfo reads an info string: the language, and then attributes in braces, or
// attributes alone with the language as their first class, as Pandoc and GitHub
// have it (https://pandoc.org/MANUAL.html#extension-fenced_code_attributes):
//
//	bash {remediation=restart-node}
//	{.bash #id .other remediation="restart-node"}
//
// Other tools write other things there; those are passed over, unless a remedy
// is meant.
func readInfo(s string) info {
	s = strings.TrimSpace(s)
	before, rest, braces := strings.Cut(s, "{")
	out := info{lang: languageOf(before)}
	meant := fenceName().MatchString(s[min(len(s), len(firstWord(before))):])
	if !braces {
		if meant {
			out.wrong = "the name of a remedy stands in braces: write " + out.example(s)
		}
		return out
	}
	a := attributes{rest: rest}
	a.read()
	if out.lang == "" {
		out.lang = languageOf(a.class)
	}
	if !meant && a.remedies == nil {
		return out
	}
	switch names := slices.Compact(slices.Clone(a.remedies)); {
	case a.wrong != "":
		out.wrong = a.wrong + ": write " + out.example(s)
	case len(names) == 0:
		out.wrong = fmt.Sprintf("no attribute is called %s: write %s", attrRemediation, out.example(s))
	case len(names) > 1:
		out.wrong = fmt.Sprintf("a fence stands for one remedy, and this one names %s and %s: divide it", names[0], names[1])
	case !remedyName().MatchString(names[0]):
		out.wrong = fmt.Sprintf("%q is no remedy's name: write %s", names[0], out.example(s))
	default:
		out.remediation = names[0]
	}
	return out
}

// example is how the info string is to be written.
func (i info) example(s string) string {
	name := "restart-node"
	if m := nameGiven().FindStringSubmatch(s); m != nil {
		name = m[1]
	}
	lang := i.lang
	if lang == "" || fenceName().MatchString(lang) {
		lang = "bash"
	}
	return fmt.Sprintf("%s {%s=%s}", lang, attrRemediation, name)
}

var nameGiven = lazy(`(?i)\bremed\w*\s*[=:]\s*["']?([\w.-]{1,60})`)

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(s, " \t"), " ")
	return word
}

// languageOf is a language as tables here have it: "{.bash", "Bash" and "bash"
// alike.
func languageOf(word string) string { return strings.ToLower(strings.TrimLeft(firstWord(word), ".")) }

// attributes reads what stands in the braces.
type attributes struct {
	rest     string
	class    string // the first one, or the first bare word
	remedies []string
	wrong    string
}

// read reads up to the closing brace. It stops at the first thing that is wrong.
func (a *attributes) read() {
	for a.wrong == "" {
		a.rest = strings.TrimLeft(a.rest, " \t,")
		switch {
		case a.rest == "":
			a.wrong = "the braces are not closed"
			return
		case a.rest[0] == '}':
			return
		}
		key := a.take()
		if !strings.HasPrefix(a.rest, "=") {
			if a.class == "" && !strings.HasPrefix(key, "#") {
				a.class = key
			}
			if key == "" {
				a.wrong = fmt.Sprintf("%q is no attribute", a.rest[:1])
			}
			continue
		}
		a.rest = a.rest[1:]
		value := a.value()
		if strings.EqualFold(key, attrRemediation) && a.wrong == "" {
			a.remedies = append(a.remedies, value)
		}
	}
}

// take takes a bare word.
func (a *attributes) take() string {
	end := strings.IndexAny(a.rest, " \t,=}\"'{")
	if end < 0 {
		end = len(a.rest)
	}
	word := a.rest[:end]
	a.rest = a.rest[end:]
	return word
}

// value takes what stands behind the =: a bare word, or a text in quotes in which
// a backslash hides the quote. Hugo's lists in brackets are passed over.
func (a *attributes) value() string {
	if a.rest == "" {
		return ""
	}
	switch quote := a.rest[0]; quote {
	case '"', '\'':
		var b strings.Builder
		for i := 1; i < len(a.rest); i++ {
			switch c := a.rest[i]; {
			case c == '\\' && i+1 < len(a.rest):
				i++
				b.WriteByte(a.rest[i])
			case c == quote:
				a.rest = a.rest[i+1:]
				return b.String()
			default:
				b.WriteByte(c)
			}
		}
		a.wrong, a.rest = "a quote is not closed", ""
		return ""
	case '[':
		_, a.rest, _ = strings.Cut(a.rest, "]")
		return ""
	}
	return a.take()
}
