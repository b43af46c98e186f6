package ical_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// calendar wraps the lines of events; "--" stands between two.
func calendar(lines ...string) string {
	text := "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\n" + strings.Join(lines, "\n") + "\nEND:VEVENT\nEND:VCALENDAR\n"
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n--\n", "\nEND:VEVENT\nBEGIN:VEVENT\n"), "\n", "\r\n")
}

// read returns the occurrences in 2026 as text, and the problems.
func read(t testing.TB, text string) (occurrences, problems []string) {
	t.Helper()
	cal, err := ical.Read(strings.NewReader(text), zone(t, "Europe/Madrid"), at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
	require.NoError(t, err)
	for _, e := range cal.Events {
		s := e.From.Format("2006-01-02T15:04Z07:00") + "/" + e.To.Format("2006-01-02T15:04Z07:00")
		if e.AllDay {
			s = e.First.String() + ".." + e.Last.String()
		}
		if e.Summary != "" {
			s += " " + e.Summary
		}
		occurrences = append(occurrences, s)
	}
	for _, p := range cal.Problems {
		problems = append(problems, p.Error())
	}
	return occurrences, problems
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, want string }{
		"UTC":                     {"DTSTART:20260105T090000Z\nDTEND:20260105T170000Z", "2026-01-05T09:00Z/2026-01-05T17:00Z"},
		"zone":                    {"DTSTART;TZID=America/New_York:20260105T090000\nDTEND;TZID=America/New_York:20260105T170000", "2026-01-05T09:00-05:00/2026-01-05T17:00-05:00"},
		"quoted zone":             {"DTSTART;TZID=\"America/New_York\":20260105T090000\nDURATION:PT8H", "2026-01-05T09:00-05:00/2026-01-05T17:00-05:00"},
		"Windows zone":            {"DTSTART;TZID=W. Europe Standard Time:20260105T090000\nDURATION:PT8H", "2026-01-05T09:00+01:00/2026-01-05T17:00+01:00"},
		"global zone":             {"DTSTART;TZID=/mozilla.org/20050126_1/Asia/Tokyo:20260105T090000\nDURATION:PT8H", "2026-01-05T09:00+09:00/2026-01-05T17:00+09:00"},
		"floating":                {"DTSTART:20260705T090000\nDTEND:20260705T170000", "2026-07-05T09:00+02:00/2026-07-05T17:00+02:00"},
		"two zones":               {"DTSTART;TZID=Asia/Tokyo:20260105T090000\nDTEND:20260105T080000Z", "2026-01-05T09:00+09:00/2026-01-05T17:00+09:00"},
		"a day":                   {"DTSTART;VALUE=DATE:20260105", "2026-01-05..2026-01-05"},
		"days":                    {"DTSTART;VALUE=DATE:20260105\nDTEND;VALUE=DATE:20260108", "2026-01-05..2026-01-07"},
		"a week":                  {"DTSTART;VALUE=DATE:20260105\nDURATION:P1W", "2026-01-05..2026-01-11"},
		"does not exist":          {"DTSTART:20260329T023000\nDTEND:20260329T040000", "2026-03-29T03:00+02:00/2026-03-29T04:00+02:00"},
		"exists twice":            {"DTSTART:20261025T023000\nDTEND:20261025T030000", "2026-10-25T02:30+02:00/2026-10-25T03:00+01:00"},
		"nominal day":             {"DTSTART:20260328T090000\nDURATION:P1D", "2026-03-28T09:00+01:00/2026-03-29T09:00+02:00"},
		"exact day":               {"DTSTART:20260328T090000\nDURATION:PT24H", "2026-03-28T09:00+01:00/2026-03-29T10:00+02:00"},
		"lower case, tabs, folds": {"dtstart:20260105T0900\n\t00Z\ndtend;x-a=b:20260105T17\n 0000Z\nsummary:a\\, b\\; c\\n d\\\\", "2026-01-05T09:00Z/2026-01-05T17:00Z a, b; c  d\\"},
		"cancelled":               {"DTSTART:20260105T090000Z\nDURATION:PT1H\nSTATUS:CANCELLED", ""},
		"no length":               {"DTSTART:20260105T090000Z", ""},
		"another year":            {"DTSTART:20250105T090000Z\nDURATION:PT1H", ""},
		"an alarm":                {"DTSTART:20260105T090000Z\nBEGIN:VALARM\nTRIGGER:-PT5M\nDURATION:P9D\nDTSTART:20270101T000000Z\nEND:VALARM\nDURATION:PT1H", "2026-01-05T09:00Z/2026-01-05T10:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := read(t, calendar("UID:1", c.lines))
			assert.Empty(t, problems)
			assert.Equal(t, c.want, strings.Join(got, "\n"))
		})
	}
}

