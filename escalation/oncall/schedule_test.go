package oncall_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

const (
	monday = 1 << time.Monday
	friday = 1 << time.Friday
	work   = 0b0111110
)

func date(y, m, d int) oncall.Date { return oncall.Date{Year: y, Month: time.Month(m), Day: d} }

func at(t testing.TB, s string, loc *time.Location) time.Time {
	t.Helper()
	got, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
	require.NoError(t, err)
	return got
}

func weekly(users ...string) *oncall.Rotation {
	return &oncall.Rotation{Users: users, Unit: oncall.Weeks, Length: 1, Start: date(2026, 1, 5), Handoff: 9 * 60}
}

func compile(t testing.TB, spec oncall.Spec) *oncall.Schedule {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "primary"
	}
	s, err := oncall.New(spec)
	require.NoError(t, err)
	return s
}

// lines writes shifts for people, in the zone of the schedule.
func lines(shifts []tocsin.Shift) []string {
	var out []string
	for _, s := range shifts {
		line := fmt.Sprintf("%s – %s %s", s.From.Format("Mon 02 15:04"), s.To.Format("Mon 02 15:04"), s.User)
		if s.User == "" {
			line += "nobody"
		}
		if s.Source != "" {
			line += ", " + s.Source
		}
		if s.Shadow {
			line += ", shadow"
		} else if s.Extra {
			line += ", extra"
		}
		out = append(out, line)
	}
	return out
}

