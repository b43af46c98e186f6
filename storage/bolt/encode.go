package bolt

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-oncall/tocsin"
)

// The records on the write path are written by a plan that is made of their
// types once: that takes a third of the time of package json, which reads them.
// Fields that are zero or empty are left out.

// object is JSON that is being written.
type object struct {
	b   []byte
	err error
}

// field is how a field of a struct is written.
type field struct {
	index int
	// name is quoted and has its colon.
	name  string
	write writer
}

// writer appends a value. It reports false, and appends nothing, for one that is
// zero or empty. The value is addressable.
type writer func(o *object, v reflect.Value) bool

// planOf returns how to write structs of type t.
func planOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, field{i, strconv.Quote(name) + ":", writerOf(f.Type)})
	}
	return fields
}

func writerOf(t reflect.Type) writer {
	switch t {
	case reflect.TypeFor[time.Time]():
		return writeTime
	case reflect.TypeFor[tocsin.Key]():
		return writeKey
	case reflect.TypeFor[tocsin.Labels]():
		return writeLabels
	}
	if t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return writeAny
	}
	switch t.Kind() {
	case reflect.String:
		return writeString
	case reflect.Bool:
		return writeBool
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return writeUint
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return writeInt
	case reflect.Struct:
		return structWriter(planOf(t))
	case reflect.Pointer:
		return pointerWriter(writerOf(t.Elem()))
	case reflect.Slice:
		return sliceWriter(writerOf(t.Elem()))
	default:
		return writeAny
	}
}

func writeTime(o *object, v reflect.Value) bool {
	t := v.Addr().Interface().(*time.Time)
	if t.IsZero() {
		return false
	}
	if y := t.Year(); y < 0 || y > 9999 {
		o.err = fmt.Errorf("the year %d cannot be written", y)
	}
	o.b = append(o.b, '"')
	o.b = t.AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
	return true
}

func writeKey(o *object, v reflect.Value) bool {
	k := v.Addr().Interface().(*tocsin.Key)
	if k.IsZero() {
		return false
	}
	o.b = append(o.b, '"')
	o.b = hex.AppendEncode(o.b, k[:])
	o.b = append(o.b, '"')
	return true
}

func writeLabels(o *object, v reflect.Value) bool {
	labels := *v.Addr().Interface().(*tocsin.Labels)
	if len(labels) == 0 {
		return false
	}
	sep := byte('{')
	for name, value := range labels {
		o.b = append(o.b, sep)
		o.quote(name)
		o.b = append(o.b, ':')
		o.quote(value)
		sep = ','
	}
	o.b = append(o.b, '}')
	return true
}

func writeString(o *object, v reflect.Value) bool {
	s := v.String()
	if s != "" {
		o.quote(s)
	}
	return s != ""
}

// quote writes a string. Broken UTF-8 becomes U+FFFD: to refuse text that a
// provider sent would refuse its receipt for ever.
func (o *object) quote(s string) { o.b, _ = jsontext.AppendQuote(o.b, s) }

func writeBool(o *object, v reflect.Value) bool {
	if v.Bool() {
		o.b = append(o.b, "true"...)
	}
	return v.Bool()
}

func writeUint(o *object, v reflect.Value) bool {
	n := v.Uint()
	if n != 0 {
		o.b = strconv.AppendUint(o.b, n, 10)
	}
	return n != 0
}

func writeInt(o *object, v reflect.Value) bool {
	n := v.Int()
	if n != 0 {
		o.b = strconv.AppendInt(o.b, n, 10)
	}
	return n != 0
}

// writeAny leaves a type that has no writer of its own to package json.
func writeAny(o *object, v reflect.Value) bool {
	if v.IsZero() {
		return false
	}
	b, err := json.Marshal(v.Interface(), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		o.err = err
	}
	o.b = append(o.b, b...)
	return true
}

func structWriter(fields []field) writer {
	return func(o *object, v reflect.Value) bool {
		o.b = append(o.b, '{')
		o.fields(fields, v)
		o.b = append(o.b, '}')
		return true
	}
}

// fields writes the fields of a struct, without its braces.
func (o *object) fields(fields []field, v reflect.Value) {
	for n := range fields {
		f := &fields[n]
		value := v.Field(f.index)
		if value.IsZero() {
			continue // most are, and this is quicker than to write the name first
		}
		start := len(o.b)
		if o.b[start-1] != '{' {
			o.b = append(o.b, ',')
		}
		o.b = append(o.b, f.name...)
		if !f.write(o, value) {
			o.b = o.b[:start]
		}
	}
}

