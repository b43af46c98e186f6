package runbooks_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/runbooks/*.md")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Base(name), b)
	}
	for _, src := range hostileSources() {
		f.Add("x.md", []byte(src[:min(len(src), 2000)]))
	}
	f.Fuzz(func(t *testing.T, file string, source []byte) {
		start := time.Now()
		rbs, err := runbooks.Parse(file, source)
		if d := time.Since(start); d > 5*time.Second {
			t.Fatalf("took %s", d)
		}
		var p *runbooks.Problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("not a Problem: %v", err)
		}
		if len(rbs) == 0 && len(source) <= runbooks.MaxFile {
			t.Fatal("no runbook")
		}
		seen := map[string]bool{}
		for _, rb := range rbs {
			if seen[rb.ID] {
				t.Fatalf("ID %q twice", rb.ID)
			}
			seen[rb.ID] = true
			steps := map[string]bool{}
			for _, s := range rb.Steps {
				if steps[s.ID] || s.Text == "" && len(s.Commands) == 0 || utf8.Valid(source) && !utf8.ValidString(s.Text) {
					t.Fatalf("bad step %+v", s)
				}
				steps[s.ID] = true
			}
			filled := runbooks.Fill(&rb, tocsin.Labels{"pod": "'; x", "a": "b"})
			if len(filled.Steps) != len(rb.Steps) {
				t.Fatal("Fill lost steps")
			}
		}
		if _, err := json.Marshal(rbs); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzFill(f *testing.F) {
	for _, p := range places {
		f.Add("bash", p.text, "'; rm -rf / #")
	}
	f.Add("promql", `up{a="<x>"}`, `"`)
	f.Add("json", `{"a": "{{ $labels.x }}"}`, "\\")
	f.Add("", "cat <<E\n$(`<x>`\nE", "\n")
	f.Fuzz(func(t *testing.T, lang, text, value string) {
		labels := tocsin.Labels{"x": value}
		got := fillOne(lang, text, labels)
		if again := fillOne(lang, text, labels); again.Text != got.Text {
			t.Fatal("not deterministic")
		}
		if got.Text != text && (strings.Trim(value, "\x00") == "" || !strings.ContainsAny(text, "xX")) {
			t.Fatalf("%q changed to %q", text, got.Text)
		}
		if nothing := fillOne(lang, text, nil); nothing.Text != text {
			t.Fatalf("%q changed to %q without labels", text, nothing.Text)
		}
		if lang == "bash" && !strings.ContainsAny(value, "'") && got.Text != text && strings.ContainsAny(value, ";|&$`\"\\ \n<>(){}*?#!") {
			// A value with special characters is never bare.
			for rest := got.Text; ; {
				i := strings.Index(rest, value)
				if i < 0 || strings.Contains(text, value) {
					break
				}
				if strings.Count(got.Text[:len(got.Text)-len(rest)+i], "'") == 0 {
					t.Fatalf("%q stands bare in %q", value, got.Text)
				}
				rest = rest[i+len(value):]
			}
		}
	})
}
