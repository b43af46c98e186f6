package pagerdutytest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The states of an Incident, as PagerDuty writes them.
const (
	Triggered    = "triggered"
	Acknowledged = "acknowledged"
	Resolved     = "resolved"
)

// Config of a Server. Its zero value takes every well-formed routing key and
// limits nothing.
type Config struct {
	// Keys are the routing keys that exist; empty: every well-formed one.
	Keys []string
	// RateLimit is the number of events that one routing key may send within 60
	// seconds; 0: any. PagerDuty's own is about 120.
	RateLimit int
	// APIToken that the REST API wants; empty: it asks for none.
	APIToken string
	// WantFrom refuses writes without the From header, as for the token of an
	// account.
	WantFrom bool
	// OnCalls is what GET /oncalls answers.
	OnCalls []OnCall
	// MaxEvents is how many events and violations are remembered, the latest;
	// 0: 10,000. Incidents are all remembered.
	MaxEvents int
	// KeepBodies makes Events return the requests' bodies.
	KeepBodies bool
	// Seed of the faults that come at random.
	Seed uint64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Event is one request to the Events API and what became of it.
type Event struct {
	At         time.Time
	Change     bool
	RoutingKey string
	Action     string
	DedupKey   string
	Severity   string
	Summary    string
	// Status that was answered; 0: the connection was dropped.
	Status int
	// Outcome is "opened", "logged", "acknowledged", "resolved", "dropped"
	// (there was no open incident), "change", "rejected", "limited" or "failed"
	// (by a fault, before it was looked at).
	Outcome string
	// Body is empty unless Config.KeepBodies.
	Body []byte
}

// LogEntry is one entry of an incident's log.
type LogEntry struct {
	At       time.Time
	Action   string
	Severity string
	Summary  string
}

// Incident is what one dedup key opened: it ends with its resolve event, and the
// next trigger opens another one.
type Incident struct {
	ID     string
	Number int
	// RoutingKey and DedupKey together found it.
	RoutingKey, DedupKey string
	Status               string
	Title                string
	Severity             string
	Source, Component    string
	Group, Class         string
	Client, ClientURL    string
	Details              jsontext.Value
	Links                []Link
	CreatedAt            time.Time
	AcknowledgedAt       time.Time
	ResolvedAt           time.Time
	Log                  []LogEntry
	Notes                []Note

	assignees []Reference
	priority  *Reference
}

// Stats counts what happened since the start.
type Stats struct {
	// Calls to the Events API, and how they ended.
	Calls, Accepted, Rejected, Limited, Failed int
	// What the accepted ones did; see Event.Outcome.
	Opened, Logged, Acknowledged, Resolved, Dropped, Changes int
}

// Server is an emulated PagerDuty. It is safe for concurrent use.
type Server struct {
	conf Config
	keys map[string]bool
	mux  *http.ServeMux

	mu         sync.Mutex
	rand       *rand.Rand
	faults     []*Fault
	limits     map[string]*window
	open       map[incidentKey]*Incident
	incidents  []*Incident
	events     []Event
	violations []Event
	stats      Stats
	subs       []*Subscription
	hooks      []Hook
	results    []HookResult
	told       int
	last       time.Time
}

type incidentKey struct{ routing, dedup string }

// New returns a Server.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.MaxEvents = cmp.Or(c.MaxEvents, 10_000)
	s := &Server{
		conf: c, keys: make(map[string]bool), mux: http.NewServeMux(),
		rand:   rand.New(rand.NewPCG(c.Seed, 0)),
		limits: make(map[string]*window), open: make(map[incidentKey]*Incident),
	}
	for _, k := range c.Keys {
		s.keys[k] = true
	}
	s.mux.HandleFunc("POST /v2/enqueue", s.enqueue)
	s.mux.HandleFunc("POST /v2/change/enqueue", s.enqueue)
	s.mux.HandleFunc("GET /incidents", s.listIncidents)
	s.mux.HandleFunc("GET /incidents/{id}", s.getIncident)
	s.mux.HandleFunc("POST /incidents/{id}/notes", s.postNote)
	s.mux.HandleFunc("GET /webhook_subscriptions", s.listSubscriptions)
	s.mux.HandleFunc("GET /abilities", s.abilities)
	s.mux.HandleFunc("GET /oncalls", s.onCalls)
	s.mux.HandleFunc("GET /{$}", s.page)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Incidents returns copies of the incidents of a routing key, in the order in
// which they were opened. An empty key asks for all.
func (s *Server) Incidents(routingKey string) []Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Incident
	for _, i := range s.incidents {
		if routingKey == "" || i.RoutingKey == routingKey {
			c := *i
			c.Log, c.Notes = slices.Clone(i.Log), slices.Clone(i.Notes)
			out = append(out, c)
		}
	}
	return out
}

// Events returns the latest requests to the Events API, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Violations returns the requests that a correct client does not make: those
// that were rejected, and those that came before a Retry-After had passed.
func (s *Server) Violations() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Stats returns the counts since the start.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// note remembers an event, the latest MaxEvents. It is called with mu held.
func (s *Server) note(list *[]Event, e Event) {
	if len(*list) >= 2*s.conf.MaxEvents {
		*list = append((*list)[:0], (*list)[s.conf.MaxEvents:]...)
	}
	*list = append(*list, e)
}

// apply does to the incidents what an accepted alert event does, and names the
// outcome. It is called with mu held.
func (s *Server) apply(e *event, now time.Time) string {
	key := incidentKey{e.RoutingKey, e.DedupKey}
	i := s.open[key]
	switch {
	case i == nil && e.Action == "trigger":
		s.openIncident(key, e, now)
		s.stats.Opened++
		return "opened"
	case i == nil:
		s.stats.Dropped++
		return "dropped"
	}
	entry := LogEntry{At: now, Action: e.Action}
	outcome := Acknowledged
	switch e.Action {
	case "trigger":
		entry.Severity, entry.Summary, i.Severity = e.Payload.Severity, e.Payload.Summary, e.Payload.Severity
		s.stats.Logged++
		outcome = "logged"
	case "acknowledge":
		if i.Status == Triggered {
			i.Status, i.AcknowledgedAt = Acknowledged, now
			s.tell(i, "acknowledged", integration(i), nil)
		}
		s.stats.Acknowledged++
	case "resolve":
		i.Status, i.ResolvedAt = Resolved, now
		delete(s.open, key)
		s.tell(i, "resolved", integration(i), nil)
		s.stats.Resolved++
		outcome = Resolved
	}
	i.Log = append(i.Log, entry)
	return outcome
}

func (s *Server) openIncident(key incidentKey, e *event, now time.Time) {
	p := e.Payload
	number := len(s.incidents) + 1
	i := &Incident{
		ID: fmt.Sprintf("Q%013d", number), Number: number, RoutingKey: key.routing, DedupKey: key.dedup,
		Status: Triggered, Title: p.Summary, Severity: p.Severity, Source: p.Source, Component: p.Component,
		Group: p.Group, Class: p.Class, Client: e.Client, ClientURL: e.ClientURL,
		Details: p.Details.Clone(), Links: e.Links, CreatedAt: now,
		Log: []LogEntry{{At: now, Action: e.Action, Severity: p.Severity, Summary: p.Summary}},
	}
	s.incidents = append(s.incidents, i)
	s.open[key] = i
	s.tell(i, "triggered", integration(i), nil)
}
