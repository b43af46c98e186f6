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
