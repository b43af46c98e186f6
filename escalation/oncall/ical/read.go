package ical

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

// Bounds on what is read.
const (
	// MaxSize of a calendar, in bytes.
	MaxSize = 1 << 20
	// MaxEvents in a calendar, before their recurrence.
	MaxEvents = 5000
	// MaxOccurrences in the span that was asked for.
	MaxOccurrences = 5000
	// maxProblems are told of; the rest is counted.
	maxProblems = 50
)

// Event is one occurrence of an event.
type Event struct {
	// UID of the event; its other occurrences have the same.
	UID string
	// Summary is its title, in one line.
	Summary string
	// Attendees, and Organizer, are e-mail addresses in lower case.
	Attendees []string
	Organizer string
	// From and To, which the event does not include, are in the time zone that
	// the event was written in.
	From, To time.Time
	// AllDay events are whole civil days, First to Last with both; From and To
	// are then midnights in the zone that was given to Read.
	AllDay      bool
	First, Last oncall.Date
}

// Calendar is what was understood of a calendar.
type Calendar struct {
	// Events that overlap the span, by From.
	Events []Event
	// Problems name the events that were refused, and why. An event is refused
	// with all its occurrences.
	Problems []error
}

// Read reads the events of a calendar that overlap the span from `from` to `to`.
// zone, nil: UTC, is that of days and of times without a zone. Cancelled events,
// and those without a length, are left out. An error says that nothing can be
// taken from the calendar: it is none, it is cut off, or it is too large.
func Read(r io.Reader, zone *time.Location, from, to time.Time) (Calendar, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Calendar{}, fmt.Errorf("reading a calendar: %w", err)
	}
	if len(data) > MaxSize {
		return Calendar{}, fmt.Errorf("the calendar is larger than %d bytes", MaxSize)
	}
	lines, err := clean(data)
	if err != nil {
		return Calendar{}, err
	}
	parsed, err := ics.ParseCalendar(bytes.NewReader(lines))
	if err != nil {
		return Calendar{}, fmt.Errorf("the calendar cannot be read: %s", clip(err.Error()))
	}
	x := &expander{from: from, to: to, zone: cmp.Or(zone, time.UTC), refused: make(map[string]error)}
	zones := newZones(parsed, x.zone)
	for i, e := range parsed.Events() {
		v, err := parseEvent(e, zones)
		if v.key = v.uid; v.uid == "" {
			v.key = "\x00" + strconv.Itoa(i) // each is an event of its own
		}
		if err != nil {
			x.refuse(v, err)
			continue
		}
		x.add(v)
	}
	return x.calendar()
}

// vevent is an event as it stands in the calendar.
type vevent struct {
	Event
	uid, key  string
	sequence  int
	start     moment
	length    length
	rule      *rule
	except    []moment
	instead   *moment // RECURRENCE-ID
	cancelled bool
}

// parseEvent reads an event. The returned one has its UID also when there is an
// error.
func parseEvent(e *ics.VEvent, zones *zones) (*vevent, error) {
	v := &vevent{uid: text(e, ics.ComponentPropertyUniqueId)}
	v.UID = v.uid
	v.Summary = strings.TrimSpace(oneLine(text(e, ics.ComponentPropertySummary)))
	v.cancelled = strings.EqualFold(text(e, ics.ComponentPropertyStatus), "CANCELLED")
	v.sequence, _ = strconv.Atoi(text(e, ics.ComponentPropertySequence)) // 0 where there is none
	v.people(e)
	if err := v.times(e, zones); err != nil {
		return v, err
	}
	return v, v.recurrence(e, zones)
}

func text(e *ics.VEvent, name ics.ComponentProperty) string {
	if p := e.GetProperty(name); p != nil {
		return strings.TrimSpace(p.Value)
	}
	return ""
}

func (v *vevent) people(e *ics.VEvent) {
	for _, p := range e.GetProperties(ics.ComponentPropertyAttendee) {
		if mail := address(p); mail != "" {
			v.Attendees = append(v.Attendees, mail)
		}
	}
	if p := e.GetProperty(ics.ComponentPropertyOrganizer); p != nil {
		v.Organizer = address(p)
	}
}

