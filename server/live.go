package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// EventLog is what has happened, in order. Package storage's stores are it.
type EventLog interface {
	// Log returns up to limit events of all incidents, those of none included, with
	// a Seq above after, oldest first.
	Log(ctx context.Context, after uint64, limit int) ([]tocsin.Event, error)
	// LastSeq returns the Seq of the last event; 0: there was none.
	LastSeq() uint64
}

const (
	// liveBatch is the most events that are read of the log at a time. When more has
	// happened since the last look, pages are told to look again, and programs read
	// the log for themselves: a storm is not made worse by those who watch it.
	liveBatch = 500
	// liveBacklog is how many chunks a viewer may lag behind before it is dropped: it
	// comes back by itself and says where it was.
	liveBacklog = 16
	// livePoll is how often the log is looked at when nobody tells of a change, as
	// where another replica made it.
	livePoll = 5 * time.Second
	// liveStep is the shortest time between two looks at the log, and liveShare how
	// much is added for each viewer: the more look on, the rarer they are told, so
	// that looking on never costs more than a small share of the machine.
	liveStep  = 200 * time.Millisecond
	liveShare = 2 * time.Millisecond
	// liveHistory is how many read at a time what happened before they came.
	liveHistory = 2
)

// chunk is what happened after one event up to another, encoded once for all who
// may hear the same of it. It is immutable.
type chunk struct {
	after, last uint64
	// events themselves; nil: they are more than anybody wants to hear one by one,
	// and to be read of the log.
	events []tocsin.Event
	// pause is after how long the next may come.
	pause time.Duration
	// rights is true where who may do what may have changed.
	rights bool
	// pages names the incidents that changed, to those who may view all of them.
	pages []byte
	// viewers and managers return the events as they may see them.
	viewers, managers func() []byte
}

// programs returns the events for a program whose principal may view all incidents.
func (c *chunk) programs(who *tocsin.Principal) []byte {
	if who.May(tocsin.RightManage) {
		return c.managers()
	}
	return c.viewers()
}

// viewer is somebody who looks on. Its chunks are closed when it has fallen too far
// behind, and with gone when it has to make room, and when the server stops.
type viewer struct {
	// of is whose it is, and nth how many came before it.
	of     string
	nth    uint64
	chunks chan *chunk
	gone   chan struct{}
}

// live tells any number of viewers what happens. Its one goroutine runs while
// somebody looks on; without viewers it costs nothing.
type live struct {
	log     EventLog
	changed <-chan struct{}
	logger  *slog.Logger
	max     int

	// history has room for those who read what happened before they came.
	history turns

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	// joined is how many have ever looked on.
	joined uint64
	// seq is the last event that the viewers were told of.
	seq    uint64
	closed bool
	// quit ends the goroutine; nil: there is none.
	quit chan struct{}
}

func newLive(log EventLog, changed <-chan struct{}, logger *slog.Logger, max int) *live {
	return &live{log: log, changed: changed, logger: logger, max: max, history: newTurns(liveHistory), viewers: map[*viewer]struct{}{}}
}

// join lets somebody look on, from the event with the Seq from on. Where no more may,
// whoever looks on most often has one less: nobody keeps the others from it.
func (l *live) join(of string) (v *viewer, from uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, 0, unavailable(nil, "shutting down; try again, or another replica")
	case len(l.viewers) >= l.max:
		out := l.greediest(of)
		if out == nil {
			return nil, 0, unavailable(nil, "%d look on already; try again later", l.max)
		}
		l.sendAway(out)
	}
	if l.quit == nil {
		l.seq, l.quit = l.log.LastSeq(), make(chan struct{})
		go l.run(l.quit)
	}
	l.joined++
	v = &viewer{of: of, nth: l.joined, chunks: make(chan *chunk, liveBacklog), gone: make(chan struct{})}
	l.viewers[v] = struct{}{}
	return v, l.seq, nil
}

// greediest is the first viewer of whoever has the most, and still has as many as
// this one with one less; nil: there is none.
func (l *live) greediest(than string) (first *viewer) {
	has := map[string]int{}
	for v := range l.viewers {
		has[v.of]++
	}
	most := has[than] + 1
	for _, n := range has {
		most = max(most, n)
	}
	if most == has[than]+1 {
		return nil
	}
	for v := range l.viewers {
		if has[v.of] == most && (first == nil || v.nth < first.nth) {
			first = v
		}
	}
	return first
}

func (l *live) sendAway(v *viewer) {
	delete(l.viewers, v)
	close(v.chunks)
	close(v.gone)
}

