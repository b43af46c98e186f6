package callback

import "sync"

// remembered is how many webhooks are remembered, in two halves: 48 hours of one
// every 17 seconds.
const remembered = 10_000

// memory knows the latest names that it was told, at least half of what it
// holds. It is safe for concurrent use.
type memory struct {
	mu       sync.Mutex
	now, old map[string]bool
}

func (m *memory) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now[name] || m.old[name]
}

func (m *memory) add(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil || len(m.now) >= remembered/2 {
		m.now, m.old = map[string]bool{}, m.now
	}
	m.now[name] = true
}
