package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/config"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "30s": 30 * time.Second, "5m": 5 * time.Minute,
		"1h30m": 90 * time.Minute, "90d": 90 * day, "2w": 14 * day, "1y": 365 * day, "1d1ms": day + time.Millisecond,
	} {
		got, err := config.ParseDuration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got.Std(), text)
	}
	for _, text := range []string{"", "-1s", "5", "s", "5 m", "1.5h", "1m1h", "1m1m", "5x", "5M", "999999999999y", "9999999999999999999s", "1h ", "٣s"} {
		_, err := config.ParseDuration(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestDurationRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := config.Duration(rapid.Int64Range(0, 1<<62/int64(time.Millisecond)).Draw(t, "ms") * int64(time.Millisecond))
		got, err := config.ParseDuration(d.String())
		require.NoError(t, err, d.String())
		assert.Equal(t, d, got, d.String())
	})
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{
		"0": 0, "512": 512, "512B": 512, "1KiB": 1024, "16 KiB": 16 << 10, "4MiB": 4 << 20, "16GiB": 16 << 30,
		"1TiB": 1 << 40, "1kB": 1000, "1KB": 1000, "2MB": 2e6, "1GB": 1e9,
	} {
		got, err := config.ParseSize(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "1 MiB 2", "4Mib", "9223372036854775807KiB", "99999999999999999999"} {
		_, err := config.ParseSize(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestSizeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := config.Size(rapid.Int64Min(0).Draw(t, "bytes"))
		got, err := config.ParseSize(s.String())
		require.NoError(t, err, s.String())
		assert.Equal(t, s, got)
	})
}

func TestTimesParse(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Load("testdata/good/from-alertmanager.yml")
	require.NoError(t, err)
	night, err := cfg.TimeIntervals[0].TimeIntervals[0].Parse()
	require.NoError(t, err)
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	assert.True(t, night.ContainsTime(monday.Add(7*time.Hour)))
	assert.False(t, night.ContainsTime(monday.Add(8*time.Hour)))
	assert.True(t, night.ContainsTime(monday.Add(23*time.Hour+59*time.Minute)))
	assert.False(t, night.ContainsTime(monday.Add(-time.Hour)), "a sunday")

	zoned, err := config.Times{Location: "Europe/Madrid", Times: []config.TimeRange{{StartTime: "00:00", EndTime: "01:00"}}}.Parse()
	require.NoError(t, err)
	assert.True(t, zoned.ContainsTime(monday.Add(-time.Hour)))
	_, err = config.Times{Weekdays: []string{"funday"}}.Parse()
	assert.Error(t, err)
}

func TestParseClock(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Clock{"00:00": 0, "09:05": 9*60 + 5, "23:59": 24*60 - 1, "24:00": 24 * 60} {
		got, err := config.ParseClock(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		assert.Equal(t, text, got.String())
	}
	for _, text := range []string{"", ":", "9:00", "09:5", "09", "24:01", "25:00", "23:60", "-1:00", "+1:00", "09:00:00", " 09:00", "09:0x", "٠٩:٠٠", "540"} {
		_, err := config.ParseClock(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestParseWeekdays(t *testing.T) {
	t.Parallel()
	bits := func(days ...time.Weekday) (w config.Weekdays) {
		for _, d := range days {
			w |= 1 << d
		}
		return w
	}
	for text, want := range map[string]config.Weekdays{
		"sunday": bits(time.Sunday), "Saturday": bits(time.Saturday), "monday:friday": 0b0111110,
		"friday:monday": bits(time.Friday, time.Saturday, time.Sunday, time.Monday),
		"monday:monday": bits(time.Monday), "monday:sunday": 127, "tuesday:monday": 127, " monday : tuesday ": 0b0000110,
	} {
		got, err := config.ParseWeekdays(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", ":", "mon", "monday:", ":friday", "monday:friday:sunday", "monday,friday", "1", "mondays"} {
		_, err := config.ParseWeekdays(text)
		assert.Error(t, err, "%q", text)
	}
	assert.Equal(t, "monday,friday", bits(time.Monday, time.Friday).String())
}

func TestWeekdaysRoundTrip(t *testing.T) {
	t.Parallel()
	for first := time.Sunday; first <= time.Saturday; first++ {
		for last := time.Sunday; last <= time.Saturday; last++ {
			w, err := config.ParseWeekdays(first.String() + ":" + last.String())
			require.NoError(t, err)
			assert.NotZero(t, w&(1<<first))
			assert.NotZero(t, w&(1<<last))
			again, err := config.ParseWeekdays(w.String())
			require.NoError(t, err, w.String())
			assert.Equal(t, w, again, w.String())
		}
	}
}

func TestDateRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		day := time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "second"), 0).UTC()
		d, err := config.ParseDate(day.Format(time.DateOnly))
		require.NoError(t, err)
		assert.Equal(t, day.Weekday(), d.Weekday())
		assert.Equal(t, day.Format(time.DateOnly), d.String())
	})
	for _, text := range []string{"", "2026", "2026-1-5", "05.01.2026", "2026-02-29", "2026-13-01", "2026-00-10", "2026-01-05T09:00:00Z", "-2026-01-05"} {
		_, err := config.ParseDate(text)
		assert.Error(t, err, "%q", text)
	}
	assert.Empty(t, config.Date{}.String())
	assert.True(t, config.Date{}.IsZero())
}
