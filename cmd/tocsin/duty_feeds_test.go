package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty/pagerdutytest"
)

// inPagerDuty has somebody on call there for three days around now.
func (d *duty) inPagerDuty(id, name string) {
	ref := pagerdutytest.Reference{ID: "P123ABC", Type: "schedule_reference", Summary: "primary"}
	d.pagerduty.SetOnCalls(pagerdutytest.OnCall{
		User: pagerdutytest.Reference{ID: id, Type: "user_reference", Summary: name}, Schedule: ref, EscalationLevel: 1,
		EscalationPolicy: pagerdutytest.Reference{ID: "PPOLICY"},
		Start:            time.Now().Add(-24 * time.Hour).Truncate(time.Second), End: time.Now().Add(48 * time.Hour).Truncate(time.Second),
	})
}

func TestDutyFollowsPagerDuty(t *testing.T) {
	t.Parallel()
	const schedule = `
schedules: [{name: primary, layers: [{name: pd, pagerduty_schedule: P123ABC}]}]
`
	d := newDuty(t)
	d.inPagerDuty("PANA001", "Ana")
	d.with(dutyPeople, schedule, dutyPolicy)
	d.eventually(func() bool { return d.onCall(time.Time{}) == "ana" }, "ana is on call here too")
	d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")

	d.pagerduty.Fail(pagerdutytest.Fault{Action: pagerdutytest.OnCallsAction, Status: http.StatusServiceUnavailable})
	d.restart()
	assert.Equal(t, "ana", d.onCall(time.Time{}), "from the first moment")
	d.eventually(func() bool {
		return strings.Contains(d.log.String(), "a feed does not answer: what it last said holds")
	}, "the log says so")
	assert.Equal(t, "ana", d.onCall(time.Time{}))
	assert.Contains(t, d.get(t, "/metrics"), `tocsin_feed_errors_total{feed="primary/pd"} 1`)
	d.open("DiskFull", "critical")
	d.hears("U0ANA", "DiskFull a")

	d.pagerduty.Clear()
	d.inPagerDuty("PBO0001", "Bo")
	d.reload() // asks anew at once
	d.eventually(func() bool { return d.onCall(time.Time{}) == "bo" }, "the change is followed")
	d.open("CertExpired", "critical")
	d.hears("U0BO", "CertExpired a")
	assert.NotContains(t, d.said("U0ANA"), "CertExpired")

	d.inPagerDuty("PSTRANGER", "Sam")
	d.reload()
	d.eventually(func() bool { return strings.Contains(d.log.String(), "PSTRANGER (Sam) is nobody's pagerduty_user") }, "the log names the stranger")
	d.eventually(func() bool { return d.onCall(time.Time{}) == "" }, "nobody who is known is on call")
	id := d.open("NoSpace", "critical")
	d.hears("U0CY", "NoSpace a")
	assert.Contains(t, d.timeline(id), "nobody is on call on schedule primary; going on at once")
}

// feeds is a web server with calendars.
type feeds struct {
	url    string
	body   atomic.Pointer[string]
	status atomic.Int32
	to     atomic.Pointer[string] // redirects there
}

func newFeeds(t *testing.T) *feeds {
	t.Helper()
	f := &feeds{}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	f.say(icsOf())
	return f
}

func (f *feeds) say(body string) {
	f.status.Store(http.StatusOK)
	f.body.Store(&body)
}