func TestAZoneByItsAlias(t *testing.T) {
	t.Parallel()
	text := strings.Replace(calendar("UID:1", "DTSTART;TZID=Custom 1:20260705T090000", "DURATION:PT1H"), "BEGIN:VEVENT",
		"BEGIN:VTIMEZONE\r\nTZID:Custom 1\r\nX-LIC-LOCATION:Europe/Lisbon\r\nBEGIN:DAYLIGHT\r\nTZOFFSETFROM:+0000\r\nTZID:x\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT", 1)
	got, problems := read(t, text)
	assert.Empty(t, problems)
	assert.Equal(t, []string{"2026-07-05T09:00+01:00/2026-07-05T10:00+01:00"}, got)
}

func TestRecurrence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines string
		want  []string
	}{
		"weekly across a change of the clocks": {
			"DTSTART:20260316T090000\nDTEND:20260323T090000\nRRULE:FREQ=WEEKLY;COUNT=3",
			[]string{
				"2026-03-16T09:00+01:00/2026-03-23T09:00+01:00", "2026-03-23T09:00+01:00/2026-03-30T09:00+02:00",
				"2026-03-30T09:00+02:00/2026-04-06T09:00+02:00",
			},
		},
		"counted from long ago": {
			"DTSTART:20200106T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=315",
			[]string{"2026-01-12T09:00Z/2026-01-12T10:00Z"}, // 157 fortnights and half of one
		},
		"daily until a day": {
			"DTSTART:20260105T220000\nDTEND:20260106T060000\nRRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20260108",
			[]string{"2026-01-05T22:00+01:00/2026-01-06T06:00+01:00", "2026-01-08T22:00+01:00/2026-01-09T06:00+01:00"},
		},
		"until an instant": {
			"DTSTART:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260106T080000Z;",
			[]string{"2026-01-05T09:00+01:00/2026-01-05T10:00+01:00", "2026-01-06T09:00+01:00/2026-01-06T10:00+01:00"},
		},
		"the 31st": {
			"DTSTART;VALUE=DATE:20251231\nRRULE:FREQ=MONTHLY;COUNT=4;BYMONTHDAY=31",
			[]string{"2026-01-31..2026-01-31", "2026-03-31..2026-03-31", "2026-05-31..2026-05-31"},
		},
		"Christmas": {
			"DTSTART;VALUE=DATE:19991225\nRRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25\nSUMMARY:Christmas",
			[]string{"2026-12-25..2026-12-25 Christmas"},
		},
		"weekdays, week from Sunday": {
			"DTSTART:20251230T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=SU,TU;COUNT=4",
			[]string{
				"2026-01-11T09:00Z/2026-01-11T10:00Z", "2026-01-13T09:00Z/2026-01-13T10:00Z", "2026-01-25T09:00Z/2026-01-25T10:00Z",
			},
		},
		"a long one from before": {
			"DTSTART;VALUE=DATE:20241001\nDTEND;VALUE=DATE:20250401\nRRULE:FREQ=YEARLY;COUNT=2",
			[]string{"2025-10-01..2026-03-31"},
		},
		"exceptions": {
			"DTSTART:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=5\nEXDATE:20260105T090000,20260106T080000Z\nEXDATE;TZID=Asia/Tokyo:20260107T170000\nEXDATE;VALUE=DATE:20260108",
			[]string{"2026-01-09T09:00+01:00/2026-01-09T10:00+01:00"},
		},
		"overrides": {
			"DTSTART:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:old\n--\n" +
				"UID:1\nRECURRENCE-ID:20260106T080000Z\nDTSTART:20260201T090000Z\nDURATION:PT2H\nSEQUENCE:1\nSUMMARY:moved\n--\n" +
				"UID:1\nRECURRENCE-ID:20260106T090000\nDTSTART:20260301T090000Z\nDURATION:PT2H\nSUMMARY:stale\n--\n" +
				"UID:1\nRECURRENCE-ID:20260107T090000\nDTSTART:20260107T090000\nDURATION:PT1H\nSTATUS:CANCELLED",
			[]string{"2026-01-05T09:00+01:00/2026-01-05T10:00+01:00 old", "2026-02-01T09:00Z/2026-02-01T11:00Z moved"},
		},
		"a newer one with the same UID": {
			"DTSTART:20260105T090000Z\nDURATION:PT1H\nSEQUENCE:2\n--\nUID:1\nDTSTART:20260106T090000Z\nDURATION:PT1H\nSEQUENCE:1",
			[]string{"2026-01-05T09:00Z/2026-01-05T10:00Z"},
		},
		"two with the same UID": {
			"DTSTART:20260105T090000Z\nDURATION:PT1H\n--\nUID:1\nDTSTART:20260106T090000Z\nDURATION:PT1H",
			[]string{"2026-01-05T09:00Z/2026-01-05T10:00Z", "2026-01-06T09:00Z/2026-01-06T10:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := read(t, calendar("UID:1", c.lines))
			assert.Empty(t, problems)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestWhatIsNotUnderstoodIsNamed(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"DURATION:PT1H": "it has no DTSTART",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=HOURLY":                                                              "FREQ=HOURLY is not understood",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=MONTHLY;BYDAY=1MO":                                                   "BYDAY=1MO: this is understood in weekly rules only",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=1MO":                                                    "give weekdays like MO,TU",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU":                                                     "does not begin on one of the days",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=MONTHLY;BYMONTHDAY=6":                                                "BYMONTHDAY=6",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=YEARLY;BYMONTH=2":                                                    "BYMONTH=2",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=MONTHLY;BYSETPOS=-1":                                                 "BYSETPOS=-1: this is not understood",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;COUNT=0":                                                       "from 1 to 1000000",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;INTERVAL=99999":                                                "from 1 to 1000",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;INTERVAL=1;INTERVAL=":                                          "twice",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;COUNT=1;UNTIL=20270101":                                        "exclude each other",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;UNTIL=soon":                                                    "UNTIL=SOON",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;WKST=XX":                                                       "no weekday",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY":                                            "more than one RRULE",
		"DTSTART:20260105T090000Z\nRDATE:20260106T090000Z":                                                         "RDATE is not understood",
		"DTSTART:20260105T090000Z\nEXDATE:x":                                                                       "EXDATE",
		"DTSTART:20260105T090000Z\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260106T090000Z":                             "RANGE",
		"DTSTART:20260105T090000Z\nRECURRENCE-ID:20260106T090000Z\nRRULE:FREQ=DAILY":                               "has an RRULE",
		"DTSTART;TZID=Mars/Base:20260105T090000":                                                                   `the time zone "Mars/Base" is not known`,
		"DTSTART;TZID=Local:20260105T090000":                                                                       `the time zone "Local" is not known`,
		"DTSTART;TZID=../../etc/passwd:20260105T090000":                                                            "is not known",
		"DTSTART:20260230T090000Z":                                                                                 "there is no such date",
		"DTSTART:20260105T250000Z":                                                                                 "there is no such date or time",
		"DTSTART:19690105T090000Z":                                                                                 "not between the years",
		"DTSTART:99990105T090000Z":                                                                                 "not between the years",
		"DTSTART:2026-01-05":                                                                                       "is no date",
		"DTSTART:+0260105T090000Z":                                                                                 "is no date",
		"DTSTART:20260105T090000Z\nDTEND:20260104T090000Z":                                                         "ends before it begins",
		"DTSTART:20260105T090000Z\nDTEND;VALUE=DATE:20260106":                                                      "one of DTSTART and DTEND",
		"DTSTART:20260105T090000Z\nDURATION:-PT1H":                                                                 "is no duration",
		"DTSTART:20260105T090000Z\nDURATION:PT":                                                                    "is no duration",
		"DTSTART:20260105T090000Z\nDURATION:P9999999W9999999W":                                                     "too long",
		"DTSTART;VALUE=DATE:20260105\nDURATION:PT1H":                                                               "cannot last hours",
		"DTSTART:20260105T090000Z\nRECURRENCE-ID:20260106T090000Z\nDURATION:x":                                     "is no duration",
		"DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;A=1;B=1;C=1;D=1;E=1;F=1;G=1;H=1;I=1;J=1;K=1;L=1;M=1;N=1":       "too many parts",
		"DTSTART:20260105T090000Z\nDURATION:PT1H\n--\nUID:bad\nDTSTART:20260105T090000Z\nRECURRENCE-ID:20260106T0": "RECURRENCE-ID",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			got, problems := read(t, calendar("UID:bad", "SUMMARY:the title", lines, "--", "UID:good", "DTSTART;VALUE=DATE:20260505"))
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0], want)
			assert.Contains(t, problems[0], "the event bad (")
			assert.Equal(t, []string{"2026-05-05..2026-05-05"}, got, "the others are kept, and nothing of that UID")
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("UID:%d\nSUMMARY:%s\n--", i, strings.Repeat("x", 500)))
	}
	_, problems := read(t, calendar(append(lines, "UID:last")...))
	require.Len(t, problems, 51)
	assert.Less(t, len(problems[0]), 300)
	assert.Equal(t, "and 151 more events are left out", problems[50])
}

