package ical

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Years that a date from outside may have.
const (
	minYear = 1970
	maxYear = 2100
)

const (
	daySeconds = 24 * 60 * 60
	maxLength  = (maxYear - minYear) * 366 * daySeconds
)

// civil is a time on the wall clock: days since 1970-01-01, and seconds since
// midnight.
type civil struct{ day, second int }

func civilOf(t time.Time) civil {
	y, m, d := t.Date()
	return civil{dayNumber(y, m, d), t.Hour()*3600 + t.Minute()*60 + t.Second()}
}

func dayNumber(y int, m time.Month, d int) int {
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / daySeconds)
}

func dateOf(day int) oncall.Date {
	y, m, d := time.Unix(int64(day)*daySeconds, 0).UTC().Date()
	return oncall.Date{Year: y, Month: m, Day: d}
}

// add adds seconds on the wall clock.
func (c civil) add(seconds int) civil {
	total := c.day*daySeconds + c.second + seconds
	day := total / daySeconds
	if total < 0 && total%daySeconds != 0 {
		day--
	}
	return civil{day, total - day*daySeconds}
}

// since is the time from b to c on the wall clock, in seconds.
func (c civil) since(b civil) int { return (c.day-b.day)*daySeconds + c.second - b.second }

// in is the instant at which the clocks of zone show c, by the rule of
// oncall.Instant.
func (c civil) in(zone *time.Location) time.Time {
	return oncall.Instant(dateOf(c.day), c.second/60, zone).Add(time.Duration(c.second%60) * time.Second)
}

// moment is a date, or a time on the clocks of a zone.
type moment struct {
	civil
	zone *time.Location
	date bool
}

func (m moment) instant() time.Time { return m.in(m.zone) }

// parseMoment reads a DATE or a DATE-TIME (RFC 5545, sections 3.3.4 and 3.3.5).
// zone is that of a time without a Z.
func parseMoment(s string, zone *time.Location) (moment, error) {
	m := moment{zone: zone}
	text, utc := strings.CutSuffix(s, "Z")
	day, clock, timed := strings.Cut(text, "T")
	if len(day) != 8 || timed != (len(clock) == 6) || utc && !timed {
		return m, fmt.Errorf("%q is no date and no time: they look like 20260105 or 20260105T090000Z", clip(s))
	}
	if utc {
		m.zone = time.UTC
	}
	m.date = !timed
	if !timed {
		clock = "000000"
	}
	n, err := numbers(day[:4], day[4:6], day[6:], clock[:2], clock[2:4], clock[4:])
	if err != nil {
		return m, fmt.Errorf("%q is no date and no time: %w", clip(s), err)
	}
	n[5] = min(n[5], 59) // a leap second, 60, is read as the one before it
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	if t.Day() != n[2] || int(t.Month()) != n[1] || t.Hour() != n[3] || t.Minute() != n[4] {
		return m, fmt.Errorf("there is no such date or time as %q", clip(s))
	}
	if n[0] < minYear || n[0] > maxYear {
		return m, fmt.Errorf("%q is not between the years %d and %d", clip(s), minYear, maxYear)
	}
	m.civil = civilOf(t)
	return m, nil
}

func numbers(parts ...string) ([]int, error) {
	out := make([]int, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return nil, errors.New("it does not consist of digits")
		}
		out[i] = int(n)
	}
	return out, nil
}

// length is how long an event lasts: on the wall clock, and then exactly.
type length struct {
	seconds int
	exact   time.Duration
}

// after is the length from start to m: on the wall clock where both are on the
// same one.
func (m moment) after(start moment) length {
	if m.zone.String() == start.zone.String() {
		return length{seconds: m.since(start.civil)}
	}
	return length{exact: m.instant().Sub(start.instant())}
}

// end is when an event ends that begins at c.
func (l length) end(c civil, zone *time.Location) time.Time {
	return c.add(l.seconds).in(zone).Add(l.exact)
}

// days is an upper bound of it in days.
func (l length) days() int { return l.seconds/daySeconds + int(l.exact/(24*time.Hour)) + 2 }

// parseDuration reads a DURATION that is not negative (RFC 5545, section 3.3.6).
// Its weeks and days are counted on the wall clock, its time is exact.
func parseDuration(s string) (length, error) {
	bad := fmt.Errorf("%q is no duration: they look like PT8H or P1DT12H", clip(s))
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "+"), "P")
	if !ok || rest == "" || strings.HasSuffix(rest, "T") {
		return length{}, bad
	}
	var nominal, exact int // in seconds
	timed := false
	for rest != "" {
		if rest[0] == 'T' && !timed {
			timed, rest = true, rest[1:]
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 1 || end > 7 {
			return length{}, bad
		}
		n, err := strconv.Atoi(rest[:end])
		unit := rest[end]
		rest = rest[end+1:]
		switch {
		case err != nil:
			return length{}, bad
		case unit == 'W' && !timed:
			nominal += 7 * n * daySeconds
		case unit == 'D' && !timed:
			nominal += n * daySeconds
		case unit == 'H' && timed:
			exact += n * 3600
		case unit == 'M' && timed:
			exact += n * 60
		case unit == 'S' && timed:
			exact += n
		default:
			return length{}, bad
		}
		if nominal+exact > maxLength {
			return length{}, fmt.Errorf("the duration %q is too long", clip(s))
		}
	}
	return length{nominal, time.Duration(exact) * time.Second}, nil
}
