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

// news is what a thread has not been told yet.
type news struct {
	events []*tocsin.Event
	// call is true when the reply is to call.
	call   bool
	person bool
	// room is true in the incident's own channel.
	room bool
}

func (w *news) empty() bool { return len(w.events) == 0 && !w.call }

// untold returns what a thread should tell besides what at covers.
func (ch *Channel) untold(n *tocsin.Notice, at posted) *news {
	w := &news{person: isUser(ch.name), room: ch.room != ""}
	w.call = n.Call && at.called < n.Delivery.Calls && n.Incident.Open()
	for k := range n.Events {
		if e := &n.Events[k]; e.Seq > at.told && w.tells(n, e) {
			w.events = append(w.events, e)
		}
	}
	return w
}

// tells reports whether an event gets a line of its own. Direct messages are
// calm: what alerts do, and who else is called, is told in channels.
func (w *news) tells(n *tocsin.Notice, e *tocsin.Event) bool {
	switch {
	case w.room && e.Kind == tocsin.EventChannel, e.Internal(), e.Kind == tocsin.EventCalled && w.call && e.Target == n.Delivery.Target:
		return false
	case n.Incident.Kind == tocsin.KindNotice:
		return e.Kind == tocsin.EventAcknowledged || e.Kind == tocsin.EventNote
	case !w.person:
		return true
	}
	switch e.Kind {
	case tocsin.EventAlertFired, tocsin.EventAlertResolved, tocsin.EventAlertStale, tocsin.EventTruncated,
		tocsin.EventCalled, tocsin.EventNobody, tocsin.EventLastResort, tocsin.EventStopped, tocsin.EventAlarm:
		return false
	case tocsin.EventReminded:
		return mine(n, e)
	default:
		return true
	}
}

// mine reports whether an event is about the person whom the delivery calls.
func mine(n *tocsin.Notice, e *tocsin.Event) bool {
	return e.Target == n.Delivery.Target || e.Target == "" && n.Delivery.User == n.Incident.AcknowledgedBy
}

// loud reports whether a reply with the event is broadcast. An incident that
// begins anew rings those whose turn it is, who are called, and not everybody who
// was called the last time.
func (w *news) loud(e *tocsin.Event) bool {
	if w.person && slices.Contains([]tocsin.EventKind{tocsin.EventReopened, tocsin.EventUnsuppressed, tocsin.EventUnmerged}, e.Kind) {
		return false
	}
	// In the incident's own channel nobody looks for its end in a thread.
	ends := w.room && (e.Kind == tocsin.EventAcknowledged || e.Kind == tocsin.EventResolved)
	return ends || e.Loud() || e.Kind == tocsin.EventNobody || w.person && e.Kind == tocsin.EventReminded
}

// lastSeq is the Seq of the newest event, or 0.
func lastSeq(events []tocsin.Event) uint64 {
	var last uint64
	for n := range events {
		last = max(last, events[n].Seq)
	}
	return last
}

// message tells the news in one reply.
func (w *news) message(n *tocsin.Notice, told uint64) message {
	m := message{
		broadcast: w.call || slices.ContainsFunc(w.events, w.loud),
		metadata:  metadata{EventType: eventThread, Payload: payload{Incident: n.Incident.ID, Told: told}},
	}
	var b builder
	line := make([]byte, 0, 256)
	chosen := w.choose()
	var loudest *tocsin.Event
	for _, e := range chosen {
		b.line(appendEvent(line, e))
		if loudest == nil || w.loud(e) || !w.loud(loudest) {
			loudest = e
		}
	}
	if loudest != nil {
		m.text = escape(eventText(loudest), maxFallback, prose)
	}
	if more := len(w.events) - len(chosen); more > 0 {
		b.line([]byte("… and " + strconv.Itoa(more) + " more"))
	}
	if w.call {
		m.metadata.Payload.Called = n.Delivery.Calls
		m.text = string(w.appendCall(nil, n))
		b.line(w.appendCall(line, n))
	}
	b.flush()
	m.blocks = b.blocks
	return m
}

// appendCall writes what calls somebody whose message is there already. In
// direct messages there is nobody else to mention.
func (w *news) appendCall(b []byte, n *tocsin.Notice) []byte {
	i, count := n.Incident, strconv.FormatUint(uint64(n.Delivery.Calls), 10)
	b = append(b, "📟 "...)
	if !w.person {
		b = appendMention(b, n.Delivery.Mention)
	}
	switch {
	case i.Kind == tocsin.KindNotice:
		return append(b, "A reminder ("+count+")."...)
	case i.State == tocsin.Acknowledged && n.Delivery.User == i.AcknowledgedBy:
		return append(b, "A reminder ("+count+"): this is still yours."...)
	case i.State == tocsin.Acknowledged:
		b = append(b, "You are asked for ("+count+"). Acknowledged by "...)
		return append(appendName(b, i.AcknowledgedBy), '.')
	case n.Delivery.Calls < 2:
		return append(b, "Not acknowledged: calling."...)
	default:
		return append(b, "Still not acknowledged: calling again ("+count+")."...)
	}
}

// choose returns the events that get a line, in order. When there are too many,
// what alerts do gives way to what the incident does, and the loud go first.
func (w *news) choose() []*tocsin.Event {
	events := w.events
	if len(events) <= maxThreadLines {
		return events
	}
	chosen := make([]bool, len(events))
	left := maxThreadLines
	for _, wanted := range []func(*tocsin.Event) bool{
		w.loud,
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
	switch {
	case escape(e.Text, maxThreadLine, prose) == "":
		return string(e.Kind)
	case e.Kind == tocsin.EventNote && e.Actor != "":
		return e.Actor + ": " + e.Text
	default:
		return e.Text
	}
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
	case tocsin.EventReopened, tocsin.EventUnsuppressed, tocsin.EventSeverity, tocsin.EventReturned:
		return "🔺 "
	case tocsin.EventCalled:
		return "📟 "
	case tocsin.EventNobody, tocsin.EventLastResort:
		return "🚨 "
	case tocsin.EventStopped:
		return "✋ "
	case tocsin.EventReminded:
		return "⏰ "
	case tocsin.EventSnoozed:
		return "💤 "
	case tocsin.EventEscalated:
		return "⏫ "
	case tocsin.EventReassigned, tocsin.EventResponder:
		return "🙋 "
	case tocsin.EventMerged, tocsin.EventUnmerged:
		return "🔗 "
	case tocsin.EventNote:
		return "📝 "
	case tocsin.EventFlapping:
		return "〰️ "
	case tocsin.EventAlarm, tocsin.EventTruncated, tocsin.EventAlertStale:
		return "⚠️ "
	default:
		return ""
	}
}
