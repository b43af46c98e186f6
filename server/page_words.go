package server

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// words are the functions that the templates say things with.
func words() template.FuncMap {
	return template.FuncMap{
		"show": show, "short": short, "when": when, "stamp": stamp, "age": age, "href": href, "segment": segment, "query": url.QueryEscape,
		"tick": tick, "runbookPath": runbookPath, "shape": shape, "takes": takes, "plural": plural, "plain": plain, "anchor": anchor, "pieces": pieces, "wholeTime": wholeTime,
	}
}

// show makes text from outside safe to look at: control characters, and those
// that turn the direction of what follows, are written out. html/template
// escapes the rest.
func show(v any) string {
	text := said(v)
	if !strings.ContainsFunc(text, odd) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if odd(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// odd characters are not seen, or change how others are.
func odd(r rune) bool {
	if r < utf8.RuneSelf {
		return (r < ' ' || r == 0x7f) && r != '\n' && r != '\t'
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// said is what fmt would write.
func said(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return fmt.Sprint(v)
}

// short is show of at most so many characters: what is from outside must not make
// a page of megabytes.
func short(most int, v any) string {
	text := said(v)
	if len(text) <= most {
		return show(text)
	}
	n := 0
	for at := range text {
		if n++; n == most {
			if _, size := utf8.DecodeRuneInString(text[at:]); at+size == len(text) {
				break
			}
			return show(text[:at]) + "…"
		}
	}
	return show(text)
}

// plain is a name as people write it: "rolled back" of "rolled_back".
func plain(v any) string { return strings.ReplaceAll(said(v), "_", " ") }

// plural is a number with its noun: "1 alert", "2 alerts".
func plural(n any, noun string) string {
	text := fmt.Sprint(n)
	if text == "1" {
		return text + " " + noun
	}
	return text + " " + noun + "s"
}

// tick is the mark in front of a step.
func tick(s tocsin.StepStatus) string {
	switch s {
	case tocsin.StepDone:
		return "☑"
	case tocsin.StepSkipped:
		return "☒"
	case tocsin.StepStarted:
		return "◩"
	default:
		return "☐"
	}
}

// shape tells severities apart without colour.
func shape(s tocsin.Severity) string {
	switch s {
	case tocsin.Critical:
		return "▲"
	case tocsin.Error:
		return "◆"
	case tocsin.Warning:
		return "■"
	default:
		return "●"
	}
}

func age(since, now time.Time) string {
	d := now.Sub(since)
	switch {
	case d < time.Minute:
		return "less than 1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// href returns the URL if it leads to the web, else "".
func href(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return text
}

// segment is text as one part of a path.
func segment(text string) string { return url.PathEscape(text) }

// anchor is text as an element's id: letters and digits, and a number for each of
// the others.
func anchor(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "-%x", r)
		}
	}
	return b.String()
}
