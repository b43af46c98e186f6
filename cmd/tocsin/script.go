package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// scene is one step of the demo's script: something happens, and then something
// is to be seen.
type scene struct {
	title string
	act   func(context.Context, *stage) error
	seen  func(*stage) bool
}

// script is the demo's story: two nodes go down, a remedy brings one back, the
// region goes down and its nodes are inhibited, bo takes it and works on it in
// Slack, all resolve.
func script() []scene {
	down := func(firing uint32) func(*stage) bool { return incident("NodeDown", tocsin.Triggered, firing) }
	scenes := []scene{
		{"a node goes down", crash("node-us-east-1"), down(1)},
		{"a second node of the same region goes down: the same incident", crash("node-us-east-2"), down(2)},
	}
	scenes = append(scenes, remedyScenes()...)
	scenes = append(scenes, pageScenes()...)
	return append(scenes, []scene{
		{"Alertmanager repeats itself: nothing changes", repeat, down(1)},
		{"a warning elsewhere: chat only, nobody is paged", crowd("node-eu-west-1", 1400), incident("HighPending", tocsin.Triggered, 1)},
		{"the whole region goes down: its nodes are inhibited, and it is critical: it gets a channel of its own", crash("node-us-east-2", "node-us-east-3"), both(incident("RegionDown", tocsin.Triggered, 1), both(quiet("NodeDown"), roomOf("RegionDown", "Triggered")))},
		{"all its nodes are down now: no page, the region's is enough", nothing, both(down(3), quiet("NodeDown"))},
		{"ana was called and does not answer: bo is called", nothing, called("RegionDown", "bo")},
		{"bo clicks Acknowledge in Slack: nobody else is called", clickAcknowledge("RegionDown", "bo"), incident("RegionDown", tocsin.Acknowledged, 1)},
		{"bo ticks the first two steps of the runbook", then(tick("RegionDown", "bo", 1), tick("RegionDown", "bo", 2)), both(incident("RegionDown", tocsin.Acknowledged, 1), ticked("RegionDown", 2))},
		{"bo types /tocsin oncall: bo alone sees the answer", typeCommand("bo", "oncall"), answered("bo", "On call now")},
		{"bo marks a message in the incident's channel with 📌: a note", pin("RegionDown", "bo", "the provider confirms it: back in 20 minutes"), incident("RegionDown", tocsin.Acknowledged, 1)},
		{"everything recovers", recovery, both(both(incident("RegionDown", tocsin.Resolved, 0), roomOf("RegionDown", "Resolved")), both(incident("NodeDown", tocsin.Resolved, 0), incident("HighPending", tocsin.Resolved, 0)))},
	}...)
}

// demoPeople are the people of the demo's configuration, by their ID in Slack.
var demoPeople = map[string]string{"U000000ANA": "ana", "U0000000BO": "bo", "U00000LEAD": "lead"}

// nothing lets time pass.
func nothing(context.Context, *stage) error { return nil }

// called is seen when a person has been called about the named incident.
func called(name, user string) func(*stage) bool {
	return func(s *stage) bool {
		inc := s.find(name)
		if inc == nil {
			return false
		}
		d := inc.Delivery(slackKey(user))
		return d != nil && d.Called > 0 && !d.Stopped
	}
}

type demoAlert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Generator   string            `json:"generatorURL"`
	Fingerprint string            `json:"fingerprint"`
}

func fires(labels map[string]string, summary string) demoAlert {
	return demoAlert{
		Status: "firing", Labels: labels, Annotations: map[string]string{"summary": summary},
		Fingerprint: fmt.Sprintf("%016x", tocsin.Labels(labels).Fingerprint()),
	}
}

// by is the alert of a rule: generatorURL links to its expression, as Prometheus does.
func (a demoAlert) by(rule string) demoAlert {
	a.Generator = "http://prometheus.example.com/graph?g0.expr=" + url.QueryEscape(rule) + "&g0.tab=1"
	return a
}

