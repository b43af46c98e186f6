package livetest

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Group is a group of rules, as a rule file has it.
type Group struct {
	Name, File string
	Rules      []Rule
}

// Rule is an alerting rule; with Record it is a recording one.
type Rule struct {
	Name, Query         string
	Labels, Annotations Labels
	Record              bool
}

// SetRules has the server load rules in the place of those before.
func (s *Server) SetRules(groups ...Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = slices.Clone(groups)
}

// loaded answers what rules are loaded
// (https://prometheus.io/docs/prometheus/latest/querying/api/#rules).
func (s *Server) loaded(w http.ResponseWriter, r *http.Request, warnings []string) {
	if r.Method != http.MethodGet {
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	kind := r.FormValue("type")
	if kind != "" && kind != "alert" && kind != "record" {
		refuse(w, http.StatusBadRequest, "bad_data", `invalid parameter "type": not supported value "`+kind+`"`)
		return
	}
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	groups := []any{}
	for _, g := range rules {
		list := []any{}
		for _, one := range g.Rules {
			if kind == "alert" && one.Record || kind == "record" && !one.Record {
				continue
			}
			list = append(list, one.answer(r.FormValue("exclude_alerts") == "true"))
		}
		groups = append(groups, map[string]any{
			"name": g.Name, "file": g.File, "interval": 60, "limit": 0, "evaluationTime": 0.0012, "lastEvaluation": "2026-11-22T10:00:00Z", "rules": list,
		})
	}
	body := map[string]any{"status": "success", "data": map[string]any{"groups": groups}}
	if len(warnings) > 0 {
		body["warnings"] = warnings
	}
	write(w, http.StatusOK, body)
}

func (r *Rule) answer(quiet bool) map[string]any {
	out := map[string]any{
		"name": r.Name, "query": r.Query, "health": "ok", "type": "recording", "evaluationTime": 0.0003, "lastEvaluation": "2026-11-22T10:00:00Z",
	}
	if len(r.Labels) > 0 || !r.Record {
		out["labels"] = orNone(r.Labels)
	}
	if r.Record {
		return out
	}
	out["type"], out["state"], out["duration"], out["keepFiringFor"], out["annotations"] = "alerting", "inactive", 0, 0, orNone(r.Annotations)
	if !quiet {
		out["alerts"] = []any{}
	}
	return out
}

func orNone(l Labels) Labels {
	if l == nil {
		return Labels{}
	}
	return l
}

// cutWriter keeps an answer back, to send it as the fault has it.
type cutWriter struct {
	http.ResponseWriter
	fault  Fault
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (c *cutWriter) WriteHeader(status int) { c.status = status }

// Write implements http.ResponseWriter.
func (c *cutWriter) Write(b []byte) (int, error) { return c.body.Write(b) }

func (c *cutWriter) end() {
	c.Header().Set("Content-Length", strconv.Itoa(c.fault.Padding+c.body.Len()))
	if c.status != 0 {
		c.ResponseWriter.WriteHeader(c.status)
	}
	body := c.body.Bytes()
	if c.fault.Truncated {
		body = body[:len(body)/2]
	}
	blank := []byte(strings.Repeat(" ", 1<<10))
	for left := c.fault.Padding; left > 0; left -= len(blank) {
		if _, err := c.ResponseWriter.Write(blank[:min(left, len(blank))]); err != nil {
			return // the client has gone
		}
	}
	_, _ = c.ResponseWriter.Write(body) // a client that has gone needs no answer
}
