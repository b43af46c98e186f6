package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/notifiers/email/smtptest"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// dutyHead begins the configuration of every test here; the capitals are put in
// by conf.
const dutyHead = `
server: {listen: "127.0.0.1:0", external_url: "http://tocsin.example.com", calendar_token: CALENDARTOKEN}
storage: {path: data, min_free: 0, ballast: 0}
slack: {bot_token: xoxb-canary-duty, api_url: "SLACKURL/api/", rate_limit: 0}
pagerduty: {events_url: "PAGERDUTYURL", api_url: "PAGERDUTYURL", api_token: canary-pd-token, rate_limit: 0}
smtp: {host: 127.0.0.1, port: SMTPPORT, from: "Tocsin <tocsin@example.com>", tls: none, rate_limit: 0}
`

// dutyPeople can be reached in Slack, and ana in every way.
const dutyPeople = `
users:
  - {name: ana, slack: U0ANA, email: ana@example.com, pagerduty_user: PANA001, pagerduty_routing_key: canaryanakey00000000000000000001,
     contacts: [{by: slack}, {by: pagerduty, after: 1s}, {by: email, after: 2s}]}
  - {name: bo, slack: U0BO, email: bo@example.com, pagerduty_user: PBO0001, contacts: [{by: slack}]}
  - {name: cy, slack: U0CY, contacts: [{by: slack}]}
`

// dutyPrimary is a schedule on which ana always is on call.
const dutyPrimary = `
schedules:
  - {name: primary, layers: [{name: weekly, users: [ana], rotation: {start: '2026-01-05'}}]}
`

// dutyPolicy calls whoever is on call on primary, and cy as the last resort.
const dutyPolicy = `
route: {receiver: page, group_by: [alertname, instance]}
receivers: [{name: page, escalation_policy: platform}]
escalation_policies:
  - {name: platform, steps: [{notify: [{schedule: primary}]}], last_resort: [{user: cy}]}
`

// duty is the program with its providers, which outlive it: it can be stopped
// and started again on the same data.
type duty struct {
	*running
	t    *testing.T
	smtp *smtptest.Server
	port int
	dir  string
	log  journal
	// sink is what the program writes to: log, searched for secrets.
	sink io.Writer
	// urls of the emulators.
	slackURL, pagerdutyURL string
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// newDuty starts the providers; start starts the program.
func newDuty(t *testing.T) *duty {
	t.Helper()
	d := &duty{t: t, dir: t.TempDir(), smtp: smtptest.New(smtptest.Config{}), running: &running{
		slack:     slacktest.New(slacktest.WithAutoCreate()),
		pagerduty: pagerdutytest.New(pagerdutytest.Config{APIToken: "canary-pd-token"}),
		stop:      func() {},
	}}
	d.sink = leak.Log(t, &d.log)
	leak.After(t, d.dir)
	s, p := httptest.NewServer(d.slack), httptest.NewServer(d.pagerduty)
	t.Cleanup(s.Close)
	t.Cleanup(p.Close)
	t.Cleanup(d.slack.Close)
	t.Cleanup(d.smtp.Close)
	d.slackURL, d.pagerdutyURL, d.file = s.URL, p.URL, filepath.Join(d.dir, "tocsin.yml")
	var err error
	d.port, err = d.smtp.Listen()
	require.NoError(t, err)
	for id, name := range map[string]string{"U0ANA": "ana", "U0BO": "bo", "U0CY": "cy", "U0OLD": "old"} {
		d.slack.AddUser(slacktest.User{ID: id, Name: name, RealName: name})
	}
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	return d
}

// write makes parts the configuration.
func (d *duty) write(parts ...string) {
	d.t.Helper()
	text := strings.NewReplacer(
		"SLACKURL", d.slackURL, "PAGERDUTYURL", d.pagerdutyURL, "SMTPPORT", fmt.Sprint(d.port), "CALENDARTOKEN", "canary-calendar-token-1",
	).Replace(dutyHead + strings.Join(parts, ""))
	require.NoError(d.t, os.WriteFile(d.file, []byte(text), 0o600))
}

// with starts the program with a configuration.
func (d *duty) with(parts ...string) *duty {
	d.t.Helper()
	d.write(parts...)
	d.start()
	return d
}

func (d *duty) start() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	app, err := NewApp(ctx, d.file, slog.New(slog.NewTextHandler(d.sink, nil)))
	require.NoError(d.t, err)
	d.app, d.url = app, "http://"+app.Addr()
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(d.t, <-done)
			require.NoError(d.t, app.Close())
		})
	}
}

