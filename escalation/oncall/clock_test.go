package oncall_test

import (
	"archive/zip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

// zones returns every zone of the IANA database that has ever changed its clock.
var zones = sync.OnceValues(func() ([]*time.Location, error) {
	root := runtime.GOROOT() //nolint:staticcheck // where it means nothing the tests skip, and say so
	archive, err := zip.OpenReader(filepath.Join(root, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	var out []*time.Location
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		loc, err := time.LoadLocation(f.Name)
		if err != nil {
			return nil, err
		}
		if from, to := time.Unix(0, 0).In(loc).ZoneBounds(); !from.IsZero() || !to.IsZero() {
			out = append(out, loc)
		}
	}
	return out, nil
})

func allZones(t testing.TB) []*time.Location {
	t.Helper()
	locs, err := zones()
	if err != nil {
		t.Skipf("the list of time zones is not here (it comes with Go's sources, and GOROOT may be trimmed): %v", err)
	}
	require.Greater(t, len(locs), 400)
	return locs
}

func TestInstant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone string
		date       oncall.Date
		minutes    int
		want       string
	}{
		{"an ordinary time", "Europe/Madrid", oncall.Date{Year: 2026, Month: 7, Day: 1}, 9 * 60, "2026-07-01T09:00:00+02:00"},
		{"skipped: the jump", "Europe/Madrid", oncall.Date{Year: 2026, Month: 3, Day: 29}, 2*60 + 30, "2026-03-29T03:00:00+02:00"},
		{"the first that is not skipped", "Europe/Madrid", oncall.Date{Year: 2026, Month: 3, Day: 29}, 3 * 60, "2026-03-29T03:00:00+02:00"},
		{"twice: the first", "Europe/Madrid", oncall.Date{Year: 2026, Month: 10, Day: 25}, 2*60 + 30, "2026-10-25T02:30:00+02:00"},
		{"just behind what is twice", "Europe/Madrid", oncall.Date{Year: 2026, Month: 10, Day: 25}, 3 * 60, "2026-10-25T03:00:00+01:00"},
		{"midnight is skipped", "America/Havana", oncall.Date{Year: 2026, Month: 3, Day: 8}, 0, "2026-03-08T01:00:00-04:00"},
		{"midnight is twice", "America/Havana", oncall.Date{Year: 2026, Month: 11, Day: 1}, 0, "2026-11-01T00:00:00-04:00"},
		{"midnight is skipped in the east", "Asia/Beirut", oncall.Date{Year: 2026, Month: 3, Day: 29}, 0, "2026-03-29T01:00:00+03:00"},
		{"the evening is twice", "Asia/Beirut", oncall.Date{Year: 2026, Month: 10, Day: 24}, 23*60 + 30, "2026-10-24T23:30:00+03:00"},
		{"midnight behind it comes once", "Asia/Beirut", oncall.Date{Year: 2026, Month: 10, Day: 25}, 0, "2026-10-25T00:00:00+02:00"},
		{"half an hour is skipped", "Australia/Lord_Howe", oncall.Date{Year: 2026, Month: 10, Day: 4}, 2*60 + 15, "2026-10-04T02:30:00+11:00"},
		{"half an hour is twice", "Australia/Lord_Howe", oncall.Date{Year: 2026, Month: 4, Day: 5}, 1*60 + 45, "2026-04-05T01:45:00+11:00"},
		{"a whole day is skipped", "Pacific/Apia", oncall.Date{Year: 2011, Month: 12, Day: 30}, 9 * 60, "2011-12-31T00:00:00+14:00"},
		{"a whole day is skipped, earlier", "Pacific/Kwajalein", oncall.Date{Year: 1993, Month: 8, Day: 21}, 9 * 60, "1993-08-22T00:00:00+12:00"},
		{"minutes beyond the day", "Europe/Madrid", oncall.Date{Year: 2026, Month: 3, Day: 28}, 24*60 + 150, "2026-03-29T03:00:00+02:00"},
		{"minutes before the day", "Europe/Madrid", oncall.Date{Year: 2026, Month: 3, Day: 30}, -60, "2026-03-29T23:00:00+02:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := oncall.Instant(c.date, c.minutes, zone(t, c.zone))
			assert.Equal(t, c.want, got.Format(time.RFC3339))
		})
	}
	assert.Equal(t, epoch, oncall.Instant(oncall.DateOf(epoch), 0, nil), "no location is UTC")
}

// shown is what a clock shows, as if it were UTC.
func shown(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// TestInstantIsTheFirstThatShowsIt walks minute by minute, near the changes of
// every zone. Offsets are whole minutes since 1973.
func TestInstantIsTheFirstThatShowsIt(t *testing.T) {
	t.Parallel()
	locs := allZones(t)
	rapid.Check(t, func(t *rapid.T) {
		loc := rapid.SampledFrom(locs).Draw(t, "zone")
		near := time.Date(rapid.IntRange(1973, 2045).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), 15, 0, 0, 0, 0, loc)
		if _, change := near.ZoneBounds(); !change.IsZero() && change.Year() < 2038 {
			near = change
		}
		civil := shown(near).Truncate(time.Minute).Add(time.Duration(rapid.IntRange(-27*60, 27*60).Draw(t, "minutes")) * time.Minute)
		at := civil.Add(-17 * time.Hour).In(loc)
		for shown(at).Before(civil) {
			at = at.Add(time.Minute)
		}
		got := oncall.Instant(oncall.DateOf(civil), civil.Hour()*60+civil.Minute(), loc)
		require.True(t, at.Equal(got), "%s in %s: %s, not %s", civil.Format(time.DateTime), loc, at, got)
	})
}
