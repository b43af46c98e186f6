package runbooks

import (
	"bytes"
	"fmt"
	"strings"

	matcher "github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"go.yaml.in/yaml/v4"
)

// Bounds of the front matter, in bytes, and in brackets since nesting is slow.
const (
	maxFront  = 16 << 10
	maxBraces = 400
)

// front is what a file's YAML front matter says.
type front struct {
	title, severity, url string
	alerts, matchers     []string
	aliases              []string // Hugo's: former addresses of the page
}

// cutFront divides a source into its front matter and the rest. rest starts at
// line restLine. TOML front matter ("+++") is cut off and not read.
func cutFront(source []byte) (yamlText, rest []byte, restLine int) {
	first, body, found := bytes.Cut(source, []byte("\n"))
	mark := string(bytes.TrimRight(first, " \t"))
	if !found || mark != "---" && mark != "+++" {
		return nil, source, 1
	}
	line, offset := 2, len(first)+1
	for text := range bytes.Lines(body) {
		t := string(bytes.TrimRight(text, " \t\n"))
		if t == mark || mark == "---" && t == "..." {
			if mark == "---" {
				yamlText = source[len(first)+1 : offset]
			}
			return yamlText, source[offset+len(text):], line + 1
		}
		offset += len(text)
		line++
	}
	return nil, source, 1
}

// readFront reads front matter. Only scalars and lists of scalars are taken,
// aliases are not followed, so that no document costs more than its size. ok is
// false where the text is no mapping: it was not front matter at all.
func readFront(file string, text []byte) (f front, problems []Problem, ok bool) {
	fail := func(line int, format string, args ...any) {
		problems = append(problems, Problem{file, line, CodeFrontMatter, fmt.Sprintf(format, args...)})
	}
	if len(text) > maxFront || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxBraces {
		fail(1, "the front matter is larger than %d KiB, or has more than %d brackets, and was ignored", maxFront>>10, maxBraces)
		return f, problems, true
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		fail(1, "the front matter is not YAML and was ignored: %v", err)
		return f, problems, true
	}
	if len(doc.Content) == 0 {
		return f, nil, true
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return f, nil, false
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i].Value, m.Content[i+1]
		target := f.field(strings.ToLower(key))
		if target == nil {
			continue
		}
		values, good := scalars(value)
		if !good {
			fail(value.Line+1, "%s: want text or a list of texts", key)
			continue
		}
		target(values)
	}
	if err := checkMatchers(f.matchers); err != nil {
		fail(1, "matchers: %v; none of this file's matchers are used", err)
		f.matchers = nil
	}
	return f, problems, true
}

// field returns how to set the named field, or nil for one of no concern.
func (f *front) field(key string) func([]string) {
	one := func(p *string) func([]string) {
		return func(v []string) {
			if len(v) > 0 {
				*p = strings.TrimSpace(v[0])
			}
		}
	}
	switch key {
	case "title":
		return one(&f.title)
	case "severity":
		return one(&f.severity)
	case "runbook_url", "url":
		return one(&f.url)
	case "alerts", "alert", "alertname", "alertnames":
		return func(v []string) {
			for _, a := range v {
				if a = strings.TrimSpace(a); a != "" {
					f.alerts = append(f.alerts, a)
				}
			}
		}
	case "matchers":
		return func(v []string) { f.matchers = append(f.matchers, v...) }
	case "aliases":
		return func(v []string) { f.aliases = append(f.aliases, v...) }
	}
	return nil
}

func scalars(n *yaml.Node) ([]string, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, true
		}
		return []string{n.Value}, true
	case yaml.SequenceNode:
		out := make([]string, 0, len(n.Content))
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return nil, false
			}
			out = append(out, c.Value)
		}
		return out, true
	}
	return nil, false
}

// compileMatchers parses matchers in Alertmanager's syntax, with UTF-8 names
// (github.com/prometheus/alertmanager/matcher/parse). An entry may hold several.
func compileMatchers(texts []string) (labels.Matchers, error) {
	var out labels.Matchers
	for _, t := range texts {
		ms, err := matcher.Matchers(t)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", t, err)
		}
		out = append(out, ms...)
	}
	return out, nil
}

func checkMatchers(texts []string) error {
	_, err := compileMatchers(texts)
	return err
}
