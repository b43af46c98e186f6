package remediation

import (
	"context"
	"strconv"
	"sync"
)

// maxQueue bounds what waits in a queue.
const maxQueue = 10_000

// queue holds names, each once, in the order they came.
type queue struct {
	mu     sync.Mutex
	names  []string
	in     map[string]bool
	signal chan struct{}
}

func newQueue() *queue { return &queue{in: map[string]bool{}, signal: make(chan struct{}, 1)} }

// push reports whether the name is in the queue.
func (q *queue) push(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.in[name] {
		return true
	}
	if len(q.names) >= maxQueue {
		return false
	}
	q.in[name] = true
	q.names = append(q.names, name)
	q.tell()
	return true
}

func (q *queue) tell() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// pop waits for a name; false: ctx has ended.
func (q *queue) pop(ctx context.Context) (string, bool) {
	for {
		if name, ok := q.next(); ok {
			return name, ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-q.signal:
		}
	}
}

func (q *queue) next() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.names) == 0 {
		return "", false
	}
	name := q.names[0]
	q.names = q.names[1:]
	delete(q.in, name)
	if len(q.names) > 0 {
		q.tell() // another one may be waiting
	}
	return name, true
}

// notes are names that wait for a commit.
type notes struct {
	mu    sync.Mutex
	names map[string]bool
}

func (n *notes) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		n.names = map[string]bool{}
	}
	n.names[name] = true
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.names) == 0 {
		return nil
	}
	out := make([]string, 0, len(n.names))
	for name := range n.names {
		out = append(out, name)
	}
	clear(n.names)
	return out
}

// claim is a name that no other carriage has.
func (e *Engine) claim() string { return e.owner + "/" + strconv.FormatUint(e.claims.Add(1), 10) }
