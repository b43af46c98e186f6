package server_test

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

func rotaWorld(t testing.TB, c server.Config) (*world, *rota) {
	t.Helper()
	var r *rota
	w := newWorld(t, c, func(d *server.Deps) {
		r = withRota(d)
		d.Calendar = r.calendar
	})
	return w, r
}

type shiftsAnswer struct {
	At, From, To time.Time
	Shifts       []tocsin.Shift
}

func TestWhoIsOnCall(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	got := decoded[struct{ Schedules []tocsin.ScheduleInfo }](t, w.ask("GET", "/api/v1/schedules", "").Body)
	require.Len(t, got.Schedules, 2)
	assert.Equal(t, "primary", got.Schedules[0].Name)

	rec := w.ask("GET", "/api/v1/oncall", "")
	require.Equal(t, 200, rec.Code, rec.Body)
	answer := decoded[shiftsAnswer](t, rec.Body)
	assert.Equal(t, now, answer.At)
	require.Len(t, answer.Shifts, 2)
	assert.Equal(t, "ana", answer.Shifts[0].User)
	assert.Equal(t, [2]time.Time{monday, monday.AddDate(0, 0, 7)}, [2]time.Time{answer.Shifts[0].From, answer.Shifts[0].To}, "whole")
	assert.True(t, answer.Shifts[1].Gap())

	// An offset, with its + escaped and, as people type it, not.
	for _, at := range []string{"2026-11-23T10:00:00%2B01:00", "2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00Z"} {
		answer := decoded[shiftsAnswer](t, w.ask("GET", "/api/v1/oncall?schedule=primary&at="+at, "").Body)
		assert.Equal(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), answer.At)
		require.Len(t, answer.Shifts, 1, at)
		assert.Equal(t, "bo", answer.Shifts[0].User)
	}
	assert.JSONEq(t, `{"at":"2026-11-22T05:00:00Z","shifts":[]}`, w.ask("GET", "/api/v1/oncall?user=bo", "").Body.String())
	for _, query := range []string{"schedule=other", "user=zoe"} {
		rec := w.ask("GET", "/api/v1/oncall?"+query, "")
		assert.Equal(t, 404, rec.Code)
		assert.Equal(t, "not_found", refusal(t, rec).Error.Code)
	}
	r.err = errors.New("secret path")
	rec = w.ask("GET", "/api/v1/oncall", "")
	assert.Equal(t, 500, rec.Code)
	assert.NotContains(t, rec.Body.String(), "secret path")
}

