package smtptest

import (
	"context"
	"net"
	"sync"
	"time"
)

// pipes is a listener without a socket.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- newBuffered(server):
		return client, nil
	case <-p.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: ctx.Err()}
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (pipeAddr) String() string { return "pipe" }

// lastWrite is how long a closed connection still offers what was written.
const lastWrite = time.Second

// buffered is an end of a net.Pipe whose writes do not wait for the other end:
// two that both write before they read, as a failing TLS handshake makes them,
// would wait for each other for ever.
type buffered struct {
	net.Conn
	mu      sync.Mutex
	changed *sync.Cond
	pending []byte
	closed  bool
	err     error
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c}
	b.changed = sync.NewCond(&b.mu)
	go b.flush()
	return b
}

// flush writes what is pending until the end.
func (b *buffered) flush() {
	defer b.Conn.Close()
	for {
		b.mu.Lock()
		for len(b.pending) == 0 && !b.closed {
			b.changed.Wait()
		}
		next := b.pending
		b.pending = nil
		b.mu.Unlock()
		if len(next) == 0 {
			return
		}
		if _, err := b.Conn.Write(next); err != nil {
			b.mu.Lock()
			b.err = err
			b.mu.Unlock()
			return
		}
	}
}

// Write implements net.Conn.
func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.closed:
		return 0, net.ErrClosed
	}
	b.pending = append(b.pending, p...)
	b.changed.Signal()
	return len(p), nil
}

// SetDeadline implements net.Conn, for reading: writing does not wait.
func (b *buffered) SetDeadline(t time.Time) error { return b.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.Conn. Whoever reads at this end is woken at once.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		_ = b.SetReadDeadline(time.Unix(1, 0)) // the pipe is closed either way
		_ = b.Conn.SetWriteDeadline(time.Now().Add(lastWrite))
		b.changed.Signal()
	}
	return nil
}
