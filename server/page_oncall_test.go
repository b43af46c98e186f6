package server_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// drawings are the SVGs of a page, each of which is well-formed XML.
func drawings(t testing.TB, page string) []string {
	t.Helper()
	all := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	for _, one := range all {
		d := xml.NewDecoder(strings.NewReader(one))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, one)
		}
	}
	return all
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	r.overrides = []tocsin.Override{{
		ID: "o1", Kind: tocsin.OverrideReplace, Schedule: "primary", User: "cy" + evil, From: now.Add(72 * time.Hour), To: now.Add(96 * time.Hour), State: tocsin.OverrideActive,
	}}
	r.beside = []tocsin.Shift{{User: "di", Extra: true}}
	all := drawings(t, safe(t, w.ask("GET", "/oncall", "")))
	require.Len(t, all, 2)
	primary, nights := all[0], all[1]
	assert.Contains(t, primary, `data-zone="Europe/Madrid" data-from="2026-11-21T23:00:00Z" data-to="2026-12-05T23:00:00Z"`, "from midnight in Madrid")
	assert.Contains(t, primary, "<title>ana, Mon 2026-11-16 10:00 CET to Mon 2026-11-23 10:00 CET, layer weekly&lt;script")
	assert.Regexp(t, `<rect x="0" y="22" width="10\d" height="30" class="p0">`, primary, "what began before begins at the edge")
	assert.Regexp(t, `class="p\d changed"><title>cy&lt;script`, primary, "an override is outlined")
	assert.Contains(t, primary, "<title>di, ", "who is on call beside")
	assert.Contains(t, primary, `>ana</text>`)
	assert.Contains(t, primary, `<path class="nowline" d="M17 0V`, "6 of 336 hours")
	assert.Contains(t, primary, `>Mon 23</text>`)
	assert.Contains(t, nights, `class="gap" fill="url(#gap-1)"><title>gap: nobody`)
	assert.Contains(t, nights, `id="gap-1"`)

	page := safe(t, w.ask("GET", "/oncall?weeks=8&schedule=primary", ""))
	all = drawings(t, page)
	require.Len(t, all, 1)
	assert.Contains(t, all[0], `>14 Dec</text>`)
	assert.Contains(t, all[0], `data-to="2027-01-16T23:00:00Z"`)
	assert.Contains(t, page, `<a href="/oncall?schedule=primary&amp;weeks=4">4 weeks</a>`)
	for _, weeks := range []string{"0", "9", "-1", "x", "99999999999999999999"} {
		assert.Contains(t, safe(t, w.ask("GET", "/oncall?weeks="+weeks, "")), `aria-current="true">2 weeks`)
	}
	assert.Equal(t, 404, w.ask("GET", "/oncall?schedule=other", "").Code)
	assert.Contains(t, page, "<th scope=\"row\"><bdi>ana</bdi></th><td>84.5</td>", "fairness")
	assert.Contains(t, page, "next 8 weeks")
	assert.NotContains(t, page, "token=s", "the calendar token is not shown")
}

// busyRota is many schedules with many shifts.
type busyRota struct {
	rota
	schedules int
	length    time.Duration
}

func (c *busyRota) Schedules() (list []tocsin.ScheduleInfo) {
	for i := range c.schedules {
		list = append(list, tocsin.ScheduleInfo{Name: fmt.Sprintf("schedule-%02d", i), TimeZone: "Europe/Madrid", Users: []string{"ana", "bo", "cy", "di"}})
	}
	return list
}

func (c *busyRota) Shifts(_ context.Context, q tocsin.ShiftQuery) (list []tocsin.Shift, err error) {
	for _, info := range c.Schedules() {
		for n, at := 0, monday; !at.After(q.To); n, at = n+1, at.Add(c.length) {
			if to := at.Add(c.length); to.After(q.From) {
				list = append(list, tocsin.Shift{Schedule: info.Name, User: info.Users[n%4], From: at, To: to, Source: "layer of the weekdays"})
			}
		}
	}
	return list, nil
}

