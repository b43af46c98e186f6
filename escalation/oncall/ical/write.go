package ical

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	ics "github.com/arran4/golang-ical"

	"github.com/tocsin-oncall/tocsin"
)

const (
	product = "-//Tocsin//On call//EN"
	// refresh is how often calendar programs are asked to look again.
	refresh = "PT1H"
	// lineOctets is RFC 5545's limit, section 3.1, without the line break.
	lineOctets = 75
	stamp      = "20060102T150405Z"
)

// Window is the span of time that a feed of shifts should show at now. It begins
// on the first day of a month, the one before the last, in UTC: a shift that is
// cut there keeps its start, and with it its UID, for a month.
func Window(now time.Time) (from, to time.Time) {
	now = now.UTC()
	return time.Date(now.Year(), now.Month()-2, 1, 0, 0, 0, 0, time.UTC), now.AddDate(0, 6, 0)
}

// Write writes a calendar called name with one event for each shift; gaps are
// left out. All times are in UTC, so that no reader needs our time zones. The
// events do not make anybody busy.
//
// The UID of an event depends on the schedule, the user, the kind of shift and
// its start. So that it stays the same, shifts must not be cut off at now: ask
// for those of Window.
func Write(w io.Writer, name string, shifts []tocsin.Shift, now time.Time) error {
	cal := ics.NewCalendar()
	cal.SetProductId(product)
	cal.SetCalscale("GREGORIAN")
	cal.SetName(oneLine(name))
	cal.SetRefreshInterval(refresh) // the library adds VALUE=DURATION
	cal.SetXPublishedTTL(refresh)
	used := make(map[string]int, len(shifts))
	for i := range shifts {
		s := &shifts[i]
		if s.Gap() || !s.From.Before(s.To) {
			continue
		}
		id := uid(s)
		used[id]++
		if n := used[id]; n > 1 {
			id = strconv.Itoa(n) + "-" + id
		}
		addShift(cal, s, id, now)
	}
	if err := cal.SerializeTo(w, ics.WithLineLength(lineOctets), ics.WithNewLine("\r\n")); err != nil {
		return fmt.Errorf("writing the calendar %q: %w", name, err)
	}
	return nil
}

func addShift(cal *ics.Calendar, s *tocsin.Shift, id string, now time.Time) {
	e := cal.AddEvent(id)
	e.SetProperty(ics.ComponentPropertyDtstamp, now.UTC().Format(stamp))
	e.SetProperty(ics.ComponentPropertyDtStart, s.From.UTC().Format(stamp))
	e.SetProperty(ics.ComponentPropertyDtEnd, s.To.UTC().Format(stamp))
	e.SetSummary(oneLine(summary(s)))
	if s.Source != "" {
		e.SetDescription(oneLine(s.Source))
	}
	if s.Shadow {
		e.AddCategory("SHADOW")
	} else {
		e.AddCategory("ON-CALL")
	}
	e.SetTimeTransparency(ics.TransparencyTransparent)
}

func summary(s *tocsin.Shift) string {
	does := "on call"
	switch {
	case s.Shadow:
		does = "shadow"
	case s.Extra:
		does = "also on call"
	}
	return s.User + " " + does + ": " + s.Schedule
}

func uid(s *tocsin.Shift) string {
	kind := "on call"
	switch {
	case s.Shadow:
		kind = "shadow"
	case s.Extra:
		kind = "extra"
	}
	key := strings.Join([]string{s.Schedule, s.User, kind, strconv.FormatInt(s.From.Unix(), 10)}, "\x00")
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:12]) + "@tocsin"
}

// oneLine replaces control characters, which the format has no place for, and
// broken UTF-8.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// clip shortens what comes from outside for an error.
func clip(s string) string {
	const most = 100
	runes := []rune(oneLine(s))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return cmp.Or(string(runes), "(none)")
}