// address is the e-mail address of a person: the "mailto:" that the property
// holds, or its EMAIL parameter (RFC 7986, section 6.2).
func address(p *ics.IANAProperty) string {
	const scheme = "mailto:"
	mail := strings.TrimSpace(p.Value)
	if len(mail) > len(scheme) && strings.EqualFold(mail[:len(scheme)], scheme) {
		mail = mail[len(scheme):]
	} else if given := p.ICalParameters["EMAIL"]; len(given) > 0 {
		mail = given[0]
	}
	if !strings.Contains(mail, "@") {
		return ""
	}
	return strings.ToLower(oneLine(mail))
}

func (v *vevent) times(e *ics.VEvent, zones *zones) (err error) {
	p := e.GetProperty(ics.ComponentPropertyDtStart)
	if p == nil {
		return errors.New("it has no DTSTART")
	}
	if v.start, err = zones.moment(p, p.Value); err != nil {
		return fmt.Errorf("DTSTART: %w", err)
	}
	v.AllDay = v.start.date
	end, lasts := e.GetProperty(ics.ComponentPropertyDtEnd), text(e, ics.ComponentPropertyDuration)
	switch {
	case end != nil:
		m, err := zones.moment(end, end.Value)
		if err != nil {
			return fmt.Errorf("DTEND: %w", err)
		}
		if m.date != v.start.date {
			return errors.New("one of DTSTART and DTEND is a day, the other a time")
		}
		if v.length = m.after(v.start); m.instant().Before(v.start.instant()) {
			return errors.New("it ends before it begins")
		}
	case lasts != "":
		if v.length, err = parseDuration(lasts); err != nil {
			return fmt.Errorf("DURATION: %w", err)
		}
		if v.AllDay && v.length.exact != 0 {
			return errors.New("an event of whole days cannot last hours")
		}
	case v.AllDay:
		v.length.seconds = daySeconds
	}
	return nil
}

func (v *vevent) recurrence(e *ics.VEvent, zones *zones) (err error) {
	for _, name := range []ics.ComponentProperty{ics.ComponentPropertyRdate, ics.ComponentPropertyExrule} {
		if e.HasProperty(name) {
			return fmt.Errorf("%s is not understood", name)
		}
	}
	rules := e.GetProperties(ics.ComponentPropertyRrule)
	if len(rules) > 1 {
		return errors.New("it has more than one RRULE")
	}
	for _, p := range rules {
		if v.rule, err = parseRule(p.Value, v.start); err != nil {
			return err
		}
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyExdate) {
		for value := range strings.SplitSeq(p.Value, ",") {
			m, err := zones.moment(p, value)
			if err != nil {
				return fmt.Errorf("EXDATE: %w", err)
			}
			v.except = append(v.except, m)
		}
	}
	p := e.GetProperty(ics.ComponentPropertyRecurrenceId)
	if p == nil {
		return nil
	}
	m, err := zones.moment(p, p.Value)
	switch {
	case err != nil:
		return fmt.Errorf("RECURRENCE-ID: %w", err)
	case len(p.ICalParameters["RANGE"]) > 0:
		return errors.New("RECURRENCE-ID with RANGE is not understood")
	case v.rule != nil:
		return errors.New("a single occurrence, one with a RECURRENCE-ID, has an RRULE")
	}
	v.instead = &m
	return nil
}

// Dates returns the days of the events that last whole days, in order, each
// once: what a calendar of holidays holds. Events with a time of day are not
// holidays.
func Dates(events []Event) []oncall.Date {
	var days []int
	for i := range events {
		if e := &events[i]; e.AllDay {
			last := dayNumber(e.Last.Year, e.Last.Month, e.Last.Day)
			for d := dayNumber(e.First.Year, e.First.Month, e.First.Day); d <= last && len(days) < MaxOccurrences*2; d++ {
				days = append(days, d)
			}
		}
	}
	slices.Sort(days)
	var out []oncall.Date
	for _, d := range slices.Compact(days) {
		out = append(out, dateOf(d))
	}
	return out
}
