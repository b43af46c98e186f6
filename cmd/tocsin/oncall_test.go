package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
)

// canned is a server with an answer for each path, that remembers what it was
// asked.
type canned struct {
	mu      sync.Mutex
	answers map[string]string
	status  int
	drop    int
	asked   []asked
	url     string
}

type asked struct{ method, path, query, body string }

func newCanned(tb testing.TB, answers map[string]string) *canned {
	tb.Helper()
	c := &canned{answers: answers, status: http.StatusOK}
	srv := httptest.NewServer(c)
	tb.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, asked{r.Method, r.URL.Path, r.URL.RawQuery, string(body)})
	if c.drop > 0 {
		c.drop--
		panic(http.ErrAbortHandler)
	}
	answer, known := c.answers[r.URL.Path]
	if !known {
		w.WriteHeader(http.StatusNotFound)
		answer = `{"code": "not_found", "detail": "` + r.URL.Path + `: not found"}`
	} else if c.status != http.StatusOK {
		w.WriteHeader(c.status)
	}
	_, _ = io.WriteString(w, answer)
}

// requests are what it was asked so far.
func (c *canned) requests() []asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// cutOff has the next n requests read and cut off.
func (c *canned) cutOff(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop = n
}

func (c *canned) run(tb testing.TB, code int, args ...string) string {
	tb.Helper()
	return runCLI(tb, code, append(args, "--server.url", c.url)...)
}

func (c *canned) action(tb testing.TB, n int) tocsin.Action {
	tb.Helper()
	asked := c.requests()
	require.Greater(tb, len(asked), n)
	var a tocsin.Action
	require.NoError(tb, json.Unmarshal([]byte(asked[n].body), &a), asked[n].body)
	assert.Equal(tb, http.MethodPost, asked[n].method)
	assert.NotEmpty(tb, a.ID, "it happens once")
	a.ID = ""
	return a
}

func TestActionsAsTheyAreSent(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		args string
		path string
		want tocsin.Action
	}{
		{"ack k7f3q9 --note looking", "acknowledge", tocsin.Action{Text: "looking"}},
		{"ack k7f3q9 --force", "acknowledge", tocsin.Action{Force: true}},
		{"resolve k7f3q9 --force --note done", "resolve", tocsin.Action{Force: true, Text: "done"}},
		{"snooze k7f3q9 --until 2099-01-05T09:00 --time-zone Europe/Madrid", "snooze", tocsin.Action{Until: time.Date(2099, 1, 5, 8, 0, 0, 0, time.UTC)}},
		{"escalate k7f3q9", "escalate", tocsin.Action{}},
		{"escalate k7f3q9 --step 2 --policy platform", "escalate", tocsin.Action{Step: 2, Policy: "platform"}},
		{"escalate k7f3q9 --to bo --note DBA", "escalate", tocsin.Action{User: "bo", Text: "DBA"}},
		{"escalate k7f3q9 --schedule primary", "escalate", tocsin.Action{Schedule: "primary"}},
		{"reassign k7f3q9 --to bo", "reassign", tocsin.Action{User: "bo"}},
		{"reassign k7f3q9 --policy platform", "reassign", tocsin.Action{Policy: "platform"}},
		{"add-responder k7f3q9 bo", "add-responder", tocsin.Action{User: "bo"}},
		{"add-responder k7f3q9 --schedule dba", "add-responder", tocsin.Action{Schedule: "dba"}},
		{"note k7f3q9 the vendor calls", "note", tocsin.Action{Text: "the vendor calls"}},
		{"merge k7f3q9 --into m2x8p4", "merge", tocsin.Action{Into: "m2x8p4"}},
		{"severity k7f3q9 critical", "severity", tocsin.Action{Severity: tocsin.Critical}},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			s := newCanned(t, map[string]string{"/api/v1/incidents/k7f3q9/" + c.path: `{"incident": {"id": "k7f3q9", "state": "acknowledged",
				"severity": "error", "acknowledgedBy": "ana", "escalation": {"snoozedUntil": "` + until.Format(time.RFC3339) + `"}}}`})
			out := s.run(t, 0, append(strings.Fields(c.args), "--by", "ana")...)
			c.want.By = "ana"
			assert.Equal(t, c.want, s.action(t, 0))
			assert.Contains(t, out, "k7f3q9 is acknowledged by ana, error, snoozed until Mon 2026-11-23")
			assert.Contains(t, s.run(t, 0, append(strings.Fields(c.args), "-o", "json")...), `"id": "k7f3q9"`)
		})
	}
}

