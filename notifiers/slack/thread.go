package slack

import (
	"slices"
	"strconv"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxThreadLines is how many events one reply tells.
	maxThreadLines = 20
	maxThreadLine  = 220
)

// untold returns the events after told that a thread should tell.
func untold(events []tocsin.Event, told uint64) []*tocsin.Event {
	var out []*tocsin.Event
	for n := range events {
		if events[n].Seq > told && !events[n].Internal() {
			out = append(out, &events[n])
		}
	}
	return out
}

// lastSeq is the Seq of the newest event, or 0.
func lastSeq(events []tocsin.Event) uint64 {
	var last uint64
	for n := range events {
		last = max(last, events[n].Seq)
	}
	return last
}

// threadMessage tells events in one reply.
func threadMessage(incident string, events []*tocsin.Event, told uint64) message {
	var b builder
	line := make([]byte, 0, 256)
	chosen := choose(events)
	for _, e := range chosen {
		b.line(appendEvent(line, e))
	}
	if more := len(events) - len(chosen); more > 0 {
		b.line([]byte("… and " + strconv.Itoa(more) + " more"))
	}
	b.flush()
	loudest := chosen[len(chosen)-1]
	for _, e := range chosen {
		if e.Loud() {
			loudest = e
		}
	}
	return message{
		text:      escape(eventText(loudest), maxFallback, prose),
		blocks:    b.blocks,
		broadcast: slices.ContainsFunc(events, (*tocsin.Event).Loud),
		metadata:  metadata{EventType: eventThread, Payload: payload{Incident: incident, Told: told}},
	}
}

// choose returns the events that get a line, in order. When there are too many,
// what alerts do gives way to what the incident does, and the loud go first.
func choose(events []*tocsin.Event) []*tocsin.Event {
	if len(events) <= maxThreadLines {
		return events
	}
	chosen := make([]bool, len(events))
	left := maxThreadLines
	for _, wanted := range []func(*tocsin.Event) bool{
		(*tocsin.Event).Loud,
		func(e *tocsin.Event) bool {
			return e.Kind != tocsin.EventAlertFired && e.Kind != tocsin.EventAlertResolved
		},
		func(*tocsin.Event) bool { return true },
	} {
		for n, e := range events {
			if left > 0 && !chosen[n] && wanted(e) {
				chosen[n] = true
				left--
			}
		}
	}
	out := make([]*tocsin.Event, 0, maxThreadLines)
	for n, e := range events {
		if chosen[n] {
			out = append(out, e)
		}
	}
	return out
}

func appendEvent(b []byte, e *tocsin.Event) []byte {
	b = append(b, "<!date^"...)
	b = strconv.AppendInt(b, e.At.Unix(), 10)
	b = append(b, "^{time_secs}|"...)
	b = e.At.UTC().AppendFormat(b, "15:04:05 UTC")
	b = append(b, "> "...)
	b = append(b, eventEmoji(e.Kind)...)
	return appendText(b, eventText(e), maxThreadLine, prose)
}

func eventText(e *tocsin.Event) string {
	if escape(e.Text, maxThreadLine, prose) == "" {
		return string(e.Kind)
	}
	return e.Text
}

func eventEmoji(k tocsin.EventKind) string {
	switch k {
	case tocsin.EventAlertFired:
		return "🔥 "
	case tocsin.EventAlertResolved, tocsin.EventResolved:
		return "✅ "
	case tocsin.EventAcknowledged:
		return "👀 "
	case tocsin.EventSuppressed:
		return "🔕 "
	case tocsin.EventReopened, tocsin.EventUnsuppressed, tocsin.EventSeverity:
		return "🔺 "
	case tocsin.EventFlapping:
		return "〰️ "
	case tocsin.EventAlarm, tocsin.EventTruncated, tocsin.EventAlertStale:
		return "⚠️ "
	default:
		return ""
	}
}