func TestShifts(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	for _, c := range []struct {
		name     string
		spec     oncall.Spec
		from, to string
		want     []string
	}{
		{
			"weekly, clipped",
			oncall.Spec{Layers: []oncall.Layer{{Name: "weekly", Rotation: weekly("ana", "bo", "cy")}}},
			"2026-01-10 00:00", "2026-01-20 00:00",
			[]string{"Sat 10 00:00 – Mon 12 09:00 ana, layer weekly", "Mon 12 09:00 – Mon 19 09:00 bo, layer weekly", "Mon 19 09:00 – Tue 20 00:00 cy, layer weekly"},
		},
		{
			"nobody before the start",
			oncall.Spec{Layers: []oncall.Layer{{Name: "weekly", Rotation: weekly("ana")}}},
			"2026-01-05 00:00", "2026-02-01 00:00",
			[]string{"Mon 05 00:00 – Mon 05 09:00 nobody", "Mon 05 09:00 – Sun 01 00:00 ana, layer weekly"},
		},
		{
			// oneuptime #2413: a restriction to working days made Friday's person serve on Monday too.
			"Friday's person is not Monday's",
			oncall.Spec{Layers: []oncall.Layer{{
				Name: "days", Windows: []oncall.Window{{Days: work}},
				Rotation: &oncall.Rotation{Users: []string{"ana", "bo", "cy", "di", "eve"}, Unit: oncall.DaysUnit, Length: 1, Start: date(2026, 1, 5)},
			}}},
			"2026-01-09 00:00", "2026-01-14 00:00",
			[]string{
				"Fri 09 00:00 – Sat 10 00:00 eve, layer days", "Sat 10 00:00 – Mon 12 00:00 nobody",
				"Mon 12 00:00 – Tue 13 00:00 cy, layer days", "Tue 13 00:00 – Wed 14 00:00 di, layer days",
			},
		},
		{
			// grafana/oncall #3261: after the clock was put back, handoffs came an hour early.
			"the handoff stays behind the autumn's change",
			oncall.Spec{Layers: []oncall.Layer{{Name: "weekly", Rotation: weekly("ana", "bo")}}},
			"2026-10-20 00:00", "2026-11-05 00:00",
			[]string{"Tue 20 00:00 – Mon 26 09:00 bo, layer weekly", "Mon 26 09:00 – Mon 02 09:00 ana, layer weekly", "Mon 02 09:00 – Thu 05 00:00 bo, layer weekly"},
		},
		{
			// grafana/oncall #5247: overlap or gap on the day of the change.
			"twelve hours each on the day of the change",
			oncall.Spec{Layers: []oncall.Layer{
				{Name: "day", Rotation: weekly("ana"), Windows: []oncall.Window{{From: 2*60 + 30, To: 14*60 + 30}}},
				{Name: "night", Rotation: weekly("bo"), Windows: []oncall.Window{{From: 14*60 + 30, To: 2*60 + 30}}},
			}},
			"2026-03-28 12:00", "2026-03-29 18:00",
			[]string{"Sat 28 12:00 – Sat 28 14:30 ana, layer day", "Sat 28 14:30 – Sun 29 03:00 bo, layer night", "Sun 29 03:00 – Sun 29 14:30 ana, layer day", "Sun 29 14:30 – Sun 29 18:00 bo, layer night"},
		},
		{
			"the highest layer that covers wins, of equals the first",
			oncall.Spec{Layers: []oncall.Layer{
				{Name: "base", Rotation: weekly("ana")},
				{Name: "same", Rotation: weekly("cy")},
				{Name: "friday night", Priority: 2, Rotation: weekly("bo"), Windows: []oncall.Window{{Days: friday, From: 22 * 60, To: 6 * 60}}},
				{Name: "shadow", Rotation: weekly("zoe"), Shadow: true, Windows: []oncall.Window{{Days: friday, From: 9 * 60, To: 17 * 60}}},
			}},
			"2026-01-09 00:00", "2026-01-11 00:00",
			[]string{
				"Fri 09 00:00 – Fri 09 22:00 ana, layer base", "Fri 09 09:00 – Fri 09 17:00 zoe, layer shadow, shadow",
				"Fri 09 22:00 – Sat 10 06:00 bo, layer friday night", "Sat 10 06:00 – Sun 11 00:00 ana, layer base",
			},
		},
		{
			"holidays hand the shift to another rotation",
			oncall.Spec{
				Holidays: []oncall.Date{date(2026, 12, 25), date(2026, 12, 26), date(2026, 12, 25)},
				Layers: []oncall.Layer{
					{Name: "office", Days: oncall.NotHolidays, Rotation: weekly("ana")},
					{Name: "holiday", Days: oncall.HolidaysOnly, Rotation: weekly("bo")},
				},
			},
			"2026-12-24 00:00", "2026-12-28 00:00",
			[]string{"Thu 24 00:00 – Fri 25 00:00 ana, layer office", "Fri 25 00:00 – Sun 27 00:00 bo, layer holiday", "Sun 27 00:00 – Mon 28 00:00 ana, layer office"},
		},
		{
			"following the sun",
			oncall.Spec{Layers: []oncall.Layer{
				{Name: "asia", Location: zone(t, "Asia/Tokyo"), Rotation: weekly("aki"), Windows: []oncall.Window{{From: 9 * 60, To: 17 * 60}}},
				{Name: "europe", Rotation: weekly("ana"), Windows: []oncall.Window{{From: 9 * 60, To: 17 * 60}}},
				{Name: "america", Location: zone(t, "America/Los_Angeles"), Rotation: weekly("al"), Windows: []oncall.Window{{From: 8 * 60, To: 16 * 60}}},
			}},
			"2026-01-13 01:00", "2026-01-14 01:00",
			[]string{"Tue 13 01:00 – Tue 13 09:00 aki, layer asia", "Tue 13 09:00 – Tue 13 17:00 ana, layer europe", "Tue 13 17:00 – Wed 14 01:00 al, layer america"},
		},
		{
			"months that begin at their end",
			oncall.Spec{Layers: []oncall.Layer{{Name: "months", Rotation: &oncall.Rotation{
				Users: []string{"ana", "bo"}, Unit: oncall.Months, Length: 1, Start: date(2026, 1, 31), Handoff: 9 * 60,
			}}}},
			"2026-02-01 00:00", "2026-05-01 00:00",
			[]string{"Sun 01 00:00 – Sat 28 09:00 ana, layer months", "Sat 28 09:00 – Tue 31 09:00 bo, layer months", "Tue 31 09:00 – Thu 30 09:00 ana, layer months", "Thu 30 09:00 – Fri 01 00:00 bo, layer months"},
		},
		{
			"fixed shifts, of which the first in the list holds",
			oncall.Spec{Layers: []oncall.Layer{{Name: "imported", Spans: []oncall.Span{
				{User: "ana", From: at(t, "2026-01-05 10:00", madrid), To: at(t, "2026-01-05 12:00", madrid)},
				{User: "bo", From: at(t, "2026-01-05 09:00", madrid), To: at(t, "2026-01-05 14:00", madrid)},
			}}}},
			"2026-01-05 08:00", "2026-01-05 15:00",
			[]string{
				"Mon 05 08:00 – Mon 05 09:00 nobody", "Mon 05 09:00 – Mon 05 10:00 bo, layer imported", "Mon 05 10:00 – Mon 05 12:00 ana, layer imported",
				"Mon 05 12:00 – Mon 05 14:00 bo, layer imported", "Mon 05 14:00 – Mon 05 15:00 nobody",
			},
		},
		{
			"a calendar that is empty as yet",
			oncall.Spec{Layers: []oncall.Layer{{Name: "imported", Spans: []oncall.Span{}}}},
			"2026-01-05 08:00", "2026-01-05 15:00",
			[]string{"Mon 05 08:00 – Mon 05 15:00 nobody"},
		},
		{
			"the wrong way round",
			oncall.Spec{Layers: []oncall.Layer{{Name: "weekly", Rotation: weekly("ana")}}},
			"2026-01-12 00:00", "2026-01-10 00:00", nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.spec.Location = madrid
			got := compile(t, c.spec).Shifts(nil, at(t, c.from, madrid), at(t, c.to, madrid))
			assert.Equal(t, c.want, lines(got))
		})
	}
}

