package slacktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"
)

// linkPath is where connections of Socket Mode are made.
const linkPath = "/link"

// Limits of Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode).
const (
	maxLinks    = 10
	maxAckBytes = 20 << 10
	ticketLives = 30 * time.Second
	// pingEvery and quiet are not documented: Slack pings, and its own libraries
	// expect that within 30 s.
	pingEvery = 10 * time.Second
	quiet     = 30 * time.Second
	// maxPending bounds the envelopes that are remembered.
	maxPending = 10_000
)

// Sockets is the workspace's side of Socket Mode: connections that an app opens
// with an app-level token (xapp-…, with the scope connections:write), over which it
// gets what people do instead of at its callbacks. The emulator must be behind real
// connections for that: Client has none.
type Sockets struct {
	s        *Server
	upgrader websocket.Upgrader

	mu      sync.Mutex
	only    bool // everything goes over connections
	off     bool
	tickets map[string]ticket
	links   []*link
	opened  int
	next    int
	held    chan struct{} // not nil: greetings wait for its end
	lose    int
	pending map[string]*pending
	wrong   []string
}

type ticket struct {
	token string
	at    time.Time
}

// link is one connection.
type link struct {
	x     *Sockets
	ws    *websocket.Conn
	token string
	gone  chan struct{}
	ended sync.Once

	write sync.Mutex
	// leaving and silent change under Sockets.mu.
	leaving, silent bool
}

func (x *Sockets) init(s *Server) {
	x.s = s
	// The ticket lets in; slack-go names an Origin of Slack's own.
	x.upgrader.CheckOrigin = func(*http.Request) bool { return true }
	x.tickets, x.pending = map[string]ticket{}, map[string]*pending{}
}

// Sockets returns the workspace's side of Socket Mode.
func (s *Server) Sockets() *Sockets { return &s.sockets }

// viaSocket reports whether what would go to a callback goes over a connection:
// where that is asked for, or where there is a connection and no such callback.
func (s *Server) viaSocket(where func(Callbacks) string) bool {
	s.mu.Lock()
	to := where(s.callbacks)
	s.mu.Unlock()
	x := &s.sockets
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.only || to == "" && len(x.links) > 0
}

// ticket is what lets a connection be made once.
func (x *Sockets) ticket(token string, now time.Time) string {
	x.s.mu.Lock()
	id := x.s.newID('k')
	x.s.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tickets[id] = ticket{token, now}
	return id
}

// redeem takes a ticket; the string is why it is not taken.
func (x *Sockets) redeem(id string, now time.Time) (token, why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t, ok := x.tickets[id]
	delete(x.tickets, id)
	switch {
	case !ok:
		return "", "the ticket is unknown, or was used"
	case now.Sub(t.at) > ticketLives:
		return "", "the ticket has expired"
	}
	return t.token, ""
}

// serve makes a connection and reads what the app sends until it ends.
func (x *Sockets) serve(w http.ResponseWriter, r *http.Request) {
	token, why := x.redeem(r.URL.Query().Get("ticket"), time.Now())
	if why != "" {
		x.note("%s", why)
		http.Error(w, why, http.StatusForbidden)
		return
	}
	ws, err := x.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	l := &link{x: x, ws: ws, token: token, gone: make(chan struct{})}
	defer l.cut()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-stop:
		case <-x.s.closed:
			l.cut()
		}
	}()
	if !l.greet(r.Host) {
		return
	}
	defer x.forget(l)
	l.read()
}

// greet says hello, or why not, and puts the connection into use.
func (l *link) greet(host string) bool {
	x := l.x
	x.mu.Lock()
	held := x.held
	x.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-x.s.closed:
			return false
		}
	}
	x.mu.Lock()
	off, n := x.off, len(x.links)
	x.mu.Unlock()
	switch {
	// Which message an app gets whose Socket Mode is off is assumed.
	case off:
		l.say(goodbye("link_disabled"))
		return false
	case n >= maxLinks:
		l.say(goodbye("too_many_websockets"))
		return false
	}
	x.s.mu.Lock()
	if x.s.callbacks.Self == "" {
		x.s.callbacks.Self = "http://" + host
	}
	x.s.mu.Unlock()
	hello := map[string]any{
		"type": "hello", "num_connections": n + 1, "connection_info": map[string]any{"app_id": appID},
		"debug_info": map[string]any{"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
	}
	if !l.say(hello) {
		return false
	}
	x.mu.Lock()
	x.links = append(x.links, l)
	x.opened++
	x.mu.Unlock()
	return true
}

func goodbye(reason string) map[string]any {
	return map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"}}
}

// say writes a message, unless the connection has gone silent; false: it is broken.
func (l *link) say(message any) bool {
	raw, err := json.Marshal(message, json.Deterministic(true))
	if err != nil {
		l.x.note("the emulator cannot write: %v", err)
		return false
	}
	return l.post(raw)
}

func (l *link) post(raw []byte) bool {
	if l.isSilent() {
		return true
	}
	l.write.Lock()
	defer l.write.Unlock()
	_ = l.ws.SetWriteDeadline(time.Now().Add(answerWithin)) // a broken connection fails below
	return l.ws.WriteMessage(websocket.TextMessage, raw) == nil
}

func (l *link) isSilent() bool {
	l.x.mu.Lock()
	defer l.x.mu.Unlock()
	return l.silent
}

// read takes what the app sends, and pings.
func (l *link) read() {
	l.ws.SetReadLimit(1 << 20)
	alive := func() { _ = l.ws.SetReadDeadline(time.Now().Add(quiet)) } // a broken connection fails below
	l.ws.SetPingHandler(func(data string) error {
		alive()
		if !l.isSilent() {
			_ = l.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second)) // as above
		}
		return nil
	})
	l.ws.SetPongHandler(func(string) error { alive(); return nil })
	stop := make(chan struct{})
	defer close(stop)
	go l.ping(stop)
	for {
		alive()
		kind, raw, err := l.ws.ReadMessage()
		switch {
		case err != nil:
			return
		case l.isSilent():
		case kind != websocket.TextMessage:
			l.x.note("the app sent a message that is no text")
		default:
			l.x.acknowledged(l, raw)
		}
	}
}

func (l *link) ping(stop chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if !l.isSilent() {
				_ = l.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) // the reader notices
			}
		}
	}
}

// cut ends the connection without a word.
func (l *link) cut() {
	l.ended.Do(func() { close(l.gone); _ = l.ws.Close() }) // there is nobody to tell
}

// hangUp ends the connection with a close frame.
func (l *link) hangUp() {
	_ = l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second)) // as cut
	l.cut()
}

func (x *Sockets) forget(l *link) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.links = slices.DeleteFunc(slices.Clone(x.links), func(o *link) bool { return o == l })
}

// note remembers what the app did wrong.
func (x *Sockets) note(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wrong = append(x.wrong, fmt.Sprintf(format, args...))
}

var errNoLink = errors.New("the app has no connection of Socket Mode")
