package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// sink is the emulated Slack, and a watch that notes when each alert's message
// arrives. Alertmanager's incoming webhook is answered here too.
type sink struct {
	*httptest.Server
	slack *slacktest.Server
	got   atomic.Int64
	mu    sync.Mutex
	at    map[int]time.Time
	last  time.Time
}

// marker stands in every alert's summary, before its number.
var marker = []byte("seq-")

func newSink() *sink {
	s := &sink{slack: slacktest.New(slacktest.WithAutoCreate(), slacktest.WithMaxMessages(1000), slacktest.WithRequestLog(0)), at: map[int]time.Time{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

func (s *sink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/services/T/B/x" {
		_, _ = io.WriteString(w, "ok")
	} else {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.slack.ServeHTTP(w, r)
	}
	if i := bytes.Index(body, marker); i >= 0 {
		s.note(body[i+len(marker):])
	}
}

func (s *sink) note(rest []byte) {
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(rest[:end]))
	if err != nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seen := s.at[n]; !seen {
		s.at[n], s.last = now, now
		s.got.Add(1)
	}
}

func (s *sink) arrived(n int) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.at[n]
	return t, ok
}

// wait waits for n messages and returns when the last one came.
func (s *sink) wait(ctx context.Context, n int64) (time.Time, error) {
	deadline := time.Now().Add(2 * time.Minute)
	for s.got.Load() < n {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return time.Time{}, fmt.Errorf("only %d of %d messages arrived", s.got.Load(), n)
		}
		time.Sleep(time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

// amAlert is an alert in Alertmanager's own words, for both programs.
type amAlert struct {
	Status       string            `json:"status,omitempty"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
}

var began = time.Now().UTC()

func makeAlert(n int, instance string) amAlert {
	return amAlert{
		Status: "firing",
		Labels: map[string]string{
			"alertname": "NodeDown", "cluster": "bench-production", "component": "node", "instance": instance,
			"job": "bench-us-east", "monitor": "bench-monitor", "region": "us-east", "severity": "critical", "zone": "us-east-1",
		},
		Annotations: map[string]string{
			"description": "Node " + instance + " in region us-east has been down for more than 2 minutes.",
			"summary":     string(marker) + strconv.Itoa(n) + " node " + instance + " is down",
		},
		StartsAt: began, GeneratorURL: "http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
		Fingerprint: fmt.Sprintf("%016x", n),
	}
}

// webhookBody is what Alertmanager posts to Tocsin.
func webhookBody(alerts ...amAlert) []byte {
	b, err := json.Marshal(map[string]any{
		"receiver": "tocsin", "status": "firing", "alerts": alerts, "notification_reason": "first notification",
		"groupLabels": map[string]string{"alertname": "NodeDown"}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"routeLabels": map[string]string{}, "externalURL": "http://alertmanager:9093", "version": "4",
		"groupKey": `{}:{alertname="NodeDown"}`, "truncatedAlerts": 0,
	})
	if err != nil {
		panic(err) // plain maps and strings always encode
	}
	return b
}

// apiBody is what Prometheus posts to Alertmanager.
func apiBody(a amAlert) []byte {
	a.Status, a.Fingerprint = "", ""
	b, err := json.Marshal([]amAlert{a})
	if err != nil {
		panic(err) // as above
	}
	return b
}

// postAll posts the bodies over c connections and returns when the first was
// sent. Any answer but 2xx is an error.
func postAll(ctx context.Context, url string, c int, bodies [][]byte) (time.Time, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c, MaxConnsPerHost: c}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	errs := make(chan error, c)
	first := time.Now()
	for range c {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) || ctx.Err() != nil {
					errs <- ctx.Err()
					return
				}
				if err := postOne(ctx, client, url, bodies[i]); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	var err error
	for range c {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return first, err
}

func postOne(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s", url, resp.Status)
	}
	return nil
}
