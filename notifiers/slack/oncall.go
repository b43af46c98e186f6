package slack

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxAhead and maxResponders are how many of them a message names.
	maxAhead      = 3
	maxResponders = 6
	// maxTextLine is the longest line that is taken over from Incident.Text.
	maxTextLine = 1000
	// sameDay is how far ahead the time alone says when.
	sameDay = 18 * time.Hour
)

// mention is what the message mentions: only while somebody is wanted.
func (v *view) mention(b []byte) []byte {
	if i := v.Incident; i.State == tocsin.Triggered && !i.Quiet() {
		b = appendMention(b, v.Delivery.Mention)
	}
	return b
}

// people says who was called, and what happens if nobody answers.
func (v *view) people() {
	i, b := v.Incident, v.line[:0]
	if i.Escalation != nil {
		if b = appendResponders(b, i.Escalation.Responders); len(b) > 0 {
			v.b.line(b)
		}
	}
	if i.State != tocsin.Triggered || i.Quiet() || len(v.Ahead) == 0 {
		return
	}
	b = append(b[:0], "Next: "...)
	for n := range v.Ahead[:min(len(v.Ahead), maxAhead)] {
		if n > 0 {
			b = append(b, ", "...)
		}
		a := &v.Ahead[n]
		b = appendName(b, a.Text)
		b = append(b, " at "...)
		if a.At.Sub(v.Now) < sameDay {
			b = appendClock(b, a.At)
		} else {
			b = appendTime(b, a.At)
		}
	}
	v.b.line(b)
}

// appendResponders names those who were called; a check mark stands by those who
// answered.
func appendResponders(b []byte, all []tocsin.Responder) []byte {
	named, more := 0, 0
	for n := range all {
		r := &all[n]
		switch named {
		case maxResponders:
			more++
			continue
		case 0:
			b = append(b, "📟 Called: "...)
		default:
			b = append(b, ", "...)
		}
		named++
		b = appendText(b, r.User, 60, prose)
		switch {
		case !r.Acknowledged.IsZero():
			b = append(b, " ✓"...)
		case r.Unreachable:
			b = append(b, " (not reachable)"...)
		}
	}
	if more > 0 {
		b = append(b, " and "+strconv.Itoa(more)+" more"...)
	}
	return b
}

// appendClock writes a time of day that each reader sees in their own zone.
func appendClock(b []byte, t time.Time) []byte {
	t = t.UTC()
	b = append(b, "<!date^"...)
	b = strconv.AppendInt(b, t.Unix(), 10)
	b = append(b, "^{time}|"...)
	b = t.AppendFormat(b, "15:04 UTC")
	return append(b, '>')
}

// text shows Incident.Text, line by line.
func (v *view) text() {
	left := v.detail.text
	for line := range strings.SplitSeq(v.Incident.Text, "\n") {
		if left <= 0 {
			v.b.line([]byte(ellipsis))
			break
		}
		b := appendText(v.line[:0], line, min(left, maxTextLine), prose)
		v.b.line(b)
		left -= utf8.RuneCount(b) + 1
	}
	v.b.flush()
}

// notice shows what was to be said and who took it, and nothing of a state.
func (v *view) notice() message {
	i := v.Incident
	whole := escape(title(i), maxHeader, plain)
	v.b.header(whole)
	if b := v.mention(v.line[:0]); len(b) > 0 {
		v.b.line(b)
	}
	if strings.HasSuffix(whole, ellipsis) {
		v.b.line(appendText(v.line[:0], i.Title, maxTextLine, prose))
	}
	v.b.flush()
	v.text()
	if v.clickable && i.State == tocsin.Triggered {
		v.b.blocks = append(v.b.blocks, block{
			Type: "actions", BlockID: blockID(i), Elements: []control{button(ActionAcknowledge, "Acknowledge", i.ID, "primary")},
		})
	}
	if i.AcknowledgedBy != "" {
		b := appendName(append(v.line[:0], "👀 Taken by "...), i.AcknowledgedBy)
		v.b.line(appendTime(append(b, " at "...), i.AcknowledgedAt))
		v.b.flush()
	}
	return message{
		text: string(appendText(v.mention(nil), title(i), maxFallback, prose)), blocks: v.b.blocks,
		metadata: metadata{EventType: eventIncident, Payload: payload{Incident: i.ID, Target: v.Delivery.Target}},
	}
}
