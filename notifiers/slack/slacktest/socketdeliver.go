package slacktest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The types of envelopes
// (https://docs.slack.dev/apis/events-api/using-socket-mode#receiving).
const (
	interactive   = "interactive"
	slashCommands = "slash_commands"
	eventsAPI     = "events_api"
)

// eventPauses are the times before an event is sent again
// (https://docs.slack.dev/apis/events-api#retries).
var eventPauses = []time.Duration{0, time.Minute, 5 * time.Minute}

// pending is an envelope that was sent.
type pending struct {
	accepts bool
	// sent tells for each connection that it was sent on whether it was
	// acknowledged there.
	sent map[*link]bool
	got  chan Answer
}

// envelope is one delivery.
type envelope struct {
	ID      string         `json:"envelope_id"`
	Type    string         `json:"type"`
	Payload jsontext.Value `json:"payload"`
	Accepts bool           `json:"accepts_response_payload"`
	Attempt int            `json:"retry_attempt"`
	Reason  string         `json:"retry_reason"`
}

// errBroken is a connection that ended before the acknowledgement came.
var errBroken = errors.New("the connection ended before the app acknowledged")

// deliver sends an envelope and waits for its acknowledgement. An event that is not
// acknowledged is sent again as over HTTP. A command is sent on another connection
// when the first breaks; a click or the answer to a modal is not, and whoever waits
// for it is told. Slack does not document the latter two: the first is the harder for
// an app to get right, the second for people.
func (x *Sockets) deliver(kind string, payload []byte) (Answer, error) {
	e, p := x.envelope(kind, payload)
	deadline := time.Now().Add(x.s.patience)
	for {
		a, err := x.attempt(&e, p, deadline)
		switch {
		case err == nil:
			return a, nil
		case kind == slashCommands && errors.Is(err, errBroken):
			continue
		case kind != eventsAPI || e.Attempt >= len(eventPauses):
			return Answer{}, fmt.Errorf("operation_timeout, or the app cannot be reached: %w", err)
		}
		t := time.NewTimer(eventPauses[e.Attempt])
		select {
		case <-t.C:
		case <-x.s.closed:
			t.Stop()
			return Answer{}, errNoLink
		}
		e.Attempt, e.Reason, deadline = e.Attempt+1, "timeout", time.Now().Add(x.s.patience)
	}
}

func (x *Sockets) envelope(kind string, payload []byte) (envelope, *pending) {
	var shape struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(payload, &shape) // tests send what is no JSON too
	e := envelope{Type: kind, Payload: payload, Accepts: kind == slashCommands || kind == interactive && shape.Type == "view_submission"}
	x.s.mu.Lock()
	e.ID = x.s.newID('e')
	x.s.mu.Unlock()
	p := &pending{accepts: e.Accepts, sent: map[*link]bool{}, got: make(chan Answer, 1)}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.pending) >= maxPending {
		clear(x.pending)
	}
	x.pending[e.ID] = p
	return e, p
}

// attempt sends the envelope on one connection.
func (x *Sockets) attempt(e *envelope, p *pending, deadline time.Time) (Answer, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return Answer{}, fmt.Errorf("the payload is no JSON: %w", err)
	}
	l := x.pick(p)
	if l == nil {
		return Answer{}, errNoLink
	}
	if !l.post(raw) {
		l.cut()
		return Answer{}, errBroken
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case a := <-p.got:
		return a, nil
	case <-l.gone:
		select {
		case a := <-p.got: // both at once
			return a, nil
		default:
			return Answer{}, errBroken
		}
	case <-t.C:
		return Answer{}, errors.New("the app did not acknowledge within 3 seconds")
	}
}

// pick takes the connections in turn; one that was told to leave only where there is
// no other.
func (x *Sockets) pick(p *pending) *link {
	x.mu.Lock()
	defer x.mu.Unlock()
	var leaving *link
	for range x.links {
		x.next++
		l := x.links[x.next%len(x.links)]
		select {
		case <-l.gone:
			continue
		default:
		}
		if !l.leaving {
			p.sent[l] = false
			return l
		}
		leaving = l
	}
	if leaving != nil {
		p.sent[leaving] = false
	}
	return leaving
}

// acknowledged takes what the app sent, and notes what is wrong with it.
func (x *Sockets) acknowledged(l *link, raw []byte) {
	var ack struct {
		ID      string         `json:"envelope_id"`
		Payload jsontext.Value `json:"payload"`
	}
	if err := json.Unmarshal(raw, &ack); err != nil || ack.ID == "" {
		x.note("the app sent what is no acknowledgement: %.200s", raw)
		return
	}
	if len(raw) >= maxAckBytes {
		x.note("the acknowledgement of %s has %d bytes, and is dropped", ack.ID, len(raw))
		return
	}
	x.mu.Lock()
	p := x.pending[ack.ID]
	var done, known bool
	if p != nil {
		done, known = p.sent[l]
	}
	lost := known && x.lose > 0
	if lost {
		x.lose--
	} else if known {
		p.sent[l] = true
	}
	x.mu.Unlock()
	switch {
	case lost:
		l.cut()
	case !known:
		x.note("the app acknowledged %q, which it was not sent on this connection", ack.ID)
	case done:
		x.note("the app acknowledged %s twice", ack.ID)
	case !nothing(ack.Payload) && !p.accepts:
		x.note("the app answered %s, which takes no answer", ack.ID)
		fallthrough
	default:
		body := ack.Payload
		if nothing(body) {
			body = nil
		}
		select {
		case p.got <- Answer{Status: http.StatusOK, Body: body}:
		default: // an event that was acknowledged on two connections
		}
	}
}

// nothing reports whether an acknowledgement answers nothing: @slack/socket-mode
// 3.1.0 sends an empty object with every one.
func nothing(payload jsontext.Value) bool {
	trimmed := string(bytes.TrimSpace(payload))
	return trimmed == "" || trimmed == "null" || trimmed == "{}"
}
