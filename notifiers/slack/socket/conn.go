package socket

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
)

const (
	// silence is how long nothing need come before a connection is dead; Slack pings
	// more often, and answers pings.
	silence   = 30 * time.Second
	pingEvery = 10 * time.Second
	// writeWithin bounds one write.
	writeWithin = 5 * time.Second
	// linger is how long one that was told to leave is read at most. Slack closes it
	// after some seconds.
	linger = 2 * time.Minute
	// finish bounds the wait for what is under way when a connection ends.
	finish = 5 * time.Second
	// partWithin bounds the wait for Slack to close after that.
	partWithin = 2 * time.Second
	// maxAck: Slack drops without a word what is as long
	// (https://github.com/slack-go/slack, socketmode).
	maxAck = 20 << 10
)

// Reasons why a connection is replaced: what Slack says, and what is noticed.
const (
	reasonWarning  = "warning"
	reasonRefresh  = "refresh_requested"
	reasonDisabled = "link_disabled"
	reasonCrowded  = "too_many_websockets"
	reasonOther    = "other"
	reasonFailed   = "failed"
	reasonClosed   = "closed"
	reasonSilent   = "silent"
	reasonStopped  = "stopped"
)

// lenient reads what Slack relays of people's text, which may be cut anywhere.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true))

// frame is a message of Slack's.
type frame struct {
	Type    string         `json:"type"`
	Reason  string         `json:"reason"`
	ID      string         `json:"envelope_id"`
	Payload jsontext.Value `json:"payload"`
	// Accepts tells whether the acknowledgement may carry an answer.
	Accepts bool `json:"accepts_response_payload"`
}

// conn is one connection that was greeted.
type conn struct {
	c  *Client
	ws *websocket.Conn
	// work is under way.
	work sync.WaitGroup
	// leaving is closed when the connection needs a successor; then reason and why
	// say for what.
	leaving chan struct{}
	leave   sync.Once
	reason  string
	why     error

	write sync.Mutex
}

func newConn(c *Client, ws *websocket.Conn) *conn {
	return &conn{c: c, ws: ws, leaving: make(chan struct{})}
}

// depart says that the connection needs a successor.
func (k *conn) depart(reason string, why error) {
	k.leave.Do(func() {
		k.reason, k.why = reason, why
		close(k.leaving)
	})
}

// serve takes envelopes until the connection ends or ctx does, finishes what is
// under way, and closes the connection.
func (k *conn) serve(ctx context.Context) {
	defer func() { _ = k.ws.Close() }() // it has ended
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = k.ws.NetConn().SetReadDeadline(time.Unix(1, 0)) // the read ends
		close(told)
	})
	defer stop()
	var beside sync.WaitGroup
	defer beside.Wait()
	ended := make(chan struct{})
	defer close(ended)
	beside.Go(func() { k.watch(ended) })

	k.c.metrics.connections.Inc()
	reason, err := k.read(ctx)
	k.c.metrics.connections.Dec()
	k.depart(reason, err)
	k.settle()
	if ctx.Err() != nil {
		<-told
		k.part()
	}
}

// part says goodbye and waits until Slack has closed, as it is the server's to do
// (RFC 6455, 7.1.1). A connection that is closed here with something unread is reset
// (RFC 1122, 4.2.2.13), and acknowledgements that Slack has not read yet may be lost:
// it would tell people that what is done is not.
func (k *conn) part() {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if k.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(writeWithin)) != nil {
		return // it is closed already
	}
	c := k.ws.NetConn()
	_ = c.SetReadDeadline(time.Now().Add(partWithin)) // reading fails then too
	_, _ = io.Copy(io.Discard, c)                     // what comes now was not taken: Slack sends it elsewhere, or says so
}

// watch pings, and ends a connection that was told to leave and stays.
func (k *conn) watch(ended <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	leaving := k.leaving
	var late <-chan time.Time
	for {
		select {
		case <-ended:
			return
		case <-leaving:
			leaving, late = nil, time.After(linger)
		case <-late:
			_ = k.ws.Close() // the reader notices
			return
		case <-tick.C:
			_ = k.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWithin)) // as above
		}
	}
}