func (f *feeds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if to := f.to.Load(); to != nil {
		http.Redirect(w, r, *to, http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/calendar")
	w.WriteHeader(int(f.status.Load()))
	_, _ = fmt.Fprint(w, *f.body.Load())
}

// icsOf is a calendar of events, each given as its summary, for a day before and
// after now.
func icsOf(summaries ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n")
	stamp := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("20060102T150405Z") }
	for i, s := range summaries {
		fmt.Fprintf(&b, "BEGIN:VEVENT\r\nUID:%d@test\r\nDTSTAMP:%s\r\nDTSTART:%s\r\nDTEND:%s\r\nSUMMARY:%s\r\nEND:VEVENT\r\n",
			i, stamp(0), stamp(-24*time.Hour), stamp(24*time.Hour), s)
	}
	b.WriteString("END:VCALENDAR\r\n")
	return b.String()
}

func TestDutyFollowsCalendars(t *testing.T) {
	t.Parallel()
	shifts, away := newFeeds(t), newFeeds(t)
	schedule := fmt.Sprintf(`
calendars: {allow_private: [127.0.0.1/32]}
time_off_calendars: [{user: ana, url: "%s/ana-canary.ics"}]
schedules:
  - name: primary
    layers:
      - {name: imported, priority: 1, calendar: {url: "%s/canary.ics"}}
      - {name: weekly, users: [cy], rotation: {start: '2026-01-05'}}
`, away.url, shifts.url)
	shifts.say(icsOf("Ana", "Zoe on call"))
	d := newDuty(t).with(dutyPeople, schedule, dutyPolicy)
	d.eventually(func() bool { return d.onCall(time.Time{}) == "ana" }, "the calendar puts ana on call")
	d.eventually(func() bool { return strings.Contains(d.log.String(), "Zoe on call") }, "the log names the stranger")
	d.open("NodeDown", "critical")
	d.hears("U0ANA", "NodeDown a")

	for what, spoil := range map[string]func(){
		"an error":   func() { shifts.status.Store(http.StatusInternalServerError) },
		"a web page": func() { shifts.say("<html>please log in</html>") },
		"half of it": func() { shifts.say(icsOf("Bo")[:120]) },
		"elsewhere":  func() { shifts.to.Store(ptr(strings.Replace(away.url, "127.0.0.1", "127.0.0.2", 1))) },
	} {
		spoil()
		failed := strings.Count(d.log.String(), "a feed does not answer: what it last said holds")
		d.reload()
		d.eventually(func() bool { return feedErrors(d, "primary/imported") > float64(failed) }, "%s is an error", what)
		assert.Equal(t, "ana", d.onCall(time.Time{}), "%s changes nothing", what)
		shifts.to.Store(nil)
		shifts.say(icsOf("Ana"))
		answered := strings.Count(d.log.String(), "a feed answers again")
		d.reload()
		d.eventually(func() bool { return strings.Count(d.log.String(), "a feed answers again") > answered }, "it answers after %s", what)
	}
	assert.Contains(t, d.log.String(), "127.0.0.2", "the address that is not allowed is named")
	assert.NotContains(t, d.log.String(), "canary", "an URL is a secret")

	away.say(icsOf("Skiing"))
	d.reload()
	d.eventually(func() bool { return d.onCall(time.Time{}) == "cy" }, "ana is away, and the next layer has it")
	d.open("DiskFull", "critical")
	d.hears("U0CY", "DiskFull a")
	away.status.Store(http.StatusNotFound)
	d.restart()
	assert.Equal(t, "cy", d.onCall(time.Time{}), "she still is after a restart, with her calendar away")
	away.say(icsOf())
	d.reload()
	d.eventually(func() bool { return d.onCall(time.Time{}) == "ana" }, "she is back")
}

func ptr[T any](v T) *T { return &v }

// feedErrors is the metric of a feed.
func feedErrors(d *duty, feed string) float64 {
	return d.metric(`tocsin_feed_errors_total{feed="` + feed + `"}`)
}

// metric is the value of a metric, by its name with its labels; -1: there is
// none.
func (d *duty) metric(name string) float64 {
	for line := range strings.SplitSeq(d.get(d.t, "/metrics"), "\n") {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var v float64
			_, err := fmt.Sscan(rest, &v)
			require.NoError(d.t, err)
			return v
		}
	}
	return -1
}

func TestDutyAPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	f := newFeeds(t)
	d := newDuty(t)
	d.write(dutyPeople, dutyPolicy, `
schedules: [{name: primary, layers: [{name: imported, calendar: {url: "`+f.url+`/canary.ics"}}]}]
`)
	_, err := NewApp(context.Background(), d.file, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "calendars.allow_private")
	assert.Regexp(t, `tocsin\.yml:\d+`, err.Error())
	assert.NotContains(t, err.Error(), "canary")
}

func TestDutyHolidaysHandTheShiftOver(t *testing.T) {
	t.Parallel()
	d := newDuty(t)
	today := time.Now().UTC()
	var days strings.Builder
	for n := range 2 { // midnight may pass meanwhile
		day := today.AddDate(0, 0, n)
		fmt.Fprintf(&days, "BEGIN:VEVENT\r\nUID:%d@h\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:%s\r\nDTEND;VALUE=DATE:%s\r\nSUMMARY:Holiday\r\nEND:VEVENT\r\n",
			n, day.Format("20060102"), day.AddDate(0, 0, 1).Format("20060102"))
	}
	file := filepath.Join(d.dir, "holidays.ics")
	require.NoError(t, os.WriteFile(file, []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n"+days.String()+"END:VCALENDAR\r\n"), 0o600))
	d.with(dutyPeople, dutyPolicy, `
schedules:
  - name: primary
    holidays: {calendar_file: holidays.ics, dates: ['2030-12-25']}
    layers:
      - {name: holidays, priority: 1, on: holidays, users: [bo], rotation: {start: '2026-01-05'}}
      - {name: weekly, users: [ana], rotation: {start: '2026-01-05'}}
`)
	assert.Equal(t, "bo", d.onCall(time.Time{}))
	assert.Equal(t, "ana", d.onCall(today.AddDate(0, 0, 2)), "the day after them")
	assert.Equal(t, "bo", d.onCall(time.Date(2030, 12, 25, 12, 0, 0, 0, time.UTC)), "from the list")
	d.open("NodeDown", "critical")
	d.hears("U0BO", "NodeDown a")
	var answer struct {
		Shares []tocsin.Share `json:"shares"`
	}
	from, to := today.Truncate(24*time.Hour), today.Truncate(24*time.Hour).AddDate(0, 0, 3)
	path := "/api/v1/oncall/fairness?from=" + from.Format(time.RFC3339) + "&to=" + to.Format(time.RFC3339)
	require.Equal(t, http.StatusOK, d.ask(http.MethodGet, path, nil, &answer))
	hours := map[string]tocsin.Share{}
	for _, s := range answer.Shares {
		hours[s.User] = s
	}
	assert.InDelta(t, 48, hours["bo"].HolidayHours, 0.01)
	assert.InDelta(t, 24, hours["ana"].Hours, 0.01)
	assert.Equal(t, 1, hours["bo"].Pages)

	// A file that is broken when the configuration is reloaded changes nothing.
	require.NoError(t, os.WriteFile(file, []byte("<html>"), 0o600))
	code, body := d.post(t, "/-/reload", nil)
	assert.Equal(t, http.StatusInternalServerError, code, body)
	assert.Equal(t, "bo", d.onCall(time.Time{}))
}
