package config

import (
	_ "embed"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Example is a whole configuration to begin with. It needs the environment
// variables SLACK_BOT_TOKEN and PAGERDUTY_ROUTING_KEY.
//
//go:embed example.yml
var Example string

const referenceHead = `# Configuration

<!-- Made from the structs of package config: go test ./config -update -->

Tocsin reads one YAML file, ` + "`tocsin serve --config.file tocsin.yml`" + `. ` + "`tocsin check`" + ` tells everything that is wrong
with it, each with file, line and column. This is a whole one to begin with:

` + "```yaml\n%s```" + `

Names follow Alertmanager's; a route tree, inhibit rules and time intervals can be taken over as they are, without
the timers (an incident is told at once and updated in place) and with ` + "`matchers`" + ` instead of ` + "`match`" + `.

## How values are written

* **Keys** that do not exist are errors, so that a slip of the pen is never a page that does not come.
* **Durations** are Prometheus': ` + "`30s`, `5m`, `1h30m`, `90d`" + `. Units: ms, s, m, h, d, w, y. **Sizes** have a unit: ` + "`512`, `16KiB`, `4MiB`" + `.
* **Environment**: any text may hold ` + "`${NAME}`" + `; a variable that is not set is an error. ` + "`$$`" + ` is a ` + "`$`" + `; a ` + "`$`" + ` before anything else
  stays. What a variable holds is taken as text, never as YAML. Within ` + "`{ }` and `[ ]`" + ` put it in quotes.
* **Secrets** can be written in the file, come from the environment, or from a file of their own through the key that
  ends in ` + "`_file`" + `; not two at once. Line breaks at the file's end are cut off. A file that everybody on the
  machine can read is a warning. Secrets are shown as ` + "`<secret>`" + ` everywhere.
* **Paths** begin at the folder of the configuration file.
* **#** begins a comment in YAML: put a channel's name in quotes.
* **Reload** with SIGHUP or ` + "`POST /-/reload`" + `; a file with errors is refused and the old one stays. Keys marked ↻ take effect
  at the next start only.
* **Editors** complete and check the file when its first line is
  ` + "`# yaml-language-server: $schema=https://…/tocsin.schema.json`" + ` (or the path of [tocsin.schema.json](tocsin.schema.json)).
`

// Reference is the reference of the configuration, as Markdown: every key with
// its type, default, meaning and an example, made from the structs that the
// file is read into.
func Reference() (string, error) {
	words, err := comments()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, referenceHead, Example)
	places := map[reflect.Type]string{}
	for _, s := range sections() {
		places[s.typ] = s.path
	}
	for _, s := range sections() {
		if s.path == "" {
			writeOverview(&b, s.typ, words)
			continue
		}
		writeSection(&b, s, words, places)
	}
	return b.String(), nil
}

func writeOverview(b *strings.Builder, t reflect.Type, words map[string]string) {
	b.WriteString("\n## Sections\n\n| Section | |\n|---|---|\n")
	for i := range t.NumField() {
		f := t.Field(i)
		if keyOf(f) == "" {
			continue
		}
		fmt.Fprintf(b, "| [`%[1]s`](#%[1]s)%[2]s | %[3]s |\n", keyOf(f), restartMark(f), cell(words["Config."+f.Name]))
	}
}

func writeSection(b *strings.Builder, s section, words map[string]string, places map[reflect.Type]string) {
	level := "##"
	if strings.Contains(s.path, ".") {
		level = "###"
	}
	// The brackets of lists would make the anchors hard to link to.
	fmt.Fprintf(b, "\n%s %s\n\n", level, strings.ReplaceAll(s.path, "[]", ""))
	intro := prose(strings.TrimSpace(words[s.field] + " " + words[s.typ.Name()]))
	if s.restart {
		intro += " ↻ Changes take effect at the next start."
	}
	fmt.Fprintf(b, "%s\n\n", intro)
	fmt.Fprintf(b, "```yaml\n%s```\n\n", exampleOf(s))
	b.WriteString("| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		key := keyOf(f)
		if key == "" {
			continue
		}
		meaning := words[s.typ.Name()+"."+f.Name]
		fmt.Fprintf(b, "| `%s`%s | %s | %s | %s |\n", key, restartMark(f), typeCell(f, places), defaultCell(f), cell(meaning))
	}
}

func restartMark(f reflect.StructField) string {
	if f.Tag.Get("restart") != "" {
		return " ↻"
	}
	return ""
}

// typeCell names the type, and links to the section that describes it.
func typeCell(f reflect.StructField, places map[reflect.Type]string) string {
	t := f.Type
	word := "section"
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			word = "list of sections"
		}
		t = t.Elem()
	}
	if place, ok := places[t]; ok {
		anchor := strings.NewReplacer("[]", "", ".", "").Replace(place)
		return fmt.Sprintf("[%s](#%s)", word, anchor)
	}
	if f.Tag.Get("path") != "" {
		if f.Type.Kind() == reflect.Slice {
			return "list of paths"
		}
		return "path"
	}
	return typeName(f.Type)
}

func defaultCell(f reflect.StructField) string {
	if text, ok := f.Tag.Lookup("default"); ok {
		return "`" + text + "`"
	}
	if text, ok := f.Tag.Lookup("defaultdoc"); ok {
		return prose(text)
	}
	if strings.Contains(f.Tag.Get("jsonschema"), "required") {
		return "*required*"
	}
	return "–"
}

func cell(s string) string { return strings.ReplaceAll(prose(s), "|", `\|`) }

// keyWord finds what is written like a key: intake_tokens, slack.bot_token.
var keyWord = regexp.MustCompile(`[*a-z]*[a-z]*\.?[a-z]*_[a-z_]+|\['\.{3}'\]|\[\]`)

// prose sets off the keys in a comment.
func prose(s string) string { return keyWord.ReplaceAllString(s, "`$0`") }

// exampleOf is a block of YAML with an example of every key of a section, in its
// place. A secret that has a *_file twin is a comment beside it, and so is what
// cannot stand beside the others.
func exampleOf(s section) string {
	var b strings.Builder
	indent, dash := "", ""
	path := s.path
	if s.typ == reflect.TypeFor[Route]() {
		// The root can have none of what makes a route worth showing.
		path += ".routes[]"
	}
	for _, part := range strings.Split(path, ".") {
		name, list := strings.CutSuffix(part, "[]")
		fmt.Fprintf(&b, "%s%s%s:\n", indent, dash, name)
		indent += strings.Repeat(" ", len(dash)) + "  "
		dash = ""
		if list {
			dash = "- "
		}
	}
	for _, line := range exampleLines(s.typ) {
		fmt.Fprintf(&b, "%s%s%s\n", indent, dash, line)
		if dash != "" {
			indent, dash = indent+"  ", ""
		}
	}
	return b.String()
}

func exampleLines(t reflect.Type) []string {
	var lines, alternatives []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := keyOf(f)
		if key == "" || isSection(element(f.Type)) {
			continue
		}
		line := key + ": " + f.Tag.Get("example")
		if word := f.Tag.Get("or"); word != "" {
			lines = append(lines, "# "+word+" "+line)
			continue
		}
		if hasTwin(t, f) {
			alternatives = append(alternatives, "# or "+line)
			continue
		}
		lines = append(lines, line)
		lines = append(lines, alternatives...)
		alternatives = nil
	}
	if len(lines) == 0 {
		lines = []string{"# the keys are below"}
	}
	return lines
}