// TestEscalateSaysWhereItGoes: the last resort is not called unawares.
func TestEscalateSaysWhereItGoes(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{
		"/api/v1/incidents/k7f3q9/escalate": `{"incident": {"id": "k7f3q9", "state": "triggered", "severity": "error"}}`,
		"/api/v1/incidents/k7f3q9": `{"timeline": [{"kind": "escalated", "actor": "bo", "text": "escalated now by bo"},
			{"kind": "escalated", "actor": "ana", "text": "escalated now by ana to the last resort of platform"}, {"kind": "escalated", "text": "step 1"}]}`,
	})
	assert.Equal(t, "escalated now by ana to the last resort of platform\nk7f3q9 is triggered, error\n", s.run(t, 0, "escalate", "k7f3q9", "--step", "2"))
}

func TestSnoozeFor(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/incidents/k7f3q9/snooze": `{"incident": {"id": "k7f3q9"}}`})
	s.run(t, 0, "snooze", "k7f3q9", "--for", "2h")
	assert.WithinDuration(t, time.Now().Add(2*time.Hour), s.action(t, 0).Until, time.Minute)
}

func TestActionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"snooze k7f3q9":                          "say until when",
		"snooze k7f3q9 --for 2h --until 09:00":   "can't be used together",
		"snooze k7f3q9 --for 2x":                 "unknown unit",
		"snooze k7f3q9 --until 2020-01-01":       "is over",
		"snooze k7f3q9 --until later":            "is not a time",
		"escalate k7f3q9 --step=-1":              "the first step is 1",
		"escalate k7f3q9 --step 1 --to bo":       "leave it out",
		"escalate k7f3q9 --to bo --policy x":     "can't be used together",
		"reassign k7f3q9":                        "say to whom",
		"add-responder k7f3q9":                   "name one",
		"note k7f3q9":                            "<text>",
		"merge k7f3q9":                           "--into",
		"severity k7f3q9 loud":                   "critical",
		"override add --user bo --for 2h":        "--schedule",
		"override add --schedule p --user bo":    "say until when",
		"swap request --schedule p --for 1h":     "--replaces",
		"timeoff add --user ana --from 1.5.2026": "is not a time",
		"oncall verify --weeks 0":                "at least 1",
		"oncall --at noon":                       "is not a time",
		"oncall --at 09:00 --from 10:00":         "can't be used together",
		"oncall --time-zone Mars/Base":           "IANA",
	} {
		assert.Contains(t, runCLI(t, 2, append(strings.Fields(args), "--server.url", "http://127.0.0.1:1")...), want, args)
	}
}

// TestAnActionIsSentOnceMore: when the connection breaks, nobody knows whether
// the server has heard it; sent again with the same ID it happens once.
func TestAnActionIsSentOnceMore(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/incidents/k7f3q9/note": `{"incident": {"id": "k7f3q9"}}`})
	s.cutOff(1)
	s.run(t, 0, "note", "k7f3q9", "x")
	require.Len(t, s.requests(), 2)
	assert.Equal(t, s.requests()[0], s.requests()[1], "with the same ID")
	s.cutOff(2)
	assert.Contains(t, s.run(t, 1, "note", "k7f3q9", "x"), "is the server running?")
	assert.Len(t, s.requests(), 4, "and then no more")
}

func TestAConflictIsShownWithWhatToDo(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{
		"/api/v1/incidents/k7f3q9/resolve": `{"code": "conflict", "detail": "2 alerts still fire in incident k7f3q9"}`,
	})
	s.status = http.StatusConflict
	out := s.run(t, 1, "resolve", "k7f3q9")
	assert.Contains(t, out, "tocsin: 2 alerts still fire in incident k7f3q9\nif that is meant, give --force")
	assert.NotContains(t, s.run(t, 1, "resolve", "k7f3q9", "--force"), "give --force")
}

func TestSeveralIncidents(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{
		"/api/v1/incidents/a/acknowledge": `{"incident": {"id": "a", "state": "acknowledged"}}`,
		"/api/v1/incidents/c/acknowledge": `{"incident": {"id": "c", "state": "acknowledged"}}`,
	})
	out := s.run(t, 1, "ack", "a", "b", "c")
	for _, want := range []string{"a is acknowledged", "c is acknowledged", "b: /api/v1/incidents/b/acknowledge: not found"} {
		assert.Contains(t, out, want)
	}
}

