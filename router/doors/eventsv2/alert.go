package eventsv2

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// Labels that an event makes. They have the names that Prometheus' alerts have
// for the same things, so that routes need not know where an alert came from.
const (
	// LabelDedupKey is the event's dedup_key. It is in every alert, and makes two
	// of them two.
	LabelDedupKey = "dedup_key"
	// LabelInstance is the event's source: the host or service in trouble.
	LabelInstance  = "instance"
	labelClass     = "class"
	labelComponent = "component"
	labelGroup     = "group"
)

// Bounds on what of an event becomes text. They are far below those that the
// server has for alerts.
const (
	maxLabel      = 1024
	maxAnnotation = 4096
	maxDetails    = 64
	maxDepth      = 4
	maxLinks      = 8
)

// labelsOf is the identity of the alert that a trigger makes. What the
// configuration says of the source wins over what the event says.
func labelsOf(s *Source, e *event) tocsin.Labels {
	p := e.Payload
	l := tocsin.Labels{
		tocsin.LabelAlertName: cmp.Or(p.Class, p.Component, p.Group, s.Name),
		tocsin.LabelSeverity:  p.Severity,
		LabelInstance:         p.Source,
		labelClass:            p.Class,
		labelComponent:        p.Component,
		labelGroup:            p.Group,
	}
	for name, v := range l {
		if v = clip(strings.TrimSpace(v), maxLabel); v == "" {
			delete(l, name)
			continue
		}
		l[name] = v
	}
	if l[tocsin.LabelAlertName] == "" {
		l[tocsin.LabelAlertName] = s.Name
	}
	maps.Copy(l, s.Labels)
	l[LabelDedupKey] = e.DedupKey
	return l
}

// annotationsOf is what a trigger says beside.
func annotationsOf(e *event) tocsin.Labels {
	a := tocsin.Labels{tocsin.AnnotationSummary: e.Payload.Summary}
	set := func(name, v string) {
		if v = clip(v, maxAnnotation); v != "" {
			a[name] = v
		}
	}
	flatten(e.Payload.Details, set)
	set("client", e.Client)
	set("timestamp", e.Payload.Timestamp)
	for i, k := range e.Links[:min(len(e.Links), maxLinks)] {
		if isWeb(k.Href) {
			set("link_"+strconv.Itoa(i+1), strings.TrimSpace(k.Text+" "+k.Href))
		}
	}
	for i, m := range e.Images[:min(len(e.Images), maxLinks)] {
		set("image_"+strconv.Itoa(i+1), strings.TrimSpace(m.Alt+" "+m.Src))
	}
	return a
}

// flatten gives the values of an object the names of their paths, in the order
// in which they are written: {"disk": {"free": 3}} is disk.free=3. What is deeper
// than maxDepth stays JSON; of more than maxDetails the rest is left out.
func flatten(raw json.RawMessage, set func(name, v string)) {
	n := 0
	var walk func(path string, raw json.RawMessage, depth int)
	walk = func(path string, raw json.RawMessage, depth int) {
		raw = bytes.TrimSpace(raw)
		switch {
		case n >= maxDetails || len(raw) == 0:
			return
		case raw[0] == '{' && depth < maxDepth:
			eachMember(raw, func(name string, v json.RawMessage) {
				walk(join(path, name), v, depth+1)
			})
			return
		}
		n++
		set(cmp.Or(clip(path, maxLabel/4), "details"), scalar(raw))
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return
	}
	walk("", raw, 0)
}

// join keeps what is nested apart from the annotations that have a meaning of
// their own: nobody titles an incident, or names a runbook, by accident.
func join(path, name string) string {
	switch {
	case path != "":
		return path + "." + name
	case name == tocsin.AnnotationSummary, name == "client", name == "timestamp":
		return "details." + name
	default:
		return name
	}
}

// eachMember yields the members of an object that is known to be one.
func eachMember(raw json.RawMessage, yield func(name string, v json.RawMessage)) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return
		}
		yield(fmt.Sprint(name), v)
	}
}

// scalar is a value as text: a string without its quotes, anything else as JSON.
func scalar(raw json.RawMessage) string {
	var s string
	switch {
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
		return s
	case string(raw) == "null":
		return ""
	default:
		return string(raw)
	}
}

func isWeb(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// clip cuts s to n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
