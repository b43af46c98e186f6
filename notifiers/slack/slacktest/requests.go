package slacktest

import (
	"maps"
	"slices"
	"time"
)

// Request is one call that was received.
type Request struct {
	At     time.Time
	Method string
	// Channel, TS and ThreadTS are the arguments of those names.
	Channel, TS, ThreadTS string
	// Users is the argument of that name, UserGroup that of the name usergroup.
	Users, UserGroup string
	ContentType      string
	// Status of the answer; 0: none was given.
	Status int
	// Error is the code of the answer; empty: it was a success.
	Error string
}

// ring keeps the newest entries.
type ring[T any] struct {
	items []T
	next  int
}

func (r *ring[T]) add(v T, size int) {
	if size <= 0 {
		return
	}
	if len(r.items) < size {
		r.items = append(r.items, v)
		return
	}
	r.items[r.next] = v
	r.next = (r.next + 1) % size
}

func (r *ring[T]) all() []T {
	return append(slices.Clone(r.items[r.next:]), r.items[:r.next]...)
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.Method]++
	s.log.add(r, s.logSize)
}

// Calls counts the calls of a method, whatever their outcome; the empty method
// counts all.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if method != "" {
		return s.calls[method]
	}
	n := 0
	for v := range maps.Values(s.calls) {
		n += v
	}
	return n
}

// Requests returns the newest calls, oldest first. See WithRequestLog.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.all()
}