func TestWhatIsNoCalendar(t *testing.T) {
	t.Parallel()
	good := calendar("UID:1", "DTSTART:20260105T090000Z", "DURATION:PT1H")
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "cut off"},
		"a page":         {"<!DOCTYPE html><html>", "login page"},
		"cut off":        {strings.TrimSuffix(good, "END:VCALENDAR\r\n"), "cut off"},
		"cut in events":  {good[:60], "cut off"},
		"unbalanced":     {strings.Replace(good, "END:VEVENT", "END:VALARM", 1), "END:VALARM closes BEGIN:VEVENT"},
		"too large":      {strings.Repeat(" ", ical.MaxSize) + good, "larger than"},
		"many events":    {calendar(strings.Repeat("UID:1\n--\n", ical.MaxEvents) + "UID:2"), "more than 5000 events"},
		"many results":   {calendar(strings.Repeat("DTSTART:20200101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\n--\n", 20) + "UID:2"), "more than 5000 occurrences"},
		"many parameter": {calendar("DTSTART;A=" + strings.Repeat("x,", 100) + ":20260105"), "more than 64 parameters"},
		"broken quotes":  {calendar(`DTSTART;A=x"y":20260105`), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cal, err := ical.Read(strings.NewReader(c.text), nil, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
			require.ErrorContains(t, err, c.want)
			assert.Empty(t, cal)
		})
	}
	broken := errors.New("broken")
	_, err := ical.Read(iotest.ErrReader(broken), nil, now, now)
	assert.ErrorIs(t, err, broken)
}

