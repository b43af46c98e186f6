package ical_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	ics "github.com/arran4/golang-ical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

var now = at("2026-03-10T12:00:00Z")

func shifts() []tocsin.Shift {
	return []tocsin.Shift{
		{Schedule: "primary", User: "ana", From: at("2026-03-09T09:00:00+01:00"), To: at("2026-03-16T09:00:00+01:00"), Source: "layer weekly"},
		{Schedule: "primary", User: "", From: at("2026-03-16T08:00:00Z"), To: at("2026-03-16T09:00:00Z")},
		{Schedule: "primary", User: "bo", From: at("2026-03-16T09:00:00Z"), To: at("2026-03-23T08:00:00Z"), Source: "override k7f3q9"},
		{Schedule: "primary", User: "cy", From: at("2026-03-16T09:00:00Z"), To: at("2026-03-17T09:00:00Z"), Extra: true},
		{Schedule: "primary", User: "di", From: at("2026-03-16T09:00:00Z"), To: at("2026-03-17T09:00:00Z"), Extra: true, Shadow: true},
	}
}

func write(t require.TestingT, name string, list []tocsin.Shift, now time.Time) []byte {
	var b bytes.Buffer
	require.NoError(t, ical.Write(&b, name, list, now))
	return b.Bytes()
}

func TestACalendarHasAnEventForEachShift(t *testing.T) {
	t.Parallel()
	text := string(write(t, "primary", shifts(), now))
	assert.Equal(t, strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Tocsin//On call//EN
CALSCALE:GREGORIAN
NAME:primary
X-WR-CALNAME:primary
REFRESH-INTERVAL;VALUE=DURATION:PT1H
X-PUBLISHED-TTL:PT1H
BEGIN:VEVENT
UID:f4142f2019601e7bdc4f3129@tocsin
DTSTAMP:20260310T120000Z
DTSTART:20260309T080000Z
DTEND:20260316T080000Z
SUMMARY:ana on call: primary
DESCRIPTION:layer weekly
CATEGORIES:ON-CALL
TRANSP:TRANSPARENT
END:VEVENT
`, "\n", "\r\n"), text[:strings.Index(text, "END:VEVENT")+len("END:VEVENT\r\n")])
	assert.Equal(t, 4, strings.Count(text, "BEGIN:VEVENT"), "the gap is left out")
	assert.Contains(t, text, "SUMMARY:cy also on call: primary\r\n")
	assert.Contains(t, text, "SUMMARY:di shadow: primary\r\n")
	assert.Contains(t, text, "CATEGORIES:SHADOW\r\n")
}

func TestAnEventKeepsItsUID(t *testing.T) {
	t.Parallel()
	uids := func(list []tocsin.Shift) map[string]string {
		cal, err := ics.ParseCalendar(bytes.NewReader(write(t, "x", list, now)))
		require.NoError(t, err)
		out := map[string]string{}
		for _, e := range cal.Events() {
			out[e.Id()] = e.GetProperty(ics.ComponentPropertySummary).Value
		}
		return out
	}
	all := uids(shifts())
	assert.Len(t, all, 4)
	later := shifts()[2:]
	later[0].To, later[0].Source = later[0].To.Add(-time.Hour), "layer weekly" // its end and its reason may change
	later[0].From = later[0].From.In(time.FixedZone("", 3600))
	for id, what := range uids(later) {
		assert.Equal(t, all[id], what)
	}
	twice := uids(append(shifts(), shifts()...))
	assert.Len(t, twice, 8, "UIDs are unique")
}

func TestTheWindowBeginsOnTheFirstOfAMonth(t *testing.T) {
	t.Parallel()
	from, to := ical.Window(now)
	assert.Equal(t, at("2026-01-01T00:00:00Z"), from)
	assert.True(t, to.After(now.AddDate(0, 5, 0)))
	same, _ := ical.Window(now.AddDate(0, 0, 20))
	assert.Equal(t, from, same)
	before, _ := ical.Window(at("2026-01-31T23:30:00-01:00"))
	assert.Equal(t, at("2025-12-01T00:00:00Z"), before)
}

// Whatever the names hold, the lines are legal and a reader gets them back.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[ -~äöü€😀\\;,:"']{1,120}`)
	rapid.Check(t, func(t *rapid.T) {
		from := now.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "hours")) * time.Hour)
		shift := tocsin.Shift{
			Schedule: name.Draw(t, "schedule"), User: name.Draw(t, "user"),
			From: from, To: from.Add(time.Duration(rapid.IntRange(1, 500).Draw(t, "length")) * time.Hour),
		}
		text := write(t, name.Draw(t, "name"), []tocsin.Shift{shift}, now)
		for line := range strings.SplitSeq(string(text), "\r\n") {
			require.LessOrEqual(t, len(line), 75)
			require.True(t, utf8.ValidString(line))
			require.NotContains(t, line, "\n")
		}
		cal, err := ical.Read(bytes.NewReader(text), nil, shift.From, shift.To)
		require.NoError(t, err)
		require.Empty(t, cal.Problems)
		require.Len(t, cal.Events, 1)
		e := cal.Events[0]
		require.Equal(t, strings.TrimSpace(shift.User+" on call: "+shift.Schedule), e.Summary)
		require.True(t, e.From.Equal(shift.From) && e.To.Equal(shift.To))
		require.Equal(t, time.UTC, e.From.Location())
	})
}

func TestANameCannotAddLines(t *testing.T) {
	t.Parallel()
	text := string(write(t, "x\r\nBEGIN:VEVENT", []tocsin.Shift{{
		Schedule: "a\u2028b", User: "ana\rEND:VCALENDAR\x00\xff", From: now, To: now.Add(time.Hour), Source: "\n",
	}}, now))
	assert.Equal(t, 1, strings.Count(text, "\nBEGIN:VEVENT"))
	assert.Contains(t, text, "SUMMARY:ana END:VCALENDAR \uFFFD on call: a b\r\n")
	assert.NotContains(t, strings.ReplaceAll(text, "\r\n", ""), "\r")
}
