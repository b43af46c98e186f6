package oncall_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// kind is a rotation, and when its turns begin on the wall clock, computed in
// another way than the package does.
type kind struct {
	unit   oncall.Unit
	length int
	turn   func(start time.Time, n int) time.Time
}

func kinds() []kind {
	return []kind{
		{oncall.Hours, 12, func(start time.Time, n int) time.Time { return start.Add(time.Duration(12*n) * time.Hour) }},
		{oncall.DaysUnit, 1, func(start time.Time, n int) time.Time { return start.AddDate(0, 0, n) }},
		{oncall.Weeks, 1, func(start time.Time, n int) time.Time { return start.AddDate(0, 0, 7*n) }},
		{oncall.Weeks, 2, func(start time.Time, n int) time.Time { return start.AddDate(0, 0, 14*n) }},
		{oncall.Months, 1, func(start time.Time, n int) time.Time {
			// The first of the month always exists; the month's end may come first.
			month := start.AddDate(0, n, 1-start.Day())
			end := month.AddDate(0, 1, -1)
			if day := month.AddDate(0, 0, start.Day()-1); day.Before(end) {
				return day
			}
			return end
		}},
	}
}

// TestEveryZoneUntil2040: in every zone that ever changed its clock, for every
// kind of rotation, exactly one person is on call, without gap or overlap,
// handoffs are at the wall clock, and every third shift is the same person's.
func TestEveryZoneUntil2040(t *testing.T) {
	t.Parallel()
	locs := distinct(allZones(t))
	require.Greater(t, len(locs), 60)
	for part := range 8 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for i := part; i < len(locs); i += 8 {
				for n, k := range kinds() {
					checkZone(t, locs[i], k, i+n)
				}
			}
		})
	}
}

// distinct keeps one of the zones whose clocks agree all the time: the others
// are the same input under another name.
func distinct(locs []*time.Location) []*time.Location {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(locs), func(loc *time.Location) bool {
		var clock strings.Builder
		offset := -1
		// No clock changes for less than ten days, but for Morocco's Ramadan of thirty.
		for at := time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2042; at = at.AddDate(0, 0, 10) {
			if _, now := at.In(loc).Zone(); now != offset {
				offset = now
				change, _ := at.In(loc).ZoneBounds()
				fmt.Fprint(&clock, change.Unix(), offset, ";")
			}
		}
		was := seen[clock.String()]
		seen[clock.String()] = true
		return was
	})
}

// checkZone takes a start and a handoff that turn with the number of the zone,
// among them those at which clocks change.
func checkZone(t *testing.T, loc *time.Location, k kind, n int) {
	t.Helper()
	handoffs := []int{0, 2*60 + 30, 9 * 60, 1*60 + 45, 23*60 + 30, 3 * 60, 30, 24*60 - 1}
	handoff := handoffs[n%len(handoffs)]
	start := time.Date(2023, 12, 1+n%31, 0, handoff, 0, 0, time.UTC)
	users := []string{"ana", "bo", "cy"}
	s, err := oncall.New(oncall.Spec{Name: "s", Location: loc, Layers: []oncall.Layer{{Name: "l", Rotation: &oncall.Rotation{
		Users: users, Unit: k.unit, Length: k.length, Start: oncall.DateOf(start), Handoff: handoff,
	}}}})
	require.NoError(t, err)
	from, to := time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC), time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	shifts := s.Shifts(nil, from, to)
	require.True(t, shifts[0].From.Equal(from), "%s: begins late", loc)
	require.True(t, shifts[len(shifts)-1].To.Equal(to), "%s: ends early", loc)
	turn := 0
	for k.turn(start, turn+1).Before(shown(shifts[0].To)) {
		turn++
	}
	for i := range shifts {
		// Plain comparisons: there are millions of them.
		sh := &shifts[i]
		if sh.User != users[turn%len(users)] || sh.Extra {
			t.Fatalf("%s, unit %d: turn %d is not %s's: %+v", loc, k.unit, turn, users[turn%len(users)], sh)
		}
		if i == 0 {
			turn++
			continue
		}
		if !sh.From.Equal(shifts[i-1].To) {
			t.Fatalf("%s, unit %d: gap or overlap before %+v", loc, k.unit, sh)
		}
		if why := wrongHandoff(sh.From, k.turn(start, turn), shifts[i-1].From); why != "" {
			t.Fatalf("%s, unit %d: the handoff at %s %s", loc, k.unit, sh.From, why)
		}
		turn++
	}
}

// wrongHandoff says what is wrong with an instant for a time on the wall clock,
// or "".
func wrongHandoff(at, want, before time.Time) string {
	_, now := at.Zone()
	_, then := before.Zone()
	exact := shown(at).Equal(want)
	if exact && now == then && at.Sub(before) < 15*24*time.Hour {
		return ""
	}
	change, _ := at.ZoneBounds()
	if change.IsZero() {
		change = at.Add(-10000 * time.Hour)
	}
	_, old := change.Add(-1).Zone()
	back := time.Duration(old-now) * time.Second
	switch {
	case exact && back > 0 && at.Add(-back).Before(change):
		return "is the second of two"
	case exact:
		return ""
	case !at.Equal(change) || back >= 0 || !shown(change).After(want) || shown(change).Add(back).After(want):
		return fmt.Sprintf("is not at %s, and no jump over it", want.Format(time.DateTime))
	}
	return ""
}

// TestBeyondTheTables: from 2038 on zones are rules only, which package time reads
// in another way, and wrongly on the last day of a leap year.
func TestBeyondTheTables(t *testing.T) {
	t.Parallel()
	madrid := zone(t, "Europe/Madrid")
	s := compile(t, oncall.Spec{Location: madrid, Layers: []oncall.Layer{{Name: "l", Rotation: weekly("ana", "bo")}}})
	shifts := s.Shifts(nil, at(t, "2040-10-01 00:00", madrid), at(t, "2049-02-01 00:00", madrid))
	require.Len(t, shifts, 436)
	for _, sh := range shifts[1:] {
		require.Equal(t, "Mon 09:00", sh.From.Format("Mon 15:04"), "%s", sh.From)
	}
}
