package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// connLimit bounds the open connections. When one more comes, one has to make room,
// so that ten thousand idle connections, or one that keeps all of them busy with
// bodies that never come, keep nobody else out: the address with the most of them is
// the first to lose one. Where nobody can be asked to, the new one is closed, and its
// sender tries again.
type connLimit struct {
	net.Listener
	max     int
	metrics *metrics

	mu    sync.Mutex
	conns map[net.Conn]*conn
	// waiting holds the connections without a request, the longest first.
	waiting list.List
	peers   peers
}

// conn is an open connection. It is among those that wait, in at, or is busy.
type conn struct {
	net.Conn
	of   *peerConns
	busy bool
	// since is when it began to wait.
	since time.Time
	// at is its place among all that wait, in among those of its address.
	at, in *list.Element
}

// peerConns are the connections of one address, those without a request and the
// others, the longest first.
type peerConns struct {
	addr          netip.Addr
	n             int
	waiting, busy list.List
}

// connFresh is how long a new connection is given to send its request before it
// makes room for the next.
const connFresh = time.Second

func limitConns(l net.Listener, max int, m *metrics) *connLimit {
	return &connLimit{
		Listener: l, max: max, metrics: m, conns: make(map[net.Conn]*conn),
		peers: peers{of: map[netip.Addr]*peerConns{}, by: map[int]map[*peerConns]struct{}{}},
	}
}

// Accept implements net.Listener.
func (l *connLimit) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		victim := l.admit(c, time.Now())
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
func (l *connLimit) admit(c net.Conn, now time.Time) (victim net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := peerOf(c)
	if len(l.conns) >= l.max {
		out := l.victim(addr, now)
		if out == nil {
			return c
		}
		victim = out.Conn
		l.drop(out)
	}
	n := &conn{Conn: c, of: l.peers.add(addr)}
	l.conns[c] = n
	l.wait(n, now)
	l.metrics.conns.Set(float64(len(l.conns)))
	return victim
}

// victim is the connection that makes room for one more from an address; nil: none.
func (l *connLimit) victim(addr netip.Addr, now time.Time) *conn {
	greedy, first := l.peers.greediest(addr), front(&l.waiting)
	switch {
	case greedy != nil && greedy.waiting.Len() > 0:
		return front(&greedy.waiting)
	case first != nil && now.Sub(first.since) >= connFresh:
		return first
	case greedy == nil: // all have as few
		return first
	case greedy.addr == addr: // nobody else is in its way
		return nil
	}
	return front(&greedy.busy)
}

func front(l *list.List) *conn {
	if l.Len() == 0 {
		return nil
	}
	c, _ := l.Front().Value.(*conn)
	return c
}

func (l *connLimit) wait(c *conn, now time.Time) {
	c.busy, c.since = false, now
	c.at, c.in = l.waiting.PushBack(c), c.of.waiting.PushBack(c)
}

// leave takes a connection out of the lists that it is in.
func (l *connLimit) leave(c *conn) {
	if c.busy {
		c.of.busy.Remove(c.in)
		return
	}
	l.waiting.Remove(c.at)
	c.of.waiting.Remove(c.in)
}

func (l *connLimit) drop(c *conn) {
	l.leave(c)
	l.peers.remove(c.of)
	delete(l.conns, c.Conn)
	l.metrics.conns.Set(float64(len(l.conns)))
}

// state is http.Server.ConnState.
func (l *connLimit) state(c net.Conn, s http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.conns[c]
	if n == nil {
		return
	}
	switch s {
	case http.StateActive:
		if !n.busy {
			l.leave(n)
			n.busy, n.in = true, n.of.busy.PushBack(n)
		}
	case http.StateIdle:
		if n.busy {
			l.leave(n)
			l.wait(n, time.Now())
		}
	case http.StateClosed, http.StateHijacked:
		l.drop(n)
	}
}

// peers counts the connections of each address. An IPv6 address is its /64: who has
// one has them all.
type peers struct {
	of map[netip.Addr]*peerConns
	// by are the addresses by how many connections they have, and most is the highest
	// of these numbers.
	by   map[int]map[*peerConns]struct{}
	most int
}

// peerOf is whose a connection is.
func peerOf(c net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return network(a.Addr())
	}
	return netip.Addr{}
}

func (p *peers) add(addr netip.Addr) *peerConns {
	c := p.of[addr]
	if c == nil {
		c = &peerConns{addr: addr}
		p.of[addr] = c
	}
	p.count(c, 1)
	return c
}

func (p *peers) remove(c *peerConns) {
	p.count(c, -1)
	if c.n == 0 {
		delete(p.of, c.addr)
	}
}

func (p *peers) count(c *peerConns, by int) {
	if same := p.by[c.n]; same != nil {
		if delete(same, c); len(same) == 0 {
			delete(p.by, c.n)
		}
	}
	if c.n += by; c.n > 0 {
		if p.by[c.n] == nil {
			p.by[c.n] = map[*peerConns]struct{}{}
		}
		p.by[c.n][c] = struct{}{}
	}
	p.most = max(p.most, c.n)
	for p.most > 0 && p.by[p.most] == nil {
		p.most--
	}
}

// greediest is the address itself where none has more connections than it and it has
// several; else one that still has as many as it when one of its makes room for one
// of this one's; nil: there is none.
func (p *peers) greediest(than netip.Addr) *peerConns {
	has := 0
	own := p.of[than]
	if own != nil {
		has = own.n
	}
	if p.most-1 <= has {
		if has > 1 {
			return own
		}
		return nil
	}
	for c := range p.by[p.most] {
		return c
	}
	return nil
}
