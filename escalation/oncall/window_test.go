package oncall_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	night := []oncall.Window{{Days: friday, From: 22 * 60, To: 7 * 60}}
	for _, c := range []struct {
		name    string
		windows []oncall.Window
		at      string
		want    bool
	}{
		{"no windows are no restriction", nil, "2026-01-09 12:00", true},
		{"the begin is in it", night, "2026-01-09 22:00", true},
		{"just before", night, "2026-01-09 21:59", false},
		{"the day after, of which it is not one of the days", night, "2026-01-10 06:59", true},
		{"the end is not in it", night, "2026-01-10 07:00", false},
		{"the night before", night, "2026-01-09 06:00", false},
		{"a whole day", []oncall.Window{{Days: monday}}, "2026-01-12 00:00", true},
		{"a whole day's end", []oncall.Window{{Days: monday}}, "2026-01-13 00:00", false},
		{"until midnight", []oncall.Window{{From: 60, To: 24 * 60}}, "2026-01-12 23:59", true},
		{"until midnight, and no longer", []oncall.Window{{From: 60, To: 24 * 60}}, "2026-01-12 00:30", false},
		{"from and to the same: a day around", []oncall.Window{{Days: monday, From: 540, To: 540}}, "2026-01-13 08:59", true},
		{"one of several", []oncall.Window{{Days: friday}, {Days: monday}}, "2026-01-12 08:59", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, oncall.Within(c.windows, at(t, c.at, madrid)))
		})
	}
}

func TestNextEnd(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	end := func(s string, w ...oncall.Window) string {
		got, ok := oncall.NextEnd(w, at(t, s, madrid))
		if !ok {
			return "never"
		}
		return got.Format("2006-01-02 15:04")
	}
	night := oncall.Window{Days: work, From: 22 * 60, To: 7 * 60}
	assert.Equal(t, "2026-01-10 07:00", end("2026-01-09 23:00", night))
	assert.Equal(t, "2026-03-28 02:30", end("2026-03-27 23:00", oncall.Window{From: 22 * 60, To: 150}))
	assert.Equal(t, "2026-03-29 03:00", end("2026-03-28 23:00", oncall.Window{From: 22 * 60, To: 150}), "the time is skipped")
	assert.Equal(t, "2026-01-09 12:00", end("2026-01-09 12:00", night), "not within: now")
	assert.Equal(t, "2026-01-12 00:00", end("2026-01-09 23:00", oncall.Window{Days: friday, From: 22 * 60, To: 24 * 60}, oncall.Window{Days: 1<<time.Saturday | 1}), "windows that touch are one")
	assert.Equal(t, "never", end("2026-01-09 12:00", oncall.Window{}))
	assert.Equal(t, "never", end("2026-01-09 12:00"))
	assert.Equal(t, "never", end("2026-01-09 12:00", oncall.Window{From: 0, To: 720}, oncall.Window{From: 720, To: 0}))
}

// windows draws windows; half of them go over midnight.
func windows() *rapid.Generator[[]oncall.Window] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) oncall.Window {
		return oncall.Window{
			Days: uint8(rapid.IntRange(0, 127).Draw(t, "days")),
			From: rapid.IntRange(0, 95).Draw(t, "from") * 15, To: rapid.IntRange(0, 96).Draw(t, "to") * 15,
		}
	}), 0, 3)
}

// inWindow says by the calendar whether an instant is in a window.
func inWindow(windows []oncall.Window, at time.Time) bool {
	if len(windows) == 0 {
		return true
	}
	today := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	for days := -2; days <= 1; days++ {
		day := today.AddDate(0, 0, days)
		for _, w := range windows {
			end := w.To
			if end <= w.From {
				end += 24 * 60
			}
			if w.Days != 0 && w.Days&(1<<day.Weekday()) == 0 {
				continue
			}
			d := oncall.DateOf(day)
			if !at.Before(oncall.Instant(d, w.From, at.Location())) && at.Before(oncall.Instant(d, end, at.Location())) {
				return true
			}
		}
	}
	return false
}

func TestWindowsAgreeWithSampling(t *testing.T) {
	t.Parallel()
	names := []string{"Europe/Madrid", "America/Havana", "Australia/Lord_Howe", "Asia/Beirut"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		require.NoError(t, err)
		w := windows().Draw(t, "windows")
		from := time.Date(2026, time.Month(rapid.SampledFrom([]int{3, 4, 10, 11}).Draw(t, "month")), rapid.IntRange(1, 28).Draw(t, "day"), 12, 0, 0, 0, loc)
		to := from.Add(72 * time.Hour)
		spans := oncall.WindowSpans(w, loc, from, to)
		requireNormal(t, spans)
		for at := from; at.Before(to); at = at.Add(15 * time.Minute) {
			want := inWindow(w, at)
			require.Equal(t, want, spans.Contains(at), "span at %s", at)
			require.Equal(t, want, oncall.Within(w, at), "within at %s", at)
		}
	})
}