func TestShiftsCoverageAndFairness(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	const day = 24 * time.Hour
	asked := func(path string) [2]time.Time {
		t.Helper()
		rec := w.ask("GET", "/api/v1/"+path, "")
		require.Equal(t, 200, rec.Code, rec.Body)
		answer := decoded[shiftsAnswer](t, rec.Body)
		told := [2]time.Time{answer.From, answer.To}
		assert.Equal(t, r.spans[len(r.spans)-1], told, "the answer says what was asked")
		return told
	}
	assert.Equal(t, [2]time.Time{now, now.Add(14 * day)}, asked("shifts"))
	assert.Equal(t, [2]time.Time{now, now.Add(56 * day)}, asked("oncall/coverage"))
	assert.Equal(t, [2]time.Time{now.Add(-84 * day), now}, asked("oncall/fairness"))
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, path := range []string{"shifts", "oncall/coverage", "oncall/fairness"} {
		assert.Equal(t, [2]time.Time{from, from.AddDate(2, 0, 0)}, asked(path+"?from=2026-01-01T00:00:00Z&to=2028-01-01T00:00:00Z"), path)
		for query, field := range map[string]string{
			"from=yesterday": "from", "to=2026-11-29": "to", "to=1e9": "to", "from=2026-13-01T00:00:00Z": "from",
			"from=2026-11-22T05:00:00Z&to=2026-11-22T05:00:00Z": "to",
			"from=2026-11-22T05:00:00Z&to=2026-11-21T05:00:00Z": "to",
			"from=2026-11-22T05:00:00Z&to=2028-11-23T05:00:00Z": "to",
			"from=0001-01-01T00:00:00Z":                         "from",
			"to=9999-12-31T23:59:59Z":                           "to",
			"from=" + strings.Repeat("9", 5000):                 "from",
		} {
			rec := w.ask("GET", "/api/v1/"+path+"?"+query, "")
			require.Equal(t, 400, rec.Code, "%s?%s", path, query)
			assert.Equal(t, field, refusal(t, rec).Error.Field, "%s?%s", path, query)
		}
	}
	for _, query := range []string{"schedule=" + strings.Repeat("x", 129), "user=%00", "user=%ff", "user=a%E2%80%AEb"} {
		for _, path := range []string{"shifts", "oncall"} {
			rec := w.ask("GET", "/api/v1/"+path+"?"+query, "")
			assert.Equal(t, 400, rec.Code, query)
			assert.Contains(t, query, refusal(t, rec).Error.Field+"=")
		}
	}
	assert.Equal(t, "at", refusal(t, w.ask("GET", "/api/v1/oncall?at=now", "")).Error.Field)

	list := decoded[shiftsAnswer](t, w.ask("GET", "/api/v1/shifts?schedule=primary&from=2026-11-16T09:00:00Z&to=2026-12-07T09:00:00Z", "").Body).Shifts
	require.Len(t, list, 3)
	assert.Equal(t, []string{"ana", "bo", "ana"}, []string{list[0].User, list[1].User, list[2].User})

	assert.Contains(t, w.ask("GET", "/api/v1/oncall/coverage", "").Body.String(), `"uncovered":[]`)
	r.uncovered = []tocsin.Uncovered{{Policy: "platform", Severity: tocsin.Critical, From: now, To: now.Add(time.Hour), Why: []string{"step 1: gap"}}}
	assert.Equal(t, r.uncovered, decoded[struct{ Uncovered []tocsin.Uncovered }](t, w.ask("GET", "/api/v1/oncall/coverage", "").Body).Uncovered)
	assert.Equal(t, []tocsin.Share{{User: "ana", Hours: 84.5, Shifts: 1}},
		decoded[struct{ Shares []tocsin.Share }](t, w.ask("GET", "/api/v1/oncall/fairness", "").Body).Shares)
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	w, _ := rotaWorld(t, server.Config{})
	onCall := func(at string) string {
		t.Helper()
		return decoded[shiftsAnswer](t, w.ask("GET", "/api/v1/oncall?schedule=primary&at="+at, "").Body).Shifts[0].User
	}
	post := func(path, body string) (*httptest.ResponseRecorder, tocsin.Override) {
		t.Helper()
		rec := w.ask("POST", "/api/v1/overrides"+path, body)
		if rec.Code != 200 {
			return rec, tocsin.Override{}
		}
		return rec, decoded[tocsin.Override](t, strings.NewReader(rec.Body.String()))
	}
	assert.JSONEq(t, `{"overrides":[]}`, w.ask("GET", "/api/v1/overrides", "").Body.String())
	_, o := post("", `{"kind":"replace","schedule":"primary","user":"cy","to":"2026-11-22T09:00:00+01:00","comment":"doctor","createdBy":"ana","state":"cancelled"}`)
	assert.Equal(t, tocsin.Override{
		ID: "o1", Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy", From: now, To: now.Add(3 * time.Hour),
		State: tocsin.OverrideActive, Comment: "doctor", CreatedBy: "ana", CreatedAt: now,
	}, o)
	assert.Equal(t, "cy", onCall("2026-11-22T06:00:00Z"))
	assert.Equal(t, "ana", onCall("2026-11-22T08:00:00Z"))
	_, o = post("/o1/cancel", "")
	assert.Equal(t, tocsin.OverrideCancelled, o.State)
	assert.Equal(t, "api", o.EndedBy)
	assert.Equal(t, "ana", onCall("2026-11-22T06:00:00Z"))

	// Anybody may accept this swap; bo does, twice.
	_, o = post("", `{"kind":"swap","schedule":"primary","user":"","replaces":"ana","from":"2026-11-22T06:00:00Z","to":"2026-11-22T07:00:00Z"}`)
	assert.Equal(t, tocsin.OverrideRequested, o.State)
	assert.Equal(t, "ana", onCall("2026-11-22T06:00:00Z"))
	for range 2 {
		_, o = post("/o2/accept", `{"by":"bo"}`)
		assert.Equal(t, tocsin.OverrideActive, o.State)
	}
	assert.Equal(t, "bo", onCall("2026-11-22T06:00:00Z"))
	rec, _ := post("/o2/decline", `{"by":"bo"}`)
	assert.Equal(t, 409, rec.Code)
	assert.Contains(t, refusal(t, rec).Error.Message, "override o2 is active")

	_, o = post("", `{"kind":"time_off","user":"bo","from":"2026-12-01T00:00:00Z","to":"2027-12-01T00:00:00Z"}`)
	assert.Equal(t, tocsin.OverrideActive, o.State)
	assert.Len(t, decoded[struct{ Overrides []tocsin.Override }](t, w.ask("GET", "/api/v1/overrides", "").Body).Overrides, 3)

	rec, _ = post("/o9/cancel", "")
	assert.Equal(t, 404, rec.Code)
	assert.Equal(t, `override "o9": not found`, refusal(t, rec).Error.Message)
	rec, _ = post("", `{"schedule":"primary","user":"cy","from":"2026-11-22 06:00","to":"2026-11-22T07:00:00Z"}`)
	assert.Equal(t, "from", refusal(t, rec).Error.Field)
	assert.Contains(t, refusal(t, rec).Error.Message, "want a time like 2026-11-22T09:00:00Z")
	rec, _ = post("/o1/explode", "")
	assert.Equal(t, 404, rec.Code)
	rec, _ = post("/o1/cancel", `{"who":"ana"}`)
	assert.Equal(t, "who", refusal(t, rec).Error.Field)
	rec, _ = post("/o1/cancel", `{"by":"\u0007"}`)
	assert.Equal(t, "by", refusal(t, rec).Error.Field)
}

