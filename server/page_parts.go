package server

import (
	"bytes"
	"sync"
)

// partsKept is the most parts of pages that are remembered.
const partsKept = 64

// parts remembers parts of pages for as long as nothing happens: hundreds of
// people who look on at one list cost one list.
type parts struct {
	mu    sync.Mutex
	known map[string]*part
}

type part struct {
	mu   sync.Mutex
	seq  uint64
	body []byte
}

// get returns the part as it was made after the event seq, or makes it. Where the
// event is not known, it is made.
func (p *parts) get(key string, seq uint64, known bool, fill func() ([]byte, error)) ([]byte, error) {
	if !known {
		return fill()
	}
	one := p.of(key)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.body != nil && one.seq >= seq {
		return one.body, nil
	}
	body, err := fill()
	if err != nil {
		return nil, err
	}
	one.seq, one.body = seq, body
	return body, nil
}

func (p *parts) of(key string) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= partsKept && p.known[key] == nil {
		p.known = map[string]*part{}
	}
	if p.known[key] == nil {
		p.known[key] = &part{}
	}
	return p.known[key]
}

// render executes a template.
func (p *pages) render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := p.templates.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}
