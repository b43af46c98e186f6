package pagerdutytest

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"time"
)

// Fault makes the Events API misbehave. What it does: wait Delay; then with
// BlackHole never answer; with Status answer that without looking at the event;
// with Drop take the event and close the connection without an answer. A Fault
// with only a Delay answers late.
type Fault struct {
	// RoutingKey and Action that it meets; empty: all. Change events have no
	// action; those of the REST API are OnCallsAction, NotesAction and
	// SubscriptionsAction.
	RoutingKey, Action string
	// Times it happens; 0: until Clear.
	Times int
	// Until is when it ends; zero: never.
	Until time.Time
	// Rate is the probability that a call meets it; 0: each call does.
	Rate float64

	Delay     time.Duration
	BlackHole bool
	Drop      bool
	Status    int
	// RetryAfter is sent with Status, in seconds; 0: no header.
	RetryAfter time.Duration
	// Header and Body of the answer with Status; a nil Body is PagerDuty's own
	// kind of error.
	Header http.Header
	Body   []byte
}

// Fail adds a fault. Of those that a call meets, the one added last acts.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Clear ends all faults. Calls that wait already go on waiting.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault finds the fault that a call meets, and counts it.
func (s *Server) fault(e *event) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range slices.Backward(s.faults) {
		switch {
		case !f.Until.IsZero() && !s.conf.Now().Before(f.Until),
			f.RoutingKey != "" && f.RoutingKey != e.RoutingKey,
			f.Action != "" && f.Action != e.Action,
			f.Rate > 0 && s.rand.Float64() >= f.Rate:
			continue
		}
		met := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, n, n+1)
			}
		}
		return &met
	}
	return nil
}

// hold waits as the fault says. It returns false when the connection is to be
// closed without looking at the event.
func (f *Fault) hold(ctx context.Context) bool {
	if f.BlackHole {
		<-ctx.Done()
		return false
	}
	if f.Delay <= 0 {
		return true
	}
	t := time.NewTimer(f.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Fault) answer(w http.ResponseWriter) {
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(f.RetryAfter))
	}
	if f.Body == nil {
		text := cmp.Or(http.StatusText(f.Status), "failure")
		writeJSON(w, f.Status, reply{Status: "error", Message: text})
		return
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write(f.Body) // the client may be gone
}

// Client returns an HTTP client that reaches the server without a socket,
// whatever the host in its URLs. Dropped connections and black holes behave as
// on a socket.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }

// Transport returns what Client sends its requests through.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

// Through returns a client whose requests go to a handler without a socket: that
// of a Subscription.
func Through(h http.Handler) *http.Client { return &http.Client{Transport: transport{h}} }

type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr, in.Host = req.URL.RequestURI(), "192.0.2.1:1", cmp.Or(req.Host, req.URL.Host)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &response{header: make(http.Header)}
	done := make(chan bool, 1)
	go func() { done <- w.run(t.handler, in) }()
	select {
	case <-ctx.Done():
		cancel()
		<-done // the handler no longer reads the caller's body
		return nil, req.Context().Err()
	case complete := <-done:
		if !complete {
			return nil, cmp.Or(req.Context().Err(), io.ErrUnexpectedEOF)
		}
		return w.result(req), nil
	}
}