func TestOnCallPageIsBounded(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, 12 * time.Hour, time.Hour} {
		w := newWorld(t, server.Config{}, func(d *server.Deps) {
			c := &busyRota{schedules: 20, length: length}
			d.OnCall, d.Overrides, d.Calendar = c, c, c.calendar
		})
		for _, path := range []string{"/oncall?weeks=8", "/oncall?weeks=2", "/oncall?weeks=8&schedule=schedule-07"} {
			rec := w.ask("GET", path, "")
			require.Equal(t, 200, rec.Code)
			page := safe(t, rec)
			t.Logf("%s shifts of %s: %d bytes", path, length, len(page))
			assert.Less(t, rec.Body.Len(), 100<<10, "%s with shifts of %s", path, length)
			if !strings.Contains(path, "schedule=") {
				assert.Contains(t, page, "schedule-19", "each is named")
				assert.Equal(t, 20, strings.Count(page, "until "), "and who is on call now")
			}
			assert.NotEmpty(t, drawings(t, page))
		}
	}
}

func TestOverrideFromThePage(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	page := safe(t, w.ask("GET", "/oncall?schedule=primary", ""))
	assert.Contains(t, page, `<option value="primary" selected data-zone="Europe/Madrid">primary, in Europe/Madrid<`)
	fields := formOf("schedule", "primary", "kind", "replace", "user", "cy", "from", "2026-11-23T10:00", "to", "2026-11-23T18:30", "comment", "doctor")
	rec := w.send("/overrides", fields)
	require.Equal(t, 303, rec.Code, rec.Body.String())
	assert.Equal(t, "/oncall?done=override-made#overrides", rec.Header().Get("Location"))
	require.Len(t, r.overrides, 1)
	o := r.overrides[0]
	assert.Equal(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), o.From, "on the schedule's own clock")
	assert.Equal(t, time.Date(2026, 11, 23, 17, 30, 0, 0, time.UTC), o.To)
	assert.Equal(t, "page", o.CreatedBy)

	page = safe(t, w.ask("GET", "/oncall?done=override-made", ""))
	assert.Contains(t, page, "The override is made.")
	assert.Contains(t, page, "<bdi>cy</bdi></strong> takes over on <bdi>primary</bdi>")
	assert.Contains(t, page, "Mon 2026-11-23 10:00 CET to Mon 2026-11-23 18:30 CET: <bdi>doctor</bdi>")
	assert.Contains(t, page, `action="/overrides/o1/cancel"`)
	rec = w.send("/overrides/o1/cancel", formOf())
	require.Equal(t, 303, rec.Code)
	assert.Equal(t, tocsin.OverrideCancelled, r.overrides[0].State)
	assert.Equal(t, "page", r.overrides[0].EndedBy)
	assert.NotContains(t, safe(t, w.ask("GET", "/oncall", "")), "/overrides/o1/cancel")
	assert.Equal(t, 404, w.send("/overrides/o9/cancel", formOf()).Code)

	// Without a beginning it is when the page was made, however often it is sent.
	for range 2 {
		rec = w.send("/overrides", formOf("schedule", "primary", "kind", "add", "user", "cy", "to", "2026-11-23T18:30", "shown", now.Add(-time.Minute).Format(time.RFC3339)))
		require.Equal(t, 303, rec.Code, rec.Body.String())
	}
	assert.Equal(t, now.Add(-time.Minute), r.overrides[1].From)
	assert.Equal(t, r.overrides[1].From, r.overrides[2].From, "and whoever keeps them sees that they are one")
}

