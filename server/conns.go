package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connLimit bounds the open connections. When one more comes, the one that has
// waited longest without a request makes room for it, so that ten thousand idle
// connections keep nobody out; when all are busy, the new one is closed, and its
// sender tries again.
type connLimit struct {
	net.Listener
	max     int
	metrics *metrics

	mu    sync.Mutex
	conns map[net.Conn]*list.Element // of waiting; nil: busy
	// waiting holds the connections without a request, the longest first.
	waiting list.List
}

func limitConns(l net.Listener, max int, m *metrics) *connLimit {
	return &connLimit{Listener: l, max: max, metrics: m, conns: make(map[net.Conn]*list.Element)}
}

// Accept implements net.Listener.
func (l *connLimit) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		victim := l.admit(c)
		if victim == nil {
			return c, nil
		}
		l.metrics.shed.WithLabelValues(shedConnections).Inc()
		_ = victim.Close() // it is being got rid of
		if victim != c {
			return c, nil
		}
	}
}

// admit notes the connection and returns the one that has to go for it.
func (l *connLimit) admit(c net.Conn) (victim net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.max {
		first := l.waiting.Front()
		if first == nil {
			return c
		}
		victim, _ = first.Value.(net.Conn)
		l.drop(victim)
	}
	l.conns[c] = l.waiting.PushBack(c)
	l.metrics.conns.Set(float64(len(l.conns)))
	return victim
}

func (l *connLimit) drop(c net.Conn) {
	if e := l.conns[c]; e != nil {
		l.waiting.Remove(e)
	}
	delete(l.conns, c)
	l.metrics.conns.Set(float64(len(l.conns)))
}

// state is http.Server.ConnState.
func (l *connLimit) state(c net.Conn, s http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.conns[c]
	if !known {
		return
	}
	switch s {
	case http.StateActive:
		if e != nil {
			l.waiting.Remove(e)
			l.conns[c] = nil
		}
	case http.StateIdle:
		if e == nil {
			l.conns[c] = l.waiting.PushBack(c)
		}
	case http.StateClosed, http.StateHijacked:
		l.drop(c)
	}
}
