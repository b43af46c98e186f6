package escalation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func TestFairness(t *testing.T) {
	t.Parallel()
	madrid := zoneOf(t, "Europe/Madrid")
	// The week of the change to summer time: 167 hours.
	from := time.Date(2026, 3, 23, 9, 0, 0, 0, madrid)
	to := time.Date(2026, 3, 30, 9, 0, 0, 0, madrid)
	primary := duty(t, oncall.Spec{
		Name: "primary", Location: madrid, Holidays: []oncall.Date{{Year: 2026, Month: 3, Day: 27}},
		Layers: []oncall.Layer{{Name: "l", Rotation: turns("bo", "ana")}, {Name: "learning", Shadow: true, Rotation: turns("zoe")}},
	})
	secondary := duty(t, oncall.Spec{Name: "secondary", Location: madrid, Layers: []oncall.Layer{
		{Name: "l", Rotation: turns("ana"), Windows: []oncall.Window{{Days: 1 << time.Tuesday, From: 9 * 60, To: 17 * 60}}},
	}})
	users := people("ana", "bo")
	users["cy"] = person("cy", "Asia/Tokyo")
	added := tocsin.Override{
		ID: "o1", Kind: tocsin.OverrideAdd, Schedule: "primary", User: "cy", State: tocsin.OverrideActive,
		From: time.Date(2026, 3, 27, 12, 0, 0, 0, madrid), To: time.Date(2026, 3, 27, 18, 0, 0, 0, madrid),
	}
	pages := []Page{
		{"ana", time.Date(2026, 3, 24, 3, 0, 0, 0, madrid)},
		{"ana", time.Date(2026, 3, 24, 12, 0, 0, 0, madrid)},
		{"ana", to},
		{"boss", time.Date(2026, 3, 24, 22, 0, 0, 0, time.UTC)},
	}
	got := Fairness([]*oncall.Schedule{primary, secondary}, users, []tocsin.Override{added}, pages, from, to)
	assert.Equal(t, []tocsin.Share{
		// Eleven weeks after the start it is ana's turn. Seven nights of nine hours, but for
		// the one that lost an hour; the weekend lost the same one. What she serves on both schedules counts once.
		{User: "ana", Hours: 167, NightHours: 62, WeekendHours: 47, HolidayHours: 24, Shifts: 2, Pages: 2, NightPages: 1},
		// 12:00 to 18:00 in Madrid is 20:00 to 02:00 in Tokyo, where it is Saturday then.
		{User: "cy", Hours: 6, NightHours: 4, WeekendHours: 2, HolidayHours: 6, Shifts: 1},
		{User: "bo"},
		{User: "boss", Pages: 1, NightPages: 1},
	}, got)
}

func TestFairnessOfNothing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 30, 9, 0, 0, 0, time.UTC)
	assert.Empty(t, Fairness(nil, nil, nil, nil, now, now.Add(time.Hour)))
}
