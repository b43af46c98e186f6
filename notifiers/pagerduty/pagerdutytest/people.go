package pagerdutytest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// What people do in PagerDuty. Each reports whether there was anything to do;
// incidents are named by their ID. Each queues its webhook with every
// subscription.

// Note is a note on an incident.
type Note struct {
	ID, Content string
	User        Reference
}

func (s *Server) act(id string, do func(*Incident) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.incidents {
		if i.ID == id {
			return do(i)
		}
	}
	return false
}

// Acknowledge acknowledges an open incident. Acknowledging it again tells of it
// again.
func (s *Server) Acknowledge(id string, by Reference) bool {
	return s.act(id, func(i *Incident) bool {
		if i.Status == Resolved {
			return false
		}
		i.Status, i.AcknowledgedAt = Acknowledged, s.conf.Now()
		s.tell(i, "acknowledged", person(by), nil)
		return true
	})
}

// Unacknowledge is what PagerDuty does itself when an acknowledgement runs out.
func (s *Server) Unacknowledge(id string) bool {
	return s.act(id, func(i *Incident) bool {
		if i.Status != Acknowledged {
			return false
		}
		i.Status = Triggered
		s.tell(i, "unacknowledged", nil, nil)
		return true
	})
}

// Resolve resolves an open incident.
func (s *Server) Resolve(id string, by Reference) bool {
	return s.act(id, func(i *Incident) bool {
		if i.Status == Resolved {
			return false
		}
		i.Status, i.ResolvedAt = Resolved, s.conf.Now()
		delete(s.open, incidentKey{i.RoutingKey, i.DedupKey})
		s.tell(i, "resolved", person(by), nil)
		return true
	})
}

// Reopen brings back a resolved incident whose dedup key nobody else has.
func (s *Server) Reopen(id string, by Reference) bool {
	return s.act(id, func(i *Incident) bool {
		key := incidentKey{i.RoutingKey, i.DedupKey}
		if i.Status != Resolved || s.open[key] != nil {
			return false
		}
		i.Status = Triggered
		s.open[key] = i
		s.tell(i, "reopened", person(by), nil)
		return true
	})
}

// Reassign gives an open incident to others, who have not acknowledged it.
func (s *Server) Reassign(id string, by Reference, to ...Reference) bool {
	return s.assign(id, "reassigned", person(by), to)
}

// Escalate has PagerDuty call the next level.
func (s *Server) Escalate(id string, to ...Reference) bool {
	return s.assign(id, "escalated", nil, to)
}

func (s *Server) assign(id, kind string, by *agent, to []Reference) bool {
	return s.act(id, func(i *Incident) bool {
		if i.Status == Resolved {
			return false
		}
		i.Status, i.assignees = Triggered, slices.Clone(to)
		for n := range i.assignees {
			i.assignees[n].Type = "user_reference"
		}
		s.tell(i, kind, by, nil)
		return true
	})
}

// SetPriority changes the priority of an incident.
func (s *Server) SetPriority(id string, by Reference, priority string) bool {
	return s.act(id, func(i *Incident) bool {
		i.priority = &Reference{"PRI" + priority, "priority_reference", priority}
		s.tell(i, "priority_updated", person(by), nil)
		return true
	})
}

// Annotate writes a note on an incident.
func (s *Server) Annotate(id string, by Reference, text string) bool {
	return s.act(id, func(i *Incident) bool {
		s.annotate(i, person(by), text)
		return true
	})
}

func (s *Server) annotate(i *Incident, by *agent, text string) Note {
	n := Note{ID: fmt.Sprintf("PNOTE%03d", len(i.Notes)+1), Content: text, User: Reference{by.ID, by.Type, by.Summary}}
	i.Notes = append(i.Notes, n)
	s.tell(i, "annotated", by, map[string]any{"id": n.ID, "type": "incident_note", "content": text, "trimmed": false})
	return n
}

// AddResponder asks somebody to help.
func (s *Server) AddResponder(id string, by, user Reference, message string) bool {
	return s.responder(id, "responder.added", by, user, message, "pending")
}

// Reply answers such a request: state is "accepted" or "declined".
func (s *Server) Reply(id string, user Reference, state string) bool {
	return s.responder(id, "responder.replied", user, user, "", state)
}

func (s *Server) responder(id, kind string, by, user Reference, message, state string) bool {
	return s.act(id, func(i *Incident) bool {
		user.Type = "user_reference"
		s.tell(i, kind, person(by), map[string]any{"type": "incident_responder", "user": user, "message": message, "state": state})
		return true
	})
}

// TellRaw queues a webhook whose event is body with every subscription, signed as
// any other.
func (s *Server) TellRaw(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, sub := range s.subs {
		s.told++
		s.hooks = append(s.hooks, Hook{ID: fmt.Sprintf("hook-%d-%d", n+1, s.told), Body: slices.Clone(body), sub: sub})
	}
}

func (s *Server) postNote(w http.ResponseWriter, r *http.Request) {
	if s.restFault(w, r, NotesAction) || !s.authorized(w, r) {
		return
	}
	from := r.Header.Get("From")
	if s.conf.WantFrom && !strings.Contains(from, "@") {
		restError(w, http.StatusBadRequest, 2001, "Requester User Not Found")
		return
	}
	var in struct {
		Note struct {
			Content string `json:"content"`
		} `json:"note"`
	}
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<20), &in); err != nil || in.Note.Content == "" {
		restError(w, http.StatusBadRequest, 2001, "Invalid Input Provided")
		return
	}
	var n Note
	if !s.act(r.PathValue("id"), func(i *Incident) bool {
		n = s.annotate(i, &agent{"PBOT", "user_reference", "Tocsin's token"}, in.Note.Content)
		return true
	}) {
		restError(w, http.StatusNotFound, 2100, "Not Found")
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{"note": map[string]any{"id": n.ID, "content": n.Content, "user": n.User}})
}

func (s *Server) listSubscriptions(w http.ResponseWriter, r *http.Request) {
	if s.restFault(w, r, SubscriptionsAction) || !s.authorized(w, r) {
		return
	}
	s.mu.Lock()
	list := []map[string]any{}
	for _, sub := range s.subs {
		list = append(list, map[string]any{
			"id": sub.id, "type": "webhook_subscription", "active": true, "events": sub.Events,
			"filter": map[string]any{"type": "account_reference"},
			"delivery_method": map[string]any{
				"type": "http_delivery_method", "url": sub.URL, "secret": nil,
				"temporarily_disabled": sub.disabled.After(s.conf.Now()),
			},
		})
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"webhook_subscriptions": list, "limit": 100, "offset": 0, "more": false, "total": nil})
}

func (s *Server) abilities(w http.ResponseWriter, r *http.Request) {
	if s.authorized(w, r) {
		writeJSON(w, http.StatusOK, map[string]any{"abilities": []string{"sso", "teams"}})
	}
}

// The Fault.Action of the REST API's calls.
const (
	NotesAction         = "notes"
	SubscriptionsAction = "subscriptions"
)

// restFault answers in place of the REST API where a fault has it.
func (s *Server) restFault(w http.ResponseWriter, r *http.Request, action string) bool {
	f := s.fault(&event{Action: action})
	if f == nil {
		return false
	}
	if !f.hold(r.Context()) || f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.Status == 0 {
		return false
	}
	if f.Body == nil {
		f.Body = []byte(`{"error":{"message":"` + http.StatusText(f.Status) + `","code":0}}`)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	f.answer(w)
	return true
}
