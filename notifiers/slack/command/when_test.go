package command_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/command"
)

// TestWallClocksAreThoseOfTheSchedules: a time of day that is typed is the same
// instant as in a schedule, whatever the clocks do.
func TestWallClocksAreThoseOfTheSchedules(t *testing.T) {
	t.Parallel()
	zones := []string{
		"UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "America/Havana", "Asia/Kathmandu",
		"Antarctica/Troll", "Pacific/Kwajalein", "Europe/Dublin",
	}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		require.NoError(t, err)
		civil := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 60*366*24*60).Draw(t, "minute")) * time.Minute)
		want := oncall.Instant(oncall.DateOf(civil), civil.Hour()*60+civil.Minute(), loc)
		got := command.Wall(civil, loc)
		require.True(t, want.Equal(got), "%s in %s: %s, want %s", civil, loc, got, want)
	})
}