// A quarter of a megabyte of the worst costs neither much time nor much memory.
// It does not run beside other tests, whose memory would be counted.
func TestHostileCalendarsAreCheap(t *testing.T) {
	fill := func(before, line, after string) string {
		return before + strings.Repeat(line, (ical.MaxSize/4-len(before)-len(after))/len(line)) + after
	}
	many := func(event string) string {
		return "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\n"+event+"END:VEVENT\n", ical.MaxEvents) + "END:VCALENDAR\n"
	}
	head, tail := "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:19700101T000000Z\nDTEND:21000101T000000Z\n", "END:VEVENT\nEND:VCALENDAR\n"
	for name, text := range map[string]string{
		"nesting":        fill("BEGIN:VCALENDAR\n", "BEGIN:X\n", ""),
		"values":         fill(head+"SUMMARY;A=", "b,", ":x\n"+tail),
		"quoted values":  fill(head+`SUMMARY;A="\":"`, `,"`, ":x\n"+tail),
		"exceptions":     fill(head+"RRULE:FREQ=DAILY;COUNT=1\nEXDATE:", "20260101T000000Z,", "20260101T000000Z\n"+tail),
		"attendees":      fill(head, "ATTENDEE:mailto:a@b\n", tail),
		"folds":          fill(head+"SUMMARY:x\n", " \n", tail),
		"rules":          many("DTSTART:19700101T000000Z\nDTEND:20000101T000000Z\nRRULE:FREQ=DAILY;UNTIL=19951231T000000Z\n"),
		"months":         many("DTSTART:19700131T000000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;INTERVAL=999\n"),
		"months walked":  many("DTSTART:19700229T000000Z\nDTSTART:19700131T000000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;COUNT=300\n"),
		"zones":          fill("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "EXDATE;TZID=Mars/X:20260101T000000\n", tail),
		"long daily":     head + "RRULE:FREQ=DAILY\n" + tail,
		"control bytes":  fill(head, "SUMMARY:\x00\x01\xff\n", tail),
		"carriage alone": fill(head, "SUMMARY:x\r", tail),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			cal, err := ical.Read(strings.NewReader(text), nil, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			t.Logf("%d bytes: %d events, %v; %v, %d MiB allocated", len(text), len(cal.Events), err, took, (after.TotalAlloc-before.TotalAlloc)>>20)
			assert.Less(t, took, 3*time.Minute, "the bound is for a busy machine with the race detector")
			assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(1024), "what the library does without the bound on parameters is tens of gigabytes")
		})
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	cal, err := ical.Read(strings.NewReader(calendar(
		"UID:1\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\n--\nUID:2\nDTSTART;VALUE=DATE:20261225\n--\n"+
			"UID:3\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY\n--\nUID:4\nDTSTART:20260601T000000Z\nDURATION:P1D")),
		nil, at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"))
	require.NoError(t, err)
	var got []string
	for _, d := range ical.Dates(cal.Events) {
		got = append(got, d.String())
	}
	assert.Equal(t, []string{"2026-01-01", "2026-12-24", "2026-12-25", "2026-12-26", "2027-01-01"}, got)
	assert.Empty(t, ical.Dates(nil))
}

