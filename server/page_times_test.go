package server_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// What of a page is not read as text: drawings, commands, attributes; and times that
// the script knows.
var (
	markedTimes = regexp.MustCompile(`<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"(?: data-own)?>(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? (?:[A-Z]{2,5}|[+-]\d{2,4})</time>`)
	otherParts  = regexp.MustCompile(`(?s)<svg.*?</svg>|<pre.*?</pre>|<code.*?</code>|<[^>]*>`)
	bareTime    = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d|T\d\d:\d\d:\d\d|\d\d:\d\d UTC`)
)

// assertTimesMarked checks that every time on a page is one for the script too.
func assertTimesMarked(t testing.TB, page string) {
	t.Helper()
	rest := otherParts.ReplaceAllString(markedTimes.ReplaceAllString(page, ""), "")
	assert.Empty(t, bareTime.FindAllString(rest, -1), "times that stand outside a <time>")
	assert.NotContains(t, markedTimes.ReplaceAllString(page, ""), "<time", "a <time> that the script does not know")
}

// Sentences have times too: those of the timeline, and of what is refused.
func TestTimesInSentencesAreMarked(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Ahead = func(*tocsin.Incident) []tocsin.Ahead {
			return []tocsin.Ahead{{At: now, Text: "at 2026-11-22 09:00:07 UTC, or 2026-13-41 09:00 UTC, <b>2026-11-23 10:11 UTC</b>"}}
		}
	})
	w.reader.detail.incident.State = tocsin.Triggered
	page := w.ask("GET", "/incidents/k7f3q9", "").Body.String()
	for _, want := range []string{
		`at <time datetime="2026-11-22T09:00:07Z">2026-11-22 09:00:07 UTC</time>, or 2026-13-41 09:00 UTC, ` +
			`&lt;b&gt;<time datetime="2026-11-23T10:11:00Z">2026-11-23 10:11 UTC</time>&lt;/b&gt;`,
		`<footer><p>As of <time datetime="2026-11-22T05:00:00Z">2026-11-22 05:00:00 UTC</time>`,
	} {
		assert.Contains(t, page, want)
	}
	assert.Greater(t, strings.Count(page, "<time"), 10)
}

// Each page has the switch, and nothing on it is a time for the eye alone.
func TestEachPageMarksItsTimes(t *testing.T) {
	t.Parallel()
	w := withIncident(t, server.Config{}, func(d *server.Deps) {
		d.Remedies, d.Remediator, d.OnCall = &medicine{}, &medicine{}, &rota{}
		d.Ahead = func(*tocsin.Incident) []tocsin.Ahead { return []tocsin.Ahead{{At: now, Text: "bo by PagerDuty"}} }
	})
	for name, path := range pagesToSee() {
		page := w.ask("GET", path, "", "Accept", "text/html").Body.String()
		assertTimesMarked(t, page)
		assert.Contains(t, page, "As of <time ", name)
		assert.Contains(t, page, `<div id="clocks" role="group" aria-label="Times" hidden>`, name)
	}
}

// A clock that is put back shows an hour twice, and one that is put forward leaves
// one out, on either side of Greenwich.
func TestTimesOfFormsAreOnTheirClock(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ schedule, typed, want string }{
		"in winter":     {"primary", "2026-12-01T02:30", "2026-12-01T01:30:00Z"},
		"in summer":     {"primary", "2027-07-01T02:30", "2027-07-01T00:30:00Z"},
		"twice":         {"primary", "2027-10-31T02:30", "2027-10-31T00:30:00Z"},
		"after twice":   {"primary", "2027-10-31T03:00", "2027-10-31T02:00:00Z"},
		"left out":      {"primary", "2027-03-28T02:30", ""},
		"after it":      {"primary", "2027-03-28T03:00", "2027-03-28T01:00:00Z"},
		"an offset":     {"primary", "2027-07-01T02:30:00-04:00", "2027-07-01T06:30:00Z"},
		"with seconds":  {"primary", "2027-07-01T02:30:15", "2027-07-01T00:30:15Z"},
		"twice, west":   {"west", "2027-11-07T01:30", "2027-11-07T05:30:00Z"},
		"left out west": {"west", "2027-03-14T02:30", ""},
	} {
		r := &rota{}
		w := newWorld(t, server.Config{}, func(d *server.Deps) { d.OnCall, d.Overrides = &western{r}, r })
		rec := w.send("/overrides", formOf("schedule", tc.schedule, "kind", "replace", "user", "cy", "from", "2026-11-23T10:00", "to", tc.typed))
		if tc.want == "" {
			assert.Equal(t, 400, rec.Code, name)
			assert.Contains(t, safe(t, rec), "which is put forward then; want a time before or after", name)
			continue
		}
		require.Equal(t, 303, rec.Code, "%s: %s", name, rec.Body.String())
		assert.Equal(t, tc.want, r.overrides[0].To.Format(time.RFC3339), name)
	}
}

// western is a rota with a schedule of New York beside the others.
type western struct{ *rota }

func (w *western) Schedules() []tocsin.ScheduleInfo {
	return append(w.rota.Schedules(), tocsin.ScheduleInfo{Name: "west", TimeZone: "America/New_York", Users: []string{"ana"}})
}