// leave is the end of looking on. Doing it again changes nothing.
func (l *live) leave(v *viewer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, v)
	if len(l.viewers) == 0 && l.quit != nil {
		close(l.quit)
		l.quit = nil
	}
}

// close sends everybody away, for good.
func (l *live) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for v := range l.viewers {
		l.sendAway(v)
	}
	if l.quit != nil {
		close(l.quit)
		l.quit = nil
	}
}

// told is the last event that viewers were told of; false: nobody looks on, and
// nobody is told.
func (l *live) told() (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq, l.quit != nil
}

// pause is how long to wait between two looks at the log.
func (l *live) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return liveStep + time.Duration(len(l.viewers))*liveShare
}

func (l *live) run(quit <-chan struct{}) {
	poll := time.NewTicker(livePoll)
	defer poll.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	<-rest.C
	for {
		select {
		case <-quit:
			return
		case <-l.changed:
		case <-poll.C:
		}
		pause := l.pause()
		l.tell(quit, pause)
		rest.Reset(pause)
		select {
		case <-quit:
			return
		case <-rest.C:
		}
	}
}

// tell reads what is new and hands it to everybody.
func (l *live) tell(quit <-chan struct{}, pause time.Duration) {
	seq, _ := l.told()
	last := l.log.LastSeq()
	switch {
	case last == seq:
		return
	case last < seq || last-seq > liveBatch:
		l.hand(quit, newStorm(seq, last, pause))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), livePoll)
	defer cancel()
	events, err := l.log.Log(ctx, seq, liveBatch)
	if err != nil {
		l.logger.Warn("what has happened cannot be read for those who look on; tried again", "error", err)
		return
	}
	if len(events) > 0 {
		l.hand(quit, newChunk(seq, events, pause))
	}
}

// hand gives a chunk to everybody; who cannot take it is sent away.
func (l *live) hand(quit <-chan struct{}, c *chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quit != quit { // the last one left, and perhaps the next one has come
		return
	}
	l.seq = c.last
	for v := range l.viewers {
		select {
		case v.chunks <- c:
		default:
			delete(l.viewers, v)
			close(v.chunks)
		}
	}
}

// changedIncident is one incident in what pages are told.
type changedIncident struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
}

// newStorm is a chunk of more than anybody wants to hear one by one.
func newStorm(after, last uint64, pause time.Duration) *chunk {
	return &chunk{
		after: after, last: last, pause: pause, rights: true,
		pages: fmt.Appendf(nil, "id: %d\nevent: reload\ndata: {\"wait\":%d}\n\n", last, pause.Milliseconds()),
	}
}

func newChunk(after uint64, events []tocsin.Event, pause time.Duration) *chunk {
	c := &chunk{after: after, last: events[len(events)-1].Seq, events: events, pause: pause}
	all := &tocsin.Principal{Role: tocsin.RoleViewer}
	c.viewers = sync.OnceValue(func() []byte { return encodeEvents(heardBy(context.Background(), nil, all, events)) })
	c.managers = sync.OnceValue(func() []byte { return encodeEvents(events) })
	c.rights = slices.ContainsFunc(events, func(e tocsin.Event) bool {
		return e.Kind == tocsin.EventAccess || e.Kind == tocsin.EventChange && e.Incident == ""
	})
	c.pages = encodeChanges(c.last, events, pause)
	return c
}

// encodeChanges writes what pages are told of events: which incidents have changed.
func encodeChanges(last uint64, events []tocsin.Event, pause time.Duration) []byte {
	at := map[string]int{}
	list := []changedIncident{}
	for i := range events {
		e := &events[i]
		if e.Incident == "" {
			continue
		}
		n, known := at[e.Incident]
		if !known {
			n = len(list)
			at[e.Incident] = n
			list = append(list, changedIncident{ID: e.Incident})
		}
		list[n].Revision = e.Revision
	}
	data, err := json.Marshal(map[string]any{"incidents": list, "wait": pause.Milliseconds()})
	if err != nil { // strings and numbers can always be written
		return nil
	}
	return fmt.Appendf(nil, "id: %d\nevent: incidents\ndata: %s\n\n", last, data)
}

// encodeEvents writes events as text/event-stream
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func encodeEvents(events []tocsin.Event) []byte {
	var b bytes.Buffer
	for i := range events {
		data, err := json.Marshal(&events[i])
		if err != nil { // a time beyond the year 9999: nothing that Tocsin writes
			continue
		}
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", events[i].Seq, events[i].Kind, data)
	}
	return b.Bytes()
}
