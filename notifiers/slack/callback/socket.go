package callback

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// maxAck is what an acknowledgement may carry: Slack drops without a word what
	// has 20 KiB or more, with the JSON around it
	// (https://github.com/slack-go/slack, socketmode).
	maxAck = 20<<10 - 512
	// flightLives is how long an envelope is known again. Slack's last try of an
	// event comes after some 6 minutes.
	flightLives = 10 * time.Minute
	maxFlights  = 4096
)

// envelopes are the kinds of Socket Mode, and what takes each: the same as takes it
// over HTTP, where the payload lies in a form.
var envelopes = map[string]struct {
	kind string
	do   func(*Handler, context.Context, []byte) answer
}{
	"interactive":    {"interaction", (*Handler).interacted},
	"slash_commands": {"command", (*Handler).commandObject},
	"events_api":     {"event", (*Handler).event},
}

// Take takes what came over a connection of Socket Mode, which has authenticated
// Slack: an envelope's ID, its type (interactive, slash_commands or events_api) and
// its payload
// (https://docs.slack.dev/apis/events-api/using-socket-mode#receiving). It does all
// that the HTTP handlers do but for the signature, and returns when that is durable.
//
// The answer, JSON or nothing, goes back with the acknowledgement. ok false: it was
// not done, so it must not be acknowledged; Slack sends an event again, and tells a
// person that the click or command failed. An event that can never be taken is
// acknowledged, since Slack would go on sending it.
//
// The same interaction, command or event again, whatever connection it comes on,
// waits for the first and gets its answer. Take is safe for concurrent use, and goes
// on when ctx ends.
func (h *Handler) Take(ctx context.Context, id, kind string, payload []byte) (answer []byte, ok bool) {
	return h.flights.once(flightKey(id, kind, payload), h.cfg.Now(), func() ([]byte, bool) {
		return h.take(context.WithoutCancel(ctx), kind, payload)
	})
}

func (h *Handler) take(ctx context.Context, kind string, payload []byte) ([]byte, bool) {
	begun := h.cfg.Now()
	way, known := envelopes[kind]
	var a answer
	switch {
	case !known:
		way.kind, a.refusal = "unknown", malformed("kind", "Socket Mode brought what no setting of ours asks for")
	case len(payload) > maxBody:
		a.refusal = malformed("oversized", "its payload is larger than 1 MiB")
	default:
		a = way.do(h, ctx, payload)
	}
	done := a.refusal == nil && a.status < http.StatusInternalServerError
	if a.refusal != nil {
		a.outcome, done = "refused", way.kind == "event"
		h.log.once(begun, a.refusal.cause).Warn("a Slack callback was refused", "kind", way.kind, "why", a.refusal.text)
	}
	if len(a.body) > maxAck && a.instead != nil {
		a.body, a.after = nil, a.instead
	}
	h.metrics.callback(way.kind, a.outcome, h.cfg.Now().Sub(begun))
	if a.after != nil {
		h.behind.do(a.after)
	}
	if !done || a.plain {
		a.body = nil
	}
	return a.body, done
}

// commandObject runs a slash command whose fields are those of a JSON object.
func (h *Handler) commandObject(ctx context.Context, payload []byte) answer {
	var f struct {
		Team        string `json:"team_id"`
		Command     string `json:"command"`
		Text        string `json:"text"`
		User        string `json:"user_id"`
		Channel     string `json:"channel_id"`
		ResponseURL string `json:"response_url"`
		TriggerID   string `json:"trigger_id"`
	}
	if err := json.Unmarshal(payload, &f, lenient); err != nil {
		return answer{refusal: malformed("payload", "its payload is not the JSON that Slack documents")}
	}
	return h.commanded(ctx, map[string]string{
		"team_id": f.Team, "command": f.Command, "text": f.Text, "user_id": f.User, "channel_id": f.Channel,
		"response_url": f.ResponseURL, "trigger_id": f.TriggerID,
	})
}

// flightKey is the same for the same thing that somebody did, in whatever envelope
// it comes: Slack does not say that a second delivery keeps the envelope's ID.
func flightKey(id, kind string, payload []byte) string {
	var p struct {
		Event   string `json:"event_id"`
		Trigger string `json:"trigger_id"`
	}
	// What cannot be read is refused later.
	_ = json.Unmarshal(payload, &p, lenient)
	switch {
	case kind == "events_api" && p.Event != "":
		return kind + " event " + p.Event
	case kind != "events_api" && p.Trigger != "":
		return kind + " trigger " + p.Trigger
	default:
		return kind + " envelope " + id
	}
}

// flights has each thing done once, also when it comes again while it is under way:
// a connection may break before the acknowledgement. The zero value is ready.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
	order []*flight
}

// flight is one thing to do. Its answer may be read after done is closed.
type flight struct {
	key    string
	until  time.Time
	done   chan struct{}
	answer []byte
	ok     bool
}

// once does fn, or waits for the one that does it and returns its answer. What was
// not ok may be tried again.
func (fs *flights) once(key string, now time.Time, fn func() ([]byte, bool)) ([]byte, bool) {
	f, first := fs.board(key, now)
	if !first {
		<-f.done
		return f.answer, f.ok
	}
	defer func() {
		if !f.ok {
			fs.forget(f)
		}
		close(f.done)
	}()
	f.answer, f.ok = fn()
	return f.answer, f.ok
}

// board returns the flight of a key, and whether the caller is to make it.
func (fs *flights) board(key string, now time.Time) (f *flight, first bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := 0
	for n < len(fs.order) && (len(fs.order)-n >= maxFlights || !now.Before(fs.order[n].until)) {
		if old := fs.order[n]; fs.byKey[old.key] == old {
			delete(fs.byKey, old.key)
		}
		n++
	}
	fs.order = fs.order[n:]
	if f := fs.byKey[key]; f != nil {
		return f, false
	}
	if fs.byKey == nil {
		fs.byKey = map[string]*flight{}
	}
	f = &flight{key: key, until: now.Add(flightLives), done: make(chan struct{})}
	fs.byKey[key] = f
	fs.order = append(fs.order, f)
	return f, true
}

func (fs *flights) forget(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[f.key] == f {
		delete(fs.byKey, f.key)
	}
}