func TestOverridesThatAreRefused(t *testing.T) {
	t.Parallel()
	w, r := rotaWorld(t, server.Config{})
	for name, tc := range map[string]struct{ field, value, want string }{
		"unknown schedule": {"schedule", "other" + evil, "schedule: there is no schedule"},
		"no such time":     {"to", "tomorrow<b>", "to: "},
		"no end":           {"to", "", "to: missing"},
		"over":             {"to", "2020-01-01T00:00", "to: want a time in the future"},
		"unknown":          {"user", "mallory", "user: "},
		"odd":              {"user", "\u202e", "user: "},
		"long":             {"comment", strings.Repeat("x", 5000), "comment: longer"},
		"odd kind":         {"kind", "<script>", "kind: "},
	} {
		fields := formOf("schedule", "primary", "kind", "replace", "user", "cy", "from", "2026-11-23T10:00", "to", "2026-11-23T18:30")
		fields.Set(tc.field, tc.value)
		rec := w.send("/overrides", fields)
		assert.Equal(t, 400, rec.Code, name)
		page := safe(t, rec)
		assert.Contains(t, page, tc.want, name)
		assert.Contains(t, page, `id="override" open`, name)
		if tc.field != "user" {
			assert.Contains(t, page, `name="user" list="people" value="cy"`, "%s: what was typed is still there", name)
		}
	}
	assert.Empty(t, r.overrides)
	assert.Equal(t, 403, w.send("/overrides", formOf("schedule", "primary"), "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, 415, w.ask("POST", "/overrides", "{}").Code)
}

func TestTimeOffAndSwapsFromThePage(t *testing.T) {
	t.Parallel()
	r := &rota{}
	w, _, _ := guarded(t, server.Config{}, func(d *server.Deps) { d.OnCall, d.Overrides = r, r })
	as := func(role string) []string { return []string{"Authorization", "Bearer tocsin_" + role} }
	page := safe(t, w.ask("GET", "/oncall", "", as("manager")...))
	for _, id := range []string{"override", "timeoff", "swap"} {
		assert.Contains(t, page, `<details class="box" id="`+id+`"`)
	}
	assert.NotContains(t, safe(t, w.ask("GET", "/oncall", "", as("viewer")...)), `id="timeoff"`)

	rec := w.send("/overrides", formOf("kind", "time_off", "user", "ana", "from", "2026-12-01T00:00", "to", "2026-12-08T00:00"), as("manager")...)
	require.Equal(t, 303, rec.Code, rec.Body.String())
	assert.Equal(t, "/oncall?done=time-off-made#overrides", rec.Header().Get("Location"))
	require.Len(t, r.overrides, 1)
	assert.Empty(t, r.overrides[0].Schedule, "of all schedules")
	assert.Equal(t, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), r.overrides[0].From, "they have no clock in common")
	assert.Contains(t, safe(t, w.ask("GET", "/oncall", "", as("viewer")...)), "<bdi>ana</bdi></strong> is away on all schedules")
	rec = w.send("/overrides", formOf("kind", "time_off", "user", "ana", "from", "2026-12-01T00:00", "to", "2020-12-08T00:00"), as("manager")...)
	require.Equal(t, 400, rec.Code)
	assert.Contains(t, safe(t, rec), `id="timeoff" open`)

	rec = w.send("/overrides", formOf("kind", "swap", "schedule", "primary", "user", "responder", "replaces", "manager", "from", "2026-12-01T00:00", "to", "2026-12-02T00:00"), as("manager")...)
	require.Equal(t, 303, rec.Code, rec.Body.String())
	require.Len(t, r.overrides, 2)
	id := r.overrides[1].ID
	for role, want := range map[string]bool{"manager": false, "responder": true, "viewer": false} {
		page := safe(t, w.ask("GET", "/oncall", "", as(role)...))
		assert.Contains(t, page, "waits for an answer")
		assert.Equal(t, want, strings.Contains(page, `action="/overrides/`+id+`/accept"`), role)
		assert.Equal(t, want, strings.Contains(page, `action="/overrides/`+id+`/decline"`), role)
	}
	rec = w.send("/overrides/"+id+"/accept", formOf(), as("responder")...)
	require.Equal(t, 303, rec.Code)
	assert.Equal(t, "/oncall?done=swap-accepted#overrides", rec.Header().Get("Location"))
	assert.Equal(t, tocsin.OverrideActive, r.overrides[1].State)
	page = safe(t, w.ask("GET", "/oncall?done=swap-accepted", "", as("responder")...))
	assert.Contains(t, page, "Accepted: the shift is yours.")
	assert.NotContains(t, page, "/accept")
	assert.Equal(t, 404, w.send("/overrides/o9/decline", formOf(), as("responder")...).Code)
}
