package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

// budget bounds the bytes that all alert requests hold together. It counts
// what is really held: a request that announces 4 MiB and sends one byte holds
// one small buffer.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// firstBuffer holds a request of a few alerts; a bigger one grows by growth.
const (
	firstBuffer = 8 << 10
	growth      = 8
)

// buffers reads request bodies into pooled buffers of a few sizes, within the
// budget.
type buffers struct {
	budget *budget
	limit  int
	// hint is what to do about a body that is too long.
	hint  string
	sizes []int
	pools []sync.Pool
}

func newBuffers(limit int, hint string, b *budget) *buffers {
	p := &buffers{budget: b, limit: limit, hint: hint}
	for size := firstBuffer; size <= limit; size *= growth {
		p.sizes = append(p.sizes, size)
	}
	p.sizes = append(p.sizes, limit+1) // one more byte tells too long from just fitting
	p.pools = make([]sync.Pool, len(p.sizes))
	return p
}

// buffer is one body. Return it with buffers.put.
type buffer struct {
	data  []byte
	class int
}

func (p *buffers) get(class int) (*buffer, bool) {
	if !p.budget.take(p.sizes[class]) {
		return nil, false
	}
	if b, ok := p.pools[class].Get().(*buffer); ok {
		return b, true
	}
	return &buffer{data: make([]byte, 0, p.sizes[class]), class: class}, true
}

func (p *buffers) put(b *buffer) {
	p.budget.give(p.sizes[b.class])
	b.data = b.data[:0]
	p.pools[b.class].Put(b)
}

// errOverload is the cause of refusals for want of memory.
var errOverload = errors.New("the alert requests in flight hold all the memory they may")

// read returns the whole body. It holds no more than the limit, and no more
// than about what the sender has sent.
func (p *buffers) read(r io.Reader) (*buffer, error) {
	b, ok := p.get(0)
	if !ok {
		return nil, unavailable(errOverload, "overloaded; try again")
	}
	for {
		if len(b.data) == cap(b.data) {
			next, err := p.grow(b)
			if err != nil {
				p.put(b)
				return nil, err
			}
			b = next
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case len(b.data) > p.limit:
			p.put(b)
			return nil, p.tooLong()
		case err == io.EOF:
			return b, nil
		case err != nil:
			p.put(b)
			return nil, readRefusal(err)
		}
	}
}

func (p *buffers) grow(b *buffer) (*buffer, error) {
	if b.class+1 == len(p.sizes) {
		return nil, p.tooLong()
	}
	next, ok := p.get(b.class + 1)
	if !ok {
		return nil, unavailable(errOverload, "overloaded; try again")
	}
	next.data = append(next.data, b.data...)
	p.put(b)
	return next, nil
}

func (p *buffers) tooLong() *refusal {
	return tooLarge("", "the body is longer than %d bytes; %s", p.limit, p.hint)
}

func readRefusal(err error) *refusal {
	r := refuse(http.StatusBadRequest, codeInvalid, "", "the body ended early")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r = refuse(http.StatusRequestTimeout, codeTimeout, "", "the body came too slowly")
	}
	r.cause = err
	return r
}
