package config

import (
	"regexp"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// monthNumber finds the numbers in a span of months, which Alertmanager's own
// reading does not bound.
var monthNumber = regexp.MustCompile(`-?[0-9]+`)

func (c *checker) timeIntervals() {
	list := c.cfg.TimeIntervals
	for i := range list {
		t := &list[i]
		if c.name(at(&t.Name, t), "the name of a time interval", t.Name) {
			if first, twice := c.intervals[t.Name]; twice {
				c.fail(at(&t.Name), "time interval %s is given twice, first at %s; rename one", quote(t.Name), first.Pos)
			} else {
				c.intervals[t.Name] = t
			}
		}
		if len(t.TimeIntervals) == 0 {
			c.fail(at(&t.TimeIntervals, t), "time_intervals is missing: this would be at no time; list the times")
		}
		for j := range t.TimeIntervals {
			c.times(&t.TimeIntervals[j])
		}
	}
}

func (c *checker) times(t *Times) {
	if t.Times != nil && len(t.Times) == 0 {
		c.fail(at(&t.Times), "times is empty: this would be at no time; remove it for the whole day")
	}
	for i := range t.Times {
		r := &t.Times[i]
		if err := parseAs(r.plain(), new(timeinterval.TimeRange)); err != nil {
			c.fail(at(r), "times: %v; write start_time: '09:00' and end_time: '17:00', up to 24:00, and two entries for a span over midnight", err)
		}
	}
	checkSpans[timeinterval.WeekdayRange](c, &t.Weekdays, "weekdays", "monday:friday; the week begins on sunday")
	checkSpans[timeinterval.DayOfMonthRange](c, &t.DaysOfMonth, "days_of_month", "1:5, or -1 for the last day")
	checkSpans[timeinterval.MonthRange](c, &t.Months, "months", "january:march, or 1:3")
	checkSpans[timeinterval.YearRange](c, &t.Years, "years", "2026:2028")
	for i := range t.Months {
		for _, n := range monthNumber.FindAllString(t.Months[i], -1) {
			if _, err := time.Parse("1", n); err != nil {
				c.fail(at(&t.Months[i]), "months: %s is not a month; write 1 to 12, or a name", n)
			}
		}
	}
	if t.Location != "" && parseAs(t.Location, new(timeinterval.Location)) != nil {
		c.fail(at(&t.Location), "location: %s is not a time zone; write one such as Europe/Madrid, UTC or Local", quote(t.Location))
	}
}

// checkSpans gives each entry to Alertmanager's own reading.
func checkSpans[T any](c *checker, list *[]string, key, example string) {
	if *list != nil && len(*list) == 0 {
		c.fail(at(list), "%s is empty: this would be at no time; remove it for any time", key)
	}
	for i := range *list {
		entry := &(*list)[i]
		if err := parseAs(*entry, new(T)); err != nil {
			c.fail(at(entry), "%s: %s is not understood (%v); write it as %s", key, quote(*entry), err, example)
		}
	}
}