func TestIncidentShowsWhoWasCalledAndWhatIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stamp := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	s := newCanned(t, map[string]string{"/api/v1/incidents/k7f3q9": `{"incident": {"id": "k7f3q9", "state": "acknowledged",
		"acknowledgedBy": "ana", "acknowledgedAt": "` + stamp(-time.Minute) + `", "mergedInto": "m2x8p4",
		"escalation": {"snoozedUntil": "` + stamp(time.Hour+time.Second) + `", "responders": [
			{"user": "ana", "at": "` + stamp(-time.Hour) + `", "calls": 2, "acknowledged": "` + stamp(-time.Minute) + `"},
			{"user": "bo", "at": "` + stamp(-time.Hour) + `", "calls": 1, "must": true},
			{"user": "cy", "at": "` + stamp(-time.Hour) + `", "calls": 1, "unreachable": true}]}},
		"ahead": [{"at": "` + stamp(12*time.Minute+time.Second) + `", "text": "bo by PagerDuty"}, {"at": "` + stamp(72*time.Hour+time.Second) + `", "text": "last resort: boss"}]}`})
	out := s.run(t, 0, "incidents", "k7f3q9")
	for _, want := range []string{
		"acknowledged by ana at", "merged into m2x8p4", "(in 1h)", "ana          called", "(the last of 2 times), answered",
		", has not answered and must", ", cannot be reached", now.Add(12*time.Minute).Local().Format("15:04") + " bo by PagerDuty (in 12m)",
		now.Add(72*time.Hour).Local().Format("Mon 2006-01-02 15:04") + " last resort: boss (in 3d)",
	} {
		assert.Contains(t, out, want)
	}
	assert.Contains(t, s.run(t, 0, "incidents", "k7f3q9", "-o", "json"), `"text": "bo by PagerDuty"`)
}

const shiftsJSON = `[
	{"schedule": "primary", "user": "ana", "from": "2026-01-05T08:00:00Z", "to": "2026-01-12T08:00:00Z", "source": "layer weekly"},
	{"schedule": "primary", "user": "dee", "from": "2026-01-05T08:00:00Z", "to": "2026-01-12T08:00:00Z", "extra": true, "shadow": true},
	{"schedule": "secondary", "user": "", "from": "2026-01-06T08:00:00Z", "to": "2026-01-07T08:00:00Z"}]`

func TestOnCallAtAnInstant(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/oncall": `{"at": "2026-01-06T12:00:00Z", "shifts": ` + shiftsJSON + `}`})
	out := s.run(t, 0, "oncall", "--at", "2026-01-06T13:00", "--schedule", "primary", "--user", "ana", "--time-zone", "Europe/Madrid")
	assert.Equal(t, "at=2026-01-06T12%3A00%3A00Z&schedule=primary&user=ana", s.requests()[0].query)
	assert.Equal(t, `On call Tue 2026-01-06 13:00 CET
SCHEDULE   PERSON  SINCE                     UNTIL                     WHY
primary    ana     Mon 2026-01-05 09:00 CET  Mon 2026-01-12 09:00 CET  layer weekly
primary    dee     Mon 2026-01-05 09:00 CET  Mon 2026-01-12 09:00 CET  shadow: gets copies only
secondary  NOBODY  Tue 2026-01-06 09:00 CET  Wed 2026-01-07 09:00 CET  gap
`, out)
	assert.Contains(t, s.run(t, 0, "oncall", "show", "-o", "json"), `"source": "layer weekly"`)
	s.answers["/api/v1/oncall"] = `{"at": "2026-01-06T12:00:00Z", "shifts": []}`
	assert.Contains(t, s.run(t, 0, "oncall", "--user", "ana"), "ana is not on call")
	assert.Contains(t, s.run(t, 0, "oncall"), "no schedules; write them under schedules:")
}

func TestOnCallOverASpan(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{"/api/v1/shifts": `{"shifts": ` + shiftsJSON + `}`})
	out := s.run(t, 0, "oncall", "--from", "2026-01-05", "--for", "1w", "--time-zone", "Europe/Madrid", "--ascii", "--width", "70")
	assert.Equal(t, "from=2026-01-04T23%3A00%3A00Z&to=2026-01-11T23%3A00%3A00Z", s.requests()[0].query)
	assert.Contains(t, out, `primary
  FROM                      TO                        PERSON  WHY
  Mon 2026-01-05 09:00 CET  Mon 2026-01-12 09:00 CET  ana     layer weekly
  Mon 2026-01-05 09:00 CET  Mon 2026-01-12 09:00 CET  dee     shadow: gets copies only

secondary
  FROM                      TO                        PERSON  WHY
  Tue 2026-01-06 09:00 CET  Wed 2026-01-07 09:00 CET  NOBODY  gap
`)
	assert.Contains(t, out, "  NOBODY ...........!!!!!!!!")
	s.run(t, 0, "oncall", "--from", "2026-01-05", "--time-zone", "UTC")
	assert.Equal(t, "from=2026-01-05T00%3A00%3A00Z&to=2026-01-19T00%3A00%3A00Z", s.requests()[1].query, "two weeks unless told otherwise")
}

