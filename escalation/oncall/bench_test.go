package oncall_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// fifty are schedules of five layers: weekly, nights, weekends, holidays, and a
// shadow.
func fifty(t testing.TB) []*oncall.Schedule {
	t.Helper()
	const weekdays, weekend = 0b0111110, 0b1000001
	names := []string{"Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"}
	var out []*oncall.Schedule
	for n := range 50 {
		rotation := func(unit oncall.Unit, length int) *oncall.Rotation {
			return &oncall.Rotation{
				Users: []string{"ana", "bo", "cy", "di"}, Unit: unit, Length: length,
				Start: oncall.Date{Year: 2020, Month: 1, Day: 6}, Handoff: 9*60 + n,
			}
		}
		s, err := oncall.New(oncall.Spec{
			Name: fmt.Sprintf("s%d", n), Location: zone(t, names[n%len(names)]),
			Holidays: []oncall.Date{{Year: 2026, Month: 12, Day: 25}, {Year: 2027, Month: 1, Day: 1}},
			Layers: []oncall.Layer{
				{Name: "weekly", Rotation: rotation(oncall.Weeks, 1)},
				{Name: "hours", Priority: 1, Rotation: rotation(oncall.DaysUnit, 1), Windows: []oncall.Window{{Days: weekdays, From: 9 * 60, To: 17 * 60}}},
				{Name: "nights", Priority: 2, Rotation: rotation(oncall.Hours, 12), Windows: []oncall.Window{{Days: weekend, From: 22 * 60, To: 6 * 60}}},
				{Name: "holidays", Priority: 3, Rotation: rotation(oncall.DaysUnit, 1), Days: oncall.HolidaysOnly},
				{Name: "shadow", Rotation: rotation(oncall.Weeks, 2), Shadow: true},
			},
		})
		require.NoError(t, err)
		out = append(out, s)
	}
	return out
}

// BenchmarkYearOfFiftySchedules is `tocsin oncall --for 52w`, which must take less
// than 200 ms.
func BenchmarkYearOfFiftySchedules(b *testing.B) {
	schedules := fifty(b)
	from := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	var overrides []tocsin.Override
	for n := range 200 {
		at := from.AddDate(0, 0, n)
		overrides = append(overrides, tocsin.Override{
			ID: fmt.Sprint(n), Kind: tocsin.OverrideReplace, State: tocsin.OverrideActive, Schedule: fmt.Sprintf("s%d", n%50),
			User: "eve", From: at, To: at.Add(5 * time.Hour), CreatedAt: from,
		})
	}
	for b.Loop() {
		for _, s := range schedules {
			if got := s.Shifts(overrides, from, from.AddDate(0, 0, 52*7)); len(got) < 52 {
				b.Fatal(len(got))
			}
		}
	}
}

func BenchmarkAt(b *testing.B) {
	s := fifty(b)[0]
	at := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	for b.Loop() {
		if len(s.At(nil, at)) != 2 {
			b.Fatal("there are the shift and its shadow")
		}
	}
}

func BenchmarkWho(b *testing.B) {
	s := fifty(b)[0]
	at := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	for b.Loop() {
		if len(s.Shifts(nil, at, at.Add(1))) != 2 {
			b.Fatal("there are the shift and its shadow")
		}
	}
}
