package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

const dutyGroup = `
schedules:
  - {name: primary, user_group: S0ONCALL, layers: [{name: weekly, users: [ana], rotation: {start: '2026-01-05'}}]}
`

func TestDutyTheUserGroupFollows(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	d.slack.AddToken("xoxb-canary-duty", "chat:write", "im:write", "im:history", "channels:history", "usergroups:read")
	d.slack.AddUserGroup(slacktest.UserGroup{ID: "S0ONCALL", Handle: "oncall", Users: []string{"U0OLD"}})
	d.with(dutyPeople, dutyGroup, dutyPolicy)
	members := func() string { return strings.Join(d.slack.GroupMembers("S0ONCALL"), " ") }
	d.eventually(func() bool { return strings.Contains(d.log.String(), "usergroups:write") }, "the log names the scope that is missing")
	assert.Equal(t, "U0OLD", members())
	d.eventually(func() bool { return d.metric("tocsin_usergroup_errors_total") > 0 }, "and it is counted")

	d.slack.AddToken("xoxb-canary-duty") // all scopes
	now := time.Now()
	bo := d.override(tocsin.Override{Schedule: "primary", User: "bo", From: now, To: now.Add(time.Hour)})
	d.eventually(func() bool { return members() == "U0BO" }, "it follows the override, once it may: %s", members())
	require.Equal(t, http.StatusOK, d.ask(http.MethodPost, "/api/v1/overrides/"+bo.ID+"/cancel", map[string]string{"by": "cy"}, nil))
	d.eventually(func() bool { return members() == "U0ANA" }, "and its end")

	changes := d.slack.Calls("usergroups.users.update")
	d.override(tocsin.Override{Kind: tocsin.OverrideAdd, Schedule: "primary", User: "bo", From: time.Now(), To: now.Add(time.Hour)})
	d.eventually(func() bool { return members() == "U0ANA U0BO" || members() == "U0BO U0ANA" }, "both are on call")
	d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana", From: time.Now(), To: now.Add(time.Hour)})
	d.eventually(func() bool { return members() == "U0BO" }, "ana is away")
	d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "bo", From: time.Now(), To: now.Add(time.Hour)})
	d.eventually(func() bool {
		return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) >= 0 && d.onCall(time.Time{}) == ""
	}, "nobody is on call")
	d.restart()
	d.eventually(func() bool { return d.metric(`tocsin_oncall_uncovered_seconds{policy="platform"}`) >= 0 }, "the watch has looked")
	assert.Equal(t, "U0BO", members(), "it is never emptied")
	assert.Equal(t, changes+2, d.slack.Calls("usergroups.users.update"), "and set only where it changes")

	// Another group after a reload is filled too.
	d.slack.AddUserGroup(slacktest.UserGroup{ID: "S0OTHER", Handle: "other", Users: []string{"U0OLD"}})
	d.override(tocsin.Override{Kind: tocsin.OverrideAdd, Schedule: "primary", User: "cy", From: time.Now(), To: now.Add(time.Hour)})
	d.eventually(func() bool { return members() == "U0CY" }, "cy helps")
	d.reload(dutyPeople, strings.ReplaceAll(dutyGroup, "S0ONCALL", "S0OTHER"), dutyPolicy)
	d.eventually(func() bool { return strings.Join(d.slack.GroupMembers("S0OTHER"), " ") == "U0CY" }, "the other group follows now")
}

func TestDutyOverridesOutliveARestart(t *testing.T) {
	t.Parallel()
	d := newDuty(t).with(dutyPeople, dutyPrimary, dutyPolicy)
	cli := func(code int, args ...string) string {
		return runCLI(t, code, append(args, "--server.url", d.url)...)
	}
	id := func(out string) string {
		for _, w := range strings.Fields(out) {
			if w, ok := strings.CutSuffix(w, ":"); ok {
				return w
			}
		}
		return ""
	}
	assert.Contains(t, cli(0, "oncall"), "ana")
	bo := id(cli(0, "override", "add", "--schedule", "primary", "--user", "bo", "--for", "2h", "--by", "cy", "--comment", "dentist"))
	assert.Contains(t, cli(0, "oncall"), "bo", "at once")
	require.NotEmpty(t, bo)

	week := time.Now().Add(7 * 24 * time.Hour).UTC().Truncate(time.Hour)
	from, to := week.Format(time.RFC3339), week.Add(4*time.Hour).Format(time.RFC3339)
	swap := id(cli(0, "swap", "request", "--schedule", "primary", "--replaces", "ana", "--user", "cy", "--from", from, "--to", to, "--by", "ana"))
	assert.Equal(t, "ana", d.onCall(week), "nothing changes until cy has accepted")
	assert.Contains(t, cli(1, "swap", "accept", swap, "--by", "bo"), "was asked of cy")
	assert.Contains(t, cli(0, "swap", "accept", swap, "--by", "cy"), "cy replaces ana")
	assert.Contains(t, cli(0, "swap", "accept", swap, "--by", "cy"), "cy replaces ana", "twice is once")
	away := d.override(tocsin.Override{Kind: tocsin.OverrideTimeOff, User: "ana", From: week.Add(4 * time.Hour), To: week.Add(6 * time.Hour)})
	gone := d.override(tocsin.Override{Schedule: "primary", User: "bo", From: week.Add(24 * time.Hour), To: week.Add(25 * time.Hour)})
	assert.Contains(t, cli(0, "override", "cancel", gone.ID, "--by", "cy"), "cancelled")

	for _, when := range []string{"before", "after"} {
		assert.Equal(t, "bo", d.onCall(time.Time{}), when)
		assert.Contains(t, cli(0, "oncall"), "override "+bo, when)
		assert.Equal(t, "cy", d.onCall(week), when)
		assert.Empty(t, d.onCall(week.Add(5*time.Hour)), when)
		assert.Contains(t, cli(0, "oncall", "--at", week.Add(5*time.Hour).Format(time.RFC3339)), "NOBODY", when)
		assert.Equal(t, "ana", d.onCall(week.Add(24*time.Hour)), when)
		list := cli(0, "override", "list")
		for _, want := range []string{bo, swap, away.ID, "dentist"} {
			assert.Contains(t, list, want, when)
		}
		assert.NotContains(t, list, gone.ID, when)
		assert.Contains(t, cli(0, "timeoff", "list"), away.ID, when)
		assert.Contains(t, cli(1, "oncall", "verify"), "NOT COVERED", when)
		if when == "before" {
			d.restart()
		}
	}
	assert.Contains(t, cli(1, "override", "cancel", "nope"), "not found")
	assert.Equal(t, http.StatusBadRequest, d.ask(http.MethodPost, "/api/v1/overrides", tocsin.Override{Schedule: "primary", User: "zoe", From: week, To: week.Add(time.Hour), CreatedBy: "cy"}, nil))
	assert.Contains(t, cli(0, "timeoff", "cancel", away.ID, "--by", "ana"), "cancelled")
	assert.Equal(t, "ana", d.onCall(week.Add(5*time.Hour)))
	assert.Contains(t, cli(0, "override", "cancel", bo, "--by", "cy"), bo)
	assert.Equal(t, "ana", d.onCall(time.Time{}), "it ends at once")
}