// post sends alerts as Alertmanager does.
func (s *stage) post(ctx context.Context, alerts ...demoAlert) error {
	status := "resolved"
	for i := range alerts {
		if alerts[i].Status == "firing" {
			status = "firing"
		}
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "tocsin",
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager.example.com", "alerts": alerts,
	})
	if err != nil {
		return err
	}
	return postJSON(ctx, s.url+"/webhook/alertmanager", body)
}

func postJSON(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s", url, resp.Status)
	}
	return nil
}

// find returns the incident whose runbook or alerts are those of an alert name.
func (s *stage) find(name string) *tocsin.Incident {
	var found *tocsin.Incident
	s.app.store.Live(func(inc *tocsin.Incident) bool {
		records, err := s.app.store.AlertsOf(context.Background(), inc.ID, 1)
		if err == nil && len(records) > 0 && strings.HasPrefix(records[0].Name(), name) {
			found = inc
		}
		return found == nil
	})
	return found
}

// incident is seen when the named incident is in a state, fires that much, and
// all of its targets show it.
func incident(name string, state tocsin.State, firing uint32) func(*stage) bool {
	return func(s *stage) bool {
		inc := s.find(name)
		if inc == nil || inc.State != state || inc.Firing != firing {
			return false
		}
		for i := range inc.Deliveries {
			if inc.Deliveries[i].Lags(inc) || inc.Deliveries[i].Failed {
				return false
			}
		}
		return true
	}
}

func quiet(name string) func(*stage) bool {
	return func(s *stage) bool {
		inc := s.find(name)
		return inc != nil && inc.Quiet()
	}
}

func both(a, b func(*stage) bool) func(*stage) bool {
	return func(s *stage) bool { return a(s) && b(s) }
}

// toldOf counts the incidents that a person was called about, and the notices: the
// slower the script is played, the more of them bo is called for.
func (s *stage) toldOf(user string) int {
	n := 0
	s.app.store.Live(func(inc *tocsin.Incident) bool {
		if d := inc.Delivery(slackKey(user)); d != nil && (d.Called > 0 || inc.Kind == tocsin.KindNotice) && !d.Stopped {
			n++
		}
		return true
	})
	return n
}

// summary compares what the emulators hold with what should have arrived.
func (s *stage) summary() error {
	type check struct {
		what      string
		got, want int
	}
	pages := s.pagerduty.Incidents(demoKey)
	resolved := 0
	for _, p := range pages {
		if p.Status == "resolved" {
			resolved++
		}
	}
	remedies := 0
	if _, why := holder(); why == "" {
		remedies = 1
	}
	_, starts := s.chain.node("node-us-east-2").where()
	checks := []check{
		{"nodes brought back by a remedy", s.verified("NodeDown"), remedies},
		{"starts of node-us-east-2", starts, 3},
		{"incident channels", len(s.slack.Rooms("inc-")), 1},
		{"runbook steps done", s.done("RegionDown"), 2},
		{"notes", s.notes("RegionDown"), 1},
		{"messages in #incidents", len(s.slack.Messages("#incidents")), 2},
		{"messages in #alerts", len(s.slack.Messages("#alerts")), 1},
		{"messages to bo", len(s.slack.Messages("U0000000BO")), s.toldOf("bo")},
		{"messages to the last resort", len(s.slack.Messages("U00000LEAD")), 0},
		{"incidents in PagerDuty", len(pages), 2},
		{"of them resolved", resolved, 2},
		{"deliveries that lag", s.app.store.Stats().Lagging, 0},
	}
	fmt.Fprintf(s.out, "\n")
	var wrong []string
	for _, k := range checks {
		fmt.Fprintf(s.out, "%-28s %d\n", k.what, k.got)
		if k.got != k.want {
			wrong = append(wrong, fmt.Sprintf("%s: %d, want %d", k.what, k.got, k.want))
		}
	}
	if len(wrong) > 0 {
		return exitError{1, "not everything arrived: " + strings.Join(wrong, "; ")}
	}
	fmt.Fprintf(s.out, "everything arrived, once, in %s\n", time.Since(s.started).Round(10*time.Millisecond))
	return nil
}
