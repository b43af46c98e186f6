// Package jsonmap is a door for senders that post JSON of their own: the
// configuration says where in it the labels, annotations, status and times of
// alerts stand.
package jsonmap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

// Limits bound what one body may hold. A zero field means its default.
type Limits struct {
	// Alerts is the most alerts; 0: 10,000.
	Alerts int
	// Value is the longest label and the longest annotation in bytes; 0: 16 KiB.
	// An alert with a longer label is refused, a longer annotation is cut.
	Value int
}

// Mapping says how to read alerts from JSON. A path leads by names and numbers
// with dots between (data.alerts.0.name), or is a JSON Pointer (RFC 6901).
type Mapping struct {
	// Name of the door.
	Name string
	// Source of the alerts.
	Source string
	// Alerts is the path to the list of alerts, at each of which the other paths
	// begin. Empty: the body is one alert or a list of them.
	Alerts string
	// Status is the path to the word that says whether the alert fires; empty: it
	// does. Resolved are the words that say that it does not; none:
	// DefaultResolved.
	Status   string
	Resolved []string
	// Labels and Annotations in any order.
	Labels, Annotations []Field
	// StartsAt and EndsAt are paths to times; empty: when it came.
	StartsAt, EndsAt string
	// GeneratorURL is the path to the URL of what sent it.
	GeneratorURL string
}

// Field is one label or annotation.
type Field struct {
	Name string
	// Path to the value; empty: Value it is.
	Path string
	// Value is what applies where the path leads to nothing.
	Value string
	// Must refuses an alert for which there is neither.
	Must bool
}

// DefaultResolved are the words that commonly say that an alert is over.
func DefaultResolved() []string {
	return []string{"resolved", "ok", "up", "closed", "inactive", "normal", "false"}
}

// Read reads the alerts of a body. It is pure: now is when the body came. Errors
// satisfy errors.Is(err, tocsin.ErrInvalid) and name the path that is wrong.
func (m *Mapping) Read(body []byte, l Limits, now time.Time) ([]tocsin.Alert, error) {
	if l.Alerts == 0 {
		l.Alerts = 10_000
	}
	if l.Value == 0 {
		l.Value = 16 << 10
	}
	root, err := decode(body)
	if err != nil {
		return nil, err
	}
	at := m.Alerts
	if at != "" {
		found, ok := follow(root, at)
		if !ok {
			return nil, tocsin.Invalid(at, "there is nothing; want the list of alerts")
		}
		root = found
	}
	list, ok := root.([]any)
	switch {
	case ok && len(list) > l.Alerts:
		return nil, tocsin.Invalid(at, "more than %d alerts; send fewer at a time", l.Alerts)
	case !ok:
		list = []any{root}
	}
	alerts := make([]tocsin.Alert, 0, len(list))
	for i, v := range list {
		r := reader{m: m, limits: l, root: v, now: now, at: at}
		if ok {
			r.at = fmt.Sprintf("%s[%d]", at, i)
		}
		a, err := r.alert()
		if err != nil {
			return nil, err
		}
		alerts = append(alerts, a)
	}
	return alerts, nil
}

// decode reads one JSON value and nothing else. Numbers stay as they are written.
func decode(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, tocsin.Invalid("", "not valid JSON: it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, tocsin.Invalid("", "not valid JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, tocsin.Invalid("", "not valid JSON: more follows the end")
	}
	return v, nil
}

// reader reads one alert.
type reader struct {
	m      *Mapping
	limits Limits
	root   any
	now    time.Time
	// at is where the alert stands in the body.
	at string
}

// field is where something stands in the body, for people. It has no spaces.
func (r *reader) field(path string) string {
	if strings.HasPrefix(path, "/") || r.at == "" {
		return strings.ReplaceAll(r.at+path, " ", "_")
	}
	return strings.ReplaceAll(r.at+"."+path, " ", "_")
}

func (r *reader) alert() (tocsin.Alert, error) {
	a := tocsin.Alert{Source: r.m.Source, Firing: true, StartsAt: r.now}
	if _, ok := r.root.(map[string]any); !ok {
		return a, tocsin.Invalid(r.at, "want an object: an alert")
	}
	var err error
	if a.Labels, err = r.set(r.m.Labels, false); err != nil {
		return a, err
	}
	if len(a.Labels) == 0 {
		return a, tocsin.Invalid(r.at, "none of the labels is there; an alert needs at least one")
	}
	if a.Annotations, err = r.set(r.m.Annotations, true); err != nil {
		return a, err
	}
	a.Firing = r.firing()
	if err := r.times(&a); err != nil {
		return a, err
	}
	if link := r.text(r.m.GeneratorURL); len(link) <= r.limits.Value {
		a.GeneratorURL = link
	}
	return a, nil
}

func (r *reader) set(fields []Field, cut bool) (tocsin.Labels, error) {
	out := make(tocsin.Labels, len(fields))
	for i := range fields {
		f := &fields[i]
		v := r.text(f.Path)
		if v == "" {
			v = f.Value
		}
		switch {
		case v == "" && f.Must:
			return nil, tocsin.Invalid(r.field(f.Path), "there is nothing; %s must be there", f.Name)
		case v == "":
			continue
		case len(v) > r.limits.Value && !cut:
			return nil, tocsin.Invalid(r.field(f.Path), "longer than %d bytes, which is no label", r.limits.Value)
		case len(v) > r.limits.Value:
			v = strings.ToValidUTF8(v[:r.limits.Value], "")
		}
		out[f.Name] = v
	}
	return out, nil
}

func (r *reader) firing() bool {
	word := strings.TrimSpace(r.text(r.m.Status))
	over := r.m.Resolved
	if len(over) == 0 {
		over = DefaultResolved()
	}
	return word == "" || !slices.ContainsFunc(over, func(w string) bool { return strings.EqualFold(w, word) })
}

func (r *reader) times(a *tocsin.Alert) error {
	started, err := r.time(r.m.StartsAt)
	if err != nil {
		return err
	}
	if !started.IsZero() {
		a.StartsAt = started
	}
	if a.Firing {
		return nil
	}
	a.EndsAt, err = r.time(r.m.EndsAt)
	return err
}

// time reads a time; nothing is the zero time.
func (r *reader) time(path string) (time.Time, error) {
	text := r.text(path)
	if text == "" || strings.HasPrefix(text, "0001-01-01") {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	const milliseconds = 1e11 // as seconds, that would be the year 5138
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 0 && n < 1e15 {
		if n < milliseconds {
			n *= 1000
		}
		return time.UnixMilli(int64(n)).UTC(), nil
	}
	return time.Time{}, tocsin.Invalid(r.field(path), "is not a time; want RFC 3339, or seconds or milliseconds since 1970")
}

// text is what a path leads to, as text; "" where it leads to nothing.
func (r *reader) text(path string) string {
	if path == "" {
		return ""
	}
	v, ok := follow(r.root, path)
	if !ok {
		return ""
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
}

// follow walks down a path.
func follow(v any, path string) (any, bool) {
	for _, step := range steps(path) {
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(in) {
				return nil, false
			}
			v = in[n]
		default:
			return nil, false
		}
	}
	return v, true
}

func steps(path string) []string {
	if !strings.HasPrefix(path, "/") {
		return strings.Split(path, ".")
	}
	list := strings.Split(path[1:], "/")
	for i := range list {
		list[i] = strings.ReplaceAll(strings.ReplaceAll(list[i], "~1", "/"), "~0", "~")
	}
	return list
}
