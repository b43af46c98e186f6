package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// wall reads a wall-clock time of a zone.
func wall(tb testing.TB, s string, loc *time.Location) time.Time {
	tb.Helper()
	at, err := parseWhen(s, time.Time{}, loc)
	require.NoError(tb, err)
	return at
}

// springShifts lie around the night in which Madrid's clocks jump from 02:00 to
// 03:00, of Saturday the 28th to Sunday the 29th of March 2026.
func springShifts(tb testing.TB, loc *time.Location) []tocsin.Shift {
	at := func(s string) time.Time { return wall(tb, s, loc) }
	return []tocsin.Shift{
		{Schedule: "primary", User: "ana", From: at("2026-03-16 09:00"), To: at("2026-03-23 09:00"), Source: "layer weekly"},
		{Schedule: "primary", User: "bo", From: at("2026-03-23 09:00"), To: at("2026-03-28 09:00"), Source: "layer weekly"},
		{Schedule: "primary", User: "cy", From: at("2026-03-28 09:00"), To: at("2026-03-29 09:00"), Source: "override m2x8p4"},
		{Schedule: "primary", User: "bo", From: at("2026-03-29 09:00"), To: at("2026-03-30 09:00"), Source: "layer weekly"},
		{Schedule: "secondary", User: "dee", From: at("2026-03-16 09:00"), To: at("2026-03-27 17:00"), Source: "layer x"},
		{Schedule: "secondary", From: at("2026-03-27 17:00"), To: at("2026-03-27 18:00")},
		{Schedule: "secondary", User: "dee", From: at("2026-03-27 18:00"), To: at("2026-04-06 17:00"), Source: "layer x"},
		{Schedule: "secondary", User: "eli", From: at("2026-03-25 09:00"), To: at("2026-03-26 09:00"), Extra: true},
		{Schedule: "secondary", User: "Åsa", From: at("2026-03-25 09:00"), To: at("2026-03-26 09:00"), Extra: true, Shadow: true},
	}
}

func TestPictureOfTheWeekInWhichClocksJump(t *testing.T) {
	t.Parallel()
	loc := ianaZone(t, "Europe/Madrid")
	p := picture{from: wall(t, "2026-03-23", loc), to: wall(t, "2026-03-30", loc), width: 80, loc: loc}
	require.Equal(t, 7*24*time.Hour-time.Hour, p.to.Sub(p.from), "the week is an hour short")
	assert.Equal(t, `         Mar 2026
         Mon     Tue     Wed     Thu     Fri     Sat     Sun
         23      24      25      26      27      28      29
primary
  ana    ███·····································░░░░░░░░░░░░░░░░
  bo     ···████████████████████████████████████████░░░░░░░░█████
  cy     ········································░░░oooooooo░░░░░
secondary
  dee    ████████████████████████████████████████████████████████
  eli    ···················++++++++·············░░░░░░░░░░░░░░░░
  Åsa    ···················~~~~~~~~·············░░░░░░░░░░░░░░░░
  NOBODY ·····································!··░░░░░░░░░░░░░░░░
█ on call  o override  + added  ~ shadow  ! gap: nobody  ░ weekend  (a column is 3 hours, in Europe/Madrid)
`, p.draw(springShifts(t, loc)))
}

func TestPictureInASCII(t *testing.T) {
	t.Parallel()
	loc := ianaZone(t, "Europe/Madrid")
	p := picture{from: wall(t, "2026-03-20 14:00", loc), to: wall(t, "2026-04-10 14:00", loc), width: 60, loc: loc, ascii: true}
	got := p.draw(springShifts(t, loc)[:7])
	assert.Equal(t, `         Mar 2026               Apr 2026
          SaSuMoTuWeThFrSaSuMoTuWeThFrSaSuMoTuWeThFr
         20   23            30            6
primary
  ana    ######.........::::..........::::..........
  bo     .::::-##########:-##.........::::..........
  cy     .::::..........ooo:..........::::..........
secondary
  dee    ##################################-........
  NOBODY .::::.........!::::..........::::..........
# on call  - partly  o override  ! gap: nobody  : weekend  (a column is 12 hours, in Europe/Madrid)
`, got)
	for _, r := range got {
		require.Less(t, r, rune(utf8.RuneSelf))
	}
	assert.Contains(t, got, "! gap: nobody")
}