func TestVerifyAndFairness(t *testing.T) {
	t.Parallel()
	s := newCanned(t, map[string]string{
		"/api/v1/oncall/coverage": `{"from": "2026-03-02T00:00:00Z", "to": "2026-04-27T00:00:00Z", "uncovered": []}`,
		"/api/v1/oncall/fairness": `{"from": "2026-01-05T00:00:00Z", "to": "2026-03-30T00:00:00Z", "shares": [
			{"user": "ana", "hours": 120.25, "nightHours": 45, "weekendHours": 48, "shifts": 2, "pages": 3, "nightPages": 1},
			{"user": "bo", "hours": 80, "nightHours": 30, "holidayHours": 24, "shifts": 1}]}`,
	})
	out := s.run(t, 0, "oncall", "verify", "--from", "2026-03-02", "--time-zone", "Europe/Madrid")
	assert.Contains(t, out, "covered: every policy reaches somebody at every minute from Mon 2026-03-02 01:00 CET to Mon 2026-04-27 02:00 CEST")
	assert.Equal(t, "from=2026-03-01T23%3A00%3A00Z&to=2026-04-26T22%3A00%3A00Z", s.requests()[0].query, "8 weeks on the wall clock")
	s.answers["/api/v1/oncall/coverage"] = `{"from": "2026-03-02T00:00:00Z", "to": "2026-04-27T00:00:00Z", "uncovered": [
		{"policy": "platform", "severity": "warning", "from": "2026-03-29T00:30:00Z", "to": "2026-03-29T01:00:00Z", "why": ["step 1: nobody is on call on primary", "last resort: boss is away"]}]}`
	assert.Equal(t, `NOT COVERED from Sun 2026-03-29 01:30 CET to Sun 2026-03-29 03:00 CEST (30m)
  in UTC from 2026-03-29T00:30:00Z to 2026-03-29T01:00:00Z
  policy platform, severity warning
    step 1: nobody is on call on primary
    last resort: boss is away
tocsin: there is nobody to page in 1 span; fill it with an override (tocsin override add), a layer, or a step that reaches somebody else
`, s.run(t, 1, "oncall", "verify", "--time-zone", "Europe/Madrid"))
	assert.Contains(t, s.run(t, 1, "oncall", "verify", "-o", "json"), `"policy": "platform"`)

	assert.Equal(t, `On call from Mon 2026-01-05 00:00 UTC to Mon 2026-03-30 00:00 UTC
PERSON    HOURS  NIGHT  WEEKEND  HOLIDAY  SHIFTS  PAGES  AT NIGHT
ana       120.3  45     48       0        2       3      1
bo        80     30     0        24       1       0      0
(mean)    100.1  37.5   24       12       1.5     1.5    0.5
(spread)  40.3   15     48       24       1       3      1
The hours spread over 40.3 h (40 %), from 80 to 120.3; the mean is 100.1.
`, s.run(t, 0, "oncall", "fairness", "--weeks", "12", "--time-zone", "UTC"))
}

