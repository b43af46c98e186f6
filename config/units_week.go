package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// minutesADay is the Clock of 24:00.
const minutesADay = 24 * 60

// Clock is a time of day in minutes since midnight, written HH:MM. 24:00 is the
// end of the day.
type Clock int

// ParseClock reads a time of day: 00:00 to 24:00, with both digits.
func ParseClock(s string) (Clock, error) {
	hours, minutes, ok := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(hours, 10, 8)
	m, errM := strconv.ParseUint(minutes, 10, 8)
	switch {
	case !ok || errH != nil || errM != nil || len(hours) != 2 || len(minutes) != 2:
		return 0, errors.New("is not a time of day; write it as HH:MM in quotes, such as '09:00'")
	case m > 59 || h > 24 || h == 24 && m > 0:
		return 0, errors.New("is not a time of day; the day has 00:00 to 24:00, such as '09:00'")
	}
	return Clock(h*60 + m), nil //nolint:gosec // At most 24 hours.
}

// String writes the time so that ParseClock reads it again.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// MarshalText writes the time as String does.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the time as ParseClock does.
func (c *Clock) UnmarshalText(text []byte) (err error) {
	*c, err = ParseClock(string(text))
	return err
}

// Weekdays is a day of the week or a span of them, written monday or
// monday:friday, also over the week's end, friday:monday. Bit 1<<time.Weekday is
// set for each day.
type Weekdays int

// ParseWeekdays reads a day or a span of days, in any case.
func ParseWeekdays(s string) (Weekdays, error) {
	first, last, span := strings.Cut(s, ":")
	if !span {
		last = first
	}
	from, err := parseWeekday(first)
	if err != nil {
		return 0, err
	}
	to, err := parseWeekday(last)
	if err != nil {
		return 0, err
	}
	var w Weekdays
	for d := from; ; d = (d + 1) % 7 {
		w |= 1 << d
		if d == to {
			return w, nil
		}
	}
}

func parseWeekday(s string) (time.Weekday, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	names := make([]string, 7)
	for d := time.Sunday; d <= time.Saturday; d++ {
		if names[d] = strings.ToLower(d.String()); names[d] == s {
			return d, nil
		}
	}
	if near, ok := closest(s, names); ok {
		return 0, fmt.Errorf("is not a day of the week; did you mean %s?", near)
	}
	return 0, errors.New("is not a day of the week; write monday, or monday:friday for a span")
}

// String writes the days so that ParseWeekdays reads them again. Days that are
// not neighbours are written with commas between, which it does not read.
func (w Weekdays) String() string {
	var spans []string
	for n := range 7 {
		first := (time.Monday + time.Weekday(n)) % 7
		before := (first + 6) % 7
		if w&(1<<first) == 0 || w&(1<<before) != 0 {
			continue
		}
		last := first
		for w&(1<<((last+1)%7)) != 0 {
			last = (last + 1) % 7
		}
		text := strings.ToLower(first.String())
		if last != first {
			text += ":" + strings.ToLower(last.String())
		}
		spans = append(spans, text)
	}
	if w == everyDay {
		return "monday:sunday"
	}
	return strings.Join(spans, ",")
}

// MarshalText writes the days as String does.
func (w Weekdays) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads the days as ParseWeekdays does.
func (w *Weekdays) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWeekdays(string(text))
	return err
}

// everyDay has all days of the week.
const everyDay Weekdays = 1<<7 - 1

// daySet is what any of the entries has.
func daySet(list []Weekdays) uint8 {
	var w Weekdays
	for _, e := range list {
		w |= e
	}
	return uint8(w & everyDay) //nolint:gosec // Seven bits.
}

// Date is a day of the calendar, written 2026-01-05. The zero value is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads a date that exists.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		var wrong *time.ParseError
		if errors.As(err, &wrong) && strings.Contains(wrong.Message, "out of range") {
			return Date{}, errors.New("does not exist; look at the month and the day")
		}
		return Date{}, errors.New("is not a date; write it as '2026-01-05': year, month, day")
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

// IsZero reports whether there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Weekday is the day of the week.
func (d Date) Weekday() time.Weekday { return d.in(time.UTC).Weekday() }

// in is the beginning of the day in a time zone.
func (d Date) in(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// String writes the date so that ParseDate reads it again; "" is no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.in(time.UTC).Format(time.DateOnly)
}

// MarshalText writes the date as String does.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the date as ParseDate does.
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}
