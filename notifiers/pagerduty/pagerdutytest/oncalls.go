package pagerdutytest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of GET /oncalls
// (https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls).
const (
	maxOnCallRange = 93 * 24 * time.Hour // three months, at their longest
	maxPaged       = 10_000
)

// OnCallsAction is the Fault.Action of GET /oncalls.
const OnCallsAction = "oncalls"

// SetOnCalls replaces what GET /oncalls answers from. A zero Start or End is
// sent as null: a user who is on call without a schedule, or for good.
func (s *Server) SetOnCalls(calls ...OnCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.OnCalls = slices.Clone(calls)
}

// restOnCall is an entry as PagerDuty sends it.
type restOnCall struct {
	User             restUser   `json:"user"`
	EscalationPolicy Reference  `json:"escalation_policy"`
	EscalationLevel  int        `json:"escalation_level"`
	Schedule         *Reference `json:"schedule"`
	Start            *time.Time `json:"start"`
	End              *time.Time `json:"end"`
}

// restUser is a reference, or with include[]=users the whole user, as far as the
// emulator knows it: the address is made of the name.
type restUser struct {
	Reference
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// onCallQuery is what a request asks for.
type onCallQuery struct {
	schedules, users []string
	include          bool
	since, until     time.Time
	limit, offset    int
}

func (s *Server) onCalls(w http.ResponseWriter, r *http.Request) {
	if s.restFault(w, r, OnCallsAction) {
		return
	}
	if !s.authorized(w, r) {
		return
	}
	q, problem := s.onCallQuery(r.URL.Query())
	if problem != "" {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{
			"message": "Invalid Input Provided", "code": 2001, "errors": []string{problem},
		}})
		return
	}
	s.mu.Lock()
	all := slices.Clone(s.conf.OnCalls)
	s.mu.Unlock()
	found := []restOnCall{}
	for i := range all {
		if q.matches(&all[i]) {
			found = append(found, restEntry(&all[i], q.include))
		}
	}
	begin := min(q.offset, len(found))
	end := min(begin+q.limit, len(found))
	writeJSON(w, http.StatusOK, map[string]any{
		"oncalls": found[begin:end], "limit": q.limit, "offset": q.offset, "more": end < len(found), "total": nil,
	})
}

// onCallQuery reads the parameters, or says what is wrong with them.
func (s *Server) onCallQuery(v url.Values) (onCallQuery, string) {
	now := s.conf.Now()
	q := onCallQuery{
		schedules: v["schedule_ids[]"], users: v["user_ids[]"], include: slices.Contains(v["include[]"], "users"),
		since: now, until: now, limit: 25,
	}
	for name, at := range map[string]*time.Time{"since": &q.since, "until": &q.until} {
		if text := v.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return q, name + " is not a valid time"
			}
			*at = t
		}
	}
	for name, n := range map[string]*int{"limit": &q.limit, "offset": &q.offset} {
		if text := v.Get(name); text != "" {
			i, err := strconv.Atoi(text)
			if err != nil || i < 0 {
				return q, name + " must be a number"
			}
			*n = i
		}
	}
	q.limit = min(max(q.limit, 1), 100)
	switch {
	case q.until.Before(q.since):
		return q, "until cannot be before since"
	case q.until.Sub(q.since) > maxOnCallRange:
		return q, "The time range cannot exceed 3 months"
	case q.limit+q.offset > maxPaged:
		return q, "Offset and limit together cannot exceed 10000"
	}
	return q, ""
}

func (q *onCallQuery) matches(c *OnCall) bool {
	switch {
	case len(q.schedules) > 0 && !slices.Contains(q.schedules, c.Schedule.ID),
		len(q.users) > 0 && !slices.Contains(q.users, c.User.ID),
		!c.Start.IsZero() && c.Start.After(q.until),
		!c.End.IsZero() && !c.End.After(q.since):
		return false
	}
	return true
}

func restEntry(c *OnCall, include bool) restOnCall {
	out := restOnCall{
		User: restUser{Reference: c.User}, EscalationPolicy: c.EscalationPolicy, EscalationLevel: c.EscalationLevel,
	}
	out.User.Type = "user_reference"
	if include {
		name := c.User.Summary
		out.User.Type, out.User.Name = "user", name
		out.User.Email = strings.ToLower(strings.Join(strings.Fields(name), ".")) + "@example.com"
	}
	if c.Schedule.ID != "" {
		out.Schedule = &c.Schedule
	}
	if !c.Start.IsZero() {
		out.Start = &c.Start
	}
	if !c.End.IsZero() {
		out.End = &c.End
	}
	return out
}
