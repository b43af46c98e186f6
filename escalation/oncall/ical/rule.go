package ical

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxInterval and maxCount bound a rule; more is no calendar of people.
const (
	maxInterval = 1000
	maxCount    = 1_000_000
)

type frequency uint8

const (
	daily frequency = iota
	weekly
	monthly // yearly is monthly with twelve times the interval
)

// rule is a recurrence rule of the plain kinds.
type rule struct {
	freq     frequency
	interval int
	count    int // 0: no limit
	until    *moment
	// wall says that until is on the wall clock of the event.
	wall bool
	// days has bit 1<<time.Weekday set for each day of a weekly rule.
	days      uint8
	weekStart time.Weekday
}

var weekdays = map[string]time.Weekday{
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday,
	"TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

// parseRule reads an RRULE (RFC 5545, section 3.3.10) of an event that begins at
// start. It understands FREQ=DAILY, WEEKLY, MONTHLY and YEARLY with INTERVAL,
// COUNT, UNTIL and WKST, BYDAY of a weekly rule, and BYMONTH and BYMONTHDAY where
// they say what the start says.
func parseRule(s string, start moment) (*rule, error) {
	parts, err := ruleParts(s)
	if err != nil {
		return nil, err
	}
	r := &rule{interval: 1, weekStart: time.Monday}
	year := false
	switch parts["FREQ"] {
	case "DAILY":
		r.freq = daily
	case "WEEKLY":
		r.freq = weekly
		r.days = 1 << dayOfWeek(start.day)
	case "MONTHLY":
		r.freq = monthly
	case "YEARLY":
		r.freq, year = monthly, true
	default:
		return nil, fmt.Errorf("FREQ=%s is not understood: only DAILY, WEEKLY, MONTHLY and YEARLY are", clip(parts["FREQ"]))
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		value := parts[name]
		if err := r.part(name, value, year, start); err != nil {
			return nil, fmt.Errorf("RRULE: %s=%s: %w", name, clip(value), err)
		}
	}
	if r.count > 0 && r.until != nil {
		return nil, errors.New("RRULE: COUNT and UNTIL exclude each other")
	}
	if r.freq == weekly && r.days&(1<<dayOfWeek(start.day)) == 0 {
		return nil, errors.New("RRULE: the event does not begin on one of the days of BYDAY")
	}
	if year {
		r.interval *= 12
	}
	return r, nil
}

func ruleParts(s string) (map[string]string, error) {
	list := strings.Split(strings.ToUpper(strings.Trim(s, "; ")), ";")
	const mostParts = 14 // that RFC 5545 knows
	if len(list) > mostParts {
		return nil, errors.New("RRULE has too many parts")
	}
	parts := make(map[string]string, len(list))
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if _, twice := parts[name]; twice || !ok {
			return nil, fmt.Errorf("RRULE: %q is twice in it, or has no value", clip(name))
		}
		parts[name] = value
	}
	return parts, nil
}

func (r *rule) part(name, value string, year bool, start moment) (err error) {
	date := dateOf(start.day)
	switch name {
	case "FREQ":
	case "INTERVAL":
		r.interval, err = positive(value, maxInterval)
	case "COUNT":
		r.count, err = positive(value, maxCount)
	case "UNTIL":
		var m moment
		m, err = parseMoment(value, start.zone)
		r.until, r.wall = &m, !strings.HasSuffix(value, "Z")
	case "WKST":
		var ok bool
		if r.weekStart, ok = weekdays[value]; !ok {
			err = errors.New("this is no weekday")
		}
	case "BYDAY":
		err = r.byDay(value)
	case "BYMONTHDAY":
		if r.freq != monthly || value != strconv.Itoa(date.Day) {
			err = errors.New("this is not understood, but for the day of the month on which the event begins")
		}
	case "BYMONTH":
		if !year || value != strconv.Itoa(int(date.Month)) {
			err = errors.New("this is not understood, but for the month of a yearly event in which it begins")
		}
	default:
		err = errors.New("this is not understood")
	}
	return err
}

func (r *rule) byDay(value string) error {
	if r.freq != weekly {
		return errors.New("this is understood in weekly rules only")
	}
	r.days = 0
	for d := range strings.SplitSeq(value, ",") {
		day, ok := weekdays[d]
		if !ok {
			return errors.New("this is not understood: give weekdays like MO,TU")
		}
		r.days |= 1 << day
	}
	return nil
}

func positive(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("it must be a number from 1 to %d", most)
	}
	return n, nil
}

func dayOfWeek(day int) time.Weekday { return time.Weekday(((day+4)%7 + 7) % 7) }

// each calls yield with the starts of the occurrences on the days from low to
// high, in order, until it returns false. What lies before low is counted, not
// walked through.
func (r *rule) each(start moment, low, high int, yield func(civil) bool) {
	period, n := r.skipTo(start.day, low)
	for ; ; period++ {
		first, days := r.period(start.day, period)
		if first > high {
			return
		}
		for _, day := range days {
			if day < start.day {
				continue
			}
			c := civil{day, start.second}
			if r.count > 0 && n >= r.count || day > high || r.ended(c, start.zone) {
				return
			}
			n++
			if day >= low && !yield(c) {
				return
			}
		}
	}
}

// skipTo returns a period not behind the day low, and how many occurrences there
// are in those before it.
func (r *rule) skipTo(start, low int) (period, n int) {
	switch r.freq {
	case daily:
		period = max(0, (low-start)/r.interval)
		return period, period
	case weekly:
		first, days := r.period(start, 0)
		if period = max(0, (low-first)/(7*r.interval)); period == 0 {
			return 0, 0
		}
		for _, d := range days {
			if d >= start {
				n++
			}
		}
		return period, n + (period-1)*bits.OnesCount8(r.days)
	default:
		// Months are few between minYear and maxYear, and some are skipped.
		return 0, 0
	}
}

// period returns the first day of the period with that number, and the days in
// it on which the event begins.
func (r *rule) period(start, number int) (first int, days []int) {
	switch r.freq {
	case daily:
		first = start + number*r.interval
		return first, []int{first}
	case weekly:
		first = start - int((dayOfWeek(start)-r.weekStart+7)%7) + number*7*r.interval
		for i := range 7 {
			if r.days&(1<<dayOfWeek(first+i)) != 0 {
				days = append(days, first+i)
			}
		}
		return first, days
	default:
		from := dateOf(start)
		month := from.Month + time.Month(number*r.interval)
		t := time.Date(from.Year, month, 1, 0, 0, 0, 0, time.UTC)
		first = int(t.Unix() / daySeconds)
		// A month without that day has no occurrence.
		if day := t.AddDate(0, 0, from.Day-1); day.Month() == t.Month() {
			days = []int{int(day.Unix() / daySeconds)}
		}
		return first, days
	}
}

func (r *rule) ended(c civil, zone *time.Location) bool {
	switch u := r.until; {
	case u == nil:
		return false
	case u.date:
		return c.day > u.day
	case r.wall:
		return c.since(u.civil) > 0
	default:
		return c.in(zone).After(u.instant())
	}
}
