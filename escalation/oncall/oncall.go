// Package oncall says who is on call: pure calendar arithmetic from a schedule
// and its overrides to shifts. It knows no clock and keeps no state; a Schedule
// is safe for concurrent use.
//
// # Wall clocks
//
// Rotations, windows and holidays are written on a wall clock and hold on it:
//
//   - A handoff keeps its wall-clock time: 09:00 is 09:00 on both sides of a
//     change of the clocks, so a shift may be an hour longer or shorter.
//   - A wall-clock time that does not exist, since the clock jumps over it, is
//     taken at the instant the clock jumps.
//   - A wall-clock time that exists twice is taken the first time.
//
// These are one rule: a wall-clock time stands for the first instant at which
// the clock shows it or a later time. That holds for jumps of any size at any
// hour, of a whole day too (Pacific/Apia had no 2011-12-30), and it keeps order:
// of two handoffs the one that is later on the clock is never the earlier
// instant. A shift that lies wholly in a jump is empty; the turns go on behind
// it as if it had been.
//
// Rotations by the hour count on the wall clock too, so that twelve-hour shifts
// from 08:00 stay at 08:00 and 20:00. A rotation by months that starts on a day
// that a month does not have hands off on that month's last day.
//
// # Overrides
//
// At any instant the layers are asked in turn, the highest first. Whoever stands
// on the layer may have been replaced, by name, in the order in which the
// overrides were made; a person who is away is passed over, and the next layer
// is asked. Where a replacement names nobody it takes whatever is there, a gap
// too. Time off takes a person out of the layers whenever it was made, and out
// of the replacements and additions that were made before it: who is put on call
// after having asked for time off has agreed to it.
package oncall

import "time"

// Spec is what a schedule is made of. It is plain data; New checks it.
type Spec struct {
	Name string
	// Location is the schedule's time zone; nil: UTC.
	Location *time.Location
	// Layers of which, at any instant, the one with the highest Priority that
	// covers it wins; of equal ones the first. Their names differ.
	Layers []Layer
	// Holidays are civil dates, in the schedule's time zone, in any order.
	Holidays []Date
}

// Layer is one line of a schedule. It has a Rotation or Spans.
type Layer struct {
	Name     string
	Priority int
	// Location is the layer's time zone, for schedules that follow the sun;
	// nil: the schedule's.
	Location *time.Location
	Rotation *Rotation
	// Spans are fixed shifts: an imported calendar, PagerDuty's answer. Where
	// they overlap, the first in the list holds. Empty but not nil: nobody is on
	// the layer (yet).
	Spans []Span
	// Windows restrict the layer, on its wall clock; empty: always.
	Windows []Window
	// Days restricts the layer to the schedule's holidays, or to other days.
	Days Days
	// Shadow layers lie beside the schedule's line: their people get copies.
	Shadow bool
}

// Days says on which days a layer covers: civil dates in the schedule's zone,
// whatever the layer's.
type Days uint8

// The values of Days.
const (
	EveryDay Days = iota
	HolidaysOnly
	NotHolidays
)

// Rotation hands the duty from one person to the next at a wall-clock time.
type Rotation struct {
	// Users in turn. One is enough; one may come twice.
	Users []string
	Unit  Unit
	// Length of a shift, in units; at least 1.
	Length int
	// Start is the day on which the first of Users begins; before it nobody is
	// on call. Handoff is the time of the handoff, in minutes since midnight.
	Start   Date
	Handoff int
}

// Unit is what a rotation counts in.
type Unit uint8

// The units.
const (
	Hours Unit = iota
	DaysUnit
	Weeks
	Months
)

// Span is a fixed shift, without To.
type Span struct {
	User     string
	From, To time.Time
}

// Window is a part of the week on the wall clock.
type Window struct {
	// Days has bit 1<<time.Weekday set for each day on which the window begins;
	// 0: every day.
	Days uint8 `json:"days,omitempty"`
	// From and To are minutes since midnight, without To: 0 to 1439, To also
	// 1440. To at or before From is on the next day; 0 and 0: the whole day.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}
