package server

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// notWebhook is what a body that is JSON, but not Alertmanager's, is told.
const notWebhook = `this is not Alertmanager's webhook body, version "4" (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config); ` +
	`does the webhook_config set a custom payload?`

// payload is what an intake request bears.
type payload struct {
	alerts    []tocsin.Alert
	truncated uint64
	// size is about how many bytes the alerts hold in memory.
	size int
}

// decoder reads Alertmanager's webhook body, version 4: the shape of
// template.Data in github.com/prometheus/alertmanager v0.34.
//
// It works in two passes. jsontext checks the whole body: syntax, UTF-8, depth
// and what follows the end. Then a cursor picks what is wanted and stops at the
// first limit that is passed. This is three times as fast as unmarshalling into
// a struct, and 200,000 labels cost no more than the bytes they are written in:
// jsontext's own check for duplicate names costs 0.6 µs and 150 bytes a name.
//
// Unknown fields are accepted, and so are names that differ from known ones in
// case: they are unknown. A field that is read, or a label, must not occur twice.
// A decoder is used by one goroutine at a time.
type decoder struct {
	limits Limits
	json   *jsontext.Decoder
	in     bytes.Buffer
	none   *strings.Reader
	cur    cursor
	texts  *interner
	// What is reused from request to request.
	alerts  []tocsin.Alert
	pairs   [2][]pair // of labels, of annotations
	scratch []byte

	source string
	now    time.Time
	size   int
}

type pair struct{ name, value string }

const (
	// alertSize and labelSize are what an Alert, and a label beside its text,
	// are taken to hold in memory.
	alertSize = 256
	labelSize = 48
	// keepAlerts bounds what an idle decoder holds on to.
	keepAlerts = 256
)

func newDecoder(l Limits) *decoder {
	none := strings.NewReader("")
	return &decoder{limits: l, json: jsontext.NewDecoder(none), none: none, texts: newInterner()}
}

// decode returns the alerts of a body; they do not refer to it. An alert without
// startsAt starts now.
func (d *decoder) decode(body []byte, source string, now time.Time) (payload, error) {
	d.source, d.now, d.size = source, now, 0
	defer d.forget()
	if err := d.check(body); err != nil {
		return payload{}, err
	}
	d.cur = cursor{b: body, escape: -1}
	d.cur.space()
	p, err := d.payload()
	p.size = d.size
	return p, err
}

// check makes sure that the body is one JSON value and nothing else.
func (d *decoder) check(body []byte) error {
	d.in = *bytes.NewBuffer(body)
	d.json.Reset(&d.in, jsontext.AllowDuplicateNames(true))
	if _, err := d.json.ReadValue(); err != nil { // SkipValue is twice as slow: it goes by tokens
		return syntax(err)
	}
	_, err := d.json.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return invalid("", "not valid JSON: more follows the end, at offset %d", d.json.InputOffset())
	default:
		return syntax(err)
	}
}

// forget drops every reference to the request.
func (d *decoder) forget() {
	d.in, d.cur = bytes.Buffer{}, cursor{}
	d.json.Reset(d.none)
	for i, p := range d.pairs {
		clear(p[:cap(p)])
		d.pairs[i] = p[:0]
	}
	if cap(d.alerts) > keepAlerts {
		d.alerts = nil
	}
	clear(d.alerts)
	d.alerts = d.alerts[:0]
}

// seen notes the fields of one object that were read.
type seen uint

func (s *seen) once(bit uint, field string) error {
	if *s&(1<<bit) != 0 {
		return invalid(field, "occurs twice")
	}
	*s |= 1 << bit
	return nil
}

func (d *decoder) payload() (payload, error) {
	var p payload
	var have seen
	if d.cur.kind() != '{' {
		return p, invalid("", notWebhook)
	}
	for more := d.cur.open(); more; more = d.cur.next() {
		name, err := d.unquote(d.cur.key())
		if err != nil {
			return p, err
		}
		switch string(name) {
		case "alerts":
			if err = have.once(0, "alerts"); err == nil {
				p.alerts, err = d.list()
			}
		case "version":
			if err = have.once(1, "version"); err == nil {
				err = d.version()
			}
		case "truncatedAlerts":
			if err = have.once(2, "truncatedAlerts"); err == nil {
				p.truncated, err = d.count("truncatedAlerts")
			}
		default:
			d.cur.skip()
		}
		if err != nil {
			return payload{}, err
		}
	}
	if have&3 != 3 {
		return payload{}, invalid("", notWebhook)
	}
	return p, nil
}

func (d *decoder) list() ([]tocsin.Alert, error) {
	if d.cur.kind() != '[' {
		return nil, invalid("alerts", notWebhook)
	}
	for more := d.cur.open(); more; more = d.cur.next() {
		if len(d.alerts) == d.limits.Alerts {
			return nil, tooLarge("alerts", "more than %d alerts; set max_alerts on Alertmanager's webhook, or raise the limit", d.limits.Alerts)
		}
		d.alerts = append(d.alerts, tocsin.Alert{Source: d.source})
		if err := d.alert(&d.alerts[len(d.alerts)-1]); err != nil {
			return nil, inAlert(len(d.alerts)-1, err)
		}
	}
	return slices.Clone(d.alerts), nil
}

// inAlert puts the alert's index before the field that err names.
func inAlert(index int, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		r.field = strings.TrimSuffix("alerts["+strconv.Itoa(index)+"]."+r.field, ".")
	}
	return err
}

func (d *decoder) alert(a *tocsin.Alert) error {
	var have seen
	if d.cur.kind() != '{' {
		return invalid("", "%s", notWebhook)
	}
	for more := d.cur.open(); more; more = d.cur.next() {
		name, err := d.unquote(d.cur.key())
		if err != nil {
			return err
		}
		if err := d.member(a, name, &have); err != nil {
			return err
		}
	}
	if have&1 == 0 {
		return invalid("status", `missing; want "firing" or "resolved"`)
	}
	if len(a.Labels) == 0 {
		return invalid("labels", "missing; an alert needs at least one label")
	}
	if a.StartsAt.IsZero() {
		a.StartsAt = d.now
	}
	if a.Firing {
		a.EndsAt = time.Time{} // Alertmanager writes year 1: a firing alert has no end
	}
	d.size += alertSize + len(a.GeneratorURL)
	return nil
}

// member reads one field of an alert.
func (d *decoder) member(a *tocsin.Alert, name []byte, have *seen) (err error) {
	switch string(name) {
	case "status":
		if err = have.once(0, "status"); err == nil {
			a.Firing, err = d.status()
		}
	case "labels":
		if err = have.once(1, "labels"); err == nil {
			a.Labels, err = d.labels("labels", &d.pairs[0])
		}
	case "annotations":
		if err = have.once(2, "annotations"); err == nil {
			a.Annotations, err = d.labels("annotations", &d.pairs[1])
		}
	case "startsAt":
		if err = have.once(3, "startsAt"); err == nil {
			a.StartsAt, err = d.time("startsAt")
		}
	case "endsAt":
		if err = have.once(4, "endsAt"); err == nil {
			a.EndsAt, err = d.time("endsAt")
		}
	case "generatorURL":
		if err = have.once(5, "generatorURL"); err == nil {
			var b []byte
			b, err = d.text("generatorURL")
			a.GeneratorURL = d.texts.text(b, "")
		}
	default:
		d.cur.skip()
	}
	return err
}
