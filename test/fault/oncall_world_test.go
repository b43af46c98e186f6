package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// people are who can be called. Each has direct messages in Slack and a
// PagerDuty service of their own.
var people = []string{"ana", "bo", "cy", "di", "boss"}

func slackID(user string) string { return "U0" + strings.ToUpper(user) }

// keyOf is the routing key of somebody's PagerDuty service.
func keyOf(user string) string { return fmt.Sprintf("canary%026x", user) }

const onCallText = `
server: {listen: "%s"}
storage: {path: "%s", min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary-slack, api_url: "%s/api/", rate_limit: 0}
pagerduty: {events_url: "%s", rate_limit: 0}
users:
%steams: [{name: leads, users: [cy, di]}]
schedules:
  - {name: primary, notify_shifts: false, layers: [{name: weekly, users: [ana], rotation: {unit: weeks, start: '2026-01-05'}}]}
  - {name: secondary, notify_shifts: false, layers: [{name: weekly, users: [bo], rotation: {unit: weeks, start: '2026-01-05'}}]}
escalation_policies:
  - name: night
    repeat_after: 1m
    last_resort: [{user: boss}]
    last_resort_every: 1m
    steps:
%sroute: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: night, slack_configs: [{channel: "#incidents"}]}]
`

// newOnCall is a world with people, schedules and one policy, whose steps are
// written as in the configuration, one a line.
func newOnCall(t *testing.T, steps ...string) *world {
	t.Helper()
	w := newWorld(t)
	var users strings.Builder
	for _, name := range people {
		w.slack.AddUser(slacktest.User{ID: slackID(name), Name: name})
		after := ""
		if name == "bo" {
			after = ", contacts: [{by: slack}, {by: pagerduty, after: 1s}]"
		}
		fmt.Fprintf(&users, "  - {name: %s, slack: %s, pagerduty_routing_key: %s%s}\n", name, slackID(name), keyOf(name), after)
	}
	var list strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&list, "      - {%s}\n", s)
	}
	w.config = func(w *world) string {
		return fmt.Sprintf(onCallText, w.addr, w.data, w.slackURL, w.pdURL, users.String(), list.String())
	}
	return w
}

// send sends body to the API and returns the status, 0 when there was no whole
// answer. What was answered goes into into unless that is nil.
func (w *world) send(method, path string, body, into any) int {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, "http://"+w.addr+path, r)
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || into != nil && resp.StatusCode/100 == 2 && json.Unmarshal(b, into) != nil {
		return 0
	}
	return resp.StatusCode
}

// told is one incident as the API tells of it.
type told struct {
	Incident *tocsin.Incident     `json:"incident"`
	Alerts   []tocsin.AlertRecord `json:"alerts"`
	Timeline []tocsin.Event       `json:"timeline"`
}

func (w *world) incident(id string) told {
	w.t.Helper()
	var i told
	require.Equal(w.t, http.StatusOK, w.send(http.MethodGet, "/api/v1/incidents/"+id+"?events=1000", nil, &i))
	return i
}

// incidents are all of them; none when the program does not answer.
func (w *world) incidents() []*tocsin.Incident {
	var list struct {
		Incidents []*tocsin.Incident `json:"incidents"`
	}
	w.send(http.MethodGet, "/api/v1/incidents?limit=1000", nil, &list)
	return list.Incidents
}

// incidentOf finds the incident of an instance; "" when the program does not
// answer, or knows of none.
func (w *world) incidentOf(instance string) string { return idIn(w.incidents(), instance) }

func idIn(list []*tocsin.Incident, instance string) string {
	for _, i := range list {
		if strings.Contains(i.Title, instance) {
			return i.ID
		}
	}
	return ""
}

// open opens an incident, for as long as it takes, and returns its ID.
func (w *world) open(instance string) string {
	w.t.Helper()
	require.Equal(w.t, http.StatusOK, w.post(firing("Night", instance, "critical")))
	id := w.incidentOf(instance)
	require.NotEmpty(w.t, id)
	return id
}

// said are the texts of events of some kinds, in order.
func (i *told) said(kinds ...tocsin.EventKind) []string {
	var out []string
	for n := range i.Timeline {
		if slices.Contains(kinds, i.Timeline[n].Kind) {
			out = append(out, i.Timeline[n].Text)
		}
	}
	return out
}

// has reports whether the timeline says it.
func (i *told) has(text string) bool {
	return slices.ContainsFunc(i.Timeline, func(e tocsin.Event) bool { return strings.Contains(e.Text, text) })
}

// pages are somebody's PagerDuty incidents about one incident.
func (w *world) pages(user, id string) []pagerdutytest.Incident {
	return slices.DeleteFunc(w.pagerduty.Incidents(keyOf(user)), func(p pagerdutytest.Incident) bool {
		return !strings.Contains(p.DedupKey, id)
	})
}

// directly are the messages, not the replies, that tell somebody of an incident.
func (w *world) directly(user, id string) []slacktest.Message {
	return slices.DeleteFunc(w.slack.Messages(slackID(user)), func(m slacktest.Message) bool {
		return m.Payload["incident"] != id
	})
}

// postedAt is when Slack took a message.
func postedAt(t *testing.T, m *slacktest.Message) time.Time {
	t.Helper()
	s, err := strconv.ParseFloat(m.TS, 64)
	require.NoError(t, err)
	return time.UnixMicro(int64(s * 1e6))
}
