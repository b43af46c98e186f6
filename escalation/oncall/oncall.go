// Package oncall says who is on call: pure calendar arithmetic from a schedule
// and its overrides to intervals.
package oncall

import (
	"time"
)

// Schedule says who is on call at any instant. It is plain data; New checks it.
type Spec struct {
	Name string
	// Location is the schedule's time zone; nil: UTC.
	Location *time.Location
	// Layers of which, at any instant, the one with the highest Priority that
	// covers it wins; of equal ones the first.
	Layers []Layer
	// Holidays are civil dates, in the schedule's time zone.
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
	// Spans are fixed shifts: an imported calendar, PagerDuty's answer.
	Spans []Span
	// Windows restrict the layer, on its wall clock; empty: always.
	Windows []Window
	// Days restricts the layer to the schedule's holidays, or to other days.
	Days Days
	// Shadow layers lie beside the schedule's line: their people get copies.
	Shadow bool
}

// Days says on which days a layer covers.
type Days uint8

// The values of Days.
const (
	EveryDay Days = iota
	HolidaysOnly
	NotHolidays
)

// Rotation hands the duty from one person to the next at a wall-clock time.
type Rotation struct {
	// Users in turn. One is enough.
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

// Date is a civil date. The zero value is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

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
	// From and To are minutes since midnight, without To. To at or before From
	// is on the next day; 0 and 0: the whole day.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}
