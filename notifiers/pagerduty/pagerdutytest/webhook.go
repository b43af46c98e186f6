package pagerdutytest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// What PagerDuty does with webhooks that fail
// (https://developer.pagerduty.com/docs/webhooks-behavior).
const (
	maxTries     = 5
	hookTimeout  = 5 * time.Second
	firstBackoff = 10 * time.Second
	maxDropped   = 3
	disabledFor  = 24 * time.Hour
)

// Subscription sends what happens to incidents to a URL, signed. Fields are set
// before Subscribe.
type Subscription struct {
	// URL to post to.
	URL string
	// Secrets sign each webhook, all of them, as during a rotation; none: it is
	// not signed.
	Secrets []string
	// Events to send, such as "incident.acknowledged"; none: all.
	Events []string
	// Client sends; nil: http.DefaultClient.
	Client *http.Client

	id       string
	dropped  int
	disabled time.Time
}

// Hook is one webhook on its way.
type Hook struct {
	// ID is X-Webhook-Id, the same in every try.
	ID string
	// EventID and Event are event.id and event.event_type.
	EventID, Event string
	// Incident is PagerDuty's ID of the incident.
	Incident string
	Body     []byte
	// Due is when it is sent next, after a failure.
	Due   time.Time
	Tries int

	sub *Subscription
}

// HookResult is what became of one try.
type HookResult struct {
	Hook Hook
	// Status that was answered; 0: none was.
	Status int
	// Outcome is "delivered", "retried" or "dropped".
	Outcome string
}

// Subscribe adds a subscription, and returns its ID.
func (s *Server) Subscribe(sub Subscription) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.id = fmt.Sprintf("PSUB%03d", len(s.subs)+1)
	s.subs = append(s.subs, &sub)
	return sub.id
}

// Hooks returns the webhooks that are to be sent, oldest first. They are sent by
// Send, SendHook and Run.
func (s *Server) Hooks() []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks)
}

// Results returns what became of every try.
func (s *Server) Results() []HookResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.results)
}

// Duplicate queues a webhook once more, behind all others: at-least-once.
func (s *Server) Duplicate(h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Tries, h.Due = 0, time.Time{}
	s.hooks = append(s.hooks, h)
}

// Send sends every webhook that is due, those of an incident in their order,
// until none is, and returns how many tries it made.
func (s *Server) Send(ctx context.Context) int {
	for n := 0; ; n++ {
		h, ok := s.nextHook()
		if !ok || ctx.Err() != nil {
			return n
		}
		s.SendHook(ctx, h)
	}
}

// Run sends webhooks as they come, delay after they were queued, until ctx ends.
func (s *Server) Run(ctx context.Context, delay time.Duration) {
	tick := time.NewTicker(max(delay, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Send(ctx)
		}
	}
}

// nextHook is the first that is due and has no earlier one of its incident
// before it.
func (s *Server) nextHook() (Hook, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := map[string]bool{}
	for _, h := range s.hooks {
		key := h.sub.id + h.Incident
		if held[key] {
			continue
		}
		if !h.Due.After(s.conf.Now()) {
			return h, true
		}
		held[key] = true
	}
	return Hook{}, false
}

// SendHook makes one try of a queued webhook, in whatever order the caller
// likes. After a failure it stays queued for its next try, as PagerDuty does.
func (s *Server) SendHook(ctx context.Context, h Hook) HookResult {
	s.mu.Lock()
	at := slices.IndexFunc(s.hooks, func(q Hook) bool { return q.ID == h.ID && q.sub == h.sub })
	if at >= 0 {
		s.hooks = slices.Delete(s.hooks, at, at+1)
	}
	s.mu.Unlock()
	r := HookResult{Hook: h, Status: s.post(ctx, h)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Status >= 200 && r.Status < 300:
		r.Outcome, h.sub.dropped = "delivered", 0
	case r.Status >= 300 && r.Status < 500 && r.Status != http.StatusTooManyRequests, h.Tries+1 >= maxTries:
		r.Outcome = "dropped"
		if h.sub.dropped++; h.sub.dropped >= maxDropped {
			h.sub.disabled = s.conf.Now().Add(disabledFor)
			s.hooks = slices.DeleteFunc(s.hooks, func(q Hook) bool { return q.sub == h.sub })
		}
	default:
		r.Outcome = "retried"
		h.Due = s.conf.Now().Add(firstBackoff << (2 * h.Tries))
		h.Tries++
		s.hooks = slices.Insert(s.hooks, min(max(at, 0), len(s.hooks)), h)
	}
	s.results = append(s.results, r)
	return r
}

