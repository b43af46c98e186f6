package bolt

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-oncall/tocsin"
)

// The records on the write path are written by hand, at a quarter of the cost
// of reflection, and read with package json. A test fills every field of the
// types by reflection and fails when one does not come back, so a field that is
// added cannot be forgotten here. Zero values are left out.

// object is a JSON object that is being written: its fields come after '{'.
type object struct {
	b   []byte
	err error
}

// name writes the name of the next field.
func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) open() { o.b = append(o.b, '{') }

func (o *object) close() { o.b = append(o.b, '}') }

// quote writes a string. Broken UTF-8 becomes U+FFFD: to refuse text that a
// provider sent would refuse its receipt for ever.
func (o *object) quote(s string) { o.b, _ = jsontext.AppendQuote(o.b, s) }

func (o *object) text(name, v string) {
	if v != "" {
		o.name(name)
		o.quote(v)
	}
}

func (o *object) number(name string, v uint64) {
	if v != 0 {
		o.name(name)
		o.b = strconv.AppendUint(o.b, v, 10)
	}
}

func (o *object) flag(name string, v bool) {
	if v {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

func (o *object) key(name string, v tocsin.Key) {
	if !v.IsZero() {
		o.name(name)
		o.hex(v)
	}
}

func (o *object) hex(v tocsin.Key) {
	o.b = append(o.b, '"')
	o.b = hex.AppendEncode(o.b, v[:])
	o.b = append(o.b, '"')
}

func (o *object) time(name string, v time.Time) {
	if !v.IsZero() {
		o.name(name)
		o.moment(v)
	}
}

func (o *object) moment(v time.Time) {
	if y := v.Year(); y < 0 || y > 9999 {
		o.err = fmt.Errorf("the year %d cannot be written", y)
	}
	o.b = append(o.b, '"')
	o.b = v.AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
}

// list writes a list unless it is empty.
func list[E any](o *object, name string, items []E, item func(*E)) {
	if len(items) == 0 {
		return
	}
	o.name(name)
	o.b = append(o.b, '[')
	for n := range items {
		if n > 0 {
			o.b = append(o.b, ',')
		}
		item(&items[n])
	}
	o.b = append(o.b, ']')
}

func (o *object) texts(name string, items []string) {
	list(o, name, items, func(s *string) { o.quote(*s) })
}

func (o *object) labels(name string, l tocsin.Labels) {
	if len(l) == 0 {
		return
	}
	o.name(name)
	o.open()
	for k, v := range l {
		if o.b[len(o.b)-1] != '{' {
			o.b = append(o.b, ',')
		}
		o.quote(k)
		o.b = append(o.b, ':')
		o.quote(v)
	}
	o.close()
}

func (o *object) suppression(name string, s *tocsin.Suppression) {
	if s == nil {
		return
	}
	o.name(name)
	o.open()
	o.text("reason", s.Reason)
	o.text("by", s.By)
	o.key("source", s.Source)
	o.text("text", s.Text)
	o.close()
}

func (o *object) incident(last uint64, i *tocsin.Incident) {
	o.open()
	o.number("lastEvent", last)
	o.text("id", i.ID)
	o.number("revision", i.Revision)
	o.number("stateRevision", i.StateRevision)
	o.text("state", string(i.State))
	o.text("severity", string(i.Severity))
	o.text("title", i.Title)
	o.key("group", i.Group)
	o.texts("groupBy", i.GroupBy)
	o.text("route", i.Route)
	o.texts("receivers", i.Receivers)
	o.text("runbook", i.Runbook)
	o.incidentTimes(i)
	o.number("alerts", uint64(i.Alerts))
	o.number("firing", uint64(i.Firing))
	o.number("suppressed", uint64(i.Suppressed))
	o.suppression("suppression", i.Suppression)
	o.number("truncated", i.Truncated)
	o.number("reopened", uint64(i.Reopened))
	list(o, "flips", i.Flips, func(t *time.Time) { o.moment(*t) })
	o.flag("flapping", i.Flapping)
	list(o, "deliveries", i.Deliveries, o.delivery)
	o.close()
}

func (o *object) incidentTimes(i *tocsin.Incident) {
	o.time("openedAt", i.OpenedAt)
	o.time("changedAt", i.ChangedAt)
	o.time("acknowledgedAt", i.AcknowledgedAt)
	o.text("acknowledgedBy", i.AcknowledgedBy)
	o.time("resolvedAt", i.ResolvedAt)
	o.text("resolvedBy", i.ResolvedBy)
}

func (o *object) delivery(d *tocsin.Delivery) {
	o.open()
	o.text("target", d.Target)
	o.flag("detail", d.Detail)
	o.number("revision", d.Revision)
	o.text("state", string(d.State))
	o.text("severity", string(d.Severity))
	o.text("ref", d.Ref)
	o.flag("digest", d.Digest)
	o.number("told", d.Told)
	o.time("since", d.Since)
	o.time("deliveredAt", d.DeliveredAt)
	o.number("attempts", uint64(d.Attempts))
	o.text("error", d.Error)
	o.flag("failed", d.Failed)
	o.number("failedRevision", d.FailedRevision)
	o.time("next", d.Next)
	o.close()
}

func (o *object) state(s *tocsin.AlertState) {
	o.open()
	o.key("id", s.ID)
	o.text("incident", s.Incident)
	o.number("seq", uint64(s.Seq))
	o.flag("firing", s.Firing)
	o.time("startsAt", s.StartsAt)
	o.time("endsAt", s.EndsAt)
	o.time("changedAt", s.ChangedAt)
	o.time("seenAt", s.SeenAt)
	o.text("severity", string(s.Severity))
	o.suppression("suppression", s.Suppression)
	list(o, "index", s.Index, func(k *tocsin.Key) { o.hex(*k) })
	o.number("repeats", uint64(s.Repeats))
	o.close()
}

func (o *object) alert(a *tocsin.Alert) {
	o.open()
	o.text("source", a.Source)
	o.labels("labels", a.Labels)
	o.labels("annotations", a.Annotations)
	o.flag("firing", a.Firing)
	o.time("startsAt", a.StartsAt)
	o.time("endsAt", a.EndsAt)
	o.text("generatorURL", a.GeneratorURL)
	o.close()
}

func (o *object) event(prev uint64, e *tocsin.Event) {
	o.open()
	o.number("prev", prev)
	o.number("seq", e.Seq)
	o.text("kind", string(e.Kind))
	o.text("incident", e.Incident)
	o.number("revision", e.Revision)
	o.time("at", e.At)
	o.text("actor", e.Actor)
	o.text("target", e.Target)
	o.text("text", e.Text)
	o.close()
}

func (o *object) silence(s *tocsin.Silence) {
	o.open()
	o.text("id", s.ID)
	o.texts("matchers", s.Matchers)
	o.time("startsAt", s.StartsAt)
	o.time("endsAt", s.EndsAt)
	o.text("createdBy", s.CreatedBy)
	o.text("comment", s.Comment)
	o.close()
}

// encoder writes records into one buffer, which lives as long as the bbolt
// transaction that refers to it.
type encoder struct{ arena []byte }

// arenaKeep is the largest buffer that is kept from one batch to the next.
const arenaKeep = 4 << 20

// object writes one object with fields. The slice is valid until reset, also
// when the buffer grows.
func (e *encoder) object(fields func(*object)) ([]byte, error) {
	o := object{b: e.arena}
	fields(&o)
	if o.err != nil {
		return nil, o.err
	}
	return e.keep(o.b), nil
}

// keep takes the arena with what was appended to it, and returns that.
func (e *encoder) keep(b []byte) []byte {
	start := len(e.arena)
	e.arena = b
	return slices.Clip(b[start:])
}

func (e *encoder) incident(last uint64, i *tocsin.Incident) ([]byte, error) {
	return e.object(func(o *object) { o.incident(last, i) })
}

func (e *encoder) state(s *tocsin.AlertState) ([]byte, error) {
	return e.object(func(o *object) { o.state(s) })
}

func (e *encoder) alert(a *tocsin.Alert) ([]byte, error) {
	return e.object(func(o *object) { o.alert(a) })
}

func (e *encoder) event(prev uint64, ev *tocsin.Event) ([]byte, error) {
	return e.object(func(o *object) { o.event(prev, ev) })
}

func (e *encoder) silence(s *tocsin.Silence) ([]byte, error) {
	return e.object(func(o *object) { o.silence(s) })
}

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
