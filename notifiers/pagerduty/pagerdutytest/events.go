package pagerdutytest

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the Events API.
const (
	maxBody     = 512_000
	maxSummary  = 1024
	maxDedupKey = 255
	keyLength   = 32
)

// Link is an element of an event's links.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type image struct {
	Src string `json:"src"`
}

type payload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp"`
	Component string         `json:"component"`
	Group     string         `json:"group"`
	Class     string         `json:"class"`
	Details   jsontext.Value `json:"custom_details"`
}

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client"`
	ClientURL  string   `json:"client_url"`
	Payload    *payload `json:"payload"`
	Links      []Link   `json:"links"`
	Images     []image  `json:"images"`
	change     bool
}

// reply is the answer of the Events API.
type reply struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

func (s *Server) enqueue(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return
	}
	e, problems := parse(body, strings.HasPrefix(r.URL.Path, "/v2/change/"))
	entry := Event{
		Change: e.change, RoutingKey: e.RoutingKey, Action: e.Action, DedupKey: e.DedupKey,
	}
	if e.Payload != nil {
		entry.Severity, entry.Summary = e.Payload.Severity, e.Payload.Summary
	}
	if s.conf.KeepBodies {
		entry.Body = body
	}
	f := s.fault(e)
	if f != nil && !f.hold(r.Context()) {
		s.failed(entry, 0)
		panic(http.ErrAbortHandler)
	}
	if f != nil && f.Status != 0 {
		s.failed(entry, f.Status)
		f.answer(w)
		return
	}
	status, header, answer := s.take(e, problems, entry)
	if f != nil && f.Drop {
		panic(http.ErrAbortHandler)
	}
	for k, v := range header {
		w.Header().Set(k, v)
	}
	writeJSON(w, status, answer)
}

// failed notes a request that a fault answered in place of PagerDuty.
func (s *Server) failed(entry Event, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.At, entry.Status, entry.Outcome = s.conf.Now(), status, "failed"
	s.stats.Calls++
	s.stats.Failed++
	s.note(&s.events, entry)
}

// take does what PagerDuty does with a request.
func (s *Server) take(e *event, problems []string, entry Event) (int, map[string]string, reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.At = s.conf.Now()
	s.stats.Calls++
	if len(s.keys) > 0 && !s.keys[e.RoutingKey] && len(problems) == 0 {
		problems = []string{"Invalid routing key"}
	}
	if len(problems) > 0 {
		s.stats.Rejected++
		entry.Status, entry.Outcome = http.StatusBadRequest, "rejected"
		s.note(&s.events, entry)
		s.note(&s.violations, entry)
		return entry.Status, nil, reply{"invalid event", "Event object is invalid", "", problems}
	}
	if wait, early := s.limit(e.RoutingKey, entry.At); wait > 0 {
		s.stats.Limited++
		entry.Status, entry.Outcome = http.StatusTooManyRequests, "limited"
		s.note(&s.events, entry)
		if early {
			s.note(&s.violations, entry)
		}
		return entry.Status, map[string]string{"Retry-After": seconds(wait)}, reply{
			Status: "throttle exceeded", Message: "Requests for this service are arriving too quickly. Please retry later.",
		}
	}
	answer := reply{Status: "success", Message: "Event processed"}
	entry.Status, entry.Outcome = http.StatusAccepted, s.accept(e, &answer, entry.At)
	entry.DedupKey = e.DedupKey
	s.note(&s.events, entry)
	return entry.Status, nil, answer
}

func (s *Server) accept(e *event, answer *reply, now time.Time) string {
	s.stats.Accepted++
	if e.change {
		s.stats.Changes++
		answer.Message = "Change event processed"
		return "change"
	}
	if e.DedupKey == "" {
		e.DedupKey = randomKey()
	}
	answer.DedupKey = e.DedupKey
	return s.apply(e, now)
}

func randomKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// parse reads and checks an event. The event is never nil.
func parse(body []byte, change bool) (*event, []string) {
	e := &event{change: change}
	if len(body) > maxBody {
		return e, []string{"Event is too large (must be no more than 512 KB)"}
	}
	if err := json.Unmarshal(body, e); err != nil {
		*e = event{change: change}
		return e, []string{"Event is not a valid JSON object: " + err.Error()}
	}
	return e, e.problems()
}

func (e *event) problems() []string {
	var out []string
	report := func(wrong bool, text string) {
		if wrong {
			out = append(out, text)
		}
	}
	report(len(e.RoutingKey) != keyLength, "Length of 'routing_key' is incorrect (should be 32 characters)")
	report(strings.ContainsFunc(e.RoutingKey, notAlphanumeric), "'routing_key' cannot contain non-alphanumeric characters.")
	if e.change {
		report(e.Payload == nil, "'payload' is missing or blank")
		return append(out, e.Payload.problems(false)...)
	}
	switch e.Action {
	case "trigger":
		report(e.Payload == nil, "'payload' is missing or blank")
		out = append(out, e.Payload.problems(true)...)
	case "acknowledge", "resolve":
		report(e.DedupKey == "", "'dedup_key' is missing or blank")
	case "":
		report(true, "'event_action' is missing or blank")
	default:
		report(true, "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	}
	report(utf8.RuneCountInString(e.DedupKey) > maxDedupKey, "'dedup_key' is too long (must be no more than 255 characters)")
	for _, l := range e.Links {
		report(l.Href == "", "'href' is missing or blank in 'links'")
	}
	for _, i := range e.Images {
		report(!strings.HasPrefix(i.Src, "https://"), "'src' must be an https URL in 'images'")
	}
	return out
}

// problems checks the payload of an alert event or, where alert is false, of a
// change event.
func (p *payload) problems(alert bool) []string {
	if p == nil {
		return nil
	}
	var out []string
	report := func(wrong bool, text string) {
		if wrong {
			out = append(out, text)
		}
	}
	report(strings.TrimSpace(p.Summary) == "", "'payload.summary' is missing or blank")
	report(utf8.RuneCountInString(p.Summary) > maxSummary, "'payload.summary' is too long (must be no more than 1024 characters)")
	report(p.Details != nil && p.Details.Kind() != '{' && p.Details.Kind() != 'n', "'payload.custom_details' must be an object")
	report(p.Timestamp != "" && !isTime(p.Timestamp), "'payload.timestamp' is not in ISO 8601 format")
	if !alert {
		return out
	}
	report(strings.TrimSpace(p.Source) == "", "'payload.source' is missing or blank")
	switch p.Severity {
	case "critical", "error", "warning", "info":
	case "":
		report(true, "'payload.severity' is missing or blank")
	default:
		report(true, "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	}
	return out
}

func isTime(s string) bool {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

func notAlphanumeric(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// window holds when the events of a routing key were taken, a ring of as many as
// the limit allows.
type window struct {
	taken []time.Time
	next  int
	// until is the end of the pause that was last asked for.
	until time.Time
}

// limit takes an event into the window of its routing key, or says how long to
// wait and whether the client had been told to wait until later than now. It is
// called with mu held.
func (s *Server) limit(key string, now time.Time) (wait time.Duration, early bool) {
	if s.conf.RateLimit <= 0 {
		return 0, false
	}
	w := s.limits[key]
	if w == nil {
		w = &window{taken: make([]time.Time, s.conf.RateLimit)}
		s.limits[key] = w
	}
	oldest := w.taken[w.next]
	if wait = oldest.Add(time.Minute).Sub(now); !oldest.IsZero() && wait > 0 {
		early = now.Before(w.until)
		w.until = now.Add(time.Duration(math.Ceil(wait.Seconds())) * time.Second)
		return wait, early
	}
	w.taken[w.next] = now
	w.next = (w.next + 1) % len(w.taken)
	return 0, false
}

// seconds rounds up: a client that waits as long is not early.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone
}