func (d *duty) restart() {
	d.t.Helper()
	d.stop()
	d.start()
}

// reload puts a configuration into force.
func (d *duty) reload(parts ...string) {
	d.t.Helper()
	if len(parts) > 0 {
		d.write(parts...)
	}
	code, body := d.post(d.t, "/-/reload", nil)
	require.Equal(d.t, http.StatusOK, code, body)
}

// eventually waits for something that soon is so.
func (d *duty) eventually(cond func() bool, what string, args ...any) {
	d.t.Helper()
	require.Eventuallyf(d.t, cond, 20*time.Second, 5*time.Millisecond, what, args...)
}

// ask calls the API and returns the status; out may be nil.
func (d *duty) ask(method, path string, in, out any) int {
	d.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		require.NoError(d.t, err)
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, d.url+path, body)
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	if out != nil {
		require.NoError(d.t, json.Unmarshal(b, out), "%s", b)
	}
	return resp.StatusCode
}

// do acts on an incident.
func (d *duty) do(id string, kind tocsin.ActionKind, a tocsin.Action) {
	d.t.Helper()
	var answer json.RawMessage
	code := d.ask(http.MethodPost, "/api/v1/incidents/"+id+"/"+string(kind), a, &answer)
	require.Equal(d.t, http.StatusOK, code, "%s", answer)
}

// override makes one and returns it.
func (d *duty) override(o tocsin.Override) tocsin.Override {
	d.t.Helper()
	if o.CreatedBy == "" {
		o.CreatedBy = "cy"
	}
	var made tocsin.Override
	require.Equal(d.t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/overrides", o, &made), "%+v", made)
	return made
}

// onCall is who is on call on primary at an instant; the zero time: now.
func (d *duty) onCall(at time.Time) string {
	d.t.Helper()
	path := "/api/v1/oncall?schedule=primary"
	if !at.IsZero() {
		path += "&at=" + at.UTC().Format(time.RFC3339Nano)
	}
	var answer client.Shifts
	require.Equal(d.t, http.StatusOK, d.ask(http.MethodGet, path, nil, &answer))
	var names []string
	for i := range answer.Shifts {
		names = append(names, answer.Shifts[i].User)
	}
	return strings.Join(names, " ")
}

// open fires an alert and returns its incident.
func (d *duty) open(name, severity string) string {
	d.t.Helper()
	d.fire(d.t, name, "a", severity)
	return d.byTitle(name + " a").ID
}

// byTitle is the incident, or notice, of a title.
func (d *duty) byTitle(title string) *tocsin.Incident {
	d.t.Helper()
	for _, inc := range d.incidents(d.t) {
		if inc.Title == title {
			return inc
		}
	}
	require.Fail(d.t, "no incident "+title)
	return nil
}

func (d *duty) incident(id string) *tocsin.Incident {
	d.t.Helper()
	inc, err := d.app.store.Get(context.Background(), id)
	require.NoError(d.t, err)
	return inc
}

// timeline is what the events of an incident say, a line each.
func (d *duty) timeline(id string) string {
	d.t.Helper()
	events, err := d.app.store.Timeline(context.Background(), id, 0, 1000)
	require.NoError(d.t, err)
	var b strings.Builder
	for i := range events {
		fmt.Fprintf(&b, "%s: %s\n", events[i].Kind, events[i].Text)
	}
	return b.String()
}

// said is everything in a channel, or in the direct messages with a person.
func (d *duty) said(ref string) string {
	var b strings.Builder
	for _, m := range d.slack.Messages(ref) {
		fmt.Fprintf(&b, "%s | %s\n", m.Text, plainText(string(m.See().HTML)))
		for _, r := range m.Replies {
			fmt.Fprintf(&b, "    | %s\n", plainText(string(r.See().HTML)))
		}
	}
	return b.String()
}

// hears waits until a channel or a person has been told something.
func (d *duty) hears(ref, text string) {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(d.said(ref), text) {
		if time.Now().After(deadline) {
			require.Contains(d.t, d.said(ref), text)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// quiet waits until nothing is under way.
func (d *duty) quiet() { d.settled(d.t) }

var (
	tags     = regexp.MustCompile(`<[^>]*>`)
	lineEnds = regexp.MustCompile(`</(div|h3|p|li)>|<br>`)
)

// plainText is what a person reads of HTML.
func plainText(page string) string {
	page = lineEnds.ReplaceAllString(page, "\n")
	var lines []string
	for line := range strings.SplitSeq(html.UnescapeString(tags.ReplaceAllString(page, "")), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " / ")
}
