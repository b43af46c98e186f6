package command

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// errWhen says how times are written.
var errWhen = errors.New("is not a time; write 18:00, tomorrow 09:00, mon 09:00, 2h, 2026-01-05, 2026-01-05 09:00, or RFC 3339")

// when reads a time from the beginning of some words, as many of them as make one:
// of "tomorrow 09:00 and then" two. See instant.
func when(words []word, now, base time.Time, loc *time.Location) (t time.Time, read int, err error) {
	for n := min(2, len(words)); n > 0; n-- {
		texts := make([]string, 0, n)
		for _, w := range words[:n] {
			texts = append(texts, w.text)
		}
		if t, ok := instant(strings.Join(texts, " "), now, base, loc); ok {
			return t, n, nil
		}
	}
	return time.Time{}, 0, errWhen
}

// instant reads a time as people write it, as the command line does. What names no
// zone is on the wall clock of loc: a time that does not exist there is taken at
// the instant the clock jumps, one that exists twice the first time. A time of day
// alone is the next one that is not before base; a duration is counted from base,
// which is also "now"; today and tomorrow are those of now.
func instant(s string, now, base time.Time, loc *time.Location) (time.Time, bool) {
	s = strings.ToLower(s)
	if s == "now" {
		return base, true
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(s)); err == nil {
		return t, true
	}
	if d, ok := duration(strings.TrimPrefix(strings.TrimPrefix(s, "in "), "+")); ok {
		return base.Add(d), true
	}
	for _, form := range []string{"2006-01-02t15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return wall(t, loc), true
		}
	}
	if t, ok := clock(s); ok {
		for day := midnight(base.In(loc)); ; day = day.AddDate(0, 0, 1) {
			if at := wall(day.Add(t), loc); !at.Before(base) {
				return at, true
			}
		}
	}
	return onDay(s, now, base, loc)
}

// onDay reads a day by its name, with a time of day or without.
func onDay(s string, now, base time.Time, loc *time.Location) (time.Time, bool) {
	name, rest, timed := strings.Cut(s, " ")
	of, ok := clock(rest)
	if timed && !ok {
		return time.Time{}, false
	}
	switch name {
	case "today":
		return wall(midnight(now.In(loc)).Add(of), loc), true
	case "tomorrow":
		return wall(midnight(now.In(loc)).AddDate(0, 0, 1).Add(of), loc), true
	}
	for day, at := 0, midnight(base.In(loc)); day <= 7; day++ {
		d := at.AddDate(0, 0, day)
		full := strings.ToLower(d.Weekday().String())
		if t := wall(d.Add(of), loc); (name == full || name == full[:3]) && !t.Before(base) {
			return t, true
		}
	}
	return time.Time{}, false
}

// clock reads a time of day.
func clock(s string) (time.Duration, bool) {
	for _, form := range []string{"15:04", "3:04pm", "3pm"} {
		if t, err := time.Parse(form, s); err == nil {
			return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
		}
	}
	return 0, false
}

// midnight is the date that t shows, written as UTC.
func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// wall is the first instant at which the wall clock of loc shows what civil shows,
// or a later time (package oncall holds its schedules to the same rule).
func wall(civil time.Time, loc *time.Location) time.Time {
	// No zone has ever been farther from UTC: at t the clock cannot show it yet.
	const farthest = 16 * time.Hour
	t := civil.Add(-farthest).In(loc)
	for {
		_, offset := t.Zone()
		begin, end := t.ZoneBounds()
		at := civil.Add(-time.Duration(offset) * time.Second).In(loc)
		switch {
		case !begin.IsZero() && at.Before(begin):
			return begin
		case end.IsZero() || at.Before(end):
			return at
		case !end.After(t):
			// On the last day of a leap year ZoneBounds may return that day's begin
			// (Go 1.26, tzset in time/zoneinfo.go).
			end = end.Add(24 * time.Hour)
		}
		t = end
	}
}

// maxDuration is the longest that is read: ten years.
const maxDuration = 10 * 365 * 24 * time.Hour

var units = []struct {
	name string
	size time.Duration
}{{"y", 365 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// duration reads one as Prometheus writes it: 90m, 1h30m, 2d, the largest unit
// first.
func duration(s string) (total time.Duration, ok bool) {
	next := 0
	for rest := s; rest != ""; {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		n, err := strconv.Atoi(digits)
		rest = rest[len(digits):]
		if err != nil || rest == "" {
			return 0, false
		}
		at := next
		for at < len(units) && units[at].name != rest[:1] {
			at++
		}
		if at == len(units) || n > int(maxDuration/units[at].size) {
			return 0, false
		}
		total += time.Duration(n) * units[at].size
		next, rest = at+1, rest[1:]
	}
	return total, s != "" && total <= maxDuration
}