func TestOverridesAreChecked(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	const good = `{"kind":"replace","schedule":"primary","user":"cy","replaces":"ana","from":"2026-11-22T06:00:00Z","to":"2026-11-22T07:00:00Z","comment":"c"}`
	for name, tc := range map[string]struct{ old, new, field string }{
		"an id":                       {`"kind"`, `"id":"o1","kind"`, "id"},
		"an odd kind":                 {`"replace"`, `"remove"`, "kind"},
		"no schedule":                 {`"primary"`, `""`, "schedule"},
		"a long schedule":             {`"primary"`, `"` + strings.Repeat("x", 129) + `"`, "schedule"},
		"nobody":                      {`"cy"`, `""`, "user"},
		"somebody odd":                {`"cy"`, `"c\u0000y"`, "user"},
		"somebody unknown":            {`"cy"`, `"mallory"`, "user"},
		"an odd one to replace":       {`"ana"`, `"\u2028"`, "replaces"},
		"for themselves":              {`"ana"`, `"cy"`, "replaces"},
		"added in place of":           {`"kind":"replace"`, `"kind":"add"`, "replaces"},
		"away in place of":            {`"kind":"replace"`, `"kind":"time_off"`, "replaces"},
		"no end":                      {`"to":"2026-11-22T07:00:00Z",`, ``, "to"},
		"it is over":                  {`06:00:00Z","to":"2026-11-22T07`, `03:00:00Z","to":"2026-11-22T05`, "to"},
		"it ends before it begins":    {`T06:00`, `T08:00`, "to"},
		"it lasts for longer than...": {`"2026-11-22T07:00:00Z"`, `"2027-12-22T07:00:00Z"`, "to"},
		"it never began":              {`"2026-11-22T06:00:00Z"`, `"1999-11-22T06:00:00Z"`, "from"},
		"for ever":                    {`"2026-11-22T07:00:00Z"`, `"9999-11-22T07:00:00Z"`, "to"},
		"not a time":                  {`"2026-11-22T06:00:00Z"`, `1`, "from"},
		"a novel":                     {`"c"`, `"` + strings.Repeat("x", 4097) + `"`, "comment"},
		"an odd author":               {`"comment"`, `"createdBy":"\u202e","comment"`, "createdBy"},
		"a misspelt field":            {`"comment"`, `"coment":"","comment"`, "coment"},
	} {
		rec := w.ask("POST", "/api/v1/overrides", strings.Replace(good, tc.old, tc.new, 1))
		require.Equal(t, 400, rec.Code, "%s: %s", name, rec.Body)
		assert.Equal(t, tc.field, refusal(t, rec).Error.Field, name)
	}
	assert.Empty(t, r.overrides)
	assert.Equal(t, 400, w.ask("POST", "/api/v1/overrides", "").Code)
	assert.Equal(t, 403, w.ask("POST", "/api/v1/overrides", good, "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, 403, w.ask("POST", "/api/v1/overrides/o1/cancel", "", "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, 200, w.ask("POST", "/api/v1/overrides", good).Code)

	owned, r := rotaWorld(t, server.Config{API: []server.Token{{Name: "ben", Token: "t"}}})
	assert.Equal(t, 401, owned.ask("POST", "/api/v1/overrides", good).Code)
	body := strings.Replace(good, `"comment"`, `"createdBy":"mallory","comment"`, 1)
	require.Equal(t, 200, owned.ask("POST", "/api/v1/overrides", body, "Authorization", "Bearer t").Code)
	assert.Equal(t, "ben", r.overrides[0].CreatedBy)
	require.Equal(t, 200, owned.ask("POST", "/api/v1/overrides/o1/cancel", `{"by":"mallory"}`, "Authorization", "Bearer t").Code)
	assert.Equal(t, "ben", r.overrides[0].EndedBy, "the token says who acts")
}

func TestWithoutSchedulesThereIsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{})
	for _, path := range []string{
		"schedules", "oncall", "oncall/coverage", "oncall/fairness", "shifts", "overrides", "schedules/primary/calendar.ics", "users/ana/calendar.ics",
	} {
		rec := w.ask("GET", "/api/v1/"+path, "")
		assert.Equal(t, 404, rec.Code, path)
		assert.Equal(t, "not_found", refusal(t, rec).Error.Code)
	}
	for _, path := range []string{"overrides", "overrides/o1/accept", "overrides/o1/decline", "overrides/o1/cancel"} {
		assert.Equal(t, 404, w.ask("POST", "/api/v1/"+path, "{}").Code, path)
	}
	rec := w.ask("GET", "/oncall", "")
	assert.Equal(t, 404, rec.Code)
	safe(t, rec)
	assert.NotContains(t, w.ask("GET", "/", "").Body.String(), `href="/oncall"`)
}

