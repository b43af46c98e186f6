package oncall

import (
	"fmt"
	"time"
)

// Date is a civil date. The zero value is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads a date as ISO 8601 writes it: "2026-12-25". The year has four
// digits.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is no date: write it as 2026-12-25", s)
	}
	return DateOf(t), nil
}

// DateOf returns the date that t has in its own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{Year: y, Month: m, Day: d}
}

// Valid reports whether there is such a day, in the years 1 to 9999.
func (d Date) Valid() bool {
	return d.Year >= 1 && d.Year <= 9999 && d.Month >= time.January && d.Month <= time.December &&
		d.Day >= 1 && d.Day <= monthDays(d.Year, d.Month)
}

// String returns the date as ISO 8601 writes it.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

const (
	dayMinutes = 24 * 60
	secondsDay = 24 * 60 * 60
)

// days returns the days from 1970-01-01 to the date.
func (d Date) days() int64 {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / secondsDay
}

// minute returns the civil minute at midnight of the date: the minutes from
// 1970-01-01T00:00 on the same wall clock.
func (d Date) minute() int64 { return d.days() * dayMinutes }

// dateAt returns the date of a civil minute.
func dateAt(minute int64) Date { return DateOf(time.Unix(minute*60, 0).UTC()) }

// weekday of a day counted from 1970-01-01, a Thursday.
func weekday(day int64) time.Weekday { return time.Weekday(mod(day+int64(time.Thursday), 7)) }

// monthDays returns how many days a month has.
func monthDays(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// floor divides, rounding down also below zero; mod is what remains.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func mod(a, b int64) int64 { return a - floor(a, b)*b }