func pointerWriter(write writer) writer {
	return func(o *object, v reflect.Value) bool { return !v.IsNil() && write(o, v.Elem()) }
}

func sliceWriter(write writer) writer {
	return func(o *object, v reflect.Value) bool {
		if v.Len() == 0 {
			return false
		}
		sep := byte('[')
		for n := range v.Len() {
			o.b = append(o.b, sep)
			if !write(o, v.Index(n)) {
				o.zero(v.Index(n))
			}
			sep = ','
		}
		o.b = append(o.b, ']')
		return true
	}
}

// zero writes a zero element of a list, which cannot be left out.
func (o *object) zero(v reflect.Value) {
	b, err := json.Marshal(v.Interface())
	if err != nil {
		o.err = err
	}
	o.b = append(o.b, b...)
}

// arenaKeep is the largest buffer that is kept from one batch to the next.
const arenaKeep = 1 << 20

// encoder writes records into one buffer, which lives as long as the bbolt
// transaction that refers to it.
type encoder struct {
	arena                                       []byte
	incidents, states, bodies, events, silences []field
}

func newEncoder() *encoder {
	return &encoder{
		incidents: planOf(reflect.TypeFor[tocsin.Incident]()),
		states:    planOf(reflect.TypeFor[tocsin.AlertState]()),
		bodies:    planOf(reflect.TypeFor[tocsin.Alert]()),
		events:    planOf(reflect.TypeFor[tocsin.Event]()),
		silences:  planOf(reflect.TypeFor[tocsin.Silence]()),
	}
}

// record writes an object: first, where it is not 0, a number before the
// fields. The slice is valid until reset, also when the buffer grows.
func (e *encoder) record(firstName string, first uint64, fields []field, v any) ([]byte, error) {
	o := object{b: append(e.arena, '{')}
	if first != 0 {
		o.b = append(o.b, firstName...)
		o.b = strconv.AppendUint(o.b, first, 10)
	}
	o.fields(fields, reflect.ValueOf(v).Elem())
	if o.err != nil {
		return nil, o.err
	}
	return e.keep(append(o.b, '}')), nil
}

// keep takes the arena with what was appended to it, and returns that.
func (e *encoder) keep(b []byte) []byte {
	start := len(e.arena)
	e.arena = b
	return slices.Clip(b[start:])
}

func (e *encoder) incident(last uint64, i *tocsin.Incident) ([]byte, error) {
	return e.record(`"lastEvent":`, last, e.incidents, i)
}

func (e *encoder) state(s *tocsin.AlertState) ([]byte, error) { return e.record("", 0, e.states, s) }

func (e *encoder) alert(a *tocsin.Alert) ([]byte, error) { return e.record("", 0, e.bodies, a) }

func (e *encoder) event(prev uint64, ev *tocsin.Event) ([]byte, error) {
	return e.record(`"prev":`, prev, e.events, ev)
}

func (e *encoder) silence(s *tocsin.Silence) ([]byte, error) { return e.record("", 0, e.silences, s) }

// incidentKey, alertKey, eventKey and orphanKey are disk keys that live as long
// as what is encoded.
func (e *encoder) incidentKey(opened uint64, id string) []byte {
	return e.keep(appendIncidentKey(e.arena, opened, id))
}

func (e *encoder) alertKey(opened uint64, id string, seq uint32) []byte {
	return e.keep(appendAlertKey(e.arena, opened, id, seq))
}

func (e *encoder) eventKey(seq uint64) []byte { return e.keep(appendEventKey(e.arena, seq)) }

func (e *encoder) orphanKey(id tocsin.Key) []byte { return e.keep(append(e.arena, id[:]...)) }

// mark returns a point to truncate to.
func (e *encoder) mark() int { return len(e.arena) }

// truncate forgets what was encoded since mark.
func (e *encoder) truncate(mark int) { e.arena = e.arena[:mark] }

// reset forgets everything that was encoded.
func (e *encoder) reset() {
	if cap(e.arena) > arenaKeep {
		e.arena = nil
	}
	e.arena = e.arena[:0]
}
