package ical_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
)

// ical.js is the calendar library of Thunderbird: an implementation that shares
// nothing with ours. It is found where npm installs globally, or in NODE_PATH.

//go:embed testdata/read.cjs
var readJS []byte

type jsEvent struct {
	UID, Summary, Start, End string
	AllDay                   bool
}

type jsAnswer struct {
	Name, Refresh string
	Events        []jsEvent
}

// icalJS reads calendars with ical.js. Of the occurrences it returns those that
// begin before the end of 2026.
func icalJS(t *testing.T, calendars ...string) []jsAnswer {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: iCalendar is not compared with ical.js")
	}
	env := os.Environ()
	if os.Getenv("NODE_PATH") == "" {
		if root, err := exec.Command("npm", "root", "-g").Output(); err == nil {
			env = append(env, "NODE_PATH="+strings.TrimSpace(string(root)))
		}
	}
	probe := exec.Command(node, "-e", `require.resolve("ical.js")`)
	probe.Env = env
	if probe.Run() != nil {
		t.Skip("ical.js is not installed (npm install -g ical.js@2.2.1): iCalendar is not compared with it")
	}
	script := t.TempDir() + "/read.cjs"
	require.NoError(t, os.WriteFile(script, readJS, 0o600))
	in, err := json.Marshal(calendars)
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, script)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, bytes.NewReader(in), &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s", stderr.String())
	var out []jsAnswer
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &out))
	require.Len(t, out, len(calendars))
	return out
}

func TestIcalJSReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	list := append(shifts(), tocsin.Shift{
		Schedule: `größte; Bereitschaft, "EU" \ USA` + strings.Repeat(" äöü€😀", 30), User: "zoë", From: now, To: now.Add(time.Hour),
	})
	a := icalJS(t, string(write(t, "primary", list, now)))[0]
	assert.Equal(t, "primary", a.Name)
	assert.Equal(t, "PT1H", a.Refresh)
	require.Len(t, a.Events, 5)
	assert.Equal(t, jsEvent{
		UID: "f4142f2019601e7bdc4f3129@tocsin", Summary: "ana on call: primary", Start: "2026-03-09T08:00:00Z", End: "2026-03-16T08:00:00Z",
	}, a.Events[0])
	assert.Equal(t, "zoë on call: "+list[5].Schedule, a.Events[4].Summary)
}

// Rules that begin on a day of theirs mean the same to ical.js and to us.
func TestIcalJSCountsAsWeDo(t *testing.T) {
	t.Parallel()
	var texts []string
	starts := []string{"20260105T093000", "20251231T000000", "20240229T235959", "20230115T120000"}
	rules := []string{
		"FREQ=DAILY", "FREQ=DAILY;INTERVAL=7;COUNT=9", "FREQ=DAILY;INTERVAL=10;UNTIL=20261010T093000Z", "FREQ=WEEKLY;UNTIL=20260601T093000Z",
		"FREQ=WEEKLY;INTERVAL=3", "FREQ=WEEKLY;WKST=SU;INTERVAL=2;COUNT=60;BYDAY=%s,SA", "FREQ=WEEKLY;WKST=MO;INTERVAL=2;COUNT=70;BYDAY=%s,SU,MO,TU",
		"FREQ=WEEKLY;WKST=WE;INTERVAL=5;BYDAY=TU,WE,%s", "FREQ=MONTHLY", "FREQ=MONTHLY;INTERVAL=5;COUNT=4", "FREQ=YEARLY", "FREQ=YEARLY;COUNT=3", "FREQ=YEARLY;INTERVAL=2",
	}
	for _, start := range starts {
		day, err := time.Parse("20060102T150405", start)
		require.NoError(t, err)
		for _, rule := range rules {
			if strings.Contains(rule, "YEARLY") && strings.Contains(start, "0229") {
				// Where there is no 29th of February, ical.js takes the 1st of March;
				// RFC 5545, section 3.3.10, leaves the year out.
				continue
			}
			if strings.Contains(rule, "%s") {
				rule = fmt.Sprintf(rule, strings.ToUpper(day.Weekday().String()[:2]))
			}
			texts = append(texts,
				calendar("UID:"+rule, "DTSTART:"+start+"Z", "DURATION:PT90M", "RRULE:"+rule, "EXDATE:20260107T093000Z"),
				calendar("UID:"+rule, "DTSTART;VALUE=DATE:"+start[:8], "RRULE:"+strings.Replace(rule, "T093000Z", "", 1)))
		}
	}
	all := 0
	for i, a := range icalJS(t, texts...) {
		cal, err := ical.Read(strings.NewReader(texts[i]), nil, at("2020-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
		require.NoError(t, err)
		require.Empty(t, cal.Problems)
		got := []jsEvent{}
		for _, e := range cal.Events {
			format := "2006-01-02T15:04:05Z"
			if e.AllDay {
				format = time.DateOnly
			}
			got = append(got, jsEvent{UID: e.UID, Start: e.From.Format(format), End: e.To.Format(format), AllDay: e.AllDay})
		}
		all += len(got)
		assert.Equal(t, a.Events, got, texts[i])
	}
	assert.Greater(t, all, 5_000, "the comparison compares something")
}
