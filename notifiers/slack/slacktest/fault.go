package slacktest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Fault makes the server misbehave. Its zero value does nothing but count.
// The first fault that applies to a call is used.
type Fault struct {
	// Method that fails, such as "chat.postMessage"; empty: every one.
	Method string
	// Channel that fails, as the call names it; empty: every one.
	Channel string
	// Status of the answer; 0: 200.
	Status int
	// RetryAfter is the value of the header in seconds; nil: no header.
	RetryAfter *int
	// Error is Slack's error code, answered as {"ok":false,"error":…}.
	Error string
	// Body is answered as HTML instead, as a proxy or a status page does.
	Body string
	// Delay before the answer, or before the call takes effect where nothing
	// else is wrong.
	Delay time.Duration
	// Rate is the share of the calls that fail, 0 to 1; 0: all of them.
	Rate float64
	// Count is how many calls fail before the fault is gone; 0: no bound.
	Count int
	// Until is when the fault is gone; zero: never.
	Until time.Time
	// DropAfter lets the call take effect and then cuts the connection without
	// an answer.
	DropAfter bool
	// BlackHole takes the request, does nothing and never answers; the caller
	// has to give up.
	BlackHole bool
}

// Seconds is a value for Fault.RetryAfter.
func Seconds(n int) *int { return &n }

// answer returns the fault's own answer; false: the method answers.
func (f *Fault) answer() (answer, bool) {
	if f.BlackHole {
		return answer{status: http.StatusOK}, true
	}
	if f.Status == 0 && f.Error == "" && f.Body == "" {
		return answer{}, false
	}
	a := answer{status: f.Status, code: f.Error, retryAfter: f.RetryAfter}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	switch {
	case f.Body != "":
		a.body, a.html = []byte(f.Body), true
	case f.Error != "":
		a.body, _ = json.Marshal(reply{Error: f.Error})
	case f.Status == http.StatusTooManyRequests:
		a.code = "ratelimited"
		a.body, _ = json.Marshal(reply{Error: a.code})
	}
	return a, true
}

type faults struct {
	mu   sync.Mutex
	rand *rand.Rand
	list []*Fault
}

// Fault adds a fault and returns the function that takes it away again.
func (s *Server) Fault(f Fault) (remove func()) {
	p := &f
	s.faults.mu.Lock()
	s.faults.list = append(s.faults.list, p)
	s.faults.mu.Unlock()
	return func() { s.faults.drop(p) }
}

// ClearFaults takes all faults away. Calls that are held back stay so until
// their caller gives up, or Close.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

func (fs *faults) drop(p *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(slices.Clone(fs.list), func(f *Fault) bool { return f == p })
}

// take returns a copy of the fault that applies to the call, or nil.
func (fs *faults) take(c *call, now time.Time) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.list {
		if f.Method != "" && f.Method != c.method || f.Channel != "" && f.Channel != c.arg("channel") {
			continue
		}
		if !f.Until.IsZero() && !now.Before(f.Until) {
			continue
		}
		if f.Rate > 0 && fs.rand.Float64() >= f.Rate {
			continue
		}
		copied := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				fs.list = slices.Delete(slices.Clone(fs.list), i, i+1)
			}
		}
		return &copied
	}
	return nil
}

// rate is a token bucket's refill and size.
type rate struct {
	perSecond float64
	burst     int
}

type bucket struct {
	tokens float64
	at     time.Time
}

type limiter struct {
	posts   rate
	methods map[string]rate

	mu       sync.Mutex
	buckets  map[string]*bucket
	violated int
}

// allow takes a token of each bucket that the call falls under. When there is
// none it returns how long to wait and counts a violation.
func (l *limiter) allow(c *call, channel string, now time.Time) (time.Duration, bool) {
	posts := c.method == "chat.postMessage" || c.method == "chat.postEphemeral"
	perMethod, limited := l.methods[c.method]
	if !limited && (!posts || l.posts.perSecond <= 0) {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if limited {
		if d, ok := l.take("method "+c.method, perMethod, now); !ok {
			return d, false
		}
	}
	if posts && l.posts.perSecond > 0 {
		return l.take("channel "+channel, l.posts, now)
	}
	return 0, true
}

func (l *limiter) take(key string, r rate, now time.Time) (time.Duration, bool) {
	if l.buckets == nil {
		l.buckets = map[string]*bucket{}
	}
	size := float64(max(1, r.burst))
	b := l.buckets[key]
	if b == nil {
		b = &bucket{tokens: size, at: now}
		l.buckets[key] = b
	}
	b.tokens = min(size, b.tokens+now.Sub(b.at).Seconds()*r.perSecond)
	b.at = now
	if b.tokens < 1 {
		l.violated++
		return time.Duration((1 - b.tokens) / r.perSecond * float64(time.Second)), false
	}
	b.tokens--
	return 0, true
}

// Violations counts the calls that came faster than the limits allow and were
// answered with 429.
func (s *Server) Violations() int {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	return s.limiter.violated
}
