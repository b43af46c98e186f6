package pagerdutytest

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// OnCall is one entry of GET /oncalls.
type OnCall struct {
	User             Reference `json:"user"`
	EscalationPolicy Reference `json:"escalation_policy"`
	EscalationLevel  int       `json:"escalation_level"`
	Schedule         Reference `json:"schedule"`
	Start            time.Time `json:"start"`
	End              time.Time `json:"end"`
}

// Reference names an object of the REST API.
type Reference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

// restIncident is the part of PagerDuty's incident that the emulator knows.
type restIncident struct {
	ID                 string    `json:"id"`
	Type               string    `json:"type"`
	Summary            string    `json:"summary"`
	IncidentNumber     int       `json:"incident_number"`
	Title              string    `json:"title"`
	IncidentKey        string    `json:"incident_key"`
	Status             string    `json:"status"`
	Urgency            string    `json:"urgency"`
	CreatedAt          time.Time `json:"created_at"`
	LastStatusChangeAt time.Time `json:"last_status_change_at"`
	Service            Reference `json:"service"`
	AlertCounts        struct {
		All       int `json:"all"`
		Triggered int `json:"triggered"`
		Resolved  int `json:"resolved"`
	} `json:"alert_counts"`
}

func rest(i *Incident) restIncident {
	r := restIncident{
		ID: i.ID, Type: "incident", Summary: "[#" + strconv.Itoa(i.Number) + "] " + i.Title,
		IncidentNumber: i.Number, Title: i.Title, IncidentKey: i.DedupKey, Status: i.Status,
		Urgency: "high", CreatedAt: i.CreatedAt, LastStatusChangeAt: i.changedAt(),
		Service: Reference{"P" + i.RoutingKey[:6], "service_reference", "Service " + i.RoutingKey[:6]},
	}
	if i.Severity == "info" || i.Severity == "warning" {
		r.Urgency = "low"
	}
	r.AlertCounts.All = 1
	if i.Status == Resolved {
		r.AlertCounts.Resolved = 1
	} else {
		r.AlertCounts.Triggered = 1
	}
	return r
}

func (i *Incident) changedAt() time.Time {
	return slices.MaxFunc([]time.Time{i.CreatedAt, i.AcknowledgedAt, i.ResolvedAt}, time.Time.Compare)
}

// authorized answers 401 and returns false where the token is wrong.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	if s.conf.APIToken == "" || r.Header.Get("Authorization") == "Token token="+s.conf.APIToken {
		return true
	}
	restError(w, http.StatusUnauthorized, 2006, "Authentication failed")
	return false
}

func restError(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": message, "code": code}})
}

func (s *Server) listIncidents(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(w, r) {
		return
	}
	q := r.URL.Query()
	found := []restIncident{}
	for _, i := range s.Incidents("") {
		if k := q.Get("incident_key"); k != "" && k != i.DedupKey {
			continue
		}
		if st := q["statuses[]"]; len(st) > 0 && !slices.Contains(st, i.Status) {
			continue
		}
		found = append(found, rest(&i))
	}
	slices.Reverse(found)
	limit, offset := 25, 0
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 && n <= 100 {
		limit = n
	}
	if n, err := strconv.Atoi(q.Get("offset")); err == nil && n > 0 {
		offset = min(n, len(found))
	}
	end := min(offset+limit, len(found))
	writeJSON(w, http.StatusOK, map[string]any{
		"incidents": found[offset:end], "limit": limit, "offset": offset, "more": end < len(found), "total": nil,
	})
}

func (s *Server) getIncident(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(w, r) {
		return
	}
	for _, i := range s.Incidents("") {
		if i.ID == r.PathValue("id") {
			writeJSON(w, http.StatusOK, map[string]any{"incident": rest(&i)})
			return
		}
	}
	restError(w, http.StatusNotFound, 2100, "Not Found")
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pageIncidents is the most that the page lists, the newest.
const pageIncidents = 100

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	incidents := s.Incidents("")
	slices.Reverse(incidents)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	// The status line is out by the time that writing fails: the client is gone.
	_ = pageTemplate.Execute(w, map[string]any{
		"Incidents": incidents[:min(len(incidents), pageIncidents)], "All": len(incidents), "Stats": s.Stats(),
	})
}