// Questions about schedules cost time: no more than a few are computed at once,
// and those that wait too long are told to try again.
func TestQuestionsAboutSchedulesAreBounded(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{Limits: server.Limits{Plans: 2, Wait: 20 * time.Millisecond, Shifts: 10}})
	r.wait, r.inside = make(chan struct{}), make(chan struct{}, 9)
	first := make(chan int, 2)
	for range 2 {
		go func() { first <- w.ask("GET", "/api/v1/oncall", "").Code }()
	}
	<-r.inside
	<-r.inside
	assert.Equal(t, 503, w.ask("GET", "/api/v1/shifts", "").Code)
	assert.Equal(t, 503, w.ask("GET", "/oncall", "").Code)
	assert.Equal(t, 503, w.ask("GET", "/api/v1/users/ana/calendar.ics", "").Code)
	assert.Positive(t, w.metric(t, `tocsin_http_shed_total{reason="overload"}`))
	assert.Equal(t, 200, w.ask("GET", "/api/v1/schedules", "").Code, "this costs nothing")
	close(r.wait)
	assert.Equal(t, 200, <-first)
	assert.Equal(t, 200, <-first)
	assert.Equal(t, 200, w.ask("GET", "/api/v1/shifts", "").Code)

	rec := w.ask("GET", "/api/v1/shifts?to=2027-11-22T00:00:00Z", "")
	assert.Equal(t, 400, rec.Code)
	assert.Contains(t, refusal(t, rec).Error.Message, "more than 10 shifts")
}