// TestADayThatWasSkipped: Samoa had no 2011-12-30. The turn of that day is empty;
// the others are whose they would have been.
func TestADayThatWasSkipped(t *testing.T) {
	t.Parallel()
	apia := zone(t, "Pacific/Apia")
	s := compile(t, oncall.Spec{Location: apia, Layers: []oncall.Layer{{Name: "days", Rotation: &oncall.Rotation{
		Users: []string{"ana", "bo", "cy"}, Unit: oncall.DaysUnit, Length: 1, Start: date(2011, 12, 28),
	}}}})
	got := s.Shifts(nil, at(t, "2011-12-28 00:00", apia), at(t, "2012-01-02 00:00", apia))
	assert.Equal(t, []string{
		"Wed 28 00:00 – Thu 29 00:00 ana, layer days",
		"Thu 29 00:00 – Sat 31 00:00 bo, layer days",
		"Sat 31 00:00 – Sun 01 00:00 ana, layer days",
		"Sun 01 00:00 – Mon 02 00:00 bo, layer days",
	}, lines(got))
	assert.Equal(t, 24*time.Hour, got[1].To.Sub(got[1].From))
}

func TestAtReturnsWholeShifts(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	s := compile(t, oncall.Spec{Location: madrid, Layers: []oncall.Layer{
		{Name: "weekly", Rotation: weekly("ana", "bo")},
		{Name: "learning", Shadow: true, Rotation: weekly("zoe"), Windows: []oncall.Window{{From: 9 * 60, To: 17 * 60}}},
	}})
	noon := at(t, "2026-01-14 12:00", madrid)
	assert.Equal(t, []string{"Mon 12 09:00 – Mon 19 09:00 bo, layer weekly", "Wed 14 09:00 – Wed 14 17:00 zoe, layer learning, shadow"}, lines(s.At(nil, noon)))
	handoff := at(t, "2026-01-12 09:00", madrid)
	assert.Equal(t, "bo", s.At(nil, handoff)[0].User, "the handoff is the incoming's")
	assert.Equal(t, "ana", s.At(nil, handoff.Add(-1))[0].User)
	before := s.At(nil, at(t, "2025-12-31 12:00", madrid))
	require.Len(t, before, 1)
	assert.True(t, before[0].Gap())
	assert.Equal(t, at(t, "2026-01-05 09:00", madrid).UTC(), before[0].To.UTC(), "the gap ends with the first shift")

	alone := compile(t, oncall.Spec{Layers: []oncall.Layer{{Name: "alone", Rotation: &oncall.Rotation{Users: []string{"ana"}, Unit: oncall.DaysUnit, Length: 1, Start: date(2000, 1, 1)}}}})
	got := alone.At(nil, noon)
	require.Len(t, got, 1)
	assert.Greater(t, got[0].To.Sub(noon), 365*24*time.Hour)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	ok := oncall.Layer{Name: "weekly", Rotation: weekly("ana")}
	with := func(change func(*oncall.Layer)) []oncall.Layer {
		l := oncall.Layer{Name: "weekly", Rotation: weekly("ana")}
		change(&l)
		return []oncall.Layer{ok, l}[1:]
	}
	for _, c := range []struct {
		want string
		spec oncall.Spec
	}{
		{"has no name", oncall.Spec{Layers: []oncall.Layer{ok}}},
		{"no layer that anybody is on call on", oncall.Spec{Name: "s"}},
		{"no layer that anybody is on call on", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Shadow = true })}},
		{"another layer has this name", oncall.Spec{Name: "s", Layers: []oncall.Layer{ok, ok}}},
		{"it has no name", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Name = "" })}},
		{"neither", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation = nil })}},
		{"both", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Spans = []oncall.Span{} })}},
		{"no users", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Users = nil })}},
		{"without a name", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Users = []string{"ana", ""} })}},
		{"0 units long", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Length = 0 })}},
		{"100001 units long", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Length = 100_001 })}},
		{"handoff is at minute 1500", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Handoff = 25 * 60 })}},
		{"handoff is at minute -1", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Handoff = -1 })}},
		{"starts on 2026-02-30", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Start = date(2026, 2, 30) })}},
		{"starts on 0000-00-00", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Start = oncall.Date{} })}},
		{"4 is no unit", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Rotation.Unit = oncall.Months + 1 })}},
		{"3 is no value of Days", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Days = 3 })}},
		{"no window from minute 1440", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) { l.Windows = []oncall.Window{{From: 1440}} })}},
		{"fixed shift 1 has no user", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) {
			l.Rotation, l.Spans = nil, []oncall.Span{{From: epoch, To: epoch.Add(1)}}
		})}},
		{"fixed shift 1 (ana) ends at", oncall.Spec{Name: "s", Layers: with(func(l *oncall.Layer) {
			l.Rotation, l.Spans = nil, []oncall.Span{{User: "ana", From: epoch, To: epoch}}
		})}},
		{"there is no day 2026-13-01", oncall.Spec{Name: "s", Layers: []oncall.Layer{ok}, Holidays: []oncall.Date{date(2026, 13, 1)}}},
	} {
		_, err := oncall.New(c.spec)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestWhatAScheduleTellsAboutItself(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	spec := oncall.Spec{
		Name: "primary", Location: madrid, Holidays: []oncall.Date{date(2026, 12, 25)},
		Layers: []oncall.Layer{
			{Name: "weekly", Rotation: weekly("ana", "bo", "ana")},
			{Name: "learning", Shadow: true, Rotation: weekly("zoe", "bo")},
			{Name: "holidays", Priority: 1, Days: oncall.HolidaysOnly, Rotation: weekly("cy")},
			{Name: "imported", Priority: -1, Spans: []oncall.Span{{User: "di", From: epoch, To: epoch.Add(time.Hour)}}},
		},
	}
	s := compile(t, spec)
	spec.Layers[0].Rotation.Users[0] = "mallory"
	assert.Equal(t, []string{"ana", "bo", "zoe", "cy", "di"}, s.Users(), "New keeps no part of the spec")
	assert.Equal(t, tocsin.ScheduleInfo{
		Name: "primary", TimeZone: "Europe/Madrid", Layers: []string{"holidays", "weekly", "imported", "learning"},
		Users: []string{"ana", "bo", "cy", "di"},
	}, s.Info())
	assert.Equal(t, "primary", s.Name())
	assert.Equal(t, madrid, s.Location())
	assert.True(t, s.IsHoliday(time.Date(2026, 12, 24, 23, 0, 0, 0, time.UTC)), "the date is the schedule's")
	assert.False(t, s.IsHoliday(time.Date(2026, 12, 25, 23, 0, 0, 0, time.UTC)))
	assert.Equal(t, []string{"holidays", "imported"}, s.Idle(at(t, "2026-06-01 00:00", madrid), at(t, "2026-09-01 00:00", madrid)))
	assert.Equal(t, []string{"imported"}, s.Idle(at(t, "2026-12-01 00:00", madrid), at(t, "2027-01-01 00:00", madrid)))
	assert.Equal(t, time.UTC, compile(t, oncall.Spec{Layers: spec.Layers}).Location())
}

func TestDates(t *testing.T) {
	t.Parallel()
	d, err := oncall.ParseDate("2026-12-25")
	require.NoError(t, err)
	assert.Equal(t, date(2026, 12, 25), d)
	assert.Equal(t, "2026-12-25", d.String())
	for _, wrong := range []string{"", "2026-02-30", "25.12.2026", "2026-12-25T00:00:00Z", "26-1-1"} {
		_, err := oncall.ParseDate(wrong)
		assert.ErrorContains(t, err, "write it as 2026-12-25", wrong)
	}
	assert.True(t, date(2028, 2, 29).Valid())
	assert.False(t, date(2027, 2, 29).Valid())
	assert.False(t, oncall.Date{}.Valid())
}
