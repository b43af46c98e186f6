package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// zoneFlags say in which time zone a command reads and shows times.
type zoneFlags struct {
	Zone string `name:"time-zone" placeholder:"Europe/Madrid" help:"The time zone of the times given and shown. Default: this machine's."`
}

func (f zoneFlags) location() (*time.Location, error) {
	if f.Zone == "" {
		return time.Local, nil
	}
	loc, err := time.LoadLocation(f.Zone)
	if err != nil {
		return nil, wrongUse("--time-zone %q is not known; write an IANA name such as Europe/Madrid", f.Zone)
	}
	return loc, nil
}

// wrongUse is an error of whoever typed the command: exit 2.
func wrongUse(format string, args ...any) error {
	return exitError{2, "tocsin: " + fmt.Sprintf(format, args...)}
}

const whenForms = `write 2026-01-05T09:00, 2026-01-05, 09:00, now, +2h, or RFC 3339`

// when reads the time of a flag; an empty one is otherwise.
func when(flag, s string, base time.Time, loc *time.Location, otherwise time.Time) (time.Time, error) {
	if s == "" {
		return otherwise, nil
	}
	t, err := parseWhen(s, base, loc)
	if err != nil {
		return time.Time{}, wrongUse("%s %q: %s", flag, s, err)
	}
	return t, nil
}

// parseWhen reads a time as people write it. What names no zone is on the wall
// clock of loc: one that does not exist is taken at the instant the clock jumps,
// one that exists twice the first time. A time of day alone is the next one that
// is not before base; +2h and -2h are counted from base, which is also "now".
func parseWhen(s string, base time.Time, loc *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return base, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.In(loc), nil
	}
	if sign, rest, ok := signed(s); ok {
		d, err := config.ParseDuration(rest)
		if err != nil {
			return time.Time{}, fmt.Errorf("%w; %s", err, whenForms)
		}
		return base.Add(time.Duration(sign) * d.Std()).In(loc), nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return wallTime(t, loc), nil
		}
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return time.Time{}, fmt.Errorf("is not a time; %s", whenForms)
	}
	today := oncall.DateOf(base.In(loc))
	for day := 0; ; day++ {
		if at := oncall.Instant(today, (24*day+t.Hour())*60+t.Minute(), loc); !at.Before(base) {
			return at, nil
		}
	}
}

func signed(s string) (sign int, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(s, "+"); ok {
		return 1, rest, true
	}
	rest, ok = strings.CutPrefix(s, "-")
	return -1, rest, ok
}

// wallTime is the instant at which the wall clock of loc shows what wall shows:
// the first such, or the jump where the clock skips it.
func wallTime(wall time.Time, loc *time.Location) time.Time {
	return oncall.Instant(oncall.DateOf(wall), wall.Hour()*60+wall.Minute(), loc)
}

// civil is what the wall clock of t shows, to the minute, written as UTC.
func civil(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// spanFlags name a span of time by its start and its end or its length.
type spanFlags struct {
	From string          `placeholder:"TIME" help:"From when: 2026-01-05T09:00, 2026-01-05, 09:00, now, +2h, or RFC 3339. Default: now."`
	To   string          `placeholder:"TIME" xor:"end" help:"Until when, written as --from is: a time of day is the next one behind it, +8h is counted from it."`
	For  config.Duration `placeholder:"8h" xor:"end" help:"Or for how long: 90m, 8h, 2w."`
	zoneFlags
}

func (f *spanFlags) span(now time.Time) (from, to time.Time, loc *time.Location, err error) {
	if loc, err = f.location(); err != nil {
		return from, to, loc, err
	}
	if from, err = when("--from", f.From, now, loc, now); err != nil {
		return from, to, loc, err
	}
	if f.To == "" && f.For == 0 {
		return from, to, loc, wrongUse("say until when: --for 8h, or --to TIME")
	}
	if to, err = when("--to", f.To, from, loc, from.Add(f.For.Std())); err != nil {
		return from, to, loc, err
	}
	if !to.After(from) {
		err = wrongUse("the end, %s, is not behind the start, %s; move --to, or give --for", at(to, loc), at(from, loc))
	}
	return from, to, loc, err
}

// at shows an instant to a person: the weekday, since duty is thought of in
// weeks, and the zone, since nobody is where everybody is.
func at(t time.Time, loc *time.Location) string { return t.In(loc).Format("Mon 2006-01-02 15:04 MST") }

// in says how far off t is: "in 12m", or "now" when it is due.
func in(t, now time.Time) string {
	d := t.Sub(now).Round(time.Minute)
	switch {
	case !t.After(now):
		return "now"
	case d < time.Minute:
		return "in less than 1m"
	case d < 48*time.Hour:
		return "in " + cmp.Or(strings.TrimSuffix(config.Duration(d).String(), "0s"), "1m")
	default:
		return fmt.Sprintf("in %dd", int(d.Hours()/24))
	}
}