func TestSpans(t *testing.T) {
	t.Parallel()
	event := func(summary string, attendees ...string) ical.Event {
		return ical.Event{Summary: summary, Attendees: attendees, Organizer: "lead@example.com", From: now.In(zone(t, "Asia/Tokyo")), To: now.Add(time.Hour)}
	}
	find := ical.Finder([]ical.Person{
		{User: "ana", Email: "Ana@Example.com"}, {User: "bo", Email: "bo@example.com"}, {User: "Cy Li"}, {User: "lead", Email: "x@example.com"},
	})
	for name, c := range map[string]struct {
		event ical.Event
		want  string
	}{
		"attendee":                   {event("x", "nobody@example.com", "ana@example.com"), "ana"},
		"attendee before title":      {event("bo", "ana@example.com"), "ana"},
		"title":                      {event("Ana"), "ana"},
		"word in it":                 {event("On-call: ana (primary)"), "ana"},
		"our own":                    {event("bo on call: primary"), "bo"},
		"name of two words":          {event("week of cy li"), "Cy Li"},
		"address in the title":       {event("<bo@example.com>"), "bo"},
		"part of a word":             {event("banana boat"), ""},
		"part of another's address":  {event("ana@elsewhere.com"), ""},
		"two, of whom one begins":    {event("ana covers for bo"), "ana"},
		"two":                        {event("on call: ana, bo"), ""},
		"the organizer is not known": {event(""), ""},
	} {
		user, ok := find(c.event)
		assert.Equal(t, c.want, user, name)
		assert.Equal(t, c.want != "", ok, name)
	}
	organized := event("x")
	organized.Organizer = "bo@example.com"
	spans, unknown := ical.Spans([]ical.Event{organized, event("who"), event("who"), event("")}, find)
	assert.Equal(t, []oncall.Span{{User: "bo", From: now, To: now.Add(time.Hour)}}, spans)
	assert.Equal(t, []string{"(none)", "who"}, unknown)
}

func FuzzRead(f *testing.F) {
	f.Add(calendar("UID:1", "DTSTART;TZID=Europe/Madrid:20260105T090000", "DURATION:P1DT2H", "RRULE:FREQ=WEEKLY;BYDAY=MO,TU;INTERVAL=2;COUNT=9", "EXDATE:20260106T090000"))
	f.Add(calendar("UID:1", "DTSTART;VALUE=DATE:20260131", "RRULE:FREQ=MONTHLY;UNTIL=20270101", "ATTENDEE;CN=\"x, y\":mailto:a@b.c", "--", "UID:1", "RECURRENCE-ID;VALUE=DATE:20260131", "DTSTART;VALUE=DATE:20260201"))
	f.Add("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:a\nX-LIC-LOCATION:Asia/Tokyo\nEND:VTIMEZONE\nEND:VCALENDAR")
	from, to := at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		cal, err := ical.Read(strings.NewReader(text), nil, from, to)
		if err != nil {
			require.Empty(t, cal)
			return
		}
		require.LessOrEqual(t, len(cal.Events), ical.MaxOccurrences)
		for i, e := range cal.Events {
			require.True(t, e.From.Before(e.To) && e.From.Before(to) && from.Before(e.To), "%v", e)
			require.Equal(t, e.AllDay, e.First.Valid() && e.Last.Valid())
			require.True(t, i == 0 || !e.From.Before(cal.Events[i-1].From))
		}
		require.LessOrEqual(t, len(ical.Dates(cal.Events)), 3*ical.MaxOccurrences)
	})
}