func TestCalendars(t *testing.T) {
	t.Parallel()
	w, _ := rotaWorld(t, server.Config{})
	rec := w.ask("GET", "/api/v1/schedules/primary/calendar.ics", "")
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, "text/calendar; charset=utf-8", rec.Header().Get("Content-Type"))
	assert.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	assert.Equal(t, "BEGIN:VCALENDAR\r\nX-OF:primary/\r\nEND:VCALENDAR\r\n", rec.Body.String())
	assert.Contains(t, w.ask("GET", "/api/v1/users/ana/calendar.ics", "").Body.String(), "X-OF:/ana")
	assert.Contains(t, w.ask("GET", "/api/v1/users/"+url.PathEscape("a b/c?d")+"/calendar.ics", "").Body.String(), "X-OF:/a b/c?d", "a name may hold anything")

	assert.Equal(t, 404, w.ask("GET", "/api/v1/schedules/ana/calendar.ics", "").Code)
	assert.Equal(t, 404, w.ask("GET", "/api/v1/users/primary/calendar.ics", "").Code)
	for _, name := range []string{strings.Repeat("x", 129), "%00", "a%E2%80%AEb"} {
		rec := w.ask("GET", "/api/v1/users/"+name+"/calendar.ics", "")
		assert.Equal(t, 400, rec.Code, name)
		assert.Equal(t, "name", refusal(t, rec).Error.Field)
	}
	rec = w.ask("GET", "/api/v1/schedules/broken/calendar.ics", "")
	assert.Equal(t, 500, rec.Code)
	assert.NotContains(t, rec.Body.String(), "disk on fire")
}

// The calendar token opens the two calendars, from anywhere, and nothing else.
func TestCalendarToken(t *testing.T) {
	t.Parallel()
	const secret = "calendar-s3cret"
	w, _ := rotaWorld(t, server.Config{API: []server.Token{{Name: "ana", Token: "ana-s3cret"}}, CalendarToken: secret})
	far := []string{"Remote", "203.0.113.9:1", "Host", "tocsin.example.com"}
	calendars := []string{"/api/v1/schedules/primary/calendar.ics", "/api/v1/users/ana/calendar.ics"}
	for _, path := range calendars {
		for query, want := range map[string]int{
			"": 401, "?token=": 401, "?token=" + secret: 200, "?token=" + secret + "x": 401, "?token=ana-s3cret": 401,
			"?token=" + secret + "&token=" + secret: 401, "?Token=" + secret: 401,
		} {
			assert.Equal(t, want, w.ask("GET", path+query, "", far...).Code, path+query)
		}
		for header, want := range map[string]int{
			"Bearer ana-s3cret": 200, "Basic YW55OmFuYS1zM2NyZXQ=": 200, "Bearer wrong": 401,
			"Bearer " + secret: 401, // it is for addresses
		} {
			assert.Equal(t, want, w.ask("GET", path, "", append(far, "Authorization", header)...).Code, path+" "+header)
		}
		assert.Equal(t, 401, w.ask("GET", path+"?token=wrong", "", append(far, "Authorization", "Bearer ana-s3cret")...).Code,
			"a wrong token is not made up for")
	}
	for _, r := range w.Routes() {
		if strings.HasSuffix(r.Path, "/calendar.ics") || r.Method != "GET" {
			continue
		}
		path := strings.NewReplacer(":id", "k7f3q9", "*", "x").Replace(r.Path)
		for _, token := range []string{secret, "ana-s3cret"} {
			with, without := w.ask("GET", path+"?token="+token, "", far...).Code, w.ask("GET", path, "", far...).Code
			assert.Equal(t, without, with, path)
		}
	}
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		assert.NotContains(t, f.String(), "s3cret")
	}
	assert.NotContains(t, w.log.String(), "s3cret")

	require.Error(t, w.SetAuth(server.Config{API: []server.Token{{Name: "ana", Token: "same"}}, CalendarToken: "same"}), "an address must not open the API")
	require.NoError(t, w.SetAuth(server.Config{API: []server.Token{{Name: "ana", Token: "ana-s3cret"}}, CalendarToken: "another"}))
	assert.Equal(t, 401, w.ask("GET", calendars[0]+"?token="+secret, "", far...).Code)
	assert.Equal(t, 200, w.ask("GET", calendars[0]+"?token=another", "", far...).Code)
	require.NoError(t, w.SetAuth(server.Config{API: []server.Token{{Name: "ana", Token: "ana-s3cret"}}, CalendarToken: ""}))
	assert.Equal(t, 401, w.ask("GET", calendars[0]+"?token=", "", far...).Code)

	// Without API tokens the calendars are for this machine, or for the token.
	w, _ = rotaWorld(t, server.Config{CalendarToken: secret})
	assert.Equal(t, 403, w.ask("GET", calendars[0], "", far...).Code)
	assert.Equal(t, 200, w.ask("GET", calendars[0]+"?token="+secret, "", far...).Code)
	assert.Equal(t, 200, w.ask("GET", calendars[0], "").Code)
	assert.Equal(t, 401, w.ask("GET", calendars[0]+"?token=wrong", "").Code)
	assert.Equal(t, 403, w.ask("GET", "/api/v1/schedules?token="+secret, "", far...).Code)
}