// feed reads a calendar as a calendar program would.
func (d *duty) feed(path, token string) (int, []byte) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url+path, nil)
	require.NoError(d.t, err)
	if token != "" {
		req.URL.RawQuery = "token=" + token
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	if resp.StatusCode == http.StatusOK {
		assert.Contains(d.t, resp.Header.Get("Content-Type"), "text/calendar")
	}
	return resp.StatusCode, body
}

func TestDutyCalendarsToSubscribeTo(t *testing.T) {
	t.Parallel()
	const rota = `
schedules:
  - {name: primary, layers: [{name: daily, users: [ana, bo], rotation: {unit: days, start: '2026-01-05'}}]}
`
	d := newDuty(t).with(dutyPeople, rota, dutyPolicy)
	now := time.Now()
	o := d.override(tocsin.Override{Schedule: "primary", User: "cy", From: now.Add(49 * time.Hour), To: now.Add(50 * time.Hour)})
	code, body := d.feed("/api/v1/schedules/primary/calendar.ics", "canary-calendar-token-1")
	require.Equal(t, http.StatusOK, code)
	cal, err := ical.Read(bytes.NewReader(body), time.UTC, now, now.Add(14*24*time.Hour))
	require.NoError(t, err)
	require.Empty(t, cal.Problems)
	at := func(when time.Time) string {
		var found []string
		for i := range cal.Events {
			if e := &cal.Events[i]; !when.Before(e.From) && when.Before(e.To) {
				found = append(found, e.Summary)
			}
		}
		return strings.Join(found, " and ")
	}
	for hours := 0; hours < 14*24; hours += 5 {
		when := now.Add(time.Duration(hours) * time.Hour)
		assert.Contains(t, at(when), d.onCall(when), "as the API says of %s", when)
		assert.NotContains(t, at(when), " and ")
	}
	assert.Contains(t, at(o.From.Add(time.Minute)), "cy")

	code, body = d.feed("/api/v1/users/cy/calendar.ics", "canary-calendar-token-1")
	require.Equal(t, http.StatusOK, code)
	cal, err = ical.Read(bytes.NewReader(body), time.UTC, now, now.Add(14*24*time.Hour))
	require.NoError(t, err)
	require.Len(t, cal.Events, 1)
	assert.WithinDuration(t, o.From, cal.Events[0].From, time.Second)

	for path, want := range map[string]int{
		"/api/v1/schedules/nope/calendar.ics": http.StatusNotFound, "/api/v1/users/nope/calendar.ics": http.StatusNotFound,
	} {
		code, _ = d.feed(path, "canary-calendar-token-1")
		assert.Equal(t, want, code, path)
	}
	code, _ = d.feed("/api/v1/schedules/primary/calendar.ics", "canary-calendar-token-0")
	assert.Equal(t, http.StatusUnauthorized, code)
	text := strings.ReplaceAll(string(read(t, d.file)), "canary-calendar-token-1", "canary-calendar-token-2")
	require.NoError(t, os.WriteFile(d.file, []byte(text), 0o600))
	d.reload()
	assert.Equal(t, http.StatusUnauthorized, d.calendarStatus("canary-calendar-token-1"), "the old token is worth nothing now")
	assert.Equal(t, http.StatusOK, d.calendarStatus("canary-calendar-token-2"))
	for _, token := range []string{"canary-calendar-token-1", "canary-calendar-token-2", "canary-calendar-token-0"} {
		assert.NotContains(t, d.log.String(), token)
	}
}
