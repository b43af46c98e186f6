package server

import (
	"regexp"
	"time"
)

// localTime is how a browser writes what is typed into a field for a time.
const localTime = "2006-01-02T15:04"

// when is a time on a page. The script knows its form by sight (times.js), and shows
// it on the clock of whoever looks.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// stamp is a time for machines.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// wholeTime is the time that a text is as a whole, in the way of the API; zero: it is
// something else.
func wholeTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// wallTime is a time with its day of the week, on a clock that the page keeps to.
type wallTime struct {
	At   time.Time
	Text string
	// Own is true on the clock of a schedule; else it is UTC, and the script may show
	// it on another.
	Own bool
}

// wall is a time on the wall clock of a zone, with its name: hours that occur
// twice are told apart by it.
func wall(t time.Time, zone *time.Location) wallTime {
	return wallTime{At: t, Text: t.In(zone).Format("Mon 2006-01-02 15:04 MST"), Own: true}
}

// wallUTC is a time that is on no schedule's clock.
func wallUTC(t time.Time) wallTime {
	w := wall(t, time.UTC)
	w.Own = false
	return w
}

// saidTime is a time as sentences of the timeline, of traces and of refusals have it.
var saidTime = regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC\b`)

// piece is a part of a sentence; At is zero where it is not a time.
type piece struct {
	Text string
	At   time.Time
}

// pieces takes a sentence apart at the times in it. Text is what it was.
func pieces(text string) []piece {
	var list []piece
	rest := 0
	for _, span := range saidTime.FindAllStringIndex(text, -1) {
		said := text[span[0]:span[1]]
		at, err := time.Parse("2006-01-02 15:04:05 UTC", said)
		if err != nil {
			at, err = time.Parse("2006-01-02 15:04 UTC", said)
		}
		if err != nil || at.IsZero() {
			continue
		}
		list = append(list, piece{Text: text[rest:span[0]]}, piece{said, at})
		rest = span[1]
	}
	return append(list, piece{Text: text[rest:]})
}

// fieldTime reads a field for a time, on the wall clock of a zone; with an offset,
// as the API takes it, too. A wall clock that shows the hour twice means the first
// time; one that leaves an hour out does not show it.
func fieldTime(field, text string, zone *time.Location) (time.Time, error) {
	typed, err := time.Parse(localTime, text)
	if err != nil {
		typed, err = time.Parse(localTime+":05", text)
	}
	if err == nil {
		t, ok := shownAt(typed, zone)
		if !ok {
			return t, invalid(field, "%s is not on the clock of %s, which is put forward then; want a time before or after", clip(text), zone)
		}
		return t, checkYear(field, t)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid(field, "%q; want a time like 2026-11-22T09:00", clip(text))
	}
	return t.UTC(), checkYear(field, t)
}

// shownAt is when the wall clock of a zone first shows what that of UTC shows at a
// time; false: it never does. time.ParseInLocation takes either of two, and one near
// by where there is none.
func shownAt(wall time.Time, zone *time.Location) (time.Time, bool) {
	for _, near := range []time.Time{wall.Add(-day), wall.Add(day)} { // the offsets before and after it changes
		_, before := near.In(zone).Zone()
		t := wall.Add(-time.Duration(before) * time.Second)
		if _, offset := t.In(zone).Zone(); offset == before {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
