package story

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/notifiers"
	"github.com/tocsin-oncall/tocsin/notifiers/email"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// everybody who can be called, each with the key of a PagerDuty service that
// pages this person alone.
var everybody = map[string]string{
	"ana": fmt.Sprintf("canary%026x", 0xa1), "bo": fmt.Sprintf("canary%026x", 0xb0), "cy": fmt.Sprintf("canary%026x", 0xc1),
	"dan": fmt.Sprintf("canary%026x", 0xda), "eve": fmt.Sprintf("canary%026x", 0xe0), "boss": fmt.Sprintf("canary%026x", 0xb055),
}

func slackID(name string) string { return "U0" + strings.ToUpper(name) }

// waysTo are the targets that call a person.
func (s *service) waysTo(client *slack.Client, name, key string) []notifiers.Target {
	pd := pagerduty.New(pagerduty.Config{RoutingKey: key, EventsURL: "http://pagerduty.test", Transport: s.pagerduty.Transport()})
	mail := email.New(email.Config{
		Host: "mail.test", From: "tocsin@example.com", To: name + "@example.com", TLS: email.NoTLS, HELO: "tocsin.example.com", Dial: s.mail.Dial,
	})
	return []notifiers.Target{
		{Key: "slack:@" + name, Notifier: client.Person(slackID(name)), Provider: "slack", PerSecond: s.o.slackRate, Thread: true},
		{Key: "pagerduty:@" + name, Notifier: pd, PerSecond: 100.0 / 60, Burst: 10},
		{Key: "email:@" + name, Notifier: mail, Lane: "email", Provider: "email", PerSecond: 10, Burst: 5, Thread: true},
	}
}

// person is called by Slack at once, by PagerDuty after two minutes and by email
// after five; by Slack alone where it is not urgent.
func person(name string) escalation.User {
	by := func(way, kind string, after time.Duration) escalation.Contact {
		return escalation.Contact{By: way, After: after, Target: escalation.Target{Key: kind + ":@" + name, Detail: kind == "slack"}}
	}
	return escalation.User{
		Name: name,
		High: []escalation.Contact{by("Slack", "slack", 0), by("PagerDuty", "pagerduty", 2*time.Minute), by("email", "email", 5*time.Minute)},
		Low:  []escalation.Contact{by("Slack", "slack", 0)},
	}
}

// weekly hands over on Mondays at 09:00.
func weekly(t testing.TB, name, zone string, users ...string) *oncall.Schedule {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	return schedule(t, name, loc, oncall.Layer{Name: "weekly", Rotation: &oncall.Rotation{
		Users: users, Unit: oncall.Weeks, Length: 1, Start: oncall.Date{Year: 2026, Month: 1, Day: 5}, Handoff: 9 * 60,
	}})
}

func schedule(t testing.TB, name string, loc *time.Location, layers ...oncall.Layer) *oncall.Schedule {
	t.Helper()
	s, err := oncall.New(oncall.Spec{Name: name, Location: loc, Layers: layers})
	require.NoError(t, err)
	return s
}

// basic: the primary at once, the secondary after 15 minutes, the two leads after
// 15 more, and then the boss, every 10 minutes.
func basic(t testing.TB) escalation.Spec {
	t.Helper()
	users := map[string]escalation.User{}
	for name := range everybody {
		users[name] = person(name)
	}
	return escalation.Spec{
		Users: users, Teams: map[string][]string{"leads": {"cy", "dan"}}, Receivers: map[string]string{"oncall": "platform"},
		Schedules: map[string]*oncall.Schedule{"primary": weekly(t, "primary", "UTC", "bo", "ana"), "secondary": weekly(t, "secondary", "UTC", "ana", "bo")},
		Policies: []escalation.Policy{{
			Name: "platform",
			Steps: []escalation.Step{
				{To: []escalation.Recipient{{Schedule: "primary"}}},
				{After: 15 * time.Minute, To: []escalation.Recipient{{Schedule: "secondary"}}},
				{After: 15 * time.Minute, To: []escalation.Recipient{{Team: "leads"}}},
			},
			RepeatAfter: 15 * time.Minute, LastResort: []escalation.Recipient{{User: "boss"}}, LastResortEvery: 10 * time.Minute,
			Urgency: escalation.Urgency{High: []tocsin.Severity{tocsin.Critical, tocsin.Error}},
		}},
	}
}

// sunday is the morning on which most stories begin: ana is the primary, bo the
// secondary, until Monday 09:00.
var sunday = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// watched are the options of a story in which people are called. Slack has no rate:
// an update would go before a call, and the call be a second late.
func watched(spec func(*escalation.Spec)) options {
	return options{crew: true, at: sunday, lookup: true, spec: spec}
}

// ops is an alert that people are called for.
func ops(name string, severity string) tocsin.Alert {
	a := alert(name, 1, severity)
	a.Labels["team"] = "ops"
	return a
}

