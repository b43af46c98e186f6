package remediation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxValue bounds a parameter's value, in bytes.
	maxValue = 1024
	// maxInput bounds what a command reads, in bytes.
	maxInput = 64 << 10
)

// parameter is a Parameter that was compiled.
type parameter struct {
	name, label string
	pattern     *regexp.Regexp
	text        string
}

// newParameter compiles the pattern twice: alone, so that one such as "a)|(b"
// is refused, and then held to the whole value.
func newParameter(p Parameter) (parameter, error) {
	out := parameter{name: p.Name, label: p.Label, text: p.Pattern}
	if out.label == "" {
		out.label = p.Name
	}
	if out.text == "" {
		out.text = DefaultPattern
	}
	if !parameterName.MatchString(p.Name) {
		return out, fmt.Errorf("parameter %q: a name is small letters, digits and _, such as node", p.Name)
	}
	if _, err := regexp.Compile(out.text); err != nil {
		return out, fmt.Errorf("parameter %s: pattern: %w", p.Name, err)
	}
	whole, err := regexp.Compile(`\A(?:` + out.text + `)\z`)
	if err != nil {
		return out, fmt.Errorf("parameter %s: pattern: %w", p.Name, err)
	}
	out.pattern = whole
	return out, nil
}

// check reports why a value does not fit; nil: it does.
func (p *parameter) check(value string) error {
	if err := sound(value); err != nil {
		return fmt.Errorf("label %s %w", p.label, err)
	}
	if p.text == DefaultPattern && slices.Contains(strings.Split(value, "/"), "..") {
		return fmt.Errorf("label %s leads out of its folder, and has no pattern of its own that lets it: %.60q", p.label, value)
	}
	if !p.pattern.MatchString(value) {
		return fmt.Errorf("label %s does not match %s: %.60q", p.label, p.text, value)
	}
	return nil
}

// text is an argument with placeholders: what is literal, and what a parameter
// fills in. A value is never looked at for placeholders itself.
type text []textPart

type textPart struct{ literal, parameter string }

func parseText(s string, known map[string]bool) (text, error) {
	var out text
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(s, -1) {
		name := s[m[2]:m[3]]
		if !known[name] {
			return nil, fmt.Errorf("{{%s}} is no parameter", name)
		}
		out = append(out, textPart{literal: s[at:m[0]]}, textPart{parameter: name})
		at = m[1]
	}
	return append(out, textPart{literal: s[at:]}), nil
}

func (t text) fill(values map[string]string) string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.literal)
		if p.parameter != "" {
			b.WriteString(values[p.parameter])
		}
	}
	return b.String()
}

// program is an argv template with the file that it is for.
type program struct {
	path    string
	args    []text
	sha256  string
	timeout time.Duration
}

func newProgram(argv []string, sum string, timeout time.Duration, known map[string]bool) (*program, error) {
	if len(argv) == 0 {
		return nil, errors.New("the command is missing")
	}
	if err := fixed(argv[0]); err != nil {
		return nil, err
	}
	if !sha256Hex.MatchString(sum) {
		return nil, fmt.Errorf("sha256 of %s: want 64 hex digits", argv[0])
	}
	p := &program{path: argv[0], sha256: strings.ToLower(sum), timeout: timeout}
	for _, arg := range argv[1:] {
		t, err := parseText(arg, known)
		if err != nil {
			return nil, err
		}
		if strings.ContainsRune(arg, 0) {
			return nil, fmt.Errorf("argument %q holds a zero byte", arg)
		}
		p.args = append(p.args, t)
	}
	return p, nil
}

// fixed reports why a path is not that of one file; nil: it is.
func fixed(path string) error {
	if !strings.HasPrefix(path, "/") || placeholder.MatchString(path) || strings.ContainsRune(path, 0) || strings.HasSuffix(path, "/") {
		return fmt.Errorf("%q is not the absolute path of a file without placeholders", path)
	}
	return nil
}

// argv is what is executed: always as many arguments as were declared, and the
// first as it was.
func (p *program) argv(values map[string]string) []string {
	out := make([]string, 0, 1+len(p.args))
	out = append(out, p.path)
	for _, t := range p.args {
		out = append(out, t.fill(values))
	}
	return out
}

// command is what a Runner gets.
func (m *remedy) command(p *program, values map[string]string, stdin string) Command {
	c := Command{
		Argv: p.argv(values), SHA256: p.sha256, Environment: append([]string{}, m.spec.Environment...),
		Timeout: p.timeout, Sandbox: m.spec.Sandbox,
	}
	if stdin != "" {
		c.Stdin = []byte(stdin)
	}
	return c
}

// fill takes the parameters from an alert's labels. The error says which does not
// fit; nothing may be run then.
func (m *remedy) fill(labels tocsin.Labels) (map[string]string, error) {
	values := make(map[string]string, len(m.parameters))
	for i := range m.parameters {
		p := &m.parameters[i]
		value := labels[p.label]
		if err := p.check(value); err != nil {
			return nil, err
		}
		values[p.name] = value
	}
	return values, nil
}

// sound reports why values are not what fill would have let pass.
func (m *remedy) sound(values map[string]string) error {
	for i := range m.parameters {
		if err := m.parameters[i].check(values[m.parameters[i].name]); err != nil {
			return err
		}
	}
	return nil
}

// target is what the remedy would act on for an alert. The raw one tells targets
// apart; the other is fit to be shown, whatever the label holds.
func (m *remedy) target(labels tocsin.Labels) (raw, shown string) {
	if m.acts < 0 {
		return "", ""
	}
	p := &m.parameters[m.acts]
	raw = labels[p.label]
	if raw == "" || p.check(raw) == nil {
		return raw, raw
	}
	return raw, fmt.Sprintf("%.80q", raw)
}

// input is the JSON that a command reads, or nothing.
type input struct {
	Remedy     string            `json:"remedy"`
	Incident   string            `json:"incident"`
	Target     string            `json:"target"`
	Parameters map[string]string `json:"parameters"`
	Alert      inputAlert        `json:"alert"`
}

type inputAlert struct {
	Labels      tocsin.Labels `json:"labels"`
	Annotations tocsin.Labels `json:"annotations"`
}

// stdin is what the command reads: "" where it reads nothing. What JSON cannot
// hold as it is, and what is too long, is an error.
func (m *remedy) stdin(incident, target string, values map[string]string, a *tocsin.Alert) (string, error) {
	if m.spec.Stdin != StdinJSON {
		return "", nil
	}
	for _, set := range []tocsin.Labels{a.Labels, a.Annotations} {
		for name, value := range set {
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				return "", fmt.Errorf("label or annotation %q is not UTF-8, and JSON cannot hold it", name)
			}
		}
	}
	in := input{Remedy: m.spec.Name, Incident: incident, Target: target, Parameters: values, Alert: inputAlert{a.Labels, a.Annotations}}
	if in.Alert.Annotations == nil {
		in.Alert.Annotations = tocsin.Labels{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(in); err != nil {
		return "", err
	}
	if b.Len() > maxInput {
		return "", fmt.Errorf("the alert makes %d bytes of JSON, and %d are allowed", b.Len(), maxInput)
	}
	return b.String(), nil
}