func (s *Server) post(ctx context.Context, h Hook) int {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.sub.URL, bytes.NewReader(h.Body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "PagerDuty-Webhook/V3.0")
	req.Header.Set("X-Webhook-Id", h.ID)
	req.Header.Set("X-Webhook-Subscription", h.sub.id)
	if len(h.sub.Secrets) > 0 {
		req.Header.Set("X-PagerDuty-Signature", Sign(h.Body, h.sub.Secrets...))
	}
	client := h.sub.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Sign returns the value of X-PagerDuty-Signature
// (https://developer.pagerduty.com/docs/verifying-webhook-signatures).
func Sign(body []byte, secrets ...string) string {
	var out []string
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		out = append(out, "v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, ",")
}

// agent is who did something.
type agent struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

func person(u Reference) *agent { return &agent{u.ID, "user_reference", u.Summary} }

// integration is the agent of what events do.
func integration(i *Incident) *agent {
	return &agent{"PINT" + i.RoutingKey[:3], "inbound_integration_reference", "Events API V2"}
}

// hookIncident is the data of most events.
type hookIncident struct {
	ID          string      `json:"id"`
	Type        string      `json:"type"`
	Number      int         `json:"number"`
	Status      string      `json:"status"`
	IncidentKey string      `json:"incident_key"`
	CreatedAt   time.Time   `json:"created_at"`
	Title       string      `json:"title"`
	Service     Reference   `json:"service"`
	Assignees   []Reference `json:"assignees"`
	Priority    *Reference  `json:"priority"`
	Urgency     string      `json:"urgency"`
}

// tell queues a webhook about an incident with each subscription. A nil data is
// the incident itself. It is called with mu held.
func (s *Server) tell(i *Incident, kind string, by *agent, data map[string]any) {
	s.told++
	now := s.conf.Now()
	if !now.After(s.last) {
		now = s.last.Add(time.Millisecond)
	}
	s.last = now
	event := map[string]any{
		"id": fmt.Sprintf("01EVENT%019d", s.told), "event_type": "incident." + kind, "resource_type": "incident",
		"occurred_at": now.UTC().Format("2006-01-02T15:04:05.000Z"), "agent": by, "client": nil,
	}
	if data == nil {
		r := rest(i)
		event["data"] = hookIncident{
			ID: i.ID, Type: "incident", Number: i.Number, Status: i.Status, IncidentKey: i.DedupKey, CreatedAt: i.CreatedAt,
			Title: i.Title, Service: r.Service, Assignees: i.assignees, Priority: i.priority, Urgency: r.Urgency,
		}
	} else {
		data["incident"] = Reference{i.ID, "incident_reference", i.Title}
		event["data"] = data
	}
	body, err := json.Marshal(map[string]any{"event": event})
	if err != nil {
		panic(err) // strings and numbers cannot fail
	}
	for n, sub := range s.subs {
		if sub.disabled.After(s.conf.Now()) || len(sub.Events) > 0 && !slices.Contains(sub.Events, "incident."+kind) {
			continue
		}
		s.hooks = append(s.hooks, Hook{
			ID: fmt.Sprintf("hook-%d-%d", n+1, s.told), EventID: event["id"].(string), Event: "incident." + kind,
			Incident: i.ID, Body: body, sub: sub,
		})
	}
}
