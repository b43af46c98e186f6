package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/config"
)

const hour = config.Duration(time.Hour)

func ianaZone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(tb, err)
	return loc
}

func TestParseWhen(t *testing.T) {
	t.Parallel()
	const base = "2026-03-28T16:20:30+01:00" // the day before Madrid's clocks jump from 02:00 to 03:00
	for _, c := range []struct{ in, zone, want string }{
		{"now", "Europe/Madrid", "2026-03-28T16:20:30+01:00"},
		{"+2h", "Europe/Madrid", "2026-03-28T18:20:30+01:00"},
		{"+1d", "Europe/Madrid", "2026-03-29T17:20:30+02:00"}, // 24 hours, as in the configuration
		{"-90m", "Europe/Madrid", "2026-03-28T14:50:30+01:00"},
		{"2026-01-05T09:00:00-05:00", "Europe/Madrid", "2026-01-05T15:00:00+01:00"},
		{"2026-01-05T09:00:00Z", "Europe/Madrid", "2026-01-05T10:00:00+01:00"},
		{"2026-01-05T09:00", "Europe/Madrid", "2026-01-05T09:00:00+01:00"},
		{"2026-01-05 09:00", "Europe/Madrid", "2026-01-05T09:00:00+01:00"},
		{" 2026-01-05 ", "Europe/Madrid", "2026-01-05T00:00:00+01:00"},
		{"17:00", "Europe/Madrid", "2026-03-28T17:00:00+01:00"},
		{"16:20", "Europe/Madrid", "2026-03-29T16:20:00+02:00"}, // half a minute ago: tomorrow's
		{"09:00", "Europe/Madrid", "2026-03-29T09:00:00+02:00"},
		{"02:30", "Europe/Madrid", "2026-03-29T03:00:00+02:00"}, // skipped: at the jump
		{"2026-03-29T02:00", "Europe/Madrid", "2026-03-29T03:00:00+02:00"},
		{"2026-03-29T01:59", "Europe/Madrid", "2026-03-29T01:59:00+01:00"},
		{"2026-03-29T03:00", "Europe/Madrid", "2026-03-29T03:00:00+02:00"},
		{"2026-10-25T02:30", "Europe/Madrid", "2026-10-25T02:30:00+02:00"}, // twice: the first
		{"2026-10-25T03:00", "Europe/Madrid", "2026-10-25T03:00:00+01:00"},
		{"2026-03-08T02:30", "America/New_York", "2026-03-08T03:00:00-04:00"},
		{"2026-11-01T01:30", "America/New_York", "2026-11-01T01:30:00-04:00"},
		{"2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-04T02:30:00+11:00"}, // half an hour
		{"2026-04-24", "Africa/Cairo", "2026-04-24T01:00:00+03:00"},              // no midnight
		{"2011-12-30T12:00", "Pacific/Apia", "2011-12-31T00:00:00+14:00"},        // no such day
	} {
		from, err := time.Parse(time.RFC3339, base)
		require.NoError(t, err)
		got, err := parseWhen(c.in, from, ianaZone(t, c.zone))
		require.NoError(t, err, c.in)
		assert.Equal(t, c.want, got.In(ianaZone(t, c.zone)).Format(time.RFC3339), "%s in %s", c.in, c.zone)
	}
}

func TestParseWhenSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "tomorrow", "25:00", "2026-13-01", "2026-02-30", "9", "+", "+2", "+2x", "--2h", "+-2h", "2026-01-05T09"} {
		_, err := parseWhen(in, time.Now(), time.UTC)
		require.Error(t, err, in)
		assert.Contains(t, err.Error(), "write ", in)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	madrid := zoneFlags{Zone: "Europe/Madrid"}
	for _, c := range []struct {
		flags    spanFlags
		from, to string
	}{
		{spanFlags{For: 8 * hour, zoneFlags: madrid}, "2026-01-05T09:00:00+01:00", "2026-01-05T17:00:00+01:00"},
		{spanFlags{From: "22:00", To: "06:00", zoneFlags: madrid}, "2026-01-05T22:00:00+01:00", "2026-01-06T06:00:00+01:00"},
		{spanFlags{From: "2026-02-02", To: "+2w", zoneFlags: madrid}, "2026-02-02T00:00:00+01:00", "2026-02-16T00:00:00+01:00"},
	} {
		from, to, loc, err := c.flags.span(now)
		require.NoError(t, err)
		assert.Equal(t, c.from, from.In(loc).Format(time.RFC3339))
		assert.Equal(t, c.to, to.In(loc).Format(time.RFC3339))
	}
	for want, flags := range map[string]spanFlags{
		`--from "noon"`:                        {From: "noon", For: hour},
		`--to "8"`:                             {To: "8"},
		"is not behind the start":              {From: "2026-01-05", To: "2026-01-04"},
		`--time-zone "Mars/Base" is not known`: {For: hour, zoneFlags: zoneFlags{Zone: "Mars/Base"}},
	} {
		_, _, _, err := flags.span(now)
		var exit exitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, 2, exit.code)
		assert.Contains(t, exit.text, want)
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Minute: "now", 0: "now", 20 * time.Second: "in less than 1m", 12 * time.Minute: "in 12m", 90 * time.Minute: "in 1h30m",
		47 * time.Hour: "in 1d23h", 75 * time.Hour: "in 3d",
	} {
		assert.Equal(t, want, in(now.Add(d), now))
	}
}