// opens has an alert fire and returns the incident, of which calls are told.
func (s *service) opens(name, severity string) string {
	s.t.Helper()
	before := map[string]bool{}
	for _, inc := range s.live() {
		before[inc.ID] = true
	}
	s.began = time.Now()
	s.send(fires(ops(name, severity)))
	s.pass(0)
	for _, inc := range s.live() {
		if !before[inc.ID] {
			return inc.ID
		}
	}
	s.t.Fatal("no incident was opened")
	return ""
}

// until lets time go by until so long after the beginning.
func (s *service) until(after time.Duration) {
	s.t.Helper()
	s.pass(time.Until(s.began.Add(after)))
}

func (s *service) get(id string) *tocsin.Incident {
	s.t.Helper()
	inc, err := s.store.Get(context.Background(), id)
	require.NoError(s.t, err)
	return inc
}

// contact is a call that reached somebody, as the provider saw it.
type contact struct {
	at              time.Time
	user, by, about string
	again           bool
}

// contacts are all calls that the providers have seen, in the order of time.
func (s *service) contacts() []contact {
	var out []contact
	for name, key := range everybody {
		out = append(append(append(out, s.slackCalls(name)...), s.pagerdutyCalls(name, key)...), s.mails(name)...)
	}
	slices.SortFunc(out, func(a, b contact) int {
		return cmp.Or(a.at.Truncate(time.Second).Compare(b.at.Truncate(time.Second)), cmp.Compare(a.user, b.user), -cmp.Compare(a.by, b.by))
	})
	return out
}

// slackCalls are the messages to a person that make the phone ring: new ones, and
// replies that call again.
func (s *service) slackCalls(name string) []contact {
	var out []contact
	for _, m := range s.slack.Messages(slackID(name)) {
		about, _ := m.Payload["incident"].(string)
		out = append(out, contact{at: stamp(m.TS), user: name, by: "Slack", about: about})
		for _, r := range m.Replies {
			if r.Broadcast && r.Payload["called"] != nil {
				out = append(out, contact{at: stamp(r.TS), user: name, by: "Slack", about: about, again: true})
			}
		}
	}
	return out
}

func stamp(ts string) time.Time {
	seconds, err := strconv.ParseFloat(ts, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds*1000 + 0.5))
}

// pagerdutyCalls are the triggers that make the phone ring: on an incident that
// is acknowledged there they do not.
func (s *service) pagerdutyCalls(name, key string) []contact {
	var out []contact
	acknowledged := map[string]bool{}
	for _, e := range s.pagerduty.Events() {
		if e.RoutingKey != key {
			continue
		}
		again := e.Outcome == "logged"
		about, _, _ := strings.Cut(strings.TrimPrefix(e.DedupKey, "tocsin-"), "-")
		if e.Outcome == "opened" || again && !acknowledged[e.DedupKey] {
			out = append(out, contact{at: e.At, user: name, by: "PagerDuty", about: about, again: again})
		}
		if e.Outcome != "logged" {
			acknowledged[e.DedupKey] = e.Outcome == "acknowledged"
		}
	}
	return out
}

// mails are those that call: the first about an incident, and the later ones
// while it is triggered. An acknowledgement and a resolution are mailed too.
func (s *service) mails(name string) []contact {
	var out []contact
	for _, m := range s.mail.Messages() {
		again := m.Header.Get("In-Reply-To") != ""
		if slices.Contains(m.To, name+"@example.com") && (!again || m.Header.Get("X-Tocsin-State") == string(tocsin.Triggered)) {
			out = append(out, contact{at: m.At, user: name, by: "email", about: m.Header.Get("X-Tocsin-Incident"), again: again})
		}
	}
	return out
}

// calls tells the calls of an incident, each with its time since the beginning:
// "15m bo by Slack", "45m boss by PagerDuty again".
func (s *service) calls(id string) []string {
	out := []string{}
	for _, c := range s.contacts() {
		if c.about != id {
			continue
		}
		text := fmt.Sprintf("%s %s by %s", short(c.at.Sub(s.began)), c.user, c.by)
		if c.again {
			text += " again"
		}
		out = append(out, text)
	}
	return out
}

// short is "0s", "15m", "1h0m".
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if m, ok := strings.CutSuffix(text, "m0s"); ok {
		return m + "m"
	}
	return text
}

// said are the lines of some kinds on an incident's timeline.
func (s *service) said(id string, kinds ...tocsin.EventKind) []string {
	s.t.Helper()
	events, err := s.store.Timeline(context.Background(), id, 0, 10_000)
	require.NoError(s.t, err)
	var out []string
	for i := range events {
		if slices.Contains(kinds, events[i].Kind) {
			out = append(out, short(events[i].At.Sub(s.began))+" "+events[i].Text)
		}
	}
	return out
}

// ringing are the incidents in a person's PagerDuty that are not resolved.
func (s *service) ringing(name string) []pagerdutytest.Incident {
	return slices.DeleteFunc(s.pagerduty.Incidents(everybody[name]), func(i pagerdutytest.Incident) bool { return i.Status == pagerdutytest.Resolved })
}

// afterTime is a line without its time.
func afterTime(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	return rest
}
