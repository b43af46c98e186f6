package server

import (
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// unquote returns the text of the string that the cursor has just read; it is
// valid until the next unquote.
func (d *decoder) unquote(quoted []byte) ([]byte, error) {
	if d.cur.plain {
		return quoted[1 : len(quoted)-1], nil
	}
	var err error
	if d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], quoted); err != nil {
		return nil, syntax(err)
	}
	return d.scratch, nil
}

// text reads a string that is no longer than a value may be; null is the empty
// one.
func (d *decoder) text(field string) ([]byte, error) {
	switch d.cur.kind() {
	case '"':
	case 'n':
		d.cur.skip()
		return nil, nil
	default:
		return nil, invalid(field, "want a string")
	}
	b, err := d.unquote(d.cur.quoted())
	if err == nil && len(b) > d.limits.Value {
		err = invalid(field, "longer than %d bytes", d.limits.Value)
	}
	return b, err
}

func (d *decoder) version() error {
	if d.cur.kind() != '"' {
		return invalid("version", notWebhook)
	}
	v, err := d.text("version")
	if err == nil && string(v) != "4" {
		err = invalid("version", "%q: %s", clip(string(v)), notWebhook)
	}
	return err
}

func (d *decoder) count(field string) (uint64, error) {
	switch c := d.cur.kind(); {
	case c == 'n':
		d.cur.skip()
		return 0, nil
	case c < '0' || c > '9':
		return 0, invalid(field, "want a whole number, 0 or more")
	}
	n, err := strconv.ParseUint(string(d.cur.scalar()), 10, 64)
	if err != nil {
		return 0, invalid(field, "want a whole number, 0 or more")
	}
	return n, nil
}

func (d *decoder) status() (firing bool, err error) {
	b, err := d.text("status")
	if err != nil {
		return false, err
	}
	switch string(b) {
	case "firing":
		return true, nil
	case "resolved":
		return false, nil
	default:
		return false, invalid("status", `%q; want "firing" or "resolved"`, clip(string(b)))
	}
}

// time reads a time in UTC; "", null and year 1, which is how Alertmanager
// writes "none", are the zero time.
func (d *decoder) time(field string) (time.Time, error) {
	b, err := d.text(field)
	if err != nil || len(b) == 0 || string(b) == "0001-01-01T00:00:00Z" {
		return time.Time{}, err
	}
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return time.Time{}, invalid(field, "%q is not a time; want RFC 3339, like 2026-11-22T04:41:09Z", clip(string(b)))
	}
	if t.IsZero() {
		return time.Time{}, nil
	}
	return t.UTC(), nil
}

// labels reads a set of labels or annotations. The pairs are where it collects
// them.
func (d *decoder) labels(field string, pairs *[]pair) (tocsin.Labels, error) {
	switch d.cur.kind() {
	case '{':
	case 'n':
		d.cur.skip()
		return nil, nil
	default:
		return nil, invalid(field, "want an object of strings")
	}
	last, now := *pairs, (*pairs)[:0]
	for more := d.cur.open(); more; more = d.cur.next() {
		if len(now) == d.limits.Labels {
			return nil, invalid(field, "more than %d", d.limits.Labels)
		}
		// Alerts of one request tend to have the same labels in the same order.
		var like pair
		if len(now) < len(last) {
			like = last[len(now)]
		}
		p, err := d.pair(field, like)
		if err != nil {
			return nil, err
		}
		now = append(now, p)
	}
	*pairs = now
	return toSet(field, now)
}

func toSet(field string, pairs []pair) (tocsin.Labels, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	set := make(tocsin.Labels, len(pairs))
	for _, p := range pairs {
		set[p.name] = p.value
	}
	if len(set) < len(pairs) {
		return nil, invalid(field+"."+clip(twice(pairs)), "occurs twice")
	}
	return set, nil
}

// twice returns the first name that occurs again.
func twice(pairs []pair) string {
	names := make(map[string]bool, len(pairs))
	for _, p := range pairs {
		if names[p.name] {
			return p.name
		}
		names[p.name] = true
	}
	return ""
}

func (d *decoder) pair(field string, like pair) (pair, error) {
	b, err := d.unquote(d.cur.key())
	if err != nil {
		return pair{}, err
	}
	if len(b) == 0 {
		return pair{}, invalid(field, "a name is empty")
	}
	if len(b) > d.limits.Name {
		return pair{}, invalid(field, "a name is longer than %d bytes", d.limits.Name)
	}
	name := d.texts.text(b, like.name)
	if d.cur.kind() != '"' {
		return pair{}, invalid(field+"."+clip(name), "want a string")
	}
	if b, err = d.unquote(d.cur.quoted()); err != nil {
		return pair{}, err
	}
	if len(b) > d.limits.Value {
		return pair{}, invalid(field+"."+clip(name), "longer than %d bytes", d.limits.Value)
	}
	d.size += labelSize + len(name) + len(b)
	return pair{name, d.texts.text(b, like.value)}, nil
}

// syntax tells where the JSON is broken.
func syntax(err error) error {
	var e *jsontext.SyntacticError
	if !errors.As(err, &e) {
		return invalid("", "not valid JSON: it ends early")
	}
	return invalid(clip(string(e.JSONPointer)), "not valid JSON at offset %d: %v", e.ByteOffset, e.Err)
}