// TestPictureOfAnHourThatIsTwice: the columns of a short span are minutes; the
// hour that Madrid sees twice is one column of twice the length.
func TestPictureOfAnHourThatIsTwice(t *testing.T) {
	t.Parallel()
	loc := ianaZone(t, "Europe/Madrid")
	from := wall(t, "2026-10-25 00:00", loc)
	p := picture{from: from, to: from.Add(25 * time.Hour), width: 40, loc: loc, ascii: true}
	got := p.draw([]tocsin.Shift{
		{Schedule: "s", User: "ana", From: from, To: from.Add(3 * time.Hour)}, // until 02:00, the second time
		{Schedule: "s", From: from.Add(3 * time.Hour), To: from.Add(25 * time.Hour)},
	})
	assert.Equal(t, `         Sun 25 Oct
         00:00 06:00 12:00 18:00
s
  ana    ###:::::::::::::::::::::
  NOBODY ::!!!!!!!!!!!!!!!!!!!!!!
# on call  ! gap: nobody  : weekend  (a column is 1 hour, in Europe/Madrid)
`, got)
}

func TestPictureColours(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	shifts := []tocsin.Shift{
		{Schedule: "primary", User: "ana", From: from, To: from.Add(day)},
		{Schedule: "primary", From: from.Add(day), To: from.Add(2 * day)},
	}
	p := picture{from: from, to: from.Add(2 * day), width: 34, loc: time.UTC}
	plain := p.draw(shifts)
	p.colour = true
	coloured := p.draw(shifts)
	assert.NotContains(t, plain, "\x1b")
	assert.Contains(t, coloured, "\x1b[1;31m  NOBODY\x1b[0m", "gaps are red")
	assert.Contains(t, coloured, "\x1b[1;31m!!!", "gaps are red")
	assert.Equal(t, plain, regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, ""), "colour adds nothing but colour")
}

func TestPictureOfNothing(t *testing.T) {
	t.Parallel()
	assert.Empty(t, picture{width: 80, loc: time.UTC}.draw(nil))
}

// TestPictureHoldsItsWidth: for any span and width, no line but the legend is
// longer than it, columns follow each other without a hole, cover the span, and
// every gap is seen.
func TestPictureHoldsItsWidth(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, ianaZone(t, "Europe/Madrid"), ianaZone(t, "America/Havana"), ianaZone(t, "Australia/Lord_Howe"), ianaZone(t, "Asia/Kolkata")}
	rapid.Check(t, func(t *rapid.T) {
		loc := rapid.SampledFrom(zones).Draw(t, "zone")
		from := time.Unix(rapid.Int64Range(1704067200, 2240611200).Draw(t, "from"), 0)
		to := from.Add(time.Duration(rapid.Int64Range(1, 3*366*24*60).Draw(t, "minutes")) * time.Minute)
		p := picture{from: from, to: to, width: rapid.IntRange(30, 200).Draw(t, "width"), loc: loc}
		g := newGrid(from, to, loc, p.width-9)
		require.True(t, g.columns[0].from.Equal(from))
		require.True(t, g.columns[len(g.columns)-1].to.Equal(to))
		for i := range g.columns {
			require.True(t, g.columns[i].from.Before(g.columns[i].to), "column %d of %s", i, g.step)
			if i > 0 {
				require.True(t, g.columns[i-1].to.Equal(g.columns[i].from))
			}
		}
		gap := from.Add(time.Duration(rapid.Int64Range(0, int64(to.Sub(from)/time.Minute)-1).Draw(t, "gap")) * time.Minute)
		lines := strings.Split(p.draw([]tocsin.Shift{
			{Schedule: "s", User: "ana", From: from, To: gap},
			{Schedule: "s", From: gap, To: gap.Add(time.Minute)},
		}), "\n")
		for _, line := range lines[:len(lines)-2] {
			require.LessOrEqual(t, utf8.RuneCountInString(line), p.width, line)
		}
		require.Contains(t, lines[len(lines)-3], "!", "the gap is seen")
	})
}

func TestWidthAndLocale(t *testing.T) {
	t.Parallel()
	env := func(vars map[string]string) func(string) string {
		return func(name string) string { return vars[name] }
	}
	assert.Equal(t, 80, width(0, env(nil)))
	assert.Equal(t, 132, width(0, env(map[string]string{"COLUMNS": "132"})))
	assert.Equal(t, 80, width(0, env(map[string]string{"COLUMNS": "wide"})))
	assert.Equal(t, 100, width(100, env(map[string]string{"COLUMNS": "132"})))
	assert.Equal(t, 30, width(1, env(nil)))
	assert.True(t, unicodeLocale(env(map[string]string{"LANG": "en_GB.UTF-8"})))
	assert.True(t, unicodeLocale(env(map[string]string{"LANG": "C", "LC_CTYPE": "C.utf8"})))
	assert.False(t, unicodeLocale(env(map[string]string{"LANG": "en_GB.UTF-8", "LC_ALL": "C"})))
	assert.False(t, unicodeLocale(env(nil)))
}
