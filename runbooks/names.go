package runbooks

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/promql"
)

// names finds the label that a placeholder means.
type names struct {
	labels tocsin.Labels
	// exact and short hold values by folded names; short by names without
	// "name" or "id" at the end. clash marks names of several values.
	exact, short map[string]labelValue
}

type labelValue struct {
	value string
	clash bool
}

func newNames(labels tocsin.Labels) names {
	n := names{labels, map[string]labelValue{}, map[string]labelValue{}}
	for _, name := range labels.Names() {
		words := nameWords(name)
		put(n.exact, strings.Join(words, ""), labels[name])
		put(n.short, strings.Join(trimWords(words), ""), labels[name])
	}
	return n
}

func put(m map[string]labelValue, key, value string) {
	if old, ok := m[key]; ok && old.value != value {
		m[key] = labelValue{clash: true}
		return
	}
	m[key] = labelValue{value: value}
}

// labelPhrase reads "value of instance label from alert".
var labelPhrase = lazy("(?i)^(?:the )?(?:value of )?(?:the )?[`'\"]?([\\p{L}_][\\p{L}\\p{N}_.-]*)[`'\"]? label(?: value)?(?: (?:from|of|in) (?:the )?alert)?$")

// ofPhrase reads "name_of_pod", "name of the pod".
var ofPhrase = lazy(`(?i)^(?:name|id|value)[ _-]of[ _-](?:the[ _-])?(.+)$`)

// value returns what a placeholder is to be replaced by, without NUL bytes.
// before is the command's text in front of it.
func (n names) value(name, before string) (string, bool) {
	v, ok := n.lookup(name, before)
	v = strings.ReplaceAll(v, "\x00", "")
	return v, ok && v != ""
}

func (n names) lookup(name, before string) (string, bool) {
	if m := labelPhrase().FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	if m := ofPhrase().FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	words := nameWords(name)
	if len(words) == 1 && words[0] == "name" {
		if v, ok := n.byNoun(before); ok {
			return v, true
		}
	}
	// In Prometheus "job" is the scrape job; a Kubernetes job is "job_name".
	if v, ok := n.labels["job_name"]; ok && len(words) == 1 && words[0] == "job" {
		return v, true
	}
	if v, ok := n.labels[name]; ok {
		return v, true
	}
	for _, w := range [][]string{words, trimPrefixes(words)} {
		if v, done, ok := n.folded(w); done {
			return v, ok
		}
	}
	return "", false
}

// folded looks a name up in all its spellings. done is true when the search is
// over, be it because two labels would do.
func (n names) folded(words []string) (value string, done, ok bool) {
	for _, key := range []string{strings.Join(words, ""), strings.Join(trimWords(words), "")} {
		for _, k := range []string{key, alias(key)} {
			if k == "" {
				continue
			}
			for _, m := range []map[string]labelValue{n.exact, n.short} {
				if v, found := m[k]; found {
					return v.value, true, !v.clash
				}
			}
		}
	}
	return "", false, false
}

// byNoun reads "describe daemonset $NAME": the noun before names the label.
func (n names) byNoun(before string) (string, bool) {
	fields := strings.Fields(before[max(0, len(before)-100):])
	if len(fields) == 0 || !strings.HasSuffix(before, " ") {
		return "", false
	}
	noun := strings.TrimSuffix(fields[len(fields)-1], "s")
	v, ok := n.labels[noun]
	return v, ok
}

// nameWords divides a name into its words, lower case: "podName", "POD-NAME"
// and "pod_name" alike.
func nameWords(s string) []string {
	var b strings.Builder
	var prev rune
	for _, r := range s {
		switch {
		case r == '-' || r == '_' || r == '.' || r == ' ' || r == '/':
			b.WriteByte(' ')
		case unicode.IsUpper(r) && unicode.IsLower(prev):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		prev = r
	}
	return strings.Fields(b.String())
}

// trimWords drops "name" and "id" at the end.
func trimWords(words []string) []string {
	if n := len(words); n > 1 && (words[n-1] == "name" || words[n-1] == "id") {
		return words[:n-1]
	}
	return words
}

// trimPrefixes drops words in front that say whose the thing is.
func trimPrefixes(words []string) []string {
	for len(words) > 1 {
		switch words[0] {
		case "my", "your", "the", "failed", "failing", "affected", "broken", "target":
			words = words[1:]
			continue
		}
		break
	}
	return words
}

// alias is another customary name of a label, or "".
func alias(key string) string {
	switch key {
	case "ns":
		return "namespace"
	case "pvc":
		return "persistentvolumeclaim"
	case "pv":
		return "persistentvolume"
	case "svc":
		return "service"
	case "sts":
		return "statefulset"
	case "ds":
		return "daemonset"
	case "deploy":
		return "deployment"
	case "hpa":
		return "horizontalpodautoscaler"
	case "env":
		return "environment"
	case "environment":
		return "env"
	}
	return ""
}

// inString fills languages whose strings stand in double quotes: inside of
// them, with the language's escapes. A promql regular expression takes no value
// with a special character; nor does that of
// label_replace.
func (f *filler) inString(lang, text string) func(found) (string, outcome) {
	return func(p found) (string, outcome) {
		value, ok := f.names.value(p.name, "")
		open := openString(text[:p.start])
		switch {
		case open < 0 && p.text[0] == '<':
			return "", notOurs // a comparison
		case !ok || open < 0:
			return "", unfilled
		}
		if lang == "json" {
			b, err := json.Marshal(value)
			if err != nil {
				return "", unfilled
			}
			return string(b[1 : len(b)-1]), filled
		}
		switch promql.PlaceOf(text[:open]) {
		case promql.Regexp:
			if !bareWord(value) || strings.ContainsAny(value, "+.") {
				return "", unfilled
			}
		case promql.Replacement:
			value = strings.ReplaceAll(value, "$", "$$")
		case promql.Value:
		}
		q := strconv.Quote(value)
		return q[1 : len(q)-1], filled
	}
}

// openString is where the double-quoted string begins that the end of a text
// stands in, or -1.
func openString(before string) int {
	open := -1
	var quote byte
	for i := 0; i < len(before); i++ {
		switch c := before[i]; {
		case quote == 0 && c == '#':
			if end := strings.IndexByte(before[i:], '\n'); end >= 0 {
				i += end
			} else {
				return -1
			}
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote, open = c, i
		case quote != 0 && quote != '`' && c == '\\':
			i++
		case c == quote:
			quote = 0
		}
	}
	if quote != '"' {
		return -1
	}
	return open
}
