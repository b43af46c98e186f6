// Package livetest is a Prometheus to test against: it speaks the query API
// (https://prometheus.io/docs/prometheus/latest/querying/api/) and can be made to
// fail. It knows no PromQL: it gives the values that were set for an expression.
package livetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Labels of a series.
type Labels = map[string]string

// Series is a series whose value is a function of time. Where Value gives NaN
// there is no point.
type Series struct {
	Labels Labels
	Value  func(at time.Time) float64
}

// Constant is a series that never changes.
func Constant(value float64, labels Labels) Series {
	return Series{Labels: labels, Value: func(time.Time) float64 { return value }}
}

// Fault is what is wrong with the server. The zero Fault: nothing.
type Fault struct {
	// Status and Body are answered; Status 0: as without a fault.
	Status int
	Body   string
	// Type and Text make an error of Prometheus' with the Status.
	Type, Text string
	// Location is redirected to.
	Location string
	// Hangs answers when the client has gone.
	Hangs bool
	// NoPost refuses POST, as some proxies do.
	NoPost bool
	// Warnings come with every answer.
	Warnings []string
	// Truncated ends answers in the middle.
	Truncated bool
	// Padding is how many spaces stand before answers.
	Padding int
}

// Server is an http.Handler. Its zero value knows nothing: every expression gives
// an empty vector. It is safe for concurrent use.
type Server struct {
	// Token that has to come with each question; empty: none. Set it before the
	// first.
	Token string
	// Now is the server's clock; nil: time.Now.
	Now func() time.Time

	mu    sync.Mutex
	known map[string][]Series
	rules []Group
	fault Fault
	asked []Question
}

// Question is one that was asked.
type Question struct {
	Method, Path, Expr string
	// Time, Start, End, Step, Timeout and Limit are the parameters as they came.
	Time, Start, End, Step, Timeout, Limit string
}

// Set has an expression give series; none: an empty answer.
func (s *Server) Set(expr string, series ...Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string][]Series{}
	}
	s.known[expr] = series
}

// Fail sets what is wrong from now on.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Asked returns the questions so far, the refused ones too.
func (s *Server) Asked() []Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Question(nil), s.asked...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, series := s.note(r)
	if fault.Truncated || fault.Padding > 0 {
		full := &cutWriter{ResponseWriter: w, fault: fault}
		defer full.end()
		w = full
	}
	switch {
	case s.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.Token:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case fault.Hangs:
		<-r.Context().Done()
	case fault.NoPost && r.Method == http.MethodPost:
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	case fault.Location != "":
		http.Redirect(w, r, fault.Location, cmp.Or(fault.Status, http.StatusFound))
	case fault.Type != "":
		refuse(w, cmp.Or(fault.Status, http.StatusBadRequest), fault.Type, fault.Text)
	case fault.Status != 0:
		w.WriteHeader(fault.Status)
		fmt.Fprint(w, fault.Body)
	case r.URL.Path == "/api/v1/query":
		s.query(w, r, series, fault.Warnings)
	case r.URL.Path == "/api/v1/query_range":
		span(w, r, series, fault.Warnings)
	case r.URL.Path == "/api/v1/rules":
		s.loaded(w, r, fault.Warnings)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) note(r *http.Request) (Fault, []Series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, Question{
		Method: r.Method, Path: r.URL.Path, Expr: r.FormValue("query"), Time: r.FormValue("time"), Start: r.FormValue("start"),
		End: r.FormValue("end"), Step: r.FormValue("step"), Timeout: r.FormValue("timeout"), Limit: r.FormValue("limit"),
	})
	return s.fault, s.known[r.FormValue("query")]
}

func (s *Server) query(w http.ResponseWriter, r *http.Request, series []Series, warnings []string) {
	if r.FormValue("query") == "" {
		refuse(w, http.StatusBadRequest, "bad_data", `invalid parameter "query": unknown position: parse error: no expression found in input`)
		return
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	at, ok := parse(r.FormValue("time"), now())
	if !ok {
		refuse(w, http.StatusBadRequest, "bad_data", `invalid parameter "time": cannot parse it to a valid timestamp`)
		return
	}
	result := []any{}
	for _, one := range series {
		if v := one.Value(at); !math.IsNaN(v) {
			result = append(result, map[string]any{"metric": one.Labels, "value": pair(at, v)})
		}
	}
	answer(w, "vector", result, warnings)
}

func span(w http.ResponseWriter, r *http.Request, series []Series, warnings []string) {
	start, ok1 := parse(r.FormValue("start"), time.Time{})
	end, ok2 := parse(r.FormValue("end"), time.Time{})
	step, err := strconv.ParseFloat(r.FormValue("step"), 64)
	if !ok1 || !ok2 || err != nil || step <= 0 || end.Before(start) {
		refuse(w, http.StatusBadRequest, "bad_data", "invalid parameter: zero or negative query resolution step widths are not accepted")
		return
	}
	result := []any{}
	for _, one := range series {
		values := []any{}
		for at := start; !at.After(end); at = at.Add(time.Duration(step * float64(time.Second))) {
			if v := one.Value(at); !math.IsNaN(v) {
				values = append(values, pair(at, v))
			}
		}
		if len(values) > 0 {
			result = append(result, map[string]any{"metric": one.Labels, "values": values})
		}
	}
	answer(w, "matrix", result, warnings)
}

func parse(s string, missing time.Time) (time.Time, bool) {
	if s == "" {
		return missing, !missing.IsZero()
	}
	v, err := strconv.ParseFloat(s, 64)
	return time.UnixMilli(int64(math.Round(v * 1000))), err == nil
}

func pair(at time.Time, v float64) []any {
	return []any{json.Number(strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)), strconv.FormatFloat(v, 'f', -1, 64)}
}

func answer(w http.ResponseWriter, kind string, result any, warnings []string) {
	body := map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result}}
	if len(warnings) > 0 {
		body["warnings"] = warnings
	}
	write(w, http.StatusOK, body)
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	write(w, status, map[string]any{"status": "error", "errorType": kind, "error": text})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}