func TestOverridesAsTheyAreSent(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2099, 1, 5, 8, 0, 0, 0, time.UTC), time.Date(2099, 1, 5, 16, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		args, says string
		want       tocsin.Override
	}{
		{
			"override add --schedule primary --user bo --replaces ana --comment wedding", "override m2x8p4: bo replaces ana on primary from Mon 2099-01-05 09:00 CET to Mon 2099-01-05 17:00 CET",
			tocsin.Override{Kind: tocsin.OverrideReplace, Schedule: "primary", User: "bo", Replaces: "ana", Comment: "wedding"},
		},
		{
			"override add --schedule primary --user bo --add", "override m2x8p4: bo is on call beside the others on primary from",
			tocsin.Override{Kind: tocsin.OverrideAdd, Schedule: "primary", User: "bo"},
		},
		{
			"swap request --schedule primary --replaces ana", "swap m2x8p4: anybody is asked to take over from ana on primary from",
			tocsin.Override{Kind: tocsin.OverrideSwap, Schedule: "primary", Replaces: "ana"},
		},
		{
			"timeoff add --user ana", "time off m2x8p4: ana is away from all schedules from",
			tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana"},
		},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			made := c.want
			made.ID, made.From, made.To, made.State = "m2x8p4", from, to, tocsin.OverrideActive
			if made.Kind == tocsin.OverrideSwap {
				made.State = tocsin.OverrideRequested
			}
			answer, err := json.Marshal(made)
			require.NoError(t, err)
			s := newCanned(t, map[string]string{"/api/v1/overrides": string(answer)})
			out := s.run(t, 0, append(strings.Fields(c.args), "--from", "2099-01-05T09:00", "--to", "17:00", "--time-zone", "Europe/Madrid", "--by", "ana")...)
			assert.Contains(t, out, c.says)
			var got tocsin.Override
			require.NoError(t, json.Unmarshal([]byte(s.requests()[0].body), &got))
			assert.True(t, got.From.Equal(from) && got.To.Equal(to), s.requests()[0].body)
			got.From, got.To = time.Time{}, time.Time{}
			c.want.CreatedBy = "ana"
			assert.Equal(t, c.want, got)
		})
	}
}

func TestOverridesAreListedAndAnswered(t *testing.T) {
	t.Parallel()
	const one = `{"id": "m2x8p4", "kind": "swap", "schedule": "primary", "user": "bo", "replaces": "ana", "from": "2099-01-05T08:00:00Z", "to": "2099-01-06T08:00:00Z", "state": "requested", "createdBy": "ana"}`
	s := newCanned(t, map[string]string{
		"/api/v1/overrides": `{"overrides": [` + one + `,
			{"id": "old", "kind": "replace", "schedule": "primary", "user": "bo", "from": "2020-01-05T08:00:00Z", "to": "2020-01-06T08:00:00Z", "state": "active"},
			{"id": "off", "kind": "time_off", "user": "ana", "from": "2099-01-05T08:00:00Z", "to": "2099-01-06T08:00:00Z", "state": "active"},
			{"id": "gone", "kind": "time_off", "user": "ana", "from": "2099-01-05T08:00:00Z", "to": "2099-01-06T08:00:00Z", "state": "cancelled"}]}`,
		"/api/v1/overrides/m2x8p4/accept":  strings.Replace(one, "requested", "active", 1),
		"/api/v1/overrides/m2x8p4/decline": strings.Replace(one, "requested", "declined", 1),
		"/api/v1/overrides/m2x8p4/cancel":  strings.Replace(one, "requested", "cancelled", 1),
	})
	lists := map[string][]string{
		"override list": {"m2x8p4", "off"}, "override list --all": {"m2x8p4", "old", "off", "gone"},
		"swap list": {"m2x8p4"}, "timeoff list": {"off"}, "timeoff list --all": {"off", "gone"},
	}
	for args, want := range lists {
		var got []string
		for line := range strings.Lines(s.run(t, 0, strings.Fields(args)...)) {
			got = append(got, strings.Fields(line)[0])
		}
		assert.Equal(t, append([]string{"ID"}, want...), got, args)
	}
	assert.Contains(t, s.run(t, 0, "swap", "accept", "m2x8p4", "--time-zone", "UTC"), "swap m2x8p4: bo replaces ana on primary from Mon 2099-01-05 08:00 UTC")
	assert.Contains(t, s.run(t, 0, "swap", "decline", "m2x8p4"), "swap m2x8p4 is declined")
	assert.Contains(t, s.run(t, 0, "override", "cancel", "m2x8p4", "--by", "ana"), "swap m2x8p4 is cancelled")
	assert.JSONEq(t, `{"by": "ana"}`, s.requests()[len(s.requests())-1].body)
	s.answers["/api/v1/overrides"] = `{"overrides": []}`
	assert.Equal(t, "no time off\n", s.run(t, 0, "timeoff", "list"))
	assert.Contains(t, s.run(t, 1, "override", "cancel", "nope"), "not found")
}

// TestHelpHasAnExample: every command that this page knows says how it is used.
func TestHelpHasAnExample(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"ack", "resolve", "snooze", "escalate", "reassign", "add-responder", "note", "merge", "severity", "oncall", "oncall show",
		"oncall verify", "oncall fairness", "override add", "override cancel", "swap request", "swap accept", "swap decline", "timeoff add",
	} {
		out := runCLI(t, 0, append(strings.Fields(args), "--help")...)
		assert.Contains(t, out, "Example: tocsin "+args, args)
	}
	assert.Contains(t, runCLI(t, 0, "oncall", "--help"), "oncall verify")
}