func TestOnCallPage(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	rec := w.ask("GET", "/oncall", "")
	require.Equal(t, 200, rec.Code)
	page := safe(t, rec)
	for _, want := range []string{
		"<strong><bdi>ana</bdi></strong> until Mon 2026-11-23 10:00 CET", // the schedule's own clock
		"<strong>Gap:</strong> nobody is on call now", "gap: nobody", "layer weekly&lt;script",
		"reaches somebody at every minute", `href="/api/v1/schedules/primary/calendar.ics"`, `href="/api/v1/users/bo/calendar.ics"`,
		`href="/api/v1/schedules/nights%3Cscript%3Ealert%281%29%3C%2Fscript%3E%E2%80%AE%07/calendar.ics"`,
	} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "Not covered")
	assert.Contains(t, safe(t, w.ask("GET", "/", "")), `href="/oncall"`)

	r.uncovered = []tocsin.Uncovered{{Policy: "platform" + evil, Severity: tocsin.Critical, From: now, To: now.Add(time.Hour), Why: []string{"step 1: gap" + evil}}}
	page = safe(t, w.ask("GET", "/oncall", ""))
	assert.Contains(t, page, "Not covered: nobody would be paged")
	assert.Contains(t, page, "step 1: gap&lt;script")
	assert.Contains(t, page, "Sun 2026-11-22 06:00 UTC")

	r.err = tocsin.ErrUnavailable
	rec = w.ask("GET", "/oncall", "")
	assert.Equal(t, 503, rec.Code)
	safe(t, rec)
}

// That coverage cannot be computed is said; who is on call is shown all the same.
func TestOnCallPageWithoutCoverage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.OnCall = brokenProof{&rota{}} })
	rec := w.ask("GET", "/oncall", "")
	require.Equal(t, 200, rec.Code)
	page := safe(t, rec)
	assert.Contains(t, page, "Not known:")
	assert.Contains(t, page, "<bdi>ana</bdi>")
	assert.NotContains(t, page, "reaches somebody")
	assert.NotContains(t, page, "disk on fire")
	assert.NotContains(t, page, ".ics", "there are no calendars")
}

// TestWhoeverIsOnCallComesFirst: the first name of a schedule is the one to call.
func TestWhoeverIsOnCallComesFirst(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	r.beside = []tocsin.Shift{{User: "cy", Extra: true, Shadow: true}, {User: "bo", Extra: true}}
	var got []string
	for _, s := range decoded[shiftsAnswer](t, w.ask("GET", "/api/v1/oncall", "").Body).Shifts {
		got = append(got, s.User)
	}
	assert.Equal(t, []string{"ana", "bo", "cy", ""}, got, "and the gap of the other schedule")
}