// settle waits for what is under way.
func (k *conn) settle() {
	done := make(chan struct{})
	go func() { k.work.Wait(); close(done) }()
	t := time.NewTimer(finish)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		k.c.log.Warn("what came over a connection of Slack's Socket Mode is still under way, and can no longer be acknowledged")
	}
}

// read takes envelopes until the connection ends, and says why it has.
func (k *conn) read(ctx context.Context) (reason string, err error) {
	// Whatever comes shows that the connection lives; not reading on after ctx has
	// ended is what a deadline that was set anew would undo.
	alive := func() error {
		_ = k.ws.SetReadDeadline(time.Now().Add(silence)) // reading fails then too
		return ctx.Err()
	}
	k.ws.SetPongHandler(func(string) error { return alive() })
	k.ws.SetPingHandler(func(data string) error {
		_ = k.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeWithin)) // as above
		return alive()
	})
	for {
		if alive() != nil {
			return reasonStopped, nil
		}
		kind, raw, err := k.ws.ReadMessage()
		var timeout net.Error
		switch {
		case err == nil:
			if kind == websocket.TextMessage && !k.heard(ctx, raw) {
				return reasonStopped, nil
			}
		case ctx.Err() != nil:
			return reasonStopped, nil
		case errors.As(err, &timeout) && timeout.Timeout():
			return reasonSilent, errors.New("nothing came for 30 s, not even the answer to a ping")
		default:
			return reasonClosed, k.c.network("", err)
		}
	}
}

// heard takes one message; false: ctx has ended.
func (k *conn) heard(ctx context.Context, raw []byte) bool {
	var f frame
	if err := json.Unmarshal(raw, &f, lenient); err != nil {
		k.c.log.Warn("Slack's Socket Mode sent what cannot be read; it is left out")
		k.c.metrics.envelope("", "unreadable")
		return true
	}
	switch {
	case f.Type == "disconnect":
		k.depart((&goodbyeError{f.Reason}).word(), farewell(f.Reason))
	case f.ID != "":
		select {
		case k.c.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		k.work.Go(func() {
			defer func() { <-k.c.slots }()
			k.take(ctx, &f)
		})
	}
	return true
}

// take has an envelope done, and acknowledges it when it was.
func (k *conn) take(ctx context.Context, f *frame) {
	outcome := "panicked"
	defer func() {
		k.c.metrics.envelope(f.Type, outcome)
		if v := recover(); v != nil {
			k.c.log.Error("what came over Slack's Socket Mode made Tocsin panic: this is a fault of Tocsin, please report it", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	answer, ok := k.c.taker.Take(context.WithoutCancel(ctx), f.ID, f.Type, f.Payload)
	switch {
	case !ok:
		outcome = "refused"
	case k.acknowledge(f, answer) != nil:
		outcome = "lost" // Slack sends it again, or tells the person
	default:
		outcome = "acknowledged"
	}
}

func (k *conn) acknowledge(f *frame, answer []byte) error {
	ack := struct {
		ID      string         `json:"envelope_id"`
		Payload jsontext.Value `json:"payload,omitzero"`
	}{ID: f.ID}
	if f.Accepts && len(answer) > 0 {
		ack.Payload = answer
	}
	raw, err := json.Marshal(ack)
	if err != nil || len(raw) >= maxAck {
		k.c.log.Warn("an answer cannot be sent over Slack's Socket Mode, and is left out; what it answers is done", "bytes", len(raw))
		ack.Payload = nil
		if raw, err = json.Marshal(ack); err != nil {
			return err
		}
	}
	k.write.Lock()
	defer k.write.Unlock()
	_ = k.ws.SetWriteDeadline(time.Now().Add(writeWithin)) // writing fails then too
	return k.ws.WriteMessage(websocket.TextMessage, raw)
}
